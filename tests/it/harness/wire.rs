//! WebSocket frames (RFC 6455 section 5), by hand: a test must be able to send what no library would.

/// The four bits that say what a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
    Reserved(u8),
}

impl Opcode {
    pub(crate) fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
            Self::Reserved(bits) => bits,
        }
    }

    fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => Self::Reserved(other),
        }
    }
}

/// One frame as the server sent it.
#[derive(Clone, Debug)]
pub(crate) struct WireFrame {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) payload: Vec<u8>,
}

/// A masked frame from a client. The mask is fixed: it hides nothing here.
pub(crate) fn client_frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0xa2, 0x33, 0xc4];
    let mut out = vec![(u8::from(fin) << 7) | opcode.bits()];
    match payload.len() {
        len @ 0..126 => out.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xffff => {
            out.push(0xfe);
            out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            out.push(0xff);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    out
}

/// Takes one whole frame off the front of `buffer`, if there is one. A masked or RSV-bearing frame
/// from a server is a bug of the server.
pub(crate) fn take_frame(buffer: &mut Vec<u8>) -> Option<WireFrame> {
    let (first, second) = (*buffer.first()?, *buffer.get(1)?);
    assert_eq!(first & 0x70, 0, "reserved bits in a frame from the server");
    assert_eq!(second & 0x80, 0, "a masked frame from the server");
    let (len, head) = match second & 0x7f {
        126 => (
            usize::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().unwrap())),
            4,
        ),
        127 => (
            usize::try_from(u64::from_be_bytes(buffer.get(2..10)?.try_into().unwrap())).unwrap(),
            10,
        ),
        short => (usize::from(short), 2),
    };
    let payload = buffer.get(head..head + len)?.to_vec();
    buffer.drain(..head + len);
    Some(WireFrame {
        fin: first & 0x80 != 0,
        opcode: Opcode::from_bits(first & 0x0f),
        payload,
    })
}
