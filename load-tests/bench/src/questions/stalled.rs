//! Does one reader that stops reading hurt the others, and what becomes of it?

use super::Bench;
use crate::{
    client::{Fleet, Heard},
    flight::Flight,
    publisher::{Connections, Publisher},
    report::{Goal, Report, Row},
    server::{Contender, Process},
    stats::{median, milliseconds},
    subscribers::{Entry, Then, enter},
    wire::EVENT_BYTES,
};
use serde_json::json;
use std::time::{Duration, Instant};

const SUBSCRIBERS: usize = 1_000;
const EVENTS_PER_SECOND: u32 = 50;
/// The flood is for the one reader alone, so that its outbox fills while the others' load stays light.
const FLOOD_PER_SECOND: u32 = 200;
const FLOOD_BYTES: usize = 16 * 1024;
/// A number that no event of the others has.
const FLOOD_NUMBER: u32 = 99_999_999;
/// Bytes that may wait for one reader, by default.
const OUTBOX_BYTES: f64 = 1_048_576.0;
/// From its close frame a stalled reader has 5 s until its connection is reset.
const RESET_MAX: Duration = Duration::from_secs(8);

struct Run {
    p99_ms: f64,
    growth_bytes: f64,
    /// When the stalled reader was closed.
    closed_after: Option<Duration>,
}

pub(super) fn answer(bench: &Bench, report: &mut Report) {
    Report::question("a stalled reader in 1,000 (against: none)");
    for contender in bench.complete() {
        report.attempt(contender.name(), |report| measure(bench, report, contender));
    }
}

fn measure(bench: &Bench, report: &mut Report, contender: &Contender) -> anyhow::Result<()> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(3, 1) {
        for (runs, stalled) in [(&mut without, false), (&mut with, true)] {
            let run = run(bench, contender, stalled)?;
            report.sample(json!({
                "figure": "stalled", "who": contender.name(), "stalled": stalled, "p99_ms": run.p99_ms,
                "growth_bytes": run.growth_bytes,
                "closed_after_seconds": run.closed_after.map(|after| after.as_secs_f64()),
            }));
            runs.push(run);
        }
    }
    rows(report, contender, &with, &without);
    Ok(())
}

fn rows(report: &mut Report, contender: &Contender, with: &[Run], without: &[Run]) {
    let (who, kind) = (contender.name(), contender.kind);
    let ratio = median(
        with.iter()
            .zip(without)
            .map(|(with, without)| with.p99_ms / without.p99_ms),
    );
    let p99 = |runs: &[Run]| median(runs.iter().map(|run| run.p99_ms));
    let row = Row::lone(who, "p99 of the others", "ms", p99(with)).beside(p99(without), ratio);
    report.row(row.held_to(kind, Goal::AtMost(1.2)));
    let growth = |runs: &[Run]| median(runs.iter().map(|run| run.growth_bytes));
    let row = Row::lone(
        who,
        "memory growth in outbox bounds (1 MiB)",
        "",
        growth(with) / OUTBOX_BYTES,
    );
    let row = row.noted(format!("without: {:.2}", growth(without) / OUTBOX_BYTES));
    report.row(row.held_to(kind, Goal::AtMost(1.5)));
    let closed = with.iter().filter_map(|run| run.closed_after);
    let after = median(closed.clone().map(|after| after.as_secs_f64()));
    let share = closed.count() as f64 / with.len() as f64;
    let row = Row::lone(who, "stalled readers closed, share", "", share);
    let row = if after.is_nan() {
        row
    } else {
        row.noted(format!("after {after:.1} s"))
    };
    report.row(row.held_to(kind, Goal::AtLeast(1.0)));
}

/// What the publishing brings.
struct Scene {
    process: Process,
    fleet: Fleet,
    flight: Flight,
    events: Publisher,
    flood: Publisher,
    victim: usize,
    victim_closed: Option<Instant>,
}

impl Scene {
    fn begin(bench: &Bench, contender: &Contender) -> anyhow::Result<Self> {
        let server = contender.start(bench.cores)?;
        let mut fleet = Fleet::new(server.address)?;
        let both = |_| Entry::Both("bench".into(), "bench-flood".into());
        let victims = enter(&mut fleet, 1, 1, Then::Stay, both)?;
        enter(&mut fleet, SUBSCRIBERS - 1, 50, Then::Stay, |_| {
            Entry::Public("bench".into())
        })?;
        Ok(Self {
            process: server.process,
            fleet,
            flight: Flight::new(),
            events: Publisher::new("bench", EVENT_BYTES, Connections::Kept),
            flood: Publisher::new("bench-flood", FLOOD_BYTES, Connections::Kept),
            victim: victims[0].key,
            victim_closed: None,
        })
    }

    fn turn(&mut self, patience: Duration) -> anyhow::Result<()> {
        let Self {
            fleet,
            flight,
            events,
            flood,
            victim,
            victim_closed,
            ..
        } = self;
        fleet.turn(patience, |key, heard| {
            match &heard {
                // The one reader is never counted, so that both runs count the same deliveries.
                Heard::Text(payload) if key != *victim => drop(flight.land(payload)),
                Heard::Closed(_) if key == *victim => *victim_closed = Some(Instant::now()),
                _ => {}
            }
            if let Some(number) = events.hear(key, &heard) {
                flight.answered(number);
            }
            flood.hear(key, &heard);
        })?;
        anyhow::ensure!(self.events.refused.is_none(), "a publish was refused");
        anyhow::ensure!(
            self.flood.refused.is_none(),
            "a publish of the flood was refused"
        );
        Ok(())
    }

    /// Publishes for `span`, the flood too; the most anonymous memory meanwhile.
    fn publish(&mut self, span: Duration) -> anyhow::Result<u64> {
        const MEMORY_STEP: Duration = Duration::from_millis(100);
        let begun = Instant::now();
        let (mut event_due, mut flood_due, mut memory_due) = (begun, begun, begun);
        let mut most = 0;
        while begun.elapsed() < span {
            let now = Instant::now();
            if now >= event_due {
                let number = self.flight.launch(SUBSCRIBERS - 1, true, event_due)?;
                self.events.publish(&mut self.fleet, number)?;
                event_due += Duration::from_secs(1) / EVENTS_PER_SECOND;
            }
            if now >= flood_due {
                self.flood.publish(&mut self.fleet, FLOOD_NUMBER)?;
                flood_due += Duration::from_secs(1) / FLOOD_PER_SECOND;
            }
            if now >= memory_due {
                most = most.max(self.process.memory()?.anonymous_bytes);
                memory_due += MEMORY_STEP;
            }
            self.turn(Duration::from_millis(1))?;
        }
        Ok(most)
    }
}

fn run(bench: &Bench, contender: &Contender, stalled: bool) -> anyhow::Result<Run> {
    let mut scene = Scene::begin(bench, contender)?;
    // What the flood itself needs is not the stalled reader's.
    let start = scene.publish(Duration::from_secs(2))?;
    scene.flight.reset();
    if stalled {
        scene.fleet.stall(scene.victim);
    }
    let begun = Instant::now();
    let most = scene.publish(bench.pick(Duration::from_secs(10), Duration::from_secs(6)))?;
    let p99_ms = milliseconds(scene.flight.latencies.percentile(99));
    while stalled
        && scene.victim_closed.is_none()
        && begun.elapsed() < RESET_MAX + Duration::from_secs(6)
    {
        scene.turn(Duration::from_millis(100))?;
    }
    Ok(Run {
        p99_ms,
        growth_bytes: most.saturating_sub(start) as f64,
        closed_after: scene.victim_closed.map(|closed| closed - begun),
    })
}
