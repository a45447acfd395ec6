//! WebSocket frames as they may come: cut, in pieces, broken (RFC 6455; protocol.md 1.1).

use std::time::Duration;

use crate::harness::{Client, Message, Opcode, PONG, Server, client_frame, upgrade_request};

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
