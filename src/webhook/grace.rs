//! Holds leaves back so that a page reload tells nobody. spec: scaling-webhooks-metrics, "When".

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Load,
    event::{Event, Occurrence},
};
use crate::app::AppId;

/// `channel_vacated` and `member_removed` that wait for their opposite, first in first out.
#[derive(Debug)]
pub(super) struct Grace {
    wait: Duration,
    max: Load,
    load: Load,
    held: HashMap<Key, Serial>,
    by_due: BTreeMap<Serial, (Key, Occurrence)>,
    next: u64,
}

/// When it goes, and a number that keeps the order of those that go together.
type Serial = (Instant, u64);

/// A channel's occupation (no user), or a user's membership in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    app: AppId,
    channel: Arc<str>,
    user_id_json: Option<Box<str>>,
}

impl Grace {
    pub(super) fn new(wait: Duration, max: Load) -> Self {
        Self {
            wait,
            max,
            load: Load::default(),
            held: HashMap::new(),
            by_due: BTreeMap::new(),
            next: 0,
        }
    }

    /// What is to be sent now: nothing if `occurrence` is held, or if it takes back one that is.
    pub(super) fn admit(&mut self, occurrence: Occurrence, now: Instant) -> Option<Occurrence> {
        if self.wait.is_zero() {
            return Some(occurrence);
        }
        let (leaves, user_id_json) = match &occurrence.event {
            Event::ChannelVacated { .. } => (true, None),
            Event::ChannelOccupied { .. } => (false, None),
            Event::MemberRemoved { user_id_json, .. } => (true, Some(user_id_json.clone())),
            Event::MemberAdded { user_id_json, .. } => (false, Some(user_id_json.clone())),
            _ => return Some(occurrence),
        };
        let key = Key {
            app: occurrence.app.id.clone(),
            channel: Arc::clone(occurrence.event.channel()),
            user_id_json,
        };
        if leaves {
            return self.hold(key, occurrence, now);
        }
        match self.held.remove(&key) {
            Some(serial) => {
                if let Some((_, cancelled)) = self.by_due.remove(&serial) {
                    self.load.remove(cancelled.event.bytes());
                }
                None
            }
            None => Some(occurrence),
        }
    }

    fn hold(&mut self, key: Key, occurrence: Occurrence, now: Instant) -> Option<Occurrence> {
        if self.held.contains_key(&key) {
            return None;
        }
        let bytes = occurrence.event.bytes();
        if !self.load.has_room(bytes, self.max) {
            super::count("webhooks_grace_skipped_total", &occurrence.app.id);
            return Some(occurrence);
        }
        self.load.add(bytes);
        let serial = (now + self.wait, self.next);
        self.next += 1;
        self.held.insert(key.clone(), serial);
        self.by_due.insert(serial, (key, occurrence));
        None
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_due.first_key_value().map(|((due, _), _)| *due)
    }

    /// The first one whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Occurrence> {
        if self.next_due()? > now {
            return None;
        }
        let (_, (key, occurrence)) = self.by_due.pop_first()?;
        self.held.remove(&key);
        self.load.remove(occurrence.event.bytes());
        Some(occurrence)
    }

    /// From now on nothing is held; what was is returned, in order.
    pub(super) fn end(&mut self) -> Vec<Occurrence> {
        self.wait = Duration::ZERO;
        self.held.clear();
        self.load = Load::default();
        std::mem::take(&mut self.by_due)
            .into_values()
            .map(|(_, occurrence)| occurrence)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::App;

    const WAIT: Duration = Duration::from_secs(3);
    const ROOM: Load = Load {
        count: 10,
        bytes: 1 << 20,
    };

    fn vacated(channel: &str) -> Event {
        Event::ChannelVacated {
            channel: channel.into(),
        }
    }

    fn occupied(channel: &str) -> Event {
        Event::ChannelOccupied {
            channel: channel.into(),
        }
    }

    fn removed(user: &str) -> Event {
        Event::MemberRemoved {
            channel: "presence-a".into(),
            user_id_json: user.into(),
        }
    }

    fn added(user: &str) -> Event {
        Event::MemberAdded {
            channel: "presence-a".into(),
            user_id_json: user.into(),
        }
    }

    fn of(app: &str, event: Event) -> Occurrence {
        Occurrence {
            app: Arc::new(App::new(app, app, "s")),
            event,
            time_ms: 1,
        }
    }

    fn admit(grace: &mut Grace, event: Event, now: Instant) -> Option<Event> {
        grace.admit(of("1", event), now).map(|o| o.event)
    }

    #[test]
    fn leave_and_return_within_the_grace_tell_nothing() {
        let (mut grace, now) = (Grace::new(WAIT, ROOM), Instant::now());
        for (leave, back) in [(vacated("a"), occupied("a")), (removed("1"), added("1"))] {
            assert_eq!(admit(&mut grace, leave, now), None);
            assert_eq!(admit(&mut grace, back, now + WAIT / 2), None);
        }
        assert!(grace.pop_due(now + WAIT).is_none());
        assert_eq!((grace.by_due.len(), grace.load), (0, Load::default()));
    }

    #[test]
    fn leaves_are_told_in_order_when_their_time_has_come() {
        let (mut grace, now) = (Grace::new(WAIT, ROOM), Instant::now());
        for event in [vacated("presence-a"), removed("1"), removed("2")] {
            assert_eq!(admit(&mut grace, event, now), None);
        }
        assert!(grace.pop_due(now + WAIT / 2).is_none());
        let told: Vec<_> = std::iter::from_fn(|| grace.pop_due(now + WAIT))
            .map(|o| o.event)
            .collect();
        assert_eq!(told, [vacated("presence-a"), removed("1"), removed("2")]);
        let back = occupied("presence-a");
        assert_eq!(
            admit(&mut grace, back.clone(), now + WAIT),
            Some(back),
            "the vacate has been told, so the return is too"
        );
    }

    #[test]
    fn only_the_same_user_channel_and_app_take_a_leave_back() {
        let (mut grace, now) = (Grace::new(WAIT, ROOM), Instant::now());
        admit(&mut grace, removed("1"), now);
        admit(&mut grace, vacated("presence-a"), now);
        for event in [added("2"), added(r#""1""#), occupied("b")] {
            assert_eq!(admit(&mut grace, event.clone(), now), Some(event));
        }
        assert!(grace.admit(of("2", occupied("presence-a")), now).is_some());
        assert_eq!(grace.by_due.len(), 2);
    }

    #[test]
    fn zero_grace_tells_at_once() {
        let mut grace = Grace::new(Duration::ZERO, ROOM);
        let told = admit(&mut grace, vacated("a"), Instant::now());
        assert_eq!(told, Some(vacated("a")));
    }

    #[test]
    fn over_its_bound_it_tells_at_once() {
        let max = Load { count: 1, ..ROOM };
        let (mut grace, now) = (Grace::new(WAIT, max), Instant::now());
        assert_eq!(admit(&mut grace, vacated("a"), now), None);
        assert_eq!(admit(&mut grace, vacated("b"), now), Some(vacated("b")));
    }

    #[test]
    fn its_end_releases_all_and_holds_no_more() {
        let (mut grace, now) = (Grace::new(WAIT, ROOM), Instant::now());
        admit(&mut grace, vacated("a"), now);
        admit(&mut grace, vacated("b"), now);
        let told: Vec<_> = grace.end().into_iter().map(|o| o.event).collect();
        assert_eq!(told, [vacated("a"), vacated("b")]);
        assert_eq!(admit(&mut grace, vacated("c"), now), Some(vacated("c")));
    }
}
