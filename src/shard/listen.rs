//! Listening sockets in a shard's poll: accepting, and giving each connection to the shard with the fewest.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use mio::{Interest, Registry, Token, net};

use super::{Shard, WAKER};
use crate::{
    directory::{Message, inbox::PLACES_MAX},
    http::Listener,
    shard::{
        conn::{Conn, Slot},
        fresh::Fresh,
        link::Link,
        proxy,
        wheel::ticks,
    },
};

/// Connections accepted in one turn.
const ACCEPTS_MAX: usize = 128;

/// A bound socket.
#[derive(Debug)]
pub enum Listening {
    /// The main port or the API's.
    Tcp(net::TcpListener, Listener),
    /// The Unix socket.
    Unix(net::UnixListener),
}

/// A bound socket in the poll.
#[derive(Debug)]
pub(super) struct Place {
    listening: Listening,
    more: bool,
    paused: bool,
    complained: bool,
}

impl Place {
    /// Connections may still wait in the backlog.
    pub(super) fn has_more(&self) -> bool {
        self.more && !self.paused
    }

    /// The process ran out of something; tried again at the next tick.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }
}

/// A stream just accepted.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(net::TcpStream),
    /// A Unix socket.
    Unix(net::UnixStream),
}

/// A connection that no shard owns yet.
#[derive(Debug)]
pub struct Accepted {
    /// Its stream.
    pub stream: Stream,
    /// The listener it came by.
    pub listener: Listener,
    /// Who is at the other end; `None` on a Unix socket.
    pub address: Option<IpAddr>,
}

pub(super) fn register(registry: &Registry, listening: Vec<Listening>) -> io::Result<Vec<Place>> {
    let mut places = Vec::new();
    for (i, mut listening) in listening.into_iter().enumerate() {
        let token = Token(WAKER.0 - 1 - i);
        match &mut listening {
            Listening::Tcp(tcp, _) => registry.register(tcp, token, Interest::READABLE)?,
            Listening::Unix(unix) => registry.register(unix, token, Interest::READABLE)?,
        }
        places.push(Place {
            listening,
            more: false,
            paused: false,
            complained: false,
        });
    }
    Ok(places)
}

pub(super) fn index_of(token: Token, listeners: usize) -> Option<usize> {
    let index = (WAKER.0 - 1).checked_sub(token.0)?;
    (index < listeners).then_some(index)
}

impl Listening {
    fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(tcp, listener) => {
                let (stream, address): (_, SocketAddr) = tcp.accept()?;
                Accepted {
                    stream: Stream::Tcp(stream),
                    listener: *listener,
                    address: Some(address.ip().to_canonical()),
                }
            }
            Self::Unix(unix) => Accepted {
                stream: Stream::Unix(unix.accept()?.0),
                listener: Listener::Unix,
                address: None,
            },
        })
    }
}

impl Shard {
    pub(super) fn accept(&mut self, index: usize) {
        for _ in 0..ACCEPTS_MAX {
            let Some(place) = self.listeners.get_mut(index) else {
                return;
            };
            match place.listening.accept() {
                Ok(accepted) => {
                    place.more = true;
                    place.complained = false;
                    self.hand_over(accepted);
                }
                Err(error) => {
                    match error.kind() {
                        io::ErrorKind::WouldBlock => place.more = false,
                        // The peer left before it was accepted.
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => continue,
                        _ => {
                            place.paused = true;
                            self.node.metrics.accept_errors.increment(1);
                            if !std::mem::replace(&mut place.complained, true) {
                                tracing::error!(%error, "cannot accept connections; trying again (raise the descriptor limit if it says too many open files)");
                            }
                        }
                    }
                    return;
                }
            }
        }
    }

    /// Accepts what the budget of a turn left over, and what an exhausted process refused.
    pub(super) fn accept_again(&mut self, paused_too: bool) {
        for index in 0..self.listeners.len() {
            if let Some(place) = self.listeners.get_mut(index)
                && (place.has_more() || (paused_too && place.paused))
            {
                place.paused = false;
                self.accept(index);
            }
        }
    }

    fn hand_over(&mut self, accepted: Accepted) {
        let inbox = self.node.directory.quietest();
        inbox.count_in();
        if inbox.shard() == self.index {
            self.adopt(accepted);
        } else {
            inbox.send(Message::Accept(accepted));
        }
    }

    /// Takes a connection and reads what it has sent already.
    pub(super) fn adopt(&mut self, accepted: Accepted) {
        let Accepted {
            stream,
            listener,
            address,
        } = accepted;
        let proxy = self.node.server.proxy_protocol
            && address.is_some_and(|a| proxy::is_trusted(&self.node.server.trusted_proxies, a));
        let link = match stream {
            Stream::Tcp(tcp) => Link::Tcp(tcp),
            Stream::Unix(unix) => Link::Unix(unix),
        };
        if self.conns.len() >= PLACES_MAX as usize {
            self.mailbox.count_out();
            self.node.metrics.accept_errors.increment(1);
            tracing::error!(
                connections = self.conns.len(),
                "the shard is full; start the server with more shards"
            );
            return;
        }
        let by = self.now + ticks(self.node.http.header_timeout);
        let fresh = Fresh {
            link,
            listener,
            address,
            head: Vec::new(),
            proxy,
            secured: false,
            registered: false,
            by,
            held: None,
        };
        #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
        let token = self.conns.insert(Slot {
            due: 0,
            conn: Conn::Fresh(Box::new(fresh)),
        }) as u32;
        self.read_stranger(token);
        if self.conns.contains(token as usize) {
            self.schedule(token, by);
        }
    }
}
