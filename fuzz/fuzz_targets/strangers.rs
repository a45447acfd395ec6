//! A connection's first bytes: PROXY headers and request heads, which may take no more than there is and must say so early.
#![no_main]

use bowline::shard::{
    fresh::{HEAD_BYTES_MAX, Head, client_address, origin_allowed, read_head},
    proxy::{HEADER_BYTES_MAX, Header, read},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match read(bytes) {
        Header::Present(length, _) => assert!(length <= bytes.len() && length <= HEADER_BYTES_MAX),
        Header::Partial => assert!(
            bytes.len() < HEADER_BYTES_MAX,
            "what fills the buffer must be decided"
        ),
        Header::Absent | Header::Broken => {}
    }
    for prefix in ["", "/p"] {
        if let Head::WebSocket(handshake, length) = read_head(bytes, prefix) {
            assert!(length <= bytes.len());
            let mut answer = Vec::new();
            handshake.answer(&mut answer);
            let text = std::str::from_utf8(&answer).expect("text");
            assert_eq!(text.matches("\r\n\r\n").count(), 1, "an answer of one head");
            assert!(text.lines().count() <= 6 && answer.len() < HEAD_BYTES_MAX + 512);
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let trusted = ["10.0.0.0/8".parse().expect("a network")];
        let _ = client_address(text, &trusted);
        let (pattern, origin) = text.split_at(text.floor_char_boundary(text.len() / 2));
        let _ = origin_allowed(&[pattern.to_owned()], Some(origin));
    }
});
