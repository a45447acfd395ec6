//! What does a delivery cost, beside a bare loop of `send()` over as many sockets?

use super::Bench;
use crate::{
    bound::{self, Bound},
    client::{Fleet, Talk},
    drive::{Lane, Load, Sample, Source},
    publisher::{Connections, Publisher},
    race::{Entrant, Ratio, delivery_note, race, row},
    report::{Goal, Report, Row},
    server::Contender,
    subscribers::{Entry, Then, enter},
    wire::EVENT_BYTES,
};
use std::time::Duration;

const BURST: usize = 8;
/// Of the bare loop in a burst.
const FRAMES_PER_WRITE: u32 = 4;
/// Sockets that the generator opens at a time; below the 20,000 that a process may have.
const SOCKETS_MAX: usize = 18_000;

pub(super) fn answer(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    Report::question("CPU per delivery (against: bare send loop)");
    for &size in &bench.sizes {
        let together = (SOCKETS_MAX / size.max(1)).saturating_sub(1).max(1);
        for contenders in bench.contenders.chunks(together) {
            let mut entrants = vec![Entrant::bound(bare_loop(bench, size)?)];
            for contender in contenders {
                let lane = lane(bench, contender, size)?;
                entrants.push(Entrant::new(contender.kind, contender.name(), lane));
            }
            race(&mut entrants, &loads(bench), bench.rounds(11, 3))?;
            tell(report, &mut entrants, size);
        }
    }
    Ok(())
}

/// One in flight, and a burst.
fn loads(bench: &Bench) -> [Load; 2] {
    let span = bench.span();
    [
        Load {
            in_flight: 1,
            frames_per_write: 1,
            span,
        },
        Load {
            in_flight: BURST,
            frames_per_write: FRAMES_PER_WRITE,
            span,
        },
    ]
}

/// The bare loop with its sockets, all of them the generator's.
pub(super) fn bare_loop(bench: &Bench, size: usize) -> anyhow::Result<Lane> {
    let (process, address) = Bound::Send.start(bench.cores, size)?;
    let mut fleet = Fleet::new(address)?;
    let control = fleet.connect(Talk::Frames)?;
    for _ in 0..size {
        fleet.connect(Talk::Frames)?;
    }
    // It takes its first order when it has accepted everybody.
    fleet.idle_until(std::time::Instant::now() + Duration::from_millis(50))?;
    Ok(Lane::new(process, fleet, Source::Bound { control }, size))
}

fn lane(bench: &Bench, contender: &Contender, size: usize) -> anyhow::Result<Lane> {
    let server = contender.start(bench.cores)?;
    let mut fleet = Fleet::new(server.address)?;
    enter(&mut fleet, size, 50, Then::Stay, |_| {
        Entry::Public(bound::CHANNEL.into())
    })?;
    let publisher = Publisher::new(bound::CHANNEL, EVENT_BYTES, Connections::Kept);
    let source = Source::Publish(publisher);
    Ok(Lane::new(server.process, fleet, source, size))
}

fn tell(report: &mut Report, entrants: &mut [Entrant], size: usize) {
    let alone = format!("fan-out to {size}, 1 in flight");
    let burst = format!("fan-out to {size}, {BURST} in flight");
    for entrant in &mut *entrants {
        report.runs(&alone, entrant.who, &mut entrant.runs[0]);
        report.runs(&burst, entrant.who, &mut entrant.runs[1]);
    }
    let Some((bound, servers)) = entrants.split_first_mut() else {
        return;
    };
    for server in servers {
        let named = (server.who, alone.as_str());
        let row = beside(
            named,
            &mut server.runs[0],
            &bound.runs[0],
            Ratio::BoundToOurs,
        );
        report.row(row.held_to(server.kind, goal_alone(size)));
        let named = (server.who, burst.as_str());
        let row = beside(
            named,
            &mut server.runs[1],
            &bound.runs[0],
            Ratio::OursToBound,
        );
        let goal = (size == 1_000).then_some(Goal::AtMost(0.2));
        report.row(row.held_to(server.kind, goal));
    }
    // The bound's own burst against its own one in flight: what sharing writes can give.
    let note = delivery_note(&mut bound.runs[0]);
    let cost = Row::lone(
        "bound",
        alone,
        "us",
        crate::stats::median(bound.runs[0].iter().map(Sample::cpu_per_delivery)),
    );
    report.row(cost.noted(note));
    let note = delivery_note(&mut bound.runs[1]);
    let named = ("bound", burst.as_str());
    let cost = row(
        named,
        &bound.runs[1],
        &bound.runs[0],
        Ratio::OursToBound,
        Sample::cpu_per_delivery,
    );
    report.row(cost.noted(format!("{FRAMES_PER_WRITE} frames a write; {note}")));
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
