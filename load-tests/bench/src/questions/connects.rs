//! How many clients can connect and subscribe in a second of the server's CPU time?

use super::Bench;
use crate::{
    client::Fleet,
    report::{Goal, Report, Row},
    server::{Kind, Server},
    stats::median,
    subscribers::{Entry, Then, enter, settle},
};
use serde_json::json;
use std::time::Duration;

/// Clients on their way in at any time. With more of them a turn of the server costs less per client:
/// at 50 a fifth less than at 8, while one at a time costs three times as much.
const AT_ONCE: usize = 8;
const SETTLE_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
enum Channels {
    Own,
    One,
}

impl Channels {
    fn entry(self, client: usize) -> Entry {
        Entry::Public(match self {
            Self::Own => format!("bench-{client}"),
            Self::One => "bench".into(),
        })
    }
}

struct Way {
    figure: &'static str,
    channels: Channels,
    then: Then,
    goal: Option<Goal>,
}

const WAYS: [Way; 4] = [
    Way {
        figure: "connect and subscribe, own channels",
        channels: Channels::Own,
        then: Then::Stay,
        goal: Some(Goal::AtLeast(20_000.0)),
    },
    Way {
        figure: "connect and subscribe, all on one",
        channels: Channels::One,
        then: Then::Stay,
        goal: Some(Goal::AtLeast(20_000.0)),
    },
    Way {
        figure: "connect, subscribe, close frame",
        channels: Channels::Own,
        then: Then::Close,
        goal: None,
    },
    Way {
        figure: "connect, subscribe, hang up",
        channels: Channels::Own,
        then: Then::HangUp,
        goal: Some(Goal::AtLeast(13_000.0)),
    },
];

pub(super) fn answer(bench: &Bench, report: &mut Report) {
    Report::question("clients per CPU-second of the server");
    for way in &WAYS {
        report.attempt(way.figure, |report| measure(bench, report, way));
    }
}

fn measure(bench: &Bench, report: &mut Report, way: &Way) -> anyhow::Result<()> {
    let mut servers = Vec::new();
    for contender in &bench.contenders {
        servers.push((contender, contender.start(bench.cores)?, Vec::new()));
    }
    for round in 0..bench.rounds(5, 3) {
        for (contender, server, rates) in &mut servers {
            if contender.kind == Kind::Soketi && round > 0 {
                continue; // takes ten times as long on one channel, and has no goal
            }
            let rate = rate(bench, server, way)?;
            let who = contender.name();
            report.sample(json!({ "figure": way.figure, "who": who, "per_cpu_second": rate }));
            rates.push(rate);
        }
    }
    for (contender, _, rates) in servers {
        let row = Row::lone(contender.name(), way.figure, "/CPU-s", median(rates));
        report.row(row.held_to(contender.kind, way.goal));
    }
    Ok(())
}

fn rate(bench: &Bench, server: &Server, way: &Way) -> anyhow::Result<f64> {
    let clients = bench.pick(10_000, 3_000);
    let mut fleet = Fleet::new(server.address)?;
    let before = server.process.cpu()?;
    enter(&mut fleet, clients, AT_ONCE, way.then, |client| {
        way.channels.entry(client)
    })?;
    if way.then == Then::HangUp {
        settle(&mut fleet, &server.process, SETTLE_MAX)?; // the last of them leave
    }
    let cpu = server.process.cpu_since(before)?;
    fleet.hang_up_all();
    settle(&mut fleet, &server.process, SETTLE_MAX)?;
    Ok(clients as f64 / cpu.as_secs_f64())
}
