//! What does a signed publish cost that nobody hears, beside a bare HTTP responder?

use super::Bench;
use crate::{
    bound::Bound,
    client::Fleet,
    drive::{Lane, Load, Sample, Source},
    publisher::{Connections, Publisher},
    report::{Goal, Report, Row},
    server::{Kind, Process},
    stats::{median, milliseconds},
    wire::EVENT_BYTES,
};
use std::{net::SocketAddr, time::Duration};

/// Requests on their way at any time, each on a connection of its own.
const IN_FLIGHT: usize = 8;

pub(super) fn answer(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    report.question("CPU per signed publish (against: bare HTTP loop)");
    let ways = [
        ("kept connections", Connections::Kept, 2.2),
        ("a new connection each", Connections::NewEach, 1.35),
    ];
    for (way, connections, most) in ways {
        measure(
            bench,
            report,
            &format!("publish, {way}"),
            connections,
            Goal::AtMost(most),
        )?;
    }
    Ok(())
}

fn measure(
    bench: &Bench,
    report: &mut Report,
    figure: &str,
    connections: Connections,
    goal: Goal,
) -> anyhow::Result<()> {
    let span = bench.pick(Duration::from_millis(700), Duration::from_millis(250));
    let load = Load {
        in_flight: IN_FLIGHT,
        frames_per_write: 1,
        span,
    };
    let (process, address) = Bound::Http.start(bench.cores, 0)?;
    let mut bound = lane(process, address, connections)?;
    let mut lanes = Vec::new();
    for contender in &bench.contenders {
        let server = contender.start(bench.cores)?;
        let lane = lane(server.process, server.address, connections)?;
        lanes.push((contender.kind, contender.name(), lane, Vec::new()));
    }
    let mut bounds = Vec::new();
    for _ in 0..bench.rounds(7, 3) {
        bounds.push(bound.run(load)?);
        for (_, _, lane, samples) in &mut lanes {
            samples.push(lane.run(load)?);
        }
    }
    bounds
        .iter_mut()
        .for_each(|sample| report.sample(sample.json(figure, "bound")));
    for (kind, who, _, samples) in &mut lanes {
        samples
            .iter_mut()
            .for_each(|sample| report.sample(sample.json(figure, who)));
        report.row(row(*kind, who, figure, samples, &bounds).held_to(*kind, goal));
    }
    Ok(())
}

fn row(kind: Kind, who: &'static str, figure: &str, samples: &[Sample], bounds: &[Sample]) -> Row {
    let pairs = samples.iter().zip(bounds);
    let ratio = median(pairs.map(|(ours, bound)| ours.cpu_per_event() / bound.cpu_per_event()));
    let cost = median(samples.iter().map(Sample::cpu_per_event));
    let bound = median(bounds.iter().map(Sample::cpu_per_event));
    let wall = median(
        samples
            .iter()
            .map(|sample| milliseconds(sample.wall) / sample.events as f64),
    );
    let mut note = format!("{:.0} per CPU-s, {:.0} per s", 1e6 / cost, 1e3 / wall);
    if kind == Kind::Soketi {
        note.push_str(", closes after each");
    }
    Row::lone(who, figure, "us", cost)
        .beside(bound, ratio)
        .noted(note)
}

fn lane(process: Process, address: SocketAddr, connections: Connections) -> anyhow::Result<Lane> {
    let publisher = Publisher::new("bench-nobody", EVENT_BYTES, connections);
    Ok(Lane::new(
        process,
        Fleet::new(address)?,
        Source::Publish(publisher),
        0,
    ))
}
