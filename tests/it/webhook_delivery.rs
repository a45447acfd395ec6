//! Webhooks that fail, hang or must not be delivered (scaling-webhooks-metrics.md 5.6).

use std::time::Duration;

use serde_json::{Value, json};

use super::webhooks::{EVERY, all_to, app};
use crate::harness::{Answer, App, Receiver, Server};

fn hooks_for(kinds: &[&str], urls: &[String]) -> Value {
    urls.iter()
        .map(|url| json!({"url": url, "event_types": kinds}))
        .collect()
}

#[tokio::test]
async fn a_failure_is_retried_with_the_same_body_and_id() {
    let receiver = Receiver::start().await;
    receiver.answer("/all", [Answer::status(500), Answer::status(404)]);
    let server = all_to(&receiver).start().await;
    let _client = server.subscribed("room").await;
    let first = receiver.next().await;
    let second = receiver.next().await;
    let third = receiver.next().await;
    let gap = second.at - first.at;
    assert!(
        gap >= Duration::from_millis(400) && gap <= Duration::from_secs(3),
        "about a second: {gap:?}"
    );
    assert!(third.at - second.at > Duration::from_millis(500));
    assert_eq!((&first.body, &second.body), (&second.body, &third.body));
    let own: Vec<&(String, String)> = first
        .headers
        .iter()
        .filter(|(name, _)| name.to_lowercase().ends_with("id"))
        .collect();
    assert!(
        !own.is_empty(),
        "a header with the delivery's id: {:?}",
        first.headers
    );
    for (name, value) in own {
        assert_eq!(second.header(name), Some(value.as_str()));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(receiver.waiting().is_empty(), "delivered is delivered");
}

#[tokio::test]
async fn gone_is_not_retried() {
    let receiver = Receiver::start().await;
    receiver.answer("/all", [Answer::status(410)]);
    let server = all_to(&receiver).start().await;
    let mut client = server.subscribed("room").await;
    receiver.next().await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(receiver.waiting().is_empty());
    client.subscribe("next").await;
    assert_eq!(receiver.next().await.event()["channel"], "next");
}

#[tokio::test]
async fn a_hook_that_hangs_holds_up_nobody() {
    let receiver = Receiver::start().await;
    receiver.answer("/slow", [Answer::after(Duration::from_secs(30))]);
    let hooks = hooks_for(
        &["channel_occupied"],
        &[receiver.url("/slow"), receiver.url("/quick")],
    );
    let server = Server::builder().apps(&app(&hooks)).start().await;
    let mut client = server.subscribed("first").await;
    receiver.next_on("/slow").await;
    assert_eq!(receiver.next_on("/quick").await.event()["channel"], "first");
    client.subscribe("second").await;
    assert_eq!(
        receiver.next_on("/quick").await.event()["channel"],
        "second"
    );
    assert_eq!(
        receiver.next_on("/slow").await.event()["channel"],
        "second",
        "not even its own later ones"
    );
}

#[tokio::test]
async fn redirects_to_other_hosts_are_not_followed() {
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    receiver.answer(
        "/all",
        [Answer {
            location: Some(other.url("/stolen")),
            ..Answer::status(302)
        }],
    );
    let server = all_to(&receiver).start().await;
    let _client = server.subscribed("room").await;
    receiver.next().await;
    // A 302 is no success: it is tried again where it was meant to go.
    receiver.next().await;
    assert!(other.waiting().is_empty());
}

#[tokio::test]
async fn private_targets_can_be_blocked() {
    let receiver = Receiver::start().await;
    let server = all_to(&receiver)
        .env("BOWLINE_WEBHOOKS_BLOCK_PRIVATE_TARGETS", true)
        .start()
        .await;
    let _client = server.subscribed("room").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(receiver.waiting().is_empty());
}

#[tokio::test]
async fn an_unreachable_target_does_no_harm() {
    let hooks = hooks_for(
        &EVERY,
        &[
            "http://127.0.0.1:1/closed".into(),
            "http://name.invalid/".into(),
        ],
    );
    let mut server = Server::builder().apps(&app(&hooks)).start().await;
    let mut client = server.connect().await;
    for at in 0..50 {
        client.subscribe(&format!("room-{at}")).await;
    }
    server.app = App::default_app();
    server.expect_healthy().await;
}
