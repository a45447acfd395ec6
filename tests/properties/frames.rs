//! The frame decoder, driven as a shard drives it.

use bowline::protocol::frame::{Fragments, Frame, FrameError, Incoming, decode};
use proptest::prelude::*;

const MESSAGE_BYTES_MAX: usize = 300;
/// The longest header of a masked frame.
const HEADER_MAX: usize = 14;

/// What was heard, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Nothing,
    Error(FrameError),
}

/// A connection's decoder: keeps what is incomplete and stops at the first error.
#[derive(Default)]
struct Decoder {
    kept: Vec<u8>,
    fragments: Option<Box<Fragments>>,
    heard: Vec<Heard>,
}

impl Decoder {
    fn feed(&mut self, bytes: &[u8]) {
        if let Some(Heard::Error(_)) = self.heard.last() {
            return;
        }
        self.kept.extend_from_slice(bytes);
        let mut taken = 0;
        while taken < self.kept.len() {
            match decode(
                &mut self.kept[taken..],
                &mut self.fragments,
                MESSAGE_BYTES_MAX,
            ) {
                Ok(None) => break,
                Ok(Some((length, incoming))) => {
                    taken += length;
                    self.heard.push(match incoming {
                        Incoming::Message(bytes) => Heard::Message(bytes.into_owned()),
                        Incoming::Ping(payload) => Heard::Ping(payload.to_vec()),
                        Incoming::Pong => Heard::Pong,
                        Incoming::Close(code) => Heard::Close(code),
                        Incoming::Nothing => Heard::Nothing,
                    });
                }
                Err(error) => {
                    self.heard.push(Heard::Error(error));
                    return;
                }
            }
        }
        self.kept.drain(..taken);
    }
}

/// A masked frame; `first` is the first byte, whatever it says.
fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        n @ 0..126 => out.push(0x80 | u8::try_from(n).unwrap()),
        n => {
            out.push(0xfe);
            out.extend_from_slice(&u16::try_from(n).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    out
}

/// Mostly frames that are legal where they stand, some that are not, some noise.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        6 => "[a-z\u{e9}\u{1f600}]{0,20}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..140),
        1 => prop::collection::vec(Just(b'x'), 100..400),
    ];
    let one = prop_oneof![
        12 => (first, any::<[u8; 4]>(), payload).prop_map(|(first, mask, payload)| frame(first, mask, &payload)),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(one, 0..8).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn a_stream_says_the_same_however_it_is_cut(stream in any_stream(), cuts in prop::collection::vec(1_usize..40, 1..30)) {
        let mut whole = Decoder::default();
        whole.feed(&stream);
        let (mut cut, mut rest, mut sizes) = (Decoder::default(), &stream[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            cut.feed(piece);
            let over = matches!(cut.heard.last(), Some(Heard::Error(_)));
            prop_assert!(over || cut.kept.len() < MESSAGE_BYTES_MAX.max(125) + HEADER_MAX, "{} bytes are kept", cut.kept.len());
            rest = more;
        }
        prop_assert_eq!(&whole.heard, &cut.heard);
        for heard in &whole.heard {
            if let Heard::Message(bytes) = heard {
                prop_assert!(bytes.len() <= MESSAGE_BYTES_MAX);
            }
        }
    }

    #[test]
    fn noise_is_no_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), max in 0_usize..300) {
        let _ = decode(&mut bytes, &mut None, max);
    }

    #[test]
    fn what_is_sent_masked_is_heard(text in ".{0,80}", mask in any::<[u8; 4]>(), cut in 0_usize..80) {
        let cut = cut.min(text.len());
        let mut decoder = Decoder::default();
        decoder.feed(&frame(0x01, mask, &text.as_bytes()[..cut]));
        decoder.feed(&frame(0x80, mask, &text.as_bytes()[cut..]));
        let expected = if text.len() > MESSAGE_BYTES_MAX {
            Heard::Error(FrameError::TooLarge)
        } else {
            Heard::Message(text.into_bytes())
        };
        prop_assert_eq!(decoder.heard.last(), Some(&expected));
    }

    #[test]
    fn finished_frames_are_read_by_a_library(payload in prop::collection::vec(any::<u8>(), 0..300), times in 1_usize..400) {
        use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
        let payload = payload.repeat(times);
        let frame = Frame::text(|out| out.extend_from_slice(&payload));
        let mut cursor = std::io::Cursor::new(frame.bytes());
        let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
        prop_assert!(header.is_final && header.mask.is_none());
        prop_assert_eq!(usize::try_from(length).unwrap(), payload.len());
        prop_assert_eq!(frame.payload_len(), payload.len());
        prop_assert_eq!(&frame.bytes()[usize::try_from(cursor.position()).unwrap()..], &payload[..]);
    }

    #[test]
    fn a_close_fits_a_control_frame(code in any::<u16>(), reason in ".{0,200}") {
        let frame = Frame::close(Some(code), &reason);
        prop_assert!(frame.payload_len() <= 125);
        let told = std::str::from_utf8(&frame.bytes()[4..]).unwrap();
        prop_assert!(reason.starts_with(told));
    }
}
