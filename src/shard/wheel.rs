//! All pings and time-outs of a shard: 512 slots of 100 ms. A connection stands in the wheel once; when its slot comes it says when it
//! wants to be looked at next. Must not know what is timed.

use std::time::Duration;

const SLOTS: usize = 512;

/// Length of a tick in milliseconds.
pub const TICK_MS: u64 = 100;

/// Ticks since the shard began.
pub type Tick = u32;

/// The wheel.
#[derive(Debug)]
pub struct Wheel {
    slots: Box<[Vec<u32>]>,
    waiting: usize,
    /// The next tick to be looked at.
    next: Tick,
}

/// Ticks of a span, rounded up, at least one.
pub fn ticks(span: Duration) -> Tick {
    (span.as_millis().min(1 << 31).div_ceil(u128::from(TICK_MS)) as u32).max(1)
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            slots: std::iter::repeat_with(Vec::new).take(SLOTS).collect(),
            waiting: 0,
            next: 0,
        }
    }
}

impl Wheel {
    /// Puts `token` where it will be looked at, at `due` or earlier if that is beyond the wheel; says when.
    #[expect(clippy::cast_possible_truncation, reason = "512 slots")]
    pub fn add(&mut self, token: u32, due: Tick) -> Tick {
        let at = due.clamp(self.next, self.next + (SLOTS as u32 - 1));
        self.slots[at as usize % SLOTS].push(token);
        self.waiting += 1;
        at
    }

    /// The tokens of the next slot, if its time has come, and which tick it is.
    pub fn take(&mut self, now: Tick) -> Option<(Tick, Vec<u32>)> {
        if self.next > now {
            return None;
        }
        if self.waiting == 0 {
            self.next = now;
        }
        let at = self.next;
        let due = std::mem::take(&mut self.slots[at as usize % SLOTS]);
        self.waiting -= due.len();
        self.next += 1;
        Some((at, due))
    }

    /// The first tick at which something waits.
    pub fn first(&self) -> Option<Tick> {
        if self.waiting == 0 {
            return None;
        }
        (self.next..)
            .take(SLOTS)
            .find(|tick| !self.slots[*tick as usize % SLOTS].is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_at_their_tick_and_not_before() {
        let mut wheel = Wheel::default();
        assert_eq!((wheel.add(7, 3), wheel.add(8, 100_000)), (3, 511));
        assert_eq!(wheel.first(), Some(3));
        let mut seen = Vec::new();
        for now in 0..=511 {
            while let Some((at, tokens)) = wheel.take(now) {
                seen.extend(tokens.into_iter().map(|token| (at, token)));
            }
        }
        assert_eq!(seen, [(3, 7), (511, 8)]);
        assert_eq!(wheel.first(), None);
    }
}
