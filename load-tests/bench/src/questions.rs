//! The questions, one module each.

mod client_events;
mod connects;
mod fanout;
mod latency;
mod memory;
mod presence;
mod publish;
mod stalled;
mod start;

use crate::{
    machine::Cores,
    report::Report,
    server::{Contender, Kind},
};
use std::time::Duration;

/// Who is measured, where and how often.
pub(crate) struct Bench {
    pub(crate) contenders: Vec<Contender>,
    pub(crate) cores: Cores,
    pub(crate) rounds: Option<usize>,
    pub(crate) quick: bool,
    /// Subscribers of the fan-outs.
    pub(crate) sizes: Vec<usize>,
}

impl Bench {
    /// The caller's number of rounds, else one of these.
    fn rounds(&self, full: usize, quick: usize) -> usize {
        self.rounds.unwrap_or(self.pick(full, quick))
    }

    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// How long each run of a load takes: short and often, since speed drifts.
    fn span(&self) -> Duration {
        Duration::from_millis(self.pick(400, 150))
    }

    /// Those that a glance has time for: Soketi takes minutes where the others take seconds.
    fn swift(&self) -> impl Iterator<Item = &Contender> {
        let quick = self.quick;
        let contenders = self.contenders.iter();
        contenders.filter(move |contender| !quick || contender.kind != Kind::Soketi)
    }

    /// Those that speak the whole protocol.
    fn complete(&self) -> impl Iterator<Item = &Contender> {
        self.contenders
            .iter()
            .filter(|contender| contender.kind != Kind::Spike)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Question {
    All,
    Start,
    Fanout,
    ClientEvents,
    Publish,
    Connects,
    Presence,
    Latency,
    Memory,
    Stalled,
}

const ALL: [Question; 9] = [
    Question::Start,
    Question::Fanout,
    Question::ClientEvents,
    Question::Publish,
    Question::Connects,
    Question::Presence,
    Question::Latency,
    Question::Memory,
    Question::Stalled,
];

/// Everything when nothing is named.
pub(crate) fn asked(named: &[Question]) -> Vec<Question> {
    if named.is_empty() || named.contains(&Question::All) {
        ALL.to_vec()
    } else {
        named.to_vec()
    }
}

impl Question {
    pub(crate) fn answer(self, bench: &Bench, report: &mut Report) {
        match self {
            Self::All => ALL
                .iter()
                .for_each(|question| question.answer(bench, report)),
            Self::Start => start::answer(bench, report),
            Self::Fanout => fanout::answer(bench, report),
            Self::ClientEvents => client_events::answer(bench, report),
            Self::Publish => publish::answer(bench, report),
            Self::Connects => connects::answer(bench, report),
            Self::Presence => presence::answer(bench, report),
            Self::Latency => latency::answer(bench, report),
            Self::Memory => memory::answer(bench, report),
            Self::Stalled => stalled::answer(bench, report),
        }
    }
}
