//! A webhook end point that remembers what it got and answers as it was told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::sign::{App, hmac_hex};
use super::within;

/// One request that a webhook made.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

impl Hook {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["events"].as_array().unwrap().clone()
    }

    /// Its only event.
    pub(crate) fn event(&self) -> Value {
        let events = self.events();
        assert_eq!(events.len(), 1, "{}", self.body);
        events[0].clone()
    }

    /// Checks what Pusher's libraries check.
    pub(crate) fn expect_signed(&self, app: &App) {
        assert_eq!(self.header("x-pusher-key"), Some(app.key.as_str()));
        let signature = hmac_hex(&app.secret, self.body.as_bytes());
        assert_eq!(self.header("x-pusher-signature"), Some(signature.as_str()));
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) delay: Duration,
    pub(crate) location: Option<String>,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            delay: Duration::ZERO,
            location: None,
        }
    }

    pub(crate) fn after(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::status(200)
        }
    }
}

#[derive(Default)]
struct Shared {
    hooks: Mutex<VecDeque<Hook>>,
    answers: Mutex<Vec<(String, VecDeque<Answer>)>>,
    news: Notify,
}

/// The listener; it ends with the test's runtime.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&own)));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Scripts the answers of a path, one request each; after them it is 200 again.
    pub(crate) fn answer(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.shared
            .answers
            .lock()
            .unwrap()
            .push((path.to_owned(), answers.into_iter().collect()));
    }

    /// The next request, on any path.
    pub(crate) async fn next(&self) -> Hook {
        self.wait("a webhook", |_| true).await
    }

    pub(crate) async fn next_on(&self, path: &str) -> Hook {
        self.wait(&format!("a webhook on {path}"), |hook| hook.path == path)
            .await
    }

    /// The next request whose first event has this name.
    pub(crate) async fn next_event(&self, name: &str) -> Hook {
        self.wait(&format!("a webhook {name}"), |hook| {
            hook.events()[0]["name"] == name
        })
        .await
    }

    async fn wait(&self, what: &str, wanted: impl Fn(&Hook) -> bool) -> Hook {
        within(what, async {
            loop {
                let news = self.shared.news.notified();
                if let Some(hook) = self.take(&wanted) {
                    return hook;
                }
                news.await;
            }
        })
        .await
    }

    fn take(&self, wanted: impl Fn(&Hook) -> bool) -> Option<Hook> {
        let mut hooks = self.shared.hooks.lock().unwrap();
        let at = hooks.iter().position(wanted)?;
        hooks.remove(at)
    }

    /// What has come and nobody has asked for.
    pub(crate) fn waiting(&self) -> Vec<Hook> {
        self.shared.hooks.lock().unwrap().iter().cloned().collect()
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    loop {
        let hook = loop {
            if let Some((hook, used)) = parse(&buffer) {
                buffer.drain(..used);
                break hook;
            }
            match stream.read_buf(&mut buffer).await {
                Ok(got) if got > 0 => {}
                _ => return,
            }
        };
        let answer = next_answer(&shared, &hook.path);
        shared.hooks.lock().unwrap().push_back(hook);
        shared.news.notify_waiters();
        tokio::time::sleep(answer.delay).await;
        let location = answer
            .location
            .map(|url| format!("Location: {url}\r\n"))
            .unwrap_or_default();
        let text = format!(
            "HTTP/1.1 {} Scripted\r\n{location}Content-Length: 0\r\n\r\n",
            answer.status
        );
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn next_answer(shared: &Shared, path: &str) -> Answer {
    let mut scripts = shared.answers.lock().unwrap();
    let script = scripts
        .iter_mut()
        .find(|(of, answers)| of == path && !answers.is_empty());
    script
        .and_then(|(_, answers)| answers.pop_front())
        .unwrap_or_else(|| Answer::status(200))
}

fn parse(buffer: &[u8]) -> Option<(Hook, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(used) = head.parse(buffer).expect("a webhook request") else {
        return None;
    };
    let (method, path) = (head.method?.to_owned(), head.path?.to_owned());
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|header| {
            (
                header.name.to_owned(),
                String::from_utf8_lossy(header.value).into_owned(),
            )
        })
        .collect();
    let length = headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("content-length"));
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let body = String::from_utf8(buffer.get(used..used + length)?.to_vec()).unwrap();
    Some((
        Hook {
            method,
            path,
            headers,
            body,
            at: Instant::now(),
        },
        used + length,
    ))
}
