//! Plays the client's side of a transcript and holds the server to its own.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::deviations::{self, Change};
use super::script::{Line, Script};
use super::{body, expect};
use crate::harness::{
    Answer, App, Binary, Client, Hook, Http, Message, Opcode, PONG, Receiver, Response, Server,
    ServerBuilder, eventually, hmac_hex, md5_hex, now_s, request_bytes,
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
                self.server
                    .trigger(part("channel"), event, part("data"))
                    .await
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

    // Names of this run.

    fn learn_id(&mut self, conn: &str, recorded: &str, got: &str) {
        let id = |frame: &str| {
            let frame: Value = serde_json::from_str(frame).unwrap();
            let data: Value = serde_json::from_str(frame["data"].as_str().unwrap_or_default())
                .unwrap_or_default();
            data["socket_id"].as_str().unwrap_or_default().to_owned()
        };
        let (old, new) = (id(recorded), id(got));
        self.conns
            .get_mut(conn)
            .unwrap()
            .recorded_id
            .clone_from(&old);
        self.renamed.push((old, new));
    }

    fn translated(&self, text: &str) -> String {
        self.renamed
            .iter()
            .fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
    }

    /// The frame with a signature for this run's socket id, if the recorded one was right.
    fn resigned(&mut self, conn: &str, frame: &str) -> String {
        let Ok(value) = serde_json::from_str::<Value>(frame) else {
            return frame.to_owned();
        };
        let data = &value["data"];
        let part = |key: &str| data[key].as_str();
        let (Some(auth), conn) = (part("auth"), &self.conns[conn]) else {
            return frame.to_owned();
        };
        let tail = match (part("user_data"), part("channel"), part("channel_data")) {
            (Some(user), ..) => format!(":user::{user}"),
            (_, Some(channel), Some(member)) => format!("{channel}:{member}"),
            (_, Some(channel), None) => channel.to_owned(),
            _ => return frame.to_owned(),
        };
        let signed = |id: &str| conn.app.auth(&format!("{id}:{tail}"));
        if signed(&conn.recorded_id) != auth {
            return frame.to_owned();
        }
        let fresh = signed(&self.translated(&conn.recorded_id));
        let text = frame.replace(auth, &fresh);
        self.renamed.push((auth.to_owned(), fresh));
        text
    }

    // HTTP.

    async fn http(&mut self, line: &Line) {
        let change = self.change(line);
        let here = format!("{} {}", self.here(line), line.text("label"));
        let want = match change {
            Some(Change::Skip) => return,
            Some(Change::Error(status)) => {
                return self.exchange(line).await.expect_error_code(status);
            }
            Some(Change::Answer(status, body)) => expect::Answer {
                status,
                headers: Vec::new(),
                body: body.to_owned(),
            },
            Some(Change::Json(body)) => expect::Answer {
                status: 200,
                headers: Vec::new(),
                body: body.to_owned(),
            },
            _ if line.value["response"]["status"].is_null() => return,
            _ => expect::answer(&line.value["response"]),
        };
        let want = expect::Answer {
            body: self.translated(&want.body),
            ..want
        };
        // Another shard may still be counting; a rate limit must not be asked twice.
        let asked_again =
            line.value["request"]["method"] == "GET" && !self.script.name.starts_with("rate-limit");
        if asked_again && want.body.contains("_count") {
            eventually(&here, async || {
                self.exchange(line).await.text() == want.body || want.body.contains("channels")
            })
            .await;
        }
        let got = self.exchange(line).await;
        expect::same_answer(&here, &want, &got);
    }

    async fn exchange(&self, line: &Line) -> Response {
        let request = &line.value["request"];
        let target = request["target"].as_str().unwrap();
        let path = target.split('?').next().unwrap();
        let label = line.text("label");
        let only_metrics =
            label.starts_with("metrics port") || self.script.name == "metrics-disabled";
        let metrics =
            only_metrics || (path == "/metrics" && !label.contains("only on the metrics port"));
        let address = if metrics {
            self.server.metrics
        } else {
            self.server.main
        };
        let shown = request["body"].as_str();
        let recorded = shown.map(|shown| match request["body_truncated_from"].as_u64() {
            Some(units) => body::whole(
                shown,
                usize::try_from(units).unwrap(),
                query(target, "body_md5"),
            ),
            None => shown.to_owned(),
        });
        let method = request["method"].as_str().unwrap();
        let body = recorded.as_deref().map(|body| self.translated(body));
        let body = if method == "POST" {
            Some(body.unwrap_or_default())
        } else {
            body
        };
        let target = self.resigned_target(method, target, recorded.as_deref(), body.as_deref());
        let headers = request["headers"].as_object().cloned().unwrap_or_default();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .filter(|(name, _)| {
                !["connection", "content-length", "host"].contains(&name.to_lowercase().as_str())
            })
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
            .collect();
        let mut http = Http::connect(address).await;
        if label.contains("two chunks") {
            let bytes = request_bytes(
                method,
                &target,
                &headers,
                body.as_deref().map(str::as_bytes),
            );
            let (first, second) = bytes.split_at(bytes.len() - 4);
            http.write(first).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            http.write(second).await;
            return http.response().await;
        }
        http.request(
            method,
            &target,
            &headers,
            body.as_deref().map(str::as_bytes),
        )
        .await
    }

    /// The target with this run's time and signature, if the recorded signature was right.
    fn resigned_target(
        &self,
        method: &str,
        target: &str,
        old_body: Option<&str>,
        body: Option<&str>,
    ) -> String {
        let (Some(signature), Some(time)) = (
            query(target, "auth_signature"),
            query(target, "auth_timestamp"),
        ) else {
            return target.to_owned();
        };
        let fresh = if time.parse().is_ok_and(|time: u64| time > RECORDED_AFTER) {
            now_s().to_string()
        } else {
            time.to_owned()
        };
        let moved = target.replace(
            &format!("auth_timestamp={time}"),
            &format!("auth_timestamp={fresh}"),
        );
        let Some(app) = self
            .apps
            .iter()
            .find(|app| target.contains(&format!("/apps/{}/", app.id)))
        else {
            return moved;
        };
        let md5s = |body: Option<&str>| body.map(|body| md5_hex(body.as_bytes()));
        let query_md5 = query(target, "body_md5").map(str::to_owned);
        // Which body, path and key did the recorded signature stand for?
        let path = target.split('?').next().unwrap();
        let bare = path.strip_prefix("/ws").unwrap_or(path);
        for (body_md5, path) in [
            (md5s(old_body), path),
            (query_md5, path),
            (None, path),
            (None, bare),
        ] {
            let text = string_to_sign(method, path, target, body_md5.as_deref(), &app.key);
            if hmac_hex(&app.secret, text.as_bytes()) != signature {
                continue;
            }
            let unchanged = body_md5 != md5s(old_body);
            let new_md5 = if unchanged { body_md5 } else { md5s(body) };
            let moved = match (query(target, "body_md5"), &new_md5) {
                (Some(old), Some(new)) if !unchanged => moved.replace(old, new),
                _ => moved,
            };
            let text = string_to_sign(method, path, &moved, new_md5.as_deref(), &app.key);
            return moved.replace(signature, &hmac_hex(&app.secret, text.as_bytes()));
        }
        moved
    }

    // Webhooks.

    fn webhook(&mut self, line: &Line) {
        match self.change(line) {
            Some(Change::Nothing) => {}
            Some(Change::Hook(instead)) => self
                .hooks_due
                .extend(instead.iter().map(|&hook| hook.to_owned())),
            _ => {
                let hook = self.recorded_hook(line);
                self.hooks_due.push(hook);
            }
        }
    }

    /// Every recorded webhook, whatever their order; those of one turn travel side by side.
    async fn hooks(&mut self) {
        let mut want: Vec<String> = std::mem::take(&mut self.hooks_due);
        let mut got: Vec<String> = Vec::new();
        for _ in &want {
            got.push(self.shown_hook(&self.receiver.next().await));
        }
        want = want.iter().map(|hook| self.translated(hook)).collect();
        want.sort();
        got.sort();
        assert_eq!(want, got, "{}: webhooks", self.script.name);
        let rest = self.receiver.waiting();
        assert!(
            rest.is_empty(),
            "{}: more webhooks: {rest:?}",
            self.script.name
        );
    }

    fn recorded_hook(&self, line: &Line) -> String {
        let body = self.translated(line.text("body"));
        let custom = line.value["headers"]["x-custom"].as_str();
        let key = line.value["headers"]["x-pusher-key"]
            .as_str()
            .unwrap_or_default();
        format!(
            "{} {} {custom:?} {key} {}",
            line.text("method"),
            line.text("url"),
            timeless(&body)
        )
    }

    fn shown_hook(&self, hook: &Hook) -> String {
        let key = hook.header("x-pusher-key").unwrap_or_default();
        if let Some(app) = self.apps.iter().find(|app| app.key == key)
            && hook.method == "POST"
        {
            hook.expect_signed(app);
        }
        format!(
            "{} {} {:?} {key} {}",
            hook.method,
            hook.path,
            hook.header("x-custom"),
            timeless(&hook.body)
        )
    }
}

/// A webhook body without its time, which must be there.
fn timeless(body: &str) -> String {
    let Some(rest) = body.strip_prefix(r#"{"time_ms":"#) else {
        return body.to_owned();
    };
    let (time, rest) = rest.split_once(',').unwrap();
    assert!(time.parse::<u64>().is_ok(), "{body}");
    format!(r#"{{"time_ms":T,{rest}"#)
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

fn query<'t>(target: &'t str, key: &str) -> Option<&'t str> {
    let pairs = target.split_once('?')?.1.split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

/// Soketi's string to sign (http-api.md 3), over a recorded target.
fn string_to_sign(
    method: &str,
    path: &str,
    target: &str,
    body_md5: Option<&str>,
    key: &str,
) -> String {
    const LEFT_OUT: [&str; 5] = [
        "auth_signature",
        "body_md5",
        "appId",
        "appKey",
        "channelName",
    ];
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let mut pairs: Vec<(String, String)> = target
        .split_once('?')
        .map_or("", |(_, query)| query)
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| !LEFT_OUT.contains(name))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    if !pairs.iter().any(|(name, _)| name == "auth_key") {
        pairs.push(("auth_key".into(), key.into()));
    }
    pairs.extend(body_md5.map(|md5| ("body_md5".to_owned(), md5.to_owned())));
    pairs.sort();
    let joined: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{method}\n{path}\n{}", joined.join("&"))
}
