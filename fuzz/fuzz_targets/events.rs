//! What clients say in JSON, and what the server makes of it: whatever was taken leaves as JSON again.
#![no_main]

use bowline::protocol::{
    event::{self, ClientFrame, EncodedMember, Signin, Subscribe},
    frame::Frame,
    json,
    member::{Member, User},
};
use libfuzzer_sys::fuzz_target;

/// The frame is JSON, and so is a `data` in a string.
fn check(frame: &Frame, data_is_json: bool) {
    let header = frame.bytes().len() - frame.payload_len();
    let text = std::str::from_utf8(&frame.bytes()[header..]).expect("UTF-8");
    let parsed = ClientFrame::parse(text.as_bytes()).expect("JSON");
    if data_is_json {
        assert!(parsed.payload().is_some());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some(frame) = ClientFrame::parse(bytes) else {
        return;
    };
    let raw = frame.data.map(|data| data.get());
    if let Some(raw) = raw {
        assert!(json::counted_bytes(raw) <= raw.len());
        assert!(json::compact_bytes(raw) <= raw.len());
    }
    let channel = frame.channel.as_deref().unwrap_or("c");
    check(
        &event::client_event(&frame.event, channel, raw, None),
        false,
    );
    let Some(payload) = frame.payload() else {
        return;
    };
    let _ = (
        serde_json::from_str::<Subscribe<'_>>(&payload).is_ok(),
        serde_json::from_str::<Signin<'_>>(&payload).is_ok(),
    );
    if let Ok(member) = Member::parse(&payload, 2.0) {
        let encoded = EncodedMember::new(&member);
        check(
            &event::presence_succeeded(channel, std::iter::once(&encoded)),
            true,
        );
        check(&event::member_added(channel, &member), true);
        check(&event::member_removed(channel, &member.id_json), true);
    }
    if let Some(user) = User::parse(&payload) {
        check(
            &event::watchlist(event::Presence::Online, user.watchlist.iter()),
            true,
        );
        check(&event::signin_success(&payload), false);
    }
});
