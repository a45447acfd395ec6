use std::time::Duration;

use super::*;

const ORDER_WAIT: Duration = Duration::from_millis(250);
const ROOM: Load = Load {
    count: 100,
    bytes: 1 << 20,
};

fn queue(max: Load) -> Queue {
    Queue::memory(max, ORDER_WAIT)
}

fn app(id: &str, urls: &[&str]) -> Arc<App> {
    let mut app = App::new(id, id, "s");
    app.webhooks = urls
        .iter()
        .map(|url| Hook {
            url: (*url).into(),
            event_types: Vec::new(),
            channel_name_starts_with: None,
            channel_name_ends_with: None,
            headers: Vec::new(),
        })
        .collect();
    Arc::new(app)
}

fn parcel(app: &Arc<App>, hook: usize, id: &str) -> Parcel {
    Parcel {
        id: id.into(),
        app: Arc::clone(app),
        hook,
        channel: Some(id.into()),
        body: Bytes::from_static(b"body"),
    }
}

fn ids(parcels: &[Arc<Parcel>]) -> Vec<&str> {
    parcels.iter().map(|p| p.id.as_str()).collect()
}

fn take_id(queue: &mut Queue) -> Option<String> {
    queue.take(Instant::now()).map(|d| d.parcel.id.clone())
}

#[test]
fn lanes_take_turns_and_each_keeps_its_order() {
    let app = app("1", &["http://a/", "http://b/"]);
    let mut queue = queue(ROOM);
    for (hook, id) in [(0, "a1"), (0, "a2"), (1, "b1"), (0, "a3")] {
        assert!(queue.push(parcel(&app, hook, id)).is_empty());
    }
    let taken: Vec<_> = std::iter::from_fn(|| take_id(&mut queue)).collect();
    assert_eq!(taken, ["a1", "b1", "a2", "a3"]);
}

#[test]
fn what_is_in_flight_for_one_url_is_bounded_and_hinders_no_other() {
    let app = app("1", &["http://a/", "http://b/"]);
    let mut queue = queue(ROOM);
    for n in 0..LANE_IN_FLIGHT_MAX + 2 {
        queue.push(parcel(&app, 0, &n.to_string()));
    }
    let taken: Vec<_> = std::iter::from_fn(|| queue.take(Instant::now())).collect();
    assert_eq!(taken.len(), LANE_IN_FLIGHT_MAX);
    queue.push(parcel(&app, 1, "other"));
    assert_eq!(take_id(&mut queue).as_deref(), Some("other"));
    queue.done(&taken[0], true);
    assert!(queue.take(Instant::now()).is_some());
    assert!(queue.take(Instant::now()).is_none());
}

#[test]
fn retry_waits_for_its_time_and_holds_up_nobody() {
    let app = app("1", &["http://a/"]);
    let (mut queue, now) = (queue(ROOM), Instant::now());
    let due = now + Duration::from_secs(1);
    queue.push(parcel(&app, 0, "first"));
    let first = queue.take(Instant::now()).unwrap();
    assert!(queue.retry(first, due));
    assert_eq!(queue.next_due(), Some(due));
    queue.push(parcel(&app, 0, "second"));
    let second = queue.take(Instant::now()).unwrap();
    assert_eq!(second.parcel.id, "second");
    assert!(!queue.retry(second, due), "the URL is known to fail");
    queue.wake_due(now);
    assert!(queue.take(Instant::now()).is_none());
    queue.wake_due(due);
    let first = queue.take(Instant::now()).unwrap();
    assert_eq!(first.parcel.id, "first");
    queue.done(&first, true);
    let second = queue.take(Instant::now()).unwrap();
    assert!(queue.retry(second, due), "a success made it well");
    queue.wake_all();
    let last = queue.take(Instant::now()).unwrap();
    queue.done(&last, false);
    assert_eq!(queue.len(), 0);
    let Queue::Memory(memory) = &queue;
    assert!(memory.lanes.is_empty() && memory.by_target.is_empty());
    assert_eq!(memory.load, Load::default());
}

#[test]
fn over_its_bound_it_drops_the_oldest_of_the_longest_lane() {
    let app = app("1", &["http://dead/", "http://well/"]);
    let mut queue = queue(Load { count: 4, ..ROOM });
    queue.push(parcel(&app, 1, "well1"));
    for id in ["dead1", "dead2", "dead3"] {
        queue.push(parcel(&app, 0, id));
    }
    let later = Instant::now() + Duration::from_secs(9);
    while let Some(delivery) = queue.take(Instant::now()) {
        queue.retry(delivery, later);
    }
    assert_eq!(ids(&queue.push(parcel(&app, 1, "well2"))), ["dead1"]);
    assert_eq!(ids(&queue.push(parcel(&app, 1, "well3"))), ["dead2"]);
    let Queue::Memory(memory) = &queue;
    assert_eq!(memory.timers.len(), 2, "no timer outlives its delivery");
    assert_eq!(queue.len(), 4);
}

#[test]
fn it_is_bounded_in_bytes_and_what_cannot_fit_is_dropped_itself() {
    let app = app("1", &["http://a/"]);
    let bytes = 2 * (DELIVERY_BYTES + 4);
    let mut queue = queue(Load { bytes, ..ROOM });
    queue.push(parcel(&app, 0, "1"));
    queue.push(parcel(&app, 0, "2"));
    assert_eq!(ids(&queue.push(parcel(&app, 0, "3"))), ["1"]);
    let mut large = parcel(&app, 0, "large");
    large.body = vec![0; bytes].into();
    assert_eq!(ids(&queue.push(large)), ["large"]);
    assert_eq!(queue.len(), 2);
}

#[test]
fn what_is_in_flight_is_never_dropped() {
    let app = app("1", &["http://a/"]);
    let mut queue = queue(Load { count: 1, ..ROOM });
    queue.push(parcel(&app, 0, "flying"));
    let flying = queue.take(Instant::now()).unwrap();
    assert_eq!(ids(&queue.push(parcel(&app, 0, "late"))), ["late"]);
    queue.done(&flying, true);
    assert!(queue.push(parcel(&app, 0, "next")).is_empty());
}

fn about(channel: &str, parcel: Parcel) -> Parcel {
    Parcel {
        channel: Some(channel.into()),
        ..parcel
    }
}

#[test]
fn first_attempts_about_one_channel_go_one_after_the_other() {
    let app = app("1", &["http://a/"]);
    let (mut queue, now) = (queue(ROOM), Instant::now());
    for id in ["a1", "a2", "b1", "a3"] {
        queue.push(about(&id[..1], parcel(&app, 0, id)));
    }
    let take = |queue: &mut Queue| queue.take(now).map(|d| (d.parcel.id.clone(), d));
    let (id, a1) = take(&mut queue).unwrap();
    assert_eq!(id, "a1");
    assert_eq!(take(&mut queue).unwrap().0, "b1", "another channel");
    assert!(take(&mut queue).is_none());
    queue.done(&a1, true);
    let (id, a2) = take(&mut queue).unwrap();
    assert_eq!(id, "a2");
    assert!(take(&mut queue).is_none());
    queue.retry(a2, now + Duration::from_secs(9));
    assert_eq!(
        take(&mut queue).unwrap().0,
        "a3",
        "a failed one is not waited for"
    );
}

#[test]
fn first_attempt_that_hangs_is_waited_for_no_longer_than_the_bound() {
    let app = app("1", &["http://a/"]);
    let (mut queue, now) = (queue(ROOM), Instant::now());
    queue.push(about("a", parcel(&app, 0, "hangs")));
    queue.push(about("a", parcel(&app, 0, "waits")));
    let hangs = queue.take(now).unwrap();
    assert!(queue.take(now).is_none());
    assert_eq!(queue.next_due(), Some(now + ORDER_WAIT));
    queue.wake_due(now + ORDER_WAIT);
    let waited = queue.take(now).unwrap();
    queue.done(&waited, true);
    queue.done(&hangs, true);
    let Queue::Memory(memory) = &queue;
    assert!(memory.lanes.is_empty() && memory.timers.is_empty());
}

#[test]
fn dropping_the_one_that_holds_a_channel_lets_the_next_go() {
    let app = app("1", &["http://a/"]);
    let (mut queue, now) = (queue(Load { count: 3, ..ROOM }), Instant::now());
    for id in ["1", "2", "3"] {
        queue.push(about("a", parcel(&app, 0, id)));
    }
    let first = queue.take(now).unwrap();
    assert!(queue.take(now).is_none());
    queue.done(&first, true);
    queue.push(about("a", parcel(&app, 0, "4")));
    assert_eq!(ids(&queue.push(about("a", parcel(&app, 0, "5")))), ["2"]);
    let next = queue.take(now).unwrap();
    assert_eq!(next.parcel.id, "3");
}

#[test]
fn retry_does_not_take_part_in_its_channels_order_again() {
    let app = app("1", &["http://a/"]);
    let (mut queue, now) = (queue(ROOM), Instant::now());
    for id in ["hangs", "fails"] {
        queue.push(about("a", parcel(&app, 0, id)));
    }
    let hangs = queue.take(now).unwrap();
    assert!(queue.take(now).is_none());
    queue.wake_due(now + ORDER_WAIT);
    let fails = queue.take(now).unwrap();
    let due = now + Duration::from_secs(9);
    queue.retry(fails, due);
    queue.done(&hangs, true);
    assert!(queue.take(now).is_none(), "its time has not come");
    assert_eq!(queue.next_due(), Some(due));
}
