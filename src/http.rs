//! The REST API of both ports: routes, and what every request brings with it. spec: http-api.
//! Must not know: shards; it calls `node` only.

mod answer;
mod body;
mod channels;
mod edge;
mod error;
mod events;
mod memory;
mod ops;
pub mod query;
mod signed;
mod trigger;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    handler::Handler,
    http::StatusCode,
    routing::{MethodRouter, get, post},
};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::{
    config::{Config, Mode},
    node::Node,
};

pub use error::ApiError;

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The main port.
    Main,
    /// The listener for `/apps` alone.
    Api,
    /// The Unix socket.
    Unix,
}

/// Who asks: an extension of every request on the main, API and Unix listeners.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where from; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// The connection's place in its shard.
    pub token: u32,
    /// What it came by.
    pub listener: Listener,
}

/// What the handlers work with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpState(Arc<Shared>);

/// What there is one of per process.
#[derive(Debug)]
pub struct Shared {
    node: Arc<Node>,
    prefix: Box<str>,
    mode: Mode,
    /// `/apps` has a listener of its own.
    api_apart: bool,
    /// `None` where metrics are off.
    prometheus: Option<PrometheusHandle>,
    bodies: body::Bodies,
    edge: edge::Edge,
}

impl HttpState {
    /// Reads its sections of the configuration once.
    pub fn new(node: Arc<Node>, config: &Config, prometheus: PrometheusHandle) -> Self {
        Self(Arc::new(Shared {
            node,
            prefix: config.server.path_prefix.as_str().into(),
            mode: config.server.mode,
            api_apart: config.server.api.is_some(),
            prometheus: config.metrics.enabled.then_some(prometheus),
            bodies: body::Bodies::new(&config.http),
            edge: edge::Edge::new(&config.cors, config.http.status_always_200),
        }))
    }
}

impl std::ops::Deref for HttpState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The routes of the main port, the API listener and the Unix socket.
pub fn router(state: HttpState) -> Router {
    let mut routes = Routes::new(&state)
        .add("/", get(ops::alive))
        .add("/ready", get(ops::ready));
    if state.mode != Mode::Worker {
        routes = routes
            .add("/accept-traffic", get(ops::accept_traffic))
            .add("/apps/{app}/events", post(events::publish))
            .add("/apps/{app}/batch_events", post(events::publish_batch))
            .add("/apps/{app}/channels", get(channels::list))
            .add("/apps/{app}/channels/{channel}", get(channels::one))
            .add("/apps/{app}/channels/{channel}/users", get(channels::users))
            .add(
                "/apps/{app}/users/{user}/terminate_connections",
                post(channels::terminate),
            );
    }
    routes.finish(state, || async { StatusCode::NOT_FOUND })
}

/// The routes of the monitoring port.
pub fn ops_router(state: HttpState) -> Router {
    Routes::new(&state)
        .add("/", get(ops::alive))
        .add("/ready", get(ops::ready))
        .add("/usage", get(ops::usage))
        .add("/metrics", get(ops::metrics))
        .finish(state, || async { edge::Bare(StatusCode::NOT_FOUND) })
}

/// Routes behind the configured prefix.
struct Routes {
    prefix: String,
    router: Router<HttpState>,
}

impl Routes {
    fn new(state: &HttpState) -> Self {
        Self {
            prefix: state.prefix.replace('{', "{{").replace('}', "}}"),
            router: Router::new(),
        }
    }

    fn add(mut self, path: &str, methods: MethodRouter<HttpState>) -> Self {
        self.router = self
            .router
            .route(&format!("{}{path}", self.prefix), methods);
        self
    }

    /// What no route answers, by path or method, gets `absent`.
    fn finish<T: 'static, H: Handler<T, HttpState>>(self, state: HttpState, absent: H) -> Router {
        let edge = state.edge.clone();
        self.router
            .fallback(absent.clone())
            .method_not_allowed_fallback(absent)
            .layer(edge)
            .with_state(state)
    }
}

#[cfg(test)]
mod tests;
