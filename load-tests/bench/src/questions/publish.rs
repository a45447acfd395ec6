//! What does a signed publish cost that nobody hears, beside a bare HTTP responder?

use super::Bench;
use crate::{
    bound::Bound,
    client::Fleet,
    drive::{Lane, Load, Refill, Sample, Source},
    publisher::{Connections, Publisher},
    race::{Entrant, Ratio, race, row},
    report::{Goal, Report},
    server::Process,
    stats::{median, milliseconds},
    wire::EVENT_BYTES,
};
use std::net::SocketAddr;

/// Requests on their way at any time, each on a connection of its own.
const IN_FLIGHT: usize = 8;

pub(super) fn answer(bench: &Bench, report: &mut Report) {
    Report::question("CPU per signed publish (against: bare HTTP loop)");
    let kept = ("publish, kept connections", Connections::Kept);
    report.attempt(kept.0, |report| {
        measure(bench, report, kept, Goal::AtMost(2.2))
    });
    let new = ("publish, a new connection each", Connections::NewEach);
    report.attempt(new.0, |report| {
        measure(bench, report, new, Goal::AtMost(1.35))
    });
}

fn measure(
    bench: &Bench,
    report: &mut Report,
    (figure, connections): (&str, Connections),
    goal: Goal,
) -> anyhow::Result<()> {
    let load = Load::many(IN_FLIGHT, Refill::AsTheyLand, bench.span());
    let (process, address) = Bound::Http.start(bench.cores, 0)?;
    let mut entrants = vec![Entrant::bound(lane(process, address, connections)?)];
    for contender in &bench.contenders {
        let server = contender.start(bench.cores)?;
        let lane = lane(server.process, server.address, connections)?;
        entrants.push(Entrant::new(contender.kind, contender.name(), lane));
    }
    race(&mut entrants, &[load], bench.rounds(11, 3))?;
    for entrant in &mut entrants {
        report.runs(figure, entrant.who, &mut entrant.runs[0]);
    }
    let (bound, servers) = entrants.split_at(1);
    for server in servers {
        let (ours, bound) = (&server.runs[0], &bound[0].runs[0]);
        let named = (server.who, figure);
        let row = row(
            named,
            ours,
            bound,
            Ratio::OursToBound,
            Sample::cpu_per_event,
        );
        report.row(row.noted(note(ours)).held_to(server.kind, Some(goal)));
    }
    Ok(())
}

fn note(runs: &[Sample]) -> String {
    let cost = median(runs.iter().map(Sample::cpu_per_event));
    let step = median(
        runs.iter()
            .map(|run| milliseconds(run.wall) / run.events as f64),
    );
    format!("{:.0} per CPU-s, {:.0} per s", 1e6 / cost, 1e3 / step)
}

fn lane(process: Process, address: SocketAddr, connections: Connections) -> anyhow::Result<Lane> {
    let publisher = Publisher::new("bench-nobody", EVENT_BYTES, connections);
    let source = Source::Publish(publisher);
    Ok(Lane::new(process, Fleet::new(address)?, source, 0))
}
