//! HTTP on a shard: hyper reads and writes the connection's link, which stays in the shard's own poll.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use hyper::rt;
use mio::{Interest, Registry, Token};

use crate::shard::{
    Upgrade,
    link::Link,
    wheel::{Tick, ticks},
};

/// Bytes read at once for hyper.
const CHUNK_BYTES: usize = 16 << 10;

/// An answer that the peer takes nothing of for so long is given up.
const WRITE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// A connection that asks nothing for so long is closed. Workers of queues keep theirs for long.
pub const IDLE_MAX: std::time::Duration = std::time::Duration::from_hours(1);

thread_local! {
    /// The shard's clock, set each turn.
    pub static NOW: Cell<Tick> = const { Cell::new(0) };
    static CHUNK: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK_BYTES].into());
}

/// An HTTP connection, shared by hyper's end and the shard.
#[derive(Debug)]
pub struct HttpConn {
    /// `None` once it was taken back or cut.
    pub link: Option<Link>,
    /// Who is at the other end, as far as known.
    pub address: Option<IpAddr>,
    /// What was read before hyper came.
    first: Vec<u8>,
    first_at: usize,
    token: Token,
    registry: Rc<Registry>,
    registered: Option<Interest>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// A request is being answered.
    busy: bool,
    /// The first byte of a head came, the last has not.
    head_began: Option<Tick>,
    idle_since: Tick,
    /// The peer takes nothing of what is written to it.
    stalled_since: Option<Tick>,
    /// It was answered before its request was read.
    pub lingers: bool,
    /// It becomes a WebSocket when the 101 has left.
    pub upgrade: Option<Box<Upgrade>>,
}

impl HttpConn {
    /// `first` are bytes already read; `registered` says whether readiness is told.
    pub fn new(
        link: Link,
        first: Vec<u8>,
        token: Token,
        registry: Rc<Registry>,
        registered: bool,
    ) -> Self {
        let now = NOW.get();
        Self {
            link: Some(link),
            address: None,
            first,
            first_at: 0,
            token,
            registry,
            registered: registered.then_some(Interest::READABLE),
            reader: None,
            writer: None,
            busy: false,
            head_began: Some(now),
            idle_since: now,
            stalled_since: None,
            lingers: false,
            upgrade: None,
        }
    }

    /// Whoever waits for the link looks again.
    pub fn ready(&mut self) -> [Option<Waker>; 2] {
        [self.reader.take(), self.writer.take()]
    }

    /// Ends the connection at hyper's next look.
    pub fn cut(&mut self) -> [Option<Waker>; 2] {
        self.link = None;
        self.ready()
    }

    /// Whether the link is registered for readiness.
    pub fn is_registered(&self) -> bool {
        self.registered.is_some()
    }

    /// When it must be looked at; it has overstayed if that is not after now. Idle ones are looked at often, for a head may begin any time.
    pub fn due(&self, header_timeout: Tick) -> Tick {
        let now = NOW.get();
        match (self.stalled_since, self.head_began) {
            (Some(since), _) => since + ticks(WRITE_TIMEOUT),
            _ if self.busy => now + header_timeout,
            (_, Some(began)) => began + header_timeout,
            _ => (self.idle_since + ticks(IDLE_MAX)).min(now + header_timeout),
        }
    }

    pub(super) fn request_began(&mut self) {
        self.busy = true;
        self.head_began = None;
    }

    pub(super) fn request_ended(&mut self) {
        self.busy = false;
        self.idle_since = NOW.get();
    }

    fn await_readiness(&mut self, interest: Interest) -> io::Result<()> {
        let Some(link) = &mut self.link else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        match self.registered {
            None => link.register(&self.registry, self.token, interest)?,
            Some(old)
                if old.is_readable() >= interest.is_readable()
                    && old.is_writable() >= interest.is_writable() =>
            {
                return Ok(());
            }
            Some(old) => link.reregister(&self.registry, self.token, old | interest)?,
        }
        self.registered = Some(self.registered.map_or(interest, |old| old | interest));
        Ok(())
    }
}

/// hyper's end.
pub(super) struct HttpIo(pub(super) Rc<RefCell<HttpConn>>);

impl rt::Read for HttpIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut conn = self.0.borrow_mut();
        let conn = &mut *conn;
        if conn.first_at < conn.first.len() {
            let n = buffer.remaining().min(conn.first.len() - conn.first_at);
            buffer.put_slice(&conn.first[conn.first_at..conn.first_at + n]);
            conn.first_at += n;
            if conn.first_at == conn.first.len() {
                (conn.first, conn.first_at) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(()));
        }
        let Some(link) = &mut conn.link else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        };
        let result = CHUNK.with_borrow_mut(|chunk| {
            let n = buffer.remaining().min(chunk.len());
            link.read(&mut chunk[..n])
                .map(|n| buffer.put_slice(&chunk[..n]))
        });
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                conn.reader = Some(cx.waker().clone());
                conn.await_readiness(Interest::READABLE)?;
                Poll::Pending
            }
            done => {
                if !conn.busy && conn.head_began.is_none() {
                    conn.head_began = Some(NOW.get());
                }
                Poll::Ready(done)
            }
        }
    }
}

impl HttpIo {
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Link) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut conn = self.0.borrow_mut();
        let Some(link) = &mut conn.link else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        };
        match write(link) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                conn.stalled_since.get_or_insert(NOW.get());
                conn.writer = Some(cx.waker().clone());
                conn.await_readiness(Interest::READABLE | Interest::WRITABLE)?;
                Poll::Pending
            }
            done => {
                conn.stalled_since = None;
                Poll::Ready(done)
            }
        }
    }
}

impl rt::Write for HttpIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |link| link.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |link| link.write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |link| {
            if link.flush()? {
                Ok(0)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            }
        })
        .map_ok(|_| ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(link) = &mut self.0.borrow_mut().link {
            link.shutdown();
        }
        Poll::Ready(Ok(()))
    }
}
