//! The HTTP API, protocol and webhook policy, metrics and logs.

use std::time::Duration;

use crate::config::{
    ClientEvents,
    kind::Kind::{Bool, Checked, Choice, Driver, Ip, List, Mb, Millis, Port, Seconds},
    kind::unused,
    setting::{Group, Setting, settings},
};

settings! { HTTP, "HTTP API", "The REST API and its cross-origin headers.";
    /// Size of one request body; above it the answer is 413.
    "httpApi.requestLimitInMb" "HTTP_MAX_REQUEST_SIZE": Mb(|d, v| d.config.http.request_bytes_max = v), "100";
    /// Bodies being read at once on this node, all together; above it the answer is 503.
    "httpApi.maxBodiesInFlightInMb" "HTTP_MAX_BODIES_IN_FLIGHT": Mb(|d, v| d.config.http.bodies_in_flight_bytes_max = v), "256";
    /// How far `auth_timestamp` may be off. 0: it is not checked, as in Soketi.
    "httpApi.timestampWindow" "HTTP_TIMESTAMP_WINDOW":
        Seconds(|d, v| d.config.http.timestamp_window = Some(v).filter(|v| *v > Duration::ZERO)), "600";
    /// Answer errors of the API with status 200 and the code in the body only, as Soketi does.
    "httpApi.statusAlways200" "HTTP_STATUS_ALWAYS_200": Bool(|d, v| d.config.http.status_always_200 = v), "false";
    /// Time from the first byte of a request to the end of its headers.
    "httpApi.headerTimeout" "HTTP_HEADER_TIMEOUT": Millis(1, |d, v| d.config.http.header_timeout = v), "10000";
    /// Allowed origins; `*` is all. Of several the one that asks is named.
    "cors.origin" "CORS_ORIGIN": List(|d, v| d.config.cors.origins = v), r#"["*"]"#;
    /// Allowed methods.
    "cors.methods" "CORS_METHODS": List(|d, v| d.config.cors.methods = v), r#"["GET", "POST", "PUT", "DELETE", "OPTIONS"]"#;
    /// Allowed request headers.
    "cors.allowedHeaders" "CORS_ALLOWED_HEADERS": List(|d, v| d.config.cors.allowed_headers = v),
        r#"["Origin", "Content-Type", "X-Auth-Token", "X-Requested-With", "Accept", "Authorization", "X-CSRF-TOKEN", "XSRF-TOKEN", "X-Socket-Id"]"#;
    /// Ignored, as in Soketi.
    "cors.credentials" "CORS_CREDENTIALS": Bool(unused), "true", .ignored();
}

settings! { PROTOCOL, "Protocol and webhooks", "Sign-in, client events, versions, quota; when webhooks are sent.";
    /// Time for sign-in, or for the first authorised channel.
    "userAuthenticationTimeout" "USER_AUTHENTICATION_TIMEOUT": Millis(1, |d, v| d.config.protocol.signin_timeout = v), "30000";
    /// Apps with user authentication close connections that neither sign in nor join an authorised channel in time.
    "signinRequired" "SIGNIN_REQUIRED": Bool(|d, v| d.config.protocol.signin_required = v), "true";
    /// Connections that are not authorised yet count towards `maxConnections`.
    "countUnauthorized" "COUNT_UNAUTHORIZED": Bool(|d, v| d.config.protocol.count_unauthorized = v), "true";
    /// Where client events may be sent: on every channel as in Soketi, or on private and presence channels only as at Pusher.
    "clientEvents" "CLIENT_EVENTS": Choice(&["any-channel", "private-and-presence"], |d, v| d.config.protocol.client_events = client_events(v)), "any-channel";
    /// Answer a client event to a channel that its sender is not in with error 4009. Off: silence, as in Soketi.
    "notAMemberError" "NOT_A_MEMBER_ERROR": Bool(|d, v| d.config.protocol.not_a_member_error = v), "false";
    /// Refuse protocol versions other than 5, 6 and 7, with 4006 to 4008. Off: all are accepted, as in Soketi.
    "strictProtocolVersion" "STRICT_PROTOCOL_VERSION": Bool(|d, v| d.config.protocol.strict_version = v), "false";
    /// Close code over `maxConnections`: 4100, after which clients try again, or 4004 as at Pusher.
    "quotaCode" "QUOTA_CODE": Choice(&["4100", "4004"], |d, v| d.config.protocol.quota_code = if v == "4004" { 4004 } else { 4100 }), "4100";
    /// Collect the webhook events of an app into one request.
    "webhooks.batching.enabled" "WEBHOOKS_BATCHING": Bool(|d, v| d.batching = v), "false";
    /// How long events wait for company.
    "webhooks.batching.duration" "WEBHOOKS_BATCHING_DURATION": Millis(0, |d, v| d.batching_duration = v), "50";
    /// Hold `channel_vacated` and `member_removed` back for so long; a return in time cancels them. 0: at once, as in Soketi.
    "webhooks.grace" "WEBHOOKS_GRACE": Millis(0, |d, v| d.config.webhooks.grace = v), "3000";
    /// Refuse webhook targets with private, loopback or link-local addresses.
    "webhooks.blockPrivateTargets" "WEBHOOKS_BLOCK_PRIVATE_TARGETS": Bool(|d, v| d.config.webhooks.block_private_targets = v), "false";
}

settings! { OBSERVING, "Metrics and logs", "The monitoring port is always open; its `/`, `/ready` and `/usage` answer whether `/metrics` is on or off.";
    /// Serve `/metrics`.
    "metrics.enabled" "METRICS_ENABLED": Bool(|d, v| d.config.metrics.enabled = v), "false";
    /// The form of the metrics; there is one.
    "metrics.driver" "METRICS_DRIVER": Driver(&["prometheus"], &[], unused), "prometheus";
    /// Address of the monitoring port.
    "metrics.host" "METRICS_HOST": Ip(|d, v| d.config.metrics.host = v), "0.0.0.0";
    /// Monitoring port. 0 lets the system choose and the log says what it chose.
    "metrics.port" "METRICS_SERVER_PORT": Port(|d, v| d.config.metrics.port = v), "9601";
    /// Put before the name of every metric.
    "metrics.prometheus.prefix" "METRICS_PROMETHEUS_PREFIX":
        Checked(is_metric_prefix, "nothing, or letters, digits, `_` and `:`, with no digit first", |d, v| d.config.metrics.prefix = v), "soketi_";
    /// Log at level `debug`, unless `LOG_LEVEL` is set. Never prints secrets.
    "debug" "DEBUG": Bool(|d, v| d.debug = v), "false";
    /// One line of text or one JSON object per message, on standard output.
    "log.format" "LOG_FORMAT": Choice(&["text", "json"], |d, v| d.config.log.json = v == "json"), "text";
    /// What is logged: a level, or a filter as `info,bowline::webhook=debug`.
    "log.level" "LOG_LEVEL": Checked(is_log_filter, "`off`, `error`, `warn`, `info`, `debug`, `trace`, or a filter as `info,bowline::webhook=debug`",
        |d, v| d.log_level = Some(v).filter(|v| !v.is_empty())), "info";
}

fn client_events(word: &str) -> ClientEvents {
    match word {
        "private-and-presence" => ClientEvents::PrivateAndPresence,
        _ => ClientEvents::AnyChannel,
    }
}

fn is_metric_prefix(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    text.chars().all(legal) && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// A bare word that is no level would be taken as the name of a module, and everything else fall silent.
fn is_log_filter(text: &str) -> bool {
    let level = |word: &str| {
        word.parse::<tracing_subscriber::filter::LevelFilter>()
            .is_ok()
    };
    text.is_empty()
        || text
            .split(',')
            .map(str::trim)
            .all(|part| part.contains('=') || level(part))
            && tracing_subscriber::EnvFilter::try_new(text).is_ok()
}
