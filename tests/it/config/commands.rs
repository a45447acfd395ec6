//! Subcommands and logs.

use std::time::Duration;

use serde_json::{Value, json};

use super::fails;
use crate::harness::Server;

#[tokio::test]
async fn check_prints_each_value_with_its_source() {
    let exit = fails()
        .config(&json!({"eventLimits.maxBatchSize": 42}))
        .env("SOKETI_DEFAULT_APP_SECRET", "hush-secret")
        .env("SOKETI_DB_REDIS_PASSWORD", "hush-password")
        .env("SOKETI_EVENT_MAX_NAME_LENGTH", 77);
    // `start --config=` was put there for a server; `check` comes first here.
    let exit = exit.instead(&["check", "--config=config.json"]).run().await;
    exit.expect(
        0,
        &[
            "maxBatchSize",
            "42",
            "config.json",
            "77",
            "SOKETI_EVENT_MAX_NAME_LENGTH",
            "default",
        ],
    );
    assert!(!exit.said().contains("hush"), "{}", exit.said());
}

#[tokio::test]
async fn check_refuses_what_start_refuses() {
    fails()
        .env("SOKETI_PORT", "abc")
        .arg("check")
        .run()
        .await
        .expect(64, &["SOKETI_PORT", "abc"]);
    fails()
        .env("SOKETI_ADAPTER_DRIVER", "redis")
        .arg("check")
        .run()
        .await
        .expect(64, &["redis"]);
}

#[tokio::test]
async fn the_example_is_a_configuration() {
    let exit = fails().arg("config-example").run().await;
    assert_eq!(exit.code, Some(0), "{}", exit.said());
    let parsed: toml::Table = exit.stdout.parse().unwrap();
    let known = ["port", "maxNameLength", "outbox", "webhooks"];
    assert!(
        known
            .iter()
            .all(|word| exit.stdout.to_lowercase().contains(&word.to_lowercase()))
    );
    let builder = Server::builder()
        .file("example.toml", &exit.stdout)
        .arg("--config=example.toml");
    builder.start().await.expect_healthy().await;
    let _ = parsed;
}

#[tokio::test]
async fn version_and_help() {
    let exit = fails().arg("version").run().await;
    exit.expect(0, &["bowline", env!("CARGO_PKG_VERSION")]);
    for arg in ["--version", "--help"] {
        fails().arg(arg).run().await.expect(0, &["bowline"]);
    }
}

#[tokio::test]
async fn healthcheck_asks_the_running_server() {
    let server = Server::start().await;
    let url = format!("http://{}/ready", server.main);
    fails()
        .arg("healthcheck")
        .arg(&url)
        .run()
        .await
        .expect(0, &[]);
    let nothing = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let exit = fails()
        .arg("healthcheck")
        .arg(&format!("http://{nothing}/"))
        .run()
        .await;
    assert_eq!(exit.code, Some(1), "{}", exit.said());
    let exit = fails()
        .arg("healthcheck")
        .arg(&format!("http://{}/nowhere", server.main))
        .run()
        .await;
    assert_eq!(exit.code, Some(1), "404 is not healthy: {}", exit.said());
    // Without an address it asks the server that these settings describe.
    let exit = fails()
        .env("SOKETI_PORT", server.main.port())
        .env("SOKETI_METRICS_SERVER_PORT", server.metrics.port());
    exit.arg("healthcheck").run().await.expect(0, &[]);
}

#[tokio::test]
async fn json_logs_are_json() {
    let server = Server::builder()
        .env("BOWLINE_LOG_FORMAT", "json")
        .start()
        .await;
    server.connect().await;
    let logged = server.log();
    let mut lines = 0;
    for line in logged.lines().filter(|line| line.starts_with('{')) {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_object());
        lines += 1;
    }
    assert!(lines > 0, "{logged}");
}

#[tokio::test]
async fn starting_takes_no_time() {
    let begin = tokio::time::Instant::now();
    let _server = Server::start().await;
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
}
