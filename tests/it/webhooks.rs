//! Webhooks: what, when, to whom, how often (scaling-webhooks-metrics.md 5).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{App, Receiver, Server, ServerBuilder};

pub(crate) const EVERY: [&str; 7] = [
    "client_event",
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "cache_miss",
    "subscription_count",
];

pub(crate) fn app(hooks: &Value) -> Value {
    json!([{"id": "app-id", "key": "app-key", "secret": "app-secret", "enableClientMessages": true, "webhooks": hooks}])
}

pub(crate) fn all_to(receiver: &Receiver) -> ServerBuilder {
    let hooks = json!([{"url": receiver.url("/all"), "event_types": EVERY}]);
    Server::builder()
        .apps(&app(&hooks))
        .env("BOWLINE_WEBHOOKS_GRACE", 0)
}

/// The next webhook has this one event, fresh and signed.
async fn expect(receiver: &Receiver, event: &str) {
    let hook = receiver.next().await;
    hook.expect_signed(&App::default_app());
    assert_eq!((hook.method.as_str(), hook.path.as_str()), ("POST", "/all"));
    assert_eq!(hook.header("accept"), Some("application/json"));
    let rest = hook.body.strip_prefix(r#"{"time_ms":"#).unwrap();
    let (time, rest) = rest.split_once(',').unwrap();
    let seconds = time.parse::<u64>().unwrap() / 1000;
    assert!(seconds.abs_diff(crate::harness::now_s()) <= 5, "{time}");
    assert_eq!(rest, format!(r#""events":[{event}]}}"#));
}

/// Two webhooks of one turn, which travel side by side: sorted by name.
async fn pair(receiver: &Receiver) -> [Value; 2] {
    let mut pair = [receiver.next().await.event(), receiver.next().await.event()];
    pair.sort_by_key(|event| event["name"].to_string());
    pair
}

#[tokio::test]
async fn channels_and_client_events_with_body_and_signature() {
    let receiver = Receiver::start().await;
    let server = all_to(&receiver).start().await;
    let (mut a, mut b) = (server.connect().await, server.connect().await);
    a.subscribe("news").await;
    expect(&receiver, r#"{"name":"channel_occupied","channel":"news"}"#).await;
    b.subscribe("news").await;
    a.subscribe("news").await;
    a.send_text(r#"{"event":"client-x","channel":"news","data":{"n":1.50}}"#)
        .await;
    let event = format!(
        r#"{{"name":"client_event","channel":"news","event":"client-x","data":{{"n":1.50}},"socket_id":"{}"}}"#,
        a.id()
    );
    expect(&receiver, &event).await;
    a.unsubscribe("news").await;
    b.expect_event("client-x").await;
    b.unsubscribe("news").await;
    expect(&receiver, r#"{"name":"channel_vacated","channel":"news"}"#).await;
    a.subscribe("cache-k").await;
    let names = pair(&receiver).await.map(|event| event["name"].clone());
    assert_eq!(names, [json!("cache_miss"), json!("channel_occupied")]);
    a.expect_event("pusher:cache_miss").await;
    a.unsubscribe("never-joined").await;
    a.expect_silence().await;
    assert!(receiver.waiting().is_empty(), "{:?}", receiver.waiting());
}

#[tokio::test]
async fn members_with_the_type_of_their_id() {
    let receiver = Receiver::start().await;
    let server = all_to(&receiver).start().await;
    let (mut a, mut b) = (server.connect().await, server.connect().await);
    a.presence("presence-p", r#"{"user_id":"u1","user_info":{}}"#)
        .await;
    let occupied = json!({"name": "channel_occupied", "channel": "presence-p"});
    let added = json!({"name": "member_added", "channel": "presence-p", "user_id": "u1"});
    assert_eq!(pair(&receiver).await, [occupied, added]);
    b.presence("presence-p", r#"{"user_id":2}"#).await;
    expect(
        &receiver,
        r#"{"name":"member_added","channel":"presence-p","user_id":2}"#,
    )
    .await;
    b.send(json!({"event": "client-y", "channel": "presence-p", "data": "s"}))
        .await;
    let event = format!(
        r#"{{"name":"client_event","channel":"presence-p","event":"client-y","data":"s","socket_id":"{}","user_id":2}}"#,
        b.id()
    );
    expect(&receiver, &event).await;
    b.unsubscribe("presence-p").await;
    expect(
        &receiver,
        r#"{"name":"member_removed","channel":"presence-p","user_id":2}"#,
    )
    .await;
    a.unsubscribe("presence-p").await;
    let names = pair(&receiver).await.map(|event| event["name"].clone());
    assert_eq!(names, [json!("channel_vacated"), json!("member_removed")]);
}

#[tokio::test]
async fn subscription_count_is_a_webhook_too() {
    let receiver = Receiver::start().await;
    let hooks = json!([{"url": receiver.url("/n"), "event_types": ["subscription_count"]}]);
    let mut apps = app(&hooks);
    apps[0]["enableSubscriptionCount"] = json!(true);
    let server = Server::builder().apps(&apps).start().await;
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
        .apps(&app(&hooks))
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
    let server = Server::builder().apps(&app(&hooks)).start().await;
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
        .apps(&apps)
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
async fn the_grace_is_cancelled_by_a_return() {
    let receiver = Receiver::start().await;
    let hooks = json!([{"url": receiver.url("/all"), "event_types": EVERY}]);
    let server = Server::builder()
        .apps(&app(&hooks))
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
        .apps(&app(&hooks))
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
