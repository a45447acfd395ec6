//! `pusher_internal:subscription_count`, an option of the app (protocol.md 13).

use serde_json::Value;

use crate::harness::{Client, Server};

async fn counting() -> Server {
    Server::builder()
        .env("BOWLINE_DEFAULT_APP_ENABLE_SUBSCRIPTION_COUNT", true)
        .start()
        .await
}

/// Waits until this count is announced; counts of one second may be merged.
async fn count(client: &mut Client, channel: &str, number: u64) {
    loop {
        let frame = client
            .expect_event("pusher_internal:subscription_count")
            .await;
        assert_eq!(frame["channel"], channel);
        let data: Value = serde_json::from_str(frame["data"].as_str().unwrap()).unwrap();
        if data["subscription_count"] == number {
            return;
        }
    }
}

#[tokio::test]
async fn off_by_default() {
    let server = Server::start().await;
    let mut first = server.subscribed("room").await;
    let _second = server.subscribed("room").await;
    first.expect_silence().await;
}

#[tokio::test]
async fn every_change_reaches_all_subscribers_the_joiner_too() {
    let server = counting().await;
    let mut first = server.subscribed("room").await;
    first.expect_frame(r#"{"event":"pusher_internal:subscription_count","channel":"room","data":"{\"subscription_count\":1}"}"#).await;
    let mut second = server.subscribed("room").await;
    count(&mut first, "room", 2).await;
    count(&mut second, "room", 2).await;
    second.close().await;
    count(&mut first, "room", 1).await;
}

#[tokio::test]
async fn the_last_value_of_a_burst_is_always_sent() {
    let server = counting().await;
    let mut first = server.subscribed("room").await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(server.subscribed("room").await);
    }
    count(&mut first, "room", 21).await;
    drop(others);
    count(&mut first, "room", 1).await;
}

#[tokio::test]
async fn presence_channels_have_none() {
    let server = counting().await;
    let mut first = server.connect().await;
    first.presence("presence-p", r#"{"user_id":"1"}"#).await;
    let mut second = server.connect().await;
    second.presence("presence-p", r#"{"user_id":"2"}"#).await;
    first.expect_event("pusher_internal:member_added").await;
    first.expect_silence().await;
    second.expect_silence().await;
}
