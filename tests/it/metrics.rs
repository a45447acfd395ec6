//! `/metrics`: Soketi's names with their labels, moved by the truth (scaling-webhooks-metrics.md 6).

use serde_json::json;

use crate::harness::{Response, Server, eventually};

const SOKETI: [(&str, &str); 16] = [
    ("connected", "gauge"),
    ("new_connections_total", "counter"),
    ("new_disconnections_total", "counter"),
    ("socket_received_bytes", "counter"),
    ("socket_transmitted_bytes", "counter"),
    ("ws_messages_received_total", "counter"),
    ("ws_messages_sent_total", "counter"),
    ("http_received_bytes", "counter"),
    ("http_transmitted_bytes", "counter"),
    ("http_calls_received_total", "counter"),
    ("horizontal_adapter_resolve_time", "histogram"),
    ("horizontal_adapter_resolved_promises", "counter"),
    ("horizontal_adapter_uncomplete_promises", "counter"),
    ("horizontal_adapter_sent_requests", "counter"),
    ("horizontal_adapter_received_requests", "counter"),
    ("horizontal_adapter_received_responses", "counter"),
];

async fn start() -> Server {
    Server::builder()
        .env("SOKETI_METRICS_ENABLED", 1)
        .start()
        .await
}

/// The value of `soketi_NAME{app_id="app-id",port="PORT"}`.
fn sample(server: &Server, response: &Response, name: &str) -> u64 {
    let start = format!(
        "soketi_{name}{{app_id=\"app-id\",port=\"{}\"}} ",
        server.main.port()
    );
    let line = response
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(&start));
    line.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn every_name_of_soketis_is_there_with_its_type() {
    let server = start().await;
    let _client = server.connect().await;
    let response = server.ops("/metrics").await;
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    for (name, kind) in SOKETI {
        let line = format!("# TYPE soketi_{name} {kind}");
        assert!(response.text().lines().any(|have| have == line), "{line}");
    }
    for name in [
        "process_cpu_user_seconds_total",
        "process_cpu_system_seconds_total",
        "process_cpu_seconds_total",
        "process_start_time_seconds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
    ] {
        let start = format!("soketi_{name}{{port=\"{}\"}} ", server.main.port());
        let line = response
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(&start))
            .unwrap_or_else(|| panic!("{name}"));
        assert!(
            line.parse::<f64>().unwrap() > 0.0 || name.contains("cpu"),
            "{name} {line}"
        );
    }
    assert!(!response.text().contains("nodejs_"));
}

#[tokio::test]
async fn every_line_is_prometheus_text() {
    let server = start().await;
    let _client = server.subscribed("room").await;
    server.trigger("room", "e", "1").await;
    let response = server.ops("/metrics").await;
    for line in response.text().lines().filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            assert!(
                line.starts_with("# HELP ") || line.starts_with("# TYPE "),
                "{line}"
            );
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok() || value == "+Inf", "{line}");
        assert!(
            series.starts_with("soketi_")
                && !series.contains("channel=")
                && !series.contains("socket_id="),
            "{line}"
        );
    }
}

#[tokio::test]
async fn connections_are_counted_as_they_are() {
    let server = Server::builder()
        .env("SOKETI_METRICS_ENABLED", 1)
        .env("SOKETI_DEFAULT_APP_MAX_CONNS", 2)
        .start()
        .await;
    let (first, second) = (server.connect().await, server.connect().await);
    for _ in 0..3 {
        let message = "The current concurrent connections quota has been reached.";
        server
            .open("/app/app-key")
            .await
            .expect_refusal(4100, message)
            .await;
        server
            .open("/app/nope")
            .await
            .expect_refusal(4001, "App key nope does not exist.")
            .await;
    }
    let response = server.ops("/metrics").await;
    assert_eq!(sample(&server, &response, "connected"), 2);
    assert_eq!(sample(&server, &response, "new_connections_total"), 2);
    assert_eq!(sample(&server, &response, "new_disconnections_total"), 0);
    first.close().await;
    let mut second = second;
    second.send_close(4200).await;
    while second.recv().await != crate::harness::Message::End {}
    eventually("nobody is connected", async || {
        let response = server.ops("/metrics").await;
        sample(&server, &response, "connected") == 0
            && sample(&server, &response, "new_disconnections_total") == 2
    })
    .await;
}

#[tokio::test]
async fn messages_and_calls_move_their_counters() {
    let server = start().await;
    let mut client = server.subscribed("room").await;
    client.send_text("not json").await;
    client.send_text(r#"{"event":"unknown"}"#).await;
    client.expect_silence().await;
    let before = server.ops("/metrics").await;
    server.trigger("room", "e", "1").await;
    client.expect_event("e").await;
    assert_eq!(server.get("/channels").await.status, 200);
    assert_eq!(server.raw("GET", "/apps/app-id/channels").await.status, 401);
    client.expect_silence().await;
    let frame = r#"{"event":"e","channel":"room","data":"1"}"#.len();
    let pong = crate::harness::PONG.len();
    let grown = async |name: &str| {
        sample(&server, &server.ops("/metrics").await, name) - sample(&server, &before, name)
    };
    eventually("the counters have moved", async || {
        grown("ws_messages_sent_total").await >= 2
    })
    .await;
    assert_eq!(grown("ws_messages_sent_total").await, 2);
    assert_eq!(grown("ws_messages_received_total").await, 1);
    assert_eq!(
        grown("socket_transmitted_bytes").await,
        (frame + pong) as u64
    );
    assert!(grown("socket_received_bytes").await > 0);
    assert_eq!(
        grown("http_calls_received_total").await,
        2,
        "the refused one does not count"
    );
    let body = json!({"name": "e", "channels": ["room"], "data": "1"})
        .to_string()
        .len();
    assert_eq!(
        grown("http_received_bytes").await,
        (body + 2) as u64,
        "2 for a GET"
    );
    assert!(grown("http_transmitted_bytes").await > 0);
}

#[tokio::test]
async fn json_is_an_array_of_metrics() {
    let server = start().await;
    let _client = server.connect().await;
    let response = server.ops("/metrics?json=1").await;
    assert_eq!(response.status, 200);
    let metrics = response.json();
    let connected = metrics
        .as_array()
        .unwrap()
        .iter()
        .find(|metric| metric["name"] == "soketi_connected")
        .unwrap();
    assert_eq!(
        (&connected["type"], &connected["aggregator"]),
        (&json!("gauge"), &json!("sum"))
    );
    assert!(connected["help"].is_string());
    assert_eq!(
        connected["values"],
        json!([{"value": 1, "labels": {"app_id": "app-id", "port": server.main.port()}}])
    );
    for (name, kind) in SOKETI {
        let full = format!("soketi_{name}");
        assert!(
            metrics
                .as_array()
                .unwrap()
                .iter()
                .any(|metric| metric["name"] == full && metric["type"] == kind),
            "{full}"
        );
    }
}

#[tokio::test]
async fn the_prefix_is_an_option_and_off_is_404() {
    let server = Server::builder()
        .env("SOKETI_METRICS_ENABLED", 1)
        .env("SOKETI_METRICS_PROMETHEUS_PREFIX", "mine_")
        .start()
        .await;
    let _client = server.connect().await;
    let response = server.ops("/metrics").await;
    assert!(response.text().contains("mine_connected{") && !response.text().contains("soketi_"));
    let server = Server::start().await;
    assert_eq!(server.ops("/metrics").await.status, 404);
    for path in ["/", "/ready", "/usage"] {
        assert_eq!(server.ops(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn slow_readers_and_limits_are_counted() {
    let server = Server::builder()
        .env("SOKETI_METRICS_ENABLED", 1)
        .env("SOKETI_DEFAULT_APP_MAX_READ_REQ_PER_SEC", 0)
        .start()
        .await;
    assert_eq!(server.get("/channels").await.status, 429);
    let response = server.ops("/metrics").await;
    let moved = |word: &str| {
        let of = |line: &&str| !line.starts_with('#') && line.contains(word);
        response
            .text()
            .lines()
            .filter(of)
            .any(|line| !line.ends_with(" 0"))
    };
    assert!(moved("rate_limited"), "{}", response.text());
    assert!(
        response.text().contains("slow"),
        "a counter of clients closed as too slow"
    );
}

#[tokio::test]
async fn secrets_are_in_no_metric() {
    let server = Server::builder()
        .env("SOKETI_METRICS_ENABLED", 1)
        .env("SOKETI_DEFAULT_APP_SECRET", "very-secret-word")
        .env("SOKETI_DEBUG", 1)
        .start()
        .await;
    let _client = server.connect().await;
    assert!(
        !server
            .ops("/metrics")
            .await
            .text()
            .contains("very-secret-word")
    );
    assert!(
        !server.log().contains("very-secret-word"),
        "{}",
        server.log()
    );
}
