//! What `check` prints: every value with its source, then the apps. It reads as TOML; secrets are replaced.

use std::fmt::Write as _;

use super::{
    Loaded,
    kind::{quoted, quoted_list},
    load::Effective,
    problem::Source,
};
use crate::app::{App, Hook};

const REDACTED: &str = "\"redacted\"";
const FIRST_APP: &str = "appManager.array.apps.";

impl Loaded {
    /// Every setting with its value and source, secrets redacted.
    pub fn describe(&self) -> String {
        let mut text = String::from("# The configuration as it stands; secrets are not shown.\n");
        for setting in &self.settings {
            let _ = writeln!(text, "{}", self.line(setting));
        }
        for app in &self.config.apps {
            text.push_str(&describe_app(app));
        }
        text
    }

    fn line(&self, setting: &Effective) -> String {
        let Effective { key, source, .. } = setting;
        if *key == "appManager.array.apps" {
            return format!("# {key}: {} below  # {source}", self.config.apps.len());
        }
        if *key == "config" || key.starts_with(FIRST_APP) {
            let value = setting
                .shown
                .as_deref()
                .filter(|_| *source != Source::Default);
            return format!("# {key} = {}  # {source}", value.unwrap_or("not set"));
        }
        match &setting.shown {
            Some(value) => format!("{key} = {value}  # {source}"),
            None => format!("# {key} is not set  # {source}"),
        }
    }
}

fn describe_app(app: &App) -> String {
    let mut text = String::from("\n[[appManager.array.apps]]\n");
    for (field, value) in identity(app).into_iter().chain(limits(app)) {
        let _ = writeln!(text, "{field} = {value}");
    }
    for hook in &app.webhooks {
        text.push_str(&describe_hook(hook));
    }
    text
}

type Rows = Vec<(&'static str, String)>;

fn identity(app: &App) -> Rows {
    let mut rows = vec![
        ("id", quoted(&app.id.0)),
        ("key", quoted(&app.key.0)),
        ("secret", REDACTED.into()),
    ];
    if let Some((_, until)) = &app.previous_secret {
        rows.push(("previousSecret", REDACTED.into()));
        let since = until.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        rows.extend(since.map(|since| ("previousSecretUntil", since.as_secs().to_string())));
    }
    rows.extend([
        ("enabled", app.enabled.to_string()),
        ("enableClientMessages", app.client_events.to_string()),
        (
            "enableUserAuthentication",
            app.user_authentication.to_string(),
        ),
        (
            "enableSubscriptionCount",
            app.subscription_count.to_string(),
        ),
        ("enableWatchlist", app.watchlist.to_string()),
        ("allowedOrigins", quoted_list(&app.allowed_origins)),
    ]);
    rows
}

fn limits(app: &App) -> Rows {
    let rate = |most: Option<u32>| most.map_or_else(|| "-1".to_owned(), |n| n.to_string());
    let own = &app.limits;
    vec![
        ("maxConnections", rate(app.connections_max)),
        (
            "maxBackendEventsPerSecond",
            rate(app.backend_events_per_second_max),
        ),
        (
            "maxClientEventsPerSecond",
            rate(app.client_events_per_second_max),
        ),
        (
            "maxReadRequestsPerSecond",
            rate(app.read_requests_per_second_max),
        ),
        (
            "maxPresenceMembersPerChannel",
            own.presence_members_max.to_string(),
        ),
        (
            "maxPresenceMemberSizeInKb",
            own.presence_member_kb_max.to_string(),
        ),
        (
            "maxChannelNameLength",
            own.channel_name_chars_max.to_string(),
        ),
        ("maxEventChannelsAtOnce", own.event_channels_max.to_string()),
        ("maxEventNameLength", own.event_name_chars_max.to_string()),
        ("maxEventPayloadInKb", own.event_data_kb_max.to_string()),
        ("maxEventBatchSize", own.batch_events_max.to_string()),
    ]
}

/// A target's user, its query and the values of headers may hold secrets.
fn describe_hook(hook: &Hook) -> String {
    let events: Vec<_> = hook
        .event_types
        .iter()
        .map(|e| e.name().to_owned())
        .collect();
    let (target, query) = match hook.url.split_once('?') {
        Some((target, _)) => (target, "?redacted"),
        None => (hook.url.as_str(), ""),
    };
    let (scheme, rest) = target.split_once("://").unwrap_or(("http", target));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("redacted@{host}"),
        None => authority.to_owned(),
    };
    let url = format!("{scheme}://{host}{path}{query}");
    let mut text = String::from("[[appManager.array.apps.webhooks]]\n");
    let _ = writeln!(text, "url = {}", quoted(&url));
    let _ = writeln!(text, "event_types = {}", quoted_list(&events));
    for (name, value) in [
        ("starts", &hook.channel_name_starts_with),
        ("ends", &hook.channel_name_ends_with),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "filter.channel_name_{name}_with = {}", quoted(value));
        }
    }
    for (name, _) in &hook.headers {
        let _ = writeln!(text, "headers.{} = {REDACTED}", quoted(name));
    }
    text
}
