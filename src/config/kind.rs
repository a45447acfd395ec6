//! Types of settings. A type carries where its value goes, so that a value of one type cannot be stored as another.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use serde_json::Value as Json;

use super::{draft::Draft, values};

/// Stores a value that was read.
pub(crate) type Set<T> = fn(&mut Draft, T);

/// For settings that are checked and have no effect: options of drivers that this server does not have.
pub(crate) fn unused<T>(_: &mut Draft, _: T) {}

/// What a setting accepts.
pub(crate) enum Kind {
    /// On or off.
    Bool(Set<bool>),
    /// 0 to 65535.
    Port(Set<u16>),
    /// A whole number between bounds, both included.
    Count(usize, usize, Set<usize>),
    /// A whole number of any sign.
    Integer(Set<i64>),
    /// A size in KiB, more than nothing; stored in bytes.
    Kb(Set<usize>),
    /// A size in MiB, more than nothing; stored in bytes.
    Mb(Set<usize>),
    /// A number with or without fraction, between bounds.
    Number(f64, f64, Set<f64>),
    /// Whole milliseconds, at least so many.
    Millis(u64, Set<Duration>),
    /// Whole seconds.
    Seconds(Set<Duration>),
    /// An IP address, or `localhost`.
    Ip(Set<IpAddr>),
    /// Any text, taken as it stands.
    Text(Set<String>),
    /// A file.
    Path(Set<PathBuf>),
    /// A text that a rule holds for; the words say what is accepted.
    Checked(fn(&str) -> bool, &'static str, Set<String>),
    /// One of several words.
    Choice(&'static [&'static str], Set<&'static str>),
    /// A driver: what is here, and what is known but not here.
    Driver(
        &'static [&'static str],
        &'static [&'static str],
        Set<&'static str>,
    ),
    /// Texts.
    List(Set<Vec<String>>),
    /// Networks, or single addresses.
    Networks(Set<Vec<IpNet>>),
    /// Other servers, each a host and a port.
    Nodes,
    /// A JSON object.
    Object,
    /// A JSON object, or on and off.
    ObjectOrBool,
    /// The list of apps.
    Apps,
    /// A field of the first app, by its name in the list of apps.
    FirstApp(&'static str),
    /// The configuration file itself; read before all others.
    ConfigFile,
}

/// Milliseconds and seconds end here: 100 days and 10 years.
const MILLIS_MAX: u64 = 8_640_000_000;
const SECONDS_MAX: u64 = 315_360_000;

impl Kind {
    /// Reads a value and stores it. `Ok` is the text that `check` shows, `Err` what is accepted instead.
    pub(crate) fn read(&self, given: &Json, draft: &mut Draft) -> Result<String, String> {
        self.store(given, draft).ok_or_else(|| self.refusal(given))
    }

    fn store(&self, given: &Json, draft: &mut Draft) -> Option<String> {
        Some(match self {
            Self::Bool(set) => shown(values::bool(given)?, |v| set(draft, v)),
            Self::Port(set) => {
                let port = u16::try_from(values::integer(given)?).ok()?;
                shown(port, |v| set(draft, v))
            }
            Self::Count(least, most, set) => {
                let count = usize::try_from(values::integer(given)?).ok()?;
                (*least..=*most).contains(&count).then_some(())?;
                shown(count, |v| set(draft, v))
            }
            Self::Integer(set) => shown(values::integer(given)?, |v| set(draft, v)),
            Self::Kb(set) => size(given, 1024.0, |v| set(draft, v))?,
            Self::Mb(set) => size(given, 1024.0 * 1024.0, |v| set(draft, v))?,
            Self::Number(least, most, set) => {
                let number = values::number(given)?;
                (*least..=*most).contains(&number).then_some(())?;
                shown(number, |v| set(draft, v))
            }
            Self::Millis(least, set) => {
                let millis = values::whole_between(given, *least, MILLIS_MAX)?;
                set(draft, Duration::from_millis(millis));
                millis.to_string()
            }
            Self::Seconds(set) => {
                let seconds = values::whole_between(given, 0, SECONDS_MAX)?;
                set(draft, Duration::from_secs(seconds));
                seconds.to_string()
            }
            _ => return self.store_text(given, draft),
        })
    }

    fn store_text(&self, given: &Json, draft: &mut Draft) -> Option<String> {
        Some(match self {
            Self::Ip(set) => {
                let ip = values::ip(given)?;
                set(draft, ip);
                quoted(&ip.to_string())
            }
            Self::Text(set) => text(values::text(given)?, |v| set(draft, v)),
            Self::Path(set) => text(values::text(given)?, |v| set(draft, PathBuf::from(v))),
            Self::Checked(holds, _, set) => {
                let value = values::text(given)?;
                holds(&value).then_some(())?;
                text(value, |v| set(draft, v))
            }
            Self::Choice(words, set) | Self::Driver(words, _, set) => {
                let value = values::text(given)?;
                let word = words.iter().find(|word| **word == value.trim())?;
                set(draft, word);
                quoted(word)
            }
            Self::List(set) => {
                let list = values::list(given)?;
                let shown = quoted_list(&list);
                set(draft, list);
                shown
            }
            Self::Networks(set) => {
                let networks = values::networks(given)?;
                let texts: Vec<_> = networks.iter().map(ToString::to_string).collect();
                set(draft, networks);
                quoted_list(&texts)
            }
            Self::Nodes => quoted_list(&values::nodes(given)?),
            Self::Object => values::object(given)?.to_string(),
            Self::ObjectOrBool => match values::bool(given) {
                Some(on) => on.to_string(),
                None => values::object(given)?.to_string(),
            },
            Self::Apps => values::apps(given)?.to_string(),
            Self::FirstApp(_) | Self::ConfigFile => quoted(&values::text(given)?),
            _ => return None,
        })
    }

    fn refusal(&self, given: &Json) -> String {
        if let Self::Driver(here, elsewhere, _) = self
            && let Some(name) = given.as_str()
            && elsewhere.contains(&name)
        {
            return format!(
                "the driver `{name}` is not part of this server; accepted: {}",
                words(here)
            );
        }
        format!("accepted: {}", self.accepted())
    }

    /// What is accepted, in words.
    pub(crate) fn accepted(&self) -> String {
        match self {
            Self::Bool(_) => "1, true, yes, on or 0, false, no, off".into(),
            Self::Port(_) => "a port, 0 to 65535".into(),
            Self::Count(0, usize::MAX, _) => "a whole number from 0".into(),
            Self::Count(least, most, _) => format!("a whole number from {least} to {most}"),
            Self::Integer(_) => "a whole number".into(),
            Self::Kb(_) => "a number of KiB above 0, fractions allowed".into(),
            Self::Mb(_) => "a number of MiB above 0, fractions allowed".into(),
            Self::Number(least, f64::MAX, _) => {
                format!("a number from {least}, fractions allowed")
            }
            Self::Number(least, most, _) => {
                format!("a number from {least} to {most}, fractions allowed")
            }
            Self::Millis(least, _) => format!("a whole number of milliseconds from {least}"),
            Self::Seconds(_) => "a whole number of seconds from 0".into(),
            Self::Ip(_) => "an IP address, IPv4 or IPv6".into(),
            Self::Text(_) => "text".into(),
            Self::Path(_) | Self::ConfigFile => "the path of a file".into(),
            Self::Checked(_, accepted, _) => (*accepted).into(),
            Self::Choice(accepted, _) | Self::Driver(accepted, _, _) => words(accepted),
            Self::List(_) => "a list of texts: JSON, or with commas between".into(),
            Self::Networks(_) => {
                "a list of networks or addresses, as 10.0.0.0/8: JSON, or with commas between"
                    .into()
            }
            Self::Nodes => {
                "a list of servers: JSON with host and port in each, or host:port with commas between"
                    .into()
            }
            Self::Object => "a JSON object".into(),
            Self::ObjectOrBool => "a JSON object, true or false".into(),
            Self::Apps => "a JSON list of app objects".into(),
            Self::FirstApp(field) => super::apps::accepted(field).into(),
        }
    }

    /// The type in a word or two.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Bool(_) => "bool".into(),
            Self::Port(_) => "port".into(),
            Self::Count(..) | Self::Integer(_) => "integer".into(),
            Self::Kb(_) => "KiB".into(),
            Self::Mb(_) => "MiB".into(),
            Self::Number(..) => "number".into(),
            Self::Millis(..) => "ms".into(),
            Self::Seconds(_) => "s".into(),
            Self::Ip(_) => "IP address".into(),
            Self::Text(_) | Self::Checked(..) => "text".into(),
            Self::Path(_) | Self::ConfigFile => "path".into(),
            Self::Choice(accepted, _) | Self::Driver(accepted, _, _) => words(accepted),
            Self::List(_) => "list".into(),
            Self::Networks(_) => "list of CIDR".into(),
            Self::Nodes => "list of host:port".into(),
            Self::Object => "JSON object".into(),
            Self::ObjectOrBool => "JSON object or bool".into(),
            Self::Apps => "list of apps".into(),
            Self::FirstApp(field) => super::apps::type_name(field).into(),
        }
    }

    /// Whether an empty text is a value; elsewhere it counts as not set.
    pub(crate) const fn takes_empty(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Checked(..))
    }
}

fn shown<T: Copy + ToString>(value: T, set: impl FnOnce(T)) -> String {
    set(value);
    value.to_string()
}

fn text(value: String, set: impl FnOnce(String)) -> String {
    let shown = quoted(&value);
    set(value);
    shown
}

fn size(given: &Json, unit: f64, set: impl FnOnce(usize)) -> Option<String> {
    let number = values::number(given)?;
    set(values::bytes(number, unit)?);
    Some(number.to_string())
}

/// A text as a JSON file and a TOML file both write it.
pub(crate) fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

pub(crate) fn quoted_list(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// `a`, `b` or `c`.
fn words(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
