//! A listener of its own for the HTTP API.

use crate::harness::{Client, Http, Io, Server};

#[tokio::test]
async fn the_api_moves_to_its_own_port() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let server = Server::builder()
        .env("BOWLINE_API_HOST", "127.0.0.1")
        .env("BOWLINE_API_PORT", port)
        .listens("api")
        .start()
        .await;
    let mut client = server.subscribed("room").await;
    let body = br#"{"name":"n","channel":"room","data":"x"}"#;
    let target = server.app.target("POST", "/events").body(body).build();
    let api = server.api.unwrap();
    let mut http = Http::connect(api).await;
    http.request("POST", &target, &[], Some(body))
        .await
        .expect(200, r#"{"ok":true}"#);
    client.expect_event("n").await;
    let main = server
        .http()
        .await
        .request("POST", &target, &[], Some(body))
        .await;
    assert_eq!(main.status, 404);
    let refused = Client::upgrade(Io::tcp(api).await, "/app/app-key", &[]).await;
    assert_eq!(refused.err().map(|response| response.status), Some(404));
}
