//! WebSocket frames: a stream says the same in one piece as byte by byte, and no more is kept than one message and one header.
#![no_main]

use bowline::protocol::frame::{Fragments, FrameError, Incoming, decode};
use libfuzzer_sys::fuzz_target;

const MESSAGE_BYTES_MAX: usize = 256;
const HEADER_MAX: usize = 14;

fn hear(
    bytes: &mut Vec<u8>,
    fragments: &mut Option<Box<Fragments>>,
    heard: &mut Vec<Vec<u8>>,
) -> Result<(), FrameError> {
    let mut taken = 0;
    while taken < bytes.len() {
        let Some((length, incoming)) = decode(&mut bytes[taken..], fragments, MESSAGE_BYTES_MAX)?
        else {
            break;
        };
        taken += length;
        heard.push(match incoming {
            Incoming::Message(bytes) => {
                assert!(bytes.len() <= MESSAGE_BYTES_MAX);
                bytes.into_owned()
            }
            Incoming::Ping(payload) => payload.to_vec(),
            Incoming::Close(code) => code.unwrap_or(0).to_be_bytes().to_vec(),
            Incoming::Pong | Incoming::Nothing => Vec::new(),
        });
    }
    bytes.drain(..taken);
    Ok(())
}

fuzz_target!(|stream: &[u8]| {
    let (mut whole, mut said) = (stream.to_vec(), Vec::new());
    let end = hear(&mut whole, &mut None, &mut said);
    let (mut kept, mut fragments, mut said_bytewise, mut end_bytewise) =
        (Vec::new(), None, Vec::new(), Ok(()));
    for byte in stream {
        kept.push(*byte);
        end_bytewise = hear(&mut kept, &mut fragments, &mut said_bytewise);
        if end_bytewise.is_err() {
            break;
        }
        assert!(kept.len() < MESSAGE_BYTES_MAX + HEADER_MAX);
    }
    assert_eq!((end, said), (end_bytewise, said_bytewise));
});
