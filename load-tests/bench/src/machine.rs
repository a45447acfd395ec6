//! The machine: what it is, and which core works for whom.

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use std::{fs, process::Command};

/// One core for what is measured, one for the generator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) generator: usize,
}

impl Cores {
    /// Does `work` on the server's core, so that what it spawns is pinned there from its first instruction.
    pub(crate) fn on_server<T>(self, work: impl FnOnce() -> T) -> anyhow::Result<T> {
        pin(self.server)?;
        let done = work();
        pin(self.generator)?;
        Ok(done)
    }
}

/// Pins the calling thread, and what it spawns from now on, to one core.
pub(crate) fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set).map_err(|error| {
        anyhow::anyhow!("cannot pin to core {core}: {error}; two cores are needed")
    })
}

/// Machine, commit and command, a line each.
pub(crate) fn describe() -> Vec<(&'static str, String)> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cores
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let cpu = cpu.map_or("unknown CPU", |(_, model)| model);
    vec![
        (
            "machine",
            format!("{cpu}, {cores} cores, Linux {}", kernel.trim()),
        ),
        ("load at start", load),
        ("commit", commit()),
        ("command", std::env::args().collect::<Vec<_>>().join(" ")),
    ]
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]).as_deref() {
        Some("") => commit,
        _ => format!("{commit} with changes"),
    }
}
