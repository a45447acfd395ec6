//! The HTTP side's bounds and manners: bodies, keep-alive, pipelining, methods, CORS (http-api.md 1, 2).

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::harness::{Server, request_bytes};

const OK: &str = r#"{"ok":true}"#;
const EVENT: &[u8] = br#"{"name":"n","channel":"c","data":"x"}"#;

fn signed(server: &Server, body: &[u8]) -> String {
    server.app.target("POST", "/events").body(body).build()
}

#[tokio::test]
async fn connections_are_kept() {
    let server = Server::start().await;
    let mut http = server.http().await;
    for _ in 0..5 {
        let response = http
            .request("POST", &signed(&server, EVENT), &[], Some(EVENT))
            .await;
        response.expect(200, OK);
        assert!(response.keeps());
        let response = http
            .get(&server.app.target("GET", "/channels").build())
            .await;
        assert!(response.keeps() && response.status == 200);
        // An error of the API is no reason to hang up.
        let response = http.get("/apps/app-id/channels").await;
        assert!(response.keeps() && response.status == 401);
    }
}

#[tokio::test]
async fn connection_close_is_honoured_and_http_1_0_is_answered() {
    let server = Server::start().await;
    let mut http = server.http().await;
    http.send("GET", "/", &[("Connection", "close")], None)
        .await;
    let rest = String::from_utf8(http.rest().await).unwrap();
    assert!(
        rest.starts_with("HTTP/1.1 200") && rest.ends_with("OK"),
        "{rest}"
    );
    let mut http = server.http().await;
    http.write(b"GET / HTTP/1.0\r\n\r\n").await;
    let rest = String::from_utf8(http.rest().await).unwrap();
    assert!(rest.contains(" 200 ") && rest.ends_with("OK"), "{rest}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = server.subscribed("c").await;
    let mut http = server.http().await;
    let mut bytes = Vec::new();
    for at in 0..5 {
        let body = json!({"name": "n", "channel": "c", "data": at.to_string()}).to_string();
        bytes.extend(request_bytes(
            "POST",
            &signed(&server, body.as_bytes()),
            &[],
            Some(body.as_bytes()),
        ));
        bytes.extend(request_bytes("GET", "/nowhere", &[], None));
    }
    http.write(&bytes).await;
    for at in 0..5 {
        http.response().await.expect(200, OK);
        assert_eq!(http.response().await.status, 404);
        assert_eq!(client.expect_event("n").await["data"], at.to_string());
    }
}

#[tokio::test]
async fn a_chunked_body_is_a_body() {
    let server = Server::start().await;
    let target = signed(&server, EVENT);
    let (left, right) = EVENT.split_at(10);
    let mut bytes = request_bytes("POST", &target, &[("Transfer-Encoding", "chunked")], None);
    for part in [left, right] {
        bytes.extend(format!("{:x}\r\n", part.len()).bytes());
        bytes.extend(part);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    let mut http = server.http().await;
    http.write(&bytes).await;
    http.response().await.expect(200, OK);
    http.get("/").await.expect(200, "OK");
}

#[tokio::test]
async fn a_body_in_many_pieces_is_one_body() {
    let server = Server::start().await;
    let bytes = request_bytes("POST", &signed(&server, EVENT), &[], Some(EVENT));
    let mut http = server.http().await;
    for piece in bytes.chunks(40) {
        http.write(piece).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    http.response().await.expect(200, OK);
}

#[tokio::test]
async fn expect_continue_is_honoured() {
    let server = Server::start().await;
    let mut http = server.http().await;
    let length = EVENT.len().to_string();
    let headers = [
        ("Expect", "100-continue"),
        ("Content-Length", length.as_str()),
    ];
    http.send("POST", &signed(&server, EVENT), &headers, None)
        .await;
    http.write(EVENT).await;
    http.response().await.expect(200, OK);
}

#[tokio::test]
async fn too_large_is_said_before_the_body_is_read() {
    let server = Server::builder()
        .env("SOKETI_HTTP_MAX_REQUEST_SIZE", 0.001)
        .start()
        .await;
    let small = json!({"name": "n", "channel": "c", "data": "x".repeat(900)}).to_string();
    server
        .post_bytes(&server.app, "/events", small.as_bytes())
        .await
        .expect(200, OK);
    // Declared only: nothing of it is ever sent.
    for path in [
        "/apps/app-id/events",
        "/apps/unknown/events",
        "/apps/app-id/batch_events",
    ] {
        let mut http = server.http().await;
        http.send("POST", path, &[("Content-Length", "5000")], None)
            .await;
        http.response()
            .await
            .expect_error(413, "The payload size is too big.");
    }
}

#[tokio::test]
async fn an_undeclared_body_is_cut_at_the_cap() {
    let mut server = Server::builder()
        .env("SOKETI_HTTP_MAX_REQUEST_SIZE", 0.001)
        .start()
        .await;
    let body = json!({"name": "n", "channel": "c", "data": "x".repeat(3000)}).to_string();
    let mut bytes = request_bytes(
        "POST",
        &signed(&server, body.as_bytes()),
        &[("Transfer-Encoding", "chunked")],
        None,
    );
    bytes.extend(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).bytes());
    let mut http = server.http().await;
    http.write(&bytes).await;
    http.response()
        .await
        .expect_error(413, "The payload size is too big.");
    server.expect_healthy().await;
}

#[tokio::test]
async fn strangers_are_refused_before_their_body_is_read() {
    let server = Server::start().await;
    let mut http = server.http().await;
    let target = server
        .app
        .target("POST", "/events")
        .param("body_md5", &"0".repeat(32))
        .secret("wrong")
        .build();
    http.send("POST", &target, &[("Content-Length", "50000000")], None)
        .await;
    http.write(&[b'x'; 1000]).await;
    http.response()
        .await
        .expect_error(401, "The secret authentication failed");
}

#[tokio::test]
async fn bytes_of_bodies_in_flight_are_bounded() {
    let mut server = Server::builder()
        .env("BOWLINE_HTTP_MAX_BODIES_IN_FLIGHT", 1)
        .start()
        .await;
    let length = 900_000;
    let mut held = Vec::new();
    for _ in 0..2 {
        let target = server
            .app
            .target("POST", "/events")
            .param("body_md5", &"0".repeat(32))
            .build();
        let mut http = server.http().await;
        http.send(
            "POST",
            &target,
            &[("Content-Length", &length.to_string())],
            None,
        )
        .await;
        http.write(&vec![b'x'; 600_000]).await;
        held.push(http);
    }
    // One of the two does not fit beside the other.
    let (mut second, mut first) = (held.pop().unwrap(), held.pop().unwrap());
    let refused = tokio::select! {
        response = second.response() => response,
        response = first.response() => response,
    };
    refused.expect_error_code(503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    drop((first, second));
    server.expect_healthy().await;
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let mut server = Server::builder()
        .env("BOWLINE_HTTP_HEADER_TIMEOUT", 300)
        .start()
        .await;
    for start in [&b""[..], b"GE", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let begin = Instant::now();
        let mut http = server.http().await;
        http.write(start).await;
        http.rest().await;
        assert!(
            begin.elapsed() >= Duration::from_millis(200),
            "cut too early: {start:?}"
        );
    }
    server.expect_healthy().await;
}

#[tokio::test]
async fn oversized_and_broken_heads_are_refused() {
    let mut server = Server::start().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000));
    let headers = format!(
        "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X-A: b\r\n".repeat(5_000)
    );
    for head in [
        long.as_bytes(),
        headers.as_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /apps/app-id/events HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /apps/app-id/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
    ] {
        let mut http = server.http().await;
        let _ = http.io.write(head).await;
        http.io.shut_write().await;
        let rest = http.rest().await;
        let text = String::from_utf8_lossy(&rest);
        assert!(rest.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5"), "{text}");
    }
    server.expect_healthy().await;
}
