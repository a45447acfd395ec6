//! Client events: to whom, in which shape, and when not (protocol.md 6).

use serde_json::json;

use crate::harness::{Client, Server};

async fn refused(client: &mut Client, channel: Option<&str>, message: &str) {
    let channel = channel
        .map(|name| format!(r#""channel":"{name}","#))
        .unwrap_or_default();
    client
        .expect_frame(&format!(
            r#"{{"event":"pusher:error",{channel}"data":{{"code":4301,"message":"{message}"}}}}"#
        ))
        .await;
}

async fn pair(server: &Server, channel: &str) -> (Client, Client) {
    let (mut a, mut b) = (server.connect().await, server.connect().await);
    a.private(channel).await;
    b.private(channel).await;
    (a, b)
}

#[tokio::test]
async fn everybody_but_the_sender_gets_it() {
    let server = Server::with_client_events().await;
    let (mut a, mut b) = pair(&server, "private-c").await;
    for (sent, got) in [
        (
            r#"{"event":"client-x","channel":"private-c","data":{"a":1}}"#,
            r#"{"event":"client-x","channel":"private-c","data":{"a":1}}"#,
        ),
        (
            r#"{"channel":"private-c","data":"text","event":"client-x"}"#,
            r#"{"event":"client-x","channel":"private-c","data":"text"}"#,
        ),
        (
            r#"{"event":"client-none","channel":"private-c"}"#,
            r#"{"event":"client-none","channel":"private-c"}"#,
        ),
        (
            r#"{"event":"client-f","channel":"private-c","data":null,"user_id":"forged","foo":1}"#,
            r#"{"event":"client-f","channel":"private-c","data":null}"#,
        ),
        (
            r#"{"event":"client-","channel":"private-c","data":[]}"#,
            r#"{"event":"client-","channel":"private-c","data":[]}"#,
        ),
    ] {
        a.send_text(sent).await;
        b.expect_frame(got).await;
    }
    a.expect_silence().await;
}

#[tokio::test]
async fn numbers_keep_their_digits() {
    let server = Server::with_client_events().await;
    let (mut a, mut b) = pair(&server, "private-c").await;
    let data = r#"{"price":1.50,"big":123456789012345678901,"e":1e400}"#;
    a.send_text(&format!(
        r#"{{"event":"client-x","channel":"private-c","data":{data}}}"#
    ))
    .await;
    b.expect_frame(&format!(
        r#"{{"event":"client-x","channel":"private-c","data":{data}}}"#
    ))
    .await;
}

#[tokio::test]
async fn presence_adds_the_senders_id_in_its_type() {
    let server = Server::with_client_events().await;
    let (mut a, mut b) = (server.connect().await, server.connect().await);
    a.presence("presence-c", r#"{"user_id":7}"#).await;
    b.presence("presence-c", r#"{"user_id":"bob"}"#).await;
    a.expect_event("pusher_internal:member_added").await;
    a.send(json!({"event": "client-hi", "channel": "presence-c", "data": {"t": 1}}))
        .await;
    b.expect_frame(r#"{"event":"client-hi","channel":"presence-c","data":{"t":1},"user_id":7}"#)
        .await;
    b.send(json!({"event": "client-hi", "channel": "presence-c", "data": {"t": 2}}))
        .await;
    a.expect_frame(
        r#"{"event":"client-hi","channel":"presence-c","data":{"t":2},"user_id":"bob"}"#,
    )
    .await;
}

#[tokio::test]
async fn off_by_default_and_said_so() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.private("private-q").await;
    let off = "The app does not have client messaging enabled.";
    client
        .send(json!({"event": "client-x", "channel": "private-q", "data": {}}))
        .await;
    refused(&mut client, Some("private-q"), off).await;
    client.send(json!({"event": "client-x", "data": {}})).await;
    refused(&mut client, None, off).await;
    client
        .send(json!({"event": "client-x", "channel": "private-never", "data": {}}))
        .await;
    refused(&mut client, Some("private-never"), off).await;
}

#[tokio::test]
async fn any_channel_by_default() {
    let server = Server::with_client_events().await;
    let (mut a, mut b) = (
        server.subscribed("pub").await,
        server.subscribed("pub").await,
    );
    a.send(json!({"event": "client-x", "channel": "pub", "data": {}}))
        .await;
    b.expect_event("client-x").await;
}

#[tokio::test]
async fn private_and_presence_only_is_an_option() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", true)
        .env("BOWLINE_CLIENT_EVENTS", "private-and-presence")
        .start()
        .await;
    let (mut a, mut b) = (
        server.subscribed("pub").await,
        server.subscribed("pub").await,
    );
    a.send(json!({"event": "client-x", "channel": "pub", "data": {}}))
        .await;
    a.expect_error(4301).await;
    b.expect_silence().await;
    let (mut a, mut b) = pair(&server, "private-c").await;
    a.send(json!({"event": "client-x", "channel": "private-c", "data": {}}))
        .await;
    b.expect_event("client-x").await;
}

#[tokio::test]
async fn a_stranger_to_the_channel_is_met_with_silence() {
    let server = Server::with_client_events().await;
    let (mut stranger, mut member) = (server.connect().await, server.subscribed("room").await);
    stranger
        .send(json!({"event": "client-x", "channel": "room", "data": {}}))
        .await;
    stranger
        .send(json!({"event": "client-x", "data": {}}))
        .await;
    stranger.expect_silence().await;
    member.expect_silence().await;
}

#[tokio::test]
async fn not_a_member_is_said_behind_an_option() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", true)
        .env("BOWLINE_NOT_A_MEMBER_ERROR", true)
        .start()
        .await;
    let mut stranger = server.connect().await;
    stranger
        .send(json!({"event": "client-x", "channel": "room", "data": {}}))
        .await;
    let frame = stranger.expect_error(4009).await;
    assert_eq!(
        frame["data"]["message"],
        "The client is not a member of the specified channel."
    );
    stranger.expect_silence().await;
}

#[tokio::test]
async fn names_and_payloads_have_limits() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", true)
        .env("SOKETI_EVENT_MAX_NAME_LENGTH", 12)
        .env("SOKETI_EVENT_MAX_SIZE_IN_KB", 0.02)
        .start()
        .await;
    let (mut a, mut b) = pair(&server, "private-l").await;
    a.send(json!({"event": "client-12345", "channel": "private-l", "data": "x".repeat(20)}))
        .await;
    b.expect_event("client-12345").await;
    a.send(json!({"event": "client-123456", "channel": "private-l", "data": {}}))
        .await;
    refused(
        &mut a,
        Some("private-l"),
        "Event name is too long. Maximum allowed size is 12.",
    )
    .await;
    a.send(json!({"event": "client-1", "channel": "private-l", "data": "x".repeat(21)}))
        .await;
    refused(
        &mut a,
        Some("private-l"),
        "The event data should be less than 0.02 KB.",
    )
    .await;
    // Bytes count, not characters; a value that is no string counts as its compact JSON.
    a.send(json!({"event": "client-1", "channel": "private-l", "data": "é".repeat(11)}))
        .await;
    refused(
        &mut a,
        Some("private-l"),
        "The event data should be less than 0.02 KB.",
    )
    .await;
    a.send(json!({"event": "client-1", "channel": "private-l", "data": {"k": "0123456789abc"}}))
        .await;
    refused(
        &mut a,
        Some("private-l"),
        "The event data should be less than 0.02 KB.",
    )
    .await;
    b.expect_silence().await;
}

#[tokio::test]
async fn names_must_begin_with_client() {
    let server = Server::with_client_events().await;
    let (mut a, mut b) = (
        server.subscribed("room").await,
        server.subscribed("room").await,
    );
    for event in [
        "my-client-event",
        "pusher:client-x",
        "pusher_internal:client-x",
        "Client-x",
        " client-x",
    ] {
        a.send(json!({"event": event, "channel": "room", "data": {}}))
            .await;
    }
    a.expect_silence().await;
    b.expect_silence().await;
}

#[tokio::test]
async fn each_connection_has_its_own_rate() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", true)
        .env("SOKETI_DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC", 2)
        .start()
        .await;
    let (mut a, mut b) = pair(&server, "private-q").await;
    for i in 0..3 {
        a.send(json!({"event": "client-x", "channel": "private-q", "data": i}))
            .await;
    }
    refused(
        &mut a,
        Some("private-q"),
        "The rate limit for sending client events exceeded the quota.",
    )
    .await;
    for i in 0..2 {
        assert_eq!(b.expect_event("client-x").await["data"], i);
    }
    b.send(json!({"event": "client-x", "channel": "private-q", "data": "b"}))
        .await;
    a.expect_event("client-x").await;
    tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
    a.send(json!({"event": "client-x", "channel": "private-q", "data": "later"}))
        .await;
    assert_eq!(b.expect_event("client-x").await["data"], "later");
}
