//! From handshake to client: the 101 and the first frame leave in one write, whether the socket is let in or told why not.

use std::{io, net::IpAddr};

use mio::{Interest, Token};

use super::Shard;
use crate::{
    directory::inbox::{Place, socket_id},
    node::Admission,
    protocol::{SocketId, error::ProtocolError, event, frame::Frame},
    shard::{
        conn::{Client, Conn, Socket, State},
        ending::LINGER,
        fresh::{Handshake, client_address, origin_allowed},
        link::Link,
        outbox::Outbox,
        proxy,
        wheel::{Tick, ticks},
    },
};

/// An HTTP request that asked for a WebSocket on a connection that hyper serves.
#[derive(Debug)]
pub struct Upgrade(pub Handshake);

/// A stranger that has shaken hands.
pub(super) struct Opening {
    pub(super) link: Link,
    pub(super) registered: bool,
    pub(super) address: Option<IpAddr>,
    pub(super) handshake: Handshake,
    pub(super) answer: Vec<u8>,
    pub(super) rest: Vec<u8>,
}

impl Shard {
    /// hyper is done: the connection ends, or its 101 has left and it becomes a WebSocket.
    pub(super) fn http_ended(&mut self, token: u32, rest: &[u8]) {
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
        let (address, lingers) = (http.address, http.lingers);
        drop(http);
        let Some(link) = link else {
            return self.gone(token);
        };
        let Some(upgrade) = upgrade else {
            if lingers {
                self.linger(token, link, registered);
            } else {
                self.gone(token);
            }
            return;
        };
        let opening = Opening {
            link,
            registered,
            address,
            handshake: upgrade.0,
            answer: Vec::new(),
            rest: rest.to_vec(),
        };
        self.open(token, opening);
        self.unread.push(token);
    }

    /// The connection is a WebSocket from now on: it is admitted, or told why not.
    pub(super) fn open(&mut self, token: u32, opening: Opening) {
        let Opening {
            mut link,
            registered,
            address,
            handshake,
            mut answer,
            mut rest,
        } = opening;
        let id = socket_id(
            Place {
                shard: self.index,
                token,
            },
            getrandom::u64().unwrap_or_default(),
        );
        let address = self.effective_address(address, &handshake);
        let admission = self.admit(&handshake, address);
        let refusal = admission.refusal.clone();
        let first = refusal.as_ref().map_or_else(
            || event::connection_established(id),
            |error| event::error(error, None),
        );
        answer.extend_from_slice(first.bytes());
        if let Some(error) = &refusal {
            answer.extend_from_slice(Frame::close(Some(error.code()), &error.to_string()).bytes());
        }
        let ready = if registered {
            Ok(())
        } else {
            link.register(&self.registry, Token(token as usize), Interest::READABLE)
        };
        let written = ready.and_then(|()| match link.write(&answer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            done => done,
        });
        self.seat_client(token, link, id, admission, &first);
        match written {
            Ok(n) if n < answer.len() => self.push_rest(token, &answer[n..]),
            // TLS may hold the answer still.
            Ok(_) => self.touch(token),
            Err(_) => return self.gone(token),
        }
        match refusal {
            Some(error) => self.refused(token, &error),
            None if !rest.is_empty() => self.feed(token, &mut rest),
            None => {}
        }
        self.look(token);
    }

    fn seat_client(
        &mut self,
        token: u32,
        link: Link,
        id: SocketId,
        admission: Admission,
        first: &Frame,
    ) {
        let now = self.now;
        let Some(slot) = self.conns.get_mut(token as usize) else {
            return;
        };
        let socket = Socket {
            id,
            tenant: admission.tenant,
            subscriptions: smallvec::SmallVec::new(),
            extra: None,
            heard: now,
            authorize_by: admission
                .authorize_in
                .map_or(Tick::MAX, |span| now + ticks(span)),
            frames: (0, 0),
            pings: 0,
            state: State::Open,
            counted: admission.counted,
            accepted: admission.refusal.is_none(),
        };
        let metrics = &socket.tenant.metrics;
        metrics.ws_messages_sent.increment(1);
        metrics
            .socket_transmitted_bytes
            .increment(first.payload_len() as u64);
        let mut client = Client::new(link, socket);
        client.counted_address = admission.address.map(Box::new);
        slot.conn = Conn::Client(client);
    }

    fn push_rest(&mut self, token: u32, bytes: &[u8]) {
        if let Some(client) = self.client(token) {
            let frame = Frame::raw(bytes);
            let cost = Outbox::cost(&frame);
            client.outbox.push(frame);
            self.waiting_bytes += cost;
            self.touch(token);
        }
    }

    fn refused(&mut self, token: u32, error: &ProtocolError) {
        self.node.metrics.refused(error.code());
        let by = self.now + ticks(LINGER);
        if let Some(client) = self.client(token) {
            client.socket.state = State::Closing(by);
        }
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
