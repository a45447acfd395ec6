//! Upgrades, their refusals, and the first frame (protocol.md 1).

use serde_json::json;

use crate::harness::{App, Message, Server};

#[tokio::test]
async fn a_known_key_is_greeted_with_a_socket_id() {
    let server = Server::start().await;
    let mut client = server
        .open("/app/app-key?protocol=7&client=js&version=8.4.0&flash=false")
        .await;
    let text = client.text().await;
    let id = text
        .strip_prefix(r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\""#)
        .and_then(|rest| rest.strip_suffix(r#"\",\"activity_timeout\":30}"}"#))
        .unwrap_or_else(|| panic!("{text}"));
    let (left, right) = id.split_once('.').unwrap();
    for part in [left, right] {
        assert!(part.parse::<u64>().unwrap() <= 10_000_000_000, "{id}");
        assert_eq!(part, part.parse::<u64>().unwrap().to_string(), "no padding");
    }
    client.expect_silence().await;
}

#[tokio::test]
async fn socket_ids_are_unique() {
    let server = Server::start().await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..50 {
        assert!(ids.insert(server.connect().await.id().to_owned()));
    }
}

#[tokio::test]
async fn protocol_client_and_version_are_not_looked_at() {
    let server = Server::start().await;
    for query in [
        "",
        "?",
        "?protocol=1",
        "?protocol=99",
        "?protocol=text",
        "?client=&version=",
        "?flash=true&x=%zz",
    ] {
        server
            .open(&format!("/app/app-key{query}"))
            .await
            .established(&server.app)
            .await;
    }
}

#[tokio::test]
async fn strict_protocol_version_is_an_option() {
    let server = Server::builder()
        .env("BOWLINE_STRICT_PROTOCOL_VERSION", true)
        .start()
        .await;
    server.connect().await;
    for (query, code) in [
        ("?protocol=abc", 4006),
        ("?protocol=4", 4007),
        ("?protocol=99", 4007),
        ("", 4008),
    ] {
        let mut client = server.open(&format!("/app/app-key{query}")).await;
        client.expect_error(code).await;
        client.expect_close(code).await;
    }
}

#[tokio::test]
async fn the_first_offered_subprotocol_is_echoed() {
    let server = Server::start().await;
    let headers = [("Sec-WebSocket-Protocol", "pusher-one, two")];
    let client = server.upgrade("/app/app-key", &headers).await.ok().unwrap();
    assert_eq!(
        client.handshake.header("sec-websocket-protocol"),
        Some("pusher-one")
    );
    let client = server.upgrade("/app/app-key", &[]).await.ok().unwrap();
    assert_eq!(client.handshake.header("sec-websocket-protocol"), None);
}

#[tokio::test]
async fn compression_is_not_negotiated() {
    let server = Server::start().await;
    let headers = [(
        "Sec-WebSocket-Extensions",
        "permessage-deflate; client_max_window_bits",
    )];
    let client = server.upgrade("/app/app-key", &headers).await.ok().unwrap();
    assert_eq!(client.handshake.header("sec-websocket-extensions"), None);
}

#[tokio::test]
async fn unknown_paths_refuse_the_upgrade_with_404() {
    let server = Server::start().await;
    for path in [
        "/app",
        "/app/",
        "/app/app-key/",
        "/app/app-key/x",
        "/nowhere",
        "/App/app-key",
        "/pusher/app/app-key",
    ] {
        let response = server
            .upgrade(path, &[])
            .await
            .err()
            .unwrap_or_else(|| panic!("{path} was upgraded"));
        assert_eq!(response.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_plain_get_on_the_websocket_path_is_404() {
    let server = Server::start().await;
    server.raw("GET", "/app/app-key").await.expect(404, "");
}

#[tokio::test]
async fn an_unknown_key_gets_4001_with_the_message_as_reason() {
    let server = Server::start().await;
    let mut client = server.open("/app/unknown-key?protocol=7").await;
    client
        .expect_refusal(4001, "App key unknown-key does not exist.")
        .await;
}

#[tokio::test]
async fn the_key_in_the_path_is_percent_decoded() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_KEY", "key with=signs")
        .start()
        .await;
    let app = App::new("app-id", "key with=signs", "app-secret");
    server
        .open("/app/key%20with%3Dsigns")
        .await
        .established(&app)
        .await;
}

#[tokio::test]
async fn a_hostile_key_is_answered_as_json() {
    let server = Server::start().await;
    let mut client = server.open("/app/a%22b%5Cc").await;
    let frame = client.expect_error(4001).await;
    assert_eq!(frame["data"]["message"], "App key a\"b\\c does not exist.");
    client.expect_close(4001).await;
}

#[tokio::test]
async fn a_long_key_still_closes_with_a_legal_frame() {
    let server = Server::start().await;
    let key = "k".repeat(300);
    let mut client = server.open(&format!("/app/{key}")).await;
    client.expect_error(4001).await;
    let reason = client.expect_close(4001).await;
    assert!(
        reason.len() <= 123,
        "a control frame holds 125 bytes: {}",
        reason.len()
    );
}

#[tokio::test]
async fn a_disabled_app_gets_4003() {
    let apps = json!([{"id": "off", "key": "off-key", "secret": "s", "enabled": false}]);
    let server = Server::builder().apps(&apps).start().await;
    server
        .open("/app/off-key")
        .await
        .expect_refusal(4003, "The app is not enabled.")
        .await;
}

const OVER_QUOTA: &str = "The current concurrent connections quota has been reached.";

#[tokio::test]
async fn over_quota_gets_4100_and_a_freed_place_can_be_used() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_MAX_CONNS", 2)
        .start()
        .await;
    let (first, _second) = (server.connect().await, server.connect().await);
    for _ in 0..3 {
        server
            .open("/app/app-key")
            .await
            .expect_refusal(4100, OVER_QUOTA)
            .await;
    }
    first.close().await;
    crate::harness::eventually("the place is free", async || {
        let mut client = server.open("/app/app-key").await;
        matches!(client.recv().await, Message::Text(text) if text.contains("connection_established"))
    })
    .await;
}

#[tokio::test]
async fn quota_code_4004_is_an_option() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_MAX_CONNS", 1)
        .env("BOWLINE_QUOTA_CODE", 4004)
        .start()
        .await;
    let _first = server.connect().await;
    server
        .open("/app/app-key")
        .await
        .expect_refusal(4004, OVER_QUOTA)
        .await;
}

#[tokio::test]
async fn quota_zero_or_negative_is_no_limit() {
    for limit in ["0", "-1"] {
        let server = Server::builder()
            .env("SOKETI_DEFAULT_APP_MAX_CONNS", limit)
            .start()
            .await;
        let _clients = (server.connect().await, server.connect().await);
    }
}

#[tokio::test]
async fn ping_is_answered_whatever_its_data() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for ping in [
        r#"{"event":"pusher:ping"}"#,
        r#"{"event":"pusher:ping","data":{}}"#,
        r#"{"event":"pusher:ping","data":"x"}"#,
        r#"{"data":null,"event":"pusher:ping","x":[{}]}"#,
    ] {
        client.send_text(ping).await;
        client.expect_frame(crate::harness::PONG).await;
    }
}

#[tokio::test]
async fn a_pong_from_the_client_is_accepted() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .send_text(r#"{"event":"pusher:pong","data":{}}"#)
        .await;
    client.expect_silence().await;
}

#[tokio::test]
async fn a_frame_sent_with_the_handshake_waits_for_the_connection() {
    let server = Server::start().await;
    let mut http = server.http().await;
    let mut bytes = crate::harness::upgrade_request("/app/app-key", &[]).into_bytes();
    let subscribe = br#"{"event":"pusher:subscribe","data":{"channel":"early"}}"#;
    bytes.extend(crate::harness::client_frame(
        true,
        crate::harness::Opcode::Text,
        subscribe,
    ));
    http.write(&bytes).await;
    let mut client = crate::harness::Client::after_upgrade(http)
        .await
        .established(&server.app)
        .await;
    client.expect_subscribed("early").await;
}
