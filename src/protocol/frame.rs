//! WebSocket frames (RFC 6455): finished ones to send, and a decoder that works in place on whatever bytes have come.

use std::{cell::RefCell, io::Cursor, sync::Arc};

use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{CloseCode, Control, Data, OpCode},
};

/// A finished server frame, header included; cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Arc<[u8]>);

/// Room for the longest header of an unmasked frame.
const HEADER_MAX: usize = 10;

/// Bytes of a control frame's payload.
const CONTROL_MAX: usize = 125;

impl Frame {
    /// A text frame; `write` appends its payload.
    pub fn text(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        Self::build(0x81, write)
    }

    /// A ping with an empty payload.
    pub fn ping() -> Self {
        Self::build(0x89, |_| ())
    }

    /// The answer to a ping.
    pub fn pong(payload: &[u8]) -> Self {
        Self::build(0x8a, |out| out.extend_from_slice(payload))
    }

    /// A close frame; `reason` is cut to what a control frame holds. No code: an empty close.
    pub fn close(code: Option<u16>, reason: &str) -> Self {
        Self::build(0x88, |out| {
            let Some(code) = code else { return };
            out.extend_from_slice(&code.to_be_bytes());
            out.extend_from_slice(
                &reason.as_bytes()[..reason.floor_char_boundary(CONTROL_MAX - 2)],
            );
        })
    }

    /// Bytes that are finished already: what is left of a handshake's answer.
    pub fn raw(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    fn build(first: u8, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        thread_local! { static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) } }
        let mut out = SCRATCH.take();
        out.clear();
        out.resize(HEADER_MAX, 0);
        write(&mut out);
        let frame = Self(finish(first, &mut out).into());
        out.shrink_to(64 << 10);
        SCRATCH.set(out);
        frame
    }

    /// Header and payload.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes of the payload, which is what Soketi's metrics count.
    pub fn payload_len(&self) -> usize {
        match self.0.len() {
            n if n < 2 + 126 => n - 2,
            n if n < 4 + 65_536 => n - 4,
            n => n - 10,
        }
    }
}

/// Puts the header right before the payload, which begins at `HEADER_MAX`.
fn finish(first: u8, out: &mut [u8]) -> &[u8] {
    let len = out.len() - HEADER_MAX;
    let start = match len {
        0..126 => {
            #[expect(clippy::cast_possible_truncation, reason = "below 126")]
            out[8..10].copy_from_slice(&[first, len as u8]);
            8
        }
        126..65_536 => {
            #[expect(clippy::cast_possible_truncation, reason = "below 65,536")]
            out[8..10].copy_from_slice(&(len as u16).to_be_bytes());
            out[6..8].copy_from_slice(&[first, 126]);
            6
        }
        _ => {
            out[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            out[0..2].copy_from_slice(&[first, 127]);
            0
        }
    };
    &out[start..]
}

/// What a client sent, whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text or binary message.
    Message(std::borrow::Cow<'a, [u8]>),
    /// A ping and its payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// The peer's close code, if it gave one.
    Close(Option<u16>),
    /// A fragment was taken; nothing to act on yet.
    Nothing,
}

/// Why a connection must be failed. RFC 6455, section 7.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// 1002
    #[error("The frame breaks the WebSocket protocol.")]
    Protocol,
    /// 1007
    #[error("The text is not UTF-8.")]
    NotUtf8,
    /// 1009
    #[error("The message is larger than the server accepts.")]
    TooLarge,
}

impl FrameError {
    /// The close code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
        }
    }
}

/// Fragments of one message so far.
#[derive(Debug)]
pub struct Fragments {
    text: bool,
    bytes: Vec<u8>,
}

impl Fragments {
    /// Bytes of the message so far.
    pub fn size(&self) -> usize {
        self.bytes.capacity()
    }
}

/// The next frame of `bytes`, unmasked in place, and how many bytes it took; `None` while it is incomplete.
///
/// `message_bytes_max` bounds a message over all its fragments.
pub fn decode<'a>(
    bytes: &'a mut [u8],
    fragments: &mut Option<Box<Fragments>>,
    message_bytes_max: usize,
) -> Result<Option<(usize, Incoming<'a>)>, FrameError> {
    let mut cursor = Cursor::new(&bytes[..]);
    let Some((header, length)) =
        FrameHeader::parse(&mut cursor).map_err(|_| FrameError::Protocol)?
    else {
        return Ok(None);
    };
    let start = usize::try_from(cursor.position()).map_err(|_| FrameError::Protocol)?;
    let Some(mask) = header.mask else {
        return Err(FrameError::Protocol);
    };
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(FrameError::Protocol);
    }
    let so_far = fragments.as_ref().map_or(0, |f| f.bytes.len()) as u64;
    match header.opcode {
        OpCode::Control(_) if !header.is_final || length > CONTROL_MAX as u64 => {
            return Err(FrameError::Protocol);
        }
        OpCode::Data(_) if so_far.saturating_add(length) > message_bytes_max as u64 => {
            return Err(FrameError::TooLarge);
        }
        _ => {}
    }
    let length = usize::try_from(length).map_err(|_| FrameError::TooLarge)?;
    if bytes.len() < start + length {
        return Ok(None);
    }
    let payload = &mut bytes[start..start + length];
    unmask(payload, mask);
    Ok(Some((
        start + length,
        classify(&header, payload, fragments)?,
    )))
}

fn classify<'a>(
    header: &FrameHeader,
    payload: &'a [u8],
    fragments: &mut Option<Box<Fragments>>,
) -> Result<Incoming<'a>, FrameError> {
    match header.opcode {
        OpCode::Control(Control::Ping) => Ok(Incoming::Ping(payload)),
        OpCode::Control(Control::Pong) => Ok(Incoming::Pong),
        OpCode::Control(Control::Close) => close_code(payload).map(Incoming::Close),
        OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
            Err(FrameError::Protocol)
        }
        OpCode::Data(Data::Continue) => {
            let Some(mut whole) = fragments.take() else {
                return Err(FrameError::Protocol);
            };
            whole.bytes.extend_from_slice(payload);
            if header.is_final {
                message(whole.text, whole.bytes.into())
            } else {
                *fragments = Some(whole);
                Ok(Incoming::Nothing)
            }
        }
        OpCode::Data(kind) => {
            if fragments.is_some() {
                return Err(FrameError::Protocol);
            }
            let text = kind == Data::Text;
            if header.is_final {
                return message(text, payload.into());
            }
            *fragments = Some(Box::new(Fragments {
                text,
                bytes: payload.to_vec(),
            }));
            Ok(Incoming::Nothing)
        }
    }
}

fn message(text: bool, bytes: std::borrow::Cow<'_, [u8]>) -> Result<Incoming<'_>, FrameError> {
    if text && std::str::from_utf8(&bytes).is_err() {
        Err(FrameError::NotUtf8)
    } else {
        Ok(Incoming::Message(bytes))
    }
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, FrameError> {
    match payload {
        [] => Ok(None),
        [_] => Err(FrameError::Protocol),
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            if !CloseCode::from(code).is_allowed() {
                return Err(FrameError::Protocol);
            }
            std::str::from_utf8(reason)
                .map(|_| Some(code))
                .map_err(|_| FrameError::NotUtf8)
        }
    }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let mut chunks = payload.chunks_exact_mut(4);
    let word = u32::from_ne_bytes(mask);
    for chunk in &mut chunks {
        if let Ok(bytes) = <[u8; 4]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u32::from_ne_bytes(bytes) ^ word).to_ne_bytes());
        }
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(mask) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![
            first,
            0x80 | u8::try_from(payload.len()).unwrap(),
            1,
            2,
            3,
            4,
        ];
        out.extend(
            payload
                .iter()
                .enumerate()
                .map(|(i, b)| b ^ [1, 2, 3, 4][i % 4]),
        );
        out
    }

    #[test]
    fn headers_fit_every_length() {
        for (len, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let frame = Frame::text(|out| out.extend(std::iter::repeat_n(b'x', len)));
            assert_eq!(
                (frame.bytes().len(), frame.payload_len()),
                (len + header, len)
            );
        }
    }

    #[test]
    fn a_frame_in_two_halves_is_one_message() {
        let whole = masked(0x81, b"hello");
        for cut in 0..whole.len() {
            assert_eq!(
                decode(&mut whole[..cut].to_vec(), &mut None, 100),
                Ok(None),
                "{cut}"
            );
        }
        let mut bytes = whole.clone();
        assert_eq!(
            decode(&mut bytes, &mut None, 100),
            Ok(Some((whole.len(), Incoming::Message(b"hello".into()))))
        );
    }

    #[test]
    fn fragments_join_and_stay_bounded() {
        let mut fragments = None;
        assert_eq!(
            decode(&mut masked(0x01, b"hel"), &mut fragments, 5)
                .unwrap()
                .unwrap()
                .1,
            Incoming::Nothing
        );
        assert_eq!(
            decode(&mut masked(0x89, b"p"), &mut fragments, 5)
                .unwrap()
                .unwrap()
                .1,
            Incoming::Ping(b"p")
        );
        assert_eq!(
            decode(&mut masked(0x80, b"lo!"), &mut fragments, 5),
            Err(FrameError::TooLarge)
        );
        assert_eq!(
            decode(&mut masked(0x80, b"lo"), &mut fragments, 5)
                .unwrap()
                .unwrap()
                .1,
            Incoming::Message(b"hello".into())
        );
    }

    #[test]
    fn broken_frames_are_named() {
        for (bytes, error) in [
            (masked(0x83, b""), FrameError::Protocol),
            (masked(0xc1, b""), FrameError::Protocol),
            (masked(0x80, b""), FrameError::Protocol),
            (masked(0x09, b""), FrameError::Protocol),
            (masked(0x88, b"x"), FrameError::Protocol),
            (masked(0x88, &[0x03, 0xed]), FrameError::Protocol),
            (masked(0x81, &[0xff]), FrameError::NotUtf8),
            (vec![0x81, 0x00], FrameError::Protocol),
        ] {
            assert_eq!(
                decode(&mut bytes.clone(), &mut None, 100),
                Err(error),
                "{bytes:?}"
            );
        }
    }
}
