//! What clients say and what they are told: JSON read once at the edge, frames written once. Pusher protocol 7, "Events".

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    SocketId,
    error::{ProtocolError, SubscriptionError},
    frame::Frame,
    json,
    member::{Member, UserId},
};

/// What `pusher:connection_established` tells clients; they ping after so much silence. Seconds.
const ACTIVITY_TIMEOUT_SECONDS: u32 = 30;

/// A client's frame, not understood yet.
#[derive(Debug, Deserialize)]
pub struct ClientFrame<'a> {
    /// The event's name.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// The channel of a client event.
    #[serde(borrow, default)]
    pub channel: Option<Cow<'a, str>>,
    /// JSON of any type; `null` is a value, not its absence.
    #[serde(borrow, default, deserialize_with = "present")]
    pub data: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    value: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// Payload of `pusher:subscribe` and `pusher:unsubscribe`.
#[derive(Debug, Deserialize)]
pub struct Subscribe<'a> {
    /// The channel, not checked yet.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// `KEY:SIGNATURE`
    #[serde(borrow, default)]
    pub auth: Option<Cow<'a, str>>,
    /// Who joins a presence channel: JSON text, signed as it is.
    #[serde(borrow, default)]
    pub channel_data: Option<Cow<'a, str>>,
}

/// Payload of `pusher:signin`.
#[derive(Debug, Deserialize)]
pub struct Signin<'a> {
    /// `KEY:SIGNATURE`
    #[serde(borrow)]
    pub auth: Cow<'a, str>,
    /// Who signs in: JSON text, signed as it is.
    #[serde(borrow)]
    pub user_data: Cow<'a, str>,
}

impl<'a> ClientFrame<'a> {
    /// `None` for what is no JSON object with an `event`; Soketi ignores such frames.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The payload as JSON text of an object: Reverb's clients send it inside a string, which is taken too.
    pub fn payload(&self) -> Option<Cow<'a, str>> {
        let raw = self.data?.get();
        if raw.starts_with('"') {
            serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(raw))
        }
    }
}

/// `pusher:connection_established`
pub fn connection_established(id: SocketId) -> Frame {
    Frame::text(|out| {
        out.extend_from_slice(
            br#"{"event":"pusher:connection_established","data":"{\"socket_id\":\""#,
        );
        out.extend_from_slice(id.to_string().as_bytes());
        out.extend_from_slice(br#"\",\"activity_timeout\":"#);
        out.extend_from_slice(ACTIVITY_TIMEOUT_SECONDS.to_string().as_bytes());
        out.extend_from_slice(br#"}"}"#);
    })
}

/// `pusher:error`; `channel` only for errors about client events.
pub fn error(error: &ProtocolError, channel: Option<&str>) -> Frame {
    Frame::text(|out| {
        out.extend_from_slice(br#"{"event":"pusher:error""#);
        if let Some(channel) = channel {
            field(out, "channel", channel);
        }
        out.extend_from_slice(
            format!(r#","data":{{"code":{},"message":"#, error.code()).as_bytes(),
        );
        json::string(out, &error.to_string());
        out.extend_from_slice(b"}}");
    })
}

/// The answer to `pusher:ping`.
pub fn pong() -> Frame {
    thread_local! { static PONG: Frame = Frame::text(|out| out.extend_from_slice(br#"{"event":"pusher:pong","data":{}}"#)) }
    PONG.with(Frame::clone)
}

/// `pusher:signin_success`: `data` is the object that the client sent.
pub fn signin_success(data: &str) -> Frame {
    Frame::text(|out| {
        out.extend_from_slice(br#"{"event":"pusher:signin_success","data":"#);
        out.extend_from_slice(data.as_bytes());
        out.push(b'}');
    })
}

/// `pusher:subscription_error`
pub fn subscription_error(channel: &str, error: &SubscriptionError) -> Frame {
    Frame::text(|out| {
        head(out, "pusher:subscription_error", channel);
        out.extend_from_slice(br#","data":{"#);
        if let Some(kind) = error.kind() {
            out.extend_from_slice(format!(r#""type":"{kind}","#).as_bytes());
        }
        out.extend_from_slice(br#""error":"#);
        json::string(out, &error.to_string());
        out.extend_from_slice(format!(r#","status":{}}}}}"#, error.status()).as_bytes());
    })
}

/// `pusher_internal:subscription_succeeded` of any channel but a presence channel.
pub fn subscription_succeeded(channel: &str) -> Frame {
    Frame::text(|out| {
        head(out, "pusher_internal:subscription_succeeded", channel);
        out.extend_from_slice(br#","data":"{}"}"#);
    })
}

/// `pusher_internal:subscription_succeeded` of a presence channel, members in their order.
pub fn presence_succeeded<'a>(
    channel: &str,
    members: impl Iterator<Item = &'a EncodedMember> + Clone,
) -> Frame {
    Frame::text(|out| {
        head(out, "pusher_internal:subscription_succeeded", channel);
        out.extend_from_slice(br#","data":"{\"presence\":{\"ids\":["#);
        list(out, members.clone().map(|m| &*m.id));
        out.extend_from_slice(br#"],\"hash\":{"#);
        list(out, members.clone().map(|m| &*m.entry));
        out.extend_from_slice(format!(r#"}},\"count\":{}}}}}"}}"#, members.count()).as_bytes());
    })
}

/// A member as it stands in a list inside a JSON string: escaped once, copied ever after.
#[derive(Clone, Debug)]
pub struct EncodedMember {
    id: Box<[u8]>,
    entry: Box<[u8]>,
}

impl EncodedMember {
    /// Escapes the member's id and its entry in `hash`.
    pub fn new(member: &Member) -> Self {
        let (mut id, mut key, mut entry) = (Vec::new(), Vec::new(), Vec::new());
        json::escape(&mut id, &member.id_json);
        json::string(&mut key, member.id.as_str());
        key.push(b':');
        json::escape(&mut entry, &String::from_utf8_lossy(&key));
        json::escape(&mut entry, &member.info_json);
        Self {
            id: id.into(),
            entry: entry.into(),
        }
    }
}

fn list<'a>(out: &mut Vec<u8>, items: impl Iterator<Item = &'a [u8]>) {
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item);
    }
}

/// `pusher_internal:member_added`
pub fn member_added(channel: &str, member: &Member) -> Frame {
    Frame::text(|out| {
        head(out, "pusher_internal:member_added", channel);
        out.extend_from_slice(br#","data":"{\"user_id\":"#);
        json::escape(out, &member.id_json);
        out.extend_from_slice(br#",\"user_info\":"#);
        json::escape(out, &member.info_json);
        out.extend_from_slice(br#"}"}"#);
    })
}

/// `pusher_internal:member_removed`; `id_json` keeps the type the client gave it.
pub fn member_removed(channel: &str, id_json: &str) -> Frame {
    Frame::text(|out| {
        head(out, "pusher_internal:member_removed", channel);
        out.extend_from_slice(br#","data":"{\"user_id\":"#);
        json::escape(out, id_json);
        out.extend_from_slice(br#"}"}"#);
    })
}

/// An event of the HTTP API or of a cache; `data` is JSON, sent as it came.
pub fn published(name: &str, channel: &str, data: &str) -> Frame {
    Frame::text(|out| {
        head(out, name, channel);
        out.extend_from_slice(br#","data":"#);
        out.extend_from_slice(data.as_bytes());
        out.push(b'}');
    })
}

/// A client event; `user_id` only from members of a presence channel.
pub fn client_event(
    name: &str,
    channel: &str,
    data: Option<&str>,
    user_id_json: Option<&str>,
) -> Frame {
    Frame::text(|out| {
        head(out, name, channel);
        for (key, json) in [("data", data), ("user_id", user_id_json)] {
            if let Some(json) = json {
                out.extend_from_slice(format!(r#","{key}":"#).as_bytes());
                out.extend_from_slice(json.as_bytes());
            }
        }
        out.push(b'}');
    })
}

/// `pusher:cache_miss`
pub fn cache_miss(channel: &str) -> Frame {
    Frame::text(|out| {
        head(out, "pusher:cache_miss", channel);
        out.push(b'}');
    })
}

/// `pusher_internal:subscription_count`
pub fn subscription_count(channel: &str, count: usize) -> Frame {
    Frame::text(|out| {
        head(out, "pusher_internal:subscription_count", channel);
        out.extend_from_slice(
            format!(r#","data":"{{\"subscription_count\":{count}}}"}}"#).as_bytes(),
        );
    })
}

/// Whether the users of a watchlist came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Signed in on at least one connection.
    Online,
    /// On none.
    Offline,
}

/// `pusher_internal:watchlist_events`
pub fn watchlist<'a>(presence: Presence, users: impl Iterator<Item = &'a UserId>) -> Frame {
    let name = match presence {
        Presence::Online => "online",
        Presence::Offline => "offline",
    };
    let ids: Vec<&str> = users.map(UserId::as_str).collect();
    let data = serde_json::json!({"events": [{"name": name, "user_ids": ids}]}).to_string();
    Frame::text(|out| {
        out.extend_from_slice(br#"{"event":"pusher_internal:watchlist_events","data":"#);
        json::string(out, &data);
        out.push(b'}');
    })
}

fn head(out: &mut Vec<u8>, event: &str, channel: &str) {
    out.extend_from_slice(br#"{"event":"#);
    json::string(out, event);
    field(out, "channel", channel);
}

fn field(out: &mut Vec<u8>, key: &str, text: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    json::string(out, text);
}
