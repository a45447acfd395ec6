//! Public, private and encrypted channels; the order and the texts of refusals (protocol.md 3 to 5 and 7).

use serde_json::json;

use crate::harness::{App, Client, Server};

async fn refused(client: &mut Client, channel: &str, data: &str) {
    client
        .expect_frame(&format!(
            r#"{{"event":"pusher:subscription_error","channel":"{channel}","data":{data}}}"#
        ))
        .await;
}

const UNAUTHORIZED: &str =
    r#"{"type":"AuthError","error":"The connection is unauthorized.","status":401}"#;

#[tokio::test]
async fn event_reaches_subscribers_but_not_its_sender() {
    let server = Server::start().await;
    let (mut sender, mut reader) = (
        server.subscribed("room").await,
        server.subscribed("room").await,
    );
    let mut other = server.subscribed("elsewhere").await;
    let body =
        json!({"name": "greet", "channels": ["room"], "data": "hi", "socket_id": sender.id()});
    server
        .post("/events", &body)
        .await
        .expect(200, r#"{"ok":true}"#);
    reader
        .expect_frame(r#"{"event":"greet","channel":"room","data":"hi"}"#)
        .await;
    sender.expect_silence().await;
    other.expect_silence().await;
}

#[tokio::test]
async fn subscription_succeeded_carries_empty_data() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.subscribe("news").await;
    client.private("private-news").await;
    client.private("private-encrypted-news").await;
}

#[tokio::test]
async fn subscribing_again_is_answered_again_and_delivers_once() {
    let server = Server::start().await;
    let mut client = server.subscribed("news").await;
    client.subscribe("news").await;
    server.trigger("news", "e", "1").await;
    client.expect_event("e").await;
    client.expect_silence().await;
    server
        .get("/channels/news")
        .await
        .expect(200, r#"{"subscription_count":1,"occupied":true}"#);
}

#[tokio::test]
async fn unsubscribe_is_silent_and_ends_delivery() {
    let server = Server::start().await;
    let mut client = server.subscribed("news").await;
    client.unsubscribe("news").await;
    client.unsubscribe("news").await;
    client.unsubscribe("never-joined").await;
    client.expect_silence().await;
    server.trigger("news", "e", "1").await;
    client.expect_silence().await;
    server
        .get("/channels")
        .await
        .expect(200, r#"{"channels":{}}"#);
    client.subscribe("news").await;
    server.trigger("news", "e", "2").await;
    client.expect_event("e").await;
}

#[tokio::test]
async fn events_of_one_publisher_arrive_in_order() {
    let server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(server.subscribed("order").await);
    }
    let mut http = server.http().await;
    for at in 0..100 {
        let body = json!({"name": "n", "channel": "order", "data": at.to_string()}).to_string();
        let target = server
            .app
            .target("POST", "/events")
            .body(body.as_bytes())
            .build();
        http.request("POST", &target, &[], Some(body.as_bytes()))
            .await
            .expect(200, r#"{"ok":true}"#);
    }
    for client in &mut clients {
        for at in 0..100 {
            assert_eq!(client.expect_event("n").await["data"], at.to_string());
        }
        client.expect_silence().await;
    }
}

/// As PHP publishes: each request on a connection of its own, so on any shard, and after the answer to the last.
#[tokio::test]
async fn events_over_new_connections_arrive_in_the_order_they_were_answered() {
    let server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(server.subscribed("order").await);
    }
    for at in 0..100 {
        server.trigger("order", "n", &at.to_string()).await;
    }
    for client in &mut clients {
        let mut seen: Vec<u32> = Vec::new();
        for _ in 0..100 {
            let frame = client.expect_event("n").await;
            seen.push(frame["data"].as_str().unwrap().parse().unwrap());
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn private_channels_ask_for_a_signature() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let good = server.app.auth(&format!("{}:private-room", client.id()));
    let (key, mac) = good.split_once(':').unwrap();
    let wrong = [
        json!({"channel": "private-room"}),
        json!({"channel": "private-room", "auth": ""}),
        json!({"channel": "private-room", "auth": "garbage"}),
        json!({"channel": "private-room", "auth": mac}),
        json!({"channel": "private-room", "auth": format!("other-key:{mac}")}),
        json!({"channel": "private-room", "auth": format!("{key}:{}", mac.to_uppercase())}),
        json!({"channel": "private-room", "auth": format!("{key}:{}", &mac[..62])}),
        json!({"channel": "private-room", "auth": format!("{good}0")}),
        json!({"channel": "private-room", "auth": server.app.auth("1.1:private-room")}),
    ];
    for data in wrong {
        client
            .send(json!({"event": "pusher:subscribe", "data": data}))
            .await;
        refused(&mut client, "private-room", UNAUTHORIZED).await;
    }
    client.private("private-room").await;
}

#[tokio::test]
async fn a_signature_of_another_channel_or_app_is_refused() {
    let apps = json!([
        {"id": "one", "key": "one-key", "secret": "one-secret"},
        {"id": "two", "key": "two-key", "secret": "two-secret"},
    ]);
    let server = Server::builder().apps(&apps).start().await;
    let (one, two) = (
        App::new("one", "one-key", "one-secret"),
        App::new("two", "two-key", "two-secret"),
    );
    let mut client = server.connect_app(&one).await;
    for auth in [
        one.auth(&format!("{}:private-b", client.id())),
        two.auth(&format!("{}:private-a", client.id())),
    ] {
        client.send(json!({"event": "pusher:subscribe", "data": {"channel": "private-a", "auth": auth}})).await;
        refused(&mut client, "private-a", UNAUTHORIZED).await;
    }
}

#[tokio::test]
async fn apps_do_not_hear_each_other() {
    let apps = json!([
        {"id": "one", "key": "one-key", "secret": "one-secret"},
        {"id": "two", "key": "two-key", "secret": "two-secret"},
    ]);
    let server = Server::builder().apps(&apps).start().await;
    let (one, two) = (
        App::new("one", "one-key", "one-secret"),
        App::new("two", "two-key", "two-secret"),
    );
    let mut first = server.connect_app(&one).await;
    let mut second = server.connect_app(&two).await;
    first.subscribe("room").await;
    second.subscribe("room").await;
    server.trigger_as(&one, "room", "e", "1").await;
    first.expect_event("e").await;
    second.expect_silence().await;
    let count = r#"{"subscription_count":1,"occupied":true}"#;
    server
        .get_as(&two, "/channels/room")
        .await
        .expect(200, count);
}

#[tokio::test]
async fn channel_kinds_are_decided_by_prefix() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for public in [
        "my-private-room",
        "x-presence-room",
        "Private-x",
        "presence",
        "private",
        "privateer",
        "foo-cache-bar",
    ] {
        client.subscribe(public).await;
    }
    client.expect_silence().await;
    for signed in ["private-", "private-encrypted-x", "private-cache-x"] {
        client
            .send(json!({"event": "pusher:subscribe", "data": {"channel": signed}}))
            .await;
        refused(&mut client, signed, UNAUTHORIZED).await;
    }
}

#[tokio::test]
async fn channel_names_have_an_alphabet() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.subscribe("ok_-=@,.;09AZ").await;
    let not_allowed = r#"{"error":"The channel name is not allowed. Read channel conventions: https://pusher.com/docs/channels/using_channels/channels/#channel-naming-conventions","status":4009}"#;
    for name in [
        "", "a b", "a/b", "a:b", "a#b", "é", "a*", "a!", "<b>", "a|b", "a%b", "a?b",
    ] {
        client
            .send(json!({"event": "pusher:subscribe", "data": {"channel": name}}))
            .await;
        refused(&mut client, name, not_allowed).await;
    }
    for name in ["a\"b", "a\\b", "a\nb", "a\u{0}b", "\u{1f600}"] {
        client
            .send(json!({"event": "pusher:subscribe", "data": {"channel": name}}))
            .await;
        let frame = client.expect_event("pusher:subscription_error").await;
        assert_eq!(
            (&frame["channel"], &frame["data"]["status"]),
            (&json!(name), &json!(4009))
        );
    }
}

#[tokio::test]
async fn channel_names_have_a_length_in_characters() {
    let server = Server::builder()
        .env("SOKETI_CHANNEL_LIMITS_MAX_NAME_LENGTH", 10)
        .start()
        .await;
    let mut client = server.connect().await;
    client.subscribe(&"n".repeat(10)).await;
    let long = r#"{"type":"LimitReached","error":"The channel name is longer than the allowed 10 characters.","status":4009}"#;
    client
        .send(json!({"event": "pusher:subscribe", "data": {"channel": "n".repeat(11)}}))
        .await;
    refused(&mut client, &"n".repeat(11), long).await;
    // Ten characters of two bytes each are not too long, only not allowed.
    client
        .send(json!({"event": "pusher:subscribe", "data": {"channel": "é".repeat(10)}}))
        .await;
    let frame = client.expect_event("pusher:subscription_error").await;
    assert!(frame["data"].get("type").is_none(), "{frame}");
}

#[tokio::test]
async fn proto_is_a_channel_like_any_other() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for name in ["__proto__", "constructor", "toString"] {
        client.subscribe(name).await;
    }
    let listed = server.get("/channels").await.json();
    assert_eq!(listed["channels"].as_object().unwrap().len(), 3, "{listed}");
}

#[tokio::test]
async fn leaving_by_any_close_code_leaves_every_channel() {
    let server = Server::start().await;
    for code in [1000, 1001, 3000, 4000, 4200, 4999] {
        let mut client = server.subscribed("room").await;
        client.send_close(code).await;
        while !matches!(client.recv().await, crate::harness::Message::End) {}
        crate::harness::eventually("the channel is empty", async || {
            server.get("/channels").await.text() == r#"{"channels":{}}"#
        })
        .await;
    }
}

#[tokio::test]
async fn clients_cut_off_in_any_state_leave_nothing_behind() {
    let server = Server::builder()
        .env("SOKETI_METRICS_ENABLED", 1)
        .start()
        .await;
    let subscribe = r#"{"event":"pusher:subscribe","data":{"channel":"cut"}}"#;
    for round in 0..400 {
        let mut client = server.open("/app/app-key").await;
        match round % 5 {
            0 => {}
            1 => client.send_text(subscribe).await,
            2 => client.send_bytes(&[0x81]).await,
            3 => {
                client.send_text(subscribe).await;
                client
                    .wait_event("pusher_internal:subscription_succeeded")
                    .await;
            }
            _ => client.send_close(1000).await,
        }
        drop(client);
    }
    crate::harness::eventually("nobody is left", async || {
        let metrics = server.ops("/metrics").await;
        let gauges: Vec<&str> = metrics
            .text()
            .lines()
            .filter(|line| {
                ["connected{", "subscriptions{", "channels_occupied{"]
                    .iter()
                    .any(|name| line.starts_with(&format!("soketi_{name}")))
            })
            .collect();
        gauges.len() == 3 && gauges.iter().all(|line| line.ends_with(" 0"))
    })
    .await;
    server
        .get("/channels")
        .await
        .expect(200, r#"{"channels":{}}"#);
}

#[tokio::test]
async fn the_previous_secret_signs_too_until_its_time() {
    let app = json!({"id": "r", "key": "r-key", "secret": "new", "previousSecret": "old",
        "previousSecretUntil": crate::harness::now_s() + 3600});
    let gone = json!({"id": "g", "key": "g-key", "secret": "new", "previousSecret": "old",
        "previousSecretUntil": crate::harness::now_s() - 3600});
    let server = Server::builder().apps(&json!([app, gone])).start().await;
    for (id, secret, good) in [
        ("r", "new", true),
        ("r", "old", true),
        ("g", "new", true),
        ("g", "old", false),
    ] {
        let app = App::new(id, &format!("{id}-key"), secret);
        let mut client = server.connect_app(&app).await;
        client.send_private("private-x").await;
        if good {
            client.expect_subscribed("private-x").await;
        } else {
            refused(&mut client, "private-x", UNAUTHORIZED).await;
        }
        let status = server.get_as(&app, "/channels").await.status;
        assert_eq!(status, if good { 200 } else { 401 }, "{id} {secret}");
    }
}
