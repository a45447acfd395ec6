//! What all answers have in common: cross-origin headers, `OPTIONS`, Soketi's statuses, and what a panic is answered with.
//! One layer for all of it, with headers made once: it is passed by every request.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use tower::{Layer, Service};

use super::error::{self, ApiErrorMark};
use crate::config::Cors;

/// Marks an answer that gets no cross-origin headers, as in Soketi.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoCors;

/// Bytes of a body that hyper throws away, if it must, to keep the connection.
const DISCARDED_BYTES_MAX: u64 = 8 << 10;

/// A status without body and without cross-origin headers.
pub(super) struct Bare(pub(super) StatusCode);

impl IntoResponse for Bare {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(NoCors);
        response
    }
}

/// The layer around all routes.
#[derive(Clone, Debug)]
pub(super) struct Edge(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    origin: Origin,
    methods: HeaderValue,
    headers: HeaderValue,
    /// API errors go out with status 200.
    always_200: bool,
}

#[derive(Debug)]
enum Origin {
    /// The same for everybody.
    One(HeaderValue),
    /// Echoed to whom it names.
    AnyOf(Vec<HeaderValue>),
}

impl Edge {
    /// What cannot stand in a header is left out.
    pub(super) fn new(cors: &Cors, always_200: bool) -> Self {
        let list = |items: &[String]| {
            HeaderValue::try_from(items.join(", ")).unwrap_or(HeaderValue::from_static(""))
        };
        let origin = match &cors.origins[..] {
            origins if origins.iter().any(|o| o == "*") => {
                Origin::One(HeaderValue::from_static("*"))
            }
            origins @ [_] => Origin::One(list(origins)),
            origins => Origin::AnyOf(
                origins
                    .iter()
                    .filter_map(|origin| HeaderValue::try_from(origin).ok())
                    .collect(),
            ),
        };
        Self(Arc::new(Rules {
            origin,
            methods: list(&cors.methods),
            headers: list(&cors.allowed_headers),
            always_200,
        }))
    }
}

impl Rules {
    fn finish(&self, response: &mut Response, caller: Caller) {
        if caller.body_is_large && !response.status().is_success() {
            // Its body was perhaps not read, and then hyper closes: the client must know.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        let extensions = response.extensions();
        if !extensions.is_empty() {
            if extensions.get::<NoCors>().is_some() {
                return;
            }
            if self.always_200 && extensions.get::<ApiErrorMark>().is_some() {
                *response.status_mut() = StatusCode::OK;
            }
        }
        self.allow(response.headers_mut(), caller.origin);
    }

    fn allow(&self, headers: &mut HeaderMap, origin: Option<HeaderValue>) {
        match &self.origin {
            Origin::One(value) => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value.clone());
            }
            Origin::AnyOf(values) => {
                if let Some(origin) = origin.filter(|origin| values.contains(origin)) {
                    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                }
                headers.insert(header::VARY, HeaderValue::from_static("Origin"));
            }
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
    }

    fn caller(&self, request: &Request) -> Caller {
        let length = http_body::Body::size_hint(request.body()).upper();
        Caller {
            origin: match self.origin {
                Origin::One(_) => None,
                Origin::AnyOf(_) => request.headers().get(header::ORIGIN).cloned(),
            },
            body_is_large: length.is_none_or(|bytes| bytes > DISCARDED_BYTES_MAX),
        }
    }
}

/// What the answer depends on.
#[derive(Default)]
struct Caller {
    /// Where it matters.
    origin: Option<HeaderValue>,
    /// Larger than [`DISCARDED_BYTES_MAX`], or of unknown length.
    body_is_large: bool,
}

impl<S> Layer<S> for Edge {
    type Service = AtEdge<S>;

    fn layer(&self, inner: S) -> AtEdge<S> {
        AtEdge {
            inner,
            rules: Arc::clone(&self.0),
        }
    }
}

/// A service behind the edge.
#[derive(Clone, Debug)]
pub(super) struct AtEdge<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> Service<Request> for AtEdge<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let rules = Arc::clone(&self.rules);
        let caller = rules.caller(&request);
        let inner = (request.method() != Method::OPTIONS).then(|| self.inner.call(request));
        Answer {
            inner,
            rules,
            caller,
        }
    }
}

/// An answer on its way out.
pub(super) struct Answer<F> {
    /// `None` answers `OPTIONS`.
    inner: Option<F>,
    rules: Arc<Rules>,
    caller: Caller,
}

impl<F, E> Future for Answer<F>
where
    F: Future<Output = Result<Response, E>> + Unpin,
{
    type Output = Result<Response, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = match &mut self.inner {
            Some(inner) => {
                // A panic is a bug in one request: what it held is dropped, and the connection goes on.
                match catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll(cx))) {
                    Ok(answer) => ready!(answer)?,
                    Err(panic) => {
                        self.inner = None;
                        error::of_panic(&*panic)
                    }
                }
            }
            None => StatusCode::NO_CONTENT.into_response(),
        };
        let caller = std::mem::take(&mut self.caller);
        self.rules.finish(&mut response, caller);
        Poll::Ready(Ok(response))
    }
}
