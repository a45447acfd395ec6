//! The last event of each cache channel. spec: protocol, "Cache channels".
//! Must not know: sockets, frames, which channel names are cache channels.

use std::{
    collections::{BTreeMap, HashMap},
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::app::{App, AppId};

/// Bytes that all cached events of this process may take.
const BYTES_MAX: usize = 64 << 20;
/// What an entry costs beside its texts: keys, map slots, counters.
const ENTRY_BYTES: usize = 256;
/// Parts with a lock of their own.
const PARTS: usize = 16;
/// Stands for "never": an app whose `cache_ttl` is zero, as in Soketi.
const FOREVER: Duration = Duration::from_hours(10 * 365 * 24);

/// An event as it is replayed to a new subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedEvent {
    /// Its name.
    pub event: Box<str>,
    /// Its data: JSON text.
    pub data_json: Box<str>,
    /// Rises with every event cached on this node.
    pub sequence: u64,
}

/// Where last events are kept.
#[derive(Debug)]
pub enum Cache {
    /// In this process: subscribers of other nodes miss.
    Memory(Memory),
}

impl Cache {
    /// Keeps events in this process, 64 MiB of them.
    pub fn memory() -> Self {
        Self::Memory(Memory::new(BYTES_MAX))
    }

    /// Makes this the channel's event for the app's `cache_ttl` (zero: for ever). The bound in bytes is kept by letting
    /// events go that would expire soonest. Returns the event's sequence.
    pub fn put(&self, app: &App, channel: &Arc<str>, event: &str, data_json: &str) -> u64 {
        let Self::Memory(memory) = self;
        let key = Key(app.id.clone(), Arc::clone(channel));
        let event = CachedEvent {
            event: event.into(),
            data_json: data_json.into(),
            sequence: 0,
        };
        memory.put(key, event, app.limits.cache_ttl, Instant::now())
    }

    /// The channel's event, if it has one that has not expired.
    pub fn get(&self, app: &App, channel: &Arc<str>) -> Option<Arc<CachedEvent>> {
        let Self::Memory(memory) = self;
        memory.get(&Key(app.id.clone(), Arc::clone(channel)), Instant::now())
    }

    /// Frees what has expired. Called once a second.
    pub fn sweep(&self) {
        let Self::Memory(memory) = self;
        memory.sweep(Instant::now());
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key(AppId, Arc<str>);

#[derive(Debug)]
struct Entry {
    event: Arc<CachedEvent>,
    expiry: Expiry,
    bytes: usize,
}

/// Sorts entries by when they go; the number tells apart those that go together.
type Expiry = (Instant, u64);

/// Entries by key and by expiry, which is why a plain concurrent map will not do: both move together.
#[derive(Debug, Default)]
struct Part {
    entries: HashMap<Key, Entry>,
    by_expiry: BTreeMap<Expiry, Key>,
}

impl Part {
    /// Bytes freed.
    fn remove(&mut self, key: &Key) -> usize {
        self.entries.remove(key).map_or(0, |entry| {
            self.by_expiry.remove(&entry.expiry);
            entry.bytes
        })
    }

    /// Removes what goes first, if that is at `until` or before: its app, and bytes freed.
    fn pop(&mut self, until: Option<Instant>) -> Option<(AppId, usize)> {
        let (expiry, _) = self.by_expiry.first_key_value()?;
        if until.is_some_and(|until| expiry.0 > until) {
            return None;
        }
        let (_, key) = self.by_expiry.pop_first()?;
        let entry = self.entries.remove(&key)?;
        Some((key.0, entry.bytes))
    }
}

/// Entries of this process in parts, bounded together.
#[derive(Debug)]
pub struct Memory {
    parts: [Mutex<Part>; PARTS],
    hasher: foldhash::fast::RandomState,
    bytes: AtomicUsize,
    bytes_max: usize,
    serial: AtomicU64,
}

impl Memory {
    fn new(bytes_max: usize) -> Self {
        Self {
            parts: Default::default(),
            hasher: foldhash::fast::RandomState::default(),
            bytes: AtomicUsize::new(0),
            bytes_max,
            serial: AtomicU64::new(0),
        }
    }

    fn put(&self, key: Key, mut event: CachedEvent, ttl: Duration, now: Instant) -> u64 {
        let ttl = if ttl.is_zero() {
            FOREVER
        } else {
            ttl.min(FOREVER)
        };
        let bytes = ENTRY_BYTES + key.1.len() + event.event.len() + event.data_json.len();
        let mut part = self.part(self.home(&key));
        self.bytes.fetch_sub(part.remove(&key), Ordering::Relaxed);
        event.sequence = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        let sequence = event.sequence;
        if bytes > self.bytes_max {
            evicted(&key.0);
            return sequence;
        }
        let expiry = (now + ttl, sequence);
        part.by_expiry.insert(expiry, key.clone());
        let entry = Entry {
            event: Arc::new(event),
            expiry,
            bytes,
        };
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        part.entries.insert(key, entry);
        drop(part);
        self.evict();
        sequence
    }

    /// Lets go of what expires soonest until the bound holds.
    fn evict(&self) {
        while self.bytes.load(Ordering::Relaxed) > self.bytes_max {
            let first = (0..PARTS)
                .filter_map(|index| {
                    let part = self.part(index);
                    let (expiry, _) = part.by_expiry.first_key_value()?;
                    Some((*expiry, index))
                })
                .min();
            let Some((_, index)) = first else { return };
            let popped = self.part(index).pop(None);
            if let Some((app, bytes)) = popped {
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                evicted(&app);
            }
        }
    }

    fn get(&self, key: &Key, now: Instant) -> Option<Arc<CachedEvent>> {
        let mut part = self.part(self.home(key));
        let entry = part.entries.get(key)?;
        if entry.expiry.0 > now {
            return Some(Arc::clone(&entry.event));
        }
        self.bytes.fetch_sub(part.remove(key), Ordering::Relaxed);
        None
    }

    fn sweep(&self, now: Instant) {
        for index in 0..PARTS {
            let mut part = self.part(index);
            while let Some((_, bytes)) = part.pop(Some(now)) {
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
    }

    fn home(&self, key: &Key) -> usize {
        let hash = self.hasher.hash_one(key);
        usize::try_from(hash % PARTS as u64).unwrap_or(0)
    }

    fn part(&self, index: usize) -> MutexGuard<'_, Part> {
        self.parts[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn evicted(app: &AppId) {
    metrics::counter!(crate::metrics::name("cache_evicted_total"), "app_id" => app.to_string())
        .increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(app: &str, channel: &str) -> Key {
        Key(AppId(app.into()), channel.into())
    }

    fn event(data_json: &str) -> CachedEvent {
        CachedEvent {
            sequence: 0,
            event: "e".into(),
            data_json: data_json.into(),
        }
    }

    fn bytes(memory: &Memory) -> usize {
        memory.bytes.load(Ordering::Relaxed)
    }

    #[test]
    fn last_event_of_a_channel_is_returned_per_app() {
        let cache = Cache::memory();
        let (one, two) = (App::new("1", "k1", "s"), App::new("2", "k2", "s"));
        let channel: Arc<str> = "cache-a".into();
        assert_eq!(cache.get(&one, &channel), None);
        let first = cache.put(&one, &channel, "first", "1");
        let sequence = cache.put(&one, &channel, "second", r#""x""#);
        assert!(sequence > first);
        let found = cache.get(&one, &channel).map(|e| (*e).clone());
        let wanted = CachedEvent {
            event: "second".into(),
            data_json: r#""x""#.into(),
            sequence,
        };
        assert_eq!(found, Some(wanted));
        assert_eq!(cache.get(&two, &channel), None);
    }

    #[test]
    fn event_expires_after_its_time_whether_or_not_anybody_asks() {
        let memory = Memory::new(BYTES_MAX);
        let (now, ttl) = (Instant::now(), Duration::from_secs(10));
        for channel in ["asked", "swept"] {
            memory.put(key("1", channel), event("1"), ttl, now);
        }
        assert!(memory.get(&key("1", "asked"), now + ttl / 2).is_some());
        assert!(memory.get(&key("1", "asked"), now + ttl).is_none());
        assert!(bytes(&memory) > 0);
        memory.sweep(now + ttl);
        assert_eq!(bytes(&memory), 0);
    }

    #[test]
    fn replacing_an_event_restarts_its_time() {
        let memory = Memory::new(BYTES_MAX);
        let (now, ttl) = (Instant::now(), Duration::from_secs(10));
        memory.put(key("1", "c"), event("1"), ttl, now);
        let once = bytes(&memory);
        memory.put(key("1", "c"), event("2"), ttl, now + ttl / 2);
        assert_eq!(bytes(&memory), once);
        memory.sweep(now + ttl);
        let found = memory.get(&key("1", "c"), now + ttl);
        assert!(found.is_some_and(|e| &*e.data_json == "2"));
    }

    #[test]
    fn zero_ttl_never_expires() {
        let memory = Memory::new(BYTES_MAX);
        let now = Instant::now();
        memory.put(key("1", "c"), event("1"), Duration::ZERO, now);
        let later = now + Duration::from_hours(9600);
        memory.sweep(later);
        assert!(memory.get(&key("1", "c"), later).is_some());
    }

    #[test]
    fn bound_in_bytes_evicts_the_oldest() {
        let memory = Memory::new(10 * (ENTRY_BYTES + 110));
        let (now, ttl) = (Instant::now(), Duration::from_secs(10));
        let data = "x".repeat(100);
        for n in 0..40 {
            let at = now + Duration::from_millis(n);
            memory.put(key("1", &format!("c{n}")), event(&data), ttl, at);
            assert!(bytes(&memory) <= memory.bytes_max);
        }
        let kept = |n: u64| memory.get(&key("1", &format!("c{n}")), now).is_some();
        assert!((0..30).all(|n| !kept(n)));
        assert!((30..40).all(kept));
    }

    #[test]
    fn event_larger_than_the_bound_is_not_kept_nor_is_the_one_it_replaces() {
        let memory = Memory::new(1000);
        let (now, ttl) = (Instant::now(), Duration::from_secs(10));
        memory.put(key("1", "c"), event("1"), ttl, now);
        memory.put(key("1", "c"), event(&"x".repeat(1000)), ttl, now);
        assert!(memory.get(&key("1", "c"), now).is_none());
        assert_eq!(bytes(&memory), 0);
    }
}
