//! Apps from the list in the configuration: three spellings of every field, numbers that are text, text that is numbers.
//! spec: configuration, "Apps".

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value as Json};

use super::{
    Limits, hooks, nearest,
    problem::{Problem, Report, Source},
    values,
};
use crate::app::{App, AppId, AppKey, AppSecret};

/// What a field holds and where it goes.
enum Field {
    Text(fn(&mut Reading, String)),
    Flag(fn(&mut App, bool)),
    /// 0 and below: unlimited.
    Connections,
    /// 0 refuses all, below 0: unlimited.
    Rate(fn(&mut App, Option<u32>)),
    /// Below 0: the server's.
    Limit(fn(&mut Limits, usize)),
    /// Below 0: the server's; fractions allowed.
    KbLimit(fn(&mut Limits, f64)),
    Origins,
    Until,
    Hooks,
}

/// A field: its spellings in a file, in `DynamoDB` and in SQL; the last one present wins.
pub(crate) struct AppField {
    pub(crate) camel: &'static str,
    pub(crate) pascal: &'static str,
    pub(crate) snake: &'static str,
    field: Field,
    pub(crate) default: &'static str,
    pub(crate) doc: &'static str,
}

/// The value is none of those accepted.
struct NotRead;

/// An app and what is not in it yet.
struct Reading {
    app: App,
    previous: Option<AppSecret>,
    until: Option<SystemTime>,
}

macro_rules! fields {
    ($($camel:literal $pascal:literal $snake:literal: $field:expr, $default:literal, $doc:literal;)+) => {
        /// All fields.
        pub(crate) const FIELDS: &[AppField] = &[$(AppField {
            camel: $camel, pascal: $pascal, snake: $snake, field: $field, default: $default, doc: $doc,
        },)+];
    };
}

fields! {
    "id" "AppId" "id": Field::Text(|r, v| r.app.id = AppId(v.into())), "", "Identity in API paths.";
    "key" "AppKey" "key": Field::Text(|r, v| r.app.key = AppKey(v.into())), "", "Identity in connection paths; public.";
    "secret" "AppSecret" "secret": Field::Text(|r, v| r.app.secret = AppSecret::new(&v)), "", "Signs and verifies; an app without one is refused.";
    "previousSecret" "PreviousSecret" "previous_secret": Field::Text(|r, v| r.previous = Some(AppSecret::new(&v))), "none",
        "Also accepted until `previousSecretUntil`.";
    "previousSecretUntil" "PreviousSecretUntil" "previous_secret_until": Field::Until, "never", "When the previous secret ends.";
    "enabled" "Enabled" "enabled": Field::Flag(|a, v| a.enabled = v), "true", "Off: connections are refused with 4003, the API answers 403.";
    "maxConnections" "MaxConnections" "max_connections": Field::Connections, "-1", "Connections at once; 0 and below: unlimited.";
    "enableClientMessages" "EnableClientMessages" "enable_client_messages": Field::Flag(|a, v| a.client_events = v), "false", "Clients may send `client-` events.";
    "enableUserAuthentication" "EnableUserAuthentication" "enable_user_authentication": Field::Flag(|a, v| a.user_authentication = v), "false",
        "`pusher:signin` is answered.";
    "enableSubscriptionCount" "EnableSubscriptionCount" "enable_subscription_count": Field::Flag(|a, v| a.subscription_count = v), "false",
        "`pusher_internal:subscription_count` is sent.";
    "enableWatchlist" "EnableWatchlist" "enable_watchlist": Field::Flag(|a, v| a.watchlist = v), "true", "Watchlist events are sent where sign-in is allowed.";
    "allowedOrigins" "AllowedOrigins" "allowed_origins": Field::Origins, "[]", "Host patterns with `*` that may connect from a browser; empty: all.";
    "maxBackendEventsPerSecond" "MaxBackendEventsPerSecond" "max_backend_events_per_sec": Field::Rate(|a, v| a.backend_events_per_second_max = v), "-1",
        "Points a second for published events; 0 refuses all, below 0: unlimited.";
    "maxClientEventsPerSecond" "MaxClientEventsPerSecond" "max_client_events_per_sec": Field::Rate(|a, v| a.client_events_per_second_max = v), "-1",
        "Client events a second and connection; 0 refuses all, below 0: unlimited.";
    "maxReadRequestsPerSecond" "MaxReadRequestsPerSecond" "max_read_req_per_sec": Field::Rate(|a, v| a.read_requests_per_second_max = v), "-1",
        "API reads a second; 0 refuses all, below 0: unlimited.";
    "maxPresenceMembersPerChannel" "MaxPresenceMembersPerChannel" "max_presence_members_per_channel": Field::Limit(|l, v| l.presence_members_max = v),
        "server's", "Members of a presence channel; 0: nobody may join.";
    "maxPresenceMemberSizeInKb" "MaxPresenceMemberSizeInKb" "max_presence_member_size_in_kb": Field::KbLimit(|l, v| l.presence_member_kb_max = v),
        "server's", "KiB of one member's `user_info`.";
    "maxChannelNameLength" "MaxChannelNameLength" "max_channel_name_length": Field::Limit(|l, v| l.channel_name_chars_max = v), "server's", "Characters of a channel name.";
    "maxEventChannelsAtOnce" "MaxEventChannelsAtOnce" "max_event_channels_at_once": Field::Limit(|l, v| l.event_channels_max = v), "server's", "Channels of one event.";
    "maxEventNameLength" "MaxEventNameLength" "max_event_name_length": Field::Limit(|l, v| l.event_name_chars_max = v), "server's", "Characters of an event name.";
    "maxEventPayloadInKb" "MaxEventPayloadInKb" "max_event_payload_in_kb": Field::KbLimit(|l, v| l.event_data_kb_max = v), "server's", "KiB of an event's data.";
    "maxEventBatchSize" "MaxEventBatchSize" "max_event_batch_size": Field::Limit(|l, v| l.batch_events_max = v), "server's", "Events of one batch.";
    "webhooks" "Webhooks" "webhooks": Field::Hooks, "[]", "Where events are posted, see \"Webhook\": a list, or text that holds a JSON list.";
}

impl AppField {
    /// The type in a word or two.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self.field {
            Field::Text(_) => "text",
            Field::Flag(_) => "bool",
            Field::Connections | Field::Rate(_) | Field::Limit(_) => "integer",
            Field::KbLimit(_) => "number",
            Field::Origins => "list",
            Field::Until => "time",
            Field::Hooks => "list of webhooks",
        }
    }

    const fn accepted(&self) -> &'static str {
        match self.field {
            Field::Text(_) => "text",
            Field::Flag(_) => "1, true, yes, on or 0, false, no, off",
            Field::Connections | Field::Rate(_) | Field::Limit(_) => {
                "a whole number up to 4294967295"
            }
            Field::KbLimit(_) => "a number, fractions allowed",
            Field::Origins => "a list of host patterns: JSON, or with commas between",
            Field::Until => "a time as 2030-01-31T12:00:00Z, or seconds since 1970",
            Field::Hooks => "a list of webhook objects, or text that holds one as JSON",
        }
    }

    const fn is_secret(&self) -> bool {
        matches!(self.field, Field::Hooks)
            || matches!(self.camel.as_bytes(), b"secret" | b"previousSecret")
    }

    /// The value under the last of the spellings that has one, and that spelling.
    fn of<'a>(&self, fields: &'a Map<String, Json>) -> Option<(&'static str, &'a Json)> {
        [self.snake, self.pascal, self.camel]
            .into_iter()
            .find_map(|name| {
                let value = fields.get(name)?;
                (!value.is_null() && value.as_str() != Some("")).then_some((name, value))
            })
    }

    fn store(&self, given: &Json, reading: &mut Reading) -> Result<(), NotRead> {
        match &self.field {
            Field::Text(set) => set(reading, values::text(given).ok_or(NotRead)?),
            Field::Flag(set) => set(&mut reading.app, values::bool(given).ok_or(NotRead)?),
            Field::Connections => {
                let most = limit(given)?;
                reading.app.connections_max = most.filter(|most| *most > 0);
            }
            Field::Rate(set) => set(&mut reading.app, limit(given)?),
            Field::Limit(set) => {
                if let Some(most) = limit(given)? {
                    set(&mut reading.app.limits, most as usize);
                }
            }
            Field::KbLimit(set) => {
                let most = values::number(given).ok_or(NotRead)?;
                if most >= 0.0 {
                    set(&mut reading.app.limits, most);
                }
            }
            Field::Origins => reading.app.allowed_origins = values::list(given).ok_or(NotRead)?,
            Field::Until => reading.until = Some(time(given).ok_or(NotRead)?),
            Field::Hooks => {}
        }
        Ok(())
    }
}

/// A number below 0 is `None`.
fn limit(given: &Json) -> Result<Option<u32>, NotRead> {
    match values::integer(given).ok_or(NotRead)? {
        ..0 => Ok(None),
        number => u32::try_from(number).map(Some).map_err(|_| NotRead),
    }
}

/// Seconds since 1970, or a date and time with offset.
fn time(given: &Json) -> Option<SystemTime> {
    let seconds = values::integer(given).or_else(|| {
        let text = given.as_str()?.trim().replace(' ', "T");
        seconds_since_1970(&text.parse().ok()?)
    })?;
    let since = Duration::from_secs(u64::try_from(seconds).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Days are counted by the proleptic Gregorian calendar, years from March, in eras of 400 years.
fn seconds_since_1970(at: &toml::value::Datetime) -> Option<i64> {
    let (date, time) = (at.date?, at.time?);
    let offset = match at.offset? {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes) * 60,
    };
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let year = i64::from(date.year) - i64::from(month <= 2);
    let in_era = year.rem_euclid(400);
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year.div_euclid(400) * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year
        - 719_468;
    let clock = i64::from(time.hour) * 3600 + i64::from(time.minute) * 60;
    Some(days * 86_400 + clock + i64::from(time.second.unwrap_or(0)) - offset)
}

/// What `DEFAULT_APP_…` accepts.
pub(crate) fn accepted(camel: &str) -> &'static str {
    by_name(camel).map_or("text", AppField::accepted)
}

/// Its type.
pub(crate) fn type_name(camel: &str) -> &'static str {
    by_name(camel).map_or("text", AppField::type_name)
}

fn by_name(camel: &str) -> Option<&'static AppField> {
    FIELDS.iter().find(|field| field.camel == camel)
}

/// Values for the first app from variables: field, text, variable.
pub(crate) type Overrides = Vec<(&'static str, Json, Source)>;

/// The list of apps as one source gives it.
pub(crate) struct AppList {
    /// Objects.
    pub(crate) list: Vec<Json>,
    pub(crate) source: Source,
    pub(crate) overrides: Overrides,
    /// What an app has that does not say otherwise.
    pub(crate) limits: Limits,
}

impl AppList {
    /// The app that is there when nobody configured one.
    pub(crate) fn built_in() -> Vec<Json> {
        vec![serde_json::json!({ "id": "app-id", "key": "app-key", "secret": "app-secret" })]
    }

    /// Reads all apps; what is wrong with one does not hide what is wrong with another.
    pub(crate) fn read(mut self, report: &mut Report) -> Vec<App> {
        if self.list.is_empty() && !self.overrides.is_empty() {
            self.list.extend(Self::built_in());
        }
        if let Some(Json::Object(first)) = self.list.first_mut() {
            for (camel, value, _) in &self.overrides {
                let spellings = by_name(camel).map(|f| [f.camel, f.pascal, f.snake]);
                spellings.into_iter().flatten().for_each(|name| {
                    first.remove(name);
                });
                first.insert((*camel).into(), value.clone());
            }
        }
        let apps: Vec<App> = (self.list.iter().enumerate())
            .filter_map(|(index, fields)| self.read_one(index, fields.as_object()?, report))
            .collect();
        if apps.is_empty() && report.problems.is_empty() {
            report.warn("appManager.array.apps: no apps, so nobody can connect".into());
        }
        warn_of_twins(&apps, report);
        apps
    }

    fn read_one(
        &self,
        index: usize,
        fields: &Map<String, Json>,
        report: &mut Report,
    ) -> Option<App> {
        let mut reading = Reading {
            app: App::new("app-id", "app-key", ""),
            previous: None,
            until: None,
        };
        reading.app.limits = self.limits;
        let problems = report.problems.len();
        for field in FIELDS {
            let Some((name, value)) = field.of(fields) else {
                self.note_missing(index, field, report);
                continue;
            };
            let place = Place {
                app: reading.app.id.to_string(),
                path: format!("appManager.array.apps.{index}.{name}"),
                source: self.source_of(index, field),
            };
            if matches!(field.field, Field::Hooks) {
                reading.app.webhooks = hooks::read(value, &place, report);
            } else if field.store(value, &mut reading).is_err() {
                let given = (!field.is_secret()).then(|| value.to_string());
                report.refuse(place.problem(given, &format!("accepted: {}", field.accepted())));
            }
        }
        self.name_unknown(index, fields, &reading.app.id, report);
        if reading.until.is_some() && reading.previous.is_none() {
            report.warn(format!("appManager.array.apps.{index}.previousSecretUntil: no effect without previousSecret"));
        }
        reading.app.previous_secret = reading.previous.map(|secret| (secret, reading.until));
        (report.problems.len() == problems).then_some(reading.app)
    }

    fn source_of(&self, index: usize, field: &AppField) -> Source {
        let of_field = |(camel, _, _): &&(&str, Json, Source)| index == 0 && *camel == field.camel;
        let own = self.overrides.iter().find(of_field);
        own.map_or_else(|| self.source.clone(), |(_, _, source)| source.clone())
    }

    fn note_missing(&self, index: usize, field: &AppField, report: &mut Report) {
        let path = format!("appManager.array.apps.{index}.{}", field.camel);
        match field.camel {
            "secret" => report.refuse(Problem {
                key: path,
                source: self.source.clone(),
                given: None,
                wrong: "an app without a secret; accepted: text that is not empty".into(),
            }),
            "id" | "key" => report.warn(format!(
                "{path}: not set, so it is `app-{}` as in Soketi ({})",
                field.camel, self.source
            )),
            _ => {}
        }
    }

    fn name_unknown(
        &self,
        index: usize,
        fields: &Map<String, Json>,
        id: &AppId,
        report: &mut Report,
    ) {
        let known = || FIELDS.iter().flat_map(|f| [f.camel, f.pascal, f.snake]);
        for name in fields.keys().filter(|name| !known().any(|k| k == *name)) {
            let place = Place {
                app: id.to_string(),
                path: format!("appManager.array.apps.{index}.{name}"),
                source: self.source.clone(),
            };
            let hint = nearest::hint(name, FIELDS.iter().map(|f| f.camel));
            place.unknown(&hint, report);
        }
    }
}

/// Where in the list of apps something stands.
pub(crate) struct Place {
    /// Id of the app.
    pub(crate) app: String,
    pub(crate) path: String,
    pub(crate) source: Source,
}

impl Place {
    /// The same source, further down.
    pub(crate) fn below(&self, name: &str) -> Self {
        Self {
            app: self.app.clone(),
            path: format!("{}.{name}", self.path),
            source: self.source.clone(),
        }
    }

    pub(crate) fn problem(&self, given: Option<String>, wrong: &str) -> Problem {
        Problem {
            key: self.path.clone(),
            source: self.source.clone(),
            given,
            wrong: format!("app `{}`: {wrong}", self.app),
        }
    }

    /// A key that nobody knows stops the start in TOML and is named elsewhere.
    pub(crate) fn unknown(&self, hint: &str, report: &mut Report) {
        if self.source.is_toml() {
            report.refuse(self.problem(None, &format!("unknown key{hint}")));
        } else {
            report.warn(format!(
                "{}: unknown key, ignored ({}){hint}",
                self.path, self.source
            ));
        }
    }
}

fn warn_of_twins(apps: &[App], report: &mut Report) {
    for (index, app) in apps.iter().enumerate() {
        let earlier = &apps[..index];
        if earlier.iter().any(|other| other.id == app.id) {
            report.warn(format!(
                "appManager.array.apps.{index}: a second app with id `{}`; the first is used",
                app.id
            ));
        }
        if earlier.iter().any(|other| other.key == app.key) {
            report.warn(format!(
                "appManager.array.apps.{index}: a second app with key `{}`; the first is used",
                app.key
            ));
        }
    }
}
