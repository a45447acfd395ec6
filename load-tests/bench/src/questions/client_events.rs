//! What does a client event to 100 other members cost, beside a bare loop over 100 sockets?

use super::{Bench, fanout};
use crate::{
    client::Fleet,
    drive::{Lane, Load, Source},
    report::{Goal, Report},
    server::Contender,
    subscribers::{Entry, Then, enter},
};
use std::time::Duration;

const RECIPIENTS: usize = 100;
const CHANNEL: &str = "private-bench";

pub(super) fn answer(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    report.question("client events (against: bare send loop)");
    let span = bench.pick(Duration::from_millis(600), Duration::from_millis(250));
    let load = Load {
        in_flight: 1,
        frames_per_write: 1,
        span,
    };
    let mut bound = fanout::bare_loop(bench, RECIPIENTS)?;
    let mut lanes = Vec::new();
    for contender in &bench.contenders {
        lanes.push((contender, lane(bench, contender)?, Vec::new()));
    }
    let mut bounds = Vec::new();
    for _ in 0..bench.rounds(7, 3) {
        bounds.push(bound.run(load)?);
        for (_, lane, samples) in &mut lanes {
            samples.push(lane.run(load)?);
        }
    }
    let figure = format!("client events to {RECIPIENTS} members");
    bounds
        .iter_mut()
        .for_each(|sample| report.sample(sample.json(&figure, "bound")));
    for (contender, _, samples) in &mut lanes {
        samples
            .iter_mut()
            .for_each(|sample| report.sample(sample.json(&figure, contender.name())));
        let row = fanout::row(
            contender.name(),
            &figure,
            samples,
            &bounds,
            |ours, bound| bound / ours,
        );
        report.row(row.held_to(contender.kind, Goal::AtLeast(1.0)));
    }
    Ok(())
}

fn lane(bench: &Bench, contender: &Contender) -> anyhow::Result<Lane> {
    let server = contender.start(bench.cores)?;
    let mut fleet = Fleet::new(server.address)?;
    let entry = |_| Entry::Private(CHANNEL.into());
    let members = enter(&mut fleet, RECIPIENTS + 1, 50, Then::Stay, entry)?;
    let source = Source::Members {
        channel: CHANNEL.into(),
        members,
        next: 0,
    };
    Ok(Lane::new(server.process, fleet, source, RECIPIENTS))
}
