//! One server process per test, on ports the kernel chose, in a directory of its own.

mod builder;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) use builder::ServerBuilder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::http::{Http, Response};
use super::io::Io;
use super::sign::App;

const START: Duration = Duration::from_secs(10);

/// Which program is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Bowline,
    /// To check the harness against the server that wrote the transcripts.
    Soketi,
}

impl Binary {
    pub(crate) fn under_test() -> Self {
        match std::env::var("BOWLINE_PEER").as_deref() {
            Ok("soketi") => Self::Soketi,
            _ => Self::Bowline,
        }
    }

    fn path() -> PathBuf {
        std::env::var_os("BOWLINE_BIN")
            .map_or_else(|| env!("CARGO_BIN_EXE_bowline").into(), PathBuf::from)
    }
}

/// A running server; Drop kills it.
pub(crate) struct Server {
    pub(crate) main: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) api: Option<SocketAddr>,
    /// The app that `connect` and the signed requests use.
    pub(crate) app: App,
    child: Option<Child>,
    log: Arc<Mutex<String>>,
    dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- the server's last lines ---");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Server {
    /// Nothing configured.
    pub(crate) async fn start() -> Self {
        Self::builder().start().await
    }

    /// Nothing configured but client events.
    pub(crate) async fn with_client_events() -> Self {
        Self::builder()
            .env("SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", true)
            .start()
            .await
    }

    pub(crate) fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    async fn await_ready(&mut self, peer: bool, kinds: &[&str]) {
        let end = Instant::now() + START;
        loop {
            let ready = if peer {
                tokio::net::TcpStream::connect(self.main).await.is_ok()
                    && tokio::net::TcpStream::connect(self.metrics).await.is_ok()
            } else {
                kinds.iter().all(|kind| self.listening(kind).is_some())
            };
            if ready {
                break;
            }
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                sleep(Duration::from_millis(50)).await;
                panic!("the server ended with {status} instead of starting");
            }
            assert!(
                Instant::now() < end,
                "the server did not come up in {START:?}"
            );
            sleep(Duration::from_millis(3)).await;
        }
        if !peer {
            let address = |kind| self.listening(kind).map(|text| text.parse().unwrap());
            let (main, metrics, api) = (address("main"), address("metrics"), address("api"));
            self.main = loopback(main.unwrap());
            self.metrics = loopback(metrics.unwrap());
            self.api = api.map(loopback);
        }
    }

    /// The address that the log gives for a listener: `listening address=… kind=…`, or the same in JSON.
    pub(crate) fn listening(&self, kind: &str) -> Option<String> {
        let log = self.log.lock().unwrap();
        let line = log
            .lines()
            .find(|line| line.contains("listening") && field(line, "kind") == Some(kind))?;
        field(line, "address").map(str::to_owned)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Everything that the server has printed.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn wait_log(&self, word: &str) {
        super::eventually(&format!("{word:?} in the log"), async || {
            self.log().contains(word)
        })
        .await;
    }

    // The process.

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().unwrap().try_wait().unwrap()
    }

    pub(crate) async fn wait_exit(&mut self) -> ExitStatus {
        let end = Instant::now() + START;
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            assert!(Instant::now() < end, "the server did not exit");
            sleep(Duration::from_millis(5)).await;
        }
    }

    // WebSockets.

    pub(crate) async fn upgrade(
        &self,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Client, Response> {
        Client::upgrade(Io::tcp(self.main).await, target, headers).await
    }

    /// An upgraded socket of which nothing has been read.
    pub(crate) async fn open(&self, target: &str) -> Client {
        self.upgrade(target, &[])
            .await
            .unwrap_or_else(|response| panic!("refused: {response:?}"))
    }

    pub(crate) async fn connect_app(&self, app: &App) -> Client {
        self.open(&format!(
            "/app/{}?protocol=7&client=js&version=8.4.0&flash=false",
            app.key
        ))
        .await
        .established(app)
        .await
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_app(&self.app).await
    }

    pub(crate) async fn subscribed(&self, channel: &str) -> Client {
        let mut client = self.connect().await;
        client.subscribe(channel).await;
        client
    }

    // HTTP.

    pub(crate) async fn http(&self) -> Http {
        Http::connect(self.main).await
    }

    /// A request as it stands, on a connection of its own.
    pub(crate) async fn raw(&self, method: &str, target: &str) -> Response {
        self.http().await.request(method, target, &[], None).await
    }

    pub(crate) async fn ops(&self, target: &str) -> Response {
        Http::connect(self.metrics).await.get(target).await
    }

    /// A signed GET; `path` is relative to `/apps/ID`.
    pub(crate) async fn get_as(&self, app: &App, path: &str) -> Response {
        self.http()
            .await
            .get(&app.target("GET", path).build())
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.get_as(&self.app, path).await
    }

    /// A signed POST; `path` is relative to `/apps/ID`.
    pub(crate) async fn post_bytes(&self, app: &App, path: &str, body: &[u8]) -> Response {
        let target = app.target("POST", path).body(body).build();
        let headers = [("Content-Type", "application/json")];
        self.http()
            .await
            .request("POST", &target, &headers, Some(body))
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.post_bytes(&self.app, path, body.to_string().as_bytes())
            .await
    }

    /// Publishes one event that must be accepted.
    pub(crate) async fn trigger(&self, channel: &str, event: &str, data: &str) {
        self.trigger_as(&self.app, channel, event, data).await;
    }

    pub(crate) async fn trigger_as(&self, app: &App, channel: &str, event: &str, data: &str) {
        let body = json!({"name": event, "channels": [channel], "data": data}).to_string();
        self.post_bytes(app, "/events", body.as_bytes())
            .await
            .expect(200, r#"{"ok":true}"#);
    }

    /// Lives, serves, and delivers: what must hold after every attempt to break it.
    pub(crate) async fn expect_healthy(&mut self) {
        assert!(self.exited().is_none(), "the server has exited");
        let mut client = self.subscribed("health").await;
        self.trigger("health", "check", "1").await;
        client.expect_event("check").await;
    }
}

fn loopback(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv6() {
            [0, 0, 0, 0, 0, 0, 0, 1].into()
        } else {
            [127, 0, 0, 1].into()
        });
    }
    address
}

/// The value of `name=value` or `"name":"value"` in a log line.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let plain = format!("{name}=");
    let quoted = format!("\"{name}\":\"");
    let at = line.find(&quoted).map(|at| at + quoted.len());
    let at = at.or_else(|| line.find(&plain).map(|at| at + plain.len()))?;
    let end = |c: char| c.is_whitespace() || c == '"' || c == ',';
    line[at..].trim_start_matches('"').split(end).next()
}

fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
