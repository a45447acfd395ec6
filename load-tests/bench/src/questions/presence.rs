//! What does it cost when 2,000 users join one presence channel?

use super::Bench;
use crate::{
    client::{Fleet, Heard},
    report::{Goal, Report, Row},
    server::{Contender, Kind},
    stats::{median, milliseconds},
    subscribers::{Entry, Member, PATIENCE, Then, enter, settle},
    wire,
};
use anyhow::bail;
use memchr::memmem;
use serde_json::json;
use std::time::{Duration, Instant};

const CHANNEL: &str = "presence-bench";
const IN_FLIGHT: usize = 8;

pub(super) fn answer(bench: &Bench, report: &mut Report) {
    Report::question("presence");
    for contender in bench.complete() {
        report.attempt(contender.name(), |report| measure(bench, report, contender));
    }
}

fn measure(bench: &Bench, report: &mut Report, contender: &Contender) -> anyhow::Result<()> {
    let users = bench.pick(2_000, 1_000);
    let figure = format!("CPU per join, {users} users, {IN_FLIGHT} at a time");
    // A rival's join costs four times as much and has no goal.
    let rounds = if contender.kind == Kind::Soketi {
        1
    } else {
        bench.rounds(3, 2)
    };
    let mut costs = Vec::new();
    for _ in 0..rounds {
        let cost = milliseconds(cpu_of_joins(bench, contender, users)?) / users as f64;
        report.sample(json!({ "figure": figure, "who": contender.name(), "cpu_ms": cost }));
        costs.push(cost);
    }
    let row = Row::lone(contender.name(), figure.as_str(), "ms", median(costs));
    // The goal is for 2,000 users.
    let goal = (!bench.quick).then_some(Goal::AtMost(3.0));
    report.row(row.held_to(contender.kind, goal));
    Ok(())
}

/// How far the joins are.
#[derive(Default)]
struct Joins {
    succeeded: usize,
    announced: usize,
    refused: Option<String>,
}

impl Joins {
    fn hear(&mut self, heard: &Heard<'_>) {
        let Heard::Text(payload) = heard else {
            self.refused = Some(format!("{heard:?}"));
            return;
        };
        // The list of members is long; the event's name is near the front.
        let front = &payload[..payload.len().min(120)];
        if memmem::find(front, b"member_added").is_some() {
            self.announced += 1;
        } else if memmem::find(front, b"subscription_succeeded").is_some() {
            self.succeeded += 1;
        } else if memmem::find(front, b"error").is_some() {
            self.refused = Some(String::from_utf8_lossy(payload).into_owned());
        }
    }
}

fn cpu_of_joins(bench: &Bench, contender: &Contender, users: usize) -> anyhow::Result<Duration> {
    let most = [("SOKETI_PRESENCE_MAX_MEMBERS", "10000")];
    let server = contender.start_with(bench.cores, &most)?;
    let mut fleet = Fleet::new(server.address)?;
    let members = enter(&mut fleet, users, 50, Then::Stay, |_| Entry::Nothing)?;
    settle(&mut fleet, &server.process, PATIENCE)?;
    let before = server.process.cpu()?;
    join(&mut fleet, &members)?;
    server.process.cpu_since(before)
}

/// Returns when all are in and every member has heard of every later one.
fn join(fleet: &mut Fleet, members: &[Member]) -> anyhow::Result<()> {
    let announcements = members.len() * (members.len() - 1) / 2;
    let (mut joins, mut begun) = (Joins::default(), 0);
    let (mut seen, mut moved) = (0, Instant::now());
    while joins.succeeded < members.len() || joins.announced < announcements {
        while begun < members.len() && begun < joins.succeeded + IN_FLIGHT {
            let Member { key, socket_id } = &members[begun];
            let request = wire::subscribe_presence(CHANNEL, socket_id, begun);
            fleet.send(*key, &wire::text(request.as_bytes()))?;
            begun += 1;
        }
        fleet.turn(PATIENCE, |_, heard| joins.hear(&heard))?;
        if let Some(refusal) = joins.refused {
            bail!("a join was refused: {refusal}");
        }
        if joins.succeeded + joins.announced > seen {
            (seen, moved) = (joins.succeeded + joins.announced, Instant::now());
        } else if moved.elapsed() > PATIENCE {
            bail!(
                "{} joins and {} announcements came, no more",
                joins.succeeded,
                joins.announced
            );
        }
    }
    Ok(())
}
