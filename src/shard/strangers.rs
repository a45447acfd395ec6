//! Connections whose first bytes are awaited: what comes before HTTP, the WebSocket handshake, and admission.

use std::{cell::RefCell, io, rc::Rc};

use mio::{Interest, Token};
use slab::Slab;

use super::Shard;
use crate::{
    http::{Listener, Peer},
    node::Phase,
    shard::{
        answering,
        conn::{Conn, Slot},
        fresh::{Fresh, HEAD_BYTES_MAX, HEAD_TOO_LONG, Handshake, Head},
        http_io::HttpConn,
        link::Link,
        opening::Opening,
        proxy::{self, Header},
        wheel::ticks,
    },
};

/// A new connection is kept waiting so long while the server closes, so that its client does not come back in a loop.
const HOLD: std::time::Duration = std::time::Duration::from_secs(1);

enum Read {
    Done,
    Again,
}

impl Shard {
    /// Reads until the connection has shown what it is, or has no more to say for now.
    pub(super) fn read_stranger(&mut self, token: u32) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(fresh) = fresh_at(&mut self.conns, token) {
            if fresh.held.is_some() {
                break;
            }
            match self.read_first(token, &mut buffer) {
                Ok(Read::Again) => {}
                Ok(Read::Done) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.await_stranger(token);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.gone(token);
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    fn await_stranger(&mut self, token: u32) {
        let Some(fresh) = fresh_at(&mut self.conns, token) else {
            return;
        };
        if std::mem::replace(&mut fresh.registered, true) {
            return;
        }
        // TLS may have to write before it can read.
        let interest = if matches!(fresh.link, Link::Tls(_)) {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        if fresh
            .link
            .register(&self.registry, Token(token as usize), interest)
            .is_err()
        {
            self.gone(token);
        }
    }

    fn read_first(&mut self, token: u32, buffer: &mut [u8]) -> io::Result<Read> {
        let Some(fresh) = fresh_at(&mut self.conns, token) else {
            return Ok(Read::Done);
        };
        if fresh.proxy {
            read_proxy(fresh, buffer)?;
        }
        if !fresh.secured {
            self.secure(token)?;
        }
        let Some(fresh) = fresh_at(&mut self.conns, token) else {
            return Ok(Read::Done);
        };
        let n = fresh.link.read(buffer)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let sockets = self.routes.websockets && fresh.listener != Listener::Api;
        let prefix = sockets.then_some(&*self.node.server.path_prefix);
        let head = fresh.look(&buffer[..n], prefix);
        match head {
            Head::Partial if fresh.head.len() > HEAD_BYTES_MAX => {
                // Best effort: the peer is at fault and the connection ends.
                let _ = fresh.link.write(HEAD_TOO_LONG);
                Err(io::ErrorKind::InvalidData.into())
            }
            Head::Partial => Ok(Read::Again),
            Head::Http => {
                self.begin_http(token);
                Ok(Read::Done)
            }
            Head::WebSocket(handshake, length) => {
                let whole = if fresh.head.is_empty() {
                    &buffer[..n]
                } else {
                    &fresh.head[..]
                };
                let rest = whole[length..].to_vec();
                // Readiness was told for what has come, and is not told again for what of it was not read.
                if n == buffer.len() || !fresh.link.is_drained_by_short_read() {
                    self.unread.push(token);
                }
                self.shake_hands(token, *handshake, rest);
                Ok(Read::Done)
            }
        }
    }

    fn secure(&mut self, token: u32) -> io::Result<()> {
        let Some(mut fresh) = self.take_fresh(token) else {
            return Ok(());
        };
        fresh.secured = true;
        let link = match (fresh.link, &self.node.tls) {
            (Link::Tcp(tcp), Some(tls)) => {
                Link::tls(tcp, &tls.load_full()).map_err(io::Error::other)?
            }
            (link, _) => link,
        };
        self.conns[token as usize].conn = Conn::Fresh(Box::new(Fresh { link, ..*fresh }));
        Ok(())
    }

    /// Takes a stranger out of its place, into which something else must be put.
    fn take_fresh(&mut self, token: u32) -> Option<Box<Fresh>> {
        let conn = &mut self.conns.get_mut(token as usize)?.conn;
        match std::mem::replace(conn, Conn::Between) {
            Conn::Fresh(fresh) => Some(fresh),
            other => {
                *conn = other;
                None
            }
        }
    }

    /// hyper takes the connection with all that was read.
    fn begin_http(&mut self, token: u32) {
        let Some(fresh) = self.take_fresh(token) else {
            return;
        };
        let Fresh {
            link,
            head,
            registered,
            listener,
            address,
            ..
        } = *fresh;
        let mut conn = HttpConn::new(
            link,
            head,
            Token(token as usize),
            Rc::clone(&self.registry),
            registered,
        );
        conn.address = address;
        let conn = Rc::new(RefCell::new(conn));
        self.conns[token as usize].conn = Conn::Http(Rc::clone(&conn));
        let inbox = &self.node.directory.inboxes[self.index];
        self.tasks.spawn(
            inbox,
            answering::serve(
                conn,
                Peer {
                    address,
                    token,
                    listener,
                },
                self.routes.clone(),
            ),
        );
    }

    fn shake_hands(&mut self, token: u32, handshake: Handshake, rest: Vec<u8>) {
        let Some(fresh) = fresh_at(&mut self.conns, token) else {
            return;
        };
        if self.node.phase() == Phase::Closing {
            fresh.held = Some(Box::new((handshake, rest)));
            fresh.by = self.now + ticks(HOLD);
            let by = fresh.by;
            self.schedule(token, by);
            return;
        }
        self.answer(token, handshake, rest);
    }

    /// Answers a handshake that was held back while the server closes.
    pub(super) fn answer_held(&mut self, token: u32) {
        let Some(fresh) = fresh_at(&mut self.conns, token) else {
            return;
        };
        if let Some(held) = fresh.held.take() {
            self.answer(token, held.0, held.1);
        }
    }

    fn answer(&mut self, token: u32, handshake: Handshake, rest: Vec<u8>) {
        let Some(fresh) = self.take_fresh(token) else {
            return;
        };
        let mut answer = Vec::with_capacity(512);
        handshake.answer(&mut answer);
        let Fresh {
            link,
            registered,
            address,
            ..
        } = *fresh;
        self.open(
            token,
            Opening {
                link,
                registered,
                address,
                handshake,
                answer,
                rest,
            },
        );
    }
}

fn fresh_at(conns: &mut Slab<Slot>, token: u32) -> Option<&mut Fresh> {
    match &mut conns.get_mut(token as usize)?.conn {
        Conn::Fresh(fresh) => Some(fresh),
        _ => None,
    }
}

/// Takes the PROXY header off the stream: it is looked at first, so that TLS finds its own first byte.
fn read_proxy(fresh: &mut Fresh, buffer: &mut [u8]) -> io::Result<()> {
    let n = match &fresh.link {
        Link::Tcp(tcp) => tcp.peek(&mut buffer[..proxy::HEADER_BYTES_MAX])?,
        _ => 0,
    };
    if n == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match proxy::read(&buffer[..n]) {
        Header::Partial => {
            // What was only looked at wakes nobody again until more comes.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Header::Absent => {}
        Header::Broken => return Err(io::ErrorKind::InvalidData.into()),
        Header::Present(length, client) => {
            fresh.link.read(&mut buffer[..length])?;
            fresh.address = client.or(fresh.address);
        }
    }
    fresh.proxy = false;
    Ok(())
}
