//! What a hostile or broken WebSocket client may not do to others (protocol.md 1.1, 7, 8, 12).

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::harness::{
    Client, Message, Opcode, PONG, Server, client_frame, eventually, upgrade_request,
};

#[tokio::test]
async fn a_frame_over_the_limit_closes_with_1009() {
    let server = Server::builder()
        .env("BOWLINE_CONNECTION_MAX_FRAME_IN_KB", 1)
        .start()
        .await;
    let mut bystander = server.subscribed("room").await;
    for declared in [1025_usize, 100_000, 1 << 30] {
        let mut client = server.connect().await;
        // The head alone says too much; its payload never comes.
        let mut head = vec![0x81, 0x80 | 127];
        head.extend((declared as u64).to_be_bytes());
        head.extend([0; 4]);
        client.send_bytes(&head).await;
        client.expect_close(1009).await;
    }
    let mut client = server.connect().await;
    let pad = "x".repeat(900);
    client
        .send(json!({"event": "pusher:ping", "data": pad}))
        .await;
    client.expect_frame(PONG).await;
    bystander.expect_silence().await;
}

#[tokio::test]
async fn fragments_together_are_held_to_the_limit() {
    let server = Server::builder()
        .env("BOWLINE_CONNECTION_MAX_FRAME_IN_KB", 1)
        .start()
        .await;
    let mut client = server.connect().await;
    client.send_frame(false, Opcode::Text, &[b'x'; 600]).await;
    client
        .send_frame(false, Opcode::Continuation, &[b'x'; 600])
        .await;
    client.expect_close(1009).await;
}

#[tokio::test]
async fn frames_per_second_are_bounded() {
    let server = Server::builder()
        .env("BOWLINE_CONNECTION_MAX_FRAMES_PER_SECOND", 20)
        .start()
        .await;
    let mut bystander = server.connect().await;
    let mut client = server.connect().await;
    for _ in 0..15 {
        client.send_text(r#"{"event":"pusher:ping"}"#).await;
        client.expect_frame(PONG).await;
    }
    let mut flooder = server.connect().await;
    let ping = client_frame(true, Opcode::Text, br#"{"event":"pusher:ping"}"#);
    flooder.send_bytes(&ping.repeat(200)).await;
    let mut pongs = 0;
    loop {
        match flooder.recv().await {
            Message::Text(text) if text == PONG => pongs += 1,
            Message::Text(text) => assert!(text.contains("pusher:error"), "{text}"),
            Message::Close { code, .. } => {
                assert!(
                    code.is_some_and(|code| (4100..4200).contains(&code)),
                    "{code:?}: the client may come back"
                );
                break;
            }
            Message::End => panic!("cut without a close"),
        }
    }
    assert!(pongs <= 40, "{pongs}");
    bystander.expect_silence().await;
}

#[tokio::test]
async fn subscriptions_per_socket_are_bounded() {
    let server = Server::builder()
        .env("BOWLINE_CONNECTION_MAX_SUBSCRIPTIONS", 3)
        .start()
        .await;
    let mut client = server.connect().await;
    for at in 0..3 {
        client.subscribe(&format!("c{at}")).await;
    }
    client
        .send(json!({"event": "pusher:subscribe", "data": {"channel": "c3"}}))
        .await;
    let frame = client.expect_event("pusher:subscription_error").await;
    assert_eq!(frame["channel"], "c3");
    client.subscribe("c0").await;
    client.unsubscribe("c1").await;
    client.subscribe("c3").await;
}

#[tokio::test]
async fn connections_per_address_are_bounded() {
    let server = Server::builder()
        .env("BOWLINE_CONNECTION_MAX_PER_ADDRESS", 2)
        .start()
        .await;
    let (first, _second) = (server.connect().await, server.connect().await);
    let outcome = refused(&server).await;
    assert!(outcome, "the third from one address");
    first.close().await;
    eventually("a place is free", async || !refused(&server).await).await;
}

/// Whether one more WebSocket is turned away, by status, error frame or a cut.
async fn refused(server: &Server) -> bool {
    let Ok(mut stream) = tokio::net::TcpStream::connect(server.main).await else {
        return true;
    };
    let _ = stream
        .write_all(upgrade_request("/app/app-key", &[]).as_bytes())
        .await;
    let mut seen = Vec::new();
    let read = async {
        let mut part = [0; 1024];
        while let Ok(got) = stream.read(&mut part).await {
            seen.extend_from_slice(&part[..got]);
            let text = String::from_utf8_lossy(&seen);
            if got == 0 || text.contains("connection_established") || text.contains("pusher:error")
            {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
    !String::from_utf8_lossy(&seen).contains("connection_established")
}

/// Publishes to a subscriber that reads nothing until the server gives it up.
async fn stall(server: &Server, channel: &str, reader: &mut Client) -> u32 {
    let data = "x".repeat(90_000);
    for at in 0..200 {
        server.trigger(channel, "big", &data).await;
        reader.expect_event("big").await;
        if server.get(&format!("/channels/{channel}")).await.json()["subscription_count"] == 1 {
            return at;
        }
    }
    panic!("18 MB wait for a client that reads nothing");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_nobody_else_waits() {
    let server = Server::builder()
        .env("BOWLINE_CONNECTION_MAX_OUTBOX_IN_KB", 256)
        .start()
        .await;
    let mut stalled = server.subscribed("flood").await;
    let mut reader = server.subscribed("flood").await;
    stall(&server, "flood", &mut reader).await;
    // What it then reads: whole frames, in order, none missing in between, and at the end why.
    let mut frames = 0;
    loop {
        match stalled.recv().await {
            Message::Text(text) if text.contains("\"big\"") => frames += 1,
            Message::Text(text) => assert!(
                text.contains("pusher:error") && text.contains("4100"),
                "{text}"
            ),
            Message::Close { code, reason } => {
                assert_eq!(code, Some(4100));
                assert!(!reason.is_empty());
                break;
            }
            // Its kernel's buffer was full: the server may have had to reset.
            Message::End => break,
        }
    }
    assert!(frames < 200);
    reader.expect_silence().await;
}

#[tokio::test]
async fn a_slow_handshake_is_cut_off() {
    let server = Server::builder()
        .env("BOWLINE_HTTP_HEADER_TIMEOUT", 300)
        .start()
        .await;
    let begin = Instant::now();
    let mut http = server.http().await;
    http.write(b"GET /app/app-key HTTP/1.1\r\nHost: x\r\nUpgrade: webso")
        .await;
    http.rest().await;
    assert!(begin.elapsed() < Duration::from_secs(4));
    server.connect().await;
}

#[tokio::test]
async fn a_half_open_client_is_told_goodbye() {
    let server = Server::start().await;
    let mut client = server.subscribed("half").await;
    client.io.shut_write().await;
    while client.recv().await != Message::End {}
    eventually("it has left", async || {
        server.get("/channels").await.text() == r#"{"channels":{}}"#
    })
    .await;
}

#[tokio::test]
async fn a_reset_is_a_leave() {
    let server = Server::start().await;
    let client = server.subscribed("reset").await;
    let stream = client.io.tcp_stream();
    socket2::SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    eventually("it has left", async || {
        server.get("/channels").await.text() == r#"{"channels":{}}"#
    })
    .await;
}

#[tokio::test]
async fn junk_before_and_after_the_upgrade_is_survived() {
    let mut server = Server::start().await;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..60 {
        let mut junk = Vec::new();
        for _ in 0..=round * 7 % 200 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            junk.push(seed.to_le_bytes()[3]);
        }
        if round % 2 == 0 {
            let mut http = server.http().await;
            let _ = http.io.write(&junk).await;
        } else {
            let mut client = server.open("/app/app-key").await;
            let _ = client.io.write(&junk).await;
        }
    }
    server.expect_healthy().await;
}

#[tokio::test]
async fn the_nodes_outboxes_together_are_bounded() {
    let server = Server::builder()
        .env("BOWLINE_CONNECTION_MAX_OUTBOX_IN_KB", 1_000_000)
        .env("BOWLINE_NODE_MAX_OUTBOX_IN_MB", 1)
        .start()
        .await;
    let _stalled = server.subscribed("flood").await;
    let mut reader = server.subscribed("flood").await;
    stall(&server, "flood", &mut reader).await;
    reader.expect_silence().await;
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_stays() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    // 30 s of silence, and one turn of a coarse clock.
    let heard = tokio::time::timeout(Duration::from_secs(34), client.next()).await;
    assert!(heard.is_err(), "nothing but a ping was due: {heard:?}");
    assert_eq!(client.pings, 1);
    client.expect_silence().await;
}
