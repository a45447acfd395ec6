//! What is wrong or odd in a configuration, and where it came from.

use std::{fmt, path::PathBuf};

/// Where one value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A configuration file.
    File {
        /// As it was named.
        path: PathBuf,
        /// Its form; keys of TOML are strict.
        is_toml: bool,
    },
    /// A variable of the process.
    Variable(String),
    /// A variable in `.env`.
    DotEnv(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl Source {
    pub(crate) const fn is_toml(&self) -> bool {
        matches!(self, Self::File { is_toml: true, .. })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::DotEnv(name) => write!(f, "{name} in .env"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One thing that cannot be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the setting, with dots.
    pub key: String,
    /// Where the value came from.
    pub source: Source,
    /// The value, unless it is secret or missing.
    pub given: Option<String>,
    /// What is wrong and what is accepted.
    pub wrong: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.key)?;
        match (&self.given, &self.source) {
            (Some(given), source) => write!(f, "{given} from {source}; {}", self.wrong),
            (None, Source::Default) => f.write_str(&self.wrong),
            (None, source) => write!(f, "{} (from {source})", self.wrong),
        }
    }
}

/// Everything that cannot be right, and what was only odd.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ConfigErrors {
    /// At least one.
    pub problems: Vec<Problem>,
    /// As in [`Loaded::warnings`].
    pub warnings: Vec<String>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// What was found on the way.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<String>,
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }
}
