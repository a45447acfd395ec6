//! Channel names and socket ids: what is taken is legal, and comes out as it went in.
#![no_main]

use bowline::{
    directory::inbox::{PLACES_MAX, place_of},
    protocol::{SocketId, channel::ChannelName},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &str)| {
    let (chars_max, text) = (usize::from(input.0), input.1);
    if let Ok(name) = ChannelName::parse(text, chars_max) {
        assert_eq!(name.as_str(), text);
        assert!(text.chars().count() <= chars_max);
        let free = name.user().is_some_and(|user| !user.is_empty());
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_=@,.;#".contains(c);
        assert!(free || text.chars().all(legal));
        let _ = (name.access(), name.is_cache(), name.is_hidden());
    }
    if let Ok(id) = text.parse::<SocketId>() {
        assert!(place_of(id).token < PLACES_MAX);
        if id.high < u64::MAX && id.low < u64::MAX {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
});
