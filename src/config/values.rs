//! From a value as a file or a variable gives it to a typed one: strict, and no narrower than what works in Soketi.
//! A variable arrives as JSON text; so does a number that a file holds as text.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde_json::Value as Json;

/// `1/true/yes/on` or `0/false/no/off` in any case; numbers 1 and 0; JSON's own.
pub(crate) fn bool(given: &Json) -> Option<bool> {
    match given {
        Json::Bool(value) => Some(*value),
        Json::Number(number) => match number.as_f64()? {
            1.0 => Some(true),
            0.0 => Some(false),
            _ => None,
        },
        Json::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A finite number; `1e3` and `3000.0` are numbers, as in Soketi.
pub(crate) fn number(given: &Json) -> Option<f64> {
    let value = match given {
        Json::Number(number) => number.as_f64()?,
        Json::String(text) => serde_json::from_str::<serde_json::Number>(text.trim())
            .ok()?
            .as_f64()?,
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// A number without a fraction.
pub(crate) fn integer(given: &Json) -> Option<i64> {
    let direct = match given {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    direct.or_else(|| exact(number(given)?))
}

/// Above 2^53 not every whole number is a float, so none is taken from one.
fn exact(number: f64) -> Option<i64> {
    let whole = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and within 2^53 by the line above"
    )]
    whole.then_some(number as i64)
}

/// A whole number between bounds, both included.
pub(crate) fn whole_between(given: &Json, least: u64, most: u64) -> Option<u64> {
    let number = u64::try_from(integer(given)?).ok()?;
    (least..=most).contains(&number).then_some(number)
}

/// `number` units of `unit` bytes, rounded down: more than none and less than 2^53.
pub(crate) fn bytes(number: f64, unit: f64) -> Option<usize> {
    let bytes = (number * unit).floor();
    (bytes >= 1.0).then_some(())?;
    usize::try_from(exact(bytes)?).ok()
}

/// Text as it stands. A number in a file becomes its digits; anything else is none.
pub(crate) fn text(given: &Json) -> Option<String> {
    match given {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => {
            let whole = number.as_f64().filter(|_| number.is_f64()).and_then(exact);
            Some(whole.map_or_else(|| number.to_string(), |whole| whole.to_string()))
        }
        _ => None,
    }
}

/// An address; `localhost` is 127.0.0.1, brackets round IPv6 are taken off.
pub(crate) fn ip(given: &Json) -> Option<IpAddr> {
    let text = given.as_str()?.trim();
    if text.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok()
}

/// A JSON list of texts, or texts with commas between.
pub(crate) fn list(given: &Json) -> Option<Vec<String>> {
    match given {
        Json::Array(items) => items.iter().map(text).collect(),
        Json::String(text) if text.trim_start().starts_with('[') => list(&parsed(text)?),
        Json::String(text) if text.trim_start().starts_with(['{', '"']) => None,
        Json::String(text) => Some(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(ToOwned::to_owned)
                .collect(),
        ),
        _ => None,
    }
}

/// Networks; an address alone is a network of one.
pub(crate) fn networks(given: &Json) -> Option<Vec<IpNet>> {
    list(given)?
        .iter()
        .map(|text| {
            text.parse::<IpNet>()
                .ok()
                .or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)))
        })
        .collect()
}

/// Servers as `host` or `host:port`; a list may hold `{"host": …, "port": …}`.
pub(crate) fn nodes(given: &Json) -> Option<Vec<String>> {
    match given {
        Json::String(text) if text.trim_start().starts_with('[') => nodes(&parsed(text)?),
        Json::Array(items) => items.iter().map(node).collect(),
        _ => list(given)?.into_iter().map(|t| node(&t.into())).collect(),
    }
}

fn node(given: &Json) -> Option<String> {
    if let Json::Object(fields) = given {
        let host = fields.get("host")?.as_str().filter(|h| !h.is_empty())?;
        let Some(port) = fields.get("port") else {
            return Some(host.to_owned());
        };
        let port = u16::try_from(integer(port)?).ok()?;
        return Some(format!("{host}:{port}"));
    }
    let text = given.as_str()?.trim();
    let port_is_right = match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => true,
        Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok(),
        None => true,
    };
    let plain = !text.is_empty() && !text.contains(char::is_whitespace);
    (plain && port_is_right).then(|| text.to_owned())
}

/// An object, or text that holds one.
pub(crate) fn object(given: &Json) -> Option<Json> {
    match given {
        Json::Object(_) => Some(given.clone()),
        Json::String(text) => parsed(text).filter(Json::is_object),
        _ => None,
    }
}

/// A list of objects, or text that holds one.
pub(crate) fn apps(given: &Json) -> Option<Json> {
    let list = match given {
        Json::String(text) => parsed(text)?,
        other => other.clone(),
    };
    let objects = list.as_array()?.iter().all(Json::is_object);
    objects.then_some(list)
}

fn parsed(text: &str) -> Option<Json> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_for_on_and_off_are_read_and_others_are_not() {
        for on in [json!("1"), json!("Yes"), json!("ON"), json!(true), json!(1)] {
            assert_eq!(bool(&on), Some(true), "{on}");
        }
        for off in [json!("0"), json!("no"), json!("False"), json!(false)] {
            assert_eq!(bool(&off), Some(false), "{off}");
        }
        for neither in [json!("enabled"), json!("2"), json!(2), json!([]), json!("")] {
            assert_eq!(bool(&neither), None, "{neither}");
        }
    }

    #[test]
    fn numbers_are_numbers_or_nothing() {
        for (given, expected) in [
            (json!("3000"), Some(3000)),
            (json!(" 3000 "), Some(3000)),
            (json!("1e3"), Some(1000)),
            (json!(3000.0), Some(3000)),
            (json!("-1"), Some(-1)),
            (json!("0x10"), None),
            (json!("3s"), None),
            (json!("2.5"), None),
            (json!(true), None),
            (json!("NaN"), None),
        ] {
            assert_eq!(integer(&given), expected, "{given}");
        }
    }

    #[test]
    fn sizes_keep_their_fractions() {
        assert_eq!(bytes(0.001, 1024.0 * 1024.0), Some(1048));
        assert_eq!(bytes(1.0, 1024.0), Some(1024));
        for nothing in [0.0, -1.0, 0.0001, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(bytes(nothing, 1024.0), None, "{nothing}");
        }
    }

    #[test]
    fn text_is_kept_and_numbers_become_digits() {
        assert_eq!(text(&json!("1e5")).as_deref(), Some("1e5"));
        assert_eq!(text(&json!(40000)).as_deref(), Some("40000"));
        assert_eq!(text(&json!(7.0)).as_deref(), Some("7"));
        assert_eq!(text(&json!(null)), None);
        assert_eq!(text(&json!({})), None);
    }

    #[test]
    fn lists_come_as_json_or_with_commas() {
        let expected = Some(vec!["a:1".to_owned(), "b:2".to_owned()]);
        for given in [
            json!(["a:1", "b:2"]),
            json!("[\"a:1\",\"b:2\"]"),
            json!("a:1, b:2"),
        ] {
            assert_eq!(list(&given), expected, "{given}");
            assert_eq!(nodes(&given), expected, "{given}");
        }
        let objects = json!("[{\"host\":\"a\",\"port\":1},{\"host\":\"b\",\"port\":\"2\"}]");
        assert_eq!(nodes(&objects), expected);
        for broken in [json!("[\"a:1\""), json!("{\"a\":1}"), json!(5)] {
            assert_eq!(list(&broken), None, "{broken}");
        }
        for broken in [
            json!("a:b"),
            json!(":1"),
            json!([{"port": 1}]),
            json!("a:70000"),
        ] {
            assert_eq!(nodes(&broken), None, "{broken}");
        }
    }

    #[test]
    fn networks_take_single_addresses() {
        let read = networks(&json!("10.0.0.0/8, ::1")).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].to_string(), "::1/128");
        assert_eq!(networks(&json!("10.0.0.0/33")), None);
        assert_eq!(networks(&json!("proxy.internal")), None);
    }

    #[test]
    fn addresses_are_addresses() {
        assert_eq!(ip(&json!("localhost")), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(ip(&json!("[::]")), Some("::".parse().unwrap()));
        assert_eq!(ip(&json!("example.org")), None);
    }
}
