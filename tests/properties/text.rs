//! JSON that is written or measured by hand, against `serde_json`.

use bowline::protocol::{
    SocketId,
    error::{ProtocolError, SubscriptionError},
    event::{self, ClientFrame, EncodedMember},
    frame::Frame,
    json,
    member::{Member, User, UserId},
};
use proptest::prelude::*;
use serde_json::{Value, value::RawValue};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Not every fraction survives serde_json's quick way to read it.
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        any::<String>().prop_map(Value::from),
        "[\"\\\\ a\n\u{1}\u{2028}é]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// The frame's payload as JSON.
fn read(frame: &Frame) -> Value {
    let header = frame.bytes().len() - frame.payload_len();
    serde_json::from_slice(&frame.bytes()[header..]).unwrap()
}

/// The frame's `data`, which is JSON inside a string.
fn data(frame: &Frame) -> Value {
    serde_json::from_str(read(frame)["data"].as_str().unwrap()).unwrap()
}

fn member(id: &Value, info: &Value) -> Member {
    let text = serde_json::json!({"user_id": id, "user_info": info}).to_string();
    Member::parse(&text, 1e9).unwrap()
}

proptest! {
    #[test]
    fn strings_are_written_as_serde_writes_them(text in any::<String>()) {
        let mut out = Vec::new();
        json::string(&mut out, &text);
        prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn sizes_are_those_of_compact_json(value in any_json()) {
        let compact = value.to_string();
        prop_assert_eq!(json::compact_bytes(&compact), compact.len());
        prop_assert_eq!(json::compact_bytes(&serde_json::to_string_pretty(&value).unwrap()), compact.len());
        let counted = value.as_str().map_or(compact.len(), str::len);
        prop_assert_eq!(json::counted_bytes(&compact), counted);
    }

    #[test]
    fn client_events_come_out_as_they_went_in(name in any::<String>(), channel in any::<String>(), value in any_json(), user in any::<i64>()) {
        let raw = value.to_string();
        let frame = read(&event::client_event(&name, &channel, Some(&raw), Some(&user.to_string())));
        let expected = serde_json::json!({"event": name, "channel": channel, "data": value, "user_id": user});
        prop_assert_eq!(&frame, &expected);
        let text = frame.to_string();
        let parsed = ClientFrame::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&*parsed.event, name);
        prop_assert_eq!(parsed.channel.as_deref(), Some(&*channel));
        prop_assert_eq!(parsed.data.map_or("null", RawValue::get), expected["data"].to_string());
    }

    #[test]
    fn members_stand_in_lists_as_they_came(ids in prop::collection::vec("\\PC{1,12}", 0..5), info in any_json(), channel in any::<String>()) {
        let members: Vec<Member> = ids.iter().map(|id| member(&id.as_str().into(), &info)).collect();
        let encoded: Vec<EncodedMember> = members.iter().map(EncodedMember::new).collect();
        let presence = data(&event::presence_succeeded(&channel, encoded.iter()))["presence"].clone();
        prop_assert_eq!(&presence["count"], &Value::from(ids.len()));
        prop_assert_eq!(&presence["ids"], &Value::from(ids.clone()));
        for id in &ids {
            prop_assert_eq!(&presence["hash"][id], &info);
        }
        for member in &members {
            let added = data(&event::member_added(&channel, member));
            prop_assert_eq!(added["user_id"].as_str(), Some(member.id.as_str()));
            prop_assert_eq!(&added["user_info"], &info);
            let removed = data(&event::member_removed(&channel, &member.id_json));
            prop_assert_eq!(removed["user_id"].as_str(), Some(member.id.as_str()));
        }
    }

    #[test]
    fn every_frame_is_json(text in any::<String>(), channel in any::<String>(), number in any::<usize>(), kb in 0.001_f64..1e6, value in any_json()) {
        let errors = [
            ProtocolError::UnknownApp(text.clone()),
            ProtocolError::EventNameTooLong(number),
            ProtocolError::EventDataTooLarge(kb.into()),
        ];
        for error in &errors {
            let frame = read(&event::error(error, Some(&channel)));
            prop_assert_eq!(&frame["channel"], &Value::from(channel.clone()));
            prop_assert_eq!(&frame["data"]["message"], &Value::from(error.to_string()));
        }
        let error = SubscriptionError::MemberTooLarge(kb);
        prop_assert_eq!(&read(&event::subscription_error(&channel, &error))["data"]["error"], &Value::from(error.to_string()));
        prop_assert_eq!(&read(&event::subscription_succeeded(&channel))["channel"], &Value::from(channel.clone()));
        prop_assert_eq!(&read(&event::cache_miss(&channel))["channel"], &Value::from(channel.clone()));
        let published = read(&event::published(&text, &channel, &value.to_string()));
        prop_assert_eq!(published, serde_json::json!({"event": text.clone(), "channel": channel.clone(), "data": value}));
        let count = data(&event::subscription_count(&channel, number));
        prop_assert_eq!(&count["subscription_count"], &Value::from(number));
        let user = UserId::new(&text);
        let told = data(&event::watchlist(event::Presence::Online, std::iter::once(&user)));
        prop_assert_eq!(&told["events"][0]["user_ids"][0], &Value::from(text));
    }

    #[test]
    fn clients_may_say_anything(bytes in prop::collection::vec(any::<u8>(), 0..60), text in any::<String>(), value in any_json()) {
        if let Some(frame) = ClientFrame::parse(&bytes) {
            let _ = frame.payload();
        }
        let odd = serde_json::json!({"event": "pusher:subscribe", "data": value}).to_string();
        if let Some(frame) = ClientFrame::parse(odd.as_bytes()) {
            let _ = frame.payload();
        }
        let raw = value.to_string();
        for text in [&text, &raw] {
            let _ = (Member::parse(text, 2.0), User::parse(text), json::counted_bytes(text), json::compact_bytes(text));
        }
    }

    #[test]
    fn the_greeting_names_the_socket(high in 0_u64..10_000_000_000, low in 0_u64..10_000_000_000) {
        let id = SocketId { high, low };
        let told = data(&event::connection_established(id));
        prop_assert_eq!(told["socket_id"].as_str().unwrap().parse::<SocketId>().unwrap(), id);
    }
}
