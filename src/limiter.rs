//! Message budgets: points per second and app for the REST API, and the same window for one socket's client events.
//! Must not know: HTTP headers, frames, which limit belongs to which endpoint's cost.

use std::time::{Duration, Instant};

use dashmap::DashMap;

use crate::app::{App, AppId};

/// Length of every window. spec: http-api, "Rate limiting".
const WINDOW_MS: u32 = 1000;

/// Which of an app's budgets is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Published events: `backend_events_per_second_max`.
    Backend,
    /// Reads of channels and users: `read_requests_per_second_max`.
    Read,
}

/// What a budget says to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The request fits; a refused one has been charged all the same.
    pub allowed: bool,
    /// Points a second.
    pub limit: u32,
    /// Points left in this window.
    pub remaining: u32,
    /// Until the window ends; whole milliseconds, at most 1 s.
    pub resets_in: Duration,
}

/// A fixed window of one second that begins with the first point charged to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    began_ms: u32,
    used: u32,
}

impl Window {
    /// Charges `points` and judges. `now_ms` is any clock in milliseconds that only moves on; it may wrap.
    pub fn consume(&mut self, now_ms: u32, limit: u32, points: u32) -> Verdict {
        if self.is_over(now_ms) {
            *self = Self {
                began_ms: now_ms,
                used: 0,
            };
        }
        self.used = self.used.saturating_add(points);
        let left_ms = WINDOW_MS - now_ms.wrapping_sub(self.began_ms);
        Verdict {
            allowed: self.used <= limit,
            limit,
            remaining: limit.saturating_sub(self.used),
            resets_in: Duration::from_millis(left_ms.into()),
        }
    }

    fn is_over(self, now_ms: u32) -> bool {
        self.used == 0 || now_ms.wrapping_sub(self.began_ms) >= WINDOW_MS
    }
}

/// Where budgets are counted.
#[derive(Debug)]
pub enum Limiter {
    /// In this process: every node allows the whole limit.
    Memory(Memory),
}

impl Limiter {
    /// Counts in this process.
    pub fn memory() -> Self {
        Self::Memory(Memory {
            epoch: Instant::now(),
            apps: DashMap::new(),
        })
    }

    /// Charges `points`, also when it refuses. `None`: the app has no such limit, and nothing was counted.
    pub fn consume(&self, app: &App, kind: Kind, points: u32) -> Option<Verdict> {
        let limit = match kind {
            Kind::Backend => app.backend_events_per_second_max,
            Kind::Read => app.read_requests_per_second_max,
        }?;
        let Self::Memory(memory) = self;
        Some(memory.consume(&app.id, kind, limit, points))
    }

    /// Forgets windows that are over. Called once a second.
    pub fn sweep(&self) {
        let Self::Memory(memory) = self;
        let now_ms = memory.now_ms();
        memory
            .apps
            .retain(|_, windows| windows.iter().any(|w| !w.is_over(now_ms)));
    }
}

/// The two windows of each app that was charged in the last second or two.
#[derive(Debug)]
pub struct Memory {
    epoch: Instant,
    apps: DashMap<AppId, [Window; 2]>,
}

impl Memory {
    fn consume(&self, id: &AppId, kind: Kind, limit: u32, points: u32) -> Verdict {
        let now_ms = self.now_ms();
        if let Some(mut windows) = self.apps.get_mut(id) {
            return windows[kind as usize].consume(now_ms, limit, points);
        }
        self.apps.entry(id.clone()).or_default()[kind as usize].consume(now_ms, limit, points)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "windows compare by wrapping"
    )]
    fn now_ms(&self) -> u32 {
        self.epoch.elapsed().as_millis() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_begins_with_its_first_point_and_lasts_one_second() {
        let mut window = Window::default();
        let first = window.consume(5_000, 3, 2);
        assert!(first.allowed);
        assert_eq!(
            (first.remaining, first.resets_in),
            (1, Duration::from_secs(1))
        );
        let second = window.consume(5_003, 3, 1);
        assert!(second.allowed);
        assert_eq!(
            (second.remaining, second.resets_in),
            (0, Duration::from_millis(997))
        );
        assert!(!window.consume(5_999, 3, 1).allowed);
        assert!(window.consume(6_000, 3, 1).allowed);
    }

    #[test]
    fn refused_points_still_count() {
        let mut window = Window::default();
        assert!(window.consume(1, 3, 2).allowed);
        assert!(!window.consume(2, 3, 2).allowed);
        let third = window.consume(3, 3, 1);
        assert!(!third.allowed);
        assert_eq!(third.remaining, 0);
    }

    #[test]
    fn window_survives_the_wrap_of_its_clock() {
        let mut window = Window::default();
        assert!(window.consume(u32::MAX - 10, 1, 1).allowed);
        assert!(!window.consume(10, 1, 1).allowed);
        assert!(window.consume(989, 1, 1).allowed);
    }

    #[test]
    fn window_is_small_enough_for_every_socket() {
        assert_eq!(size_of::<Window>(), 8);
    }

    #[test]
    fn absent_limit_gives_no_verdict_and_zero_refuses_all() {
        let limiter = Limiter::memory();
        let mut app = App::new("1", "k", "s");
        assert_eq!(limiter.consume(&app, Kind::Backend, 1), None);
        app.backend_events_per_second_max = Some(0);
        let verdict = limiter.consume(&app, Kind::Backend, 1);
        assert!(verdict.is_some_and(|v| !v.allowed && v.limit == 0));
    }

    #[test]
    fn budgets_of_apps_and_kinds_are_apart() {
        let limiter = Limiter::memory();
        let (mut one, mut two) = (App::new("1", "k1", "s"), App::new("2", "k2", "s"));
        for app in [&mut one, &mut two] {
            app.backend_events_per_second_max = Some(1);
            app.read_requests_per_second_max = Some(1);
        }
        let allowed = |app: &App, kind| limiter.consume(app, kind, 1).is_some_and(|v| v.allowed);
        assert!(allowed(&one, Kind::Backend));
        assert!(!allowed(&one, Kind::Backend));
        assert!(allowed(&one, Kind::Read));
        assert!(allowed(&two, Kind::Backend));
    }

    #[test]
    fn sweep_forgets_only_windows_that_are_over() {
        let limiter = Limiter::memory();
        let Limiter::Memory(memory) = &limiter;
        let mut app = App::new("1", "k", "s");
        app.read_requests_per_second_max = Some(9);
        limiter.consume(&app, Kind::Read, 1);
        limiter.sweep();
        assert_eq!(memory.apps.len(), 1);
        let over = Window {
            began_ms: memory.now_ms().wrapping_sub(WINDOW_MS),
            used: 1,
        };
        memory.apps.insert(app.id, [over; 2]);
        limiter.sweep();
        assert_eq!(memory.apps.len(), 0);
    }
}
