//! What does a delivery cost, beside a bare loop of `send()` over as many sockets?

use super::Bench;
use crate::{
    bound::{self, Bound},
    client::{Fleet, Talk},
    drive::{Lane, Load, Sample, Source},
    publisher::{Connections, Publisher},
    report::{Goal, Report, Row},
    server::{Contender, Kind},
    stats::{median, milliseconds},
    subscribers::{Entry, Then, enter},
};
use std::time::Duration;

const SIZES: [usize; 4] = [1, 100, 1_000, 5_000];
const BURST: usize = 8;
const FRAMES_PER_WRITE: u32 = 4;
/// Sockets that the generator opens at a time; below the 20,000 that a process may have.
const SOCKETS_MAX: usize = 18_000;

pub(super) fn answer(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    report.question("CPU per delivery (against: bare send loop)");
    for size in SIZES {
        let together = (SOCKETS_MAX / size - 1).max(1);
        for contenders in bench.contenders.chunks(together) {
            measure(bench, report, contenders, size)?;
        }
    }
    Ok(())
}

/// The bare loop with its sockets, all of them the generator's.
pub(super) fn bare_loop(bench: &Bench, size: usize) -> anyhow::Result<Lane> {
    let (process, address) = Bound::Send.start(bench.cores, size)?;
    let mut fleet = Fleet::new(address)?;
    let control = fleet.connect(Talk::Frames)?;
    for _ in 0..size {
        fleet.connect(Talk::Frames)?;
    }
    Ok(Lane::new(process, fleet, Source::Bound { control }, size))
}

fn lane(bench: &Bench, contender: &Contender, size: usize) -> anyhow::Result<Lane> {
    let server = contender.start(bench.cores)?;
    let mut fleet = Fleet::new(server.address)?;
    enter(&mut fleet, size, 50, Then::Stay, |_| {
        Entry::Public(bound::CHANNEL.into())
    })?;
    let publisher = Publisher::new(bound::CHANNEL, crate::wire::EVENT_BYTES, Connections::Kept);
    Ok(Lane::new(
        server.process,
        fleet,
        Source::Publish(publisher),
        size,
    ))
}

/// Both loads of one process, once a round.
struct Runs {
    kind: Option<Kind>,
    who: &'static str,
    lane: Lane,
    alone: Vec<Sample>,
    burst: Vec<Sample>,
}

fn measure(
    bench: &Bench,
    report: &mut Report,
    contenders: &[Contender],
    size: usize,
) -> anyhow::Result<()> {
    let span = bench.pick(Duration::from_millis(600), Duration::from_millis(250));
    let runs = |kind, who, lane| Runs {
        kind,
        who,
        lane,
        alone: Vec::new(),
        burst: Vec::new(),
    };
    let mut all = vec![runs(None, "bound", bare_loop(bench, size)?)];
    for contender in contenders {
        let lane = lane(bench, contender, size)?;
        all.push(runs(Some(contender.kind), contender.name(), lane));
    }
    for _ in 0..bench.rounds(7, 3) {
        for run in &mut all {
            let load = Load {
                in_flight: 1,
                frames_per_write: 1,
                span,
            };
            run.alone.push(run.lane.run(load)?);
        }
        for run in &mut all {
            let load = Load {
                in_flight: BURST,
                frames_per_write: FRAMES_PER_WRITE,
                span,
            };
            run.burst.push(run.lane.run(load)?);
        }
        // The machine's speed drifts: whoever was first is next to somebody else now.
        all.reverse();
    }
    all.sort_by_key(|run| run.kind.is_some());
    let (alone_figure, burst_figure) = (
        format!("fan-out to {size}, 1 in flight"),
        format!("fan-out to {size}, {BURST} in flight"),
    );
    for run in &mut all {
        for (samples, figure) in [
            (&mut run.alone, &alone_figure),
            (&mut run.burst, &burst_figure),
        ] {
            samples
                .iter_mut()
                .for_each(|sample| report.sample(sample.json(figure, run.who)));
        }
    }
    let (bound, contenders) = all.split_at_mut(1);
    let bound = &mut bound[0];
    for run in contenders {
        let Some(kind) = run.kind else { continue };
        let row = row(
            run.who,
            &alone_figure,
            &mut run.alone,
            &bound.alone,
            |ours, bound| bound / ours,
        );
        let goal = match size {
            100 => Some(Goal::AtLeast(1.0)),
            1_000 | 5_000 => Some(Goal::AtLeast(0.95)),
            _ => None,
        };
        report.row(goal.map_or(row.clone(), |goal| row.held_to(kind, goal)));
        let row = row_of_burst(run, &burst_figure, bound);
        let goal = (size == 1_000).then_some(Goal::AtMost(0.2));
        report.row(goal.map_or(row.clone(), |goal| row.held_to(kind, goal)));
    }
    let against = median(bound.alone.iter().map(Sample::cpu_per_delivery));
    for (samples, figure) in [
        (&mut bound.alone, alone_figure),
        (&mut bound.burst, burst_figure),
    ] {
        let cpu = median(samples.iter().map(Sample::cpu_per_delivery));
        let note = note(samples);
        let row = Row::lone("bound", figure, "us", cpu).beside(against, cpu / against);
        report.row(row.noted(note));
    }
    Ok(())
}

fn row_of_burst(run: &mut Runs, figure: &str, bound: &Runs) -> Row {
    row(
        run.who,
        figure,
        &mut run.burst,
        &bound.alone,
        |ours, bound| ours / bound,
    )
}

/// CPU per delivery against the bound's of the same round.
pub(super) fn row(
    who: &'static str,
    figure: &str,
    samples: &mut [Sample],
    bounds: &[Sample],
    ratio: impl Fn(f64, f64) -> f64,
) -> Row {
    let costs: Vec<f64> = samples.iter().map(Sample::cpu_per_delivery).collect();
    let bounds: Vec<f64> = bounds.iter().map(Sample::cpu_per_delivery).collect();
    let ratios = costs
        .iter()
        .zip(&bounds)
        .map(|(ours, bound)| ratio(*ours, *bound));
    let ratio = median(ratios);
    let note = note(samples);
    Row::lone(who, figure, "us", median(costs))
        .beside(median(bounds), ratio)
        .noted(note)
}

fn note(samples: &mut [Sample]) -> String {
    let cost = median(samples.iter().map(Sample::cpu_per_delivery));
    let mut percentile = |percent| {
        median(
            samples
                .iter_mut()
                .map(|sample| milliseconds(sample.latencies.percentile(percent))),
        )
    };
    let (p50, p99) = (percentile(50), percentile(99));
    format!(
        "{:.0} deliveries per CPU-s, p50 {p50:.2} p99 {p99:.2} ms",
        1e6 / cost
    )
}
