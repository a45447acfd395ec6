//! Loading: defaults, file, environment, flags, each over the one before; and loading again while the server runs.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde_json::Value as Json;

use super::{
    Config, Limits,
    apps::{AppList, Overrides},
    draft::Draft,
    environment::Environment,
    file,
    kind::Kind,
    nearest,
    problem::{ConfigErrors, Problem, Report, Source},
    setting::Setting,
    table, values,
};
use crate::app::App;

/// Where a configuration may come from. The process's own environment enters here and nowhere else.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Variables.
    pub environment: BTreeMap<String, OsString>,
    /// `.env` lies here, and relative paths begin here.
    pub dir: PathBuf,
    /// Flags of the command line.
    pub flags: Flags,
}

/// Flags of the command line that are settings, as they were given.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--host`
    pub host: Option<String>,
    /// `--port`
    pub port: Option<String>,
    /// `--demo`
    pub demo: bool,
}

impl Sources {
    /// This process's environment and working directory.
    pub fn of_process(flags: Flags) -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self {
            environment: std::env::vars_os().filter_map(text).collect(),
            dir: PathBuf::new(),
            flags,
        }
    }
}

/// Settings that somebody set: the text to show, and where it came from.
#[derive(Default)]
pub(crate) struct Given(BTreeMap<&'static str, (String, Source)>);

impl Given {
    pub(crate) fn source(&self, key: &str) -> Source {
        self.0
            .get(key)
            .map_or(Source::Default, |(_, source)| source.clone())
    }
}

/// One setting as it stands after loading.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Path of the setting, with dots.
    pub key: &'static str,
    /// As a TOML file writes it, `"redacted"` for secrets; `None`: not set.
    pub shown: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// Tells values apart without holding them.
    fingerprint: u64,
}

/// A configuration and how it came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the server runs with.
    pub config: Config,
    /// Odd, but not wrong.
    pub warnings: Vec<String>,
    /// Options that are accepted and do nothing here.
    pub notes: Vec<String>,
    /// Every setting in the order of the documentation.
    pub settings: Vec<Effective>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// Loads again what may change while the server runs.
#[derive(Clone, Debug)]
pub struct Reloader {
    sources: Sources,
    limits: Limits,
    started: Vec<Effective>,
    file: Option<PathBuf>,
}

/// What a reload found.
#[derive(Clone, Debug)]
pub struct Reload {
    /// The new list of apps, with the server-wide limits of the start.
    pub apps: Vec<App>,
    /// Settings that differ from those of the start and need a restart.
    pub other_changed_keys: Vec<String>,
    /// As in [`Loaded::warnings`].
    pub warnings: Vec<String>,
}

impl Config {
    /// Loads the configuration; all problems are found, not only the first.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
        load(sources, None)
    }
}

impl Reloader {
    /// Remembers how `loaded` came about.
    pub fn new(sources: Sources, loaded: &Loaded) -> Self {
        Self {
            sources,
            limits: loaded.config.limits,
            started: loaded.settings.clone(),
            file: loaded.file.clone(),
        }
    }

    /// The configuration file, to be watched.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads everything again. On errors the server goes on with what it has.
    pub fn reload(&self) -> Result<Reload, ConfigErrors> {
        let loaded = load(&self.sources, Some(self.limits))?;
        let changed = self.started.iter().zip(&loaded.settings);
        let changed = changed.filter(|(old, new)| old.fingerprint != new.fingerprint);
        Ok(Reload {
            apps: loaded.config.apps,
            other_changed_keys: changed.map(|(old, _)| old.key.to_owned()).collect(),
            warnings: loaded.warnings,
        })
    }
}

/// `limits` are those of the running server, which new apps get until it restarts.
fn load(sources: &Sources, limits: Option<Limits>) -> Result<Loaded, ConfigErrors> {
    let mut loading = Loading::default();
    let environment = Environment::new(&sources.environment, &sources.dir, &mut loading.report);
    loading.file(sources, &environment);
    for setting in table::settings() {
        if let Some((value, source)) = environment.value_of(setting, &mut loading.report) {
            loading.take(setting, &value, source);
        }
    }
    environment.name_unknown(&mut loading.report);
    loading.flags(&sources.flags);
    loading.finish(limits)
}

#[derive(Default)]
struct Loading {
    draft: Draft,
    given: Given,
    report: Report,
    apps: Option<(Vec<Json>, Source)>,
    first_app: Overrides,
    file: Option<PathBuf>,
}

impl Loading {
    fn file(&mut self, sources: &Sources, environment: &Environment) {
        let setting = table::by_key("config").filter(|_| sources.flags.config.is_none());
        let by_variable = setting.and_then(|s| environment.value_of(s, &mut Report::default()));
        let by_variable =
            by_variable.and_then(|(value, source)| Some((value.as_str()?.into(), source)));
        let by_flag = sources
            .flags
            .config
            .clone()
            .map(|path| (path, Source::Flag("--config")));
        let Some((path, source)) = by_flag.or(by_variable) else {
            return;
        };
        match file::read(&sources.dir.join(&path)) {
            Ok(values) => self.take_file(values, &path),
            Err(error) => self.report.refuse(Problem {
                key: "config".into(),
                source,
                given: Some(format!("{:?}", path.display().to_string())),
                wrong: format!("{error}; accepted: the path of a JSON or TOML file"),
            }),
        }
        self.file = Some(sources.dir.join(path));
    }

    fn take_file(&mut self, values: file::FileValues, path: &Path) {
        let source = Source::File {
            path: path.to_owned(),
            is_toml: values.is_toml,
        };
        for (setting, value) in &values.known {
            self.take(setting, value, source.clone());
        }
        for key in values.not_sections {
            let wrong = "a section; accepted: settings below it".into();
            self.report.refuse(Problem {
                key,
                source: source.clone(),
                given: None,
                wrong,
            });
        }
        for key in values.unknown {
            let names = table::settings().filter(|s| s.in_file()).map(|s| s.key);
            let hint = nearest::hint(&key, names);
            if source.is_toml() {
                let wrong = format!("unknown key{hint}");
                self.report.refuse(Problem {
                    key,
                    source: source.clone(),
                    given: None,
                    wrong,
                });
            } else {
                self.report
                    .warn(format!("{key}: unknown key, ignored ({source}){hint}"));
            }
        }
    }

    fn flags(&mut self, flags: &Flags) {
        let texts = [
            (
                "config",
                "--config",
                flags.config.as_ref().map(|p| p.display().to_string()),
            ),
            ("host", "--host", flags.host.clone()),
            ("port", "--port", flags.port.clone()),
            ("demo", "--demo", flags.demo.then(|| "true".to_owned())),
        ];
        for (key, flag, text) in texts {
            if let (Some(setting), Some(text)) = (table::by_key(key), text) {
                self.take(setting, &text.into(), Source::Flag(flag));
            }
        }
    }

    /// Stores one value over whatever was there.
    fn take(&mut self, setting: &'static Setting, value: &Json, source: Source) {
        if value.as_str() == Some("") && !setting.kind.takes_empty() {
            return;
        }
        match setting.kind.read(value, &mut self.draft) {
            Ok(shown) => {
                match setting.kind {
                    Kind::Apps => {
                        let list = values::apps(value).and_then(|list| list.as_array().cloned());
                        self.apps = list.map(|list| (list, source.clone()));
                    }
                    Kind::FirstApp(field) => {
                        self.first_app.push((field, value.clone(), source.clone()));
                    }
                    _ => {}
                }
                if setting.ignored {
                    self.report.notes.push(format!(
                        "{}: accepted and ignored (from {source})",
                        setting.key
                    ));
                }
                self.given.0.insert(setting.key, (shown, source));
            }
            Err(wrong) => {
                let given = (!setting.secret).then(|| value.to_string());
                self.report.refuse(Problem {
                    key: setting.key.into(),
                    source,
                    given,
                    wrong,
                });
            }
        }
    }

    fn finish(mut self, limits: Option<Limits>) -> Result<Loaded, ConfigErrors> {
        let mut config = self.draft.finish(&self.given, &mut self.report);
        let (list, source) = (self.apps).unwrap_or_else(|| (AppList::built_in(), Source::Default));
        let limits = limits.unwrap_or(config.limits);
        let apps = AppList {
            list,
            source,
            overrides: self.first_app,
            limits,
        };
        config.apps = apps.read(&mut self.report);
        warn_of_default_secret(&config, &mut self.report);
        let Report {
            problems,
            warnings,
            notes,
        } = self.report;
        if !problems.is_empty() {
            return Err(ConfigErrors { problems, warnings });
        }
        let settings = table::settings()
            .map(|s| effective(s, &self.given, &config))
            .collect();
        Ok(Loaded {
            config,
            warnings,
            notes,
            settings,
            file: self.file,
        })
    }
}

fn warn_of_default_secret(config: &Config, report: &mut Report) {
    let public = |ip: &IpAddr| !ip.is_loopback();
    let api = config.server.api.as_ref().map(|(host, _)| host);
    if !public(&config.server.host) && !api.is_some_and(public) {
        return;
    }
    for app in config
        .apps
        .iter()
        .filter(|app| app.secrets().any(|s| s.bytes() == b"app-secret"))
    {
        report.warn(format!(
            "INSECURE: app `{}` has the secret that everybody knows, and the server listens on {}; set SOKETI_DEFAULT_APP_SECRET or the app's secret",
            app.id, config.server.host
        ));
    }
}

fn effective(setting: &'static Setting, given: &Given, config: &Config) -> Effective {
    let default = || {
        let read = setting
            .kind
            .read(&setting.default.into(), &mut Draft::default());
        read.ok().filter(|_| !setting.default.is_empty())
    };
    let set = given.0.get(setting.key);
    let value = derived(setting.key, config)
        .or_else(|| set.map(|(shown, _)| shown.clone()))
        .or_else(default);
    let mut hasher = DefaultHasher::new();
    if !matches!(setting.kind, Kind::Apps | Kind::FirstApp(_)) {
        value.hash(&mut hasher);
    }
    Effective {
        key: setting.key,
        shown: value.map(|v| {
            if setting.secret && set.is_some() {
                "\"redacted\"".into()
            } else {
                v
            }
        }),
        source: given.source(setting.key),
        fingerprint: hasher.finish(),
    }
}

/// Values that are not simply what somebody set.
fn derived(key: &str, config: &Config) -> Option<String> {
    match key {
        "shards" => Some(config.server.shards.to_string()),
        "drainDelay" => Some(config.shutdown.drain_delay.as_millis().to_string()),
        "shutdownSpread" => Some(config.shutdown.spread.as_millis().to_string()),
        "log.level" => Some(super::kind::quoted(&config.log.level)),
        "api.host" => {
            let (host, _) = config.server.api?;
            Some(super::kind::quoted(&host.to_string()))
        }
        _ => None,
    }
}
