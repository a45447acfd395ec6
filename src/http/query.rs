//! The query of a signed request: its parameters, decoded, and the text that was signed. Pure. spec: http-api, "Authentication".

use std::borrow::Cow;

use percent_encoding::percent_decode;
use smallvec::SmallVec;

use crate::{app::App, protocol::auth};

/// Parameters that are no part of what is signed; `body_md5` is put in again.
const UNSIGNED: [&[u8]; 5] = [
    b"auth_signature",
    b"body_md5",
    b"appId",
    b"appKey",
    b"channelName",
];

/// An MD5 in lower-case hex.
pub type HexMd5 = [u8; 32];

/// One `key=value`, decoded; no value where there was no `=`.
type Parameter<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// Parameters as they came: `+` is a space, `%xx` a byte.
fn parameters(query: &str) -> Parameters<'_> {
    Parameters {
        rest: query.as_bytes(),
    }
}

/// Looks at every byte once.
struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Parameter<'a>> {
        let start = self.rest.iter().position(|&b| b != b'&')?;
        let text = &self.rest[start..];
        let (mut equals, mut end, mut encoded) = (None, text.len(), false);
        for (at, &byte) in text.iter().enumerate() {
            match byte {
                b'&' => {
                    end = at;
                    break;
                }
                b'=' if equals.is_none() => equals = Some(at),
                b'+' | b'%' => encoded = true,
                _ => {}
            }
        }
        self.rest = &text[end..];
        let decode = |bytes: &'a [u8]| {
            if encoded {
                decode(bytes)
            } else {
                Cow::Borrowed(bytes)
            }
        };
        let key = &text[..equals.unwrap_or(end)];
        let value = equals.map(|at| decode(&text[at + 1..end]));
        Some((decode(key), value))
    }
}

fn decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    let spaced: Vec<u8> = bytes
        .iter()
        .map(|&b| if b == b'+' { b' ' } else { b })
        .collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

/// The first value of a parameter.
pub fn value<'a>(query: &'a str, key: &str) -> Option<Cow<'a, str>> {
    parameters(query)
        .find(|(name, _)| **name == *key.as_bytes())
        .and_then(|(_, value)| value)
        .map(|value| match value {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        })
}

/// What the query of a request claims.
#[derive(Debug)]
pub struct Claims<'a> {
    key: Single<'a>,
    timestamp: Single<'a>,
    signature: Single<'a>,
    body_md5: Single<'a>,
    /// Those that are signed, sorted by key; `body_md5` is not among them.
    signed: SmallVec<[Parameter<'a>; 8]>,
}

/// A parameter that must occur once.
#[derive(Debug, Default)]
enum Single<'a> {
    #[default]
    Absent,
    Once(Cow<'a, [u8]>),
    /// Without a value, or several times.
    Odd,
}

impl<'a> Single<'a> {
    fn add(&mut self, value: Option<&Cow<'a, [u8]>>) {
        *self = match (&self, value) {
            (Self::Absent, Some(value)) => Self::Once(value.clone()),
            _ => Self::Odd,
        };
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Once(value) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// In upper case.
    pub method: &'a str,
    /// Still encoded, with the prefix.
    pub path: &'a str,
    /// Clients may have signed without it.
    pub prefix: &'a str,
}

impl<'a> Claims<'a> {
    /// From a query without its `?`.
    pub fn parse(query: &'a str) -> Self {
        let mut claims = Self {
            key: Single::Absent,
            timestamp: Single::Absent,
            signature: Single::Absent,
            body_md5: Single::Absent,
            signed: SmallVec::new(),
        };
        for (key, value) in parameters(query) {
            let single = match &*key {
                b"auth_key" => Some(&mut claims.key),
                b"auth_timestamp" => Some(&mut claims.timestamp),
                b"auth_signature" => Some(&mut claims.signature),
                b"body_md5" => Some(&mut claims.body_md5),
                _ => None,
            };
            if let Some(single) = single {
                single.add(value.as_ref());
            }
            if !UNSIGNED.contains(&&*key) {
                claims.signed.push((key, value));
            }
        }
        claims.signed.sort_by(|(a, _), (b, _)| a.cmp(b));
        claims
    }

    /// Seconds since 1970.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp.text()?.parse().ok()
    }

    /// The MD5 that the query gives for the body, if it gives one that can be one.
    pub fn body_md5(&self) -> Option<HexMd5> {
        self.body_md5.text()?.as_bytes().try_into().ok()
    }

    /// The query has a `body_md5`, whatever it says.
    pub fn names_body_md5(&self) -> bool {
        !matches!(self.body_md5, Single::Absent)
    }

    /// `auth_key` is the app's and there is something to compare.
    pub fn is_plausible(&self, app: &App) -> bool {
        self.key.text() == Some(&*app.key.0) && self.signature.text().is_some_and(|s| s.len() == 64)
    }

    /// Whether the app signed this request, with or without the prefix in its path. `body_md5` stands in what was signed.
    pub fn verify(&self, app: &App, asked: Asked<'_>, body_md5: Option<&HexMd5>) -> bool {
        let Some(signature) = self.signature.text().filter(|_| self.is_plausible(app)) else {
            return false;
        };
        let bare = asked
            .path
            .strip_prefix(asked.prefix)
            .filter(|_| !asked.prefix.is_empty());
        [Some(asked.path), bare].into_iter().flatten().any(|path| {
            let parts = self.parts(asked.method, path, body_md5);
            app.secrets()
                .any(|secret| auth::verify(secret, &parts, signature))
        })
    }

    /// `METHOD \n PATH \n KEY=VALUE&…`, in pieces.
    fn parts<'b>(
        &'b self,
        method: &'b str,
        path: &'b str,
        body_md5: Option<&'b HexMd5>,
    ) -> SmallVec<[&'b [u8]; 32]> {
        let mut parts: SmallVec<[&[u8]; 32]> = SmallVec::new();
        parts.extend([method.as_bytes(), b"\n", path.as_bytes(), b"\n"]);
        let start = parts.len();
        let mut body_md5 = body_md5.map(HexMd5::as_slice);
        for group in self.signed.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((key, _)) = group.first() else {
                continue;
            };
            if let Some(md5) = body_md5.take_if(|_| &**key > b"body_md5".as_slice()) {
                write(&mut parts, start, b"body_md5", [md5].into_iter());
            }
            let absent: &[u8] = if group.len() == 1 { b"null" } else { b"" };
            let values = group
                .iter()
                .map(|(_, value)| value.as_deref().unwrap_or(absent));
            write(&mut parts, start, key, values);
        }
        if let Some(md5) = body_md5 {
            write(&mut parts, start, b"body_md5", [md5].into_iter());
        }
        parts
    }
}

/// `key=value,value`, after `&` unless it is the first.
fn write<'b>(
    parts: &mut SmallVec<[&'b [u8]; 32]>,
    start: usize,
    key: &'b [u8],
    values: impl Iterator<Item = &'b [u8]>,
) {
    if parts.len() > start {
        parts.push(b"&");
    }
    parts.extend([key, b"="]);
    for (i, value) in values.enumerate() {
        if i > 0 {
            parts.push(b",");
        }
        parts.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(query: &str, method: &str, path: &str, body_md5: Option<&HexMd5>) -> String {
        let claims = Claims::parse(query);
        String::from_utf8(claims.parts(method, path, body_md5).concat()).unwrap()
    }

    #[test]
    fn text_to_sign_is_sorted_decoded_and_joined() {
        for (query, expected) in [
            ("b=2&a=1", "a=1&b=2"),
            ("a=1&Beta=1", "Beta=1&a=1"),
            ("a=1&b=2&a=3", "a=1,3&b=2"),
            ("flag&a=1", "a=1&flag=null"),
            ("x&x=1", "x=,1"),
            ("x=", "x="),
            ("&&x=a=b&", "x=a=b"),
            ("alpha=a%20b%2Bc&z=+", "alpha=a b+c&z= "),
            (
                "appId=1&appKey=2&channelName=3&auth_signature=4&body_md5=5&a=1",
                "a=1",
            ),
        ] {
            assert_eq!(
                text(query, "GET", "/p", None),
                format!("GET\n/p\n{expected}")
            );
        }
    }

    #[test]
    fn body_md5_takes_its_place_in_the_order() {
        let md5 = &[b'm'; 32];
        for (query, expected) in [
            ("", "body_md5=M"),
            ("a=1&c=2", "a=1&body_md5=M&c=2"),
            ("a=1&b=2", "a=1&b=2&body_md5=M"),
        ] {
            let expected = expected.replace('M', &"m".repeat(32));
            let expected = format!("POST\n/p\n{expected}");
            assert_eq!(text(query, "POST", "/p", Some(md5)), expected);
        }
    }

    #[test]
    fn pusher_test_vector() {
        let app = App::new("3", "278d425bdf160c739803", "7ad3773142a6692b25b8");
        let query = "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c";
        let asked = Asked {
            method: "POST",
            path: "/apps/3/events",
            prefix: "",
        };
        let claims = Claims::parse(query);
        assert!(claims.verify(&app, asked, claims.body_md5().as_ref()));
        let doubled = format!("{query}&auth_signature=1");
        assert!(!Claims::parse(&doubled).verify(&app, asked, claims.body_md5().as_ref()));
        let prefixed = Asked {
            path: "/ws/apps/3/events",
            prefix: "/ws",
            ..asked
        };
        assert!(claims.verify(&app, prefixed, claims.body_md5().as_ref()));
        let elsewhere = Asked {
            prefix: "",
            ..prefixed
        };
        assert!(!claims.verify(&app, elsewhere, claims.body_md5().as_ref()));
    }
}
