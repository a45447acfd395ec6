//! A server under test as a process: started on its core, its CPU time and memory read from outside.

use crate::machine::Cores;
use anyhow::{Context, bail};
use nix::{
    time::{ClockId, clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longest time that a start may take.
const START_MAX: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bowline,
    Soketi,
    /// The one-file server that proved the design; knows public channels and events, nothing else.
    Spike,
}

/// A server that can be started and measured.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    /// Variables of the caller's choice, after the generator's own.
    pub(crate) variables: Vec<(String, String)>,
}

impl Contender {
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Bowline => "bowline",
            Kind::Soketi => "soketi",
            Kind::Spike => "spike",
        }
    }

    /// Starts it with defaults, loopback and client events, and waits until it accepts.
    pub(crate) fn start(&self, cores: Cores) -> anyhow::Result<Server> {
        self.start_with(cores, &[])
    }

    /// The same with more `SOKETI_` variables.
    pub(crate) fn start_with(&self, cores: Cores, more: &[(&str, &str)]) -> anyhow::Result<Server> {
        let (port, metrics_port) = (free_port()?, free_port()?);
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars().filter(|(name, _)| is_option(name)) {
            command.env_remove(name);
        }
        command
            .env("SOKETI_HOST", "127.0.0.1")
            .env("SOKETI_PORT", port.to_string())
            .env("SOKETI_METRICS_HOST", "127.0.0.1")
            .env("SOKETI_METRICS_SERVER_PORT", metrics_port.to_string())
            .env("SOKETI_CLUSTER_HOST", "127.0.0.1")
            .env("SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", "true")
            .envs(more.iter().copied())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let begun = Instant::now();
        let mut process = Process::spawn(&mut command, cores)
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = process.child.try_wait()? {
                bail!("{} ended at its start: {status}", self.name());
            }
            if begun.elapsed() > START_MAX {
                bail!("{} does not accept after {START_MAX:?}", self.name());
            }
            pause(Duration::from_micros(100));
        }
        Ok(Server {
            process,
            address,
            accepting_after: begun.elapsed(),
        })
    }
}

fn is_option(name: &str) -> bool {
    name.starts_with("SOKETI_") || name.starts_with("BOWLINE_")
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// A running server that accepts.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// From the start of the process to the first accepted connection.
    pub(crate) accepting_after: Duration,
}

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident_bytes: u64,
    pub(crate) anonymous_bytes: u64,
}

/// A child on the server's core; killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pid: u32,
    clock: ClockId,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command, cores: Cores) -> anyhow::Result<Self> {
        let child = cores.on_server(|| command.spawn())??;
        let pid = child.id();
        let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?))?;
        Ok(Self { child, pid, clock })
    }

    /// CPU time of all its threads so far, ended ones too, in the kernel and out of it.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(Duration::from(clock_gettime(self.clock)?))
    }

    /// CPU time since it was `before`.
    pub(crate) fn cpu_since(&self, before: Duration) -> anyhow::Result<Duration> {
        Ok(self.cpu()?.saturating_sub(before))
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        let bytes = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
            let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
            Some(kibibytes * 1024)
        };
        Ok(Memory {
            resident_bytes: bytes("Rss:").context("no Rss in smaps_rollup")?,
            anonymous_bytes: bytes("Anonymous:").context("no Anonymous in smaps_rollup")?,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits where there is no socket to wait for.
#[expect(
    clippy::disallowed_methods,
    reason = "the generator has no shard to block"
)]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}
