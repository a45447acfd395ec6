//! What the server must say instead of what Soketi said, where that holds everywhere, and how the two compare.

use serde_json::Value;

use crate::harness::{Binary, Response};

/// What an answer must be.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A frame of Soketi's as Bowline sends it: `"data":"{}"` where Soketi sends none.
pub(crate) fn frame(recorded: &str) -> String {
    let bare = recorded.starts_with(r#"{"event":"pusher_internal:subscription_succeeded","#)
        && !recorded.contains("\"data\":");
    if bare && Binary::under_test() == Binary::Bowline {
        return format!(r#"{},"data":"{{}}"}}"#, recorded.strip_suffix('}').unwrap());
    }
    recorded.to_owned()
}

/// A recorded answer with its real status (compat.md, "API errors have their real status").
pub(crate) fn answer(response: &Value) -> Answer {
    let body = response["body"].as_str().unwrap_or_default().to_owned();
    let bowline = Binary::under_test() == Binary::Bowline;
    let mut status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    if bowline
        && let Ok(Value::Object(object)) = serde_json::from_str(&body)
        && let (Some(_), Some(code)) = (object.get("error"), object.get("code"))
    {
        status = u16::try_from(code.as_u64().unwrap()).unwrap();
    }
    let pairs = response["headers"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let headers = pairs
        .iter()
        .map(|pair| (text(&pair[0]), text(&pair[1])))
        .filter(|(name, value)| {
            // Keep-alive (compat.md, "HTTP connections are kept"); texts have a type now; several origins make no header.
            let several = bowline && value.starts_with("https://a.test, ");
            !name.eq_ignore_ascii_case("connection") && !value.is_empty() && !several
        });
    Answer {
        status,
        headers: headers.collect(),
        body,
    }
}

/// Compares an answer; panics with both.
pub(crate) fn same_answer(what: &str, want: &Answer, got: &Response) {
    let body = String::from_utf8_lossy(&got.body);
    assert_eq!(got.status, want.status, "{what}: {body}");
    for (name, value) in &want.headers {
        let shown = got
            .header(name)
            .unwrap_or_else(|| panic!("{what}: no header {name}"));
        if name.eq_ignore_ascii_case("retry-after") {
            let seconds: f64 = shown.parse().unwrap();
            assert!(
                seconds > 0.0 && seconds <= 1.0,
                "{what}: Retry-After {shown}"
            );
        } else {
            assert_eq!(shown, value, "{what}: {name}");
        }
    }
    assert!(
        same_body(&want.body, &body),
        "{what}\n want {}\n  got {body}",
        want.body
    );
}

fn same_body(want: &str, got: &str) -> bool {
    if want == got || (want.contains("uWebSockets") && Binary::under_test() == Binary::Bowline) {
        return true;
    }
    if want.starts_with("# HELP") {
        return metrics_names(want).iter().all(|line| got.contains(line));
    }
    match (
        serde_json::from_str::<Value>(want),
        serde_json::from_str::<Value>(got),
    ) {
        (Ok(want), Ok(got)) if want.get("memory").is_some() => shape(&want) == shape(&got),
        (Ok(want @ Value::Array(_)), Ok(got @ Value::Array(_))) => {
            let got = json_metrics(&got);
            json_metrics(&want)
                .iter()
                .all(|metric| got.contains(metric))
        }
        // The order of the channels in an answer is nobody's promise.
        (Ok(want), Ok(got)) if want.get("channels").is_some() || want.get("batch").is_some() => {
            want == got
        }
        _ => false,
    }
}

/// The names and types that dashboards read; those of Node's own engine are not promised.
fn metrics_names(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.starts_with("# TYPE") && kept(line))
        .collect()
}

fn json_metrics(metrics: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = metrics
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| (text(&metric["name"]), text(&metric["type"])));
    all.filter(|(name, _)| kept(name)).collect()
}

fn kept(name: &str) -> bool {
    !name.contains("nodejs_") && !name.contains("(truncated")
}

fn shape(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, inner)| (key.clone(), shape(inner)))
            .collect(),
        Value::Number(_) => Value::from("number"),
        other => other.clone(),
    }
}

/// Byte equality, but for the order of keys in a presence `hash`, which JavaScript's objects decided.
pub(crate) fn same_frame(want: &str, got: &str) -> bool {
    want == got || (presence(want).is_some() && presence(want) == presence(got))
}

fn presence(frame: &str) -> Option<(String, Vec<String>, Value)> {
    let value: Value = serde_json::from_str(frame).ok()?;
    let data = value["data"].as_str()?;
    let inner: Value = serde_json::from_str(data).ok()?;
    let hash = inner["presence"]["hash"].clone();
    hash.as_object()?;
    let (head, rest) = data.split_once(r#","hash":"#)?;
    let tail = rest.rsplit_once(r#","count":"#)?.1;
    let outside = frame.split_once(r#""data":"#)?.0.to_owned();
    Some((outside, vec![head.to_owned(), tail.to_owned()], hash))
}
