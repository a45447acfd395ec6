//! Deliveries that wait for their turn or for another attempt, bounded together.
//! Must not know: HTTP, why an attempt failed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use slab::Slab;

use super::Load;
use crate::app::{App, AppId, Hook};

/// Attempts at once for one app and URL.
const LANE_IN_FLIGHT_MAX: usize = 32;
/// What a delivery costs beside its body.
const DELIVERY_BYTES: usize = 512;

/// One request: the same bytes on every attempt.
#[derive(Debug)]
pub(super) struct Parcel {
    /// `X-Bowline-Webhook-Id`.
    pub(super) id: String,
    pub(super) app: Arc<App>,
    /// Index into the app's webhooks.
    pub(super) hook: usize,
    pub(super) body: Bytes,
}

impl Parcel {
    pub(super) fn target(&self) -> &Hook {
        &self.app.webhooks[self.hook]
    }

    fn bytes(&self) -> usize {
        self.body.len() + DELIVERY_BYTES
    }
}

/// A parcel and its story so far.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) parcel: Arc<Parcel>,
    /// Attempts begun.
    pub(super) attempts: u32,
    /// When the first attempt began.
    pub(super) since: Option<Instant>,
    serial: u64,
    lane: usize,
    due: Option<Instant>,
}

/// Where deliveries wait.
#[derive(Debug)]
pub(super) enum Queue {
    /// In this process: what waits when it dies is lost.
    Memory(Memory),
}

impl Queue {
    pub(super) fn memory(max: Load) -> Self {
        Self::Memory(Memory::new(max))
    }

    /// Takes a parcel in; returns those that had to go for it, the oldest of the URL with the most bytes waiting.
    pub(super) fn push(&mut self, parcel: Parcel) -> Vec<Arc<Parcel>> {
        let Self::Memory(memory) = self;
        memory.push(parcel)
    }

    /// The next delivery to attempt. It counts as in flight until `retry` or `done`.
    pub(super) fn take(&mut self) -> Option<Delivery> {
        let Self::Memory(memory) = self;
        memory.take()
    }

    /// Puts it back until `due`. Whether it is the first failure of its URL since the last success.
    pub(super) fn retry(&mut self, delivery: Delivery, due: Instant) -> bool {
        let Self::Memory(memory) = self;
        memory.retry(delivery, due)
    }

    /// Forgets it, delivered or given up.
    pub(super) fn done(&mut self, delivery: &Delivery, delivered: bool) {
        let Self::Memory(memory) = self;
        memory.done(delivery, delivered);
    }

    /// Makes those ready that are due.
    pub(super) fn wake_due(&mut self, now: Instant) {
        let Self::Memory(memory) = self;
        memory.wake(Some(now));
    }

    /// Makes all ready.
    pub(super) fn wake_all(&mut self) {
        let Self::Memory(memory) = self;
        memory.wake(None);
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        let Self::Memory(memory) = self;
        memory.timers.first_key_value().map(|((due, _), _)| *due)
    }

    /// Deliveries waiting or in flight.
    pub(super) fn len(&self) -> usize {
        let Self::Memory(memory) = self;
        memory.load.count
    }

    /// Takes all that is not in flight.
    pub(super) fn drain(&mut self) -> Vec<Arc<Parcel>> {
        let Self::Memory(memory) = self;
        let lanes = memory.lanes.drain();
        lanes
            .flat_map(|lane| lane.queued.into_values().map(|d| d.parcel))
            .collect()
    }
}

/// Deliveries in lanes, one lane per app and URL, served in turn.
#[derive(Debug)]
pub(super) struct Memory {
    max: Load,
    load: Load,
    lanes: Slab<Lane>,
    by_target: HashMap<(AppId, Box<str>), usize>,
    /// Lanes that may have a delivery to take; checked when it is their turn.
    turns: VecDeque<usize>,
    timers: BTreeMap<(Instant, u64), usize>,
    next: u64,
}

#[derive(Debug, Default)]
struct Lane {
    /// Waiting for a turn or a time, by age.
    queued: BTreeMap<u64, Delivery>,
    /// Those of `queued` that may go now.
    ready: BTreeSet<u64>,
    bytes: usize,
    in_flight: usize,
    failing: bool,
    has_turn: bool,
}

impl Memory {
    fn new(max: Load) -> Self {
        Self {
            max,
            load: Load::default(),
            lanes: Slab::new(),
            by_target: HashMap::new(),
            turns: VecDeque::new(),
            timers: BTreeMap::new(),
            next: 0,
        }
    }

    fn push(&mut self, parcel: Parcel) -> Vec<Arc<Parcel>> {
        let parcel = Arc::new(parcel);
        let mut dropped = Vec::new();
        if parcel.bytes() > self.max.bytes {
            return vec![parcel];
        }
        while !self.load.has_room(parcel.bytes(), self.max) {
            let Some(oldest) = self.drop_oldest() else {
                dropped.push(parcel);
                return dropped;
            };
            dropped.push(oldest);
        }
        self.load.add(parcel.bytes());
        let lane = self.lane_of(&parcel);
        let serial = self.next;
        self.next += 1;
        let delivery = Delivery {
            parcel,
            attempts: 0,
            since: None,
            serial,
            lane,
            due: None,
        };
        self.enqueue(delivery);
        dropped
    }

    fn lane_of(&mut self, parcel: &Parcel) -> usize {
        let key = (parcel.app.id.clone(), parcel.target().url.as_str().into());
        *self
            .by_target
            .entry(key)
            .or_insert_with(|| self.lanes.insert(Lane::default()))
    }

    fn enqueue(&mut self, delivery: Delivery) {
        let (index, serial) = (delivery.lane, delivery.serial);
        let lane = &mut self.lanes[index];
        lane.bytes += delivery.parcel.bytes();
        match delivery.due {
            Some(due) => {
                self.timers.insert((due, serial), index);
            }
            None => {
                lane.ready.insert(serial);
            }
        }
        lane.queued.insert(serial, delivery);
        self.give_turn(index);
    }

    fn give_turn(&mut self, index: usize) {
        let Some(lane) = self.lanes.get_mut(index) else {
            return;
        };
        if !lane.has_turn && !lane.ready.is_empty() && lane.in_flight < LANE_IN_FLIGHT_MAX {
            lane.has_turn = true;
            self.turns.push_back(index);
        }
    }

    fn take(&mut self) -> Option<Delivery> {
        while let Some(index) = self.turns.pop_front() {
            let Some(lane) = self.lanes.get_mut(index) else {
                continue;
            };
            lane.has_turn = false;
            if lane.in_flight >= LANE_IN_FLIGHT_MAX {
                continue;
            }
            let serial = lane.ready.pop_first();
            let Some(delivery) = serial.and_then(|s| lane.queued.remove(&s)) else {
                continue;
            };
            lane.bytes -= delivery.parcel.bytes();
            lane.in_flight += 1;
            self.give_turn(index);
            return Some(delivery);
        }
        None
    }

    fn retry(&mut self, mut delivery: Delivery, due: Instant) -> bool {
        let index = delivery.lane;
        delivery.due = Some(due);
        let lane = &mut self.lanes[index];
        lane.in_flight -= 1;
        let first = !std::mem::replace(&mut lane.failing, true);
        self.enqueue(delivery);
        first
    }

    fn done(&mut self, delivery: &Delivery, delivered: bool) {
        self.load.remove(delivery.parcel.bytes());
        let lane = &mut self.lanes[delivery.lane];
        lane.in_flight -= 1;
        lane.failing &= !delivered;
        if lane.in_flight == 0 && lane.queued.is_empty() {
            self.remove_lane(delivery.lane, &delivery.parcel);
        } else {
            self.give_turn(delivery.lane);
        }
    }

    fn remove_lane(&mut self, index: usize, parcel: &Parcel) {
        self.lanes.remove(index);
        let key = (parcel.app.id.clone(), parcel.target().url.as_str().into());
        self.by_target.remove(&key);
    }

    fn wake(&mut self, until: Option<Instant>) {
        while let Some((&(due, serial), &index)) = self.timers.first_key_value() {
            if until.is_some_and(|until| due > until) {
                return;
            }
            self.timers.pop_first();
            let lane = &mut self.lanes[index];
            if let Some(delivery) = lane.queued.get_mut(&serial) {
                delivery.due = None;
            }
            lane.ready.insert(serial);
            self.give_turn(index);
        }
    }

    /// From the lane with the most bytes waiting, so that one dead URL costs no other its deliveries.
    fn drop_oldest(&mut self) -> Option<Arc<Parcel>> {
        let (index, lane) = self.lanes.iter_mut().max_by_key(|(_, lane)| lane.bytes)?;
        let (serial, oldest) = lane.queued.pop_first()?;
        lane.ready.remove(&serial);
        lane.bytes -= oldest.parcel.bytes();
        let is_empty = lane.in_flight == 0 && lane.queued.is_empty();
        if let Some(due) = oldest.due {
            self.timers.remove(&(due, serial));
        }
        self.load.remove(oldest.parcel.bytes());
        if is_empty {
            self.remove_lane(index, &oldest.parcel);
        }
        Some(oldest.parcel)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ROOM: Load = Load {
        count: 100,
        bytes: 1 << 20,
    };

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
            body: Bytes::from_static(b"body"),
        }
    }

    fn ids(parcels: &[Arc<Parcel>]) -> Vec<&str> {
        parcels.iter().map(|p| p.id.as_str()).collect()
    }

    fn take_id(queue: &mut Queue) -> Option<String> {
        queue.take().map(|d| d.parcel.id.clone())
    }

    #[test]
    fn lanes_take_turns_and_each_keeps_its_order() {
        let app = app("1", &["http://a/", "http://b/"]);
        let mut queue = Queue::memory(ROOM);
        for (hook, id) in [(0, "a1"), (0, "a2"), (1, "b1"), (0, "a3")] {
            assert!(queue.push(parcel(&app, hook, id)).is_empty());
        }
        let taken: Vec<_> = std::iter::from_fn(|| take_id(&mut queue)).collect();
        assert_eq!(taken, ["a1", "b1", "a2", "a3"]);
    }

    #[test]
    fn what_is_in_flight_for_one_url_is_bounded_and_hinders_no_other() {
        let app = app("1", &["http://a/", "http://b/"]);
        let mut queue = Queue::memory(ROOM);
        for n in 0..LANE_IN_FLIGHT_MAX + 2 {
            queue.push(parcel(&app, 0, &n.to_string()));
        }
        let taken: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(taken.len(), LANE_IN_FLIGHT_MAX);
        queue.push(parcel(&app, 1, "other"));
        assert_eq!(take_id(&mut queue).as_deref(), Some("other"));
        queue.done(&taken[0], true);
        assert!(queue.take().is_some());
        assert!(queue.take().is_none());
    }

    #[test]
    fn retry_waits_for_its_time_and_holds_up_nobody() {
        let app = app("1", &["http://a/"]);
        let (mut queue, now) = (Queue::memory(ROOM), Instant::now());
        let due = now + Duration::from_secs(1);
        queue.push(parcel(&app, 0, "first"));
        let first = queue.take().unwrap();
        assert!(queue.retry(first, due));
        assert_eq!(queue.next_due(), Some(due));
        queue.push(parcel(&app, 0, "second"));
        let second = queue.take().unwrap();
        assert_eq!(second.parcel.id, "second");
        assert!(!queue.retry(second, due), "the URL is known to fail");
        queue.wake_due(now);
        assert!(queue.take().is_none());
        queue.wake_due(due);
        let first = queue.take().unwrap();
        assert_eq!(first.parcel.id, "first");
        queue.done(&first, true);
        let second = queue.take().unwrap();
        assert!(queue.retry(second, due), "a success made it well");
        queue.wake_all();
        let last = queue.take().unwrap();
        queue.done(&last, false);
        assert_eq!(queue.len(), 0);
        let Queue::Memory(memory) = &queue;
        assert!(memory.lanes.is_empty() && memory.by_target.is_empty());
        assert_eq!(memory.load, Load::default());
    }

    #[test]
    fn over_its_bound_it_drops_the_oldest_of_the_longest_lane() {
        let app = app("1", &["http://dead/", "http://well/"]);
        let mut queue = Queue::memory(Load { count: 4, ..ROOM });
        queue.push(parcel(&app, 1, "well1"));
        for id in ["dead1", "dead2", "dead3"] {
            queue.push(parcel(&app, 0, id));
        }
        let later = Instant::now() + Duration::from_secs(9);
        while let Some(delivery) = queue.take() {
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
        let mut queue = Queue::memory(Load { bytes, ..ROOM });
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
        let mut queue = Queue::memory(Load { count: 1, ..ROOM });
        queue.push(parcel(&app, 0, "flying"));
        let flying = queue.take().unwrap();
        assert_eq!(ids(&queue.push(parcel(&app, 0, "late"))), ["late"]);
        queue.done(&flying, true);
        assert!(queue.push(parcel(&app, 0, "next")).is_empty());
    }
}
