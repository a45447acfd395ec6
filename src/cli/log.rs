//! Logs on standard output, as text or JSON.

use std::io::{IsTerminal, stdout};

use anyhow::Context as _;
use bowline::config::Log;
use tracing_subscriber::{EnvFilter, fmt};

/// Sends everything that is traced from here on to standard output; colours only on a terminal.
pub(crate) fn init(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.level).context("log.level")?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_ansi(stdout().is_terminal())
        .with_writer(stdout);
    let result = if log.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    };
    result.map_err(|error| anyhow::anyhow!("log: {error}"))
}
