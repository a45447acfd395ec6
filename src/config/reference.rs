//! The example file and the reference in the documentation, both written from the table.

use std::fmt::Write as _;

use super::{
    apps::FIELDS,
    draft::Draft,
    kind::Kind,
    setting::{Group, Setting},
    table::GROUPS,
};

/// A TOML file with every setting at its default, commented out.
pub fn example_toml() -> String {
    let mut text = String::from(TOML_HEAD);
    for group in GROUPS {
        let mut settings = group
            .settings
            .iter()
            .filter(|s| s.in_file() && !matches!(s.kind, Kind::Apps))
            .peekable();
        if settings.peek().is_none() {
            continue;
        }
        let _ = write!(text, "\n# === {}\n# {}\n", group.title, group.intro);
        for setting in settings {
            let _ = write!(text, "\n# {}\n# {}\n", setting.sentence(), facts(setting));
            let value = default_of(setting).unwrap_or_else(|| "\"\"".into());
            let _ = writeln!(text, "#{} = {value}", setting.key);
        }
    }
    text.push_str(TOML_APPS);
    for field in FIELDS
        .iter()
        .filter(|f| !matches!(f.camel, "id" | "key" | "secret" | "webhooks"))
    {
        let _ = writeln!(
            text,
            "# {}: {} Default: {}.",
            field.camel, field.doc, field.default
        );
    }
    text.push_str(TOML_HOOK);
    text
}

/// Type and variable, for the line above a setting.
fn facts(setting: &Setting) -> String {
    let kind = setting.kind.name();
    if setting.variable.is_empty() {
        return kind;
    }
    let file = if setting.secret {
        " or SOKETI_…_FILE"
    } else {
        ""
    };
    format!("{kind}; SOKETI_{}{file}", setting.variable)
}

/// The default as a file writes it.
fn default_of(setting: &Setting) -> Option<String> {
    let value = setting
        .kind
        .read(&setting.default.into(), &mut Draft::default());
    value.ok().filter(|_| !setting.default.is_empty())
}

/// The reference: all settings, fields of apps and webhooks, and what to mind when coming from Soketi.
pub fn markdown() -> String {
    let mut text = String::from(MARKDOWN_HEAD);
    for group in GROUPS {
        group_rows(&group, &mut text);
    }
    text.push_str(MARKDOWN_APPS);
    for field in FIELDS {
        let _ = writeln!(
            text,
            "| `{}` | `{}`, `{}` | {} | {} | {} |",
            field.camel,
            field.pascal,
            field.snake,
            field.type_name(),
            cell(field.default),
            field.doc
        );
    }
    text.push_str(MARKDOWN_REST);
    text
}

fn group_rows(group: &Group, text: &mut String) {
    let _ = write!(text, "\n## {}\n\n{}\n\n", group.title, group.intro);
    text.push_str("| key | variable | type | default | meaning |\n|---|---|---|---|---|\n");
    for setting in group.settings {
        let mut names = Vec::new();
        for variable in setting.variables() {
            names.push(format!("`{variable}`"));
            if setting.secret {
                names.push(format!("`{variable}_FILE`"));
            }
        }
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            if setting.in_file() {
                format!("`{}`", setting.key)
            } else {
                "–".into()
            },
            if names.is_empty() {
                "–".into()
            } else {
                names.join(", ")
            },
            setting.kind.name(),
            cell(setting.default),
            setting.sentence()
        );
    }
}

fn cell(default: &str) -> String {
    if default.is_empty() {
        "–".into()
    } else {
        format!("`{default}`")
    }
}

const TOML_HEAD: &str = "\
# Bowline: every setting with its default. Written by `bowline config-example`.
# Values: defaults, then this file, then the environment, then flags; the later wins.
# Every variable SOKETI_X may be written BOWLINE_X, which wins. A key that is not known stops the start.
";

const TOML_APPS: &str =
    "\n# === Apps, at the end of the file; without any there is one: app-id, app-key, app-secret.
#
#[[appManager.array.apps]]
#id = \"my-app\"
#key = \"my-key\"
#secret = \"change-me\"
#
# Further fields of an app:
";

const TOML_HOOK: &str = "#
#[[appManager.array.apps.webhooks]]
#url = \"https://example.org/hooks\"
#event_types = [\"channel_occupied\", \"channel_vacated\"]
#filter.channel_name_starts_with = \"presence-\"
#headers.X-Custom = \"text\"
";

const MARKDOWN_HEAD: &str = "\
# Configuration

<!-- Written by `bowline config-example --markdown` from the table of settings; a test compares. -->

With nothing configured Bowline serves one app, `app-id`, `app-key`, `app-secret`, on port 6001.

Values come from, the later wins:

1. the defaults below;
2. a file, `--config=FILE` or `CONFIG`: Soketi's JSON with dotted paths and nested objects, merged deeply, or Bowline's TOML with the same keys;
3. the environment: every variable below as `SOKETI_X` or `BOWLINE_X`; `BOWLINE_X` beats `SOKETI_X`. A file `.env` in the
   working directory adds the variables that the process does not have. An empty variable is not set;
4. flags: `--config`, `--host`, `--port`, `--demo`.

Every secret may be read from a file: `SOKETI_X_FILE` is its path, line breaks at its end are left out.

`bowline check` prints every value with its source, secrets redacted. `bowline config-example` prints a TOML file with all of this.
What cannot be right stops the start with exit code 64, all of it named at once: key, source, value unless secret, what is accepted.
What only starting shows, as a busy port or an unreadable certificate, is exit code 1.
In JSON an unknown key and in the environment an unknown `SOKETI_`/`BOWLINE_` variable is a warning with the nearest known name; in TOML it stops the start.

SIGHUP, or a changed file, reads certificates and the list of apps again; other changed keys are named as needing a restart.
";

const MARKDOWN_APPS: &str = "
## Fields of an app

Three spellings of every field are accepted; if an app has several, the last of the three wins. Numbers may be text, an id may be a number.
Empty text and `null` mean not given. Of several apps with one id or key the first is used, with a warning.

| field | also | type | default | meaning |
|---|---|---|---|---|
";

const MARKDOWN_REST: &str = "
Below 0, the limits from `maxPresenceMembersPerChannel` to `maxEventBatchSize` mean the server's value.

## Webhook

| field | type | meaning |
|---|---|---|
| `url` | text | HTTP(S) target; a webhook without it is skipped with a warning, one with `lambda_function` instead stops the start |
| `event_types` | list, required | `client_event`, `channel_occupied`, `channel_vacated`, `member_added`, `member_removed`, `cache_miss`, `subscription_count`; others are named and left out |
| `filter` | object | `channel_name_starts_with`, `channel_name_ends_with`; both given: both must match |
| `headers` | object of text | further request headers |

## Coming from Soketi

Its variables, its `.env` and its JSON file work as they are. What to mind:

- Booleans are read, not guessed: Soketi takes `no`, `off` and `False` for **on**, here they are off, and other words stop the start.
- Text is text: an app secret `12345` or `1e5` works here. Soketi takes the quotes off a variable `\"text\"`; here they stay, with a warning.
- `{\"eventLimits\": {\"maxNameLength\": 50}}` changes one limit; in Soketi it removes the other three.
- A missing or broken file stops the start; Soketi goes on with the app whose secret everybody knows.
- `HTTP_MAX_REQUEST_SIZE` and `CHANNEL_MAX_NAME_LENGTH`, which Soketi documents and does not read, are read here. The default of the latter is 200, not 100.
- The default of `PRESENCE_MAX_MEMBER_SIZE` is 2 KiB, not 10 as documented.
- `/metrics` and `/usage` are on the monitoring port in every mode, never on the main port.
- PostgreSQL's defaults are port 5432 and user `postgres`, not 3306 and `root` as documented.
- Limits of single apps cannot be set by variables, except inside `APPS`; the server's limits are the defaults of every app.
- Variables count only with their prefix: `DEBUG=1` or `PORT=80` do nothing.
- An app without a secret is refused; in Soketi it gets the public default. One with negative limits gets the server's; in Soketi everything is refused.
- A webhook without `event_types` is refused by name; Soketi stops at the first connection. AWS Lambda is refused by name.
- `SSL_CERT` and `SSL_KEY` go together; one alone is refused.
- Ports are bound exclusively; Soketi lets a second server share them. `REUSE_PORT` brings that back. UDP port 11002 is never opened.
- API errors have their real status; `HTTP_STATUS_ALWAYS_200` answers 200 as Soketi does. `HTTP_TIMESTAMP_WINDOW=0` accepts any clock, as Soketi does.
- `SHUTDOWN_GRACE_PERIOD` bounds the whole stop; in Soketi it is a pause before the exit. SIGHUP reloads instead of stopping.
- Selecting a driver that is not here (Redis, NATS, UDP cluster, SQL, DynamoDB, SQS) stops the start by name; its options alone do no harm.
- Kubernetes sets `SOKETI_PORT=tcp://…` in every pod when a service is named `soketi`: such a value is left out with a warning.
";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Flags, Sources};

    /// `UPDATE_DOCS=1 cargo test --lib reference` writes the files anew.
    fn same_as(file: &str, expected: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
        assert!(
            found == expected,
            "{file} is not what the table of settings says; UPDATE_DOCS=1 writes it anew; first difference: {differs:?}"
        );
    }

    #[test]
    fn the_documentation_is_that_of_the_table() {
        same_as("docs/configuration.md", &markdown());
    }

    #[test]
    fn the_example_is_that_of_the_table() {
        same_as("docs/bowline.example.toml", &example_toml());
    }

    #[test]
    fn the_example_loads_with_every_line_uncommented_and_changes_nothing_but_the_app() {
        let uncommented: String = (example_toml().lines())
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[') => {
                    format!("{rest}\n")
                }
                _ => format!("{line}\n"),
            })
            .collect();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("all.toml"), uncommented).unwrap();
        let flags = Flags {
            config: Some("all.toml".into()),
            ..Flags::default()
        };
        let sources = Sources {
            dir: dir.path().into(),
            flags,
            ..Sources::default()
        };
        let mut loaded = Config::load(&sources).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new());
        assert_eq!(&*loaded.config.apps[0].id.0, "my-app");
        assert_eq!(loaded.config.apps[0].webhooks.len(), 1);
        loaded.config.apps.clear();
        assert_eq!(
            format!("{:?}", loaded.config),
            format!("{:?}", Config::default())
        );
    }
}
