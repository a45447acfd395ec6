//! What all answers have in common: cross-origin headers, `OPTIONS`, Soketi's statuses. The headers are made once.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use tower::{Layer, Service};

use super::error::ApiErrorMark;
use crate::config::Cors;

/// Marks an answer that gets no cross-origin headers, as in Soketi.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoCors;

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
    fn finish(&self, response: &mut Response, origin: Option<HeaderValue>) {
        let extensions = response.extensions();
        if !extensions.is_empty() {
            if extensions.get::<NoCors>().is_some() {
                return;
            }
            if self.always_200 && extensions.get::<ApiErrorMark>().is_some() {
                *response.status_mut() = StatusCode::OK;
            }
        }
        self.allow(response.headers_mut(), origin);
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

    /// The caller's origin, where the answer depends on it.
    fn origin_of(&self, request: &Request) -> Option<HeaderValue> {
        match self.origin {
            Origin::One(_) => None,
            Origin::AnyOf(_) => request.headers().get(header::ORIGIN).cloned(),
        }
    }
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

impl<S, B> Service<Request> for AtEdge<S>
where
    S: Service<Request, Response = Response<B>>,
    S::Future: Unpin,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let rules = Arc::clone(&self.rules);
        let origin = rules.origin_of(&request);
        let inner = (request.method() != Method::OPTIONS).then(|| self.inner.call(request));
        Answer {
            inner,
            rules,
            origin,
        }
    }
}

/// An answer on its way out.
pub(super) struct Answer<F> {
    /// `None` answers `OPTIONS`.
    inner: Option<F>,
    rules: Arc<Rules>,
    origin: Option<HeaderValue>,
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>> + Unpin,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Output = Result<Response, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = match &mut self.inner {
            Some(inner) => ready!(Pin::new(inner).poll(cx))?.map(Body::new),
            None => StatusCode::NO_CONTENT.into_response(),
        };
        let origin = self.origin.take();
        self.rules.finish(&mut response, origin);
        Poll::Ready(Ok(response))
    }
}
