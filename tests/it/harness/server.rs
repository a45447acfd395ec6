//! One server process per test, on ports the kernel chose, in a directory of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

/// How to start a server.
pub(crate) struct ServerBuilder {
    env: Vec<(String, String)>,
    args: Vec<String>,
    kinds: Vec<&'static str>,
    dir: TempDir,
}

/// How a process that was not meant to stay ended.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Exit {
    /// Both outputs.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The code and every one of these words, case aside.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, words: &[&str]) {
        let said = self.said().to_lowercase();
        assert_eq!(self.code, Some(code), "{}", self.said());
        for word in words {
            assert!(
                said.contains(&word.to_lowercase()),
                "no {word:?} in: {}",
                self.said()
            );
        }
    }
}

impl ServerBuilder {
    pub(crate) fn env(mut self, key: &str, value: impl ToString) -> Self {
        self.env.retain(|(name, _)| name != key);
        self.env.push((key.into(), value.to_string()));
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A file in the server's directory, which is its working directory.
    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        std::fs::write(self.dir.path().join(name), content).unwrap();
        self
    }

    /// A JSON configuration file, named by `--config`.
    pub(crate) fn config(self, config: &Value) -> Self {
        self.file("config.json", &config.to_string())
            .arg("start")
            .arg("--config=config.json")
    }

    /// A configuration file with these apps alone.
    pub(crate) fn apps(self, apps: Value) -> Self {
        self.config(&json!({ "appManager.array.apps": apps }))
    }

    /// Waits for one more listener than main and metrics.
    pub(crate) fn listens(mut self, kind: &'static str) -> Self {
        self.kinds.push(kind);
        self
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(Binary::path());
        command
            .args(&self.args)
            .current_dir(self.dir.path())
            .env_clear();
        for inherited in ["PATH", "HOME", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        if let Some(shards) = std::env::var_os("BOWLINE_SHARDS") {
            command.env("BOWLINE_SHARDS", shards);
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a program that is meant to end by itself.
    pub(crate) async fn run(self) -> Exit {
        let mut child = self.command().spawn().unwrap();
        let pid = child.id();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let run = tokio::task::spawn_blocking(move || {
            let reader = std::thread::spawn(move || read_all(&mut err));
            let stdout = read_all(&mut out);
            let code = child.wait().unwrap().code();
            Exit {
                code,
                stdout,
                stderr: reader.join().unwrap(),
            }
        });
        match tokio::time::timeout(START, run).await {
            Ok(exit) => exit.unwrap(),
            Err(_) => {
                kill(pid, Signal::KILL);
                panic!("the process goes on, where it should have ended with a message");
            }
        }
    }

    pub(crate) async fn start(mut self) -> Server {
        let peer_ports = (Binary::under_test() == Binary::Soketi).then(free_ports);
        let port = peer_ports.map_or([0, 0], |ports| ports);
        for (key, value) in [
            ("SOKETI_HOST", "127.0.0.1".to_owned()),
            ("SOKETI_METRICS_HOST", "127.0.0.1".to_owned()),
            ("SOKETI_PORT", port[0].to_string()),
            ("SOKETI_METRICS_SERVER_PORT", port[1].to_string()),
        ] {
            if !self
                .env
                .iter()
                .any(|(name, _)| name[name.find('_').unwrap()..] == key[6..])
            {
                self.env.push((key.into(), value));
            }
        }
        let mut child = self
            .command()
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", Binary::path()));
        let log = Arc::new(Mutex::new(String::new()));
        follow(child.stdout.take().unwrap(), &log);
        follow(child.stderr.take().unwrap(), &log);
        let mut server = Server {
            main: ([127, 0, 0, 1], port[0]).into(),
            metrics: ([127, 0, 0, 1], port[1]).into(),
            api: None,
            app: App::default_app(),
            child: Some(child),
            log,
            dir: self.dir,
        };
        server.await_ready(peer_ports.is_some(), &self.kinds).await;
        server
    }
}

fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn read_all(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn follow(from: impl Read + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
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
        let dir = tempfile::Builder::new()
            .prefix("bowline-it-")
            .tempdir()
            .unwrap();
        ServerBuilder {
            env: Vec::new(),
            args: Vec::new(),
            kinds: vec!["main", "metrics"],
            dir,
        }
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
