//! What was found: a readable table and the raw numbers.

use crate::{drive::Sample, machine, server::Kind};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// What a figure is held to, and that figure itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_met(self, judged: f64) -> bool {
        match self {
            Self::AtLeast(least) => judged >= least,
            Self::AtMost(most) => judged <= most,
        }
    }

    fn show(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {}", plain(least)),
            Self::AtMost(most) => format!("<= {}", plain(most)),
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) unit: &'static str,
    pub(crate) who: &'static str,
    pub(crate) measured: f64,
    /// The bound, or the rival's figure, measured beside it.
    pub(crate) against: Option<f64>,
    /// Median of the ratios taken side by side, not the ratio of the medians.
    pub(crate) ratio: Option<f64>,
    /// Held against the ratio, or against the figure where there is none. For Bowline alone.
    pub(crate) goal: Option<Goal>,
    /// What else is worth knowing.
    pub(crate) note: String,
}

impl Row {
    /// A figure with nothing beside it.
    pub(crate) fn lone(
        who: &'static str,
        figure: impl Into<String>,
        unit: &'static str,
        measured: f64,
    ) -> Self {
        let figure = figure.into();
        Self {
            figure,
            unit,
            who,
            measured,
            against: None,
            ratio: None,
            goal: None,
            note: String::new(),
        }
    }

    /// Held to `goal` if it is Bowline's.
    pub(crate) fn held_to(
        mut self,
        kind: impl Into<Option<Kind>>,
        goal: impl Into<Option<Goal>>,
    ) -> Self {
        self.goal = goal.into().filter(|_| kind.into() == Some(Kind::Bowline));
        self
    }

    pub(crate) fn beside(mut self, against: f64, ratio: f64) -> Self {
        (self.against, self.ratio) = (Some(against), Some(ratio));
        self
    }

    pub(crate) fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn verdict(&self) -> Option<bool> {
        Some(self.goal?.is_met(self.ratio.unwrap_or(self.measured)))
    }

    fn line(&self) -> String {
        let optional = |value: Option<f64>| value.map_or("-".into(), plain);
        format!(
            "{:<50} {:<8} {:>10} {:<6} {:>10} {:>8}  {:<10} {:<7} {}",
            self.figure,
            self.who,
            plain(self.measured),
            self.unit,
            optional(self.against),
            optional(self.ratio),
            self.goal.map_or("-".into(), Goal::show),
            match self.verdict() {
                Some(true) => "pass",
                Some(false) => "SHORT",
                None => "-",
            },
            self.note,
        )
    }

    fn json(&self) -> Value {
        json!({
            "figure": self.figure, "who": self.who, "measured": self.measured, "unit": self.unit,
            "against": self.against, "ratio": self.ratio,
            "goal": self.goal.map(Goal::show), "pass": self.verdict(), "note": self.note,
        })
    }
}

/// Three significant digits.
fn plain(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Prints each question's table as soon as it is answered and keeps everything for the file.
pub(crate) struct Report {
    about: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    samples: Vec<Value>,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn begin() -> Self {
        let about = machine::describe();
        for (name, value) in &about {
            println!("{name}: {value}");
        }
        Self {
            about,
            rows: Vec::new(),
            samples: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Heads the table of one question.
    pub(crate) fn question(title: &str) {
        println!(
            "\n{title:<50} {:<8} {:>10} {:<6} {:>10} {:>8}  {:<10} verdict",
            "server", "measured", "", "against", "ratio", "goal"
        );
    }

    pub(crate) fn row(&mut self, row: Row) {
        println!("{}", row.line());
        self.rows.push(row);
    }

    /// Keeps a raw number that a row was made of.
    pub(crate) fn sample(&mut self, sample: Value) {
        self.samples.push(sample);
    }

    /// Keeps all runs of one process under one load.
    pub(crate) fn runs(&mut self, figure: &str, who: &str, runs: &mut [Sample]) {
        self.samples
            .extend(runs.iter_mut().map(|run| run.json(figure, who)));
    }

    /// One part of a question; the others are answered even when this one cannot be.
    pub(crate) fn attempt(
        &mut self,
        what: &str,
        work: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) {
        if let Err(error) = work(self) {
            self.failed(what, &error);
        }
    }

    /// A question that could not be answered.
    pub(crate) fn failed(&mut self, question: &str, error: &anyhow::Error) {
        println!("{question}: not measured: {error:#}");
        self.failures.push(format!("{question}: {error:#}"));
    }

    /// Prints the count of verdicts; whether every question was answered.
    pub(crate) fn end(&self, json: Option<&Path>) -> anyhow::Result<bool> {
        let verdicts: Vec<bool> = self.rows.iter().filter_map(Row::verdict).collect();
        let passed = verdicts.iter().filter(|passed| **passed).count();
        println!("\n{passed} of {} goals met", verdicts.len());
        if let Some(path) = json {
            let about: serde_json::Map<_, _> = self
                .about
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
            let all = json!({
                "about": about, "rows": rows, "failures": self.failures, "samples": self.samples,
            });
            fs::write(path, serde_json::to_vec_pretty(&all)?)?;
        }
        Ok(self.failures.is_empty())
    }
}
