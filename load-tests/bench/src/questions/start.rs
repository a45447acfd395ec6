//! How soon does it accept, and how large is the binary?

use super::Bench;
use crate::{
    report::{Goal, Report, Row},
    server::{Contender, Kind},
    stats::{median, milliseconds},
};
use serde_json::json;

pub(super) fn answer(bench: &Bench, report: &mut Report) {
    Report::question("start");
    for contender in &bench.contenders {
        report.attempt(contender.name(), |report| measure(bench, report, contender));
    }
}

fn measure(bench: &Bench, report: &mut Report, contender: &Contender) -> anyhow::Result<()> {
    let who = contender.name();
    let rounds = match contender.kind {
        Kind::Soketi => 3,
        _ => bench.rounds(15, 5),
    };
    let mut spans = Vec::new();
    for _ in 0..rounds {
        let span = milliseconds(contender.start(bench.cores)?.accepting_after);
        report.sample(json!({ "figure": "start", "who": who, "ms": span }));
        spans.push(span);
    }
    let row = Row::lone(who, "start to accepting", "ms", median(spans));
    report.row(row.held_to(contender.kind, Goal::AtMost(50.0)));
    if contender.kind != Kind::Soketi {
        let megabytes = std::fs::metadata(&contender.path)?.len() as f64 / 1e6;
        let row = Row::lone(who, "binary", "MB", megabytes);
        report.row(row.held_to(contender.kind, Goal::AtMost(15.0)));
    }
    Ok(())
}
