//! The allow-list of Origins of an app (configuration.md 6.1).

use serde_json::json;

use crate::harness::{Client, Server};

async fn dial(server: &Server, origin: Option<&str>) -> Client {
    let headers: Vec<(&str, &str)> = origin
        .map(|origin| ("Origin", origin))
        .into_iter()
        .collect();
    server.upgrade("/app/app-key", &headers).await.ok().unwrap()
}

#[tokio::test]
async fn everybody_may_by_default() {
    let server = Server::start().await;
    for origin in [None, Some("https://evil.test"), Some("null")] {
        dial(&server, origin).await.established(&server.app).await;
    }
}

#[tokio::test]
async fn others_than_the_listed_get_4009() {
    let apps = json!([{"id": "app-id", "key": "app-key", "secret": "app-secret",
        "allowedOrigins": ["example.org", "*.example.net"]}]);
    let server = Server::builder().apps(&apps).start().await;
    for origin in [
        "https://example.org",
        "http://example.org:8080",
        "https://a.example.net",
        "https://EXAMPLE.org",
    ] {
        dial(&server, Some(origin))
            .await
            .established(&server.app)
            .await;
    }
    for origin in [
        "https://evil.test",
        "https://example.org.evil.test",
        "https://notexample.org",
        "null",
        "https://evil.test/example.org",
    ] {
        let mut client = dial(&server, Some(origin)).await;
        client.expect_error(4009).await;
        client.expect_close(4009).await;
    }
}

#[tokio::test]
async fn the_environment_may_list_them() {
    let server = Server::builder()
        .env("BOWLINE_DEFAULT_APP_ALLOWED_ORIGINS", r#"["example.org"]"#)
        .start()
        .await;
    dial(&server, Some("https://example.org"))
        .await
        .established(&server.app)
        .await;
    dial(&server, Some("https://evil.test"))
        .await
        .expect_error(4009)
        .await;
}
