//! Variables: `SOKETI_…`, `BOWLINE_…` before it, `…_FILE` for secrets, `.env` of the working directory behind all.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use serde_json::Value as Json;

use super::{
    kind::Kind,
    nearest,
    problem::{Problem, Report, Source},
    setting::Setting,
    table,
};

/// The first beats the second.
const PREFIXES: [&str; 2] = ["BOWLINE_", "SOKETI_"];

/// All variables and where they came from.
pub(crate) struct Environment {
    values: BTreeMap<String, (OsString, Origin)>,
    dir: PathBuf,
}

#[derive(Clone, Copy)]
enum Origin {
    Process,
    DotEnv,
}

/// A value that some variable holds.
struct Candidate {
    text: String,
    name: String,
    source: Source,
}

impl Environment {
    /// `.env` adds what the process does not have; an empty variable of the process stays empty.
    pub(crate) fn new(
        process: &BTreeMap<String, OsString>,
        dir: &Path,
        report: &mut Report,
    ) -> Self {
        let own =
            |(name, value): (&String, &OsString)| (name.clone(), (value.clone(), Origin::Process));
        let mut values: BTreeMap<_, _> = process.iter().map(own).collect();
        match std::fs::read_to_string(dir.join(".env")) {
            Ok(text) => {
                let mut added = BTreeMap::new();
                for (name, value) in super::dotenv::parse(&text) {
                    added.insert(name, (value.into(), Origin::DotEnv));
                }
                added.retain(|name, _| !values.contains_key(name));
                values.append(&mut added);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => report.warn(format!(".env: cannot be read, left out: {error}")),
        }
        Self {
            values,
            dir: dir.to_owned(),
        }
    }

    /// The value of a setting, and a warning if two variables disagree.
    pub(crate) fn value_of(
        &self,
        setting: &Setting,
        report: &mut Report,
    ) -> Option<(Json, Source)> {
        let mut candidates = Vec::new();
        for prefix in PREFIXES {
            for variable in setting.variables() {
                candidates.extend(self.candidate(setting, &format!("{prefix}{variable}"), report));
            }
        }
        let mut candidates = candidates.into_iter();
        let first = candidates.next()?;
        for other in candidates.filter(|other| other.text != first.text) {
            let values = if setting.secret {
                String::new()
            } else {
                format!(" ({:?}, not {:?})", first.text, other.text)
            };
            report.warn(format!(
                "{}: {} and {} are both set and differ; {} is used{values}",
                setting.key, first.name, other.name, first.name
            ));
        }
        Some((first.text.into(), first.source))
    }

    /// What one name gives, itself or through a file.
    fn candidate(&self, setting: &Setting, name: &str, report: &mut Report) -> Option<Candidate> {
        let direct = self.text(setting, name, report);
        let by_file = format!("{name}_FILE");
        let file = setting
            .secret
            .then(|| self.text(setting, &by_file, report))
            .flatten();
        match (direct, file) {
            (Some((_, source)), Some(_)) => {
                let wrong = format!("{by_file} is set as well; accepted: one of the two");
                report.refuse(Problem {
                    key: setting.key.into(),
                    source,
                    given: None,
                    wrong,
                });
                None
            }
            (None, Some((path, source))) => self.read_file(setting, name, (&path, source), report),
            (direct, None) => {
                let (text, source) = direct?;
                note_quotes(setting, name, &text, report);
                Some(Candidate {
                    text,
                    name: name.to_owned(),
                    source,
                })
            }
        }
    }

    fn read_file(
        &self,
        setting: &Setting,
        name: &str,
        file: (&str, Source),
        report: &mut Report,
    ) -> Option<Candidate> {
        let (path, source) = file;
        let read = std::fs::read_to_string(self.dir.join(path));
        let text = read
            .as_deref()
            .map(|text| text.trim_end_matches(['\r', '\n']));
        let wrong = match text {
            Ok("") => "the file is empty".to_owned(),
            Ok(text) => {
                return Some(Candidate {
                    text: text.to_owned(),
                    name: format!("{name}_FILE"),
                    source,
                });
            }
            Err(error) => format!("the file cannot be read: {error}"),
        };
        report.refuse(Problem {
            key: setting.key.into(),
            source,
            given: Some(format!("{path:?}")),
            wrong: format!("{wrong}; accepted: the path of a file that holds the value"),
        });
        None
    }

    /// The text of a variable that is set and not empty.
    fn text(&self, setting: &Setting, name: &str, report: &mut Report) -> Option<(String, Source)> {
        let (value, origin) = self
            .values
            .get(name)
            .filter(|(value, _)| !value.is_empty())?;
        let source = match origin {
            Origin::Process => Source::Variable(name.to_owned()),
            Origin::DotEnv => Source::DotEnv(name.to_owned()),
        };
        let Some(text) = value.to_str() else {
            report.refuse(Problem {
                key: setting.key.into(),
                source,
                given: None,
                wrong: "not UTF-8; accepted: text in UTF-8".into(),
            });
            return None;
        };
        if matches!(setting.kind, Kind::Port(_)) && is_service_link(name, value) {
            report.warn(format!(
                "{}: {name}={text:?} is left out: Kubernetes sets it for a service of that name; set `enableServiceLinks: false` in the pod to be rid of it",
                setting.key
            ));
            return None;
        }
        Some((text.to_owned(), source))
    }

    /// Warns of variables with our prefixes that no setting has.
    pub(crate) fn name_unknown(&self, report: &mut Report) {
        for (name, (value, _)) in &self.values {
            let Some(bare) = PREFIXES.iter().find_map(|p| name.strip_prefix(p)) else {
                continue;
            };
            if is_known(bare) || is_service_link(name, value) {
                continue;
            }
            let prefix = &name[..name.len() - bare.len()];
            let names = table::settings().flat_map(Setting::variables);
            let hint = nearest::nearest(bare, names).map_or_else(String::new, |known| {
                format!("; did you mean `{prefix}{known}`?")
            });
            report.warn(format!("{name}: unknown variable, ignored{hint}"));
        }
    }
}

/// Soketi read `"text"` as JSON and took the quotes off.
fn note_quotes(setting: &Setting, name: &str, text: &str, report: &mut Report) {
    let is_text = setting.kind.takes_empty()
        || matches!(setting.kind, Kind::FirstApp("id" | "key" | "secret"));
    if is_text && text.len() > 1 && text.starts_with('"') && text.ends_with('"') {
        report.warn(format!(
            "{}: the quotes in {name} are part of the value; Soketi took them off",
            setting.key
        ));
    }
}

fn is_known(bare: &str) -> bool {
    table::settings().any(|setting| {
        setting.variables().any(|variable| {
            bare == variable || setting.secret && bare.strip_suffix("_FILE") == Some(variable)
        })
    })
}

/// Kubernetes tells every pod of a namespace about its services in variables named after them.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let schemes = ["tcp://", "udp://", "sctp://"];
    let is_url = value
        .to_str()
        .is_some_and(|v| schemes.iter().any(|s| v.starts_with(s)));
    let of_port = |(_, rest): (&str, &str)| {
        let (digits, rest) = rest.split_once('_').unwrap_or((rest, ""));
        let kind = rest.split('_').next().unwrap_or_default();
        digits.parse::<u16>().is_ok() && matches!(kind, "TCP" | "UDP" | "SCTP")
    };
    let port_link = name.ends_with("_PORT") && is_url;
    port_link
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.rsplit_once("_PORT_").is_some_and(of_port)
        || name.split_once("_PORT_").is_some_and(of_port)
}
