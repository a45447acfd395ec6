//! Signatures, written here a second time on purpose: the server's own code proves nothing about itself.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;

/// Who signs.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) secret: String,
}

impl App {
    pub(crate) fn new(id: &str, key: &str, secret: &str) -> Self {
        Self {
            id: id.into(),
            key: key.into(),
            secret: secret.into(),
        }
    }

    /// The app of a server with nothing configured.
    pub(crate) fn default_app() -> Self {
        Self::new("app-id", "app-key", "app-secret")
    }

    /// The `auth` of a subscription or a signin over `text`.
    pub(crate) fn auth(&self, text: &str) -> String {
        format!("{}:{}", self.key, hmac_hex(&self.secret, text.as_bytes()))
    }

    /// Starts a signed target: `path` relative to `/apps/ID`.
    pub(crate) fn target(&self, method: &str, path: &str) -> SignedTarget {
        SignedTarget::new(self, method, &format!("/apps/{}{path}", self.id))
    }
}

pub(crate) fn hmac_hex(secret: &str, bytes: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(bytes);
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A request target on its way to being signed. Parameters are given decoded.
#[derive(Clone, Debug)]
pub(crate) struct SignedTarget {
    method: String,
    path: String,
    signed_path: Option<String>,
    secret: String,
    params: Vec<(String, String)>,
}

impl SignedTarget {
    pub(crate) fn new(app: &App, method: &str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut params = vec![
            ("auth_key".to_owned(), app.key.clone()),
            ("auth_timestamp".to_owned(), now_s().to_string()),
            ("auth_version".to_owned(), "1.0".to_owned()),
        ];
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            params.push((key.to_owned(), value.to_owned()));
        }
        Self {
            method: method.into(),
            path: path.into(),
            signed_path: None,
            secret: app.secret.clone(),
            params,
        }
    }

    /// Replaces or adds a parameter.
    pub(crate) fn param(mut self, key: &str, value: &str) -> Self {
        self.params.retain(|(name, _)| name != key);
        self.params.push((key.into(), value.into()));
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        self.params.retain(|(name, _)| name != key);
        self
    }

    pub(crate) fn secret(mut self, secret: &str) -> Self {
        self.secret = secret.into();
        self
    }

    /// Signs another path than the one asked for, as a library behind a proxy does.
    pub(crate) fn signed_path(mut self, path: &str) -> Self {
        self.signed_path = Some(path.into());
        self
    }

    /// Adds the MD5 of a body.
    pub(crate) fn body(self, body: &[u8]) -> Self {
        self.param("body_md5", &md5_hex(body))
    }

    pub(crate) fn string_to_sign(&self) -> String {
        let mut params = self.params.clone();
        params.sort();
        let joined: Vec<String> = params
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let path = self.signed_path.as_ref().unwrap_or(&self.path);
        format!("{}\n{path}\n{}", self.method, joined.join("&"))
    }

    pub(crate) fn signature(&self) -> String {
        hmac_hex(&self.secret, self.string_to_sign().as_bytes())
    }

    /// The finished target with `auth_signature` last.
    pub(crate) fn build(&self) -> String {
        let signature = self.signature();
        format!("{}&auth_signature={signature}", self.unsigned())
    }

    /// The target without its signature.
    pub(crate) fn unsigned(&self) -> String {
        let mut target = format!("{}?", self.path);
        for (at, (key, value)) in self.params.iter().enumerate() {
            let and = if at == 0 { "" } else { "&" };
            write!(target, "{and}{}={}", encode(key), encode(value)).unwrap();
        }
        target
    }
}

/// Percent-encodes everything but unreserved characters.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
    }
    out
}
