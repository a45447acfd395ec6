//! What happens to deliveries when the server stops.

use super::*;

#[tokio::test]
async fn flush_sends_what_is_held_batched_and_waiting() {
    let mut receiver = Receiver::start(|n| status(if n < 3 { 500 } else { 200 })).await;
    let config = config::Webhooks {
        batching: Some(DEADLINE * 2),
        grace: DEADLINE * 2,
        ..at_once()
    };
    let bounds = Bounds {
        pause: DEADLINE * 2,
        pause_max: DEADLINE * 2,
        ..quick()
    };
    let batching = Webhooks::start_within(&config, bounds, &Handle::current());
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    batching.enqueue(&app, vacated("held"));
    batching.enqueue(&app, occupied("batched"));
    let plain = Webhooks::start_within(&at_once(), bounds, &Handle::current());
    plain.enqueue(&app, occupied("waiting"));
    assert!(receiver.next().await.events().contains("waiting"));
    assert_eq!(batching.flush(DEADLINE).await, 0);
    let wanted = r#"[{"name":"channel_occupied","channel":"batched"},{"name":"channel_vacated","channel":"held"}]}"#;
    assert_eq!(receiver.next().await.events(), wanted, "fails");
    assert_eq!(
        receiver.next().await.events(),
        wanted,
        "tried again at once"
    );
    assert_eq!(plain.flush(DEADLINE).await, 0);
    assert!(receiver.next().await.events().contains("waiting"));
    receiver.silence().await;
}

#[tokio::test]
async fn flush_ends_at_its_deadline_and_counts_what_is_left() {
    let (_guard, counters) = counters();
    let mut receiver = Receiver::start(|n| if n == 1 { Reply::Never } else { status(500) }).await;
    let bounds = Bounds {
        timeout: DEADLINE * 2,
        ..quick()
    };
    let webhooks = Webhooks::start_within(&at_once(), bounds, &Handle::current());
    let app = app(vec![hook(&receiver.url("/"), &HookEvent::ALL)]);
    webhooks.enqueue(&app, occupied("hangs"));
    receiver.next().await;
    webhooks.enqueue(&app, occupied("fails"));
    let began = Instant::now();
    assert_eq!(webhooks.flush(Duration::from_millis(500)).await, 2);
    assert!(began.elapsed() < Duration::from_secs(5));
    expect_metric(&counters, r#"webhooks_dropped_total{app_id="app-id"} 2"#).await;
    webhooks.enqueue(&app, occupied("late"));
    expect_metric(&counters, r#"webhooks_dropped_total{app_id="app-id"} 3"#).await;
    assert_eq!(webhooks.queue_length(), 0);
    assert_eq!(
        webhooks.flush(DEADLINE).await,
        0,
        "a second flush finds nothing"
    );
}
