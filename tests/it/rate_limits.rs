//! Budgets of messages per second (http-api.md 5).

use std::time::Duration;

use serde_json::json;

use crate::harness::{Response, Server};

async fn publish(server: &Server, channels: &[&str]) -> Response {
    server
        .post(
            "/events",
            &json!({"name": "e", "channels": channels, "data": "x"}),
        )
        .await
}

fn limited(response: &Response, limit: &str) {
    response.expect_error(429, "Too many requests.");
    let retry = response.header("retry-after").unwrap();
    assert!(
        retry.parse::<u32>().is_ok_and(|seconds| seconds >= 1),
        "an integer of at least 1: {retry}"
    );
    assert_eq!(response.header("x-ratelimit-limit"), Some(limit));
    assert_eq!(response.header("x-ratelimit-remaining"), Some("0"));
}

fn allowed(response: &Response, limit: &str, remaining: &str) {
    assert_eq!(response.status, 200, "{}", response.text());
    let retry: f64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!(retry > 0.0 && retry <= 1.0, "{retry}");
    assert_eq!(response.header("x-ratelimit-limit"), Some(limit));
    assert_eq!(response.header("x-ratelimit-remaining"), Some(remaining));
}

#[tokio::test]
async fn publishing_costs_a_point_per_channel() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC", 3)
        .start()
        .await;
    allowed(&publish(&server, &["a", "b"]).await, "3", "1");
    limited(&publish(&server, &["a", "b"]).await, "3");
    limited(&publish(&server, &["a"]).await, "3");
    tokio::time::sleep(Duration::from_millis(1050)).await;
    allowed(&publish(&server, &[]).await, "3", "2");
    let batch = json!({"batch": [{"name": "e", "channels": ["a", "b"], "data": "x"}]});
    allowed(&server.post("/batch_events", &batch).await, "3", "0");
    limited(&server.post("/batch_events", &batch).await, "3");
}

#[tokio::test]
async fn a_refused_body_costs_too() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC", 3)
        .start()
        .await;
    let bad = server
        .post(
            "/events",
            &json!({"name": "e", "channels": ["a", "b", "c"]}),
        )
        .await;
    bad.expect_error(400, "The received data is incorrect");
    limited(&publish(&server, &["a"]).await, "3");
}

#[tokio::test]
async fn reads_cost_a_point_each() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_MAX_READ_REQ_PER_SEC", 2)
        .start()
        .await;
    allowed(&server.get("/channels").await, "2", "1");
    allowed(&server.get("/channels/x").await, "2", "0");
    limited(&server.get("/channels/presence-x/users").await, "2");
    // Publishing has its own budget, termination has none.
    assert_eq!(publish(&server, &["a"]).await.status, 200);
    let terminated = server
        .post("/users/x/terminate_connections", &json!({}))
        .await;
    terminated.expect(200, r#"{"ok":true}"#);
}

#[tokio::test]
async fn strangers_cost_nothing() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_MAX_READ_REQ_PER_SEC", 1)
        .start()
        .await;
    for _ in 0..5 {
        assert_eq!(server.raw("GET", "/apps/app-id/channels").await.status, 401);
    }
    allowed(&server.get("/channels").await, "1", "0");
}

#[tokio::test]
async fn zero_refuses_everything_and_negative_is_no_limit() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_MAX_READ_REQ_PER_SEC", 0)
        .env("SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC", -5)
        .start()
        .await;
    assert_eq!(server.get("/channels").await.status, 429);
    for _ in 0..5 {
        let response = publish(&server, &["a"]).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("x-ratelimit-limit"), None);
        assert_eq!(response.header("retry-after"), None);
    }
}

#[tokio::test]
async fn apps_have_their_own_budgets() {
    let app = |id: &str| json!({"id": id, "key": format!("{id}-key"), "secret": "s", "maxReadRequestsPerSecond": 1});
    let server = Server::builder()
        .apps(&json!([app("one"), app("two")]))
        .start()
        .await;
    for id in ["one", "two"] {
        let app = crate::harness::App::new(id, &format!("{id}-key"), "s");
        allowed(&server.get_as(&app, "/channels").await, "1", "0");
        limited(&server.get_as(&app, "/channels").await, "1");
    }
}
