//! Methods, routes, CORS and content types (http-api.md 2).

use serde_json::json;

use crate::harness::Server;

#[tokio::test]
async fn head_is_like_get_without_a_body() {
    let server = Server::start().await;
    let mut http = server.http().await;
    for (target, status) in [("/", 200), ("/ready", 200), ("/nowhere", 404)] {
        let response = http.request("HEAD", target, &[], None).await;
        assert_eq!(
            (response.status, response.body.len()),
            (status, 0),
            "{target}"
        );
    }
    http.get("/").await.expect(200, "OK");
}

#[tokio::test]
async fn preflight_is_answered_with_204() {
    let server = Server::start().await;
    let headers = [
        ("Origin", "https://example.test"),
        ("Access-Control-Request-Method", "POST"),
    ];
    let mut http = server.http().await;
    for path in ["/apps/app-id/events", "/apps/app-id/channels", "/"] {
        let response = http.request("OPTIONS", path, &headers, None).await;
        assert_eq!(response.status, 204, "{path}");
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        assert_eq!(
            response.header("access-control-allow-methods"),
            Some("GET, POST, PUT, DELETE, OPTIONS")
        );
        assert_eq!(
            response.header("access-control-allow-headers"),
            Some(
                "Origin, Content-Type, X-Auth-Token, X-Requested-With, Accept, Authorization, X-CSRF-TOKEN, XSRF-TOKEN, X-Socket-Id"
            )
        );
    }
}

#[tokio::test]
async fn every_answer_carries_cors_errors_too() {
    let server = Server::start().await;
    for response in [
        server.get("/channels").await,
        server.raw("GET", "/apps/app-id/channels").await,
        server.raw("GET", "/nowhere").await,
        server.raw("GET", "/").await,
        server.post("/events", &json!({})).await,
    ] {
        assert_eq!(
            response.header("access-control-allow-origin"),
            Some("*"),
            "{response:?}"
        );
    }
}

#[tokio::test]
async fn several_origins_echo_the_one_that_asks() {
    let server = Server::builder()
        .env(
            "SOKETI_CORS_ORIGIN",
            r#"["https://a.test","https://b.test"]"#,
        )
        .start()
        .await;
    let mut http = server.http().await;
    for (origin, allowed) in [
        ("https://a.test", true),
        ("https://b.test", true),
        ("https://c.test", false),
    ] {
        let response = http.request("GET", "/", &[("Origin", origin)], None).await;
        assert_eq!(
            response.header("access-control-allow-origin"),
            allowed.then_some(origin)
        );
        assert!(
            response
                .header("vary")
                .unwrap()
                .to_lowercase()
                .contains("origin")
        );
    }
}

#[tokio::test]
async fn routes_and_methods_are_exact() {
    let server = Server::start().await;
    for (method, path) in [
        ("GET", "/favicon.ico"),
        ("GET", "/apps/app-id"),
        ("GET", "/apps/app-id/channels/"),
        ("PUT", "/apps/app-id/events"),
        ("GET", "/apps/app-id/events"),
        ("POST", "/"),
        ("DELETE", "/apps/app-id/channels"),
        ("GET", "/usage"),
        ("GET", "/metrics"),
        ("GET", "//"),
        ("GET", "/apps/app-id/channels/a/b"),
        ("POST", "/users/7/terminate_connections"),
    ] {
        let response = server
            .http()
            .await
            .request(method, path, &[], (method == "POST").then_some(b""))
            .await;
        response.expect(404, "");
    }
}

#[tokio::test]
async fn texts_have_a_content_type() {
    let server = Server::start().await;
    for path in ["/", "/ready"] {
        let response = server.raw("GET", path).await;
        response.expect(200, "OK");
        assert!(
            response
                .header("content-type")
                .unwrap()
                .starts_with("text/plain")
        );
    }
}

#[tokio::test]
async fn soketis_reason_phrases_or_the_standard_ones() {
    let server = Server::start().await;
    let response = server.raw("GET", "/apps/app-id/channels").await;
    assert_eq!(response.status, 401);
    assert!(
        ["Authorization Required", "Unauthorized"].contains(&response.reason.as_str()),
        "{}",
        response.reason
    );
}
