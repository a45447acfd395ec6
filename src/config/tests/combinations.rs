//! Values that belong together, and values with a shape of their own.

use std::time::Duration;

use super::{super::*, Case, var};

#[test]
fn certificate_and_key_go_together() {
    let tls = var("SOKETI_SSL_CERT", "c")
        .var("SOKETI_SSL_KEY", "k")
        .var("SOKETI_SSL_PASS", "hush");
    let read = tls.loaded().config.tls.unwrap();
    assert_eq!(read.cert_path, std::path::Path::new("c"));
    assert_eq!(read.passphrase, Some(Secret("hush".into())));
    let no_key = var("SOKETI_SSL_CERT", "c").error();
    assert!(
        no_key.starts_with("ssl.keyPath: not set, but ssl.certPath is (SOKETI_SSL_CERT)"),
        "{no_key}"
    );
    let no_cert = var("SOKETI_SSL_KEY", "k").error();
    assert!(no_cert.starts_with("ssl.certPath: not set"), "{no_cert}");
    let alone = var("SOKETI_SSL_PASS", "hush").warnings();
    assert!(
        alone[0].starts_with("ssl.passphrase: no effect"),
        "{alone:?}"
    );
}

#[test]
fn listeners_have_ports_of_their_own() {
    let same = var("SOKETI_PORT", "9601").error();
    assert!(same.starts_with("metrics.port: "), "{same}");
    let apart = var("SOKETI_PORT", "9601")
        .var("SOKETI_HOST", "127.0.0.1")
        .var("SOKETI_METRICS_HOST", "127.0.0.2");
    apart.loaded();
    var("SOKETI_PORT", "0")
        .var("SOKETI_METRICS_SERVER_PORT", "0")
        .loaded();
    let api = var("SOKETI_API_PORT", "6001").error();
    assert!(
        api.starts_with("api.port: 6001 from SOKETI_API_PORT; "),
        "{api}"
    );
    let own = var("SOKETI_API_PORT", "6002")
        .var("SOKETI_HOST", "127.0.0.1")
        .loaded()
        .config
        .server
        .api;
    assert_eq!(own, Some(("127.0.0.1".parse().unwrap(), 6002)));
}

#[test]
fn stopping_fits_into_its_grace_period() {
    let stop = |case: &Case| {
        let Shutdown {
            grace,
            drain_delay,
            spread,
        } = case.loaded().config.shutdown;
        [grace, drain_delay, spread].map(|d| d.as_millis())
    };
    assert_eq!(
        stop(&var("SOKETI_SHUTDOWN_GRACE_PERIOD", "10000")),
        [10000, 0, 5000]
    );
    let fits = var("SOKETI_SHUTDOWN_DRAIN_DELAY", "1000").var("SOKETI_SHUTDOWN_SPREAD", "2000");
    assert_eq!(stop(&fits), [3000, 1000, 2000]);
    assert_eq!(fits.warnings(), Vec::<String>::new());
    let long = var("SOKETI_SHUTDOWN_DRAIN_DELAY", "2000").var("SOKETI_SHUTDOWN_SPREAD", "2000");
    assert_eq!(stop(&long), [3000, 2000, 1000]);
    assert_eq!(long.warnings().len(), 1);
    assert_eq!(
        stop(&var("SOKETI_SHUTDOWN_DRAIN_DELAY", "5000")),
        [3000, 3000, 0]
    );
    assert_eq!(stop(&var("SOKETI_SHUTDOWN_GRACE_PERIOD", "0")), [0, 0, 0]);
}

#[test]
fn shapes_are_checked() {
    for (name, right) in [
        ("PATH_PREFIX", "/ws"),
        ("PATH_PREFIX", "/a/b-c"),
        ("LOG_LEVEL", "debug"),
        ("LOG_LEVEL", "info,bowline::http=trace"),
        ("METRICS_PROMETHEUS_PREFIX", "my_"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,192.168.1.1"),
        ("SHARDS", "4"),
        ("QUOTA_CODE", "4004"),
        ("DB_REDIS_SENTINELS", "[{\"host\":\"a\",\"port\":26379}]"),
        ("HTTP_TIMESTAMP_WINDOW", "0"),
        ("LOG_FORMAT", "json"),
        ("PRESENCE_MAX_MEMBER_SIZE", "0.5"),
        ("HTTP_MAX_REQUEST_SIZE", "0.001"),
        ("HOST", "::"),
        ("CLIENT_EVENTS", "private-and-presence"),
    ] {
        var(&format!("BOWLINE_{name}"), right).loaded();
    }
    for (name, wrong) in [
        ("PATH_PREFIX", "ws"),
        ("PATH_PREFIX", "/ws/"),
        ("PATH_PREFIX", "/"),
        ("PATH_PREFIX", "/a?b"),
        ("LOG_LEVEL", "verbose"),
        ("LOG_LEVEL", "bowline=verbose"),
        ("METRICS_PROMETHEUS_PREFIX", "my-"),
        ("TRUSTED_PROXIES", "10.0.0.0/40"),
        ("SHARDS", "65"),
        ("QUOTA_CODE", "4001"),
        ("EVENT_MAX_BATCH_SIZE", "-1"),
        ("CONNECTION_MAX_OUTBOX_IN_KB", "0"),
        ("HTTP_HEADER_TIMEOUT", "0"),
        ("CLUSTER_CHECK_INTERVAL", "3000"),
        ("CLUSTER_MASTER_TIMEOUT", "100"),
        ("DB_POOLING_MIN", "8"),
        ("QUEUE_SQS_BATCH_SIZE", "11"),
        ("HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD", "101"),
        ("USER_AUTHENTICATION_TIMEOUT", "1.5"),
        ("METRICS_DRIVER", "statsd"),
    ] {
        let error = var(&format!("BOWLINE_{name}"), wrong).error();
        assert!(
            error.contains(&format!("BOWLINE_{name}; ")) && error.contains("accepted: "),
            "{name}={wrong}: {error}"
        );
    }
}

#[test]
fn settings_reach_their_place() {
    let config = var("SOKETI_DEBUG", "1")
        .var("SOKETI_HTTP_MAX_REQUEST_SIZE", "0.001")
        .var("SOKETI_HTTP_TIMESTAMP_WINDOW", "0")
        .var("SOKETI_WEBHOOKS_BATCHING", "yes")
        .var("SOKETI_WEBHOOKS_BATCHING_DURATION", "80")
        .var("SOKETI_CONNECTION_MAX_PER_ADDRESS", "5")
        .var("SOKETI_QUOTA_CODE", "4004")
        .var("SOKETI_METRICS_PROMETHEUS_PREFIX", "")
        .loaded()
        .config;
    assert_eq!(config.log.level, "debug");
    assert_eq!(config.http.request_bytes_max, 1048);
    assert_eq!(config.http.timestamp_window, None);
    assert_eq!(config.webhooks.batching, Some(Duration::from_millis(80)));
    assert_eq!(config.connection.per_address_max, Some(5));
    assert_eq!(config.protocol.quota_code, 4004);
    assert_eq!(config.metrics.prefix, "soketi_");
    let level = var("SOKETI_DEBUG", "1")
        .var("BOWLINE_LOG_LEVEL", "warn")
        .loaded();
    assert_eq!(level.config.log.level, "warn");
}

#[test]
fn odd_combinations_are_named() {
    for (name, value, key) in [
        ("MODE", "worker", "mode"),
        ("PROXY_PROTOCOL", "on", "proxyProtocol"),
        ("API_HOST", "127.0.0.1", "api.host"),
        (
            "DEFAULT_APP_PREVIOUS_SECRET_UNTIL",
            "2030-01-01T00:00:00Z",
            "appManager.array.apps.0.previousSecretUntil",
        ),
        (
            "DEFAULT_APP_KEY",
            "\"quoted\"",
            "appManager.array.apps.0.key",
        ),
    ] {
        let warnings = var(&format!("SOKETI_{name}"), value).warnings();
        assert!(
            warnings.len() == 1 && warnings[0].starts_with(&format!("{key}: ")),
            "{warnings:?}"
        );
    }
    let ignored = var("SOKETI_QUEUE_REDIS_CONCURRENCY", "4").loaded();
    assert_eq!(
        ignored.notes,
        ["queue.redis.concurrency: accepted and ignored (from SOKETI_QUEUE_REDIS_CONCURRENCY)"]
    );
}
