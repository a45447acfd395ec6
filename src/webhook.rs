//! Tells an app's own server what happened in its channels: filters, batches, signs, posts, tries again.
//! Must not know: sockets, who counts subscribers. spec: scaling-webhooks-metrics, "Webhooks".
//!
//! An event goes [`Webhooks::enqueue`] → inbox → (courier's task) grace → batch of its hook → queue → attempt. All that is
//! behind the inbox belongs to the courier alone, so nothing else is locked; each step has its bound, and what a bound costs
//! is counted.

mod batch;
mod client;
mod courier;
mod event;
mod grace;
mod guard;
mod queue;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, oneshot},
};

pub use self::event::Event;
use self::{
    courier::{Courier, Flush},
    event::Occurrence,
};
use crate::{
    app::{App, AppId, Hook, HookEvent},
    config,
};

/// Beyond a flush's deadline, for the answer to come back.
const FLUSH_SLACK: Duration = Duration::from_millis(200);

/// How many things wait, and how large they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    count: usize,
    bytes: usize,
}

impl Load {
    const fn has_room(self, bytes: usize, max: Self) -> bool {
        self.count < max.count && self.bytes + bytes <= max.bytes
    }

    const fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    const fn remove(&mut self, bytes: usize) {
        self.count -= 1;
        self.bytes -= bytes;
    }
}

/// Sizes and times of delivery.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Events the courier has not seen yet.
    inbox: Load,
    /// Leaves held for their grace.
    held: Load,
    /// Requests waiting or in flight.
    queue: Load,
    /// Requests in flight, of all hooks.
    in_flight: usize,
    /// For the first attempt of an earlier request about the same channel: so events arrive in order while the target
    /// answers, and one that hangs holds up the others for no longer.
    order_wait: Duration,
    /// One attempt, from the look-up of the name to the status.
    timeout: Duration,
    /// Before the second attempt; doubles with each one.
    pause: Duration,
    /// Between two attempts at most, also when the target asks for more.
    pause_max: Duration,
    /// From the first attempt on; then it is given up.
    give_up_after: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            inbox: Load {
                count: 1 << 16,
                bytes: 32 << 20,
            },
            held: Load {
                count: 100_000,
                bytes: 32 << 20,
            },
            queue: Load {
                count: 1 << 16,
                bytes: 64 << 20,
            },
            in_flight: 1024,
            order_wait: Duration::from_millis(250),
            timeout: Duration::from_secs(5),
            pause: Duration::from_secs(1),
            pause_max: Duration::from_mins(1),
            give_up_after: Duration::from_mins(5),
        }
    }
}

/// The way to all hooks of all apps. Cheap to clone; usable from any thread.
#[derive(Clone, Debug)]
pub struct Webhooks {
    inbox: Arc<Inbox>,
    flushes: mpsc::Sender<Flush>,
    has_grace: bool,
}

impl Webhooks {
    /// Starts delivering on `runtime`.
    pub fn start(config: &config::Webhooks, runtime: &Handle) -> Self {
        Self::start_within(config, Bounds::default(), runtime)
    }

    fn start_within(config: &config::Webhooks, bounds: Bounds, runtime: &Handle) -> Self {
        let inbox = Arc::new(Inbox::new(bounds.inbox));
        let (flushes, requests) = mpsc::channel(1);
        let courier = Courier::new(Arc::clone(&inbox), config, bounds);
        runtime.spawn(courier.run(requests));
        Self {
            inbox,
            flushes,
            has_grace: !config.grace.is_zero(),
        }
    }

    /// Whether such an event would be enqueued: ask before building an event that costs an allocation.
    pub fn wants(&self, app: &App, kind: HookEvent, channel: &str) -> bool {
        !app.webhooks.is_empty()
            && app.webhooks.iter().any(|hook| {
                hook.wants(kind, channel)
                    || (self.has_grace && opposite(kind).is_some_and(|k| hook.wants(k, channel)))
            })
    }

    /// Takes an event for delivery at least once, if a hook of the app wants it. Never waits: over its bound the inbox drops
    /// its oldest event, which is counted and logged.
    pub fn enqueue(&self, app: &Arc<App>, event: Event) {
        if self.wants(app, event.kind(), event.channel()) {
            self.inbox.push(Occurrence {
                app: Arc::clone(app),
                event,
                time_ms: now_ms(),
            });
        }
    }

    /// Requests that wait or are in flight, and events that are not in one yet; not those held for their grace.
    pub fn queue_length(&self) -> usize {
        self.inbox.len() + self.inbox.beyond.load(Ordering::Relaxed)
    }

    /// Sends what is held or pending, trying again without back-off, and stops. Returns when all is delivered or `within` is
    /// over, and how many events and requests were left; those are counted as dropped and logged. What is enqueued later is
    /// dropped too.
    pub async fn flush(&self, within: Duration) -> usize {
        let (done, left) = oneshot::channel();
        let deadline = Instant::now() + within;
        let flush = async {
            if self.flushes.send(Flush { deadline, done }).await.is_err() {
                return None;
            }
            left.await.ok()
        };
        let left = tokio::time::timeout(within + FLUSH_SLACK, flush).await;
        left.ok().flatten().unwrap_or_else(|| self.queue_length())
    }
}

impl Hook {
    fn wants(&self, kind: HookEvent, channel: &str) -> bool {
        self.event_types.contains(&kind)
            && self
                .channel_name_starts_with
                .as_ref()
                .is_none_or(|start| channel.starts_with(start.as_str()))
            && self
                .channel_name_ends_with
                .as_ref()
                .is_none_or(|end| channel.ends_with(end.as_str()))
    }
}

/// What takes the other back within the grace. Both must reach it, even if hooks want only one: a reload tells neither.
const fn opposite(kind: HookEvent) -> Option<HookEvent> {
    match kind {
        HookEvent::ChannelOccupied => Some(HookEvent::ChannelVacated),
        HookEvent::ChannelVacated => Some(HookEvent::ChannelOccupied),
        HookEvent::MemberAdded => Some(HookEvent::MemberRemoved),
        HookEvent::MemberRemoved => Some(HookEvent::MemberAdded),
        _ => None,
    }
}

/// Events on their way to the courier.
#[derive(Debug)]
struct Inbox {
    max: Load,
    events: Mutex<Events>,
    arrived: Notify,
    /// What the courier has and has not delivered.
    beyond: AtomicUsize,
}

#[derive(Debug, Default)]
struct Events {
    list: VecDeque<Occurrence>,
    load: Load,
    dropped: usize,
    is_closed: bool,
}

impl Inbox {
    fn new(max: Load) -> Self {
        Self {
            max,
            events: Mutex::default(),
            arrived: Notify::new(),
            beyond: AtomicUsize::new(0),
        }
    }

    fn push(&self, occurrence: Occurrence) {
        let bytes = occurrence.event.bytes();
        let mut events = self.events();
        if events.is_closed || bytes > self.max.bytes {
            events.dropped += 1;
            count("webhooks_dropped_total", &occurrence.app.id);
        } else {
            while !events.load.has_room(bytes, self.max) {
                events.drop_oldest();
            }
            events.load.add(bytes);
            events.list.push_back(occurrence);
        }
        drop(events);
        self.arrived.notify_one();
    }

    /// Moves at most `count` events to `taken`; how many were dropped since the last time.
    fn take(&self, count: usize, taken: &mut Vec<Occurrence>) -> usize {
        let mut events = self.events();
        for _ in 0..count {
            let Some(occurrence) = events.pop() else {
                break;
            };
            taken.push(occurrence);
        }
        std::mem::take(&mut events.dropped)
    }

    /// Takes no more; what was left.
    fn close(&self) -> VecDeque<Occurrence> {
        let mut events = self.events();
        events.is_closed = true;
        std::mem::take(&mut events.list)
    }

    fn len(&self) -> usize {
        self.events().list.len()
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    fn pop(&mut self) -> Option<Occurrence> {
        let occurrence = self.list.pop_front()?;
        self.load.remove(occurrence.event.bytes());
        Some(occurrence)
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.pop() {
            self.dropped += 1;
            count("webhooks_dropped_total", &oldest.app.id);
        }
    }
}

fn count(metric: &'static str, app: &AppId) {
    metrics::counter!(crate::metrics::name(metric), "app_id" => app.to_string()).increment(1);
}

/// Where the configured prefix is put before a metric's name.
fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
