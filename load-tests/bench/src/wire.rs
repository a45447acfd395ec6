//! What goes over the wire: the few frames and requests that a client of Pusher protocol 7 sends, and
//! the frames that it reads. Minimal on purpose: the generator must cost less than the server.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

const APP_ID: &str = "app-id";
const APP_KEY: &str = "app-key";
const APP_SECRET: &str = "app-secret";

/// Bytes of an event's data in every question unless it says otherwise.
pub(crate) const EVENT_BYTES: usize = 200;

/// Starts an event's number inside its data; occurs nowhere else in a frame.
const MARK: u8 = b'#';
const NUMBER_DIGITS: usize = 8;
const MASK: [u8; 4] = [0x4b, 0x1f, 0xa2, 0x6d];

/// The opening handshake of one client.
pub(crate) fn handshake() -> Vec<u8> {
    format!(
        "GET /app/{APP_KEY}?protocol=7&client=bench&version=1.0&flash=false HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// A client's text frame, masked.
pub(crate) fn text(payload: &[u8]) -> Vec<u8> {
    masked(0x81, payload)
}

/// A client's pong.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    masked(0x8a, payload)
}

/// A client's close with code 1000.
pub(crate) fn close() -> Vec<u8> {
    masked(0x88, &1000u16.to_be_bytes())
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    frame.push(first);
    push_length(&mut frame, payload.len(), 0x80);
    frame.extend_from_slice(&MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// A frame as a server sends it: not masked.
pub(crate) fn server_text(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(0x81);
    push_length(&mut frame, payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

fn push_length(frame: &mut Vec<u8>, length: usize, mask_bit: u8) {
    if let Ok(short @ 0..=125) = u8::try_from(length) {
        frame.push(mask_bit + short);
    } else if let Ok(medium) = u16::try_from(length) {
        frame.push(mask_bit + 126);
        frame.extend_from_slice(&medium.to_be_bytes());
    } else {
        frame.push(mask_bit + 127);
        frame.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// One frame at the start of `bytes`.
pub(crate) struct ServerFrame<'a> {
    pub(crate) opcode: u8,
    pub(crate) payload: &'a [u8],
    /// Header and payload.
    pub(crate) frame_bytes: usize,
}

/// The first frame in what a server sent, or nothing while it is incomplete.
pub(crate) fn server_frame(bytes: &[u8]) -> Option<ServerFrame<'_>> {
    let [first, length, rest @ ..] = bytes else {
        return None;
    };
    let (head, length): (usize, usize) = match length & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (
            10,
            usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?,
        ),
        short => (2, usize::from(short)),
    };
    let payload = bytes.get(head..head.checked_add(length)?)?;
    Some(ServerFrame {
        opcode: first & 0x0f,
        payload,
        frame_bytes: head + length,
    })
}

/// The data of event `number`, `bytes` long: its number between marks, then filling.
pub(crate) fn data(number: u32, bytes: usize) -> String {
    let filling = bytes.saturating_sub(NUMBER_DIGITS + 1);
    format!("#{number:08}{}", "x".repeat(filling))
}

/// The number of the event in this frame, if it is one of the generator's.
pub(crate) fn event_number(payload: &[u8]) -> Option<u32> {
    let start = memchr::memchr(MARK, payload)? + 1;
    let digits: &[u8; NUMBER_DIGITS] = payload.get(start..)?.first_chunk()?;
    digits.iter().try_fold(0u32, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u32::from(digit - b'0'))
    })
}

/// The payload that a server makes of event `number`; what the bare loop sends.
pub(crate) fn event(channel: &str, number: u32) -> String {
    let data = data(number, EVENT_BYTES);
    format!(r#"{{"event":"bench","channel":"{channel}","data":"{data}"}}"#)
}

/// `pusher:subscribe` for a public channel.
pub(crate) fn subscribe(channel: &str) -> String {
    format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#)
}

/// `pusher:subscribe` for a private channel.
pub(crate) fn subscribe_private(channel: &str, socket_id: &str) -> String {
    let auth = sign(format!("{socket_id}:{channel}").as_bytes());
    format!(
        r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}","auth":"{APP_KEY}:{auth}"}}}}"#
    )
}

/// `pusher:subscribe` for a presence channel as user `user`.
pub(crate) fn subscribe_presence(channel: &str, socket_id: &str, user: usize) -> String {
    let member = format!(r#"{{"user_id":"user-{user}","user_info":{{"name":"User {user}"}}}}"#);
    let auth = sign(format!("{socket_id}:{channel}:{member}").as_bytes());
    let subscription = serde_json::json!({
        "event": "pusher:subscribe",
        "data": { "channel": channel, "auth": format!("{APP_KEY}:{auth}"), "channel_data": member },
    });
    subscription.to_string()
}

/// A client event with the data of event `number`.
pub(crate) fn client_event(channel: &str, number: u32) -> String {
    let data = data(number, EVENT_BYTES);
    format!(r#"{{"event":"client-bench","channel":"{channel}","data":"{data}"}}"#)
}

/// The socket id in `pusher:connection_established`.
pub(crate) fn socket_id(payload: &[u8]) -> Option<String> {
    let frame: serde_json::Value = serde_json::from_slice(payload).ok()?;
    let data: serde_json::Value = serde_json::from_str(frame.get("data")?.as_str()?).ok()?;
    Some(data.get("socket_id")?.as_str()?.to_owned())
}

/// A signed `POST /events` for one channel.
pub(crate) fn publish(channel: &str, data: &str) -> Vec<u8> {
    let body = format!(r#"{{"name":"bench","channels":["{channel}"],"data":"{data}"}}"#);
    let path = format!("/apps/{APP_ID}/events");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let md5 = hex::encode(Md5::digest(body.as_bytes()));
    let query = format!("auth_key={APP_KEY}&auth_timestamp={now}&auth_version=1.0&body_md5={md5}");
    let signature = sign(format!("POST\n{path}\n{query}").as_bytes());
    format!(
        "POST {path}?{query}&auth_signature={signature} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn sign(message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_its_number_through_a_frame() {
        for length in [9, 125, 200, 70_000] {
            let frame = server_text(data(4711, length).as_bytes());
            let parsed = server_frame(&frame).expect("whole");
            assert_eq!(parsed.frame_bytes, frame.len());
            assert_eq!(event_number(parsed.payload), Some(4711));
            assert!(server_frame(&frame[..frame.len() - 1]).is_none());
        }
    }

    #[test]
    fn data_is_as_long_as_asked() {
        assert_eq!(data(1, EVENT_BYTES).len(), EVENT_BYTES);
    }

    /// Computed apart:
    /// `printf '1234.1234:private-foobar' | openssl dgst -sha256 -hmac app-secret`.
    #[test]
    fn signatures_are_hmac_sha256() {
        assert_eq!(
            sign(b"1234.1234:private-foobar"),
            "695a8cd51a83b5a43d1f4f377be2765565eb8eed690c9cb02e4266a9f9c30fbd"
        );
    }
}
