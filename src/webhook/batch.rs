//! Bodies in the making: one batch per app and hook. spec: scaling-webhooks-metrics, "Batching".

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::event::Occurrence;
use crate::app::{App, AppId};

/// Events of one body.
const EVENTS_MAX: usize = 1000;
/// Bytes of one body, unless a single event is larger.
const BYTES_MAX: usize = 256 << 10;
/// Bytes of all open batches; above, all leave.
const OPEN_BYTES_MAX: usize = 32 << 20;

/// Events of one hook that leave together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) app: Arc<App>,
    /// Index into the app's webhooks.
    pub(super) hook: usize,
    /// What it is about; `None` if there may be several.
    pub(super) channel: Option<Arc<str>>,
    body: Vec<u8>,
    events: usize,
    event_bytes: usize,
    serial: u64,
}

impl Batch {
    fn new(first: &Occurrence, hook: usize, serial: u64) -> Self {
        let time_ms = first.time_ms;
        Self {
            app: Arc::clone(&first.app),
            hook,
            channel: None,
            body: format!(r#"{{"time_ms":{time_ms},"events":["#).into_bytes(),
            events: 0,
            event_bytes: 0,
            serial,
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.events < EVENTS_MAX && self.body.len() + bytes < BYTES_MAX
    }

    fn push(&mut self, event_json: &[u8]) {
        if self.events > 0 {
            self.body.push(b',');
        }
        self.body.extend_from_slice(event_json);
        self.events += 1;
        self.event_bytes += event_json.len();
    }

    /// The finished body.
    pub(super) fn seal(mut self) -> Vec<u8> {
        self.body.extend_from_slice(b"]}");
        self.body
    }
}

/// The open batches, and those that may leave.
#[derive(Debug)]
pub(super) struct Batches {
    wait: Duration,
    open: HashMap<(AppId, usize), Batch>,
    /// In opening order, which is the order in which they are due; one that left early is still named here.
    by_due: VecDeque<(Instant, u64, (AppId, usize))>,
    closed: Vec<Batch>,
    bytes: usize,
    next: u64,
}

impl Batches {
    /// `None`: every event is a batch.
    pub(super) fn new(wait: Option<Duration>) -> Self {
        Self {
            wait: wait.unwrap_or_default(),
            open: HashMap::new(),
            by_due: VecDeque::new(),
            closed: Vec::new(),
            bytes: 0,
            next: 0,
        }
    }

    /// Adds an event, also given as JSON, to the batch of its app's hook.
    pub(super) fn add(&mut self, occurrence: &Occurrence, hook: usize, json: &[u8], now: Instant) {
        let key = (occurrence.app.id.clone(), hook);
        if let Some(batch) = self.open.get_mut(&key) {
            if batch.has_room(json.len()) && Arc::ptr_eq(&batch.app, &occurrence.app) {
                batch.push(json);
                self.bytes += json.len();
                return;
            }
            self.close(&key);
        }
        let mut batch = Batch::new(occurrence, hook, self.next);
        batch.push(json);
        self.next += 1;
        if self.wait.is_zero() {
            batch.channel = Some(Arc::clone(occurrence.event.channel()));
            self.closed.push(batch);
            return;
        }
        self.bytes += json.len();
        self.by_due
            .push_back((now + self.wait, batch.serial, key.clone()));
        self.open.insert(key, batch);
        if self.bytes > OPEN_BYTES_MAX {
            self.close_all();
        }
    }

    /// Those that may leave now.
    pub(super) fn take_closed(&mut self, now: Instant) -> Vec<Batch> {
        while self.next_due().is_some_and(|due| due <= now) {
            self.close_first();
        }
        std::mem::take(&mut self.closed)
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_due.front().map(|(due, ..)| *due)
    }

    /// From now on every event is a batch.
    pub(super) fn end(&mut self) {
        self.wait = Duration::ZERO;
        self.close_all();
    }

    pub(super) fn len(&self) -> usize {
        self.open.len() + self.closed.len()
    }

    fn close_all(&mut self) {
        while !self.by_due.is_empty() {
            self.close_first();
        }
    }

    fn close_first(&mut self) {
        if let Some((_, serial, key)) = self.by_due.pop_front()
            && self.open.get(&key).is_some_and(|b| b.serial == serial)
        {
            self.close(&key);
        }
    }

    fn close(&mut self, key: &(AppId, usize)) {
        if let Some(batch) = self.open.remove(key) {
            self.bytes -= batch.event_bytes;
            self.closed.push(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::Event;

    const WAIT: Duration = Duration::from_millis(50);

    fn app(id: &str) -> Arc<App> {
        Arc::new(App::new(id, id, "s"))
    }

    fn at(app: &Arc<App>, time_ms: u64) -> Occurrence {
        let channel = "a".into();
        Occurrence {
            app: Arc::clone(app),
            event: Event::CacheMiss { channel },
            time_ms,
        }
    }

    fn texts(closed: Vec<Batch>) -> Vec<String> {
        let text = |b: Batch| String::from_utf8(b.seal()).unwrap();
        closed.into_iter().map(text).collect()
    }

    #[test]
    fn without_batching_each_event_leaves_at_once() {
        let (app, now) = (app("1"), Instant::now());
        let mut batches = Batches::new(None);
        batches.add(&at(&app, 7), 0, b"{}", now);
        let wanted = [r#"{"time_ms":7,"events":[{}]}"#];
        assert_eq!(texts(batches.take_closed(now)), wanted);
        assert_eq!((batches.len(), batches.next_due()), (0, None));
    }

    #[test]
    fn batches_of_hooks_and_apps_are_apart_and_due_after_their_first_event() {
        let (one, two, now) = (app("1"), app("2"), Instant::now());
        let mut batches = Batches::new(Some(WAIT));
        batches.add(&at(&one, 1), 0, b"1", now);
        batches.add(&at(&one, 2), 1, b"2", now);
        batches.add(&at(&two, 3), 0, b"3", now);
        batches.add(&at(&one, 4), 0, b"4", now + WAIT / 2);
        assert!(batches.take_closed(now + WAIT / 2).is_empty());
        let wanted = [
            r#"{"time_ms":1,"events":[1,4]}"#,
            r#"{"time_ms":2,"events":[2]}"#,
            r#"{"time_ms":3,"events":[3]}"#,
        ];
        assert_eq!(texts(batches.take_closed(now + WAIT)), wanted);
    }

    #[test]
    fn full_batch_leaves_early_and_its_successor_waits_its_own_time() {
        let (app, now) = (app("1"), Instant::now());
        let mut batches = Batches::new(Some(WAIT));
        for _ in 0..EVENTS_MAX {
            batches.add(&at(&app, 1), 0, b"1", now);
        }
        assert!(batches.take_closed(now).is_empty());
        let later = now + WAIT / 2;
        batches.add(&at(&app, 2), 0, b"2", later);
        let full = batches.take_closed(later);
        assert_eq!(full.iter().map(|b| b.events).sum::<usize>(), EVENTS_MAX);
        assert!(batches.take_closed(now + WAIT).is_empty());
        let wanted = [r#"{"time_ms":2,"events":[2]}"#];
        assert_eq!(texts(batches.take_closed(later + WAIT)), wanted);
        assert_eq!(batches.bytes, 0);
    }

    #[test]
    fn body_is_bounded_in_bytes_but_takes_one_event_of_any_size() {
        let (app, now) = (app("1"), Instant::now());
        let mut batches = Batches::new(Some(WAIT));
        batches.add(&at(&app, 1), 0, &vec![b'1'; BYTES_MAX], now);
        batches.add(&at(&app, 2), 0, b"2", now);
        assert_eq!(batches.take_closed(now).len(), 1);
        batches.end();
        assert_eq!(batches.take_closed(now).len(), 1);
        assert_eq!(batches.len(), 0);
    }

    #[test]
    fn open_batches_are_bounded_together() {
        let (app, now) = (app("1"), Instant::now());
        let mut batches = Batches::new(Some(WAIT));
        let large = vec![b'1'; BYTES_MAX / 2];
        for hook in 0..=OPEN_BYTES_MAX / large.len() {
            batches.add(&at(&app, 1), hook, &large, now);
            assert!(batches.bytes <= OPEN_BYTES_MAX);
        }
        assert!(!batches.take_closed(now).is_empty());
    }

    #[test]
    fn changed_app_begins_a_new_batch() {
        let (old, new, now) = (app("1"), app("1"), Instant::now());
        let mut batches = Batches::new(Some(WAIT));
        batches.add(&at(&old, 1), 0, b"1", now);
        batches.add(&at(&new, 2), 0, b"2", now);
        let closed = batches.take_closed(now);
        assert!(closed.iter().all(|b| Arc::ptr_eq(&b.app, &old)));
        assert_eq!(texts(closed), [r#"{"time_ms":1,"events":[1]}"#]);
    }
}
