//! Cache channels: the last event of a channel for whoever comes later (protocol.md 10).

use std::time::Duration;

use serde_json::json;

use crate::harness::{Server, eventually};

async fn miss(client: &mut crate::harness::Client, channel: &str) {
    client
        .expect_frame(&format!(
            r#"{{"event":"pusher:cache_miss","channel":"{channel}"}}"#
        ))
        .await;
}

#[tokio::test]
async fn a_miss_then_the_last_event_for_each_subscriber() {
    let server = Server::start().await;
    for channel in [
        "cache-room",
        "private-cache-room",
        "private-encrypted-cache-room",
    ] {
        let mut first = server.connect().await;
        first.private(channel).await;
        miss(&mut first, channel).await;
        server.trigger(channel, "price", "1").await;
        server.trigger(channel, "price", "2").await;
        let mut later = server.connect().await;
        later.private(channel).await;
        later
            .expect_frame(&format!(
                r#"{{"event":"price","channel":"{channel}","data":"2"}}"#
            ))
            .await;
        later.private(channel).await;
        later.expect_event("price").await;
        later.expect_silence().await;
    }
}

#[tokio::test]
async fn presence_cache_channels_replay_too() {
    let server = Server::start().await;
    let mut first = server.connect().await;
    first
        .presence("presence-cache-room", r#"{"user_id":"1"}"#)
        .await;
    miss(&mut first, "presence-cache-room").await;
    server.trigger("presence-cache-room", "e", "v").await;
    let mut later = server.connect().await;
    later
        .presence("presence-cache-room", r#"{"user_id":"2"}"#)
        .await;
    later.expect_event("e").await;
}

#[tokio::test]
async fn client_events_are_not_cached() {
    let server = Server::with_client_events().await;
    let (mut sender, mut reader) = (server.connect().await, server.connect().await);
    for client in [&mut sender, &mut reader] {
        client.subscribe("cache-c").await;
        miss(client, "cache-c").await;
    }
    sender
        .send(json!({"event": "client-x", "channel": "cache-c", "data": {}}))
        .await;
    reader.expect_event("client-x").await;
    let mut later = server.connect().await;
    later.subscribe("cache-c").await;
    miss(&mut later, "cache-c").await;
}

#[tokio::test]
async fn the_cached_event_survives_the_empty_channel_and_an_exclusion() {
    let server = Server::start().await;
    let client = server.subscribed("other").await;
    let body = json!({"name": "e", "channel": "cache-e", "data": "v", "socket_id": client.id()});
    server
        .post("/events", &body)
        .await
        .expect(200, r#"{"ok":true}"#);
    let mut client = client;
    client.subscribe("cache-e").await;
    client.expect_event("e").await;
    client.close().await;
    let mut later = server.connect().await;
    later.subscribe("cache-e").await;
    later.expect_event("e").await;
}

#[tokio::test]
async fn the_event_expires() {
    let server = Server::builder()
        .env("SOKETI_CHANNEL_CACHE_TTL", 1)
        .start()
        .await;
    server.trigger("cache-t", "e", "v").await;
    let mut client = server.connect().await;
    client.subscribe("cache-t").await;
    client.expect_event("e").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    eventually("the event has expired", async || {
        client.subscribe("cache-t").await;
        client.text().await.contains("pusher:cache_miss")
    })
    .await;
}

#[tokio::test]
async fn no_event_is_lost_or_doubled_at_the_moment_of_joining() {
    let server = Server::start().await;
    server.trigger("cache-race", "n", "0").await;
    let publisher = async {
        for at in 1..=60 {
            server.trigger("cache-race", "n", &at.to_string()).await;
        }
    };
    let joiners = async {
        let mut clients = Vec::new();
        for _ in 0..15 {
            let mut client = server.connect().await;
            client.subscribe("cache-race").await;
            clients.push(client);
        }
        clients
    };
    let ((), mut clients) = tokio::join!(publisher, joiners);
    for client in &mut clients {
        let mut seen: Vec<u32> = Vec::new();
        while seen.last() != Some(&60) {
            let frame = client.expect_event("n").await;
            seen.push(frame["data"].as_str().unwrap().parse().unwrap());
        }
        let want: Vec<u32> = (seen[0]..=60).collect();
        assert_eq!(seen, want, "each event once, in order");
        client.expect_silence().await;
    }
}
