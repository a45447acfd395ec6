//! Events in flight: sent, and not yet with everybody.

use crate::{stats::Latencies, wire};
use anyhow::bail;
use std::time::Instant;

/// More than any question has in flight.
const SLOTS: u32 = 4096;

#[derive(Clone, Copy)]
struct Slot {
    number: u32,
    /// Deliveries still to come.
    left: u32,
    answered: bool,
    sent: Instant,
}

pub(crate) struct Flight {
    slots: Vec<Slot>,
    next: u32,
    airborne: usize,
    pub(crate) deliveries: u64,
    pub(crate) landed: u64,
    pub(crate) latencies: Latencies,
}

impl Flight {
    pub(crate) fn new() -> Self {
        let slot = Slot {
            number: u32::MAX,
            left: 0,
            answered: true,
            sent: Instant::now(),
        };
        Self {
            slots: vec![slot; SLOTS as usize],
            next: 0,
            airborne: 0,
            deliveries: 0,
            landed: 0,
            latencies: Latencies::default(),
        }
    }

    /// Events that somebody has not got yet, or that are not answered yet.
    pub(crate) fn airborne(&self) -> usize {
        self.airborne
    }

    /// Forgets what was counted, not what is in flight.
    pub(crate) fn reset(&mut self) {
        (self.deliveries, self.landed) = (0, 0);
        self.latencies.clear();
    }

    /// The number of the next event, which `recipients` will get. `awaits_answer`: it counts as in
    /// flight until `answered`, too.
    pub(crate) fn launch(
        &mut self,
        recipients: usize,
        awaits_answer: bool,
        sent: Instant,
    ) -> anyhow::Result<u32> {
        let number = self.next;
        self.next += 1;
        let slot = &mut self.slots[(number % SLOTS) as usize];
        if slot.left > 0 || !slot.answered {
            bail!("{SLOTS} events in flight: the server does not keep up");
        }
        *slot = Slot {
            number,
            left: u32::try_from(recipients)?,
            answered: !awaits_answer,
            sent,
        };
        self.airborne += 1;
        Ok(number)
    }

    /// Takes note if this payload is an event of the generator; whether it is one.
    pub(crate) fn land(&mut self, payload: &[u8]) -> bool {
        let Some(number) = wire::event_number(payload) else {
            return false;
        };
        let slot = &mut self.slots[(number % SLOTS) as usize];
        if slot.number != number || slot.left == 0 {
            return true;
        }
        slot.left -= 1;
        self.deliveries += 1;
        self.latencies.push(slot.sent.elapsed());
        let over = slot.left == 0 && slot.answered;
        self.finish(over);
        true
    }

    pub(crate) fn answered(&mut self, number: u32) {
        let slot = &mut self.slots[(number % SLOTS) as usize];
        if slot.number != number || slot.answered {
            return;
        }
        slot.answered = true;
        let over = slot.left == 0;
        self.finish(over);
    }

    fn finish(&mut self, over: bool) {
        if over {
            self.airborne -= 1;
            self.landed += 1;
        }
    }
}
