//! What does a delivery cost, beside a bare loop of `send()` over as many sockets?

use super::Bench;
use crate::{
    bound::{self, Bound},
    client::{Fleet, Talk},
    drive::{Lane, Load, Refill, Sample, Source},
    publisher::{Connections, Publisher},
    race::{Entrant, Ratio, delivery_note, race, row},
    report::{Goal, Report, Row},
    server::Contender,
    stats::median,
    subscribers::{Entry, Then, enter},
    wire::EVENT_BYTES,
};

const BURST: usize = 8;
/// Of the bare loop in a burst; otherwise it writes one at a time.
const FRAMES_PER_WRITE: u32 = 4;
/// Sockets that the generator opens at a time; below the 20,000 that a process may have.
const SOCKETS_MAX: usize = 18_000;

pub(super) fn answer(bench: &Bench, report: &mut Report) {
    Report::question("CPU per delivery (against: bare send loop)");
    for &size in &bench.sizes {
        let together = (SOCKETS_MAX / size.max(1)).saturating_sub(1).max(1);
        for contenders in bench.contenders.chunks(together) {
            let what = format!("fan-out to {size}");
            report.attempt(&what, |report| measure(bench, report, contenders, size));
        }
    }
}

fn measure(
    bench: &Bench,
    report: &mut Report,
    contenders: &[Contender],
    size: usize,
) -> anyhow::Result<()> {
    let mut entrants = vec![Entrant::bound(bare_loop(bench, size)?)];
    for contender in contenders {
        let lane = lane(bench, contender, size)?;
        entrants.push(Entrant::new(contender.kind, contender.name(), lane));
    }
    race(&mut entrants, &loads(bench), bench.rounds(11, 3))?;
    tell(report, &mut entrants, size);
    Ok(())
}

/// One in flight; bursts; as many in flight, each followed by another as soon as it has landed.
fn loads(bench: &Bench) -> [Load; 3] {
    let span = bench.span();
    [
        Load::one(span),
        Load::many(BURST, Refill::InBursts, span).bound_writes(FRAMES_PER_WRITE),
        Load::many(BURST, Refill::AsTheyLand, span),
    ]
}

/// The bare loop with its sockets, all of them the generator's.
pub(super) fn bare_loop(bench: &Bench, size: usize) -> anyhow::Result<Lane> {
    let (process, address) = Bound::Send.start(bench.cores, size)?;
    let mut fleet = Fleet::new(address)?;
    let control = fleet.connect(Talk::Frames)?;
    subscribe(&mut fleet, size)?;
    Ok(Lane::new(process, fleet, Source::Bound { control }, size))
}

fn subscribe(fleet: &mut Fleet, size: usize) -> anyhow::Result<()> {
    let entry = |_| Entry::Public(bound::CHANNEL.into());
    enter(fleet, size, 50, Then::Stay, entry)?;
    Ok(())
}

fn lane(bench: &Bench, contender: &Contender, size: usize) -> anyhow::Result<Lane> {
    let server = contender.start(bench.cores)?;
    let mut fleet = Fleet::new(server.address)?;
    subscribe(&mut fleet, size)?;
    let publisher = Publisher::new(bound::CHANNEL, EVENT_BYTES, Connections::Kept);
    let source = Source::Publish(publisher);
    Ok(Lane::new(server.process, fleet, source, size))
}

fn tell(report: &mut Report, entrants: &mut [Entrant], size: usize) {
    let alone = format!("fan-out to {size}, 1 in flight");
    let burst = format!("fan-out to {size}, bursts of {BURST}");
    let window = format!("fan-out to {size}, always {BURST} in flight");
    for entrant in &mut *entrants {
        for (figure, runs) in [&alone, &burst, &window].into_iter().zip(&mut entrant.runs) {
            report.runs(figure, entrant.who, runs);
        }
    }
    let Some((bound, servers)) = entrants.split_first_mut() else {
        return;
    };
    let burst_goal = (size == 1_000).then_some(Goal::AtMost(0.2));
    for Entrant {
        kind, who, runs, ..
    } in servers
    {
        let [ours, bursts, windows] = runs.as_mut_slice() else {
            continue;
        };
        let bound = &bound.runs[0];
        let row = beside((who, &alone), ours, bound, Ratio::BoundToOurs);
        report.row(row.held_to(*kind, goal_alone(size)));
        let row = beside((who, &burst), bursts, bound, Ratio::OursToBound);
        report.row(row.held_to(*kind, burst_goal));
        report.row(beside((who, &window), windows, bound, Ratio::OursToBound));
    }
    if let [alones, bursts, windows] = bound.runs.as_mut_slice() {
        let cost = median(alones.iter().map(Sample::cpu_per_delivery));
        report.row(Row::lone("bound", alone, "us", cost).noted(delivery_note(alones)));
        let row = beside(("bound", &burst), bursts, alones, Ratio::OursToBound);
        let note = format!("{FRAMES_PER_WRITE} frames a write; {}", row.note);
        report.row(row.noted(note));
        let row = beside(("bound", &window), windows, alones, Ratio::OursToBound);
        let note = format!("1 frame a write; {}", row.note);
        report.row(row.noted(note));
    }
}

fn beside(named: (&'static str, &str), ours: &mut [Sample], bound: &[Sample], ratio: Ratio) -> Row {
    let note = delivery_note(ours);
    row(named, ours, bound, ratio, Sample::cpu_per_delivery).noted(note)
}

fn goal_alone(size: usize) -> Option<Goal> {
    match size {
        100 => Some(Goal::AtLeast(1.0)),
        1_000 | 5_000 => Some(Goal::AtLeast(0.95)),
        _ => None,
    }
}
