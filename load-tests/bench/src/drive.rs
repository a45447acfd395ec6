//! Drives one server with events and reads what its deliveries cost.

use crate::{
    bound,
    client::{Fleet, Heard},
    flight::Flight,
    publisher::Publisher,
    server::Process,
    stats::{Latencies, microseconds},
    subscribers::{Member, PATIENCE},
    wire,
};
use anyhow::bail;
use std::time::{Duration, Instant};

/// How an event is set off.
pub(crate) enum Source {
    Publish(Publisher),
    /// The bare loop, by its control connection.
    Bound {
        control: usize,
    },
    /// Members of a channel in turn, so that none of them sends too often.
    Members {
        channel: String,
        members: Vec<Member>,
        next: usize,
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

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) in_flight: usize,
    /// Of the bare loop only; a server decides that itself.
    pub(crate) frames_per_write: u32,
    pub(crate) span: Duration,
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

    /// Keeps `load.in_flight` events in flight, a tenth of the time to warm up and then for `load.span`.
    pub(crate) fn run(&mut self, load: Load) -> anyhow::Result<Sample> {
        self.keep_flying(load, load.span / 10)?;
        self.flight.reset();
        let (begun, cpu) = (Instant::now(), self.process.cpu()?);
        self.keep_flying(load, load.span)?;
        Ok(Sample {
            cpu: self.process.cpu()? - cpu,
            wall: begun.elapsed(),
            events: self.flight.landed,
            deliveries: self.flight.deliveries,
            latencies: self.flight.latencies.clone(),
        })
    }

    /// Sets off events for `span`, then waits until the last has landed.
    fn keep_flying(&mut self, load: Load, span: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        let (mut landed, mut moved) = (self.flight.landed, begun);
        loop {
            let now = Instant::now();
            let together = match self.source {
                Source::Bound { .. } => load.frames_per_write as usize,
                _ => 1,
            };
            if now - begun < span {
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
            Source::Members {
                channel,
                members,
                next,
            } => {
                let number = self.flight.launch(self.recipients, false, now)?;
                *next = (*next + 1) % members.len();
                let event = wire::client_event(channel, number);
                self.fleet
                    .send(members[*next].key, &wire::text(event.as_bytes()))
            }
        }
    }

    /// Sets off one event that counts from `sent`.
    pub(crate) fn launch_one(&mut self, sent: Instant) -> anyhow::Result<()> {
        self.launch(
            Load {
                in_flight: 1,
                frames_per_write: 1,
                span: Duration::ZERO,
            },
            sent,
        )
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
                flight.land(payload);
                if memchr::memmem::find(payload, b"\"pusher:error\"").is_some() {
                    refusal = Some(String::from_utf8_lossy(payload).into_owned());
                }
            }
            (Source::Publish(publisher), heard) => match publisher.hear(key, &heard) {
                Some(number) => flight.answered(number),
                None => {
                    lost = matches!(heard, Heard::Closed(Some(_)))
                        .then_some(key)
                        .or(lost)
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
