//! HTTP on a shard: hyper reads and writes the connection's link, which stays in the shard's own poll; the router is its service.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    io::{self, IoSlice},
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use axum::{Router, body::Body, response::Response, routing::future::RouteFuture};
use hyper::{
    Method, StatusCode,
    body::Incoming,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
    rt,
    server::conn::http1,
};
use mio::{Interest, Registry, Token};
use tower::Service;

use crate::{
    directory::{Message, inbox::Mailbox},
    http::{Listener, Peer},
    shard::{
        Upgrade,
        fresh::{self, Handshake},
        link::Link,
        wheel::{Tick, ticks},
    },
};

/// Bytes read at once for hyper.
const CHUNK_BYTES: usize = 16 << 10;

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

    /// When it must be looked at; it has overstayed if that is not after `now`.
    pub fn due(&self, header_timeout: Tick) -> Tick {
        match self.head_began {
            _ if self.busy => NOW.get() + header_timeout,
            Some(began) => began + header_timeout,
            None => self.idle_since + ticks(IDLE_MAX),
        }
    }

    /// Nothing is being asked or answered.
    pub fn is_idle(&self) -> bool {
        !self.busy && self.head_began.is_none()
    }

    fn request_began(&mut self) {
        self.busy = true;
        self.head_began = None;
    }

    fn request_ended(&mut self) {
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
struct HttpIo(Rc<RefCell<HttpConn>>);

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
                conn.writer = Some(cx.waker().clone());
                conn.await_readiness(Interest::READABLE | Interest::WRITABLE)?;
                Poll::Pending
            }
            done => Poll::Ready(done),
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

/// What HTTP connections of a shard have in common.
#[derive(Clone)]
pub struct Routes {
    /// The REST API.
    pub router: Router,
    /// Put before every route.
    pub prefix: Rc<str>,
    /// Handshakes are answered at all.
    pub websockets: bool,
}

/// The router as hyper's service, with a note of when requests begin and end. A handshake on a connection that was used before, as proxies
/// keep them, is answered here.
struct Answering {
    conn: Rc<RefCell<HttpConn>>,
    peer: Peer,
    routes: Routes,
}

impl hyper::service::Service<hyper::Request<Incoming>> for Answering {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, mut request: hyper::Request<Incoming>) -> Answer {
        let mut conn = self.conn.borrow_mut();
        conn.request_began();
        if let Some(handshake) = self.handshake(&request) {
            let answer = switching(&handshake);
            conn.upgrade = Some(Box::new(Upgrade(handshake)));
            return Answer::Upgrade(answer.map(Box::new));
        }
        drop(conn);
        request.extensions_mut().insert(self.peer.clone());
        // The router is always ready.
        let future = self.routes.router.clone().call(request);
        Answer::Route {
            conn: Rc::clone(&self.conn),
            future,
        }
    }
}

impl Answering {
    fn handshake(&self, request: &hyper::Request<Incoming>) -> Option<Handshake> {
        if !self.routes.websockets
            || self.peer.listener == Listener::Api
            || !request.headers().contains_key(UPGRADE)
        {
            return None;
        }
        // As in `fresh`: of several lines of forwarded addresses the last is the nearest proxy's.
        let header = |name: &str| {
            let mut lines = request.headers().get_all(name).iter();
            let line = match name {
                "x-forwarded-for" => lines.next_back(),
                _ => lines.next(),
            };
            line?.to_str().ok()
        };
        let target = request.uri().path_and_query()?.as_str();
        fresh::handshake(target, &self.routes.prefix, header)
            .filter(|_| request.method() == Method::GET)
    }
}

fn switching(handshake: &Handshake) -> Option<Response> {
    let mut answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(SEC_WEBSOCKET_ACCEPT, &handshake.accept);
    if let Some(name) = &handshake.subprotocol {
        answer = answer.header(SEC_WEBSOCKET_PROTOCOL, name);
    }
    answer.body(Body::empty()).ok()
}

#[expect(
    clippy::large_enum_variant,
    reason = "the rare variant is the small one"
)]
enum Answer {
    Route {
        conn: Rc<RefCell<HttpConn>>,
        future: RouteFuture<Infallible>,
    },
    Upgrade(Option<Box<Response>>),
}

impl Future for Answer {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Route { conn, future } => {
                let answer = std::task::ready!(Pin::new(future).poll(cx));
                let mut conn = conn.borrow_mut();
                conn.request_ended();
                // The router says so where it answered before it had read the body.
                conn.lingers = answer
                    .as_ref()
                    .is_ok_and(|answer| answer.headers().contains_key(CONNECTION));
                Poll::Ready(answer)
            }
            Self::Upgrade(answer) => Poll::Ready(Ok(answer
                .take()
                .map_or_else(Response::default, |answer| *answer))),
        }
    }
}

/// Serves a connection until it ends or becomes a WebSocket, then tells the shard.
pub async fn serve(conn: Rc<RefCell<HttpConn>>, peer: Peer, routes: Routes) {
    let token = peer.token;
    let service = Answering {
        conn: Rc::clone(&conn),
        peer,
        routes,
    };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(fresh::HEAD_BYTES_MAX);
    let mut serving = builder.serve_connection(HttpIo(conn), service);
    let end = std::future::poll_fn(|cx| serving.poll_without_shutdown(cx)).await;
    if let Err(error) = end {
        tracing::trace!(%error, "an HTTP connection ended early");
    }
    let rest = serving.into_parts().read_buf;
    Mailbox::leave_here(Message::HttpEnded(token, rest));
}
