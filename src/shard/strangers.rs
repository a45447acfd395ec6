//! Connections whose first bytes are awaited: what comes before HTTP, the WebSocket handshake, and admission.

use std::{cell::RefCell, io, net::IpAddr, rc::Rc};

use bytes::Bytes;
use mio::{Interest, Token};

use super::Shard;
use crate::{
    directory::inbox::{Place, socket_id},
    http::Peer,
    node::{Admission, Phase},
    protocol::{error::ProtocolError, event, frame::Frame},
    shard::{
        conn::{Client, Conn, Socket, State},
        fresh::{
            Fresh, HEAD_BYTES_MAX, HEAD_TOO_LONG, Handshake, Head, client_address, origin_allowed,
            read_head,
        },
        http_io::{self, HttpConn},
        link::Link,
        proxy::{self, Header},
        wheel::{Tick, ticks},
    },
};

/// A new connection is kept waiting so long while the server closes, so that its client does not come back in a loop.
const HOLD: std::time::Duration = std::time::Duration::from_secs(1);

/// Unread bytes of a peer that was told to go are awaited so long before the connection is reset.
pub(super) const LINGER: std::time::Duration = std::time::Duration::from_secs(5);

/// An HTTP request that asked for a WebSocket on a connection that hyper serves.
#[derive(Debug)]
pub struct Upgrade(pub Handshake);

enum Read {
    Done,
    Again,
}

impl Shard {
    /// Reads until the connection has shown what it is, or has no more to say for now.
    pub(super) fn read_stranger(&mut self, token: u32) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(Conn::Fresh(fresh)) = self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        {
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
        let Some(Conn::Fresh(fresh)) = self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        else {
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
        let Some(Conn::Fresh(fresh)) = self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        else {
            return Ok(Read::Done);
        };
        if fresh.proxy {
            read_proxy(fresh, buffer)?;
        }
        if !fresh.secured {
            self.secure(token)?;
        }
        let Some(Conn::Fresh(fresh)) = self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        else {
            return Ok(Read::Done);
        };
        let n = fresh.link.read(buffer)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let head = if fresh.head.is_empty() {
            read_head(&buffer[..n], &self.node.server.path_prefix)
        } else {
            fresh.head.extend_from_slice(&buffer[..n]);
            read_head(&fresh.head, &self.node.server.path_prefix)
        };
        if fresh.head.is_empty() && !matches!(head, Head::WebSocket(..)) {
            fresh.head.extend_from_slice(&buffer[..n]);
        }
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
        let conn = HttpConn::new(
            link,
            head,
            Token(token as usize),
            Rc::clone(&self.registry),
            registered,
        );
        let conn = Rc::new(RefCell::new(conn));
        self.conns[token as usize].conn = Conn::Http(Rc::clone(&conn));
        let inbox = &self.node.directory.inboxes[self.index];
        self.tasks.spawn(
            inbox,
            http_io::serve(
                conn,
                Peer {
                    address,
                    token,
                    listener,
                },
                self.router.clone(),
            ),
        );
    }

    fn shake_hands(&mut self, token: u32, handshake: Handshake, rest: Vec<u8>) {
        let Some(Conn::Fresh(fresh)) = self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        else {
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
        let Some(Conn::Fresh(fresh)) = self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        else {
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

    /// hyper is done: the connection ends, or its 101 has left and it becomes a WebSocket.
    pub(super) fn http_ended(&mut self, token: u32, rest: Bytes) {
        let Some(Conn::Http(http)) = self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        else {
            return;
        };
        let mut http = http.borrow_mut();
        let (upgrade, link, registered) =
            (http.upgrade.take(), http.link.take(), http.is_registered());
        drop(http);
        let (Some(upgrade), Some(link)) = (upgrade, link) else {
            return self.gone(token);
        };
        let opening = Opening {
            link,
            registered,
            address: None,
            handshake: upgrade.0,
            answer: Vec::new(),
            rest: rest.to_vec(),
        };
        self.open(token, opening);
    }

    /// Notes that the connection becomes a WebSocket when hyper has sent its 101.
    pub(super) fn upgrade(&mut self, token: u32, upgrade: Box<Upgrade>) {
        if let Some(Conn::Http(http)) = self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        {
            http.borrow_mut().upgrade = Some(upgrade);
        }
    }

    /// The connection is a WebSocket from now on: it is admitted, or told why not.
    fn open(&mut self, token: u32, opening: Opening) {
        let Opening {
            mut link,
            registered,
            address,
            handshake,
            mut answer,
            mut rest,
        } = opening;
        let place = Place {
            shard: self.index,
            token,
        };
        let id = socket_id(place, getrandom::u64().unwrap_or_default());
        let address = self.effective_address(address, &handshake);
        let admission = self.admit(&handshake, address);
        let first = match &admission.refusal {
            None => event::connection_established(id),
            Some(error) => event::error(error, None),
        };
        answer.extend_from_slice(first.bytes());
        if let Some(error) = &admission.refusal {
            answer.extend_from_slice(Frame::close(Some(error.code()), &error.to_string()).bytes());
        }
        let result = match registered {
            true => Ok(()),
            false => link.register(&self.registry, Token(token as usize), Interest::READABLE),
        };
        let written = result.and_then(|()| match link.write(&answer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            done => done,
        });
        let Some(slot) = self.conns.get_mut(token as usize) else {
            return;
        };
        let socket = Socket {
            id,
            tenant: admission.tenant,
            subscriptions: smallvec::SmallVec::new(),
            extra: None,
            heard: self.now,
            authorize_by: admission
                .authorize_in
                .map_or(Tick::MAX, |span| self.now + ticks(span)),
            frames: (0, 0),
            pings: 0,
            state: State::Open,
            counted: admission.counted,
            accepted: admission.refusal.is_none(),
        };
        let mut client = Client::new(link, socket);
        client.counted_address = admission.address.map(Box::new);
        client.socket.tenant.metrics.ws_messages_sent.increment(1);
        client
            .socket
            .tenant
            .metrics
            .socket_transmitted_bytes
            .increment(first.payload_len() as u64);
        slot.conn = Conn::Client(client);
        match written {
            Ok(n) if n < answer.len() => self.push(token, Frame::raw(&answer[n..])),
            Ok(_) => {}
            Err(_) => return self.gone(token),
        }
        if let Some(error) = admission.refusal {
            self.refused(token, &error);
        } else if !rest.is_empty() {
            self.feed(token, &mut rest);
        }
        self.look(token);
    }

    fn refused(&mut self, token: u32, error: &ProtocolError) {
        self.node.metrics.refused(error.code());
        let by = self.now + ticks(LINGER);
        if let Some(client) = self.client(token) {
            client.socket.state = State::Closing(by);
        }
        // TLS may hold the answer still.
        self.touch(token);
    }

    fn effective_address(&self, address: Option<IpAddr>, handshake: &Handshake) -> Option<IpAddr> {
        let trusted = &self.node.server.trusted_proxies;
        match address {
            Some(peer) if !proxy::is_trusted(trusted, peer) => Some(peer),
            _ if trusted.is_empty() => address,
            _ => handshake
                .forwarded
                .as_deref()
                .and_then(|list| client_address(list, trusted))
                .or(address),
        }
    }

    fn admit(&self, handshake: &Handshake, address: Option<IpAddr>) -> Admission {
        let origin_ok = |patterns: &[String]| origin_allowed(patterns, handshake.origin.as_deref());
        self.node.admit(
            &handshake.app_key,
            handshake.version.as_deref(),
            address,
            origin_ok,
        )
    }
}

struct Opening {
    link: Link,
    registered: bool,
    address: Option<IpAddr>,
    handshake: Handshake,
    answer: Vec<u8>,
    rest: Vec<u8>,
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
