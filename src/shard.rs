//! One thread's turn: its sockets, its part of every channel, without locks. It takes what waits, appends to outboxes, flushes some of the
//! sockets touched with one vectored write each, and looks at its wheel. Must not know the API's JSON, other nodes, other shards' sockets.

mod answering;
pub mod channels;
mod client;
pub mod conn;
mod counts;
mod deliver;
mod ending;
pub mod fresh;
mod hooks;
pub mod http_io;
mod incoming;
mod lingering;
pub mod link;
mod listen;
mod membership;
mod opening;
pub mod outbox;
pub mod proxy;
mod signin;
mod strangers;
pub mod tasks;
pub mod wheel;

use std::{
    collections::{HashSet, VecDeque},
    io,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use mio::{Events, Poll, Registry, Token, Waker, event::Event};
use slab::Slab;

use crate::{
    config::Mode,
    directory::{ChannelKey, Inbox, Message, inbox::Mailbox},
    node::Node,
    shard::{
        answering::Routes,
        channels::Channels,
        conn::{Client, Conn, Slot, State},
        ending::Draining,
        http_io::NOW,
        listen::Place,
        tasks::Tasks,
        wheel::{TICK_MS, Tick, Wheel},
    },
};

pub use listen::{Accepted, Listening, Stream};
pub use opening::Upgrade;

/// The waker's token; listeners count down from below it.
const WAKER: Token = Token(usize::MAX);

/// Bytes of the buffer that all reads of the shard share.
const BUFFER_BYTES: usize = 64 << 10;

/// Sockets flushed before HTTP and reading get their turn. Measured: 64 lets what arrives meanwhile share the next write.
const FLUSH_SLICE: usize = 64;

/// Messages that a shard acts on before sockets get their turn.
const MESSAGES_MAX: usize = 1024;

/// Wake-ups of HTTP connections in one turn. Each may answer a dozen requests and wake itself again, for as long as a client sends.
const WAKES_MAX: usize = 64;

/// Events of one look at the poll.
const EVENTS: usize = 1024;

/// A shard's poll and both ends of its inbox, made before the threads.
#[derive(Debug)]
pub struct Seat {
    poll: Poll,
    mailbox: Mailbox,
}

/// Makes the seat of shard `index` and the way to it.
pub fn seat(index: usize) -> io::Result<(Seat, Inbox)> {
    let poll = Poll::new()?;
    let (inbox, mailbox) =
        crate::directory::inbox::pair(index, Waker::new(poll.registry(), WAKER)?);
    Ok((Seat { poll, mailbox }, inbox))
}

/// One thread's sockets and channels.
pub struct Shard {
    index: usize,
    node: Arc<Node>,
    routes: Routes,
    poll: Poll,
    registry: Rc<Registry>,
    mailbox: Mailbox,
    listeners: Vec<Place>,
    conns: Slab<Slot>,
    channels: Channels,
    buffer: Vec<u8>,
    touched: VecDeque<u32>,
    unread: Vec<u32>,
    wheel: Wheel,
    tasks: Tasks,
    began: Instant,
    now: Tick,
    /// Bytes that wait in all outboxes.
    waiting_bytes: usize,
    /// Bytes of messages that have not come whole.
    partial_bytes: usize,
    /// When the oldest event that waits here was handed over.
    delivering_since: Option<Instant>,
    /// Channels whose count this shard must tell.
    counts: HashSet<ChannelKey>,
    draining: Option<Draining>,
    stopped: bool,
}

impl Shard {
    /// The shard that sits at `seat`; `listening` only at the one that accepts.
    pub fn new(
        index: usize,
        node: Arc<Node>,
        router: Router,
        seat: Seat,
        listening: Vec<Listening>,
    ) -> io::Result<Self> {
        let registry = Rc::new(seat.poll.registry().try_clone()?);
        let routes = Routes {
            router,
            prefix: node.server.path_prefix.as_str().into(),
            websockets: node.server.mode != Mode::Worker,
            closing: Rc::default(),
        };
        let listeners = listen::register(&registry, listening)?;
        Ok(Self {
            index,
            node,
            routes,
            poll: seat.poll,
            registry,
            mailbox: seat.mailbox,
            listeners,
            conns: Slab::new(),
            channels: Channels::default(),
            buffer: vec![0; BUFFER_BYTES],
            touched: VecDeque::new(),
            unread: Vec::new(),
            wheel: Wheel::default(),
            tasks: Tasks::default(),
            began: Instant::now(),
            now: 0,
            waiting_bytes: 0,
            partial_bytes: 0,
            delivering_since: None,
            counts: HashSet::new(),
            draining: None,
            stopped: false,
        })
    }

    /// Turns until told to stop.
    pub fn run(mut self) {
        Mailbox::settle(self.index);
        let mut events = Events::with_capacity(EVENTS);
        while !self.stopped {
            self.turn(&mut events);
        }
    }

    /// One turn. Delivery never waits for a socket.
    fn turn(&mut self, events: &mut Events) {
        if let Err(error) = self.poll.poll(events, self.patience())
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "a shard cannot wait for its sockets");
            return;
        }
        self.tell_time();
        for event in &*events {
            self.ready(event);
        }
        self.read_on();
        self.take_messages();
        self.flush_touched();
        self.advance_wheel();
    }

    /// How long nothing can happen unless somebody comes.
    fn patience(&self) -> Option<Duration> {
        let busy = !self.touched.is_empty() || !self.unread.is_empty() || self.mailbox.has_any();
        if busy || self.listeners.iter().any(Place::has_more) {
            return Some(Duration::ZERO);
        }
        let next = self.next_tick()?;
        let due = Duration::from_millis(u64::from(next) * TICK_MS);
        Some(due.saturating_sub(self.began.elapsed()) + Duration::from_millis(1))
    }

    fn next_tick(&self) -> Option<Tick> {
        let periodic = self.draining.is_some()
            || !self.counts.is_empty()
            || self.waiting_bytes > 0
            // Others must learn that nothing waits here any more.
            || self.node.directory.inboxes[self.index].waiting_bytes() > 0
            || self.listeners.iter().any(Place::is_paused);
        if periodic {
            Some(self.now + 1)
        } else {
            self.wheel.first()
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "13 years of ticks fit")]
    fn tell_time(&mut self) {
        self.now = (self.began.elapsed().as_millis() as u64 / TICK_MS) as Tick;
        NOW.set(self.now);
    }

    /// Milliseconds since the shard began; wraps after 49 days.
    #[expect(clippy::cast_possible_truncation, reason = "it may wrap")]
    fn now_ms(&self) -> u32 {
        self.began.elapsed().as_millis() as u32
    }

    fn ready(&mut self, event: &Event) {
        if event.token() == WAKER {
            return;
        }
        if let Some(listener) = listen::index_of(event.token(), self.listeners.len()) {
            self.accept(listener);
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "places are below 2^20")]
        let token = event.token().0 as u32;
        let ended = event.is_read_closed() || event.is_error();
        match self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        {
            Some(Conn::Client(client)) => {
                if event.is_writable() && client.blocked {
                    client.blocked = false;
                    self.touch(token);
                }
                if event.is_readable() || ended {
                    self.read_client(token, ended);
                }
            }
            Some(Conn::Http(http)) => {
                let wakers = http.borrow_mut().ready();
                wakers
                    .into_iter()
                    .flatten()
                    .for_each(std::task::Waker::wake);
            }
            Some(Conn::Fresh(_)) => self.read_stranger(token),
            Some(Conn::Lingering(_)) => self.read_lingering(token),
            Some(Conn::Between) | None => {}
        }
    }

    fn take_messages(&mut self) {
        let mut wakes = 0;
        for _ in 0..MESSAGES_MAX {
            let Some(message) = self.mailbox.next() else {
                break;
            };
            wakes += usize::from(matches!(message, Message::Wake(_)));
            self.apply(message);
            if wakes == WAKES_MAX {
                break;
            }
        }
    }

    fn apply(&mut self, message: Message) {
        match message {
            Message::Wake(task) => self.tasks.run(task),
            Message::Deliver {
                channel,
                frame,
                except,
                sequence,
            } => self.deliver(&channel, &frame, except, sequence),
            Message::Announce {
                channel,
                frame,
                version,
            } => self.announce(&channel, &frame, version),
            Message::Accept(accepted) => self.adopt(accepted),
            Message::HttpEnded(token, rest) => self.http_ended(token, &rest),
            Message::Count(channel) => {
                self.counts.insert(channel);
            }
            Message::Push { socket, frame } => {
                if let Some(token) = self.token_of(socket) {
                    self.push(token, frame);
                }
            }
            Message::Close { socket, error } => {
                if let Some(token) = self.token_of(socket) {
                    self.close(token, &error);
                }
            }
            Message::CloseApp { tenant, error } => self.close_app(tenant, &error),
            Message::Drain(spread) => self.drain(spread),
            Message::StopListening => self.listeners.clear(),
            Message::Stop => self.stop(),
        }
    }

    fn client(&mut self, token: u32) -> Option<&mut Client> {
        match self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        {
            Some(Conn::Client(client)) => Some(client),
            _ => None,
        }
    }

    fn is_open(&mut self, token: u32) -> bool {
        self.client(token)
            .is_some_and(|client| client.socket.state == State::Open)
    }

    /// Looks at the connection at `due`, unless it will be looked at before.
    fn schedule(&mut self, token: u32, due: Tick) {
        if let Some(slot) = self.conns.get_mut(token as usize)
            && (slot.due > due || slot.due <= self.now)
        {
            slot.due = self.wheel.add(token, due);
        }
    }

    fn advance_wheel(&mut self) {
        while let Some((tick, tokens)) = self.wheel.take(self.now) {
            for token in tokens {
                if self
                    .conns
                    .get(token as usize)
                    .is_some_and(|slot| slot.due == tick)
                {
                    self.look(token);
                }
            }
            self.each_tick(tick);
        }
    }
}
