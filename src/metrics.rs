//! Every metric: name, help, handle. Handles are made once per app, so that counting is one atomic addition.
//! Names and labels of `soketi_*` are those that Soketi's dashboards read.

mod help;
pub mod json;
pub mod process;

use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::config;

/// Of `horizontal_adapter_resolve_time`, in milliseconds as in Soketi.
const MILLISECONDS: [f64; 13] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0,
];

/// Of `delivery_seconds`: 100 µs to 10 s.
const SECONDS: [f64; 16] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
    10.0,
];

/// Soketi's counters of questions between nodes: nothing corresponds to them, but dashboards ask.
const HORIZONTAL: [&str; 5] = [
    "horizontal_adapter_resolved_promises",
    "horizontal_adapter_uncomplete_promises",
    "horizontal_adapter_sent_requests",
    "horizontal_adapter_received_requests",
    "horizontal_adapter_received_responses",
];

const RESOLVE_TIME: &str = "horizontal_adapter_resolve_time";

/// Metrics of one app; label `app_id` and `port`.
#[derive(Clone, Debug)]
pub struct AppMetrics {
    /// Accepted connections that are open; set when metrics are asked for.
    pub connected: Gauge,
    /// Sockets in channels, each counted once per channel; set when metrics are asked for.
    pub subscriptions: Gauge,
    /// Channels that somebody is in; set when metrics are asked for.
    pub channels_occupied: Gauge,
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
        let labels = [("app_id", app_id.to_owned()), ("port", port.to_owned())];
        let counter = |name: &str| counter!(format!("{prefix}{name}"), &labels);
        let gauge = |name: &str| gauge!(format!("{prefix}{name}"), &labels);
        // Made once, they are rendered from the start.
        for name in HORIZONTAL {
            drop(counter(name));
        }
        drop(histogram!(format!("{prefix}{RESOLVE_TIME}"), &labels));
        Self {
            connected: gauge("connected"),
            subscriptions: gauge("subscriptions"),
            channels_occupied: gauge("channels_occupied"),
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

    /// Counts nowhere.
    pub fn detached() -> Self {
        let c = Counter::noop;
        Self {
            connected: Gauge::noop(),
            subscriptions: Gauge::noop(),
            channels_occupied: Gauge::noop(),
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
    /// Bytes that wait for sockets; set when metrics are asked for.
    pub outbox_bytes: Gauge,
    prefix: Box<str>,
    port: Box<str>,
}

impl NodeMetrics {
    /// `prefix` as configured, `port` the main port as text.
    pub fn new(prefix: &str, port: &str) -> Self {
        let labels = [("port", port.to_owned())];
        let version = [
            ("port", port.to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        gauge!(format!("{prefix}build_info"), &version).set(1.0);
        Self {
            delivery_seconds: histogram!(format!("{prefix}delivery_seconds"), &labels),
            accept_errors: counter!(format!("{prefix}accept_errors_total"), &labels),
            outbox_bytes: gauge!(format!("{prefix}outbox_bytes"), &labels),
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

static PREFIX: OnceLock<String> = OnceLock::new();

/// The configured prefix and the name: for metrics whose handles are not made here.
pub fn name(metric: &str) -> String {
    let prefix = PREFIX.get().map_or("soketi_", String::as_str);
    format!("{prefix}{metric}")
}

/// Makes the recorder, before any handle is made. Where metrics are off nothing records and handles cost nothing. Whoever keeps the handle
/// calls its `run_upkeep` every few seconds: what histograms were told waits until then.
pub fn install(settings: &config::Metrics) -> Result<PrometheusHandle, String> {
    let prefix = &settings.prefix;
    // A second server in one process keeps the first one's prefix, as it keeps its recorder.
    PREFIX.get_or_init(|| prefix.clone());
    let recorder = recorder(prefix).map_err(|error| error.to_string())?;
    let handle = recorder.handle();
    if settings.enabled {
        help::describe(&recorder, prefix);
        metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
    }
    Ok(handle)
}

fn recorder(prefix: &str) -> Result<PrometheusRecorder, BuildError> {
    let buckets = |builder: PrometheusBuilder, name: &str, bounds: &[f64]| {
        builder.set_buckets_for_metric(Matcher::Full(format!("{prefix}{name}")), bounds)
    };
    let builder = buckets(PrometheusBuilder::new(), RESOLVE_TIME, &MILLISECONDS)?;
    Ok(buckets(builder, "delivery_seconds", &SECONDS)?.build_recorder())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_soketi_is_there_from_the_start() {
        let recorder = recorder("soketi_").unwrap();
        let (app, node) = metrics::with_local_recorder(&recorder, || {
            help::describe(&recorder, "soketi_");
            let app = AppMetrics::new("soketi_", "a\"b", "6001");
            (app, NodeMetrics::new("soketi_", "6001"))
        });
        app.connected.set(2);
        app.ws_messages_sent.increment(3);
        node.delivery_seconds.record(0.0003);
        let text = recorder.handle().render();
        let labels = r#"{app_id="a\"b",port="6001"}"#;
        for (name, kind, value) in [
            ("connected", "gauge", 2),
            ("new_connections_total", "counter", 0),
            ("new_disconnections_total", "counter", 0),
            ("socket_received_bytes", "counter", 0),
            ("socket_transmitted_bytes", "counter", 0),
            ("ws_messages_received_total", "counter", 0),
            ("ws_messages_sent_total", "counter", 3),
            ("http_received_bytes", "counter", 0),
            ("http_transmitted_bytes", "counter", 0),
            ("http_calls_received_total", "counter", 0),
            (HORIZONTAL[0], "counter", 0),
            (HORIZONTAL[1], "counter", 0),
            (HORIZONTAL[2], "counter", 0),
            (HORIZONTAL[3], "counter", 0),
            (HORIZONTAL[4], "counter", 0),
        ] {
            for line in [
                format!("# HELP soketi_{name} "),
                format!("# TYPE soketi_{name} {kind}\n"),
                format!("\nsoketi_{name}{labels} {value}\n"),
            ] {
                assert!(text.contains(&line), "{line} in {text}");
            }
        }
        for line in [
            "# TYPE soketi_horizontal_adapter_resolve_time histogram\n",
            "soketi_horizontal_adapter_resolve_time_bucket{app_id=\"a\\\"b\",port=\"6001\",le=\"10000\"} 0\n",
            "soketi_delivery_seconds_bucket{port=\"6001\",le=\"0.0002\"} 0\n",
            "soketi_delivery_seconds_bucket{port=\"6001\",le=\"0.0005\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn every_metric_has_its_help() {
        let recorder = recorder("p_").unwrap();
        let node = metrics::with_local_recorder(&recorder, || {
            help::describe(&recorder, "p_");
            drop(AppMetrics::new("p_", "a", "1"));
            let node = NodeMetrics::new("p_", "1");
            node.refused(4001);
            node
        });
        let mut text = recorder.handle().render();
        process::render(&mut text, &node);
        for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
            let name = line.split(' ').nth(2).unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
        assert!(text.contains("p_refused_connections_total{code=\"4001\",port=\"1\"} 1\n"));
    }
}
