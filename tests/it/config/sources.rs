//! Where values come from, in which order, and which forms they may have.

use serde_json::json;

use super::fails;
use crate::harness::{App, Server};

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
    let server = Server::builder().apps(&apps).start().await;
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
    let server = Server::builder().apps(&apps).start().await;
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
