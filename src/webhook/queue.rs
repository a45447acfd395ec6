//! Deliveries that wait for their turn or for another attempt, bounded together.
//! Must not know: HTTP, why an attempt failed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
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
    /// What it is about; `None` if that is several channels.
    pub(super) channel: Option<Arc<str>>,
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
    order: Order,
}

/// Whether a delivery waits for its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// It does, while another holds the channel.
    Waits,
    /// Others wait for its first attempt.
    Holds,
    /// It has waited, or has been attempted.
    Free,
}

/// Where deliveries wait.
#[derive(Debug)]
pub(super) enum Queue {
    /// In this process: what waits when it dies is lost.
    Memory(Memory),
}

impl Queue {
    /// `order_wait` is how long a delivery waits for the first attempt of an earlier one about the same channel.
    pub(super) fn memory(max: Load, order_wait: Duration) -> Self {
        Self::Memory(Memory::new(max, order_wait))
    }

    /// Takes a parcel in; returns those that had to go for it, the oldest of the URL with the most bytes waiting.
    pub(super) fn push(&mut self, parcel: Parcel) -> Vec<Arc<Parcel>> {
        let Self::Memory(memory) = self;
        memory.push(parcel)
    }

    /// The next delivery to attempt. It counts as in flight until `retry` or `done`.
    pub(super) fn take(&mut self, now: Instant) -> Option<Delivery> {
        let Self::Memory(memory) = self;
        memory.take(now)
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
        memory.wake_due(now);
    }

    /// Makes those ready that wait for another attempt.
    pub(super) fn wake_all(&mut self) {
        let Self::Memory(memory) = self;
        memory.wake_all();
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
    order_wait: Duration,
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
    /// Channels held by a first attempt, and who waits for it.
    held: HashMap<Option<Arc<str>>, VecDeque<u64>>,
    bytes: usize,
    in_flight: usize,
    failing: bool,
    has_turn: bool,
}

impl Memory {
    fn new(max: Load, order_wait: Duration) -> Self {
        Self {
            max,
            order_wait,
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
            order: Order::Waits,
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

    fn take(&mut self, now: Instant) -> Option<Delivery> {
        while let Some(index) = self.turns.pop_front() {
            let Some(lane) = self.lanes.get_mut(index) else {
                continue;
            };
            lane.has_turn = false;
            if lane.in_flight >= LANE_IN_FLIGHT_MAX {
                continue;
            }
            let taken = lane.take(now + self.order_wait, |due, serial| {
                self.timers.insert((due, serial), index);
            });
            self.give_turn(index);
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    fn retry(&mut self, mut delivery: Delivery, due: Instant) -> bool {
        self.release_channel(&delivery);
        delivery.order = Order::Free;
        delivery.due = Some(due);
        let lane = &mut self.lanes[delivery.lane];
        lane.in_flight -= 1;
        let first = !std::mem::replace(&mut lane.failing, true);
        self.enqueue(delivery);
        first
    }

    fn done(&mut self, delivery: &Delivery, delivered: bool) {
        self.release_channel(delivery);
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

    /// The next that waits for the channel becomes the one that holds it.
    fn release_channel(&mut self, holder: &Delivery) {
        if holder.order != Order::Holds {
            return;
        }
        let lane = &mut self.lanes[holder.lane];
        let Some(waiting) = lane.held.get_mut(&holder.parcel.channel) else {
            return;
        };
        while let Some(serial) = waiting.pop_front() {
            if let Some(next) = lane.queued.get_mut(&serial)
                && next.order == Order::Waits
                && let Some(due) = next.due.take()
            {
                next.order = Order::Holds;
                lane.ready.insert(serial);
                self.timers.remove(&(due, serial));
                return;
            }
        }
        lane.held.remove(&holder.parcel.channel);
    }

    fn remove_lane(&mut self, index: usize, parcel: &Parcel) {
        self.lanes.remove(index);
        let key = (parcel.app.id.clone(), parcel.target().url.as_str().into());
        self.by_target.remove(&key);
    }

    fn wake_due(&mut self, now: Instant) {
        while let Some((&key, &index)) = self.timers.first_key_value() {
            if key.0 > now {
                return;
            }
            self.wake(key, index);
        }
    }

    fn wake_all(&mut self) {
        let timers = self.timers.clone();
        for ((due, serial), index) in timers {
            if self.lanes[index].queued[&serial].order == Order::Free {
                self.wake((due, serial), index);
            }
        }
    }

    fn wake(&mut self, (due, serial): (Instant, u64), index: usize) {
        self.timers.remove(&(due, serial));
        let lane = &mut self.lanes[index];
        if let Some(delivery) = lane.queued.get_mut(&serial) {
            delivery.due = None;
            delivery.order = Order::Free;
            lane.ready.insert(serial);
        }
        self.give_turn(index);
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
        self.release_channel(&oldest);
        if is_empty {
            self.remove_lane(index, &oldest.parcel);
        } else {
            self.give_turn(index);
        }
        Some(oldest.parcel)
    }
}

impl Lane {
    /// The oldest that is ready and need not wait for its channel; those that must are due at `due`, and `defer` is told.
    fn take(&mut self, due: Instant, mut defer: impl FnMut(Instant, u64)) -> Option<Delivery> {
        while let Some(serial) = self.ready.pop_first() {
            let Some(delivery) = self.queued.get_mut(&serial) else {
                continue;
            };
            if delivery.order == Order::Waits {
                if let Some(waiting) = self.held.get_mut(&delivery.parcel.channel) {
                    waiting.push_back(serial);
                    delivery.due = Some(due);
                    defer(due, serial);
                    continue;
                }
                self.held
                    .insert(delivery.parcel.channel.clone(), VecDeque::new());
                delivery.order = Order::Holds;
            }
            let delivery = self.queued.remove(&serial)?;
            self.bytes -= delivery.parcel.bytes();
            self.in_flight += 1;
            return Some(delivery);
        }
        None
    }
}

#[cfg(test)]
mod tests;
