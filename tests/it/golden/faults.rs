//! The transcripts of Soketi's faults, played with the opposite expectation: the server lives, the by-stander gets the next event.

use serde_json::Value;

use super::replay;
use super::script::Script;
use crate::harness::{App, Client, Message, PONG, Receiver, Server};

pub(crate) const PLAYED: &[&str] = &[
    "config-booleans",
    "config-numeric-secret",
    "crash-batch-without-batch",
    "crash-data-string-subscribe",
    "crash-events-null-body",
    "crash-lambda-webhook-without-lambda-key",
    "crash-signin-without-data",
    "crash-subscribe-numeric-channel",
    "crash-subscribe-without-channel",
    "crash-subscribe-without-data",
    "crash-unsubscribe-without-data",
    "crash-webhook-without-event-types",
    "metrics-gauge-negative",
];

async fn start(name: &str) -> (Script, Server) {
    let script = Script::load(name);
    let receiver = Receiver::start().await;
    let server = replay::server(&script, &receiver).start().await;
    (script, server)
}

/// Plays the one frame that stopped Soketi; gives what its sender was told before the pong.
async fn survives(name: &str) -> Vec<String> {
    let (script, mut server) = start(name).await;
    let mut bystander = server.subscribed("bystander").await;
    let mut sender = server.connect().await;
    let fatal = script
        .lines
        .iter()
        .find(|line| line.kind == "send")
        .unwrap();
    sender.send_text(fatal.text("frame")).await;
    let told = until_pong(&mut sender).await;
    server.trigger("bystander", "still-here", "1").await;
    bystander.expect_event("still-here").await;
    server.expect_healthy().await;
    told
}

async fn until_pong(client: &mut Client) -> Vec<String> {
    client.send_text(r#"{"event":"pusher:ping"}"#).await;
    let mut told = Vec::new();
    loop {
        match client.recv().await {
            Message::Text(text) if text == PONG => return told,
            Message::Text(text) => told.push(text),
            other => panic!("the sender lost its connection: {other:?}"),
        }
    }
}

fn is_silence_or_an_error(told: &[String]) {
    assert!(told.len() <= 1, "{told:?}");
    for text in told {
        let frame: Value = serde_json::from_str(text).unwrap();
        let event = frame["event"].as_str().unwrap();
        assert!(
            ["pusher:error", "pusher:subscription_error"].contains(&event),
            "{text}"
        );
    }
}

macro_rules! survives {
    ($($name:ident => $file:literal,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                is_silence_or_an_error(&survives($file).await);
            }
        )*
    };
}

survives! {
    survives_subscribe_without_data => "crash-subscribe-without-data",
    survives_subscribe_without_channel => "crash-subscribe-without-channel",
    survives_subscribe_to_a_number => "crash-subscribe-numeric-channel",
    survives_unsubscribe_without_data => "crash-unsubscribe-without-data",
    survives_signin_without_data => "crash-signin-without-data",
}

#[tokio::test]
async fn data_sent_as_a_json_string_is_decoded() {
    let told = survives("crash-data-string-subscribe").await;
    assert_eq!(
        told,
        [r#"{"event":"pusher_internal:subscription_succeeded","channel":"x","data":"{}"}"#]
    );
}

/// Plays the signed request that stopped Soketi.
async fn refuses(name: &str) {
    let (script, mut server) = start(name).await;
    let mut bystander = server.subscribed("bystander").await;
    let request = &script
        .lines
        .iter()
        .find(|line| line.kind == "http")
        .unwrap()
        .value["request"];
    let path = request["target"]
        .as_str()
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    let path = path.strip_prefix("/apps/app-id").unwrap();
    let body = request["body"].as_str().unwrap();
    server
        .post_bytes(&App::default_app(), path, body.as_bytes())
        .await
        .expect_error_code(400);
    server.trigger("bystander", "still-here", "1").await;
    bystander.expect_event("still-here").await;
    server.expect_healthy().await;
}

#[tokio::test]
async fn survives_a_null_body() {
    refuses("crash-events-null-body").await;
}

#[tokio::test]
async fn survives_a_batch_without_batch() {
    refuses("crash-batch-without-batch").await;
}

/// A webhook that cannot work is named at the start, or left out; it never fires into a crash.
async fn names_or_survives(name: &str, word: &str) {
    let script = Script::load(name);
    let receiver = Receiver::start().await;
    replay::server(&script, &receiver)
        .run()
        .await
        .expect(64, &[word]);
}

#[tokio::test]
async fn a_webhook_without_event_types_stops_the_start_by_name() {
    names_or_survives("crash-webhook-without-event-types", "event_types").await;
}

#[tokio::test]
async fn a_lambda_webhook_stops_the_start_by_name() {
    names_or_survives("crash-lambda-webhook-without-lambda-key", "lambda").await;
}

#[tokio::test]
async fn a_numeric_secret_is_text() {
    let (script, mut server) = start("config-numeric-secret").await;
    server.app = App::new(
        "app-id",
        "app-key",
        script.meta["env"]["SOKETI_DEFAULT_APP_SECRET"]
            .as_str()
            .unwrap(),
    );
    let mut client = server.connect().await;
    client.private("private-x").await;
    server.trigger("private-x", "e", "1").await;
    client.expect_event("e").await;
}

#[tokio::test]
async fn no_means_off() {
    let (_, server) = start("config-booleans").await;
    server
        .open("/app/app-key")
        .await
        .expect_refusal(4003, "The app is not enabled.")
        .await;
}

#[tokio::test]
async fn refused_connections_do_not_lower_the_gauge() {
    let (_, server) = start("metrics-gauge-negative").await;
    let first = server.connect().await;
    for _ in 0..3 {
        let message = "The current concurrent connections quota has been reached.";
        server
            .open("/app/app-key")
            .await
            .expect_refusal(4100, message)
            .await;
    }
    let text = server.ops("/metrics").await;
    let sample = |name: &str| {
        let of = |line: &&str| line.starts_with(&format!("soketi_{name}{{"));
        text.text()
            .lines()
            .find(of)
            .map(|line| line.rsplit(' ').next().unwrap().to_owned())
    };
    assert_eq!(sample("connected").as_deref(), Some("1"));
    assert_eq!(sample("new_connections_total").as_deref(), Some("1"));
    assert!(matches!(
        sample("new_disconnections_total").as_deref(),
        None | Some("0")
    ));
    first.close().await;
}
