//! How a server under test is started, or run to its end.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Binary, START, Server, kill};
use crate::harness::sign::App;

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
    pub(super) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("bowline-it-")
            .tempdir()
            .unwrap();
        Self {
            env: Vec::new(),
            args: Vec::new(),
            kinds: vec!["main", "metrics"],
            dir,
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "reads as a setting: `.env(KEY, 5)`"
    )]
    pub(crate) fn env(mut self, key: &str, value: impl ToString) -> Self {
        self.env.retain(|(name, _)| name != key);
        self.env.push((key.into(), value.to_string()));
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    /// These arguments and no others.
    pub(crate) fn instead(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|&arg| arg.to_owned()).collect();
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
    pub(crate) fn apps(self, apps: &Value) -> Self {
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
        let Ok(exit) = tokio::time::timeout(START, run).await else {
            kill(pid, Signal::KILL);
            panic!("the process goes on, where it should have ended with a message");
        };
        exit.unwrap()
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
            .unwrap_or_else(|error| panic!("{}: {error}", Binary::path().display()));
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
