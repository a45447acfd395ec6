//! Health and monitoring.

use axum::http::Method;

use super::{Answer, Fixture, answer, config, request};
use crate::{config::Mode, node::Phase};

async fn ops(fixture: &Fixture, target: &str) -> Answer {
    answer(&fixture.ops, request(Method::GET, target, "")).await
}

#[tokio::test]
async fn ready_follows_the_phase_and_alive_does_not() {
    let fixture = Fixture::new(&config());
    let closing = r#"{"error":"The server is closing. Choose another server. :)","code":503}"#;
    assert_eq!(fixture.get("/ready").await.pair(), (200, "OK"));
    assert_eq!(ops(&fixture, "/ready").await.pair(), (200, "OK"));
    for phase in [Phase::NotReady, Phase::Closing] {
        fixture.node.set_phase(phase);
        for target in ["/ready", "/accept-traffic"] {
            assert_eq!(fixture.get(target).await.pair(), (503, closing));
        }
        assert_eq!(ops(&fixture, "/ready").await.pair(), (503, closing));
        assert_eq!(fixture.get("/").await.pair(), (200, "OK"));
        assert_eq!(ops(&fixture, "/").await.pair(), (200, "OK"));
        assert_eq!(
            fixture.signed_get("/apps/app-id/channels", "").await.status,
            200
        );
    }
}

#[tokio::test]
async fn memory_is_told_and_judged() {
    let read =
        |answer: &Answer| -> serde_json::Value { serde_json::from_str(&answer.body).unwrap() };
    let fixture = Fixture::new(&config());
    let usage = &read(&ops(&fixture, "/usage").await)["memory"];
    let bytes = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(bytes("used") + bytes("free"), bytes("total"));
    assert!((0.0..100.0).contains(&usage["percent"].as_f64().unwrap()));
    let traffic = &read(&fixture.get("/accept-traffic").await)["memory"];
    assert_eq!(traffic["totalSize"], usage["total"]);
    assert!(traffic["usedSize"].as_u64().unwrap() > 0);
    assert!((0.0..100.0).contains(&traffic["percentUsage"].as_f64().unwrap()));
    let mut config = config();
    config.server.accept_traffic_percent_max = 0.0;
    let full = Fixture::new(&config).get("/accept-traffic").await;
    let low = r#"{"error":"Low on memory here. Choose another server. :)","code":503}"#;
    assert_eq!(full.pair(), (503, low));
}

#[tokio::test]
async fn workers_answer_health_only() {
    let mut config = config();
    config.server.mode = Mode::Worker;
    let fixture = Fixture::new(&config);
    for (target, status) in [
        ("/", 200),
        ("/ready", 200),
        ("/accept-traffic", 404),
        ("/apps/app-id/channels", 404),
    ] {
        assert_eq!(fixture.get(target).await.status, status, "{target}");
    }
}

#[tokio::test]
async fn metrics_are_served_where_switched_on() {
    let off = Fixture::new(&config());
    for target in ["/metrics", "/nowhere", "/accept-traffic"] {
        let answer = ops(&off, target).await;
        assert_eq!(
            (answer.pair(), answer.header("access-control-allow-origin")),
            ((404, ""), None)
        );
    }
    let mut config = config();
    config.metrics.enabled = true;
    config.server.path_prefix = "/ws".into();
    let on = Fixture::new(&config);
    let answer = ops(&on, "/ws/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(
        answer
            .body
            .contains("\nsoketi_process_resident_memory_bytes{port=\"6001\"} ")
    );
    for target in ["/ws/metrics?json=1", "/ws/metrics?json=x"] {
        let answer = ops(&on, target).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.body.starts_with("[{\"help\":"));
    }
    assert!(ops(&on, "/ws/metrics?json=").await.body.starts_with('#'));
    assert_eq!(ops(&on, "/metrics").await.status, 404);
}

#[tokio::test]
async fn successful_calls_are_counted_and_nothing_else() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let mut config = config();
    config.apps[0].read_requests_per_second_max = Some(1);
    let fixture = metrics::with_local_recorder(&recorder, || Fixture::new(&config));
    let (good, bad) = (
        r#"{"name":"n","channel":"c","data":"x"}"#,
        r#"{"name":"n"}"#,
    );
    for (body, status) in [(good, 200), (bad, 400)] {
        let answer = fixture.signed_post("/apps/app-id/events", body).await;
        assert_eq!(answer.status, status);
    }
    for status in [200, 429] {
        let answer = fixture.signed_get("/apps/app-id/channels", "").await;
        assert_eq!(answer.status, status);
    }
    let terminate = "/apps/app-id/users/1/terminate_connections";
    assert_eq!(fixture.signed_post(terminate, "{}").await.status, 200);
    assert_eq!(fixture.get("/apps/app-id/channels").await.status, 401);
    let text = recorder.handle().render();
    let transmitted = r#"{"ok":true}{"channels":{}}"#.len();
    for (name, value) in [
        ("http_calls_received_total", 2),
        ("http_received_bytes", good.len() + 2),
        ("http_transmitted_bytes", transmitted),
        ("rate_limited_total", 1),
    ] {
        let line = format!("\nsoketi_{name}{{app_id=\"app-id\",port=\"6001\"}} {value}\n");
        assert!(text.contains(&line), "{line} in {text}");
    }
}
