//! What webhooks tell, and how it reads on the wire. spec: scaling-webhooks-metrics, "Bodies".

use std::sync::Arc;

use crate::app::{App, HookEvent};

/// Something that happened in an app. Fields ending in `_json` hold JSON text and are written as they are, so that a user id
/// keeps the type its client gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the wire's")]
pub enum Event {
    /// First subscriber in.
    ChannelOccupied { channel: Arc<str> },
    /// Last subscriber out.
    ChannelVacated { channel: Arc<str> },
    /// A user's first socket in a presence channel.
    MemberAdded {
        channel: Arc<str>,
        user_id_json: Box<str>,
    },
    /// A user's last socket out of a presence channel.
    MemberRemoved {
        channel: Arc<str>,
        user_id_json: Box<str>,
    },
    /// An accepted client event; `user_id_json` on presence channels only, `data_json` absent if the client sent none.
    ClientEvent {
        channel: Arc<str>,
        event: Box<str>,
        data_json: Option<Box<str>>,
        socket_id: Box<str>,
        user_id_json: Option<Box<str>>,
    },
    /// A subscription to a cache channel that has no event.
    CacheMiss { channel: Arc<str> },
    /// The number of subscriptions changed.
    SubscriptionCount { channel: Arc<str>, count: u64 },
}

impl Event {
    /// What hooks name in `event_types`.
    pub const fn kind(&self) -> HookEvent {
        match self {
            Self::ChannelOccupied { .. } => HookEvent::ChannelOccupied,
            Self::ChannelVacated { .. } => HookEvent::ChannelVacated,
            Self::MemberAdded { .. } => HookEvent::MemberAdded,
            Self::MemberRemoved { .. } => HookEvent::MemberRemoved,
            Self::ClientEvent { .. } => HookEvent::ClientEvent,
            Self::CacheMiss { .. } => HookEvent::CacheMiss,
            Self::SubscriptionCount { .. } => HookEvent::SubscriptionCount,
        }
    }

    /// Where it happened.
    pub const fn channel(&self) -> &Arc<str> {
        match self {
            Self::ChannelOccupied { channel }
            | Self::ChannelVacated { channel }
            | Self::MemberAdded { channel, .. }
            | Self::MemberRemoved { channel, .. }
            | Self::ClientEvent { channel, .. }
            | Self::CacheMiss { channel }
            | Self::SubscriptionCount { channel, .. } => channel,
        }
    }

    /// The event as one JSON object.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"name":""#);
        out.extend_from_slice(self.kind().name().as_bytes());
        out.push(b'"');
        write_field(out, "channel", self.channel());
        match self {
            Self::MemberAdded { user_id_json, .. } | Self::MemberRemoved { user_id_json, .. } => {
                write_json_field(out, "user_id", user_id_json);
            }
            Self::ClientEvent {
                event,
                data_json,
                socket_id,
                user_id_json,
                ..
            } => {
                write_field(out, "event", event);
                if let Some(data_json) = data_json {
                    write_json_field(out, "data", data_json);
                }
                write_field(out, "socket_id", socket_id);
                if let Some(user_id_json) = user_id_json {
                    write_json_field(out, "user_id", user_id_json);
                }
            }
            Self::SubscriptionCount { count, .. } => {
                write_json_field(out, "subscription_count", &count.to_string());
            }
            Self::ChannelOccupied { .. } | Self::ChannelVacated { .. } | Self::CacheMiss { .. } => {
            }
        }
        out.push(b'}');
    }

    /// Bytes it occupies while it waits, roughly.
    pub(super) fn bytes(&self) -> usize {
        let texts = match self {
            Self::MemberAdded { user_id_json, .. } | Self::MemberRemoved { user_id_json, .. } => {
                user_id_json.len()
            }
            Self::ClientEvent {
                event, data_json, ..
            } => event.len() + data_json.as_ref().map_or(0, |d| d.len()),
            _ => 0,
        };
        size_of::<Occurrence>() + self.channel().len() + texts
    }
}

fn write_json_field(out: &mut Vec<u8>, name: &str, json: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(json.as_bytes());
}

fn write_field(out: &mut Vec<u8>, name: &str, text: &str) {
    write_json_field(out, name, "");
    // Writing a text to memory has no way to fail.
    let _ = serde_json::to_writer(out, text);
}

/// An event, whose it is and when it was.
#[derive(Clone, Debug)]
pub(super) struct Occurrence {
    pub(super) app: Arc<App>,
    pub(super) event: Event,
    /// Milliseconds since 1970.
    pub(super) time_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(event: &Event) -> String {
        let mut out = Vec::new();
        event.write_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bodies_have_the_fields_of_the_specification_in_its_order() {
        let channel: Arc<str> = "presence-a".into();
        let client_event = |data: Option<&str>, user: Option<&str>| Event::ClientEvent {
            channel: channel.clone(),
            event: "client-x".into(),
            data_json: data.map(Into::into),
            socket_id: "1.2".into(),
            user_id_json: user.map(Into::into),
        };
        let cases = [
            (
                Event::ChannelOccupied {
                    channel: r#"a"b"#.into(),
                },
                r#"{"name":"channel_occupied","channel":"a\"b"}"#,
            ),
            (
                Event::MemberAdded {
                    channel: channel.clone(),
                    user_id_json: r#""1""#.into(),
                },
                r#"{"name":"member_added","channel":"presence-a","user_id":"1"}"#,
            ),
            (
                Event::MemberRemoved {
                    channel: channel.clone(),
                    user_id_json: "1".into(),
                },
                r#"{"name":"member_removed","channel":"presence-a","user_id":1}"#,
            ),
            (
                client_event(Some(r#"{"x":1}"#), Some(r#""u""#)),
                r#"{"name":"client_event","channel":"presence-a","event":"client-x","data":{"x":1},"socket_id":"1.2","user_id":"u"}"#,
            ),
            (
                client_event(None, None),
                r#"{"name":"client_event","channel":"presence-a","event":"client-x","socket_id":"1.2"}"#,
            ),
            (
                Event::SubscriptionCount { channel, count: 1 },
                r#"{"name":"subscription_count","channel":"presence-a","subscription_count":1}"#,
            ),
        ];
        for (event, wanted) in cases {
            assert_eq!(json(&event), wanted);
        }
    }
}
