//! One attempt to post one parcel. spec: scaling-webhooks-metrics, "Headers" and "Delivery".

use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, StatusCode, Uri,
    body::Incoming,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use sha2::Sha256;
use tokio::time::timeout;

use super::{
    guard::{self, Blocked, Resolver},
    queue::Parcel,
};

/// Bytes of an answer's body that are read, so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Time for that body, once the status is known.
const ANSWER_TIME: Duration = Duration::from_secs(1);
/// Below the 5 s after which Node closes an idle connection, since a request sent into a closing one is lost.
const IDLE: Duration = Duration::from_secs(4);
/// Idle connections kept to one host.
const IDLE_PER_HOST: usize = 8;
const USER_AGENT: &str = concat!("BowlineWebhooks/", env!("CARGO_PKG_VERSION"));
/// Says which requests are attempts of one delivery.
const ID: HeaderName = HeaderName::from_static("x-bowline-webhook-id");
const KEY: HeaderName = HeaderName::from_static("x-pusher-key");
const SIGNATURE: HeaderName = HeaderName::from_static("x-pusher-signature");
/// Not for a hook's own headers: what proves the sender, and what frames the request.
const RESERVED: [HeaderName; 9] = [
    ID,
    KEY,
    SIGNATURE,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::EXPECT,
];

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 2xx.
    Delivered,
    /// Worth another attempt, not before the time the target asked for.
    Failed {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// No attempt will ever succeed.
    Refused { reason: String },
}

impl Outcome {
    pub(super) fn failed(reason: &(impl ToString + ?Sized)) -> Self {
        Self::Failed {
            reason: reason.to_string(),
            retry_after: None,
        }
    }

    fn refused(reason: &(impl ToString + ?Sized)) -> Self {
        Self::Refused {
            reason: reason.to_string(),
        }
    }
}

/// Posts parcels. Follows no redirect.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    block_private: bool,
    timeout: Duration,
}

impl Client {
    /// `timeout` bounds an attempt from the look-up of the name to the status.
    pub(super) fn new(block_private: bool, timeout: Duration) -> Self {
        Self::with_tls(tls_config(), block_private, timeout)
    }

    fn with_tls(tls: ClientConfig, block_private: bool, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver { block_private });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_title_case_headers(true)
            .build(https);
        Self {
            http,
            block_private,
            timeout,
        }
    }

    /// Makes one attempt.
    pub(super) async fn post(self, parcel: Arc<Parcel>) -> Outcome {
        let request = match request(&parcel) {
            Ok(request) => request,
            Err(reason) => return Outcome::refused(reason),
        };
        if self.block_private && guard::is_private_literal(request.uri()) {
            return Outcome::refused(&Blocked);
        }
        match timeout(self.timeout, self.http.request(request)).await {
            Err(_) => Outcome::failed(&format!("no answer within {:?}", self.timeout)),
            Ok(Err(error)) => failure(&error),
            Ok(Ok(response)) => {
                let (head, body) = response.into_parts();
                let outcome = judge(head.status, &head.headers);
                drain(body).await;
                outcome
            }
        }
    }
}

fn tls_config() -> ClientConfig {
    #[expect(clippy::expect_used, reason = "ring has what the versions need")]
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider is not ours to choose at run time");
    match system_roots() {
        Some(roots) => builder.with_root_certificates(roots),
        None => builder.with_webpki_roots(),
    }
    .with_no_client_auth()
}

/// The system's bundle of authorities, or the one `SSL_CERT_FILE` names as OpenSSL has it; `None` if there is none.
fn system_roots() -> Option<RootCertStore> {
    const BUNDLES: [&str; 4] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut paths = named.into_iter().chain(BUNDLES.map(PathBuf::from));
    paths.find_map(|path| {
        let certificates = CertificateDer::pem_file_iter(path).ok()?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.filter_map(Result::ok));
        (!roots.is_empty()).then_some(roots)
    })
}

/// The request, or why there can be none. The signature covers exactly the bytes that are sent.
fn request(parcel: &Parcel) -> Result<Request<Full<Bytes>>, &'static str> {
    let hook = parcel.target();
    let uri: Uri = hook.url.parse().map_err(|_| "not a URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err("not an HTTP URL");
    }
    let mut request = Request::post(&uri)
        .body(Full::new(parcel.body.clone()))
        .map_err(|_| "not a URL")?;
    let headers = request.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json.clone());
    headers.insert(header::ACCEPT, json);
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    if let Some(credentials) = basic_credentials(&uri) {
        headers.insert(header::AUTHORIZATION, header_value(&credentials)?);
    }
    for (name, value) in &hook.headers {
        let name: HeaderName = name.parse().map_err(|_| "a header's name is not legal")?;
        if !RESERVED.contains(&name) {
            headers.insert(name, header_value(value)?);
        }
    }
    headers.insert(KEY, header_value(&parcel.app.key.0)?);
    headers.insert(SIGNATURE, header_value(&signature(parcel))?);
    headers.insert(ID, header_value(&parcel.id)?);
    Ok(request)
}

fn header_value(text: &str) -> Result<HeaderValue, &'static str> {
    HeaderValue::from_str(text).map_err(|_| "a header's value is not legal")
}

fn signature(parcel: &Parcel) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac =
        Hmac::<Sha256>::new_from_slice(parcel.app.secret.bytes()).expect("any length will do");
    mac.update(&parcel.body);
    hex::encode(mac.finalize().into_bytes())
}

/// `Authorization` for `https://user:password@host/`, which Soketi's client sends too.
fn basic_credentials(uri: &Uri) -> Option<String> {
    let (user_info, _) = uri.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let decode = |text| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let plain = [decode(user), decode(password)].join(&b':');
    Some(format!("Basic {}", base64(&plain)))
}

/// RFC 4648, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|i| chunk.get(i).copied().unwrap_or(0));
        let bits = u32::from_be_bytes([0, a, b, c]);
        for digit in 0..4 {
            if digit <= chunk.len() {
                let sextet = bits >> (18 - 6 * digit) & 63;
                text.push(char::from(ALPHABET[sextet as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

fn judge(status: StatusCode, headers: &HeaderMap) -> Outcome {
    let reason = || format!("status {}", status.as_u16());
    if status.is_success() {
        Outcome::Delivered
    } else if status == StatusCode::GONE {
        Outcome::refused(&reason())
    } else {
        let seconds = headers.get(header::RETRY_AFTER).and_then(|value| {
            let seconds: u64 = value.to_str().ok()?.trim().parse().ok()?;
            Some(Duration::from_secs(seconds))
        });
        Outcome::Failed {
            reason: reason(),
            retry_after: seconds,
        }
    }
}

/// Why the request got no answer: the innermost cause, which names no part of the URL but the address.
fn failure(error: &(dyn Error + 'static)) -> Outcome {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
        if cause.is::<Blocked>() {
            return Outcome::refused(&Blocked);
        }
    }
    Outcome::failed(cause)
}

async fn drain(body: Incoming) {
    // What the answer says does not matter; an endless one costs its connection.
    let _ = timeout(ANSWER_TIME, Limited::new(body, ANSWER_BYTES_MAX).collect()).await;
}

#[cfg(test)]
mod tests;
