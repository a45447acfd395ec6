//! Webhooks: what, when, to whom, how often (scaling-webhooks-metrics.md 5).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, App, Receiver, Server, ServerBuilder};

const EVERY: [&str; 7] = [
    "client_event",
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "cache_miss",
    "subscription_count",
];

fn app(hooks: Value) -> Value {
    json!([{"id": "app-id", "key": "app-key", "secret": "app-secret", "enableClientMessages": true, "webhooks": hooks}])
}

fn all_to(receiver: &Receiver) -> ServerBuilder {
    let hooks = json!([{"url": receiver.url("/all"), "event_types": EVERY}]);
    Server::builder()
        .apps(app(hooks))
        .env("BOWLINE_WEBHOOKS_GRACE", 0)
}

fn hooks_for(kinds: &[&str], urls: &[String]) -> Value {
    urls.iter()
        .map(|url| json!({"url": url, "event_types": kinds}))
        .collect()
}

#[tokio::test]
async fn every_event_with_its_body_and_signature() {
    let receiver = Receiver::start().await;
    let server = all_to(&receiver).start().await;
    let expect = async |body: &str| {
        let hook = receiver.next().await;
        hook.expect_signed(&server.app);
        assert_eq!((hook.method.as_str(), hook.path.as_str()), ("POST", "/all"));
        assert_eq!(hook.header("accept"), Some("application/json"));
        let (time, rest) = hook
            .body
            .strip_prefix(r#"{"time_ms":"#)
            .unwrap()
            .split_once(',')
            .unwrap();
        let seconds = time.parse::<u64>().unwrap() / 1000;
        assert!(seconds.abs_diff(crate::harness::now_s()) <= 5, "{time}");
        assert_eq!(rest, format!(r#""events":[{body}]}}"#));
    };
    let (mut a, mut b) = (server.connect().await, server.connect().await);
    a.subscribe("news").await;
    expect(r#"{"name":"channel_occupied","channel":"news"}"#).await;
    b.subscribe("news").await;
    a.subscribe("news").await;
    a.send_text(r#"{"event":"client-x","channel":"news","data":{"n":1.50}}"#)
        .await;
    expect(&format!(r#"{{"name":"client_event","channel":"news","event":"client-x","data":{{"n":1.50}},"socket_id":"{}"}}"#, a.id())).await;
    b.expect_event("client-x").await;
    a.presence("presence-p", r#"{"user_id":"u1","user_info":{}}"#)
        .await;
    let mut pair = [receiver.next().await.event(), receiver.next().await.event()];
    pair.sort_by_key(|event| event["name"].to_string());
    assert_eq!(
        pair[0],
        json!({"name": "channel_occupied", "channel": "presence-p"})
    );
    assert_eq!(
        pair[1],
        json!({"name": "member_added", "channel": "presence-p", "user_id": "u1"})
    );
    b.presence("presence-p", r#"{"user_id":2}"#).await;
    expect(r#"{"name":"member_added","channel":"presence-p","user_id":2}"#).await;
    b.send(json!({"event": "client-y", "channel": "presence-p", "data": "s"}))
        .await;
    expect(&format!(r#"{{"name":"client_event","channel":"presence-p","event":"client-y","data":"s","socket_id":"{}","user_id":2}}"#, b.id())).await;
    a.wait_event("client-y").await;
    b.unsubscribe("presence-p").await;
    expect(r#"{"name":"member_removed","channel":"presence-p","user_id":2}"#).await;
    a.unsubscribe("presence-p").await;
    let mut pair = [receiver.next().await.event(), receiver.next().await.event()];
    pair.sort_by_key(|event| event["name"].to_string());
    assert_eq!(
        (&pair[0]["name"], &pair[1]["name"]),
        (&json!("channel_vacated"), &json!("member_removed"))
    );
    a.expect_event("pusher_internal:member_removed").await;
    a.subscribe("cache-k").await;
    let mut pair = [receiver.next().await.event(), receiver.next().await.event()];
    pair.sort_by_key(|event| event["name"].to_string());
    assert_eq!(
        (&pair[0]["name"], &pair[1]["name"]),
        (&json!("cache_miss"), &json!("channel_occupied"))
    );
    a.expect_event("pusher:cache_miss").await;
    a.unsubscribe("never-joined").await;
    a.expect_silence().await;
    assert!(receiver.waiting().is_empty(), "{:?}", receiver.waiting());
}

#[tokio::test]
async fn subscription_count_is_a_webhook_too() {
    let receiver = Receiver::start().await;
    let hooks = json!([{"url": receiver.url("/n"), "event_types": ["subscription_count"]}]);
    let mut apps = app(hooks);
    apps[0]["enableSubscriptionCount"] = json!(true);
    let server = Server::builder().apps(apps).start().await;
    let _client = server.subscribed("room").await;
    let event = receiver.next().await.event();
    assert_eq!(
        event,
        json!({"name": "subscription_count", "channel": "room", "subscription_count": 1})
    );
}

#[tokio::test]
async fn each_hook_gets_only_what_it_asked_for() {
    let receiver = Receiver::start().await;
    let hook = |path: &str, filter: Value| json!({"url": receiver.url(path), "event_types": ["channel_occupied"], "filter": filter});
    let hooks = json!([
        hook("/starts", json!({"channel_name_starts_with": "beta-"})),
        hook("/ends", json!({"channel_name_ends_with": "-app"})),
        hook("/both", json!({"channel_name_starts_with": "beta-", "channel_name_ends_with": "-app"})),
        {"url": receiver.url("/vacated"), "event_types": ["channel_vacated"]},
    ]);
    let server = Server::builder()
        .apps(app(hooks))
        .env("BOWLINE_WEBHOOKS_GRACE", 0)
        .start()
        .await;
    let mut client = server.connect().await;
    for channel in ["beta-x", "x-app", "beta-y-app", "plain"] {
        client.subscribe(channel).await;
    }
    client.unsubscribe("plain").await;
    let mut got = Vec::new();
    for _ in 0..6 {
        let hook = receiver.next().await;
        got.push(format!(
            "{} {}",
            hook.path,
            hook.event()["channel"].as_str().unwrap()
        ));
    }
    got.sort();
    let want = [
        "/both beta-y-app",
        "/ends beta-y-app",
        "/ends x-app",
        "/starts beta-x",
        "/starts beta-y-app",
        "/vacated plain",
    ];
    assert_eq!(got, want);
    assert!(receiver.waiting().is_empty());
}

#[tokio::test]
async fn custom_headers_but_not_those_of_the_signature() {
    let receiver = Receiver::start().await;
    let headers = json!({"X-Custom": "yes", "X-Pusher-Key": "forged", "X-Pusher-Signature": "forged", "User-Agent": "mine/1"});
    let hooks = json!([{"url": receiver.url("/h"), "event_types": ["channel_occupied"], "headers": headers}]);
    let server = Server::builder().apps(app(hooks)).start().await;
    let _client = server.subscribed("room").await;
    let hook = receiver.next().await;
    hook.expect_signed(&server.app);
    assert_eq!(
        (hook.header("x-custom"), hook.header("user-agent")),
        (Some("yes"), Some("mine/1"))
    );
}

#[tokio::test]
async fn batches_are_per_app_and_hook() {
    let receiver = Receiver::start().await;
    let hook =
        |path: &str, kinds: &[&str]| json!({"url": receiver.url(path), "event_types": kinds});
    let apps = json!([
        {"id": "one", "key": "one-key", "secret": "one-secret",
            "webhooks": [hook("/one-occupied", &["channel_occupied"]), hook("/one-vacated", &["channel_vacated"])]},
        {"id": "two", "key": "two-key", "secret": "two-secret", "webhooks": [hook("/two", &["channel_occupied"])]},
    ]);
    let server = Server::builder()
        .apps(apps)
        .env("SOKETI_WEBHOOKS_BATCHING", 1)
        .env("SOKETI_WEBHOOKS_BATCHING_DURATION", 200)
        .env("BOWLINE_WEBHOOKS_GRACE", 0)
        .start()
        .await;
    let (one, two) = (
        App::new("one", "one-key", "one-secret"),
        App::new("two", "two-key", "two-secret"),
    );
    let (mut a, mut b) = (
        server.connect_app(&one).await,
        server.connect_app(&two).await,
    );
    a.subscribe("a1").await;
    b.subscribe("b1").await;
    a.subscribe("a2").await;
    a.unsubscribe("a1").await;
    let names = |events: Vec<Value>| {
        events
            .iter()
            .map(|event| event["channel"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for (path, app, channels) in [
        ("/one-occupied", &one, vec!["a1", "a2"]),
        ("/one-vacated", &one, vec!["a1"]),
        ("/two", &two, vec!["b1"]),
    ] {
        let hook = receiver.next_on(path).await;
        hook.expect_signed(app);
        assert_eq!(names(hook.events()), channels, "{path}");
    }
    assert!(receiver.waiting().is_empty());
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
    let server = Server::builder().apps(app(hooks)).start().await;
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
async fn the_grace_is_cancelled_by_a_return() {
    let receiver = Receiver::start().await;
    let hooks = json!([{"url": receiver.url("/all"), "event_types": EVERY}]);
    let server = Server::builder()
        .apps(app(hooks))
        .env("BOWLINE_WEBHOOKS_GRACE", 800)
        .start()
        .await;
    let mut client = server.connect().await;
    client.presence("presence-g", r#"{"user_id":"1"}"#).await;
    receiver.next_event("channel_occupied").await;
    receiver.next_event("member_added").await;
    client.close().await;
    // The page is loaded again: nobody hears of it.
    let mut again = server.connect().await;
    again.presence("presence-g", r#"{"user_id":"1"}"#).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(receiver.waiting().is_empty(), "{:?}", receiver.waiting());
    let left = tokio::time::Instant::now();
    again.close().await;
    let vacated = receiver.next_event("channel_vacated").await;
    let removed = receiver.next_event("member_removed").await;
    for hook in [&vacated, &removed] {
        assert!(
            hook.at - left >= Duration::from_millis(700),
            "held back: {:?}",
            hook.at - left
        );
    }
}

#[tokio::test]
async fn the_grace_holds_back_webhooks_only() {
    let receiver = Receiver::start().await;
    let hooks = json!([{"url": receiver.url("/all"), "event_types": EVERY}]);
    let server = Server::builder()
        .apps(app(hooks))
        .env("BOWLINE_WEBHOOKS_GRACE", 60_000)
        .start()
        .await;
    let (mut watcher, mut leaver) = (server.connect().await, server.connect().await);
    watcher.presence("presence-g", r#"{"user_id":"w"}"#).await;
    leaver.presence("presence-g", r#"{"user_id":"l"}"#).await;
    watcher.expect_event("pusher_internal:member_added").await;
    leaver.unsubscribe("presence-g").await;
    watcher.expect_event("pusher_internal:member_removed").await;
    server
        .get("/channels/presence-g/users")
        .await
        .expect(200, r#"{"users":[{"id":"w"}]}"#);
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
async fn hooks_come_from_the_environment_too() {
    let receiver = Receiver::start().await;
    let hooks = json!([{"url": receiver.url("/env"), "event_types": ["channel_occupied"]}]);
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_WEBHOOKS", hooks)
        .start()
        .await;
    let _client = server.subscribed("room").await;
    assert_eq!(receiver.next().await.path, "/env");
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
    let mut server = Server::builder().apps(app(hooks)).start().await;
    let mut client = server.connect().await;
    for at in 0..50 {
        client.subscribe(&format!("room-{at}")).await;
    }
    server.app = App::default_app();
    server.expect_healthy().await;
}
