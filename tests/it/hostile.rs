//! What a client may try that must harm nobody else: each was a way to stay where it should have left.

use crate::harness::{Client, Http, Opcode, PONG, Server, client_frame, upgrade_request};

/// Only those who are somebody count, and one may be.
async fn room_for_one() -> Server {
    Server::builder()
        .env("SOKETI_DEFAULT_APP_USER_AUTHENTICATION", true)
        .env("SOKETI_DEFAULT_APP_MAX_CONNS", 1)
        .env("BOWLINE_COUNT_UNAUTHORIZED", false)
        .start()
        .await
}

async fn expect_over_quota(client: &mut Client) {
    client.expect_error(4100).await;
    client.expect_close(4100).await;
}

#[tokio::test]
async fn one_user_too_many_is_never_online() {
    let server = room_for_one().await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first.signin(r#"{"id":"first"}"#).await;
    second.send_signin(r#"{"id":"second"}"#).await;
    expect_over_quota(&mut second).await;
    second.close().await;
    first.close().await;
    let mut watcher = server.connect().await;
    watcher
        .signin(r#"{"id":"watcher","watchlist":["first","second"]}"#)
        .await;
    watcher.expect_silence().await;
}

#[tokio::test]
async fn one_member_too_many_is_never_present() {
    let server = room_for_one().await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first
        .presence("presence-room", r#"{"user_id":"first"}"#)
        .await;
    second
        .send_presence("presence-room", r#"{"user_id":"second"}"#)
        .await;
    expect_over_quota(&mut second).await;
    first.expect_silence().await;
}

/// More than one read takes, sent before the 101: the rest must not wait for whatever comes next.
#[tokio::test]
async fn frames_sent_with_the_upgrade_are_all_heard() {
    const FRAMES: usize = 200;
    let server = Server::start().await;
    let ping = r#"{"event":"pusher:ping","data":{}}"#;
    let frame = client_frame(true, Opcode::Text, format!("{ping:1000}").as_bytes());
    let mut http = server.http().await;
    // When a later connection has been served, this one has been accepted and found silent.
    server.connect().await;
    let mut bytes = upgrade_request("/app/app-key", &[]).into_bytes();
    bytes.extend(frame.repeat(FRAMES));
    http.write(&bytes).await;
    let mut client = Client::after_upgrade(http)
        .await
        .established(&server.app)
        .await;
    for _ in 0..FRAMES {
        client.expect_frame(PONG).await;
    }
}

/// As a proxy does that keeps its connections to the server.
async fn kept(server: &Server) -> Http {
    let mut http = server.http().await;
    http.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    http.response().await;
    http
}

#[tokio::test]
async fn an_upgrade_of_a_kept_connection_counts_for_its_address() {
    let server = Server::builder()
        .env("BOWLINE_CONNECTION_MAX_PER_ADDRESS", 1)
        .start()
        .await;
    let mut first = server.connect().await;
    let mut http = kept(&server).await;
    http.write(upgrade_request("/app/app-key", &[]).as_bytes())
        .await;
    let mut second = Client::after_upgrade(http).await;
    second.expect_error(4100).await;
    first.expect_silence().await;
}

#[tokio::test]
async fn frames_sent_with_a_later_upgrade_are_all_heard() {
    const FRAMES: usize = 200;
    let server = Server::start().await;
    let ping = r#"{"event":"pusher:ping","data":{}}"#;
    let frame = client_frame(true, Opcode::Text, format!("{ping:1000}").as_bytes());
    let mut http = kept(&server).await;
    let mut bytes = upgrade_request("/app/app-key", &[]).into_bytes();
    bytes.extend(frame.repeat(FRAMES));
    http.write(&bytes).await;
    let mut client = Client::after_upgrade(http)
        .await
        .established(&server.app)
        .await;
    for _ in 0..FRAMES {
        client.expect_frame(PONG).await;
    }
}

/// A client writes a line of its own before the proxy adds one.
#[tokio::test]
async fn a_forwarded_address_of_the_clients_own_is_not_believed() {
    for keeps in [false, true] {
        let server = Server::builder()
            .env("BOWLINE_TRUSTED_PROXIES", "127.0.0.1")
            .env("BOWLINE_CONNECTION_MAX_PER_ADDRESS", 1)
            .start()
            .await;
        let mut clients = Vec::new();
        for claimed in ["198.51.100.1", "198.51.100.2"] {
            let mut http = if keeps {
                kept(&server).await
            } else {
                server.http().await
            };
            let lines = [
                ("X-Forwarded-For", claimed),
                ("X-Forwarded-For", "192.0.2.7"),
            ];
            http.write(upgrade_request("/app/app-key", &lines).as_bytes())
                .await;
            clients.push(Client::after_upgrade(http).await);
        }
        clients[0]
            .expect_event("pusher:connection_established")
            .await;
        clients[1].expect_error(4100).await;
    }
}
