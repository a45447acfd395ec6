//! What does a client event to 100 other members cost, beside a bare loop over 100 sockets?

use super::{Bench, fanout};
use crate::{
    client::Fleet,
    drive::{Lane, Load, Sample, Source},
    race::{Entrant, Ratio, delivery_note, race, row},
    report::{Goal, Report},
    server::Contender,
    subscribers::{Entry, Then, enter},
};

const RECIPIENTS: usize = 100;
const CHANNEL: &str = "private-bench";

pub(super) fn answer(bench: &Bench, report: &mut Report) {
    Report::question("client events (against: bare send loop)");
    report.attempt("client events", |report| measure(bench, report));
}

fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let load = Load::one(bench.span());
    let mut entrants = vec![Entrant::bound(fanout::bare_loop(bench, RECIPIENTS)?)];
    for contender in &bench.contenders {
        let lane = lane(bench, contender)?;
        entrants.push(Entrant::new(contender.kind, contender.name(), lane));
    }
    race(&mut entrants, &[load], bench.rounds(11, 3))?;
    let figure = format!("client events to {RECIPIENTS} members");
    for entrant in &mut entrants {
        report.runs(&figure, entrant.who, &mut entrant.runs[0]);
    }
    let Some((bound, servers)) = entrants.split_first_mut() else {
        return Ok(());
    };
    for server in servers {
        let note = delivery_note(&mut server.runs[0]);
        let row = row(
            (server.who, &figure),
            &server.runs[0],
            &bound.runs[0],
            Ratio::BoundToOurs,
            Sample::cpu_per_delivery,
        );
        report.row(
            row.noted(note)
                .held_to(server.kind, Some(Goal::AtLeast(1.0))),
        );
    }
    Ok(())
}

fn lane(bench: &Bench, contender: &Contender) -> anyhow::Result<Lane> {
    // One member sends them all, more than a server allows a client of its own accord.
    let limits = [("BOWLINE_CONNECTION_MAX_FRAMES_PER_SECOND", "1000000")];
    let server = contender.start_with(bench.cores, &limits)?;
    let mut fleet = Fleet::new(server.address)?;
    let entry = |_| Entry::Private(CHANNEL.into());
    let members = enter(&mut fleet, RECIPIENTS + 1, 50, Then::Stay, entry)?;
    let source = Source::Member {
        channel: CHANNEL.into(),
        key: members[0].key,
    };
    Ok(Lane::new(server.process, fleet, source, RECIPIENTS))
}
