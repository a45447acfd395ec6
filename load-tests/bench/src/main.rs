//! Load generator: starts a server, measures it on a core of its own beside the physical bound and its
//! rivals, and prints figures with the goals that they are held to.

mod bound;
mod client;
mod drive;
mod flight;
mod machine;
mod publisher;
mod questions;
mod race;
mod report;
mod server;
mod stats;
mod subscribers;
mod wire;

use crate::{
    bound::Bound,
    machine::Cores,
    questions::{Bench, Question},
    report::Report,
    server::{Contender, Kind},
};
use anyhow::Context;
use clap::Parser;
use std::{path::PathBuf, process::ExitCode};

/// Measures a server of the Pusher Channels protocol against the physical bound and its rivals.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; everything unless named.
    #[arg(value_enum)]
    questions: Vec<Question>,
    /// Bowline's binary.
    #[arg(long, env = "BENCH_SERVER")]
    server: Option<PathBuf>,
    /// A program that starts Soketi with the environment that it is given.
    #[arg(long, env = "BENCH_SOKETI")]
    soketi: Option<PathBuf>,
    /// The one-file server that proved the design.
    #[arg(long, env = "BENCH_SPIKE")]
    spike: Option<PathBuf>,
    /// How often each figure is taken; medians count.
    #[arg(long)]
    rounds: Option<usize>,
    /// Fewer and shorter rounds: a glance, not a measurement.
    #[arg(long)]
    quick: bool,
    /// Subscribers of the fan-outs.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1_000, 5_000])]
    sizes: Vec<usize>,
    /// Writes the raw numbers there.
    #[arg(long)]
    json: Option<PathBuf>,
    /// A variable for the servers, NAME=VALUE; may be repeated.
    #[arg(long = "set", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// The core of what is measured.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the generator.
    #[arg(long, default_value_t = 1)]
    generator_core: usize,
    /// Be a bound instead; the generator starts itself so.
    #[arg(long, hide = true)]
    bound: Option<Bound>,
    #[arg(long, hide = true, default_value_t = 0)]
    subscribers: usize,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Arguments {
    fn contenders(&self) -> Vec<Contender> {
        let paths = [
            (Kind::Bowline, &self.server),
            (Kind::Soketi, &self.soketi),
            (Kind::Spike, &self.spike),
        ];
        let given = paths
            .into_iter()
            .filter_map(|(kind, path)| Some((kind, path.clone()?)));
        let variables = &self.variables;
        given
            .map(|(kind, path)| Contender {
                kind,
                path,
                variables: variables.clone(),
            })
            .collect()
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(bound) = arguments.bound {
        bound.live(arguments.subscribers)?;
        return Ok(ExitCode::SUCCESS);
    }
    let contenders = arguments.contenders();
    anyhow::ensure!(!contenders.is_empty(), "name a server: --server PATH");
    for contender in &contenders {
        let path = contender.path.display();
        std::fs::metadata(&contender.path).with_context(|| format!("no server at {path}"))?;
    }
    let cores = Cores {
        server: arguments.server_core,
        generator: arguments.generator_core,
    };
    machine::pin(cores.generator)?;
    let bench = Bench {
        contenders,
        cores,
        rounds: arguments.rounds,
        quick: arguments.quick,
        sizes: arguments.sizes,
    };
    let mut report = Report::begin();
    for question in questions::asked(&arguments.questions) {
        question.answer(&bench, &mut report);
    }
    let whole = report.end(arguments.json.as_deref())?;
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
