//! What stops the start, and in which words; what only warns.

use serde_json::json;

use super::fails;
use crate::harness::{App, Server};

#[tokio::test]
async fn a_wrong_value_is_named_with_its_source_and_what_is_accepted() {
    for (name, value, words) in [
        ("SOKETI_PORT", "abc", ["SOKETI_PORT", "abc"]),
        ("SOKETI_PORT", "70000", ["SOKETI_PORT", "70000"]),
        (
            "BOWLINE_METRICS_SERVER_PORT",
            "-1",
            ["BOWLINE_METRICS_SERVER_PORT", "-1"],
        ),
        ("SOKETI_DEBUG", "maybe", ["SOKETI_DEBUG", "maybe"]),
        (
            "SOKETI_HOST",
            "not-an-address",
            ["SOKETI_HOST", "not-an-address"],
        ),
        ("SOKETI_MODE", "nonsense", ["SOKETI_MODE", "nonsense"]),
        (
            "SOKETI_DEFAULT_APP_WEBHOOKS",
            "[{",
            ["SOKETI_DEFAULT_APP_WEBHOOKS", ""],
        ),
        (
            "SOKETI_DEFAULT_APP_MAX_CONNS",
            "many",
            ["SOKETI_DEFAULT_APP_MAX_CONNS", "many"],
        ),
        (
            "SOKETI_EVENT_MAX_SIZE_IN_KB",
            "big",
            ["SOKETI_EVENT_MAX_SIZE_IN_KB", "big"],
        ),
        (
            "BOWLINE_CLIENT_EVENTS",
            "sometimes",
            ["BOWLINE_CLIENT_EVENTS", "any-channel"],
        ),
        ("BOWLINE_QUOTA_CODE", "4242", ["BOWLINE_QUOTA_CODE", "4100"]),
        (
            "BOWLINE_TRUSTED_PROXIES",
            "everybody",
            ["BOWLINE_TRUSTED_PROXIES", "everybody"],
        ),
        (
            "SOKETI_PATH_PREFIX",
            "no-slash",
            ["SOKETI_PATH_PREFIX", "no-slash"],
        ),
        (
            "SOKETI_PATH_PREFIX",
            "/trailing/",
            ["SOKETI_PATH_PREFIX", "/trailing/"],
        ),
        ("BOWLINE_SHARDS", "0", ["BOWLINE_SHARDS", "0"]),
        ("BOWLINE_LOG_FORMAT", "xml", ["BOWLINE_LOG_FORMAT", "json"]),
    ] {
        let exit = fails().env(name, value).run().await;
        exit.expect(64, &words);
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_named_at_once() {
    let exit = fails()
        .env("SOKETI_PORT", "abc")
        .env("SOKETI_DEBUG", "maybe")
        .env("BOWLINE_QUOTA_CODE", 1)
        .run()
        .await;
    exit.expect(64, &["SOKETI_PORT", "SOKETI_DEBUG", "BOWLINE_QUOTA_CODE"]);
}

#[tokio::test]
async fn a_secret_is_never_shown() {
    let hooks = json!([{"url": "no url hush-hush", "event_types": ["nonsense"]}]);
    let exit = fails()
        .env("SOKETI_DEFAULT_APP_SECRET", "hush-secret")
        .env("SOKETI_DB_REDIS_PASSWORD", "hush-password")
        .env("SOKETI_DEFAULT_APP_WEBHOOKS", hooks)
        .env("SOKETI_PORT", "abc")
        .run()
        .await;
    exit.expect(64, &["SOKETI_PORT"]);
    assert!(
        !exit.said().contains("hush-secret") && !exit.said().contains("hush-password"),
        "{}",
        exit.said()
    );
}

#[tokio::test]
async fn drivers_that_are_not_there_are_refused_by_name() {
    for (name, value) in [
        ("SOKETI_ADAPTER_DRIVER", "redis"),
        ("SOKETI_ADAPTER_DRIVER", "nats"),
        ("SOKETI_ADAPTER_DRIVER", "cluster"),
        ("SOKETI_ADAPTER_DRIVER", "nonsense"),
        ("SOKETI_APP_MANAGER_DRIVER", "mysql"),
        ("SOKETI_APP_MANAGER_DRIVER", "postgres"),
        ("SOKETI_APP_MANAGER_DRIVER", "dynamodb"),
        ("SOKETI_CACHE_DRIVER", "redis"),
        ("SOKETI_QUEUE_DRIVER", "redis"),
        ("SOKETI_QUEUE_DRIVER", "sqs"),
        ("SOKETI_RATE_LIMITER_DRIVER", "redis"),
        ("SOKETI_METRICS_DRIVER", "statsd"),
    ] {
        fails()
            .env(name, value)
            .run()
            .await
            .expect(64, &[name, value]);
    }
}

#[tokio::test]
async fn the_cluster_rate_limiter_is_the_local_one_with_a_warning() {
    let server = Server::builder()
        .env("SOKETI_RATE_LIMITER_DRIVER", "cluster")
        .start()
        .await;
    assert!(
        server.log().to_lowercase().contains("cluster"),
        "{}",
        server.log()
    );
}

#[tokio::test]
async fn unknown_names_warn_with_the_nearest() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_KEYY", "x")
        .env("BOWLINE_SHUTDOWN_SPRED", "1")
        .config(&json!({"eventLimits.maxNameLenght": 5, "nonsense": true}))
        .start()
        .await;
    for word in [
        "DEFAULT_APP_KEYY",
        "DEFAULT_APP_KEY",
        "SHUTDOWN_SPREAD",
        "eventLimits.maxNameLength",
        "nonsense",
    ] {
        server.wait_log(word).await;
    }
    server.connect().await;
}

#[tokio::test]
async fn an_unknown_key_in_toml_stops_the_start() {
    let builder = fails()
        .file("b.toml", "[eventLimits]\nmaxNameLenght = 5\n")
        .arg("--config=b.toml");
    builder
        .run()
        .await
        .expect(64, &["maxNameLenght", "maxNameLength"]);
}

#[tokio::test]
async fn a_missing_or_broken_file_stops_the_start() {
    fails()
        .arg("--config=nowhere.json")
        .run()
        .await
        .expect(64, &["nowhere.json"]);
    fails()
        .env("BOWLINE_CONFIG", "nowhere.toml")
        .run()
        .await
        .expect(64, &["nowhere.toml"]);
    fails()
        .file("b.json", "{\"port\": ")
        .arg("--config=b.json")
        .run()
        .await
        .expect(64, &["b.json"]);
    fails()
        .file("b.toml", "port = = 1")
        .arg("--config=b.toml")
        .run()
        .await
        .expect(64, &["b.toml"]);
    fails()
        .file("l.json", "[]")
        .arg("--config=l.json")
        .run()
        .await
        .expect(64, &["l.json"]);
    fails()
        .file("t.json", r#"{"port":"abc"}"#)
        .arg("--config=t.json")
        .env("SOKETI_PORT", "")
        .run()
        .await
        .expect(64, &["port", "abc"]);
}

#[tokio::test]
async fn apps_that_cannot_be_right_stop_the_start() {
    for (apps, word) in [
        (json!([{"id": "a", "key": "k", "secret": ""}]), "secret"),
        (json!([{"id": "a", "key": "k"}]), "secret"),
        (
            json!([{"id": "a", "key": "k", "secret": "s", "webhooks": [{"lambda_function": "f", "event_types": ["cache_miss"]}]}]),
            "lambda",
        ),
        (
            json!([{"id": "a", "key": "k", "secret": "s", "webhooks": [{"url": "http://x/"}]}]),
            "event_types",
        ),
        (
            json!([{"id": "a", "key": "k", "secret": "s", "webhooks": [{"url": "ftp://x/", "event_types": ["cache_miss"]}]}]),
            "url",
        ),
        (
            json!([{"id": "a", "key": "k", "secret": "s", "maxConnections": {}}]),
            "maxConnections",
        ),
    ] {
        let exit = fails().apps(&apps).run().await;
        assert_eq!(exit.code, Some(64), "{apps}: {}", exit.said());
        assert!(
            exit.said().to_lowercase().contains(&word.to_lowercase()),
            "{apps}: {}",
            exit.said()
        );
    }
}

#[tokio::test]
async fn of_two_apps_with_one_key_or_id_the_first_wins() {
    let apps = json!([
        {"id": "a", "key": "k", "secret": "first"},
        {"id": "a", "key": "other", "secret": "second"},
        {"id": "b", "key": "k", "secret": "third"},
    ]);
    let server = Server::builder().apps(&apps).start().await;
    let first = App::new("a", "k", "first");
    assert_eq!(server.get_as(&first, "/channels").await.status, 200);
    server.connect_app(&first).await.private("private-x").await;
}

#[tokio::test]
async fn a_busy_port_is_1_and_names_its_number() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fails()
        .env("SOKETI_PORT", &port)
        .run()
        .await
        .expect(1, &[&port]);
    fails()
        .env("SOKETI_METRICS_SERVER_PORT", &port)
        .run()
        .await
        .expect(1, &[&port]);
}

#[tokio::test]
async fn a_second_server_on_the_port_is_an_error_unless_it_is_asked_for() {
    let first = Server::start().await;
    let port = first.main.port();
    fails()
        .env("SOKETI_PORT", port)
        .run()
        .await
        .expect(1, &[&port.to_string()]);
    let shared = Server::builder()
        .env("BOWLINE_REUSE_PORT", true)
        .start()
        .await;
    let port = shared.main.port();
    let second = Server::builder()
        .env("BOWLINE_REUSE_PORT", true)
        .env("SOKETI_PORT", port)
        .start()
        .await;
    assert_eq!(second.main.port(), port);
}

#[tokio::test]
async fn unknown_flags_and_commands_are_64() {
    for arg in ["--nonsense", "nonsense", "--port=abc"] {
        let exit = fails().arg(arg).run().await;
        assert_eq!(exit.code, Some(64), "{arg}: {}", exit.said());
    }
}

#[tokio::test]
async fn the_default_secret_in_public_is_warned_of() {
    let server = Server::builder()
        .env("SOKETI_HOST", "0.0.0.0")
        .start()
        .await;
    server.wait_log("secret").await;
    let log = server.log().to_lowercase();
    assert!(log.contains("warn") && log.contains("default"), "{log}");
    let quiet = Server::builder()
        .env("SOKETI_HOST", "0.0.0.0")
        .env("SOKETI_DEFAULT_APP_SECRET", "own")
        .start()
        .await;
    assert!(
        !quiet.log().to_lowercase().contains("default secret"),
        "{}",
        quiet.log()
    );
}
