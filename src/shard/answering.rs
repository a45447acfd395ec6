//! HTTP on a shard: the router as hyper's service. A handshake on a connection that was used before is answered here too.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use axum::{Router, body::Body, response::Response, routing::future::RouteFuture};
use hyper::{
    Method, StatusCode,
    body::Incoming,
    header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
    server::conn::http1,
};
use tower::Service;

use crate::{
    directory::{Message, inbox::Mailbox},
    http::{Listener, Peer},
    shard::{
        Upgrade,
        fresh::{self, Handshake},
        http_io::{HttpConn, HttpIo},
    },
};

/// What HTTP connections of a shard have in common.
#[derive(Clone)]
pub(super) struct Routes {
    /// The REST API.
    pub router: Router,
    /// Put before every route.
    pub prefix: Rc<str>,
    /// Handshakes are answered at all.
    pub websockets: bool,
    /// The server stops: kept connections are ended with their next answer.
    pub closing: Rc<Cell<bool>>,
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
            closing: Rc::clone(&self.routes.closing),
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
        closing: Rc<Cell<bool>>,
    },
    Upgrade(Option<Box<Response>>),
}

impl Future for Answer {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Route {
                conn,
                future,
                closing,
            } => {
                let mut answer = std::task::ready!(Pin::new(future).poll(cx));
                if let Ok(answer) = &mut answer
                    && closing.get()
                {
                    answer
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
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
pub(super) async fn serve(conn: Rc<RefCell<HttpConn>>, peer: Peer, routes: Routes) {
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
