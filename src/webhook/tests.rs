mod flush;
mod receiver;

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sha2::Sha256;
use tokio::{net::TcpListener, time::timeout};

use self::receiver::{Receiver, Reply, status};
use super::*;

const DEADLINE: Duration = Duration::from_secs(10);
fn hook(url: &str, kinds: &[HookEvent]) -> Hook {
    Hook {
        url: url.into(),
        event_types: kinds.to_vec(),
        channel_name_starts_with: None,
        channel_name_ends_with: None,
        headers: Vec::new(),
    }
}

fn app(hooks: Vec<Hook>) -> Arc<App> {
    let mut app = App::new("app-id", "app-key", "app-secret");
    app.webhooks = hooks;
    Arc::new(app)
}

fn at_once() -> config::Webhooks {
    config::Webhooks {
        grace: Duration::ZERO,
        ..config::Webhooks::default()
    }
}

fn quick() -> Bounds {
    Bounds {
        timeout: Duration::from_millis(500),
        pause: Duration::from_millis(40),
        pause_max: Duration::from_millis(200),
        ..Bounds::default()
    }
}

fn start(config: &config::Webhooks) -> Webhooks {
    Webhooks::start_within(config, quick(), &Handle::current())
}

fn occupied(channel: &str) -> Event {
    let channel = channel.into();
    Event::ChannelOccupied { channel }
}

fn vacated(channel: &str) -> Event {
    let channel = channel.into();
    Event::ChannelVacated { channel }
}

/// Counts what this thread does: the test, and with a current-thread runtime its tasks.
fn counters() -> (metrics::LocalRecorderGuard<'static>, PrometheusHandle) {
    let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
    let handle = recorder.handle();
    (metrics::set_default_local_recorder(recorder), handle)
}

async fn expect_metric(handle: &PrometheusHandle, line: &str) {
    let line = crate::metrics::name(line);
    let seen = timeout(DEADLINE, async {
        while !handle.render().lines().any(|l| l == line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(seen.await.is_ok(), "{line} not in\n{}", handle.render());
}

#[tokio::test]
async fn request_has_the_body_headers_and_signature_of_the_specification() {
    let mut receiver = Receiver::well().await;
    let webhooks = Webhooks::start(&at_once(), &Handle::current());
    let app = app(vec![hook(&receiver.url("/all"), &HookEvent::ALL)]);
    let before = now_ms();
    webhooks.enqueue(&app, occupied("news"));
    let request = receiver.next().await;
    let (start, time_ms) = request.body.split_at(r#"{"time_ms":"#.len());
    let (time_ms, events) = time_ms.split_once(',').unwrap();
    assert_eq!(start, r#"{"time_ms":"#);
    assert!((before..=now_ms()).contains(&time_ms.parse().unwrap()));
    let wanted = r#""events":[{"name":"channel_occupied","channel":"news"}]}"#;
    assert_eq!(events, wanted);
    assert_eq!(request.path, "/all");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("accept"), "application/json");
    assert_eq!(request.header("x-pusher-key"), "app-key");
    let agent = concat!("BowlineWebhooks/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), agent);
    assert!(!request.header("x-bowline-webhook-id").is_empty());
    let mut mac = Hmac::<Sha256>::new_from_slice(b"app-secret").unwrap();
    mac.update(request.body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    assert_eq!(request.header("x-pusher-signature"), signature);
}

#[tokio::test]
async fn batches_hold_only_what_their_hook_wants() {
    let mut receiver = Receiver::well().await;
    let config = config::Webhooks {
        batching: Some(Duration::from_millis(100)),
        ..at_once()
    };
    let webhooks = start(&config);
    let mut filtered = hook(&receiver.url("/filtered"), &[HookEvent::ChannelOccupied]);
    filtered.channel_name_starts_with = Some("a-".into());
    filtered.channel_name_ends_with = Some("-z".into());
    let vacated_only = hook(&receiver.url("/vacated"), &[HookEvent::ChannelVacated]);
    let one = app(vec![filtered, vacated_only]);
    let mut two = App::new("two", "two-key", "other");
    two.webhooks = vec![hook(&receiver.url("/two"), &HookEvent::ALL)];
    let two = Arc::new(two);
    for channel in ["a-1-z", "a-1", "1-z", "a-2-z"] {
        webhooks.enqueue(&one, occupied(channel));
    }
    webhooks.enqueue(&one, vacated("a-1"));
    webhooks.enqueue(&two, occupied("a-3-z"));
    let mut requests = Vec::new();
    for _ in 0..3 {
        let request = receiver.next().await;
        let key = request.header("x-pusher-key");
        requests.push(format!("{key} {} {}", request.path, request.events()));
    }
    requests.sort_unstable();
    let wanted = [
        r#"app-key /filtered [{"name":"channel_occupied","channel":"a-1-z"},{"name":"channel_occupied","channel":"a-2-z"}]}"#,
        r#"app-key /vacated [{"name":"channel_vacated","channel":"a-1"}]}"#,
        r#"two-key /two [{"name":"channel_occupied","channel":"a-3-z"}]}"#,
    ];
    assert_eq!(requests, wanted);
    receiver.silence().await;
}

#[tokio::test]
async fn reload_within_the_grace_tells_nothing_to_any_hook() {
    let mut receiver = Receiver::well().await;
    let config = config::Webhooks {
        grace: Duration::from_millis(150),
        ..at_once()
    };
    let webhooks = start(&config);
    for kind in [HookEvent::ChannelOccupied, HookEvent::ChannelVacated] {
        let app = app(vec![hook(&receiver.url("/"), &[kind])]);
        webhooks.enqueue(&app, vacated("reloaded"));
        webhooks.enqueue(&app, occupied("reloaded"));
    }
    receiver.silence().await;
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    let before = (Instant::now(), now_ms());
    webhooks.enqueue(&app, vacated("left"));
    let request = receiver.next().await;
    assert!(request.events().contains("left"));
    assert!(request.at >= before.0 + config.grace);
    let time_ms: u64 = request.body[11..]
        .split_once(',')
        .unwrap()
        .0
        .parse()
        .unwrap();
    assert!(
        time_ms < before.1 + 150,
        "the time of the leave, not of its telling"
    );
}

#[tokio::test]
async fn failed_attempts_are_repeated_with_the_same_bytes_and_id_until_one_succeeds() {
    let (_guard, counters) = counters();
    let codes = [500, 302, 503, 200];
    let mut receiver = Receiver::start(move |n| {
        let to = ("location", "/elsewhere");
        Reply::Status(codes[n - 1], vec![to, ("retry-after", "0")])
    })
    .await;
    let webhooks = start(&at_once());
    let app = app(vec![hook(&receiver.url("/here"), &HookEvent::ALL)]);
    webhooks.enqueue(&app, occupied("a"));
    let first = receiver.next().await;
    for _ in 1..codes.len() {
        let again = receiver.next().await;
        assert_eq!(again.path, "/here", "redirects are not followed");
        assert_eq!(again.body, first.body);
        for name in ["x-bowline-webhook-id", "x-pusher-signature"] {
            assert_eq!(again.header(name), first.header(name));
        }
    }
    receiver.silence().await;
    expect_metric(&counters, r#"webhooks_delivered_total{app_id="app-id"} 1"#).await;
    expect_metric(&counters, r#"webhooks_retries_total{app_id="app-id"} 3"#).await;
    assert_eq!(webhooks.queue_length(), 0);
}

#[tokio::test]
async fn first_retry_comes_after_about_a_second() {
    let mut receiver = Receiver::start(|n| status(if n == 1 { 500 } else { 200 })).await;
    let webhooks = Webhooks::start(&at_once(), &Handle::current());
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    webhooks.enqueue(&app, occupied("a"));
    let first = receiver.next().await.at;
    let pause = receiver.next().await.at - first;
    assert!(
        pause > Duration::from_millis(700) && pause < Duration::from_secs(2),
        "{pause:?}"
    );
}

#[tokio::test]
async fn retry_after_is_honoured_within_the_bound() {
    let asks = |n| match n {
        1 => Reply::Status(429, vec![("retry-after", "3600")]),
        _ => status(200),
    };
    let mut receiver = Receiver::start(asks).await;
    let bounds = Bounds {
        pause_max: Duration::from_millis(400),
        ..quick()
    };
    let webhooks = Webhooks::start_within(&at_once(), bounds, &Handle::current());
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    webhooks.enqueue(&app, occupied("a"));
    let first = receiver.next().await.at;
    assert!(receiver.next().await.at - first >= bounds.pause_max);
}

#[tokio::test]
async fn hanging_or_waiting_delivery_holds_up_no_later_one() {
    let mut receiver = Receiver::start(|n| match n {
        1 => Reply::Never,
        2 => Reply::Status(500, vec![("retry-after", "9")]),
        _ => status(200),
    })
    .await;
    let bounds = Bounds {
        timeout: DEADLINE * 2,
        pause_max: DEADLINE * 2,
        ..quick()
    };
    let webhooks = Webhooks::start_within(&at_once(), bounds, &Handle::current());
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    for channel in ["hangs", "waits", "goes"] {
        webhooks.enqueue(&app, occupied(channel));
        assert!(receiver.next().await.events().contains(channel));
    }
    assert_eq!(
        webhooks.queue_length(),
        2 + 1 - usize::from(webhooks.queue_length() == 2)
    );
}

#[tokio::test]
async fn attempt_that_gets_no_answer_is_repeated() {
    let mut receiver = Receiver::start(|n| if n == 1 { Reply::Never } else { status(200) }).await;
    let webhooks = start(&at_once());
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    webhooks.enqueue(&app, occupied("a"));
    let first = receiver.next().await;
    assert_eq!(receiver.next().await.body, first.body);
}

#[tokio::test]
async fn gone_is_final() {
    let (_guard, counters) = counters();
    let mut receiver = Receiver::start(|_| status(410)).await;
    let webhooks = start(&at_once());
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    webhooks.enqueue(&app, occupied("a"));
    receiver.next().await;
    expect_metric(&counters, r#"webhooks_failed_total{app_id="app-id"} 1"#).await;
    receiver.silence().await;
    assert_eq!(webhooks.queue_length(), 0);
}

#[tokio::test]
async fn delivery_is_given_up_in_the_end() {
    let (_guard, counters) = counters();
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let bounds = Bounds {
        give_up_after: Duration::from_millis(300),
        ..quick()
    };
    let webhooks = Webhooks::start_within(&at_once(), bounds, &Handle::current());
    webhooks.enqueue(&app(vec![hook(&url, &HookEvent::ALL)]), occupied("a"));
    expect_metric(&counters, r#"webhooks_failed_total{app_id="app-id"} 1"#).await;
    assert!(counters.render().contains("webhooks_retries_total{"));
    assert_eq!(webhooks.queue_length(), 0);
}

#[tokio::test]
async fn private_targets_are_refused_where_they_are_blocked() {
    let (_guard, counters) = counters();
    let mut receiver = Receiver::well().await;
    let config = config::Webhooks {
        block_private_targets: true,
        ..at_once()
    };
    let webhooks = start(&config);
    let name = format!("http://localhost:{}/", receiver.address.port());
    let hooks = [receiver.url("/"), name].map(|url| hook(&url, &HookEvent::ALL));
    webhooks.enqueue(&app(hooks.into()), occupied("a"));
    expect_metric(&counters, r#"webhooks_failed_total{app_id="app-id"} 2"#).await;
    receiver.silence().await;
}

#[tokio::test]
async fn events_that_no_hook_wants_are_not_even_queued() {
    let webhooks = start(&config::Webhooks::default());
    webhooks.enqueue(&app(Vec::new()), occupied("a"));
    let misses = app(vec![hook("http://a/", &[HookEvent::CacheMiss])]);
    webhooks.enqueue(&misses, occupied("a"));
    assert_eq!(webhooks.queue_length(), 0);
    let vacates = app(vec![hook("http://a/", &[HookEvent::ChannelVacated])]);
    assert!(webhooks.wants(&vacates, HookEvent::ChannelOccupied, "a"));
    assert!(!start(&at_once()).wants(&vacates, HookEvent::ChannelOccupied, "a"));
}

#[tokio::test]
async fn full_inbox_drops_its_oldest_and_counts_it() {
    let (_guard, counters) = counters();
    let mut receiver = Receiver::well().await;
    let mut bounds = quick();
    bounds.inbox.count = 2;
    let webhooks = Webhooks::start_within(&at_once(), bounds, &Handle::current());
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    for channel in ["one", "two", "three"] {
        webhooks.enqueue(&app, occupied(channel));
    }
    expect_metric(&counters, r#"webhooks_dropped_total{app_id="app-id"} 1"#).await;
    let mut events = [receiver.next().await, receiver.next().await].map(|r| r.body);
    events.sort_unstable_by_key(|body| body.contains("two"));
    assert!(events[0].contains("three") && events[1].contains("two"));
}

#[tokio::test]
async fn many_events_arrive_once_each() {
    let mut receiver = Receiver::well().await;
    let webhooks = Webhooks::start(&at_once(), &Handle::current());
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    for n in 0..600 {
        webhooks.enqueue(&app, occupied(&n.to_string()));
    }
    let mut bodies = Vec::new();
    for _ in 0..600 {
        bodies.push(receiver.next().await.events().to_string());
    }
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), 600);
    receiver.silence().await;
}

#[tokio::test]
async fn events_of_one_channel_arrive_in_order_without_batching() {
    let mut receiver = Receiver::well().await;
    let bounds = Bounds {
        order_wait: DEADLINE * 2,
        ..quick()
    };
    let webhooks = Webhooks::start_within(&at_once(), bounds, &Handle::current());
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    for n in 0..100 {
        webhooks.enqueue(
            &app,
            if n % 2 == 0 {
                occupied("a")
            } else {
                vacated("a")
            },
        );
    }
    for n in 0..100 {
        let request = receiver.next().await;
        assert_eq!(request.events().contains("occupied"), n % 2 == 0, "{n}");
    }
}
