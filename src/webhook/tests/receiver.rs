//! An HTTP server on loopback that shows what it was sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};

use super::DEADLINE;

/// Long enough for what must not come to have come.
const SILENCE: Duration = Duration::from_millis(300);

/// What a receiver does with its nth request (from 1).
type Answer = Arc<dyn Fn(usize) -> Reply + Send + Sync>;

#[derive(Clone)]
pub(super) enum Reply {
    Status(u16, Vec<(&'static str, &'static str)>),
    Never,
}

pub(super) struct Received {
    pub(super) at: Instant,
    pub(super) path: String,
    headers: HeaderMap,
    pub(super) body: String,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The body without its time.
    pub(super) fn events(&self) -> &str {
        self.body.split_once(r#","events":"#).unwrap().1
    }
}

/// The server.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    requests: mpsc::Receiver<Received>,
}

#[derive(Clone)]
struct Seen {
    count: Arc<Mutex<usize>>,
    answer: Answer,
    requests: mpsc::Sender<Received>,
}

impl Receiver {
    pub(super) async fn start(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel(1000);
        let seen = Seen {
            count: Arc::default(),
            answer: Arc::new(answer),
            requests: sender,
        };
        let router = Router::new().fallback(receive).with_state(seen);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, requests }
    }

    pub(super) async fn well() -> Self {
        Self::start(|_| status(200)).await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) async fn next(&mut self) -> Received {
        let next = timeout(DEADLINE, self.requests.recv()).await;
        next.expect("a request in time").unwrap()
    }

    pub(super) async fn silence(&mut self) {
        let next = timeout(SILENCE, self.requests.recv()).await;
        assert!(next.is_err(), "a request that should not be");
    }
}

pub(super) fn status(code: u16) -> Reply {
    Reply::Status(code, Vec::new())
}

async fn receive(State(seen): State<Seen>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let number = {
        let mut count = seen.count.lock().unwrap();
        *count += 1;
        *count
    };
    let received = Received {
        at: Instant::now(),
        path: uri.path().into(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    seen.requests.send(received).await.unwrap();
    match (seen.answer)(number) {
        Reply::Status(code, headers) => {
            let mut response = StatusCode::from_u16(code).unwrap().into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Reply::Never => std::future::pending().await,
    }
}
