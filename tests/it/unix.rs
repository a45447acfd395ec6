//! A Unix socket beside the main port.

use crate::harness::{Client, Http, Io, Server};

#[tokio::test]
async fn serves_http_and_websockets_beside_the_port() {
    let server = Server::builder()
        .env("BOWLINE_UNIX_SOCKET", "bowline.sock")
        .listens("unix")
        .start()
        .await;
    let path = server.dir().join("bowline.sock");
    let mut http = Http::over(Io::unix(&path).await);
    http.get("/").await.expect(200, "OK");
    let mut client = Client::upgrade(Io::unix(&path).await, "/app/app-key", &[])
        .await
        .ok()
        .unwrap();
    client = client.established(&server.app).await;
    client.subscribe("room").await;
    let mut other = server.subscribed("room").await;
    let body = br#"{"name":"n","channel":"room","data":"x"}"#;
    let target = server.app.target("POST", "/events").body(body).build();
    http.request("POST", &target, &[], Some(body))
        .await
        .expect(200, r#"{"ok":true}"#);
    client.expect_event("n").await;
    other.expect_event("n").await;
    client.close().await;
}

#[tokio::test]
async fn a_socket_that_a_dead_server_left_is_replaced() {
    let builder = Server::builder()
        .env("BOWLINE_UNIX_SOCKET", "bowline.sock")
        .listens("unix");
    drop(std::os::unix::net::UnixListener::bind(builder.dir().join("bowline.sock")).unwrap());
    let server = builder.start().await;
    Http::over(Io::unix(&server.dir().join("bowline.sock")).await)
        .get("/")
        .await
        .expect(200, "OK");
}

#[tokio::test]
async fn a_path_that_is_taken_stops_the_start_with_1() {
    let builder = Server::builder()
        .env("BOWLINE_UNIX_SOCKET", "bowline.sock")
        .env("SOKETI_PORT", 0)
        .env("SOKETI_METRICS_SERVER_PORT", 0)
        .env("SOKETI_HOST", "127.0.0.1");
    let _living =
        std::os::unix::net::UnixListener::bind(builder.dir().join("bowline.sock")).unwrap();
    builder.run().await.expect(1, &["bowline.sock"]);
}
