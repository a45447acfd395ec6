//! What each metric means, for those who read `/metrics`.

use metrics::Recorder;
use metrics_exporter_prometheus::PrometheusRecorder;

use super::{HORIZONTAL, RESOLVE_TIME};

/// `HELP` of every name but the `process_*` family; those of webhooks and caches, whose handles are made there, too.
const HELP: [(&str, Kind, &str); 32] = [
    ("connected", Kind::Gauge, "Open WebSocket connections."),
    (
        "new_connections_total",
        Kind::Counter,
        "WebSocket connections accepted.",
    ),
    (
        "new_disconnections_total",
        Kind::Counter,
        "Accepted WebSocket connections that have ended.",
    ),
    (
        "socket_received_bytes",
        Kind::Counter,
        "Payload bytes of frames from clients.",
    ),
    (
        "socket_transmitted_bytes",
        Kind::Counter,
        "Payload bytes of frames to clients.",
    ),
    (
        "ws_messages_received_total",
        Kind::Counter,
        "Frames from clients.",
    ),
    (
        "ws_messages_sent_total",
        Kind::Counter,
        "Frames to clients.",
    ),
    (
        "http_received_bytes",
        Kind::Counter,
        "Body bytes of successful API calls.",
    ),
    (
        "http_transmitted_bytes",
        Kind::Counter,
        "Body bytes of answers to successful API calls.",
    ),
    (
        "http_calls_received_total",
        Kind::Counter,
        "Successful API calls.",
    ),
    (
        RESOLVE_TIME,
        Kind::Histogram,
        "Milliseconds of a question to other nodes.",
    ),
    (
        HORIZONTAL[0],
        Kind::Counter,
        "Questions to other nodes that all have answered.",
    ),
    (
        HORIZONTAL[1],
        Kind::Counter,
        "Questions to other nodes that ran into their time-out.",
    ),
    (
        HORIZONTAL[2],
        Kind::Counter,
        "Questions sent to other nodes.",
    ),
    (
        HORIZONTAL[3],
        Kind::Counter,
        "Questions of other nodes that were answered.",
    ),
    (HORIZONTAL[4], Kind::Counter, "Answers from other nodes."),
    (
        "subscriptions",
        Kind::Gauge,
        "Sockets in channels, each counted once per channel.",
    ),
    (
        "channels_occupied",
        Kind::Gauge,
        "Channels that somebody is in.",
    ),
    (
        "client_events_total",
        Kind::Counter,
        "Client events that were passed on.",
    ),
    (
        "slow_consumer_closes_total",
        Kind::Counter,
        "Connections closed because they read too slowly.",
    ),
    (
        "rate_limited_total",
        Kind::Counter,
        "Calls and client events refused by a rate limit.",
    ),
    (
        "delivery_seconds",
        Kind::Histogram,
        "From the taking of an event to its last write.",
    ),
    (
        "accept_errors_total",
        Kind::Counter,
        "Connections that could not be accepted.",
    ),
    ("outbox_bytes", Kind::Gauge, "Bytes that wait for sockets."),
    (
        "refused_connections_total",
        Kind::Counter,
        "WebSockets turned away, by close code.",
    ),
    ("build_info", Kind::Gauge, "1; the version is a label."),
    (
        "cache_evicted_total",
        Kind::Counter,
        "Cached events that made room for others.",
    ),
    (
        "webhooks_delivered_total",
        Kind::Counter,
        "Webhook requests that succeeded.",
    ),
    (
        "webhooks_failed_total",
        Kind::Counter,
        "Webhook requests given up.",
    ),
    (
        "webhooks_retries_total",
        Kind::Counter,
        "Webhook requests sent again.",
    ),
    (
        "webhooks_dropped_total",
        Kind::Counter,
        "Webhook events dropped because too many waited.",
    ),
    (
        "webhooks_grace_skipped_total",
        Kind::Counter,
        "Webhook events sent without their grace because too many waited.",
    ),
];

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Tells the recorder all of them.
pub(super) fn describe(recorder: &PrometheusRecorder, prefix: &str) {
    for (name, kind, help) in HELP {
        let name = format!("{prefix}{name}").into();
        match kind {
            Kind::Counter => recorder.describe_counter(name, None, help.into()),
            Kind::Gauge => recorder.describe_gauge(name, None, help.into()),
            Kind::Histogram => recorder.describe_histogram(name, None, help.into()),
        }
    }
}
