//! HTTP with every byte in view: one connection, kept as long as both sides keep it.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::Value;

use super::io::Io;
use super::within;

/// One connection to an HTTP port.
pub(crate) struct Http {
    pub(crate) io: Io,
    buffer: Vec<u8>,
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("a body that is not JSON: {self:?}"))
    }

    /// Whether the server will take another request on this connection.
    pub(crate) fn keeps(&self) -> bool {
        !self
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Status and exact body at once.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.text()), (status, body));
    }

    /// An error of the API: real status, Soketi's body.
    #[track_caller]
    pub(crate) fn expect_error(&self, status: u16, text: &str) {
        self.expect(status, &format!(r#"{{"error":"{text}","code":{status}}}"#));
    }

    /// An error whose sentence is the server's own.
    #[track_caller]
    pub(crate) fn expect_error_code(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["code"], status, "{body}");
        assert!(
            body["error"].as_str().is_some_and(|text| !text.is_empty()),
            "{body}"
        );
    }
}

impl Http {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(Io::tcp(address).await)
    }

    pub(crate) fn over(io: Io) -> Self {
        Self {
            io,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        within("an HTTP write", self.io.write(bytes)).await.unwrap();
    }

    /// Sends a request with `Host` and, for a body, `Content-Length`.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) {
        self.write(&request_bytes(method, target, headers, body))
            .await;
    }

    pub(crate) async fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Response {
        self.send(method, target, headers, body).await;
        let bodyless = method == "HEAD";
        within(
            &format!("the answer to {method} {target}"),
            self.read(bodyless),
        )
        .await
    }

    pub(crate) async fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], None).await
    }

    /// The next answer on the wire.
    pub(crate) async fn response(&mut self) -> Response {
        within("an HTTP answer", self.read(false)).await
    }

    /// The next answer, or nothing if the connection ends first.
    pub(crate) async fn answer_or_end(&mut self) -> Option<Response> {
        while self.buffer.is_empty() {
            if self.fill().await == 0 {
                return None;
            }
        }
        Some(self.read(false).await)
    }

    /// Everything until the server ends the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        within("the end of an HTTP connection", async {
            while self.fill().await > 0 {}
        })
        .await;
        std::mem::take(&mut self.buffer)
    }

    async fn fill(&mut self) -> usize {
        self.io.read(&mut self.buffer).await.unwrap_or(0)
    }

    async fn read(&mut self, bodyless: bool) -> Response {
        let (mut response, length) = loop {
            if let Some((response, used)) = parse_head(&self.buffer) {
                self.buffer.drain(..used);
                // "100 Continue" and its like are not the answer.
                if response.status != 101 && response.status < 200 {
                    continue;
                }
                break (response, used);
            }
            assert!(
                self.fill().await > 0,
                "the connection ended before an answer: {:?}",
                self.so_far()
            );
        };
        debug_assert!(length > 0);
        if bodyless || matches!(response.status, 101 | 204 | 304) {
            return response;
        }
        response.body = self.read_body(&response).await;
        response
    }

    async fn read_body(&mut self, response: &Response) -> Vec<u8> {
        if response.header("transfer-encoding").is_some() {
            return self.read_chunks().await;
        }
        let Some(length) = response.header("content-length") else {
            while self.fill().await > 0 {}
            return std::mem::take(&mut self.buffer);
        };
        let length: usize = length.parse().unwrap();
        self.fill_to(length).await;
        self.buffer.drain(..length).collect()
    }

    async fn read_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                    break self.buffer.drain(..at + 2).collect::<Vec<_>>();
                }
                assert!(
                    self.fill().await > 0,
                    "the connection ended within a chunked body"
                );
            };
            let size =
                usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            self.fill_to(size + 2).await;
            body.extend(self.buffer.drain(..size));
            self.buffer.drain(..2);
            if size == 0 {
                return body;
            }
        }
    }

    async fn fill_to(&mut self, length: usize) {
        while self.buffer.len() < length {
            assert!(
                self.fill().await > 0,
                "the connection ended within a body: {:?}",
                self.so_far()
            );
        }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    /// What was read beyond the last answer, and the stream itself.
    pub(crate) fn into_parts(self) -> (Io, Vec<u8>) {
        (self.io, self.buffer)
    }
}

/// The bytes of a request with `Host` and, for a body, `Content-Length`.
pub(crate) fn request_bytes(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    for (key, value) in headers {
        write!(text, "{key}: {value}\r\n").unwrap();
    }
    if let Some(body) = body {
        write!(text, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}

fn parse_head(buffer: &[u8]) -> Option<(Response, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(used) = head.parse(buffer).expect("an HTTP answer") else {
        return None;
    };
    let headers = head
        .headers
        .iter()
        .map(|header| {
            (
                header.name.to_owned(),
                String::from_utf8_lossy(header.value).into_owned(),
            )
        })
        .collect();
    let reason = head.reason.unwrap_or_default().to_owned();
    Some((
        Response {
            status: head.code?,
            reason,
            headers,
            body: Vec::new(),
        },
        used,
    ))
}
