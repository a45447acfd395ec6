//! How soon does it accept, and how large is the binary?

use super::Bench;
use crate::{
    report::{Goal, Report, Row},
    server::Kind,
    stats::{median, milliseconds},
};
use serde_json::json;

pub(super) fn answer(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    report.question("start");
    for contender in &bench.contenders {
        let rounds = if contender.kind == Kind::Soketi {
            3
        } else {
            bench.rounds(15, 5)
        };
        let mut spans = Vec::new();
        for _ in 0..rounds {
            let span = milliseconds(contender.start(bench.cores)?.accepting_after);
            report.sample(json!({ "figure": "start", "who": contender.name(), "ms": span }));
            spans.push(span);
        }
        let row = Row::lone(contender.name(), "start to accepting", "ms", median(spans));
        report.row(row.held_to(contender.kind, Goal::AtMost(50.0)));
        if contender.kind != Kind::Soketi {
            let megabytes = std::fs::metadata(&contender.path)?.len() as f64 / 1e6;
            let row = Row::lone(contender.name(), "binary", "MB", megabytes);
            report.row(row.held_to(contender.kind, Goal::AtMost(15.0)));
        }
    }
    Ok(())
}
