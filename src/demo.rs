//! The demo page: an event arrives in a browser within a minute of cloning. Also what `make run` prints for Laravel and Echo.
//! Must not know: sockets, shards, signatures; it calls `node` only, and no secret leaves it but the public default.

mod hello;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{json, value::to_raw_value};

use crate::{
    app::App,
    config::{Metrics, Mode, Server},
    limiter::Window,
    node::{Node, Publish},
    protocol::channel::ChannelName,
};

pub use hello::hello;

/// The one channel and event that the page can publish: whoever finds the page cannot reach an application's own channels.
const CHANNEL: &str = "demo";
const EVENT: &str = "hello";

/// Bytes of the body of `POST /demo/event`.
const BODY_BYTES_MAX: usize = 4096;

/// Events a second, from all pages together.
const EVENTS_PER_SECOND_MAX: u32 = 20;

/// What a proxy adds: a loopback listener behind one is public all the same.
const PROXY_HEADERS: [&str; 5] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
];

const PAGE: &str = include_str!("demo/page.html");

/// Whether the page is served at all: with `--demo`, or where every listener is bound to loopback and no proxy is expected.
pub fn is_allowed(server: &Server, metrics: &Metrics) -> bool {
    let api_is_local = server.api.is_none_or(|(host, _)| host.is_loopback());
    let is_local = server.host.is_loopback()
        && metrics.host.is_loopback()
        && api_is_local
        && server.unix_socket.is_none()
        && !server.proxy_protocol
        && server.trusted_proxies.is_empty();
    server.mode != Mode::Worker && (server.demo || is_local)
}

/// `{prefix}/demo` and `{prefix}/demo/event`. Without `--demo` they are there for this machine's own browser alone.
pub fn router(node: Arc<Node>) -> Router {
    let prefix = node
        .server
        .path_prefix
        .replace('{', "{{")
        .replace('}', "}}");
    let demo = Arc::new(Demo {
        began: Instant::now(),
        sent: AtomicU64::new(0),
        window: Mutex::default(),
        node,
    });
    Router::new()
        .route(&format!("{prefix}/demo"), get(page))
        .route(&format!("{prefix}/demo/event"), post(publish))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(demo)
}

struct Demo {
    node: Arc<Node>,
    began: Instant,
    sent: AtomicU64,
    window: Mutex<Window>,
}

impl Demo {
    fn app(&self) -> Result<Arc<App>, Refusal> {
        let first = self.node.apps.all().into_iter().next();
        first.map(|tenant| tenant.app()).ok_or(Refusal::NoApp)
    }

    /// Without `--demo`: only requests that name this machine as their host and came through no proxy. A page elsewhere whose
    /// name was made to point here is refused by the first, the public side of a local proxy by the second.
    fn check_visitor(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let is_direct = PROXY_HEADERS
            .iter()
            .all(|name| !headers.contains_key(*name));
        let is_local = text(headers, header::HOST).is_some_and(names_this_machine);
        if self.node.server.demo || (is_direct && is_local) {
            Ok(())
        } else {
            Err(Refusal::NotHere)
        }
    }

    fn check_rate(&self) -> Result<(), Refusal> {
        // It may wrap: a window looks at differences only.
        #[expect(clippy::cast_possible_truncation, reason = "it may wrap")]
        let now_ms = self.began.elapsed().as_millis() as u32;
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.consume(now_ms, EVENTS_PER_SECOND_MAX, 1).allowed {
            Ok(())
        } else {
            Err(Refusal::TooMany)
        }
    }
}

/// Why the demo does not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("Not found.")]
    NotHere,
    #[error("The server has no app to demonstrate with.")]
    NoApp,
    #[error(
        "Events may be sent from the demo page itself or without a browser, not from other pages."
    )]
    OtherPage,
    #[error("The body must be JSON such as {{\"message\":\"Hello\"}}, of at most 4096 bytes.")]
    BadBody,
    #[error("The demo takes 20 events a second.")]
    TooMany,
    #[error("The server is overloaded. Try again.")]
    Overloaded,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotHere => return StatusCode::NOT_FOUND.into_response(),
            Self::NoApp | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::OtherPage => StatusCode::FORBIDDEN,
            Self::BadBody => StatusCode::BAD_REQUEST,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        };
        answer(
            status,
            &json!({ "error": self.to_string(), "code": status.as_u16() }),
        )
    }
}

async fn page(State(demo): State<Arc<Demo>>, headers: HeaderMap) -> Result<Response, Refusal> {
    demo.check_visitor(&headers)?;
    let app = demo.app()?;
    let facts = json!({
        "key": &*app.key.0,
        "appId": &*app.id.0,
        "secret": hello::public_secret(&app),
        "prefix": demo.node.server.path_prefix,
        "channel": CHANNEL,
        "event": EVENT,
    });
    let nonce = hex::encode(getrandom::u64().unwrap_or_default().to_ne_bytes());
    // In a script element only `<` could end the data early.
    let html = PAGE
        .replace("{{facts}}", &facts.to_string().replace('<', "\\u003c"))
        .replace("{{nonce}}", &nonce);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self' ws: wss:; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, value("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, value(&policy)),
        (header::REFERRER_POLICY, value("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, value("nosniff")),
        (header::CACHE_CONTROL, value("no-store")),
    ];
    Ok((headers, html).into_response())
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

async fn publish(
    State(demo): State<Arc<Demo>>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, Refusal> {
    demo.check_visitor(&headers)?;
    if is_from_another_page(&headers) {
        return Err(Refusal::OtherPage);
    }
    let body = body.map_err(|_| Refusal::BadBody)?;
    let Message { message } = serde_json::from_slice(&body).map_err(|_| Refusal::BadBody)?;
    demo.check_rate()?;
    let tenants = demo.node.apps.all();
    let tenant = tenants.first().ok_or(Refusal::NoApp)?;
    let number = demo.sent.fetch_add(1, Ordering::Relaxed) + 1;
    let data = to_raw_value(&json!({ "message": message, "number": number }).to_string())
        .map_err(|_| Refusal::BadBody)?;
    let channel = ChannelName::parse(CHANNEL, CHANNEL.len()).map_err(|_| Refusal::NoApp)?;
    let event = Publish {
        name: EVENT,
        data: &data,
        channels: std::slice::from_ref(&channel),
        except: None,
    };
    let published = demo.node.publish(tenant, &event).await;
    published.map_err(|_| Refusal::Overloaded)?;
    let subscribers = demo.node.occupancy(tenant, &channel).await.subscriptions;
    Ok(answer(
        StatusCode::OK,
        &json!({ "ok": true, "subscribers": subscribers }),
    ))
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let json = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    (status, json, body.to_string()).into_response()
}

/// A browser says which page asks; other programs say nothing. The API allows all origins, so a preflight would not stop anybody.
fn is_from_another_page(headers: &HeaderMap) -> bool {
    let site = text(headers, HeaderName::from_static("sec-fetch-site"));
    let origin = text(headers, header::ORIGIN);
    let host = text(headers, header::HOST);
    let is_other_origin = origin
        .is_some_and(|origin| origin.split_once("://").map(|(_, authority)| authority) != host);
    is_other_origin || site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

/// `localhost` or a loopback address, with any port.
fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests;
