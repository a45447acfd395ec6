//! The command line: start, check, config-example, healthcheck, version. Flags that are settings go to `config` as they are.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bowline::config::{self, Config, ConfigErrors, Flags, Loaded, Reloader, Sources};
use clap::{Args, Parser, Subcommand};

mod healthcheck;
mod log;

/// `EX_USAGE` of sysexits: flags or a configuration that cannot be right.
const USAGE: u8 = 64;

/// A self-hosted WebSocket server that speaks the Pusher Channels protocol and replaces Soketi.
#[derive(Parser)]
#[command(name = "bowline", version, disable_help_subcommand = true)]
struct CommandLine {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct SettingFlags {
    /// Configuration file: Soketi's JSON or Bowline's TOML.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the main port.
    #[arg(long, global = true, value_name = "IP")]
    host: Option<String>,
    /// Main port; 0 lets the system choose.
    #[arg(long, global = true, value_name = "N", allow_hyphen_values = true)]
    port: Option<String>,
    /// Serve the demo page on public addresses too.
    #[arg(long, global = true)]
    demo: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (the default).
    Start,
    /// Print every setting with its source, secrets redacted; exit code 64 if the server would refuse it.
    Check,
    /// Print a TOML file with every setting at its default.
    ConfigExample {
        /// Print the reference of the documentation instead.
        #[arg(long)]
        markdown: bool,
    },
    /// Ask a running server whether it is ready; exit code 0 or 1.
    Healthcheck {
        /// What to ask; `/ready` of the configured server if absent.
        url: Option<String>,
    },
    /// Print the version.
    Version,
}

/// Runs the command line; the exit code is 64 where flags or configuration cannot be right, 1 where starting fails.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let parsed = match CommandLine::try_parse_from(as_soketis(arguments)) {
        Ok(parsed) => parsed,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            return error.print().map_or(ExitCode::FAILURE, |()| code.into());
        }
    };
    let flags = Flags {
        config: parsed.settings.config,
        host: parsed.settings.host,
        port: parsed.settings.port,
        demo: parsed.settings.demo,
    };
    let sources = Sources::of_process(flags);
    match parsed.command.unwrap_or(Command::Start) {
        Command::Start => start(sources),
        Command::Check => check(&sources),
        Command::ConfigExample { markdown: true } => print(&config::markdown()),
        Command::ConfigExample { markdown: false } => print(&config::example_toml()),
        Command::Healthcheck { url } => healthcheck::run(url, &sources),
        Command::Version => print(concat!("bowline ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

/// What Soketi's users give: images whose entry point ends with `start` are given `start --config=…` too, and its chart calls
/// `node --max-old-space-size=256 /app/bin/server.js start`, which reaches this program by a link named `node`.
fn as_soketis(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut given: Vec<OsString> = arguments.collect();
    let is_node = given
        .first()
        .is_some_and(|name| Path::new(name).file_name() == Some("node".as_ref()));
    let is_script = |argument: &OsString| Path::new(argument).extension() == Some("js".as_ref());
    if is_node && let Some(script) = given.iter().position(is_script) {
        given.drain(1..=script);
    }
    while given.len() > 2 && given[1] == "start" && given[2] == "start" {
        given.remove(1);
    }
    given
}

fn start(sources: Sources) -> ExitCode {
    let loaded = match Config::load(&sources) {
        Ok(loaded) => loaded,
        Err(errors) => return refuse(&errors),
    };
    if let Err(error) = log::init(&loaded.config.log) {
        eprintln!("bowline: {error:#}");
        return ExitCode::FAILURE;
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    for note in &loaded.notes {
        tracing::info!("{note}");
    }
    let reloader = Reloader::new(sources, &loaded);
    match serve(loaded.config, reloader) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The one place where the server is called. Its errors are those that only starting shows: exit code 1.
fn serve(config: Config, reloader: Reloader) -> anyhow::Result<()> {
    Ok(bowline::server::run(config, reloader)?)
}

fn check(sources: &Sources) -> ExitCode {
    match Config::load(sources) {
        Ok(loaded) => {
            warn(&loaded);
            print(&loaded.describe())
        }
        Err(errors) => refuse(&errors),
    }
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    for note in &loaded.notes {
        eprintln!("note: {note}");
    }
}

fn refuse(errors: &ConfigErrors) -> ExitCode {
    for warning in &errors.warnings {
        eprintln!("warning: {warning}");
    }
    for problem in &errors.problems {
        eprintln!("error: {problem}");
    }
    USAGE.into()
}

/// Writes to standard output; a reader that went away is no error worth a trace.
fn print(text: &str) -> ExitCode {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> CommandLine {
        let words = line.split_whitespace().map(OsString::from);
        CommandLine::try_parse_from(as_soketis(words)).unwrap()
    }

    #[test]
    fn soketis_command_lines_are_understood() {
        for line in [
            "bowline start --config=a.json --port=7000",
            "bowline start start --config a.json --port 7000",
            "bowline --config a.json --port 7000",
            "bowline --port 7000 start --config=a.json",
            "node --max-old-space-size=256 --optimize-for-size /app/bin/server.js start --config=a.json --port=7000",
        ] {
            let read = parse(line);
            assert_eq!(read.settings.config, Some("a.json".into()), "{line}");
            assert_eq!(read.settings.port.as_deref(), Some("7000"), "{line}");
            assert!(
                matches!(read.command, None | Some(Command::Start)),
                "{line}"
            );
        }
    }

    #[test]
    fn a_file_named_start_is_a_file() {
        let read = parse("bowline start --config start");
        assert_eq!(read.settings.config, Some("start".into()));
    }
}
