//! Bytes from WebSocket clients: read into the shard's one buffer, decoded in place, kept only while a frame is incomplete.

use std::io;

use super::Shard;
use crate::{
    protocol::frame::Frame,
    protocol::{
        error::ProtocolError,
        frame::{self, FrameError, Incoming},
    },
    shard::{
        conn::{Conn, Partial, State},
        wheel::TICK_MS,
    },
};

/// Reads of one socket in one turn; the rest is read in the next.
const READS_MAX: usize = 4;

impl Shard {
    /// Reads what has come. `to_end`: the peer has ended its side, which no later event tells.
    pub(super) fn read_client(&mut self, token: u32, to_end: bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for round in 0..=READS_MAX {
            let Some(Conn::Client(client)) = self
                .conns
                .get_mut(token as usize)
                .map(|slot| &mut slot.conn)
            else {
                break;
            };
            if round == READS_MAX {
                self.unread.push(token);
                break;
            }
            match client.link.read(&mut buffer) {
                Ok(0) => {
                    self.gone(token);
                    break;
                }
                Ok(n) => {
                    let drained = n < buffer.len() && client.link.is_drained_by_short_read();
                    client.socket.heard = self.now;
                    client.socket.pings = 0;
                    if self.mailbox.has_remote() {
                        // What was handed over before these bytes were sent comes first: a pong proves that nothing is on its way.
                        let mut bytes = buffer[..n].to_vec();
                        self.buffer = buffer;
                        let id = self.client(token).map(|client| client.socket.id);
                        self.take_messages();
                        if self.client(token).map(|client| client.socket.id) == id {
                            self.feed(token, &mut bytes);
                        }
                        buffer = std::mem::take(&mut self.buffer);
                    } else {
                        self.feed(token, &mut buffer[..n]);
                    }
                    if drained && !to_end {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.gone(token);
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    /// Reads on where the last turn left off.
    pub(super) fn read_on(&mut self) {
        self.accept_again(false);
        for token in std::mem::take(&mut self.unread) {
            match self.conns.get(token as usize).map(|slot| &slot.conn) {
                Some(Conn::Lingering(_)) => self.read_lingering(token),
                _ => self.read_client(token, true),
            }
        }
    }

    /// Takes bytes of a client, together with what it left incomplete.
    pub(super) fn feed(&mut self, token: u32, bytes: &mut [u8]) {
        let Some(client) = self.client(token) else {
            return;
        };
        if matches!(client.socket.state, State::Failed(_)) {
            return;
        }
        let partial = client.partial.take();
        self.partial_bytes -= partial.as_ref().map_or(0, |partial| partial.size());
        let Some(mut partial) = partial else {
            let mut fragments = None;
            let taken = self.frames(token, bytes, &mut fragments);
            if taken < bytes.len() || fragments.is_some() {
                self.keep(
                    token,
                    Partial {
                        bytes: bytes[taken..].to_vec(),
                        fragments,
                    },
                );
            }
            return;
        };
        if partial.bytes.is_empty() {
            let taken = self.frames(token, bytes, &mut partial.fragments);
            partial.bytes.extend_from_slice(&bytes[taken..]);
        } else {
            partial.bytes.extend_from_slice(bytes);
            let mut whole = std::mem::take(&mut partial.bytes);
            let taken = self.frames(token, &mut whole, &mut partial.fragments);
            whole.drain(..taken);
            partial.bytes = whole;
        }
        if !partial.bytes.is_empty() || partial.fragments.is_some() {
            self.keep(token, *partial);
        }
    }

    /// Keeps what is incomplete; all of it together is bounded as what waits to be sent is.
    fn keep(&mut self, token: u32, partial: Partial) {
        let shards = self.node.directory.inboxes.len();
        let bytes_max = self.node.connection.node_outbox_bytes_max / shards;
        if self.partial_bytes + partial.size() > bytes_max {
            return self.fail(token, FrameError::TooLarge);
        }
        let Some(client) = self.client(token) else {
            return;
        };
        let size = partial.size();
        client.partial = Some(Box::new(partial));
        self.partial_bytes += size;
    }

    /// Acts on every whole frame; says how many bytes they took. All of them once the socket is on its way out by a broken frame.
    fn frames(
        &mut self,
        token: u32,
        bytes: &mut [u8],
        fragments: &mut Option<Box<frame::Fragments>>,
    ) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            let message_bytes_max = self.node.connection.message_bytes_max;
            match frame::decode(&mut bytes[taken..], fragments, message_bytes_max) {
                Ok(None) => break,
                Ok(Some((length, incoming))) => {
                    taken += length;
                    if !self.frame(token, incoming) {
                        return bytes.len();
                    }
                }
                Err(error) => {
                    self.fail(token, error);
                    return bytes.len();
                }
            }
        }
        taken
    }

    /// `false` when nothing after this frame matters.
    fn frame(&mut self, token: u32, incoming: Incoming<'_>) -> bool {
        let now = self.now;
        let frames_per_second_max = self.node.connection.frames_per_second_max;
        let Some(client) = self.client(token) else {
            return false;
        };
        let socket = &mut client.socket;
        if let Incoming::Close(code) = incoming {
            self.closed_by_peer(token, code);
            return false;
        }
        if socket.state != State::Open {
            return true;
        }
        #[expect(clippy::cast_possible_truncation, reason = "ticks of a second")]
        let second = now / (1000 / TICK_MS as u32);
        socket.frames = if socket.frames.0 == second {
            (second, socket.frames.1 + 1)
        } else {
            (second, 1)
        };
        if socket.frames.1 > frames_per_second_max {
            self.close(token, &ProtocolError::TooManyFrames);
            return false;
        }
        match incoming {
            Incoming::Message(bytes) => self.message(token, &bytes),
            Incoming::Ping(payload) => self.push_control(token, Frame::pong(payload)),
            Incoming::Pong | Incoming::Nothing | Incoming::Close(_) => {}
        }
        true
    }

    /// Fails the connection. RFC 6455, section 7.1.7.
    fn fail(&mut self, token: u32, error: FrameError) {
        self.close_failed(token, Frame::close(Some(error.code()), &error.to_string()));
    }
}
