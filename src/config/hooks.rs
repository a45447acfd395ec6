//! Webhook objects of an app. spec: configuration, "Webhook object".

use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};
use serde_json::{Map, Value as Json};

use super::{apps::Place, nearest, problem::Report, values};
use crate::app::{Hook, HookEvent};

/// Names of the fields of a webhook and of its filter.
const FIELDS: [&str; 6] = [
    "url",
    "lambda_function",
    "lambda",
    "event_types",
    "filter",
    "headers",
];
const FILTERS: [&str; 2] = ["channel_name_starts_with", "channel_name_ends_with"];

/// Reads the webhooks of one app: a list, or text that holds one.
pub(crate) fn read(given: &Json, place: &Place, report: &mut Report) -> Vec<Hook> {
    let parsed = given.as_str().map(serde_json::from_str::<Json>);
    let list = match &parsed {
        Some(Ok(Json::Array(list))) => list,
        None if given.is_array() => given.as_array().map_or(&[][..], Vec::as_slice),
        _ => {
            let accepted = "accepted: a list of webhook objects, or text that holds one as JSON";
            report.refuse(place.problem(None, accepted));
            return Vec::new();
        }
    };
    (list.iter().enumerate())
        .filter_map(|(index, hook)| {
            let place = place.below(&index.to_string());
            if let Some(fields) = hook.as_object() {
                return read_one(fields, &place, report);
            }
            report.refuse(place.problem(None, "accepted: a webhook object"));
            None
        })
        .collect()
}

/// `None`: it was refused, or there is nothing to send to.
fn read_one(fields: &Map<String, Json>, place: &Place, report: &mut Report) -> Option<Hook> {
    name_unknown(fields, &FIELDS, place, report);
    let text = |name: &str| {
        fields
            .get(name)
            .and_then(values::text)
            .filter(|t| !t.is_empty())
    };
    let Some(url) = text("url") else {
        match text("lambda_function") {
            Some(function) => report.refuse(place.below("lambda_function").problem(
                Some(format!("{function:?}")),
                "AWS Lambda is not part of this server; accepted: a webhook with a `url`",
            )),
            None => report.warn(format!(
                "{}: no `url`, so it is skipped ({})",
                place.path, place.source
            )),
        }
        return None;
    };
    if !is_http(&url) {
        let wrong = "accepted: a URL that begins with `http://` or `https://` and names a host";
        report.refuse(place.below("url").problem(None, wrong));
        return None;
    }
    let event_types = event_types(fields.get("event_types"), place, report)?;
    let (starts, ends) = filter(fields.get("filter"), place, report)?;
    Some(Hook {
        url,
        event_types,
        channel_name_starts_with: starts,
        channel_name_ends_with: ends,
        headers: headers(fields.get("headers"), place, report)?,
    })
}

fn is_http(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|h| !h.is_empty())
    })
}

/// The known ones; Soketi stops at the first connection where there is no list.
fn event_types(given: Option<&Json>, place: &Place, report: &mut Report) -> Option<Vec<HookEvent>> {
    let known = HookEvent::ALL.map(HookEvent::name);
    let place = place.below("event_types");
    let Some(list) = given.and_then(Json::as_array) else {
        let wrong = format!(
            "every webhook needs the events it wants; accepted: a list of `{}`",
            known.join("`, `")
        );
        report.refuse(place.problem(given.map(ToString::to_string), &wrong));
        return None;
    };
    let mut wanted = Vec::new();
    for item in list {
        match HookEvent::ALL
            .into_iter()
            .find(|event| Some(event.name()) == item.as_str())
        {
            Some(event) if wanted.contains(&event) => {}
            Some(event) => wanted.push(event),
            None => report.warn(format!(
                "{}: unknown event {item}, ignored ({}){}",
                place.path,
                place.source,
                nearest::hint(item.as_str().unwrap_or_default(), known.into_iter())
            )),
        }
    }
    Some(wanted)
}

type Filter = (Option<String>, Option<String>);

fn filter(given: Option<&Json>, place: &Place, report: &mut Report) -> Option<Filter> {
    let place = place.below("filter");
    let none = Map::new();
    let fields = match given {
        None | Some(Json::Null) => &none,
        Some(Json::Object(fields)) => fields,
        Some(other) => {
            let wrong = format!("accepted: an object with `{}`", FILTERS.join("`, `"));
            report.refuse(place.problem(Some(other.to_string()), &wrong));
            return None;
        }
    };
    name_unknown(fields, &FILTERS, &place, report);
    let mut read = FILTERS.map(|name| match fields.get(name) {
        None | Some(Json::Null) => Some(None),
        Some(Json::String(text)) => Some(Some(text.clone()).filter(|t| !t.is_empty())),
        Some(other) => {
            let place = place.below(name);
            report.refuse(place.problem(Some(other.to_string()), "accepted: text"));
            None
        }
    });
    Some((read[0].take()?, read[1].take()?))
}

fn headers(
    given: Option<&Json>,
    place: &Place,
    report: &mut Report,
) -> Option<Vec<(String, String)>> {
    let place = place.below("headers");
    let fields = match given {
        None | Some(Json::Null) => return Some(Vec::new()),
        Some(Json::Object(fields)) => fields,
        Some(_) => {
            report.refuse(place.problem(None, "accepted: an object of texts"));
            return None;
        }
    };
    let mut headers = Vec::new();
    for (name, value) in fields {
        let value = values::text(value).filter(|text| HeaderValue::from_str(text).is_ok());
        if let (Ok(_), Some(value)) = (HeaderName::try_from(name.as_str()), value) {
            headers.push((name.clone(), value));
        } else {
            let wrong = "accepted: a name and a text that may stand in an HTTP header";
            report.refuse(place.below(name).problem(None, wrong));
        }
    }
    (headers.len() == fields.len()).then_some(headers)
}

fn name_unknown(fields: &Map<String, Json>, known: &[&str], place: &Place, report: &mut Report) {
    for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
        let hint = nearest::hint(name, known.iter().copied());
        place.below(name).unknown(&hint, report);
    }
}
