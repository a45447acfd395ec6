//! wss and https on the main port; certificates that change without dropping anybody (configuration.md 5).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::harness::{Client, Http, Io, Server, ServerBuilder, TlsIo, eventually};

/// Trusts any certificate: these tests ask which one is shown, not who signed it.
#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn client_config(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    Arc::new(config)
}

/// Writes a new certificate and key; gives the certificate, DER.
fn certify(dir: &Path) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert.der().to_vec()
}

fn secured() -> (ServerBuilder, Vec<u8>) {
    let builder = Server::builder();
    let der = certify(builder.dir());
    (
        builder
            .env("SOKETI_SSL_CERT", "cert.pem")
            .env("SOKETI_SSL_KEY", "key.pem"),
        der,
    )
}

async fn dial(server: &Server) -> TlsIo {
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    TlsIo::connect(server.main, client_config(&versions))
        .await
        .unwrap()
}

async fn connect(server: &Server) -> Client {
    let io = Io::Tls(Box::new(dial(server).await));
    Client::upgrade(io, "/app/app-key?protocol=7", &[])
        .await
        .ok()
        .unwrap()
        .established(&server.app)
        .await
}

#[tokio::test]
async fn wss_and_https_share_the_port() {
    let (builder, der) = secured();
    let server = builder.start().await;
    let io = dial(&server).await;
    assert_eq!(io.server_certificate(), der);
    let mut http = Http::over(Io::Tls(Box::new(io)));
    http.get("/").await.expect(200, "OK");
    let mut client = connect(&server).await;
    client.subscribe("room").await;
    let body = br#"{"name":"n","channel":"room","data":"x"}"#;
    let target = server.app.target("POST", "/events").body(body).build();
    http.request("POST", &target, &[], Some(body))
        .await
        .expect(200, r#"{"ok":true}"#);
    client.expect_event("n").await;
    client.expect_silence().await;
}

#[tokio::test]
async fn both_tls_versions_work() {
    let (builder, _) = secured();
    let server = builder.start().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let io = TlsIo::connect(server.main, client_config(&[version]))
            .await
            .unwrap();
        Http::over(Io::Tls(Box::new(io)))
            .get("/")
            .await
            .expect(200, "OK");
    }
}

#[tokio::test]
async fn large_frames_cross_records_and_many_clients_share_a_shard() {
    let (builder, _) = secured();
    let server = builder.start().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = connect(&server).await;
        client.subscribe("room").await;
        clients.push(client);
    }
    let data = "é".repeat(45_000);
    let body = serde_json::json!({"name": "big", "channel": "room", "data": data}).to_string();
    let target = server
        .app
        .target("POST", "/events")
        .body(body.as_bytes())
        .build();
    let mut http = Http::over(Io::Tls(Box::new(dial(&server).await)));
    for _ in 0..3 {
        http.request("POST", &target, &[], Some(body.as_bytes()))
            .await
            .expect(200, r#"{"ok":true}"#);
    }
    for client in &mut clients {
        for _ in 0..3 {
            assert_eq!(client.expect_event("big").await["data"], data);
        }
    }
}

#[tokio::test]
async fn plain_text_is_not_served_there_but_on_the_metrics_port() {
    let (builder, _) = secured();
    let server = builder.start().await;
    let mut http = server.http().await;
    let _ = http.io.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let rest = http.rest().await;
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    server.ops("/").await.expect(200, "OK");
    connect(&server).await;
}

#[tokio::test]
async fn an_unfinished_tls_handshake_is_cut_off() {
    let (builder, _) = secured();
    let server = builder
        .env("BOWLINE_HTTP_HEADER_TIMEOUT", 300)
        .start()
        .await;
    let mut http = server.http().await;
    http.write(&[0x16, 0x03, 0x01, 0x02, 0x00]).await;
    http.rest().await;
    connect(&server).await;
}

#[tokio::test]
async fn sighup_takes_new_certificates_and_drops_nobody() {
    let (builder, first) = secured();
    let server = builder.start().await;
    let mut client = connect(&server).await;
    let second = certify(server.dir());
    assert_ne!(first, second);
    server.signal(Signal::HUP);
    eventually("the new certificate", async || {
        dial(&server).await.server_certificate() == second
    })
    .await;
    client.expect_silence().await;
    // One that cannot be read leaves the good one in place.
    std::fs::write(server.dir().join("cert.pem"), "no certificate").unwrap();
    server.signal(Signal::HUP);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(dial(&server).await.server_certificate(), second);
    client.expect_silence().await;
}

#[tokio::test]
async fn a_changed_file_is_taken_without_a_signal() {
    let (builder, _) = secured();
    let server = builder.start().await;
    let mut client = connect(&server).await;
    let second = certify(server.dir());
    let end = tokio::time::Instant::now() + Duration::from_secs(12);
    while dial(&server).await.server_certificate() != second {
        assert!(
            tokio::time::Instant::now() < end,
            "the changed certificate was not taken"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    client.expect_silence().await;
}

#[tokio::test]
async fn a_missing_certificate_stops_the_start_with_1() {
    let builder = Server::builder()
        .env("SOKETI_SSL_CERT", "nowhere.pem")
        .env("SOKETI_SSL_KEY", "nowhere-key.pem");
    builder.run().await.expect(1, &["nowhere.pem"]);
}

#[tokio::test]
async fn a_key_that_is_none_stops_the_start_with_1() {
    let (builder, _) = secured();
    let builder = builder.file("key.pem", "not a key");
    builder.run().await.expect(1, &["key.pem"]);
}

#[tokio::test]
async fn a_key_of_another_certificate_stops_the_start_with_1() {
    let (builder, _) = secured();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let _: PrivateKeyDer<'_> = PrivateKeyDer::try_from(other.signing_key.serialize_der()).unwrap();
    let builder = builder.file("key.pem", &other.signing_key.serialize_pem());
    let exit = builder.run().await;
    assert_eq!(exit.code, Some(1), "{}", exit.said());
}
