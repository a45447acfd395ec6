//! Prometheus' text as the JSON that prom-client gives for `/metrics?json=1`.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Number, Value};

#[derive(Serialize)]
struct Family<'a> {
    help: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    values: Vec<Sample<'a>>,
    aggregator: &'static str,
}

#[derive(Serialize)]
struct Sample<'a> {
    value: Value,
    labels: Map<String, Value>,
    /// Which line of a histogram this is.
    #[serde(rename = "metricName", skip_serializing_if = "Option::is_none")]
    metric_name: Option<&'a str>,
}

/// Ports and the bounds of buckets become numbers.
pub fn convert(text: &str) -> String {
    let mut families: Vec<Family<'_>> = Vec::new();
    let mut helps = HashMap::new();
    for line in text.lines() {
        if let Some((name, help)) = comment(line, "# HELP ") {
            helps.insert(name, help);
        } else if let Some((name, kind)) = comment(line, "# TYPE ") {
            families.push(Family {
                help: helps.get(name).copied().unwrap_or_default(),
                name,
                kind,
                values: Vec::new(),
                aggregator: "sum",
            });
        } else if let (Some(family), Some(sample)) = (families.last_mut(), sample(line)) {
            let (name, value, labels) = sample;
            let metric_name = (name != family.name).then_some(name);
            family.values.push(Sample {
                value,
                labels,
                metric_name,
            });
        }
    }
    serde_json::to_string(&families).unwrap_or_default()
}

fn comment<'a>(line: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
    line.strip_prefix(kind)?.split_once(' ')
}

/// `NAME{LABELS} VALUE`
fn sample(line: &str) -> Option<(&str, Value, Map<String, Value>)> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, labels(rest.strip_suffix('}')?)?),
        None => (series, Map::new()),
    };
    Some((name, number(value), labels))
}

/// Numbers that JSON does not have are null, as in JavaScript.
fn number(text: &str) -> Value {
    if let Ok(whole) = text.parse::<u64>() {
        return whole.into();
    }
    let number = text.parse::<f64>().ok().and_then(Number::from_f64);
    number.map_or(Value::Null, Value::Number)
}

/// `KEY="VALUE",…` with `\\`, `\"` and `\n` escaped in values; `None` where a value has no end.
fn labels(mut text: &str) -> Option<Map<String, Value>> {
    let mut labels = Map::new();
    while let Some((key, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match chars.next()? {
                    (_, 'n') => '\n',
                    (_, c) => c,
                }),
                (_, c) => value.push(c),
            }
        };
        let key = key.trim_start_matches(',');
        let value = match key {
            "port" | "le" if value.parse::<f64>().is_ok_and(f64::is_finite) => number(&value),
            _ => Value::String(value),
        };
        labels.insert(key.to_owned(), value);
        text = &rest[end..];
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_become_objects() {
        let text = "# HELP s_connected Open connections.\n# TYPE s_connected gauge\ns_connected{app_id=\"a\\\"b\\\\c\",port=\"6001\"} 3\n\n\
            # TYPE s_time histogram\ns_time_bucket{port=\"1\",le=\"0.5\"} 1\ns_time_bucket{port=\"1\",le=\"+Inf\"} 2\ns_time_sum{port=\"1\"} 0.75\n";
        let expected = serde_json::json!([
            {"help": "Open connections.", "name": "s_connected", "type": "gauge", "aggregator": "sum",
             "values": [{"value": 3, "labels": {"app_id": "a\"b\\c", "port": 6001}}]},
            {"help": "", "name": "s_time", "type": "histogram", "aggregator": "sum", "values": [
                {"value": 1, "labels": {"port": 1, "le": 0.5}, "metricName": "s_time_bucket"},
                {"value": 2, "labels": {"port": 1, "le": "+Inf"}, "metricName": "s_time_bucket"},
                {"value": 0.75, "labels": {"port": 1}, "metricName": "s_time_sum"},
            ]},
        ]);
        let converted: Value = serde_json::from_str(&convert(text)).unwrap();
        assert_eq!(converted, expected);
    }

    #[test]
    fn nonsense_is_left_out() {
        for line in ["", "x", "x{ 1", "# EOF", "x{a=\"b} 1", "{\"\n"] {
            let text = format!("s 1\n# TYPE s gauge\n{line}\n# TYPE t gauge\nt 1\n");
            let converted: Value = serde_json::from_str(&convert(&text)).unwrap();
            assert_eq!(converted[0]["values"], serde_json::json!([]), "{line}");
            assert_eq!(converted[1]["values"][0]["value"], 1, "{line}");
        }
    }
}
