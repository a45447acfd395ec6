//! Every metric: name, help, handle. Handles are made once per app, so that counting is one atomic addition.
//! Names and labels of `soketi_*` are those that Soketi's dashboards read.

use metrics::{Counter, Histogram, counter, histogram};

/// Counters of one app; label `app_id` and `port`.
#[derive(Clone, Debug)]
pub struct AppMetrics {
    /// Accepted connections.
    pub new_connections: Counter,
    /// Ended connections, of those accepted.
    pub new_disconnections: Counter,
    /// Payload bytes of frames from clients.
    pub socket_received_bytes: Counter,
    /// Payload bytes of frames to clients.
    pub socket_transmitted_bytes: Counter,
    /// Frames from clients that were JSON objects.
    pub ws_messages_received: Counter,
    /// Frames to clients.
    pub ws_messages_sent: Counter,
    /// Body bytes of successful API calls; 2 for a GET, as in Soketi.
    pub http_received_bytes: Counter,
    /// Body bytes of successful answers.
    pub http_transmitted_bytes: Counter,
    /// Successful calls of events, `batch_events`, channels, channel, users.
    pub http_calls_received: Counter,
    /// Client events that were passed on.
    pub client_events: Counter,
    /// Sockets closed because more waited for them than allowed.
    pub slow_closes: Counter,
    /// Calls and client events refused by a rate limit.
    pub rate_limited: Counter,
}

impl AppMetrics {
    /// `prefix` as configured (`soketi_`), `port` the main port as text.
    pub fn new(prefix: &str, app_id: &str, port: &str) -> Self {
        let counter = |name: &str| counter!(format!("{prefix}{name}"), "app_id" => app_id.to_owned(), "port" => port.to_owned());
        Self {
            new_connections: counter("new_connections_total"),
            new_disconnections: counter("new_disconnections_total"),
            socket_received_bytes: counter("socket_received_bytes"),
            socket_transmitted_bytes: counter("socket_transmitted_bytes"),
            ws_messages_received: counter("ws_messages_received_total"),
            ws_messages_sent: counter("ws_messages_sent_total"),
            http_received_bytes: counter("http_received_bytes"),
            http_transmitted_bytes: counter("http_transmitted_bytes"),
            http_calls_received: counter("http_calls_received_total"),
            client_events: counter("client_events_total"),
            slow_closes: counter("slow_consumer_closes_total"),
            rate_limited: counter("rate_limited_total"),
        }
    }
}

impl AppMetrics {
    /// Counts nowhere.
    pub fn detached() -> Self {
        let c = Counter::noop;
        Self {
            new_connections: c(),
            new_disconnections: c(),
            socket_received_bytes: c(),
            socket_transmitted_bytes: c(),
            ws_messages_received: c(),
            ws_messages_sent: c(),
            http_received_bytes: c(),
            http_transmitted_bytes: c(),
            http_calls_received: c(),
            client_events: c(),
            slow_closes: c(),
            rate_limited: c(),
        }
    }
}

/// Metrics that belong to no app; label `port`.
#[derive(Clone, Debug)]
pub struct NodeMetrics {
    /// From a shard's taking an event to its last write.
    pub delivery_seconds: Histogram,
    /// Connections that could not be accepted: too many open files, a full shard.
    pub accept_errors: Counter,
    prefix: Box<str>,
    port: Box<str>,
}

impl NodeMetrics {
    /// `prefix` as configured, `port` the main port as text.
    pub fn new(prefix: &str, port: &str) -> Self {
        Self {
            delivery_seconds: histogram!(format!("{prefix}delivery_seconds"), "port" => port.to_owned()),
            accept_errors: counter!(format!("{prefix}accept_errors_total"), "port" => port.to_owned()),
            prefix: prefix.into(),
            port: port.into(),
        }
    }

    /// A WebSocket was turned away with this close code.
    pub fn refused(&self, code: u16) {
        let name = format!("{}refused_connections_total", self.prefix);
        counter!(name, "code" => code.to_string(), "port" => self.port.to_string()).increment(1);
    }
}
