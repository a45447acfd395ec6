//! Configuration as a user meets it: sources, their order, what is refused and in which words (configuration.md).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{App, Server, ServerBuilder};

/// Quick to end: whatever it is, it must not stay.
fn fails() -> ServerBuilder {
    Server::builder()
        .env("SOKETI_HOST", "127.0.0.1")
        .env("SOKETI_METRICS_HOST", "127.0.0.1")
        .env("SOKETI_PORT", 0)
        .env("SOKETI_METRICS_SERVER_PORT", 0)
}

// Where values come from.

#[tokio::test]
async fn defaults_then_file_then_environment_then_flags() {
    let file = json!({"appManager.array.apps": [{"id": "file", "key": "file-key", "secret": "s"}], "eventLimits.maxNameLength": 5});
    let app = App::new("file", "env-key", "s");
    let server = Server::builder()
        .config(&file)
        .env("SOKETI_DEFAULT_APP_KEY", "env-key")
        .start()
        .await;
    server.connect_app(&app).await;
    assert_eq!(
        server.get_as(&app, "/channels").await.status,
        200,
        "the first app of the file, changed by the environment"
    );
    let body = json!({"name": "toolong", "channel": "c", "data": "x"}).to_string();
    server
        .post_bytes(&app, "/events", body.as_bytes())
        .await
        .expect_error(400, "Event name is too long. Maximum allowed size is 5.");
    let server = Server::builder()
        .env("SOKETI_PORT", 1)
        .arg("start")
        .arg("--port")
        .arg("0")
        .start()
        .await;
    assert_ne!(server.main.port(), 1, "the flag wins");
}

#[tokio::test]
async fn bowline_names_beat_soketis_and_a_difference_is_said() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_KEY", "soketi-key")
        .env("BOWLINE_DEFAULT_APP_KEY", "bowline-key")
        .start()
        .await;
    server
        .connect_app(&App::new("app-id", "bowline-key", "app-secret"))
        .await;
    server
        .open("/app/soketi-key")
        .await
        .expect_error(4001)
        .await;
    assert!(server.log().contains("DEFAULT_APP_KEY"), "{}", server.log());
}

#[tokio::test]
async fn dotenv_adds_what_the_process_lacks() {
    let server = Server::builder()
        .file(".env", "# comment\nSOKETI_DEFAULT_APP_KEY=\"dot-key\"\nexport SOKETI_DEFAULT_APP_ID=dot-id\nSOKETI_DEFAULT_APP_SECRET='dot secret'\nOTHER=1\n")
        .env("SOKETI_DEFAULT_APP_ID", "process-id")
        .start()
        .await;
    let app = App::new("process-id", "dot-key", "dot secret");
    let mut client = server.connect_app(&app).await;
    client.private("private-x").await;
    assert_eq!(server.get_as(&app, "/channels").await.status, 200);
}

#[tokio::test]
async fn secrets_come_from_files_too() {
    let server = Server::builder()
        .file("secret", "from a file\n")
        .env("SOKETI_DEFAULT_APP_SECRET_FILE", "secret")
        .start()
        .await;
    let app = App::new("app-id", "app-key", "from a file");
    assert_eq!(server.get_as(&app, "/channels").await.status, 200);
    fails()
        .env("SOKETI_DEFAULT_APP_SECRET_FILE", "nowhere")
        .run()
        .await
        .expect(64, &["DEFAULT_APP_SECRET_FILE", "nowhere"]);
}

#[tokio::test]
async fn an_empty_variable_is_not_set() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_KEY", "")
        .env("SOKETI_DEFAULT_APP_MAX_CONNS", "")
        .start()
        .await;
    server.connect().await;
}

#[tokio::test]
async fn both_spellings_of_soketis_json_merge_deeply() {
    let file = json!({"eventLimits": {"maxNameLength": 5}, "eventLimits.maxBatchSize": 2, "cors": {"methods": ["GET"]}});
    let server = Server::builder().config(&file).start().await;
    let event = |name: &str| json!({"name": name, "channel": "c", "data": "x"});
    server
        .post("/events", &event("toolong"))
        .await
        .expect_error(400, "Event name is too long. Maximum allowed size is 5.");
    server
        .post(
            "/batch_events",
            &json!({"batch": [event("a"), event("a"), event("a")]}),
        )
        .await
        .expect_error(400, "Cannot batch-send more than 2 messages at once");
    let big = json!({"name": "n", "channel": "c", "data": "x".repeat(300_000)});
    server
        .post("/events", &big)
        .await
        .expect_error(413, "The event data should be less than 100 KB.");
}

#[tokio::test]
async fn toml_has_the_same_keys() {
    let toml = "[eventLimits]\nmaxNameLength = 5\n\n[[appManager.array.apps]]\nid = \"t\"\nkey = \"t-key\"\nsecret = \"s\"\n";
    let server = Server::builder()
        .file("bowline.toml", toml)
        .arg("--config")
        .arg("bowline.toml")
        .start()
        .await;
    let app = App::new("t", "t-key", "s");
    let body = json!({"name": "toolong", "channel": "c", "data": "x"}).to_string();
    server
        .post_bytes(&app, "/events", body.as_bytes())
        .await
        .expect_error(400, "Event name is too long. Maximum allowed size is 5.");
}

#[tokio::test]
async fn the_config_file_may_be_named_by_a_variable() {
    let apps = json!({"appManager.array.apps": [{"id": "v", "key": "v-key", "secret": "s"}]});
    let server = Server::builder()
        .file("here.json", &apps.to_string())
        .env("BOWLINE_CONFIG", "here.json")
        .start()
        .await;
    server.connect_app(&App::new("v", "v-key", "s")).await;
}

#[tokio::test]
async fn soketis_command_lines_work() {
    let apps =
        json!({"appManager.array.apps": [{"id": "c", "key": "c-key", "secret": "s"}]}).to_string();
    for args in [
        vec!["start", "--config=c.json"],
        vec!["start", "--config", "c.json"],
        vec!["--config=c.json"],
        vec!["start", "start", "--config=c.json"],
    ] {
        let builder = args
            .iter()
            .fold(Server::builder().file("c.json", &apps), |builder, arg| {
                builder.arg(arg)
            });
        let server = builder.start().await;
        server.connect_app(&App::new("c", "c-key", "s")).await;
    }
}

#[tokio::test]
async fn apps_have_three_spellings_and_loose_types() {
    let apps = json!([
        {"id": 40000, "key": "a", "secret": "s", "enableClientMessages": 1},
        {"AppId": "two", "AppKey": "b", "AppSecret": "s", "MaxConnections": "1", "EnableClientMessages": true},
        {"id": "three", "key": "c", "secret": "s", "max_event_name_length": "7", "enabled": 1, "enable_client_messages": "true"},
    ]);
    let server = Server::builder().apps(apps).start().await;
    assert_eq!(
        server
            .get_as(&App::new("40000", "a", "s"), "/channels")
            .await
            .status,
        200
    );
    let two = App::new("two", "b", "s");
    let _first = server.connect_app(&two).await;
    server.open("/app/b").await.expect_error(4100).await;
    let three = App::new("three", "c", "s");
    let body = json!({"name": "too-long", "channel": "c", "data": "x"}).to_string();
    server
        .post_bytes(&three, "/events", body.as_bytes())
        .await
        .expect_error(400, "Event name is too long. Maximum allowed size is 7.");
}

#[tokio::test]
async fn negative_limits_of_an_app_mean_the_servers() {
    let apps = json!([{"id": "n", "key": "n-key", "secret": "s", "maxEventBatchSize": -1, "maxPresenceMembersPerChannel": -1,
        "maxEventNameLength": -1, "maxChannelNameLength": -1, "maxEventPayloadInKb": -1, "maxEventChannelsAtOnce": -1}]);
    let server = Server::builder().apps(apps).start().await;
    let app = App::new("n", "n-key", "s");
    let mut client = server.connect_app(&app).await;
    client.presence("presence-n", r#"{"user_id":"1"}"#).await;
    server.trigger_as(&app, "presence-n", "e", "x").await;
    client.expect_event("e").await;
}

#[tokio::test]
async fn a_number_as_key_id_or_secret_is_text() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_ID", "007")
        .env("SOKETI_DEFAULT_APP_KEY", "1e5")
        .env("SOKETI_DEFAULT_APP_SECRET", "0x10")
        .start()
        .await;
    let app = App::new("007", "1e5", "0x10");
    server.connect_app(&app).await.private("private-x").await;
    assert_eq!(server.get_as(&app, "/channels").await.status, 200);
}

#[tokio::test]
async fn booleans_have_eight_words_in_any_case() {
    for (word, on) in [
        ("1", true),
        ("True", true),
        ("YES", true),
        ("on", true),
        ("0", false),
        ("FALSE", false),
        ("No", false),
        ("off", false),
    ] {
        let server = Server::builder()
            .env("SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", word)
            .start()
            .await;
        let mut client = server.connect().await;
        client
            .send(json!({"event": "client-x", "channel": "c", "data": {}}))
            .await;
        if on {
            client.expect_silence().await;
        } else {
            client.expect_error(4301).await;
        }
    }
}

#[tokio::test]
async fn every_option_of_a_driver_not_selected_is_accepted() {
    let mut builder = Server::builder();
    for (name, value) in [
        ("SOKETI_DB_REDIS_HOST", "redis.invalid"),
        ("SOKETI_DB_REDIS_PORT", "6380"),
        ("SOKETI_DB_REDIS_PASSWORD", "12345"),
        ("SOKETI_DB_REDIS_SENTINELS", r#"[{"host":"a","port":1}]"#),
        (
            "SOKETI_DB_REDIS_CLUSTER_NODES",
            r#"[{"host":"a","port":1}]"#,
        ),
        ("SOKETI_ADAPTER_REDIS_SUB_OPTIONS", r#"{"tls":{}}"#),
        ("SOKETI_ADAPTER_NATS_SERVERS", r#"["127.0.0.1:4222"]"#),
        ("SOKETI_CLUSTER_PORT", "11003"),
        ("SOKETI_DB_MYSQL_HOST", "mysql.invalid"),
        ("SOKETI_DB_POSTGRES_PORT", "5433"),
        ("SOKETI_QUEUE_SQS_URL", "https://sqs.invalid/q"),
        ("SOKETI_APP_MANAGER_DYNAMODB_TABLE", "apps"),
        ("SOKETI_APP_MANAGER_MYSQL_VERSION", "8.0"),
        ("SOKETI_RATE_LIMITER_REDIS_CLUSTER_MODE", "false"),
        ("SOKETI_APP_MANAGER_CACHE_ENABLED", "true"),
        ("SOKETI_CHANNEL_MAX_NAME_LENGTH", "150"),
        ("SOKETI_HTTP_MAX_REQUEST_SIZE", "50"),
    ] {
        builder = builder.env(name, value);
    }
    let mut server = builder.start().await;
    server.expect_healthy().await;
}

// What stops the start.

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
        let exit = fails().apps(apps.clone()).run().await;
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
    let server = Server::builder().apps(apps).start().await;
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

// Subcommands.

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
