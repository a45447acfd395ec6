//! Signatures: of channels, of users, of REST requests. The only place where a MAC is made or compared.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::SocketId;
use crate::app::{App, AppSecret};

/// Lower-case hex HMAC-SHA256 of `parts`, one after the other.
pub fn sign(secret: &AppSecret, parts: &[&[u8]]) -> String {
    hex::encode(mac(secret, parts).finalize().into_bytes())
}

/// In constant time; `signature` must be lower-case hex.
pub fn verify(secret: &AppSecret, parts: &[&[u8]], signature: &str) -> bool {
    let mut claimed = [0; 32];
    let lower = !signature.bytes().any(|b| b.is_ascii_uppercase());
    lower
        && hex::decode_to_slice(signature, &mut claimed).is_ok()
        && mac(secret, parts).verify_slice(&claimed).is_ok()
}

fn mac(secret: &AppSecret, parts: &[&[u8]]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("any key length is legal");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// What a client signed for. Pusher docs, "Auth signatures".
#[derive(Clone, Copy, Debug)]
pub enum Claim<'a> {
    /// `SOCKET_ID:CHANNEL`
    Channel(&'a str),
    /// `SOCKET_ID:CHANNEL:CHANNEL_DATA`, the data exactly as sent.
    Presence(&'a str, &'a str),
    /// `SOCKET_ID::user::USER_DATA`, the data exactly as sent.
    User(&'a str),
}

/// Whether `auth` (`KEY:SIGNATURE`) is the app's word for `claim` of this socket; any of the app's current secrets will do.
pub fn allows(app: &App, socket: SocketId, claim: Claim<'_>, auth: &str) -> bool {
    let Some(signature) = auth
        .strip_prefix(&*app.key.0)
        .and_then(|rest| rest.strip_prefix(':'))
    else {
        return false;
    };
    let socket = socket.to_string();
    let parts = match claim {
        Claim::Channel(channel) => [socket.as_bytes(), b":", channel.as_bytes(), b"", b""],
        Claim::Presence(channel, data) => [
            socket.as_bytes(),
            b":",
            channel.as_bytes(),
            b":",
            data.as_bytes(),
        ],
        Claim::User(data) => [socket.as_bytes(), b"::user::", data.as_bytes(), b"", b""],
    };
    app.secrets()
        .any(|secret| verify(secret, &parts, signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pusher_test_vectors() {
        let app = App::new("1", "278d425bdf160c739803", "7ad3773142a6692b25b8");
        let socket = "1234.1234".parse().unwrap();
        let presence = r#"{"user_id":10,"user_info":{"name":"Mr. Channels"}}"#;
        for (claim, mac) in [
            (
                Claim::Channel("private-foobar"),
                "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4",
            ),
            (
                Claim::Presence("presence-foobar", presence),
                "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80",
            ),
            (
                Claim::User(r#"{"id":"12345"}"#),
                "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba",
            ),
        ] {
            assert!(allows(
                &app,
                socket,
                claim,
                &format!("278d425bdf160c739803:{mac}")
            ));
            assert!(!allows(
                &app,
                socket,
                claim,
                &format!("278d425bdf160c739803:{}", mac.to_uppercase())
            ));
            assert!(!allows(&app, socket, claim, &format!("other:{mac}")));
            assert!(!allows(&app, socket, claim, mac));
        }
    }

    #[test]
    fn a_previous_secret_counts_until_its_time() {
        use std::time::{Duration, SystemTime};
        let mut app = App::new("1", "k", "new");
        let (socket, old) = ("1.2".parse().unwrap(), AppSecret::new("old"));
        let auth = format!("k:{}", sign(&old, &[b"1.2:private-a"]));
        let claim = Claim::Channel("private-a");
        assert!(!allows(&app, socket, claim, &auth));
        app.previous_secret = Some((old.clone(), None));
        assert!(allows(&app, socket, claim, &auth));
        app.previous_secret = Some((old, Some(SystemTime::now() - Duration::from_secs(1))));
        assert!(!allows(&app, socket, claim, &auth));
    }
}
