//! Plays the client's side of a transcript and holds the server to its own.

mod exchange;
mod names;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::deviations::{self, Change};
use super::script::{Line, Script};
use super::{body, expect};
use crate::harness::{
    Answer, App, Binary, Client, Message, Opcode, PONG, Receiver, Response, Server, ServerBuilder,
};

/// Recordings were made after this second; an `auth_timestamp` before it was chosen on purpose.
const RECORDED_AFTER: u64 = 1_795_000_000;

pub(crate) async fn play(name: &str) {
    let script = Script::load(name);
    let receiver = Receiver::start().await;
    if Binary::under_test() == Binary::Soketi {
        receiver.answer("/fail", [Answer::status(500)]);
        receiver.answer(
            "/redirect",
            [Answer {
                location: Some("/redirected".into()),
                ..Answer::status(302)
            }],
        );
    }
    let server = server(&script, &receiver).start().await;
    let mut replay = Replay::new(&script, server, receiver);
    for at in 0..script.lines.len() {
        let pause = script.pause_before(at);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        replay.step(at).await;
    }
    replay.finish().await;
}

/// The server of a transcript: its settings, with this run's webhook receiver.
pub(crate) fn server(script: &Script, receiver: &Receiver) -> ServerBuilder {
    let mut builder = Server::builder();
    if script.name != "metrics-disabled" {
        builder = builder.env("SOKETI_METRICS_ENABLED", 1);
    }
    // Soketi holds no webhook back.
    builder = builder.env("SOKETI_WEBHOOKS_GRACE", 0);
    for (key, value) in script.meta["env"].as_object().into_iter().flatten() {
        if !key.ends_with("_PORT") {
            builder = builder.env(key, value.as_str().unwrap());
        }
    }
    if script.meta["config"].is_object() {
        let config = script.meta["config"]
            .to_string()
            .replace("127.0.0.1:6115", &receiver.address.to_string());
        builder = builder.config(&serde_json::from_str(&config).unwrap());
    }
    builder
}

/// One connection of the script.
struct Conn {
    outcome: Result<Client, Response>,
    app: App,
    recorded_id: String,
    /// Frames that came while the replay waited for something else.
    early: VecDeque<String>,
    last_error: String,
}

struct Replay<'a> {
    script: &'a Script,
    server: Server,
    receiver: Receiver,
    apps: Vec<App>,
    conns: HashMap<String, Conn>,
    /// Recorded texts and what they are in this run.
    renamed: Vec<(String, String)>,
    hooks_due: Vec<String>,
    met: Vec<usize>,
}

impl<'a> Replay<'a> {
    fn new(script: &'a Script, server: Server, receiver: Receiver) -> Self {
        let apps = script.apps();
        let (conns, renamed) = (HashMap::new(), Vec::new());
        Self {
            script,
            server,
            receiver,
            apps,
            conns,
            renamed,
            hooks_due: Vec::new(),
            met: Vec::new(),
        }
    }

    fn change(&mut self, line: &Line) -> Option<Change> {
        if Binary::under_test() == Binary::Soketi {
            return None;
        }
        let found = deviations::ALL
            .iter()
            .find(|one| one.file == self.script.name && one.line == line.number)?;
        self.met.push(line.number);
        Some(found.change)
    }

    fn here(&self, line: &Line) -> String {
        format!("{}.jsonl:{}", self.script.name, line.number)
    }

    async fn step(&mut self, at: usize) {
        let line = &self.script.lines[at];
        match line.kind.as_str() {
            "connect" => self.connect(line).await,
            "open" => self.opened(line),
            "upgrade_refused" => self.refused(line),
            "send" => self.send(at).await,
            "recv" => self.recv(line).await,
            "silence" => self.silence(line).await,
            "client_close" => self.client_close(line).await,
            "close" => self.close(line).await,
            "http" => self.http(line).await,
            "webhook" => self.webhook(line),
            _ => {}
        }
        if let Some(Change::On(conn, want)) = self.change(line) {
            assert_eq!(self.next_frame(conn).await, want, "{}", self.here(line));
        }
    }

    async fn connect(&mut self, line: &Line) {
        let target = line.text("target");
        let offered: Vec<&str> = line.value["subprotocols"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let offered = offered.join(", ");
        let mut headers = Vec::new();
        if !offered.is_empty() {
            headers.push(("Sec-WebSocket-Protocol", offered.as_str()));
        }
        let outcome = self.server.upgrade(target, &headers).await;
        let key = target
            .split('?')
            .next()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        let app = self
            .apps
            .iter()
            .rev()
            .find(|app| app.key == key)
            .unwrap_or(&self.apps[0])
            .clone();
        let early = VecDeque::new();
        let conn = Conn {
            outcome,
            app,
            recorded_id: String::new(),
            early,
            last_error: String::new(),
        };
        self.conns.insert(line.conn().to_owned(), conn);
    }

    fn opened(&mut self, line: &Line) {
        let client = self.conns[line.conn()]
            .outcome
            .as_ref()
            .unwrap_or_else(|got| panic!("refused: {got:?}"));
        let shown = client.handshake.header("sec-websocket-protocol");
        assert_eq!(
            shown.unwrap_or_default(),
            line.text("subprotocol"),
            "{}",
            self.here(line)
        );
    }

    fn refused(&mut self, line: &Line) {
        let here = self.here(line);
        let got = self.conns[line.conn()]
            .outcome
            .as_ref()
            .err()
            .unwrap_or_else(|| panic!("{here}: upgraded"));
        expect::same_answer(&here, &expect::answer(&line.value), got);
    }

    fn client(&mut self, name: &str) -> &mut Client {
        self.conns
            .get_mut(name)
            .unwrap()
            .outcome
            .as_mut()
            .unwrap_or_else(|got| panic!("refused: {got:?}"))
    }

    async fn send(&mut self, at: usize) {
        let line = &self.script.lines[at];
        let change = self.change(line);
        let conn = line.conn().to_owned();
        let frame = body::unfolded(&self.resigned(&conn, line.text("frame")));
        let opcode = if line.value["binary"] == true {
            Opcode::Binary
        } else {
            Opcode::Text
        };
        self.client(&conn)
            .send_frame(true, opcode, frame.as_bytes())
            .await;
        // What is not answered must have been dealt with before somebody else acts.
        let answered = self.script.lines[at + 1..]
            .iter()
            .take_while(|next| {
                !matches!(
                    next.kind.as_str(),
                    "send" | "http" | "connect" | "client_close"
                )
            })
            .any(|next| matches!(next.kind.as_str(), "recv" | "close") && next.conn() == conn);
        if !answered {
            self.sync(&conn).await;
        }
        if let Some(Change::May(frame)) = change
            && let early = &mut self.conns.get_mut(&conn).unwrap().early
            && early.front().is_some_and(|first| first == frame)
        {
            early.pop_front();
        }
    }

    /// Pings; keeps what comes before the pong.
    async fn sync(&mut self, name: &str) {
        let client = self.client(name);
        client.send_text(r#"{"event":"pusher:ping"}"#).await;
        let mut early = Vec::new();
        loop {
            match client.text().await {
                pong if pong == PONG => break,
                frame => early.push(frame),
            }
        }
        self.conns.get_mut(name).unwrap().early.extend(early);
    }

    async fn next_frame(&mut self, name: &str) -> String {
        match self.conns.get_mut(name).unwrap().early.pop_front() {
            Some(frame) => frame,
            None => self.client(name).text().await,
        }
    }

    async fn recv(&mut self, line: &Line) {
        let change = self.change(line);
        if matches!(change, Some(Change::Nothing)) {
            return;
        }
        let conn = line.conn().to_owned();
        self.prompt(line).await;
        let got = self.next_frame(&conn).await;
        let recorded = line.text("frame");
        if recorded.contains("pusher:connection_established") {
            self.learn_id(&conn, recorded, &got);
        }
        let want = match change {
            Some(Change::Frame(frame)) => frame.to_owned(),
            _ => expect::frame(&self.translated(recorded)),
        };
        assert!(
            expect::same_frame(&want, &got),
            "{}\n want {want}\n  got {got}",
            self.here(line)
        );
        if let Some(message) = error_message(&got) {
            self.conns.get_mut(&conn).unwrap().last_error = message;
        }
    }

    /// Does what an unrecorded library did to cause this frame.
    async fn prompt(&self, line: &Line) {
        if self.script.name != "official-pusher-js-session" {
            return;
        }
        let frame: Value = serde_json::from_str(line.text("frame")).unwrap();
        let part = |key: &str| frame[key].as_str().unwrap_or_default();
        match part("event") {
            event @ ("secret" | "to-user") => {
                let (channel, data) = (part("channel"), part("data"));
                self.server.trigger(channel, event, data).await;
            }
            "pusher:error" => {
                let path = "/users/1/terminate_connections";
                self.server
                    .post(path, &json!({}))
                    .await
                    .expect(200, r#"{"ok":true}"#);
            }
            _ => {}
        }
    }

    async fn silence(&mut self, line: &Line) {
        let conn = line.conn().to_owned();
        self.sync(&conn).await;
        let early = &self.conns[&conn].early;
        assert!(
            early.is_empty(),
            "{}: silence was due, not {early:?}",
            self.here(line)
        );
    }

    async fn client_close(&mut self, line: &Line) {
        let code = u16::try_from(line.value["code"].as_u64().unwrap()).unwrap();
        let here = self.here(line);
        let conn = self.conns.get_mut(line.conn()).unwrap();
        let early = std::mem::take(&mut conn.early);
        let client = conn.outcome.as_mut().ok().unwrap();
        client.send_close(code).await;
        let mut rest: Vec<String> = early.into();
        while let Message::Text(text) = client.recv().await {
            rest.push(text);
        }
        // Frames that were on their way when the client left; the script may still ask for them.
        conn.early = rest.into();
        assert!(conn.early.len() < 20, "{here}");
    }

    async fn close(&mut self, line: &Line) {
        let here = self.here(line);
        if matches!(self.change(line), Some(Change::Nothing)) {
            return;
        }
        let Some(mut conn) = self.conns.remove(line.conn()) else {
            return;
        };
        let unsaid = line.value["by"].is_null() && line.value["code"] == 4009;
        if line.text("by") == "server" || unsaid {
            assert!(conn.early.is_empty(), "{here}: {:?}", conn.early);
            let code = u16::try_from(line.value["code"].as_u64().unwrap()).unwrap();
            let client = conn.outcome.as_mut().ok().unwrap();
            let reason = client.expect_close(code).await;
            let want = if Binary::under_test() == Binary::Soketi {
                ""
            } else {
                conn.last_error.as_str()
            };
            assert_eq!(reason, want, "{here}: the close repeats the error");
            client.send_close(code).await;
            return;
        }
        // A connection that left is asked for nothing more.
        assert!(conn.early.is_empty(), "{here}: undeclared {:?}", conn.early);
    }

    async fn finish(mut self) {
        let names: Vec<String> = self.conns.keys().cloned().collect();
        for name in names {
            assert!(
                self.conns[&name].early.is_empty(),
                "{name}: {:?}",
                self.conns[&name].early
            );
        }
        self.hooks().await;
        assert!(self.server.exited().is_none(), "the server has exited");
        if Binary::under_test() == Binary::Bowline {
            let declared = deviations::ALL
                .iter()
                .filter(|one| one.file == self.script.name);
            let unmet: Vec<_> = declared
                .filter(|one| !self.met.contains(&one.line))
                .collect();
            assert!(unmet.is_empty(), "declared but not met: {unmet:?}");
        }
    }
}

fn error_message(frame: &str) -> Option<String> {
    let frame: Value = serde_json::from_str(frame).ok()?;
    let named = frame["event"] == json!("pusher:error");
    named.then(|| {
        frame["data"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    })
}
