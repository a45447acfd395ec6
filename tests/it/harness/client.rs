//! A WebSocket client that shows every frame and can send what no library would.

use std::collections::VecDeque;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::http::{Http, Response};
use super::io::Io;
use super::sign::App;
use super::wire::{Opcode, WireFrame, client_frame, take_frame};
use super::within;

/// The only answer to `pusher:ping`.
pub(crate) const PONG: &str = r#"{"event":"pusher:pong","data":{}}"#;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Text(String),
    Close {
        code: Option<u16>,
        reason: String,
    },
    /// The connection has ended.
    End,
}

/// One WebSocket connection.
pub(crate) struct Client {
    pub(crate) io: Io,
    buffer: Vec<u8>,
    partial: Vec<u8>,
    queue: VecDeque<Message>,
    /// The 101.
    pub(crate) handshake: Response,
    /// WebSocket pings that were answered.
    pub(crate) pings: usize,
    /// Whether WebSocket pings are answered at all.
    pub(crate) answers_pings: bool,
    /// Pongs that came, by payload.
    pub(crate) pongs: Vec<Vec<u8>>,
    app: App,
    id: String,
}

impl Client {
    /// Upgrades; a refusal comes back as the HTTP answer.
    pub(crate) async fn upgrade(
        io: Io,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Response> {
        let mut http = Http::over(io);
        http.write(upgrade_request(target, headers).as_bytes())
            .await;
        let response = http.response().await;
        if response.status == 101 {
            Ok(Self::new(http, response))
        } else {
            Err(response)
        }
    }

    /// Takes over a connection on which the request has been written.
    pub(crate) async fn after_upgrade(mut http: Http) -> Self {
        let response = http.response().await;
        Self::new(http, response)
    }

    fn new(http: Http, handshake: Response) -> Self {
        assert_eq!(handshake.status, 101);
        assert_eq!(handshake.header("sec-websocket-accept"), Some(ACCEPT));
        let (io, buffer) = http.into_parts();
        Self {
            io,
            buffer,
            partial: Vec::new(),
            queue: VecDeque::new(),
            handshake,
            pings: 0,
            answers_pings: true,
            pongs: Vec::new(),
            app: App::default_app(),
            id: String::new(),
        }
    }

    /// Takes `pusher:connection_established` and remembers whose secret signs for this client.
    pub(crate) async fn established(mut self, app: &App) -> Self {
        let data = self.expect_event("pusher:connection_established").await["data"].clone();
        let data: Value = serde_json::from_str(data.as_str().unwrap()).unwrap();
        assert_eq!(data["activity_timeout"], 30);
        data["socket_id"].as_str().unwrap().clone_into(&mut self.id);
        self.app = app.clone();
        self
    }

    /// The socket id that the server gave.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    // Sending.

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        within("a write to the server", self.io.write(bytes))
            .await
            .unwrap();
    }

    pub(crate) async fn send_frame(&mut self, fin: bool, opcode: Opcode, payload: &[u8]) {
        self.send_bytes(&client_frame(fin, opcode, payload)).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send_frame(true, Opcode::Text, text.as_bytes()).await;
    }

    pub(crate) async fn send(&mut self, value: Value) {
        self.send_text(&value.to_string()).await;
    }

    pub(crate) async fn send_close(&mut self, code: u16) {
        self.send_frame(true, Opcode::Close, &code.to_be_bytes())
            .await;
    }

    /// Closes politely and waits until the server has answered and hung up.
    pub(crate) async fn close(mut self) {
        self.send_close(1000).await;
        while !matches!(self.recv().await, Message::Close { .. } | Message::End) {}
    }

    // Receiving.

    /// The next message, within the deadline.
    pub(crate) async fn recv(&mut self) -> Message {
        within("a message for this client", self.next()).await
    }

    /// The next message, however long it takes. WebSocket pings are answered on the way. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Message {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return message;
            }
            if let Some(frame) = take_frame(&mut self.buffer) {
                self.take(frame).await;
                continue;
            }
            match self.io.read(&mut self.buffer).await {
                Ok(got) if got > 0 => {}
                _ => return Message::End,
            }
        }
    }

    async fn take(&mut self, frame: WireFrame) {
        match frame.opcode {
            Opcode::Text | Opcode::Continuation => {
                self.partial.extend(frame.payload);
                if frame.fin {
                    let text = String::from_utf8(std::mem::take(&mut self.partial))
                        .expect("UTF-8 from the server");
                    self.queue.push_back(Message::Text(text));
                }
            }
            Opcode::Close => {
                let code = frame
                    .payload
                    .first_chunk()
                    .map(|two| u16::from_be_bytes(*two));
                let reason =
                    String::from_utf8(frame.payload.get(2..).unwrap_or_default().to_vec()).unwrap();
                self.queue.push_back(Message::Close { code, reason });
            }
            Opcode::Ping => {
                self.pings += 1;
                if self.answers_pings {
                    let _ = self
                        .io
                        .write(&client_frame(true, Opcode::Pong, &frame.payload))
                        .await;
                }
            }
            Opcode::Pong => self.pongs.push(frame.payload),
            Opcode::Binary | Opcode::Reserved(_) => panic!("the server sent {:?}", frame.opcode),
        }
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.recv().await {
            Message::Text(text) => text,
            other => panic!("a text frame was due, not {other:?}"),
        }
    }

    pub(crate) async fn expect_frame(&mut self, exact: &str) {
        assert_eq!(self.text().await, exact);
    }

    /// The next frame must be this event; gives the whole frame.
    pub(crate) async fn expect_event(&mut self, name: &str) -> Value {
        let text = self.text().await;
        let frame: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(frame["event"], name, "{text}");
        frame
    }

    /// Passes over other frames until this event.
    pub(crate) async fn wait_event(&mut self, name: &str) -> Value {
        loop {
            let frame: Value = serde_json::from_str(&self.text().await).unwrap();
            if frame["event"] == name {
                return frame;
            }
        }
    }

    /// Pings; the next frame is the pong, so nothing was queued before it.
    pub(crate) async fn expect_silence(&mut self) {
        self.send_text(r#"{"event":"pusher:ping","data":{}}"#).await;
        self.expect_frame(PONG).await;
    }

    /// The next thing is a close frame with this code; gives its reason.
    pub(crate) async fn expect_close(&mut self, code: u16) -> String {
        match self.recv().await {
            Message::Close {
                code: Some(got),
                reason,
            } if got == code => reason,
            other => panic!("a close frame {code} was due, not {other:?}"),
        }
    }

    /// An error frame and the close that repeats its code and its words; then the end.
    pub(crate) async fn expect_refusal(&mut self, code: u16, message: &str) {
        let frame =
            format!(r#"{{"event":"pusher:error","data":{{"code":{code},"message":"{message}"}}}}"#);
        self.expect_frame(&frame).await;
        assert_eq!(self.expect_close(code).await, message);
        self.send_close(code).await;
        assert_eq!(self.recv().await, Message::End);
    }

    /// A `pusher:error` that leaves the connection open.
    pub(crate) async fn expect_error(&mut self, code: u16) -> Value {
        let frame = self.expect_event("pusher:error").await;
        assert_eq!(frame["data"]["code"], code, "{frame}");
        frame
    }

    // Channels.

    /// Subscribes to a channel that asks for no signature.
    pub(crate) async fn subscribe(&mut self, channel: &str) {
        self.send(json!({"event": "pusher:subscribe", "data": {"auth": "", "channel": channel}}))
            .await;
        self.expect_subscribed(channel).await;
    }

    pub(crate) async fn expect_subscribed(&mut self, channel: &str) {
        self.expect_frame(&format!(
            r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{channel}","data":"{{}}"}}"#
        ))
        .await;
    }

    pub(crate) async fn send_private(&mut self, channel: &str) {
        let auth = self.app.auth(&format!("{}:{channel}", self.id));
        self.send(json!({"event": "pusher:subscribe", "data": {"auth": auth, "channel": channel}}))
            .await;
    }

    /// Subscribes to a private or encrypted channel.
    pub(crate) async fn private(&mut self, channel: &str) {
        self.send_private(channel).await;
        self.expect_subscribed(channel).await;
    }

    pub(crate) async fn send_presence(&mut self, channel: &str, channel_data: &str) {
        let auth = self
            .app
            .auth(&format!("{}:{channel}:{channel_data}", self.id));
        let data = json!({"auth": auth, "channel_data": channel_data, "channel": channel});
        self.send(json!({"event": "pusher:subscribe", "data": data}))
            .await;
    }

    /// Joins a presence channel; gives the `presence` object of the answer.
    pub(crate) async fn presence(&mut self, channel: &str, channel_data: &str) -> Value {
        self.send_presence(channel, channel_data).await;
        self.expect_joined(channel).await
    }

    pub(crate) async fn expect_joined(&mut self, channel: &str) -> Value {
        let frame = self
            .expect_event("pusher_internal:subscription_succeeded")
            .await;
        assert_eq!(frame["channel"], channel);
        let data: Value = serde_json::from_str(frame["data"].as_str().unwrap()).unwrap();
        data["presence"].clone()
    }

    pub(crate) async fn unsubscribe(&mut self, channel: &str) {
        self.send(json!({"event": "pusher:unsubscribe", "data": {"channel": channel}}))
            .await;
    }

    pub(crate) async fn send_signin(&mut self, user_data: &str) {
        let auth = self.app.auth(&format!("{}::user::{user_data}", self.id));
        self.send(
            json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}}),
        )
        .await;
    }

    pub(crate) async fn signin(&mut self, user_data: &str) {
        self.send_signin(user_data).await;
        let frame = self.expect_event("pusher:signin_success").await;
        assert_eq!(frame["data"]["user_data"], user_data);
    }
}

/// The bytes of an upgrade.
pub(crate) fn upgrade_request(target: &str, headers: &[(&str, &str)]) -> String {
    let mut text = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
    );
    for (key, value) in headers {
        write!(text, "{key}: {value}\r\n").unwrap();
    }
    text + "\r\n"
}
