//! Apps and their webhooks; reloading them.

use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};

use super::{super::*, Case, var};
use crate::app::HookEvent;

fn apps(list: &Json) -> Case {
    Case::new().json(&json!({ "appManager.array.apps": list }))
}

fn with_hook(hook: &Json) -> Case {
    apps(&json!([{ "id": "shop", "key": "k", "secret": "s", "webhooks": [hook] }]))
}

#[test]
fn three_spellings_are_read_and_the_last_wins() {
    let read = apps(&json!([
        { "id": 40000, "key": 7, "secret": 12345, "maxConnections": "10", "enabled": "false" },
        { "AppId": "b", "AppKey": "bk", "AppSecret": "bs", "EnableClientMessages": true, "MaxPresenceMembersPerChannel": "0" },
        { "id": "c", "key": "ck", "secret": "cs", "maxConnections": 1, "MaxConnections": 2, "max_connections": 3 },
        { "id": "d", "key": "dk", "secret": "ds", "maxConnections": 1, "max_connections": null, "MaxConnections": "" },
    ]))
    .loaded()
    .config
    .apps;
    assert_eq!(
        (&*read[0].id.0, &*read[0].key.0, read[0].secret.bytes()),
        ("40000", "7", &b"12345"[..])
    );
    assert_eq!(
        (read[0].connections_max, read[0].enabled),
        (Some(10), false)
    );
    assert_eq!((&*read[1].id.0, read[1].client_events), ("b", true));
    assert_eq!(read[1].limits.presence_members_max, 0);
    assert_eq!(
        (read[2].connections_max, read[3].connections_max),
        (Some(3), Some(1))
    );
}

#[test]
fn numbers_below_zero_mean_unlimited_or_the_servers() {
    let read = Case::new()
        .json(&json!({
            "eventLimits.maxBatchSize": 77,
            "appManager.array.apps": [
                { "id": "a", "key": "a", "secret": "s", "maxEventBatchSize": -1, "maxEventPayloadInKb": -1, "maxBackendEventsPerSecond": 0, "maxConnections": 0 },
                { "id": "b", "key": "b", "secret": "s", "maxEventBatchSize": 3, "maxEventPayloadInKb": "0.02", "maxReadRequestsPerSecond": -1 },
            ],
        }))
        .loaded()
        .config
        .apps;
    assert_eq!(
        (
            read[0].limits.batch_events_max,
            read[1].limits.batch_events_max
        ),
        (77, 3)
    );
    assert!((read[0].limits.event_data_kb_max - 100.0).abs() < f64::EPSILON);
    assert!((read[1].limits.event_data_kb_max - 0.02).abs() < f64::EPSILON);
    assert_eq!(
        (
            read[0].backend_events_per_second_max,
            read[0].connections_max
        ),
        (Some(0), None)
    );
    assert_eq!(read[1].read_requests_per_second_max, None);
}

#[test]
fn an_app_without_a_secret_is_refused() {
    for app in [
        json!({ "id": "a", "key": "k" }),
        json!({ "id": "a", "key": "k", "secret": "" }),
        json!({ "id": "a", "key": "k", "secret": null }),
    ] {
        let error = apps(&json!([app])).error();
        assert!(
            error.starts_with("appManager.array.apps.0.secret: ") && error.contains("soketi.json"),
            "{error}"
        );
    }
    let saved = apps(&json!([{ "id": "a", "key": "k" }])).var("SOKETI_DEFAULT_APP_SECRET", "s");
    assert_eq!(saved.loaded().config.apps[0].secret.bytes(), b"s");
}

#[test]
fn wrong_fields_are_named_with_their_app() {
    let errors = apps(&json!([
        { "id": "a", "key": "k", "secret": "hush", "maxConnections": "many" },
        { "id": "b", "key": "k2", "secret": ["hush"], "enabled": "perhaps" },
    ]))
    .errors();
    assert_eq!(
        errors,
        [
            "appManager.array.apps.0.maxConnections: \"many\" from soketi.json; app `a`: accepted: a whole number up to 4294967295",
            "appManager.array.apps.1.secret: app `b`: accepted: text (from soketi.json)",
            "appManager.array.apps.1.enabled: \"perhaps\" from soketi.json; app `b`: accepted: 1, true, yes, on or 0, false, no, off",
        ]
    );
    let unknown =
        apps(&json!([{ "id": "a", "key": "k", "secret": "s", "maxConnection": 5 }])).warnings();
    assert!(
        unknown[0].contains("did you mean `maxConnections`"),
        "{unknown:?}"
    );
    let toml = "[[appManager.array.apps]]\nid = 'a'\nkey = 'k'\nsecret = 's'\nmaxConnection = 5";
    let error = Case::new().config("a.toml", toml).error();
    assert!(
        error.contains("unknown key; did you mean `maxConnections`"),
        "{error}"
    );
}

#[test]
fn variables_change_the_first_app() {
    let list = json!([{ "id": "a", "key": "ak", "secret": "s", "max_connections": 5 }, { "id": "b", "key": "bk", "secret": "s" }]);
    let case = apps(&list)
        .var("SOKETI_DEFAULT_APP_KEY", "new")
        .var("SOKETI_DEFAULT_APP_MAX_CONNS", "9");
    let read = case.loaded().config.apps;
    assert_eq!(
        (&*read[0].id.0, &*read[0].key.0, read[0].connections_max),
        ("a", "new", Some(9))
    );
    assert_eq!((&*read[1].key.0, read[1].connections_max), ("bk", None));
    let error = apps(&list)
        .var("BOWLINE_DEFAULT_APP_ENABLED", "perhaps")
        .error();
    assert!(error.contains("BOWLINE_DEFAULT_APP_ENABLED"), "{error}");
    let by_path = Case::new()
        .json(&json!({ "appManager.array.apps.0.enableClientMessages": true }))
        .loaded()
        .config
        .apps;
    assert_eq!(
        (by_path[0].client_events, &*by_path[0].id.0),
        (true, "app-id")
    );
    let by_variable = apps(&list)
        .var(
            "SOKETI_APPS",
            "[{\"id\":\"v\",\"key\":\"k\",\"secret\":\"s\"}]",
        )
        .loaded()
        .config
        .apps;
    assert_eq!((by_variable.len(), &*by_variable[0].id.0), (1, "v"));
    let broken = var("SOKETI_APPS", "[{\"secret\":\"hush\"").error();
    assert!(
        broken.starts_with("appManager.array.apps: ") && !broken.contains("hush"),
        "{broken}"
    );
}

#[test]
fn twins_are_named() {
    let twins = apps(
        &json!([{ "id": "a", "key": "k", "secret": "s" }, { "id": "a", "key": "k", "secret": "t" }]),
    );
    assert_eq!(twins.warnings().len(), 2);
    let none = apps(&json!([]));
    assert!(
        none.warnings()[0].contains("no apps"),
        "{:?}",
        none.warnings()
    );
}

#[test]
fn a_previous_secret_has_an_end() {
    let until = |text: &str| {
        let case = var("SOKETI_DEFAULT_APP_PREVIOUS_SECRET", "old")
            .var("SOKETI_DEFAULT_APP_PREVIOUS_SECRET_UNTIL", text);
        let (_, until) = case.loaded().config.apps.remove(0).previous_secret.unwrap();
        until.map(|t| t.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    };
    assert_eq!(until(""), None);
    assert_eq!(until("1893456000"), Some(1_893_456_000));
    assert_eq!(until("2030-01-01T00:00:00Z"), Some(1_893_456_000));
    assert_eq!(until("2030-01-01 02:00:00+02:00"), Some(1_893_456_000));
    assert_eq!(until("2024-02-29T23:59:59Z"), Some(1_709_251_199));
    assert_eq!(until("1970-01-01T00:00:00Z"), Some(0));
    for wrong in ["tomorrow", "2030-01-01", "2030-02-30T00:00:00Z", "-5"] {
        let error = var("SOKETI_DEFAULT_APP_PREVIOUS_SECRET_UNTIL", wrong).error();
        assert!(error.contains("accepted: a time as"), "{wrong}: {error}");
    }
}

#[test]
fn webhooks_are_read_from_lists_and_text() {
    let hook = json!({
        "url": "https://example.org/hook?token=hush",
        "event_types": ["channel_occupied", "chanel_vacated", "channel_occupied", "subscription_count"],
        "filter": { "channel_name_starts_with": "a-", "channel_name_ends_with": "" },
        "headers": { "X-Count": 5 },
    });
    let text = var("SOKETI_DEFAULT_APP_WEBHOOKS", &json!([hook]).to_string());
    for case in [with_hook(&hook), text] {
        let read = &case.loaded().config.apps[0].webhooks[0];
        assert_eq!(
            read.event_types,
            [HookEvent::ChannelOccupied, HookEvent::SubscriptionCount]
        );
        assert_eq!(read.channel_name_starts_with.as_deref(), Some("a-"));
        assert_eq!(read.channel_name_ends_with, None);
        assert_eq!(read.headers, [("X-Count".to_owned(), "5".to_owned())]);
        let warnings = case.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains("did you mean `channel_vacated`"),
            "{warnings:?}"
        );
        assert!(!case.loaded().describe().contains("hush"));
    }
    let skipped = with_hook(&json!({ "event_types": [] }));
    assert!(skipped.loaded().config.apps[0].webhooks.is_empty());
    assert_eq!(skipped.warnings().len(), 1);
}

#[test]
fn webhooks_that_cannot_work_are_refused_by_app_and_place() {
    let url = "https://example.org";
    let events = json!(["client_event"]);
    for (hook, words) in [
        (
            json!({ "lambda_function": "f", "event_types": events }),
            "AWS Lambda",
        ),
        (
            json!({ "url": url }),
            "every webhook needs the events it wants",
        ),
        (
            json!({ "url": url, "event_types": "client_event" }),
            "every webhook needs the events it wants",
        ),
        (
            json!({ "url": "ftp://a/b", "event_types": events }),
            "accepted: a URL",
        ),
        (
            json!({ "url": "example.org", "event_types": events }),
            "accepted: a URL",
        ),
        (
            json!({ "url": url, "event_types": events, "filter": "a" }),
            "accepted: an object",
        ),
        (
            json!({ "url": url, "event_types": events, "filter": { "channel_name_ends_with": 1 } }),
            "accepted: text",
        ),
        (
            json!({ "url": url, "event_types": events, "headers": { "a b": "c" } }),
            "HTTP header",
        ),
        (
            json!({ "url": url, "event_types": events, "headers": ["a"] }),
            "accepted: an object of texts",
        ),
        (json!("https://example.org"), "accepted: a webhook object"),
    ] {
        let error = with_hook(&hook).error();
        assert!(
            error.starts_with("appManager.array.apps.0.webhooks.0"),
            "{error}"
        );
        assert!(
            error.contains("app `shop`") && error.contains(words),
            "{error}"
        );
    }
    let with_url = with_hook(&json!({ "url": url, "lambda_function": "f", "event_types": events }));
    assert_eq!(with_url.loaded().config.apps[0].webhooks.len(), 1);
}

#[test]
fn a_reload_brings_apps_and_names_the_rest() {
    let case = apps(&json!([{ "id": "a", "key": "k", "secret": "s" }]));
    let loaded = case.loaded();
    let reloader = Reloader::new(case.sources.clone(), &loaded);
    assert_eq!(reloader.file(), Some(&*case.dir.path().join("soketi.json")));
    let same = reloader.reload().unwrap();
    assert_eq!(
        (same.apps, same.other_changed_keys),
        (loaded.config.apps, vec![])
    );
    let case = case.json(&json!({
        "appManager.array.apps": [{ "id": "b", "key": "k", "secret": "t" }],
        "eventLimits.maxBatchSize": 99,
        "ssl.certPath": "c", "ssl.keyPath": "k", "ssl.passphrase": "new",
    }));
    let new = reloader.reload().unwrap();
    assert_eq!(&*new.apps[0].id.0, "b");
    assert_eq!(new.apps[0].limits.batch_events_max, 10);
    assert_eq!(
        new.other_changed_keys,
        [
            "ssl.certPath",
            "ssl.keyPath",
            "ssl.passphrase",
            "eventLimits.maxBatchSize"
        ]
    );
    let case = case.json(&json!({ "appManager.array.apps": [{ "id": "b" }] }));
    assert!(reloader.reload().is_err());
    drop(case);
}

#[test]
fn nothing_printed_holds_a_secret() {
    let case = apps(&json!([{
        "id": "a", "key": "k", "secret": "hush-1", "previousSecret": "hush-2", "previousSecretUntil": 1_893_456_000,
        "webhooks": [{ "url": "https://me:hush-0@a/b?c=hush-3", "event_types": [], "headers": { "Authorization": "hush-4" } }],
    }]))
    .var("SOKETI_SSL_PASS", "hush-5")
    .var("SOKETI_DB_MYSQL_PASSWORD", "hush-6")
    .var("SOKETI_CACHE_REDIS_OPTIONS", "{\"password\":\"hush-7\"}");
    let loaded = case.loaded();
    let until = SystemTime::UNIX_EPOCH + Duration::from_hours(525_960);
    assert_eq!(
        loaded.config.apps[0].previous_secret.as_ref().unwrap().1,
        Some(until)
    );
    let text = loaded.describe();
    assert!(
        text.contains("url = \"https://redacted@a/b?redacted\""),
        "{text}"
    );
    assert!(
        text.contains("redacted") && !text.contains("hush"),
        "{text}"
    );
    assert!(!format!("{:?} {:?}", loaded.warnings, loaded.settings).contains("hush"));
}
