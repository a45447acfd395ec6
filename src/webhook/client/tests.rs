use std::{
    io::{Read, Write},
    net::TcpListener,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};

use super::*;
use crate::app::{App, Hook};

fn parcel(url: &str, headers: &[(&str, &str)]) -> Parcel {
    let mut app = App::new("app-id", "app-key", "app-secret");
    app.webhooks.push(Hook {
        url: url.into(),
        event_types: Vec::new(),
        channel_name_starts_with: None,
        channel_name_ends_with: None,
        headers: headers
            .iter()
            .map(|(n, v)| ((*n).into(), (*v).into()))
            .collect(),
    });
    let body =
        r#"{"time_ms":1795224962056,"events":[{"name":"channel_occupied","channel":"news"}]}"#;
    Parcel {
        id: "id-1".into(),
        app: Arc::new(app),
        hook: 0,
        channel: None,
        body: Bytes::from_static(body.as_bytes()),
    }
}

#[test]
fn signature_is_the_one_the_reference_server_made() {
    let golden = "00df52d19c47e811885213a3a5986a05dcbde12d674570e8e4c72c160f55981f";
    assert_eq!(signature(&parcel("http://a/", &[])), golden);
}

#[test]
fn own_headers_replace_all_but_what_proves_the_sender_and_frames_the_request() {
    let own = [
        ("User-Agent", "mine/1"),
        ("X-Custom", "yes"),
        ("X-Pusher-Key", "forged"),
        ("x-pusher-signature", "forged"),
        ("X-Bowline-Webhook-Id", "forged"),
        ("Content-Length", "1"),
        ("content-type", "text/plain"),
    ];
    let request = request(&parcel("http://a/", &own)).unwrap();
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
    let wanted = [
        ("user-agent", Some("mine/1")),
        ("x-custom", Some("yes")),
        ("x-pusher-key", Some("app-key")),
        ("x-bowline-webhook-id", Some("id-1")),
        ("content-length", None),
        ("content-type", Some("text/plain")),
        ("accept", Some("application/json")),
    ];
    for (name, value) in wanted {
        assert_eq!(header(name), value, "{name}");
    }
    assert_eq!(header("x-pusher-signature").map(str::len), Some(64));
}

#[test]
fn user_and_password_of_the_url_become_credentials() {
    let cases = [
        ("http://a/", None),
        (
            "http://Aladdin:open%20sesame@a/",
            Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ),
        ("https://u@a:1/", Some("Basic dTo=")),
    ];
    for (url, wanted) in cases {
        let credentials = basic_credentials(&url.parse().unwrap());
        assert_eq!(credentials.as_deref(), wanted, "{url}");
    }
}

#[test]
fn base64_agrees_with_the_vectors_of_rfc_4648() {
    let cases = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
    ];
    for (plain, wanted) in cases {
        assert_eq!(base64(plain.as_bytes()), wanted);
    }
}

#[test]
fn targets_that_no_attempt_can_reach_are_refused() {
    for url in ["", "nonsense", "ftp://a/", "/path", "http://"] {
        assert!(request(&parcel(url, &[])).is_err(), "{url}");
    }
    assert!(request(&parcel("http://a/", &[("a b", "c")])).is_err());
    assert!(request(&parcel("http://a/", &[("a", "b\nc")])).is_err());
}

#[test]
fn status_decides_and_retry_after_is_read() {
    let mut headers = HeaderMap::new();
    for (status, delivered) in [(200, true), (204, true), (302, false), (500, false)] {
        let outcome = judge(StatusCode::from_u16(status).unwrap(), &headers);
        assert_eq!(outcome == Outcome::Delivered, delivered, "{status}");
        assert!(!matches!(outcome, Outcome::Refused { .. }));
    }
    assert!(matches!(
        judge(StatusCode::GONE, &headers),
        Outcome::Refused { .. }
    ));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("7"));
    let wanted = Outcome::Failed {
        reason: "status 503".into(),
        retry_after: Some(Duration::from_secs(7)),
    };
    assert_eq!(judge(StatusCode::SERVICE_UNAVAILABLE, &headers), wanted);
}

/// A certificate of `localhost` that vouches for itself, and a thread that answers one request with it.
fn tls_server() -> (CertificateDer<'static>, u16) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certificate = made.cert.der().clone();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut tls = StreamOwned::new(connection, tcp);
        let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
        while !request.ends_with(b"]}") {
            match tls.read(&mut buffer) {
                Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
                _ => return,
            }
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        tls.write_all(answer).unwrap();
    });
    (certificate, port)
}

async fn post_to(port: u16, client: Client) -> Outcome {
    let parcel = parcel(&format!("https://localhost:{port}/"), &[]);
    client.post(Arc::new(parcel)).await
}

#[tokio::test]
async fn tls_targets_are_reached_and_their_certificates_checked() {
    let time = Duration::from_secs(10);
    let (certificate, port) = tls_server();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::with_tls(trusting, false, time);
    assert_eq!(post_to(port, client).await, Outcome::Delivered);
    let (_, port) = tls_server();
    let outcome = post_to(port, Client::new(false, time)).await;
    let reason = match outcome {
        Outcome::Failed { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason.contains("certificate"), "{reason}");
}
