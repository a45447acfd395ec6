//! SIGHUP and changed files: apps come, change and go while everybody else stays (configuration.md 6.1).

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{App, Server, eventually};

fn write(server: &Server, apps: &Value) {
    write_config(server, &json!({"appManager.array.apps": apps}));
}

fn write_config(server: &Server, config: &Value) {
    // As an editor or a config map does it: a whole new file in place of the old one.
    let fresh = server.dir().join("config.json.new");
    std::fs::write(&fresh, config.to_string()).unwrap();
    std::fs::rename(fresh, server.dir().join("config.json")).unwrap();
}

fn app(id: &str, more: &Value) -> Value {
    let mut app = json!({"id": id, "key": format!("{id}-key"), "secret": "s"});
    app.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    app
}

fn known(id: &str) -> App {
    App::new(id, &format!("{id}-key"), "s")
}

async fn serves(server: &Server, id: &str) -> bool {
    server.get_as(&known(id), "/channels").await.status == 200
}

#[tokio::test]
async fn apps_come_and_go_with_sighup() {
    let server = Server::builder()
        .apps(&json!([app("stay", &json!({})), app("go", &json!({}))]))
        .start()
        .await;
    let mut stays = server.connect_app(&known("stay")).await;
    let mut goes = server.connect_app(&known("go")).await;
    write(
        &server,
        &json!([app("stay", &json!({})), app("new", &json!({}))]),
    );
    server.signal(Signal::HUP);
    eventually("the new app", async || serves(&server, "new").await).await;
    server.connect_app(&known("new")).await;
    goes.expect_error(4001).await;
    goes.expect_close(4001).await;
    assert_eq!(server.get_as(&known("go"), "/channels").await.status, 404);
    server
        .open("/app/go-key")
        .await
        .expect_refusal(4001, "App key go-key does not exist.")
        .await;
    stays.expect_silence().await;
}

#[tokio::test]
async fn a_disabled_app_closes_its_sockets_with_4003() {
    let server = Server::builder()
        .apps(&json!([app("a", &json!({}))]))
        .start()
        .await;
    let mut client = server.connect_app(&known("a")).await;
    write(&server, &json!([app("a", &json!({"enabled": false}))]));
    server.signal(Signal::HUP);
    client.expect_refusal(4003, "The app is not enabled.").await;
    assert_eq!(server.get_as(&known("a"), "/channels").await.status, 403);
}

#[tokio::test]
async fn open_connections_take_new_values() {
    let server = Server::builder()
        .apps(&json!([app("a", &json!({}))]))
        .start()
        .await;
    let mut client = server.connect_app(&known("a")).await;
    client.subscribe("room").await;
    let mut other = server.connect_app(&known("a")).await;
    other.subscribe("room").await;
    client
        .send(json!({"event": "client-x", "channel": "room", "data": {}}))
        .await;
    client.expect_error(4301).await;
    write(
        &server,
        &json!([app(
            "a",
            &json!({"enableClientMessages": true, "maxEventNameLength": 9})
        )]),
    );
    server.signal(Signal::HUP);
    eventually("client events are on", async || {
        client
            .send(json!({"event": "client-x", "channel": "room", "data": {}}))
            .await;
        client.send_text(r#"{"event":"pusher:ping"}"#).await;
        let first = client.text().await;
        if first.contains("4301") {
            client.text().await;
        }
        !first.contains("4301")
    })
    .await;
    other.expect_event("client-x").await;
    client
        .send(json!({"event": "client-too-long", "channel": "room", "data": {}}))
        .await;
    client.expect_error(4301).await;
}

#[tokio::test]
async fn a_changed_file_needs_no_signal() {
    let server = Server::builder()
        .apps(&json!([app("a", &json!({}))]))
        .start()
        .await;
    let mut client = server.connect_app(&known("a")).await;
    write(
        &server,
        &json!([app("a", &json!({})), app("b", &json!({}))]),
    );
    let end = tokio::time::Instant::now() + Duration::from_secs(12);
    while !serves(&server, "b").await {
        assert!(
            tokio::time::Instant::now() < end,
            "the changed file was not read"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    client.expect_silence().await;
}

#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let mut server = Server::builder()
        .apps(&json!([app("a", &json!({}))]))
        .start()
        .await;
    let mut client = server.connect_app(&known("a")).await;
    for broken in [
        "{",
        "[]",
        r#"{"appManager.array.apps":5}"#,
        r#"{"appManager.array.apps":[{"id":"a"}]}"#,
    ] {
        std::fs::write(server.dir().join("config.json"), broken).unwrap();
        server.signal(Signal::HUP);
        tokio::time::sleep(Duration::from_millis(150)).await;
        client.expect_silence().await;
        assert!(serves(&server, "a").await, "{broken}");
    }
    assert!(server.exited().is_none());
    assert!(server.log().contains("config.json"), "{}", server.log());
}

#[tokio::test]
async fn a_secret_rotates_without_an_outage() {
    let server = Server::builder()
        .apps(&json!([app("a", &json!({}))]))
        .start()
        .await;
    let mut client = server.connect_app(&known("a")).await;
    client.private("private-before").await;
    let until = crate::harness::now_s() + 3600;
    let rotated = json!({"secret": "new", "previousSecret": "s", "previousSecretUntil": until});
    write(&server, &json!([app("a", &rotated)]));
    server.signal(Signal::HUP);
    let fresh = App::new("a", "a-key", "new");
    eventually("the new secret", async || {
        server.get_as(&fresh, "/channels").await.status == 200
    })
    .await;
    assert!(serves(&server, "a").await, "the old one still signs");
    client.private("private-signed-with-the-old").await;
    let mut late = server.connect_app(&fresh).await;
    late.private("private-signed-with-the-new").await;
}

#[tokio::test]
async fn what_needs_a_restart_is_named() {
    let server = Server::builder()
        .apps(&json!([app("a", &json!({}))]))
        .start()
        .await;
    write_config(
        &server,
        &json!({"appManager.array.apps": [app("a", &json!({}))], "pathPrefix": "/changed"}),
    );
    server.signal(Signal::HUP);
    server.wait_log("pathPrefix").await;
    assert!(serves(&server, "a").await);
}
