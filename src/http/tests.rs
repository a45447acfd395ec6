//! The routers as a whole, without a socket: requests in, answers out.

mod api;
mod auth;
mod common;
mod ops;

use std::{sync::Arc, time::SystemTime};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use md5::{Digest, Md5};
use tower::ServiceExt;

use super::{HttpState, ops_router, router};
use crate::{
    app::{App, AppSecret},
    config::Config,
    node::{Node, Parts},
    protocol::auth::sign,
    webhook::Webhooks,
};

/// Both routers over a node of their own.
pub(super) struct Fixture {
    pub(super) main: Router,
    pub(super) ops: Router,
    pub(super) node: Arc<Node>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn pair(&self) -> (u16, &str) {
        (self.status.as_u16(), &self.body)
    }
}

/// One app, `app-id` with `app-key` and `app-secret`.
pub(super) fn config() -> Config {
    Config {
        apps: vec![App::new("app-id", "app-key", "app-secret")],
        ..Config::default()
    }
}

impl Fixture {
    pub(super) fn new(config: &Config) -> Self {
        let webhooks = Webhooks::start(&config.webhooks, &tokio::runtime::Handle::current());
        let prometheus = metrics_exporter_prometheus::PrometheusBuilder::new()
            .build_recorder()
            .handle();
        let node = Arc::new(Node::new(Parts {
            config: config.clone(),
            inboxes: Vec::new(),
            webhooks,
            tls: None,
            port: 6001,
        }));
        let state = HttpState::new(Arc::clone(&node), config, prometheus);
        Self {
            main: router(state.clone()),
            ops: ops_router(state),
            node,
        }
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        answer(&self.main, request).await
    }

    pub(super) async fn get(&self, target: &str) -> Answer {
        self.ask(request(Method::GET, target, "")).await
    }

    /// `query` is put before what signing adds.
    pub(super) async fn signed_get(&self, path: &str, query: &str) -> Answer {
        self.get(&signed("GET", path, query, None)).await
    }

    pub(super) async fn signed_post(&self, path: &str, body: &str) -> Answer {
        let target = signed("POST", path, "", Some(body));
        self.ask(request(Method::POST, &target, body)).await
    }
}

pub(super) async fn answer(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

pub(super) fn request(method: Method, target: &str, body: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(target)
        .body(Body::from(body.to_owned()))
        .unwrap()
}

pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A target that `app-id` has signed, as the official libraries do it; `query` must come sorted before `auth_key` and be plain.
pub(super) fn signed(method: &str, path: &str, query: &str, body: Option<&str>) -> String {
    let mut parameters: Vec<String> = query
        .split('&')
        .filter(|p| !p.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    parameters.extend([
        "auth_key=app-key".to_owned(),
        format!("auth_timestamp={}", now()),
        "auth_version=1.0".to_owned(),
    ]);
    parameters.extend(body.map(|body| format!("body_md5={}", md5(body))));
    parameters.sort();
    let query = parameters.join("&");
    let secret = AppSecret::new("app-secret");
    let mac = sign(&secret, &[format!("{method}\n{path}\n{query}").as_bytes()]);
    format!("{path}?{query}&auth_signature={mac}")
}

pub(super) fn md5(text: &str) -> String {
    hex::encode(Md5::digest(text))
}
