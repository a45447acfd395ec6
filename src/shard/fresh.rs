//! A connection's first bytes: a PROXY header from a trusted proxy, then a request head that is either a WebSocket handshake, answered here,
//! or anything else, which hyper gets from its first byte on.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use percent_encoding::percent_decode_str;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    http::Listener,
    shard::{link::Link, proxy, wheel::Tick},
};

/// Bytes of a request head; more is answered with 431.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

/// What tells a handshake from other requests stands within the first so many bytes, unless the path prefix is long.
const LINE_BYTES: usize = 512;

/// Headers of a request head.
const HEADERS_MAX: usize = 64;

/// A connection that has not shown what it is.
#[derive(Debug)]
pub struct Fresh {
    /// The stream; TLS is put on it when no PROXY header can come any more.
    pub link: Link,
    /// The listener it came by.
    pub listener: Listener,
    /// Who is at the other end, as far as known.
    pub address: Option<IpAddr>,
    /// What came so far.
    pub head: Vec<u8>,
    /// A PROXY header may come first, then TLS may begin.
    pub proxy: bool,
    /// TLS is on it where it must be.
    pub secured: bool,
    /// Readiness is told already.
    pub registered: bool,
    /// When it must have shown itself.
    pub by: Tick,
    /// The server closes: answered when the time comes.
    pub held: Option<Box<(Handshake, Vec<u8>)>>,
}

impl Fresh {
    /// Looks at what came, together with what came before; all but a whole handshake is kept. `prefix` is `None` where no WebSocket is spoken.
    pub fn look(&mut self, bytes: &[u8], prefix: Option<&str>) -> Head {
        let head = |bytes: &[u8]| prefix.map_or(Head::Http, |prefix| read_head(bytes, prefix));
        if self.head.is_empty() {
            let head = head(bytes);
            if !matches!(head, Head::WebSocket(..)) {
                self.head.extend_from_slice(bytes);
            }
            return head;
        }
        self.head.extend_from_slice(bytes);
        // A head that comes byte by byte is read anew only where a line ends.
        if self.head.len() > LINE_BYTES && !bytes.contains(&b'\n') {
            return Head::Partial;
        }
        head(&self.head)
    }
}

/// What the WebSocket handshake said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The app's key, decoded.
    pub app_key: String,
    /// `Sec-WebSocket-Accept`
    pub accept: String,
    /// The first sub-protocol offered.
    pub subprotocol: Option<String>,
    /// `Origin`
    pub origin: Option<String>,
    /// `protocol` of the query.
    pub version: Option<String>,
    /// `X-Forwarded-For`
    pub forwarded: Option<String>,
}

/// What a head turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// More bytes are needed.
    Partial,
    /// A handshake, and how many bytes it took.
    WebSocket(Box<Handshake>, usize),
    /// hyper's business.
    Http,
}

/// Looks at the first bytes. `prefix` is the path prefix of all routes.
pub fn read_head(bytes: &[u8], prefix: &str) -> Head {
    let (route, seen) = (["GET ", prefix, "/app/"], bytes);
    let mut rest = seen;
    for part in route {
        let n = part.len().min(rest.len());
        if rest[..n] != part.as_bytes()[..n] {
            return Head::Http;
        }
        rest = &rest[n..];
    }
    if rest.is_empty() {
        return Head::Partial;
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            let header = |name: &str| header(request.headers, name);
            let target = request.path.unwrap_or_default();
            handshake(target, prefix, header).map_or(Head::Http, |handshake| {
                Head::WebSocket(Box::new(handshake), length)
            })
        }
        Ok(httparse::Status::Partial) => Head::Partial,
        Err(_) => Head::Http,
    }
}

/// The first of its name; of `X-Forwarded-For` the last, which is the nearest proxy's own where it adds a line instead of a word.
fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let mut found = headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
    let found = match name {
        "x-forwarded-for" => found.next_back(),
        _ => found.next(),
    };
    std::str::from_utf8(found?.value).ok()
}

/// A handshake that can be answered with 101; `None` for what the HTTP router must refuse.
pub fn handshake<'a>(
    target: &str,
    prefix: &str,
    header: impl Fn(&str) -> Option<&'a str>,
) -> Option<Handshake> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let key = path
        .strip_prefix(prefix)?
        .strip_prefix("/app/")
        .filter(|key| !key.is_empty() && !key.contains('/'))?;
    let names = |value: &str, word: &str| {
        value
            .split(',')
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    let nonce = header("sec-websocket-key").filter(|nonce| nonce.trim().len() == 24)?;
    let upgrade = names(header("upgrade")?, "websocket") && names(header("connection")?, "upgrade");
    if !upgrade || header("sec-websocket-version")?.trim() != "13" {
        return None;
    }
    let subprotocol = header("sec-websocket-protocol")
        .and_then(|list| list.split(',').next())
        .map(str::trim);
    let version = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("protocol="));
    Some(Handshake {
        app_key: percent_decode_str(key).decode_utf8_lossy().into_owned(),
        accept: derive_accept_key(nonce.trim().as_bytes()),
        subprotocol: subprotocol
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
        origin: header("origin").map(str::to_owned),
        version: version.map(str::to_owned),
        forwarded: header("x-forwarded-for").map(str::to_owned),
    })
}

impl Handshake {
    /// Appends the 101.
    pub fn answer(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
        out.extend_from_slice(self.accept.as_bytes());
        if let Some(name) = &self.subprotocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(name.as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// The answer to a head that is too long.
pub const HEAD_TOO_LONG: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json\r\nContent-Length: 68\r\nConnection: close\r\n\r\n\
    {\"error\":\"The request headers are larger than 16 KiB.\",\"code\":431}\r\n";

/// The client's address as trusted proxies tell it: the last one that is not a proxy's own.
pub fn client_address(forwarded: &str, trusted: &[ipnet::IpNet]) -> Option<IpAddr> {
    let parse = |text: &str| {
        let text = text.trim().trim_start_matches('[').trim_end_matches(']');
        text.parse::<IpAddr>()
            .ok()
            .or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()))
    };
    let addresses = forwarded.split(',').rev().map_while(parse);
    let mut last = None;
    for address in addresses {
        last = Some(address);
        if !proxy::is_trusted(trusted, address) {
            break;
        }
    }
    last
}

/// Whether a page's origin is on the app's list; a host pattern may hold `*`.
pub fn origin_allowed(patterns: &[String], origin: Option<&str>) -> bool {
    if patterns.is_empty() {
        return true;
    }
    let Some(origin) = origin else { return false };
    let host = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    let candidates = [
        Cow::Borrowed(origin),
        Cow::Borrowed(host),
        Cow::Borrowed(name),
    ];
    patterns.iter().any(|pattern| {
        candidates.iter().any(|candidate| {
            matches(
                &pattern.to_ascii_lowercase(),
                &candidate.to_ascii_lowercase(),
            )
        })
    })
}

/// `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "GET /p/app/k%2B?protocol=7&client=js HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    #[test]
    fn a_handshake_is_told_from_other_requests() {
        let Head::WebSocket(handshake, length) = read_head(HEAD.as_bytes(), "/p") else {
            panic!("a handshake")
        };
        assert_eq!(
            (
                handshake.app_key.as_str(),
                handshake.accept.as_str(),
                length
            ),
            ("k+", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", HEAD.len())
        );
        assert_eq!(handshake.version.as_deref(), Some("7"));
        for cut in 0..HEAD.len() {
            assert_eq!(
                read_head(&HEAD.as_bytes()[..cut], "/p"),
                Head::Partial,
                "{cut}"
            );
        }
        for other in [
            HEAD.replace("/p/", "/q/"),
            HEAD.replace("GET", "PUT"),
            HEAD.replace("k%2B", "k/x"),
            HEAD.replace(": 13", ": 12"),
        ] {
            assert_eq!(read_head(other.as_bytes(), "/p"), Head::Http, "{other}");
        }
    }

    #[test]
    fn the_nearest_proxy_is_believed() {
        let spoofed =
            "\r\nX-Forwarded-For: 192.0.2.66\r\nx-forwarded-for: 192.0.2.1, 192.0.2.2\r\n\r\n";
        let head = HEAD.replace("\r\n\r\n", spoofed);
        let Head::WebSocket(handshake, _) = read_head(head.as_bytes(), "/p") else {
            panic!("a handshake")
        };
        assert_eq!(handshake.forwarded.as_deref(), Some("192.0.2.1, 192.0.2.2"));
    }

    #[test]
    fn a_head_that_is_too_long_is_answered_whole() {
        let answer = std::str::from_utf8(HEAD_TOO_LONG).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }

    #[test]
    fn origins_match_by_host() {
        let list = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (patterns, origin, allowed) in [
            (list(&[]), None, true),
            (list(&["example.org"]), None, false),
            (list(&["example.org"]), Some("https://example.org"), true),
            (
                list(&["example.org"]),
                Some("https://Example.org:8443"),
                true,
            ),
            (
                list(&["*.example.org"]),
                Some("https://a.example.org"),
                true,
            ),
            (
                list(&["*.example.org"]),
                Some("https://example.org.evil.test"),
                false,
            ),
            (
                list(&["https://example.org"]),
                Some("http://example.org"),
                false,
            ),
            (list(&["*"]), Some("null"), true),
        ] {
            assert_eq!(
                origin_allowed(&patterns, origin),
                allowed,
                "{patterns:?} {origin:?}"
            );
        }
    }
}
