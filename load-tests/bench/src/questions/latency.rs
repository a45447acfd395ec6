//! How long is an event under way at a steady rate, beside Soketi?

use super::Bench;
use crate::{
    client::Fleet,
    drive::{Lane, Source},
    publisher::{Connections, Publisher},
    report::{Goal, Report, Row},
    server::{Contender, Kind},
    stats::{Latencies, median, milliseconds},
    subscribers::{Entry, PATIENCE, Then, enter},
    wire::EVENT_BYTES,
};
use anyhow::bail;
use serde_json::json;
use std::time::{Duration, Instant};

struct Case {
    subscribers: usize,
    events_per_second: u32,
    /// Most of Soketi's p50 and p99.
    p50_most: f64,
    p99_most: f64,
}

const CASES: [Case; 2] = [
    Case {
        subscribers: 100,
        events_per_second: 100,
        p50_most: 0.55,
        p99_most: 0.75,
    },
    Case {
        subscribers: 1_000,
        events_per_second: 50,
        p50_most: 0.4,
        p99_most: 0.2,
    },
];

/// Median and 99th percentile of one run, in milliseconds.
#[derive(Clone, Copy)]
struct Run {
    p50: f64,
    p99: f64,
}

pub(super) fn answer(bench: &Bench, report: &mut Report) {
    Report::question("latency at a steady rate (against: Soketi)");
    for case in &CASES {
        let what = format!("latency with {} subscribers", case.subscribers);
        report.attempt(&what, |report| measure(bench, report, case));
    }
}

fn measure(bench: &Bench, report: &mut Report, case: &Case) -> anyhow::Result<()> {
    let span = bench.pick(Duration::from_secs(5), Duration::from_secs(2));
    let mut lanes = Vec::new();
    for contender in &bench.contenders {
        let mut lane = lane(bench, contender, case)?;
        steady(&mut lane, case.events_per_second, Duration::from_secs(1))?;
        lanes.push((contender.kind, contender.name(), lane, Vec::new()));
    }
    let figure = format!(
        "{} subscribers, {} events/s",
        case.subscribers, case.events_per_second
    );
    for _ in 0..bench.rounds(5, 2) {
        for (_, who, lane, runs) in &mut lanes {
            let mut latencies = steady(lane, case.events_per_second, span)?;
            let run = Run {
                p50: milliseconds(latencies.percentile(50)),
                p99: milliseconds(latencies.percentile(99)),
            };
            report.sample(
                json!({ "figure": figure, "who": who, "p50_ms": run.p50, "p99_ms": run.p99 }),
            );
            runs.push(run);
        }
    }
    let soketi = lanes
        .iter()
        .find(|(kind, ..)| *kind == Kind::Soketi)
        .map(|(.., runs)| runs.clone());
    for (kind, who, _, runs) in &lanes {
        let p50 = row(
            who,
            format!("p50, {figure}"),
            runs,
            soketi.as_deref(),
            |run| run.p50,
        );
        let p99 = row(
            who,
            format!("p99, {figure}"),
            runs,
            soketi.as_deref(),
            |run| run.p99,
        );
        for (row, most) in [(p50, case.p50_most), (p99, case.p99_most)] {
            // Without Soketi beside it there is no ratio, and so no verdict.
            let judged = row.ratio.is_some();
            report.row(if judged {
                row.held_to(*kind, Goal::AtMost(most))
            } else {
                row
            });
        }
    }
    Ok(())
}

fn row(
    who: &'static str,
    figure: String,
    runs: &[Run],
    soketi: Option<&[Run]>,
    percentile: impl Fn(&Run) -> f64,
) -> Row {
    let row = Row::lone(who, figure, "ms", median(runs.iter().map(&percentile)));
    let Some(soketi) = soketi else { return row };
    let ratios = runs
        .iter()
        .zip(soketi)
        .map(|(run, soketi)| percentile(run) / percentile(soketi));
    let ratio = median(ratios);
    row.beside(median(soketi.iter().map(&percentile)), ratio)
}

fn lane(bench: &Bench, contender: &Contender, case: &Case) -> anyhow::Result<Lane> {
    let server = contender.start(bench.cores)?;
    let mut fleet = Fleet::new(server.address)?;
    enter(&mut fleet, case.subscribers, 50, Then::Stay, |_| {
        Entry::Public("bench".into())
    })?;
    let publisher = Publisher::new("bench", EVENT_BYTES, Connections::Kept);
    Ok(Lane::new(
        server.process,
        fleet,
        Source::Publish(publisher),
        case.subscribers,
    ))
}

/// Publishes on schedule, whatever comes back; latency counts from when an event was due.
fn steady(lane: &mut Lane, per_second: u32, span: Duration) -> anyhow::Result<Latencies> {
    /// The poll waits whole milliseconds; the rest is spun.
    const GRAIN: Duration = Duration::from_millis(1);
    lane.flight.reset();
    let (begun, step) = (Instant::now(), Duration::from_secs(1) / per_second);
    let mut due = begun;
    while due < begun + span {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            lane.turn(left.saturating_sub(GRAIN))?;
        }
        lane.launch_one(due)?;
        due += step;
    }
    let end = Instant::now() + PATIENCE;
    while lane.flight.airborne() > 0 {
        if Instant::now() > end {
            bail!("{} events in flight do not land", lane.flight.airborne());
        }
        lane.turn(GRAIN)?;
    }
    Ok(lane.flight.latencies.clone())
}
