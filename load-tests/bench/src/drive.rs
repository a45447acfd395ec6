//! Drives one server with events and reads what its deliveries cost.

use crate::{
    bound,
    client::{Fleet, Heard},
    flight::Flight,
    publisher::Publisher,
    server::Process,
    stats::{Latencies, microseconds},
    subscribers::PATIENCE,
    wire,
};
use anyhow::bail;
use std::time::{Duration, Instant};

/// Events before a run counts. A socket that was quiet for 200 ms acknowledges the first 16 segments one by
/// one, and on loopback the server's core pays for that: no run may consist of those.
const WARM_EVENTS: u64 = 24;

/// How an event is set off.
pub(crate) enum Source {
    Publish(Publisher),
    /// The bare loop, by its control connection.
    Bound {
        control: usize,
    },
    /// A member of a channel, to all others. Always the same one: a socket that sends now and then puts off
    /// its acknowledgements, which the server's core pays for on loopback.
    Member {
        channel: String,
        key: usize,
    },
}

/// One process under load with all its clients.
pub(crate) struct Lane {
    pub(crate) process: Process,
    pub(crate) fleet: Fleet,
    pub(crate) source: Source,
    pub(crate) recipients: usize,
    pub(crate) flight: Flight,
}

/// When events follow those in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refill {
    /// One for each that has landed.
    AsTheyLand,
    /// All at once, when the last has landed.
    InBursts,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    in_flight: usize,
    refill: Refill,
    /// Of the bare loop only; a server decides that itself.
    frames_per_write: u32,
    span: Duration,
}

impl Load {
    pub(crate) fn one(span: Duration) -> Self {
        Self::many(1, Refill::AsTheyLand, span)
    }

    pub(crate) fn many(in_flight: usize, refill: Refill, span: Duration) -> Self {
        Self {
            in_flight,
            refill,
            frames_per_write: 1,
            span,
        }
    }

    /// What the bare loop does with it.
    pub(crate) fn bound_writes(self, frames_per_write: u32) -> Self {
        Self {
            frames_per_write,
            ..self
        }
    }
}

/// What one run of a load cost.
pub(crate) struct Sample {
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    pub(crate) latencies: Latencies,
}

impl Sample {
    pub(crate) fn cpu_per_delivery(&self) -> f64 {
        microseconds(self.cpu) / self.deliveries as f64
    }

    pub(crate) fn cpu_per_event(&self) -> f64 {
        microseconds(self.cpu) / self.events as f64
    }

    pub(crate) fn json(&mut self, figure: &str, who: &str) -> serde_json::Value {
        serde_json::json!({
            "figure": figure, "who": who, "events": self.events, "deliveries": self.deliveries,
            "cpu_seconds": self.cpu.as_secs_f64(), "wall_seconds": self.wall.as_secs_f64(),
            "p50_us": microseconds(self.latencies.percentile(50)),
            "p99_us": microseconds(self.latencies.percentile(99)),
        })
    }
}

impl Lane {
    pub(crate) fn new(process: Process, fleet: Fleet, source: Source, recipients: usize) -> Self {
        Self {
            process,
            fleet,
            source,
            recipients,
            flight: Flight::new(),
        }
    }

    /// Keeps `load.in_flight` events in flight: at first to warm up, then for `load.span`.
    pub(crate) fn run(&mut self, load: Load) -> anyhow::Result<Sample> {
        self.keep_flying(load, load.span / 10, WARM_EVENTS)?;
        self.flight.reset();
        let (begun, cpu) = (Instant::now(), self.process.cpu()?);
        self.keep_flying(load, load.span, 0)?;
        Ok(Sample {
            cpu: self.process.cpu_since(cpu)?,
            wall: begun.elapsed(),
            events: self.flight.landed,
            deliveries: self.flight.deliveries,
            latencies: self.flight.latencies.clone(),
        })
    }

    /// Sets off events for `span`, `least` of them at least, then waits until the last has landed.
    fn keep_flying(&mut self, load: Load, span: Duration, least: u64) -> anyhow::Result<()> {
        let begun = Instant::now();
        let enough = self.flight.landed + least;
        let (mut landed, mut moved) = (self.flight.landed, begun);
        loop {
            let now = Instant::now();
            let together = match self.source {
                Source::Bound { .. } => load.frames_per_write as usize,
                _ => 1,
            };
            let waits = load.refill == Refill::InBursts && self.flight.airborne() > 0;
            if (now - begun < span || landed < enough) && !waits {
                while self.flight.airborne() + together <= load.in_flight {
                    self.launch(load, now)?;
                }
            } else if self.flight.airborne() == 0 {
                return Ok(());
            }
            self.turn(PATIENCE)?;
            if self.flight.landed > landed {
                (landed, moved) = (self.flight.landed, now);
            } else if moved.elapsed() > PATIENCE {
                bail!("{} events in flight do not land", self.flight.airborne());
            }
        }
    }

    fn launch(&mut self, load: Load, now: Instant) -> anyhow::Result<()> {
        match &mut self.source {
            Source::Publish(publisher) => {
                let number = self.flight.launch(self.recipients, true, now)?;
                publisher.publish(&mut self.fleet, number)
            }
            Source::Bound { control } => {
                let first = self.flight.launch(self.recipients, false, now)?;
                for _ in 1..load.frames_per_write {
                    self.flight.launch(self.recipients, false, now)?;
                }
                self.fleet
                    .send(*control, &bound::order(first, load.frames_per_write))
            }
            Source::Member { channel, key } => {
                let number = self.flight.launch(self.recipients, false, now)?;
                let event = wire::client_event(channel, number);
                self.fleet.send(*key, &wire::text(event.as_bytes()))
            }
        }
    }

    /// Sets off one event that counts from `sent`.
    pub(crate) fn launch_one(&mut self, sent: Instant) -> anyhow::Result<()> {
        self.launch(Load::one(Duration::ZERO), sent)
    }

    /// Takes what has come, waiting at most `patience` for it.
    pub(crate) fn turn(&mut self, patience: Duration) -> anyhow::Result<()> {
        let Self {
            fleet,
            source,
            flight,
            ..
        } = self;
        let mut lost = None;
        let mut refusal = None;
        fleet.turn(patience, |key, heard| match (&mut *source, heard) {
            (_, Heard::Text(payload)) => {
                let is_event = flight.land(payload);
                if !is_event && memchr::memmem::find(payload, b"\"pusher:error\"").is_some() {
                    refusal = Some(String::from_utf8_lossy(payload).into_owned());
                }
            }
            (Source::Publish(publisher), heard) => match publisher.hear(key, &heard) {
                Some(number) => flight.answered(number),
                None => {
                    lost = matches!(heard, Heard::Closed(Some(_)))
                        .then_some(key)
                        .or(lost);
                }
            },
            (_, Heard::Closed(_)) => lost = Some(key),
            (_, Heard::Response { .. }) => {}
        })?;
        if let Source::Publish(Publisher {
            refused: Some(status),
            ..
        }) = source
        {
            bail!("a publish was answered {status}");
        }
        match (lost, refusal) {
            (_, Some(refusal)) => bail!("the server refused: {refusal}"),
            (Some(key), None) => bail!("the server closed client {key}"),
            (None, None) => Ok(()),
        }
    }
}
