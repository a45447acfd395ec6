//! Configuration files: Soketi's JSON, whose keys are paths with dots or nested objects merged deeply, and Bowline's TOML
//! with the same names.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::{apps::AppList, setting::Setting, table};

/// What a file says.
pub(crate) struct FileValues {
    /// TOML is Bowline's own and strict about keys.
    pub(crate) is_toml: bool,
    /// Settings and their values; `null` is left out.
    pub(crate) known: Vec<(&'static Setting, Json)>,
    /// Keys that no setting has.
    pub(crate) unknown: Vec<String>,
    /// Keys of sections that hold something else than keys.
    pub(crate) not_sections: Vec<String>,
}

const APPS: &str = "appManager.array.apps";

/// Reads the file. `Err` says what is wrong with it, without quoting from it: it may hold secrets.
pub(crate) fn read(path: &Path) -> Result<FileValues, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let text = text.trim_start_matches('\u{feff}');
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let is_toml = match extension.to_ascii_lowercase().as_str() {
        "toml" => true,
        "json" => false,
        _ => !text.trim_start().starts_with('{'),
    };
    let top = if is_toml { toml(text) } else { json(text) }?;
    let mut tree = Json::Object(Map::new());
    let before = Json::Array(AppList::built_in());
    let mut unknown = Vec::new();
    insert(&mut tree, (APPS, APPS), before.clone(), &mut unknown);
    merge(&mut tree, "", top, &mut unknown);
    let mut values = FileValues {
        is_toml,
        known: Vec::new(),
        unknown,
        not_sections: Vec::new(),
    };
    values.flatten("", tree);
    values
        .known
        .retain(|(setting, value)| setting.key != APPS || *value != before);
    Ok(values)
}

fn json(text: &str) -> Result<Map<String, Json>, String> {
    match serde_json::from_str(text) {
        Ok(Json::Object(top)) => Ok(top),
        Ok(_) => Err("not a JSON object".into()),
        Err(error) => Err(format!("not valid JSON: {error}")),
    }
}

fn toml(text: &str) -> Result<Map<String, Json>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
        format!("not valid TOML: {} in line {line}", error.message())
    })?;
    Ok(table.into_iter().map(|(k, v)| (k, from_toml(v))).collect())
}

fn from_toml(value: toml::Value) -> Json {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        // JSON has no `nan`: as null it would count as not set.
        toml::Value::Float(number) if !number.is_finite() => number.to_string().into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => {
            Json::Object(table.into_iter().map(|(k, v)| (k, from_toml(v))).collect())
        }
    }
}

/// Puts every value of `section`, which stands at `above`, at its path below `tree`.
fn merge(tree: &mut Json, above: &str, section: Map<String, Json>, lost: &mut Vec<String>) {
    for (path, value) in section {
        insert(tree, (&below(above, &path), &path), value, lost);
    }
}

fn below(above: &str, name: &str) -> String {
    [above, name].join(if above.is_empty() { "" } else { "." })
}

/// Objects are merged; anything else replaces what is there. A number in a path is a place in a list, the next free one at
/// most. `paths` are the whole one, for `lost`, and what is left of it.
fn insert(tree: &mut Json, paths: (&str, &str), value: Json, lost: &mut Vec<String>) {
    let (whole, path) = paths;
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let place = match tree {
        Json::Array(items) => match name.parse::<usize>() {
            Ok(index) if index < items.len() => &mut items[index],
            Ok(index) if index == items.len() => {
                items.push(Json::Null);
                &mut items[index]
            }
            _ => return lost.push(whole.to_owned()),
        },
        Json::Object(fields) => fields.entry(name).or_insert(Json::Null),
        other => {
            *other = Json::Object(Map::from_iter([(name.to_owned(), Json::Null)]));
            &mut other[name]
        }
    };
    match (rest, value) {
        (Some(rest), value) => insert(place, (whole, rest), value, lost),
        (None, Json::Object(section)) => {
            let into_list = place.is_array() && section.keys().all(|k| k.parse::<usize>().is_ok());
            if !place.is_object() && !into_list {
                *place = Json::Object(Map::new());
            }
            merge(place, whole, section, lost);
        }
        (None, value) => *place = value,
    }
}

impl FileValues {
    fn flatten(&mut self, path: &str, value: Json) {
        let setting = table::by_key(path).filter(|setting| setting.in_file());
        match (setting, value) {
            (_, Json::Null) => {}
            (Some(setting), value) => self.known.push((setting, value)),
            (None, Json::Object(fields)) if is_section(path) => {
                for (name, value) in fields {
                    self.flatten(&below(path, &name), value);
                }
            }
            (None, _) if is_section(path) => self.not_sections.push(path.to_owned()),
            (None, _) => self.unknown.push(path.to_owned()),
        }
    }
}

fn is_section(path: &str) -> bool {
    let below = |key: &str| key.strip_prefix(path).is_some_and(|r| r.starts_with('.'));
    path.is_empty() || table::settings().any(|s| s.in_file() && below(s.key))
}
