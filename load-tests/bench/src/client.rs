//! The clients: thousands of sockets in one poll on one thread, with just enough WebSocket and HTTP to
//! hear what a server says. No task, no allocation and one `read` per socket that has something.

use crate::wire;
use mio::{Events, Interest, Poll, Token, event::Event, net::TcpStream};
use slab::Slab;
use socket2::{Domain, Socket, Type};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

/// Loopback addresses that connections come from in turn, so that no address runs out of ports.
const SOURCES: u8 = 50;
const READ_BYTES: usize = 256 * 1024;

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// WebSocket, before the answer to its handshake.
    Opening,
    /// WebSocket frames at once; also the orders to the bare loop.
    Frames,
    /// HTTP requests, one at a time.
    Http,
}

/// What a client heard.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    Text(&'a [u8]),
    Response {
        status: u16,
        closes: bool,
    },
    /// The server ended this connection; with the code, if it sent a close frame. Its key is free again.
    Closed(Option<u16>),
}

struct Link {
    io: TcpStream,
    talk: Talk,
    /// Bytes of a message that is not whole yet.
    partial: Vec<u8>,
    /// Bytes that the kernel did not take.
    pending: Vec<u8>,
    close_code: Option<u16>,
    /// Never read from: a stalled reader.
    stalled: bool,
}

/// All clients of one server.
pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    links: Slab<Link>,
    buffer: Vec<u8>,
    target: SocketAddr,
    connected: usize,
}

impl Fleet {
    pub(crate) fn new(target: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            links: Slab::new(),
            buffer: vec![0; READ_BYTES],
            target,
            connected: 0,
        })
    }

    /// Connects one client, says hello if it speaks WebSocket, and returns its key.
    pub(crate) fn connect(&mut self, talk: Talk) -> anyhow::Result<usize> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let source = u8::try_from(self.connected % usize::from(SOURCES))? + 1;
        self.connected += 1;
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, source), 0)).into())?;
        socket.connect(&self.target.into())?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        let mut io = TcpStream::from_std(socket.into());
        let entry = self.links.vacant_entry();
        let key = entry.key();
        self.poll
            .registry()
            .register(&mut io, Token(key), Interest::READABLE)?;
        let (partial, pending) = (Vec::new(), Vec::new());
        entry.insert(Link {
            io,
            talk,
            partial,
            pending,
            close_code: None,
            stalled: false,
        });
        if talk == Talk::Opening {
            self.send(key, &wire::handshake())?;
        }
        Ok(key)
    }

    /// Writes at once what the kernel takes, and the rest when it can. An unknown key is a client that
    /// just ended; nothing is sent then.
    pub(crate) fn send(&mut self, key: usize, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(link) = self.links.get_mut(key) else {
            return Ok(());
        };
        let idle = link.pending.is_empty();
        link.pending.extend_from_slice(bytes);
        if idle {
            flush(link);
            if !link.pending.is_empty() {
                let both = Interest::READABLE | Interest::WRITABLE;
                self.poll
                    .registry()
                    .reregister(&mut link.io, Token(key), both)?;
            }
        }
        Ok(())
    }

    /// Closes without a word.
    pub(crate) fn hang_up(&mut self, key: usize) {
        // Dropping the socket takes it out of the poll.
        drop(self.links.try_remove(key));
    }

    /// Stops reading from this client for good.
    pub(crate) fn stall(&mut self, key: usize) {
        if let Some(link) = self.links.get_mut(key) {
            link.stalled = true;
        }
    }

    /// Closes all clients.
    pub(crate) fn hang_up_all(&mut self) {
        self.links.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// Waits at most `patience` for anything and tells `hear` all that came.
    pub(crate) fn turn(
        &mut self,
        patience: Duration,
        mut hear: impl FnMut(usize, Heard<'_>),
    ) -> anyhow::Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &self.events {
            let key = event.token().0;
            let Some(link) = self.links.get_mut(key) else {
                continue;
            };
            if event.is_writable() {
                flush(link);
            }
            if is_over(link, event, &mut self.buffer, |heard| hear(key, heard)) {
                let code = link.close_code;
                self.links.remove(key);
                hear(key, Heard::Closed(code));
            }
        }
        Ok(())
    }

    /// Answers pings and nothing else until `until`.
    pub(crate) fn idle_until(&mut self, until: Instant) -> anyhow::Result<()> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.turn(left, |_, _| {})?;
        }
    }
}

fn flush(link: &mut Link) {
    while !link.pending.is_empty() {
        match link.io.write(&link.pending) {
            Ok(written) => drop(link.pending.drain(..written)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A broken connection shows when it is read.
            Err(_) => return,
        }
    }
}

/// Reads what there is; whether the connection is over.
fn is_over(
    link: &mut Link,
    event: &Event,
    buffer: &mut [u8],
    mut hear: impl FnMut(Heard<'_>),
) -> bool {
    if link.stalled {
        return event.is_error() || event.is_read_closed();
    }
    loop {
        match link.io.read(buffer) {
            Ok(0) => return true,
            Ok(count) => {
                take(link, &buffer[..count], &mut hear);
                // The poll is edge-triggered; a short read has emptied the socket.
                if count < buffer.len() && !event.is_read_closed() {
                    return false;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

fn take(link: &mut Link, bytes: &[u8], hear: &mut impl FnMut(Heard<'_>)) {
    if link.partial.is_empty() {
        let used = parse(link, bytes, hear);
        link.partial.extend_from_slice(&bytes[used..]);
    } else {
        let mut whole = std::mem::take(&mut link.partial);
        whole.extend_from_slice(bytes);
        let used = parse(link, &whole, hear);
        if used < whole.len() {
            whole.drain(..used);
            link.partial = whole;
        }
    }
}

/// Tells of every whole message; how many bytes they had.
fn parse(link: &mut Link, bytes: &[u8], hear: &mut impl FnMut(Heard<'_>)) -> usize {
    let mut used = 0;
    loop {
        let rest = &bytes[used..];
        let step = match link.talk {
            Talk::Opening => opened(link, rest),
            Talk::Frames => frame(link, rest, hear),
            Talk::Http => response(rest, hear),
        };
        match step {
            Some(step) => used += step,
            None => return used,
        }
    }
}

fn opened(link: &mut Link, bytes: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    if bytes.starts_with(b"HTTP/1.1 101 ") {
        link.talk = Talk::Frames;
    } else {
        link.talk = Talk::Http; // refused: what follows is an ordinary answer
        return None;
    }
    Some(head)
}

fn frame(link: &mut Link, bytes: &[u8], hear: &mut impl FnMut(Heard<'_>)) -> Option<usize> {
    let frame = wire::server_frame(bytes)?;
    match frame.opcode {
        1 => hear(Heard::Text(frame.payload)),
        8 => {
            link.close_code = frame
                .payload
                .first_chunk()
                .map(|code| u16::from_be_bytes(*code));
        }
        9 => {
            link.pending.extend_from_slice(&wire::pong(frame.payload));
            flush(link);
        }
        _ => {}
    }
    Some(frame.frame_bytes)
}

fn response(bytes: &[u8], hear: &mut impl FnMut(Heard<'_>)) -> Option<usize> {
    if bytes.is_empty() {
        return None;
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = response.parse(bytes).ok()? else {
        return None;
    };
    let (mut body_bytes, mut closes) = (0, false);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            body_bytes = std::str::from_utf8(header.value)
                .ok()?
                .trim()
                .parse()
                .ok()?;
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let whole = head_bytes + body_bytes;
    if bytes.len() < whole {
        return None;
    }
    hear(Heard::Response {
        status: response.code.unwrap_or(0),
        closes,
    });
    Some(whole)
}
