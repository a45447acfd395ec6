//! Files, variables, flags: which wins, what is refused, what is named.

use serde_json::json;

use super::{super::*, Case, var};

#[test]
fn with_nothing_configured_there_is_the_default_app() {
    let loaded = Case::new().loaded();
    let app = &loaded.config.apps[0];
    assert_eq!((&*app.id.0, &*app.key.0), ("app-id", "app-key"));
    assert_eq!(app.secret.bytes(), b"app-secret");
    assert_eq!(loaded.warnings.len(), 1);
    assert!(
        loaded.warnings[0].starts_with("INSECURE"),
        "{:?}",
        loaded.warnings
    );
    let local = var("SOKETI_HOST", "127.0.0.1").loaded();
    assert_eq!(local.warnings, Vec::<String>::new());
    let own = var("SOKETI_DEFAULT_APP_SECRET", "own").loaded();
    assert_eq!(own.warnings, Vec::<String>::new());
}

#[test]
fn the_later_source_wins() {
    let source = |case: &Case| {
        let loaded = case.loaded();
        let port = loaded.settings.iter().find(|s| s.key == "port").unwrap();
        (loaded.config.server.port, port.source.to_string())
    };
    let mut case = Case::new();
    assert_eq!(source(&case), (6001, "default".into()));
    case = case.json(&json!({ "port": 7001 }));
    assert_eq!(source(&case), (7001, "soketi.json".into()));
    case = case.file(".env", "SOKETI_PORT=7002");
    assert_eq!(source(&case), (7002, "SOKETI_PORT in .env".into()));
    case = case.var("SOKETI_PORT", "7003");
    assert_eq!(source(&case), (7003, "SOKETI_PORT".into()));
    case = case.var("BOWLINE_PORT", "7004");
    assert_eq!(source(&case), (7004, "BOWLINE_PORT".into()));
    case.sources.flags.port = Some("7005".into());
    assert_eq!(source(&case), (7005, "--port".into()));
}

#[test]
fn two_variables_that_disagree_are_named() {
    let same = var("SOKETI_PORT", "7001").var("BOWLINE_PORT", "7001");
    assert_eq!(same.warnings(), Vec::<String>::new());
    let differ = var("SOKETI_PORT", "7001").var("BOWLINE_PORT", "7002");
    let warning = &differ.warnings()[0];
    for word in ["BOWLINE_PORT", "SOKETI_PORT", "7001", "7002"] {
        assert!(warning.contains(word), "{warning}");
    }
    let secret =
        var("SOKETI_DEFAULT_APP_SECRET", "hush-1").var("BOWLINE_DEFAULT_APP_SECRET", "hush-2");
    assert_eq!(secret.loaded().config.apps[0].secret.bytes(), b"hush-2");
    assert!(
        !secret.warnings()[0].contains("hush"),
        "{:?}",
        secret.warnings()
    );
    let alias = var("SOKETI_CHANNEL_MAX_NAME_LENGTH", "50")
        .var("SOKETI_CHANNEL_LIMITS_MAX_NAME_LENGTH", "60");
    assert_eq!(alias.loaded().config.limits.channel_name_chars_max, 60);
    assert_eq!(alias.warnings().len(), 1);
}

#[test]
fn empty_is_not_set_and_dotenv_does_not_overwrite() {
    let case = var("SOKETI_PORT", "").file(".env", "SOKETI_PORT=7001\nSOKETI_MODE=server");
    let config = case.loaded().config;
    assert_eq!(
        (config.server.port, config.server.mode),
        (6001, Mode::Server)
    );
}

#[test]
fn secrets_come_from_files() {
    let case = var("SOKETI_DEFAULT_APP_SECRET_FILE", "secret").file("secret", "from a file\r\n");
    assert_eq!(case.loaded().config.apps[0].secret.bytes(), b"from a file");
    let missing = var("SOKETI_SSL_PASS_FILE", "nowhere").error();
    assert!(
        missing.starts_with("ssl.passphrase: \"nowhere\" from SOKETI_SSL_PASS_FILE; "),
        "{missing}"
    );
    let both = var("SOKETI_SSL_PASS_FILE", "a")
        .var("SOKETI_SSL_PASS", "hush")
        .error();
    assert!(
        both.contains("SOKETI_SSL_PASS_FILE is set as well") && !both.contains("hush"),
        "{both}"
    );
    let not_secret = var("SOKETI_PORT_FILE", "a").warnings();
    assert!(not_secret[0].contains("unknown variable"), "{not_secret:?}");
}

#[test]
fn all_problems_are_reported_with_key_source_value_and_what_is_accepted() {
    let errors = var("SOKETI_PORT", "abc")
        .var("BOWLINE_MODE", "cluster")
        .json(&json!({ "metrics.port": 70000, "debug": "maybe", "shards": 0 }))
        .errors();
    let expected = [
        "debug: \"maybe\" from soketi.json; accepted: 1, true, yes, on or 0, false, no, off",
        "metrics.port: 70000 from soketi.json; accepted: a port, 0 to 65535",
        "mode: \"cluster\" from BOWLINE_MODE; accepted: `full`, `server` or `worker`",
        "port: \"abc\" from SOKETI_PORT; accepted: a port, 0 to 65535",
        "shards: 0 from soketi.json; accepted: a whole number from 1 to 64",
    ];
    let mut errors = errors;
    errors.sort();
    assert_eq!(errors, expected);
}

#[test]
fn drivers_that_are_not_here_are_refused_by_name() {
    for (name, driver) in [
        ("ADAPTER", "redis"),
        ("ADAPTER", "nats"),
        ("ADAPTER", "cluster"),
        ("APP_MANAGER", "mysql"),
        ("APP_MANAGER", "postgres"),
        ("APP_MANAGER", "dynamodb"),
        ("CACHE", "redis"),
        ("QUEUE", "redis"),
        ("QUEUE", "sqs"),
        ("RATE_LIMITER", "redis"),
    ] {
        let error = var(&format!("SOKETI_{name}_DRIVER"), driver).error();
        assert!(
            error.contains(&format!("the driver `{driver}` is not part of this server")),
            "{error}"
        );
    }
    let unknown = var("SOKETI_ADAPTER_DRIVER", "rabbit").error();
    assert!(unknown.ends_with("accepted: `local`"), "{unknown}");
    let limiter = var("SOKETI_RATE_LIMITER_DRIVER", "cluster").warnings();
    assert!(limiter[0].starts_with("rateLimiter.driver"), "{limiter:?}");
}

#[test]
fn options_of_drivers_that_are_not_selected_do_no_harm() {
    let case = var("SOKETI_DB_REDIS_HOST", "redis")
        .var("SOKETI_DB_REDIS_PASSWORD", "hush")
        .var("SOKETI_ADAPTER_REDIS_PUB_OPTIONS", "{\"tls\":{}}")
        .var("SOKETI_ADAPTER_NATS_SERVERS", "nats:4222")
        .var("SOKETI_CLUSTER_PORT", "11002")
        .var("BOWLINE_REDIS_URL", "rediss://:hush@redis:6379/0");
    assert_eq!(case.warnings(), Vec::<String>::new());
    assert!(!case.loaded().describe().contains("hush"));
    let url = var("BOWLINE_REDIS_URL", "http://:hush@redis").error();
    assert!(
        url.starts_with("database.redis.url: ") && !url.contains("hush"),
        "{url}"
    );
}

#[test]
fn soketis_json_is_merged_deeply() {
    let config = Case::new()
        .json(&json!({
            "eventLimits": { "maxNameLength": 50 },
            "eventLimits.maxBatchSize": "20",
            "cors": { "origin": ["https://a.test", "https://b.test"] },
            "database": { "redis.host": "redis", "redis": { "port": 1 } },
            "ssl.certPath": null,
        }))
        .loaded()
        .config;
    let limits = config.limits;
    let read = (
        limits.event_name_chars_max,
        limits.batch_events_max,
        limits.event_channels_max,
    );
    assert_eq!(read, (50, 20, 100));
    assert_eq!(config.cors.origins, ["https://a.test", "https://b.test"]);
    assert_eq!(config.apps[0].limits, limits);
}

#[test]
fn unknown_keys_warn_in_json_and_stop_in_toml() {
    let json =
        Case::new().json(&json!({ "prot": 1, "maxBatchSize": 2, "zzzzzzz": 3, "eventLimits": 4 }));
    let error = json.error();
    assert!(error.starts_with("eventLimits: a section"), "{error}");
    let json = Case::new().json(
        &json!({ "prot": 1, "maxBatchSize": 2, "zzzzzzz": 3, "appManager.array.apps.7.id": "a" }),
    );
    let warnings = json.warnings();
    for words in [
        "did you mean `port`",
        "did you mean `eventLimits.maxBatchSize`",
        "zzzzzzz: unknown key, ignored (soketi.json)",
        "apps.7.id: unknown",
    ] {
        assert!(
            warnings.iter().any(|w| w.contains(words)),
            "{words}: {warnings:?}"
        );
    }
    let toml = Case::new()
        .config("bowline.toml", "prot = 1\n[eventLimits]\nmaxBatchSizes = 1")
        .errors();
    assert_eq!(
        toml,
        [
            "eventLimits.maxBatchSizes: unknown key; did you mean `eventLimits.maxBatchSize`? (from bowline.toml)",
            "prot: unknown key; did you mean `port`? (from bowline.toml)",
        ]
    );
    let variables = var("SOKETI_DEFUALT_APP_ID", "x")
        .var("BOWLINE_PROT", "1")
        .warnings();
    assert!(
        variables[0].contains("did you mean `BOWLINE_PORT`"),
        "{variables:?}"
    );
    assert!(
        variables[1].contains("did you mean `SOKETI_DEFAULT_APP_ID`"),
        "{variables:?}"
    );
}

#[test]
fn files_are_told_apart_and_broken_ones_stop_the_start() {
    for (name, content) in [
        ("a.conf", " {\"port\": 7001}"),
        ("b.conf", "port = 7001"),
        ("c.TOML", "port = 7001"),
    ] {
        assert_eq!(
            Case::new()
                .config(name, content)
                .loaded()
                .config
                .server
                .port,
            7001,
            "{name}"
        );
    }
    for (name, content) in [
        ("a.json", "{\"secret-x\": "),
        ("b.toml", "x = secret-x"),
        ("c.json", "[]"),
        ("d.json", "port = 1"),
    ] {
        let error = Case::new().config(name, content).error();
        assert!(
            error.starts_with(&format!("config: \"{name}\" from --config; not ")),
            "{error}"
        );
        assert!(!error.contains("secret-x"), "{error}");
    }
    let missing = var("SOKETI_CONFIG", "nowhere.json").error();
    assert!(
        missing.starts_with("config: \"nowhere.json\" from SOKETI_CONFIG; "),
        "{missing}"
    );
}

#[test]
fn toml_that_is_no_number_is_refused() {
    for text in ["nan", "inf"] {
        let toml = format!("presence.maxMemberSizeInKb = {text}");
        let error = Case::new().config("a.toml", &toml).error();
        assert!(error.starts_with("presence.maxMemberSizeInKb: "), "{error}");
    }
}

#[test]
fn kubernetes_service_links_are_left_out() {
    let case = var("SOKETI_PORT", "tcp://10.0.0.1:6001")
        .var("SOKETI_SERVICE_HOST", "10.0.0.1")
        .var("SOKETI_SERVICE_PORT_HTTP", "6001")
        .var("SOKETI_PORT_6001_TCP_ADDR", "10.0.0.1")
        .var("SOKETI_METRICS_PORT_9601_TCP", "tcp://10.0.0.1:9601");
    assert_eq!(case.loaded().config.server.port, 6001);
    let warnings = case.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("SOKETI_PORT"), "{warnings:?}");
}
