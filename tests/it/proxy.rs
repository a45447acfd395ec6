//! PROXY protocol v1 and v2 and `X-Forwarded-For`, believed from trusted proxies only (configuration.md 4.1).

use std::net::SocketAddr;
use std::time::Duration;

use crate::harness::{Http, Server, ServerBuilder, upgrade_request};

/// One connection per address: the bound shows which address the server believes.
fn counting() -> ServerBuilder {
    Server::builder().env("BOWLINE_CONNECTION_MAX_PER_ADDRESS", 1)
}

fn v1(source: &str) -> Vec<u8> {
    format!("PROXY TCP4 {source} 127.0.0.1 40000 6001\r\n").into_bytes()
}

fn v2(source: [u8; 4]) -> Vec<u8> {
    let mut head = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    head.extend([0x21, 0x11, 0, 12]);
    head.extend(source);
    head.extend([127, 0, 0, 1]);
    head.extend(40_000_u16.to_be_bytes());
    head.extend(6001_u16.to_be_bytes());
    head
}

/// Whether a WebSocket that begins with these bytes is greeted. The connection is given back to be held.
async fn greeted(address: SocketAddr, before: &[u8], headers: &[(&str, &str)]) -> (bool, Http) {
    let mut http = Http::connect(address).await;
    let mut bytes = before.to_vec();
    bytes.extend(upgrade_request("/app/app-key", headers).into_bytes());
    let _ = http.io.write(&bytes).await;
    let mut seen = Vec::new();
    let read = async {
        while http.io.read(&mut seen).await.is_ok_and(|got| got > 0) {
            let text = String::from_utf8_lossy(&seen);
            if text.contains("connection_established") || text.contains("pusher:error") {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
    (
        String::from_utf8_lossy(&seen).contains("connection_established"),
        http,
    )
}

#[tokio::test]
async fn trusted_proxies_name_the_client_in_v1_and_v2() {
    let server = counting()
        .env("BOWLINE_PROXY_PROTOCOL", true)
        .env("BOWLINE_TRUSTED_PROXIES", r#"["127.0.0.0/8"]"#)
        .start()
        .await;
    let mut held = Vec::new();
    for (line, good) in [
        (v1("192.0.2.1"), true),
        (v1("192.0.2.2"), true),
        (v2([192, 0, 2, 3]), true),
        (v2([192, 0, 2, 4]), true),
        (v1("192.0.2.1"), false),
        (v2([192, 0, 2, 3]), false),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n".to_vec(), true),
    ] {
        let (greeted, http) = greeted(server.main, &line, &[]).await;
        assert_eq!(greeted, good, "{}", String::from_utf8_lossy(&line));
        held.push(http);
    }
}

#[tokio::test]
async fn health_checks_of_the_proxy_itself_pass() {
    let server = Server::builder()
        .env("BOWLINE_PROXY_PROTOCOL", true)
        .env("BOWLINE_TRUSTED_PROXIES", r#"["127.0.0.1/32"]"#)
        .start()
        .await;
    let mut local = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    local.extend([0x20, 0x00, 0, 0]);
    for line in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        local,
        v1("192.0.2.9"),
        v2([192, 0, 2, 9]),
    ] {
        let mut http = server.http().await;
        http.write(&line).await;
        http.get("/").await.expect(200, "OK");
    }
}

#[tokio::test]
async fn a_proxy_line_may_arrive_in_pieces() {
    let server = Server::builder()
        .env("BOWLINE_PROXY_PROTOCOL", true)
        .env("BOWLINE_TRUSTED_PROXIES", r#"["127.0.0.1/32"]"#)
        .start()
        .await;
    for line in [v1("192.0.2.9"), v2([192, 0, 2, 9])] {
        let mut http = server.http().await;
        for byte in &line {
            http.write(std::slice::from_ref(byte)).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        http.get("/").await.expect(200, "OK");
    }
}

#[tokio::test]
async fn broken_proxy_lines_are_cut_and_hurt_nobody() {
    let server = Server::builder()
        .env("BOWLINE_PROXY_PROTOCOL", true)
        .env("BOWLINE_TRUSTED_PROXIES", r#"["127.0.0.1/32"]"#)
        .start()
        .await;
    let mut long_v2 = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    long_v2.extend([0x21, 0x11, 0xff, 0xff]);
    long_v2.extend([0; 300]);
    for line in [
        b"PROXY TCP4 999.0.0.1 127.0.0.1 1 2\r\n".to_vec(),
        b"PROXY nonsense\r\n".to_vec(),
        [b"PROXY ".to_vec(), vec![b'x'; 300]].concat(),
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c".to_vec(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02ab".to_vec(),
        long_v2,
    ] {
        let mut http = server.http().await;
        let _ = http.io.write(&line).await;
        http.io.shut_write().await;
        let rest = http.rest().await;
        assert!(
            !String::from_utf8_lossy(&rest).contains(" 200 "),
            "served behind {line:?}"
        );
    }
    let mut http = server.http().await;
    http.write(&v1("192.0.2.9")).await;
    http.get("/").await.expect(200, "OK");
}

#[tokio::test]
async fn strangers_proxy_lines_are_not_believed() {
    let server = counting()
        .env("BOWLINE_PROXY_PROTOCOL", true)
        .env("BOWLINE_TRUSTED_PROXIES", r#"["203.0.113.0/24"]"#)
        .start()
        .await;
    // This address is nobody's proxy: it may talk for itself, its lines are junk.
    let (first, held) = greeted(server.main, b"", &[]).await;
    assert!(first);
    let (second, _) = greeted(server.main, &v1("192.0.2.1"), &[]).await;
    assert!(!second);
    drop(held);
}

#[tokio::test]
async fn forwarded_for_is_believed_from_trusted_proxies_only() {
    for (trusted, believed) in [
        (r#"["127.0.0.0/8"]"#, true),
        (r#"["203.0.113.0/24"]"#, false),
        ("[]", false),
    ] {
        let server = counting()
            .env("BOWLINE_TRUSTED_PROXIES", trusted)
            .start()
            .await;
        let (first, _held) = greeted(server.main, b"", &[("X-Forwarded-For", "192.0.2.1")]).await;
        let (second, _other) = greeted(server.main, b"", &[("X-Forwarded-For", "192.0.2.2")]).await;
        let (third, _third) = greeted(server.main, b"", &[("X-Forwarded-For", "192.0.2.1")]).await;
        assert_eq!((first, second, third), (true, believed, false), "{trusted}");
    }
}

#[tokio::test]
async fn a_forged_chain_counts_from_the_trusted_end() {
    let server = counting()
        .env("BOWLINE_TRUSTED_PROXIES", r#"["127.0.0.0/8"]"#)
        .start()
        .await;
    // What the client itself wrote stands left of what the trusted proxy saw.
    let (first, _held) = greeted(
        server.main,
        b"",
        &[("X-Forwarded-For", "198.51.100.1, 192.0.2.1")],
    )
    .await;
    let (second, _) = greeted(
        server.main,
        b"",
        &[("X-Forwarded-For", "198.51.100.2, 192.0.2.1")],
    )
    .await;
    let (other, _other) = greeted(
        server.main,
        b"",
        &[("X-Forwarded-For", "198.51.100.1, 192.0.2.7")],
    )
    .await;
    assert_eq!((first, second, other), (true, false, true));
}
