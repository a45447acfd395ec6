use super::*;
use crate::app::{App, Hook, HookEvent};

#[test]
fn pauses_double_from_about_a_second_and_end_within_five_minutes() {
    let bounds = Bounds::default();
    let mut total = Duration::ZERO;
    for (attempts, seconds) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (200, 60)] {
        let middle = Duration::from_secs(seconds);
        for _ in 0..50 {
            let pause = pause(&bounds, attempts, None);
            assert!(
                pause >= middle * 3 / 4 && pause <= middle * 5 / 4,
                "{attempts}: {pause:?}"
            );
        }
    }
    let attempts = (1..).take_while(|&attempts| {
        total += pause(&bounds, attempts, None);
        total < bounds.give_up_after
    });
    assert!((7..14).contains(&attempts.count()));
}

#[test]
fn target_may_ask_for_more_time_but_not_for_any() {
    let bounds = Bounds::default();
    let asked = |seconds| pause(&bounds, 1, Some(Duration::from_secs(seconds)));
    assert!(asked(0) >= Duration::from_millis(750));
    assert_eq!(asked(20), Duration::from_secs(20));
    assert_eq!(asked(86_400), bounds.pause_max);
}

#[test]
fn logs_name_the_host_alone() {
    for (url, wanted) in [
        (
            "https://user:password@a.test:8443/token?key=secret",
            "a.test:8443",
        ),
        ("http://a.test/token", "a.test"),
        ("not a URL", "none"),
    ] {
        let mut app = App::new("app-id", "k", "s");
        app.webhooks.push(Hook {
            url: url.into(),
            event_types: vec![HookEvent::CacheMiss],
            channel_name_starts_with: None,
            channel_name_ends_with: None,
            headers: Vec::new(),
        });
        let parcel = Parcel {
            id: "1".into(),
            app: Arc::new(app),
            hook: 0,
            channel: None,
            body: Vec::new().into(),
        };
        assert_eq!(address(&parcel), ("app-id", wanted.to_string()));
    }
}

#[test]
fn log_lines_are_apart_and_say_what_was_left_unsaid() {
    let (mut quiet, now) = (Quiet::default(), Instant::now());
    assert_eq!(quiet.count(0, now), None);
    assert_eq!(quiet.count(1, now), Some(1));
    assert_eq!(quiet.count(2, now + LOG_INTERVAL / 2), None);
    assert_eq!(quiet.count(1, now + LOG_INTERVAL), Some(3));
    assert_eq!(quiet.count(0, now + LOG_INTERVAL * 2), None);
}
