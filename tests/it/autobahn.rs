//! Every case of the Autobahn testsuite's sections 1-7 and 10, by its number. Autobahn expects an echo; this server has none, so a
//! message whose receipt must be seen is a `pusher:ping`, padded with white space to the length the case asks for, and what cannot be
//! answered (an empty message, bare text) must leave a connection that still answers.

mod closing;
mod framing;
mod messages;
mod utf8;

use std::net::SocketAddr;

use crate::harness::{
    Binary, DEADLINE, Http, Io, Opcode, PONG, Server, WireFrame, client_frame, take_frame,
    upgrade_request,
};

/// What stands for Autobahn's text: its echo is [`PONG`].
const PING: &str = r#"{"event":"pusher:ping","data":{}}"#;

/// How a case's bytes are cut into writes.
#[derive(Clone, Copy, Debug)]
enum Chop {
    Whole,
    Frames,
    Octets,
    Pieces(usize),
}

/// What the server says, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    /// The answer to one `pusher:ping`.
    Echo,
    /// A WebSocket pong with this payload.
    Pong(Vec<u8>),
    Close(Option<u16>),
    /// The server has hung up.
    End,
    Other(String),
}

/// How a case ends.
#[derive(Clone, Copy, Debug)]
enum Ends {
    /// The connection goes on to answer, and closes when asked.
    Usable,
    /// The server fails the connection with this code.
    Failed(u16),
    /// The case itself closes; this code comes back.
    Closed(Option<u16>),
}

/// One case of the suite.
struct Case {
    name: String,
    frames: Vec<Vec<u8>>,
    chop: Chop,
    heard: Vec<Heard>,
    ends: Ends,
}

fn case(name: impl Into<String>, frames: impl IntoIterator<Item = Vec<u8>>) -> Case {
    Case {
        name: name.into(),
        frames: frames.into_iter().collect(),
        chop: Chop::Whole,
        heard: Vec::new(),
        ends: Ends::Usable,
    }
}

impl Case {
    fn chop(mut self, chop: Chop) -> Self {
        self.chop = chop;
        self
    }

    fn hears(mut self, heard: impl IntoIterator<Item = Heard>) -> Self {
        self.heard.extend(heard);
        self
    }

    /// The case's messages that can be seen to arrive.
    fn echoes(self, times: usize) -> Self {
        self.hears(std::iter::repeat_n(Heard::Echo, times))
    }

    fn fails(mut self, code: u16) -> Self {
        self.ends = Ends::Failed(code);
        self
    }

    fn closes(mut self, code: Option<u16>) -> Self {
        self.ends = Ends::Closed(code);
        self
    }

    fn writes(&self) -> Vec<Vec<u8>> {
        let all = || self.frames.concat();
        match self.chop {
            Chop::Whole => vec![all()],
            Chop::Frames => self.frames.clone(),
            Chop::Octets => all().chunks(1).map(Into::into).collect(),
            Chop::Pieces(octets) => all().chunks(octets).map(Into::into).collect(),
        }
    }

    fn expected(&self) -> Vec<Heard> {
        let mut expected = self.heard.clone();
        match self.ends {
            Ends::Usable => expected.extend([Heard::Echo, Heard::Close(Some(1000))]),
            Ends::Failed(code) => expected.push(Heard::Close(Some(code))),
            Ends::Closed(code) => expected.push(Heard::Close(code)),
        }
        expected.push(Heard::End);
        expected
    }

    async fn play(&self, address: SocketAddr) -> Result<(), String> {
        let mut peer = Peer::connect(address).await;
        let (mut heard, expected) = (Vec::new(), self.expected());
        let played = tokio::time::timeout(DEADLINE, async {
            for write in self.writes() {
                // A server that has failed the connection need not take the rest.
                let _ = peer.io.write(&write).await;
            }
            if matches!(self.ends, Ends::Usable) {
                let _ = peer
                    .io
                    .write(&[text(PING.as_bytes()), close(1000)].concat())
                    .await;
            }
            while heard.last() != Some(&Heard::End) {
                let next = peer.next().await;
                if let (Ends::Failed(code), Heard::Close(_)) = (self.ends, &next) {
                    let _ = peer.io.write(&close(code)).await;
                }
                heard.push(next);
            }
        });
        let late = if played.await.is_err() {
            " and then nothing"
        } else {
            ""
        };
        if heard == expected {
            Ok(())
        } else {
            Err(format!(
                "{}: heard {heard:?}{late}, expected {expected:?}",
                self.name
            ))
        }
    }
}

/// Plays all cases against one server and names those that fail.
async fn play(cases: impl IntoIterator<Item = Case>) {
    if Binary::under_test() == Binary::Soketi {
        println!("skipped: the peer fails connections without a close frame");
        return;
    }
    let server = Server::start().await;
    let (mut played, mut failures) = (0, Vec::new());
    for case in cases {
        played += 1;
        failures.extend(case.play(server.main).await.err());
    }
    assert!(
        failures.is_empty(),
        "{} of {played} cases failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(played > 0);
}

/// One connection on which every frame is seen in its order.
struct Peer {
    io: Io,
    buffer: Vec<u8>,
}

impl Peer {
    async fn connect(address: SocketAddr) -> Self {
        let mut http = Http::connect(address).await;
        http.write(upgrade_request("/app/app-key", &[]).as_bytes())
            .await;
        assert_eq!(http.response().await.status, 101);
        let (io, buffer) = http.into_parts();
        let mut peer = Self { io, buffer };
        let Heard::Other(established) = peer.next().await else {
            panic!("connection_established is due")
        };
        assert!(
            established.contains("connection_established"),
            "{established}"
        );
        peer
    }

    async fn next(&mut self) -> Heard {
        loop {
            if let Some(WireFrame {
                fin,
                opcode,
                payload,
            }) = take_frame(&mut self.buffer)
            {
                return match opcode {
                    Opcode::Text if fin && payload == PONG.as_bytes() => Heard::Echo,
                    Opcode::Pong if fin => Heard::Pong(payload),
                    Opcode::Close if fin => {
                        Heard::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code)))
                    }
                    other => {
                        Heard::Other(format!("{other:?} {}", String::from_utf8_lossy(&payload)))
                    }
                };
            }
            match self.io.read(&mut self.buffer).await {
                Ok(got) if got > 0 => {}
                _ => return Heard::End,
            }
        }
    }
}

/// A `pusher:ping` of this many octets; nothing for none.
fn padded(octets: usize) -> Vec<u8> {
    let mut text = PING.as_bytes().to_vec();
    if octets < text.len() {
        return vec![b' '; octets];
    }
    text.resize(octets, b' ');
    text
}

fn text(payload: &[u8]) -> Vec<u8> {
    client_frame(true, Opcode::Text, payload)
}

fn ping(payload: &[u8]) -> Vec<u8> {
    client_frame(true, Opcode::Ping, payload)
}

fn close(code: u16) -> Vec<u8> {
    client_frame(true, Opcode::Close, &code.to_be_bytes())
}

/// The same frame with these reserved bits, 1 to 7.
fn reserved_bits(bits: u8, mut frame: Vec<u8>) -> Vec<u8> {
    frame[0] |= bits << 4;
    frame
}

/// One message in these fragments.
fn fragments(opcode: Opcode, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let last = parts.len() - 1;
    let opcode = |i| if i == 0 { opcode } else { Opcode::Continuation };
    parts
        .iter()
        .enumerate()
        .map(|(i, part)| client_frame(i == last, opcode(i), part))
        .collect()
}
