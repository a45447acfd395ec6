//! Every malformed frame of protocol.md 2.2, and many more: the server lives, the sender stays or is told, others hear nothing of it.

use serde_json::{Value, json};

use crate::harness::{Message, PONG, Server};

fn frames() -> Vec<String> {
    let mut all: Vec<String> = [
        // The six that stop Soketi.
        r#"{"event":"pusher:subscribe"}"#,
        r#"{"event":"pusher:subscribe","data":{}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":5}}"#,
        r#"{"event":"pusher:unsubscribe"}"#,
        r#"{"event":"pusher:signin"}"#,
        // Not JSON, not an object, not finished.
        "", " ", "not json", "{", "}", "[]", "[1,2", "\"str\"", "12", "-", "null", "true", "tru", "{}", "{]", "{\"event\"}",
        "{\"event\":}", "{\"event\":\"x\",}", "\u{0}", "\u{feff}{}", "{'event':'x'}", "NaN", "1e999", "{\"a\":1}{\"b\":2}",
        r#"{"event":"pusher:ping"} trailing"#,
        // The wrong type for every field.
        r#"{"event":null}"#, r#"{"event":5}"#, r#"{"event":{}}"#, r#"{"event":[]}"#, r#"{"event":true}"#, r#"{"event":""}"#,
        r#"{"event":"pusher:subscribe","data":null}"#, r#"{"event":"pusher:subscribe","data":5}"#,
        r#"{"event":"pusher:subscribe","data":[]}"#, r#"{"event":"pusher:subscribe","data":"text"}"#,
        r#"{"event":"pusher:subscribe","data":"{\"channel\":5}"}"#, r#"{"event":"pusher:subscribe","data":"null"}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":null}}"#, r#"{"event":"pusher:subscribe","data":{"channel":[]}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":{}}}"#, r#"{"event":"pusher:subscribe","data":{"channel":"private-x","auth":5}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":"private-x","auth":null}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":"private-x","auth":{}}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":"presence-x","auth":"a:b","channel_data":5}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":"presence-x","auth":"a:b","channel_data":{}}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":"presence-x","auth":"a:b","channel_data":null}}"#,
        r#"{"event":"pusher:unsubscribe","data":null}"#, r#"{"event":"pusher:unsubscribe","data":{}}"#,
        r#"{"event":"pusher:unsubscribe","data":{"channel":5}}"#, r#"{"event":"pusher:unsubscribe","data":"x"}"#,
        r#"{"event":"pusher:signin","data":null}"#, r#"{"event":"pusher:signin","data":5}"#,
        r#"{"event":"client-x"}"#, r#"{"event":"client-x","channel":5}"#, r#"{"event":"client-x","channel":null,"data":{}}"#,
        r#"{"event":"client-x","channel":{},"data":{}}"#, r#"{"event":"client-","channel":"room"}"#,
        // Names of the server's own events.
        r#"{"event":"pusher_internal:subscription_succeeded","channel":"room","data":"{}"}"#,
        r#"{"event":"pusher_internal:member_removed","channel":"presence-x","data":"{}"}"#,
        r#"{"event":"pusher:error","data":{"code":4200}}"#, r#"{"event":"pusher:connection_established","data":"{}"}"#,
        r#"{"event":"pusher:unknown","data":{}}"#, r#"{"event":"__proto__"}"#, r#"{"__proto__":{"event":"pusher:ping"}}"#,
        // Keys twice, escapes in keys, lone surrogates.
        r#"{"event":"x","event":"y"}"#, r#"{"event":"pusher:subscribe","data":{"channel":"a","channel":5}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":"\ud800"}}"#, r#"{"event":"\udfff","data":{}}"#,
        r#"{"event":"client-\u0000","channel":"room","data":"\u0000"}"#,
    ]
    .map(str::to_owned)
    .into();
    all.push("[".repeat(50_000));
    all.push(format!(
        r#"{{"event":"x","data":{}{}}}"#,
        "[".repeat(20_000),
        "]".repeat(20_000)
    ));
    all.push(format!(
        r#"{{"event":"client-deep","channel":"room","data":{}1{}}}"#,
        "{\"a\":".repeat(5_000),
        "}".repeat(5_000)
    ));
    all.push(format!(r#"{{"event":"{}"}}"#, "e".repeat(100_000)));
    all.push(format!(
        r#"{{"event":"pusher:unsubscribe","data":{{"channel":"{}"}}}}"#,
        "c".repeat(100_000)
    ));
    all.push(format!(r#"{{{}"event":"x"}}"#, r#""k":1,"#.repeat(5_000)));
    all
}

/// A refusal is an error frame; nothing else may answer such a frame.
fn is_refusal(text: &str) -> bool {
    let frame: Value = serde_json::from_str(text).unwrap();
    let event = frame["event"].as_str().unwrap();
    event == "pusher:error" || event == "pusher:subscription_error"
}

async fn play(server: &mut Server) {
    let mut bystander = server.connect().await;
    bystander.subscribe("bystander").await;
    for frame in frames() {
        let shown: String = frame.chars().take(80).collect();
        let mut client = server.connect().await;
        client.send_text(&frame).await;
        client.send_text(r#"{"event":"pusher:ping"}"#).await;
        loop {
            match client.recv().await {
                Message::Text(text) if text == PONG => break,
                Message::Text(text) => {
                    let harmless = is_refusal(&text) || text.contains("subscription_succeeded");
                    assert!(harmless, "{shown} was answered with {text}");
                }
                // Signing in wrongly ends a connection, and so may a frame beyond all measure.
                Message::Close { code, .. } => {
                    assert!(
                        code == Some(4009) || code == Some(1007) || code == Some(4200),
                        "{shown} closed with {code:?}"
                    );
                    break;
                }
                Message::End => panic!("{shown} cut its sender off without a word"),
            }
        }
    }
    server.trigger("bystander", "after-all", "1").await;
    bystander.expect_event("after-all").await;
    server.expect_healthy().await;
}

#[tokio::test]
async fn malformed_frames_hurt_nobody() {
    let mut server = Server::with_client_events().await;
    play(&mut server).await;
}

#[tokio::test]
async fn malformed_frames_hurt_nobody_with_everything_on() {
    let mut server = Server::builder()
        .env("SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", true)
        .env("SOKETI_DEFAULT_APP_USER_AUTHENTICATION", true)
        .env("BOWLINE_DEFAULT_APP_ENABLE_SUBSCRIPTION_COUNT", true)
        .env("SOKETI_DEFAULT_APP_WEBHOOKS", json!([{"url": "http://127.0.0.1:1/", "event_types": ["client_event", "channel_occupied"]}]))
        .start()
        .await;
    let mut bystander = server.connect().await;
    for frame in frames() {
        let mut client = server.connect().await;
        client.send_text(&frame).await;
    }
    bystander.expect_silence().await;
    server.app = crate::harness::App::default_app();
    let mut reader = server.subscribed("room").await;
    reader
        .wait_event("pusher_internal:subscription_count")
        .await;
    server.trigger("room", "e", "1").await;
    reader.wait_event("e").await;
}

#[tokio::test]
async fn a_malformed_subscription_is_told_why() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for frame in [
        r#"{"event":"pusher:subscribe"}"#,
        r#"{"event":"pusher:subscribe","data":{}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":5}}"#,
    ] {
        client.send_text(frame).await;
        client.expect_frame(r#"{"event":"pusher:error","data":{"code":4200,"message":"Invalid message format"}}"#).await;
    }
    client.expect_silence().await;
}

#[tokio::test]
async fn hostile_requests_hurt_nobody() {
    let mut server = Server::start().await;
    let mut bystander = server.subscribed("bystander").await;
    for path in ["/events", "/batch_events", "/users/x/terminate_connections"] {
        for body in frames() {
            let response = server.post_bytes(&server.app, path, body.as_bytes()).await;
            assert!(
                [200, 400].contains(&response.status),
                "{path} {}: {response:?}",
                &body.chars().take(80).collect::<String>()
            );
        }
    }
    for target in [
        "/apps/%ff/channels",
        "/apps/app-id/channels/%",
        "/apps/app-id/channels/%zz",
        "/apps//channels",
        "/%00",
        "/apps/app-id/channels?%ff=%fe&&&=&a",
    ] {
        let response = server.raw("GET", target).await;
        assert!(
            (400..500).contains(&response.status),
            "{target}: {response:?}"
        );
    }
    server.trigger("bystander", "after-all", "1").await;
    bystander.expect_event("after-all").await;
    server.expect_healthy().await;
}
