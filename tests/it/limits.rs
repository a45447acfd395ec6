//! What a hostile or broken WebSocket client may not do to others (protocol.md 1.1, 7, 8, 12).

use std::time::Duration;

use serde_json::json;
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
async fn fragmented_messages_are_one_message() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let text = br#"{"event":"pusher:subscribe","data":{"channel":"whole"}}"#;
    let pieces: Vec<&[u8]> = text.chunks(7).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let opcode = if at == 0 {
            Opcode::Text
        } else {
            Opcode::Continuation
        };
        client
            .send_frame(at + 1 == pieces.len(), opcode, piece)
            .await;
        // Control frames may come between.
        client.send_frame(true, Opcode::Ping, b"between").await;
    }
    client.expect_subscribed("whole").await;
    client.expect_silence().await;
    assert_eq!(client.pongs.len(), pieces.len());
}

#[tokio::test]
async fn frames_cut_anywhere_are_put_together() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let frame = client_frame(
        true,
        Opcode::Text,
        br#"{"event":"pusher:subscribe","data":{"channel":"bytes"}}"#,
    );
    for byte in &frame {
        client.send_bytes(std::slice::from_ref(byte)).await;
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    client.expect_subscribed("bytes").await;
    let ping = client_frame(true, Opcode::Text, br#"{"event":"pusher:ping"}"#);
    client.send_bytes(&ping.repeat(50)).await;
    for _ in 0..50 {
        client.expect_frame(PONG).await;
    }
}

#[tokio::test]
async fn binary_frames_are_taken_as_text() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .send_frame(
            true,
            Opcode::Binary,
            br#"{"event":"pusher:subscribe","data":{"channel":"b"}}"#,
        )
        .await;
    client.expect_subscribed("b").await;
}

#[tokio::test]
async fn invalid_utf_8_closes_with_1007() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .send_frame(true, Opcode::Text, b"{\"event\":\"\xff\xfe\"}")
        .await;
    client.expect_close(1007).await;
}

#[tokio::test]
async fn broken_framing_closes_with_1002() {
    let server = Server::start().await;
    let mut bystander = server.subscribed("room").await;
    let unmasked: &[u8] = &[0x81, 0x02, b'h', b'i'];
    let reserved_bits: &[u8] = &client_frame(true, Opcode::Text, b"{}")
        .into_iter()
        .enumerate()
        .map(|(at, byte)| if at == 0 { byte | 0x40 } else { byte })
        .collect::<Vec<_>>();
    let cases: Vec<Vec<u8>> = vec![
        unmasked.to_vec(),
        reserved_bits.to_vec(),
        client_frame(true, Opcode::Reserved(3), b""),
        client_frame(true, Opcode::Reserved(11), b""),
        client_frame(false, Opcode::Ping, b""),
        client_frame(true, Opcode::Ping, &[b'p'; 126]),
        client_frame(true, Opcode::Continuation, b"nothing to continue"),
        client_frame(true, Opcode::Close, &[3]),
        client_frame(true, Opcode::Close, &999_u16.to_be_bytes()),
    ];
    for bytes in cases {
        let mut client = server.connect().await;
        client.send_bytes(&bytes).await;
        client.expect_close(1002).await;
    }
    bystander.expect_silence().await;
}

#[tokio::test]
async fn websocket_pings_are_answered_with_their_payload() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for payload in [&b""[..], b"\0\xff binary", &[b'p'; 125]] {
        client.send_frame(true, Opcode::Ping, payload).await;
        client.expect_silence().await;
        assert_eq!(client.pongs.pop().as_deref(), Some(payload));
    }
    client.send_frame(true, Opcode::Pong, b"unasked").await;
    client.expect_silence().await;
}

#[tokio::test]
async fn a_close_is_echoed_and_the_connection_ends() {
    let server = Server::start().await;
    for code in [1000, 1001, 3000, 4999] {
        let mut client = server.connect().await;
        client.send_close(code).await;
        client.expect_close(code).await;
        assert_eq!(client.recv().await, Message::End);
    }
    let mut client = server.connect().await;
    client.send_frame(true, Opcode::Close, b"").await;
    assert!(matches!(client.recv().await, Message::Close { .. }));
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
async fn half_a_frame_costs_nobody_anything() {
    let server = Server::start().await;
    let mut sleepers = Vec::new();
    for cut in [1, 2, 5, 9, 20] {
        let mut client = server.connect().await;
        let frame = client_frame(
            true,
            Opcode::Text,
            br#"{"event":"pusher:subscribe","data":{"channel":"late"}}"#,
        );
        client.send_bytes(&frame[..cut]).await;
        sleepers.push((client, frame, cut));
    }
    let mut other = server.subscribed("room").await;
    server.trigger("room", "e", "1").await;
    other.expect_event("e").await;
    for (client, frame, cut) in &mut sleepers {
        client.send_bytes(&frame[*cut..]).await;
        client.expect_subscribed("late").await;
    }
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
        for _ in 0..(round * 7 % 200 + 1) {
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
async fn bad_upgrades_are_refused() {
    let mut server = Server::start().await;
    let base = upgrade_request("/app/app-key", &[]);
    for (from, to) in [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"),
        ("Sec-WebSocket-Version: 13\r\n", ""),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("GET ", "POST "),
    ] {
        let mut http = server.http().await;
        http.write(base.replace(from, to).as_bytes()).await;
        let response = http.response().await;
        assert!(
            (400..500).contains(&response.status),
            "{to:?}: {response:?}"
        );
    }
    server.expect_healthy().await;
}

#[tokio::test]
async fn the_header_names_of_an_upgrade_have_no_case() {
    let server = Server::start().await;
    let mut http = server.http().await;
    let request = upgrade_request("/app/app-key", &[])
        .replace("Connection: Upgrade", "connection: keep-alive, UPGRADE")
        .replace("Upgrade: websocket", "UPGRADE: WebSocket");
    http.write(request.as_bytes()).await;
    Client::after_upgrade(http)
        .await
        .established(&server.app)
        .await;
}
