//! What does an idle subscribed connection hold, and what is left when all have gone?

use super::Bench;
use crate::{
    client::Fleet,
    report::{Goal, Report, Row},
    server::{Contender, Memory, Server},
    subscribers::{Entry, Then, enter, settle},
};
use serde_json::json;
use std::time::{Duration, Instant};

const AT_ONCE: usize = 50;
const SETTLE_MAX: Duration = Duration::from_secs(10);
const MANY: usize = 10_000;
/// Near the 20,000 descriptors that a process may have.
const MOST: usize = 18_000;

pub(super) fn answer(bench: &Bench, report: &mut Report) {
    Report::question("memory");
    for contender in bench.swift() {
        let who = contender.name();
        report.attempt(who, |report| own_channels(bench, report, contender));
        report.attempt(who, |report| one_channel(bench, report, contender));
    }
}

fn own_channels(bench: &Bench, report: &mut Report, contender: &Contender) -> anyhow::Result<()> {
    let server = contender.start(bench.cores)?;
    let mut fleet = Fleet::new(server.address)?;
    let start = server.process.memory()?;
    enter(&mut fleet, MANY, AT_ONCE, Then::Stay, |client| {
        Entry::Public(format!("bench-{client}"))
    })?;
    per_connection(
        report,
        contender,
        &server,
        &mut fleet,
        (start, "own channels"),
    )?;
    Ok(())
}

fn one_channel(bench: &Bench, report: &mut Report, contender: &Contender) -> anyhow::Result<()> {
    let server = contender.start(bench.cores)?;
    let mut fleet = Fleet::new(server.address)?;
    let start = server.process.memory()?;
    let entry = |_| Entry::Public("bench".into());
    enter(&mut fleet, MANY, AT_ONCE, Then::Stay, entry)?;
    let mut full = per_connection(
        report,
        contender,
        &server,
        &mut fleet,
        (start, "one channel"),
    )?;
    if !bench.quick {
        enter(&mut fleet, MOST - MANY, AT_ONCE, Then::Stay, entry)?;
        full = per_connection(
            report,
            contender,
            &server,
            &mut fleet,
            (start, "one channel"),
        )?;
    }
    let clients = fleet.len();
    fleet.hang_up_all();
    let wait = bench.pick(Duration::from_secs(30), Duration::from_secs(10));
    fleet.idle_until(Instant::now() + wait)?;
    let after = server.process.memory()?;
    let growth = full.anonymous_bytes.saturating_sub(start.anonymous_bytes);
    let kept = after.anonymous_bytes.saturating_sub(start.anonymous_bytes);
    let figure = format!("growth kept {} s after {clients} left", wait.as_secs());
    report.sample(json!({
        "figure": figure, "who": contender.name(), "anonymous_bytes_start": start.anonymous_bytes,
        "anonymous_bytes_full": full.anonymous_bytes, "anonymous_bytes_after": after.anonymous_bytes,
    }));
    let note = format!(
        "anonymous KiB: start {}, full {}, after {}",
        start.anonymous_bytes / 1024,
        full.anonymous_bytes / 1024,
        after.anonymous_bytes / 1024
    );
    let row = Row::lone(
        contender.name(),
        figure,
        "",
        kept as f64 / growth.max(1) as f64,
    )
    .noted(note);
    // The goal is for 30 s after 18,000.
    let goal = (!bench.quick).then_some(Goal::AtMost(0.1));
    report.row(row.held_to(contender.kind, goal));
    Ok(())
}

fn per_connection(
    report: &mut Report,
    contender: &Contender,
    server: &Server,
    fleet: &mut Fleet,
    (start, channels): (Memory, &str),
) -> anyhow::Result<Memory> {
    settle(fleet, &server.process, SETTLE_MAX)?;
    fleet.idle_until(Instant::now() + Duration::from_secs(1))?;
    let full = server.process.memory()?;
    let clients = fleet.len();
    let each = |full: u64, start: u64| full.saturating_sub(start) as f64 / clients as f64;
    let resident = each(full.resident_bytes, start.resident_bytes);
    let anonymous = each(full.anonymous_bytes, start.anonymous_bytes);
    let figure = format!("resident per idle connection, {clients}, {channels}");
    report.sample(json!({
        "figure": figure, "who": contender.name(), "resident_bytes": resident, "anonymous_bytes": anonymous,
    }));
    let row = Row::lone(contender.name(), figure, "B", resident);
    let row = row.noted(format!("anonymous {anonymous:.0} B"));
    report.row(row.held_to(contender.kind, Goal::AtMost(768.0)));
    Ok(full)
}
