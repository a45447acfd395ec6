//! Bodies of `events` and `batch_events`: JSON in, checked events out. Pure. spec: http-api, "Endpoints".

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use smallvec::{SmallVec, smallvec};

use super::ApiError;
use crate::{
    config::Limits,
    protocol::{
        SocketId,
        channel::{ChannelName, NameError, too_long},
        error::SubscriptionError,
        json,
        member::exceeds_kb,
    },
};

/// What a body holds: one event, or several under `batch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `POST events`
    One,
    /// `POST batch_events`
    Batch,
}

/// What a body asks for and what it costs, which is charged even if it is refused.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    /// A point for each channel.
    pub(super) points: u32,
    pub(super) events: Result<Events<'a>, ApiError>,
}

pub(super) type Events<'a> = Vec<Event<'a>>;

/// An event that may be published.
#[derive(Clone, Debug)]
pub(super) struct Event<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) data: Cow<'a, RawValue>,
    pub(super) channels: SmallVec<[ChannelName; 1]>,
    pub(super) except: Option<SocketId>,
    /// What the answer is to say of its channels.
    pub(super) info: Option<Info>,
}

/// Attributes asked for by `info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) subscription_count: bool,
    pub(super) user_count: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Given<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    channels: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    socket_id: Option<&'a RawValue>,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct GivenBatch<'a> {
    #[serde(borrow)]
    batch: &'a RawValue,
}

/// Reads and checks a body.
pub(super) fn judge<'a>(body: &'a [u8], limits: &Limits, shape: Shape) -> Judged<'a> {
    let body = std::str::from_utf8(body).unwrap_or_default();
    match shape {
        Shape::One => {
            let (points, event) = judge_event(body, limits);
            Judged {
                points: points.max(1),
                events: event.map(|event| vec![event]),
            }
        }
        Shape::Batch => judge_batch(body, limits),
    }
}

fn judge_batch<'a>(body: &'a str, limits: &Limits) -> Judged<'a> {
    let max = limits.batch_events_max;
    let Some(list) = object::<GivenBatch<'_>>(body).and_then(|given| array(given.batch, max))
    else {
        return Judged {
            points: 1,
            events: Err(ApiError::DataIncorrect),
        };
    };
    let mut points = saturated(list.count - list.kept.len());
    let mut events = Ok(Events::new());
    for raw in list.kept {
        let (cost, event) = judge_event(raw.get(), limits);
        points = points.saturating_add(cost);
        match (&mut events, event) {
            (Ok(events), Ok(event)) => events.push(event),
            (Ok(_), Err(error)) => events = Err(error),
            (Err(_), _) => {}
        }
    }
    if list.count > max {
        events = Err(ApiError::BatchTooLong(max));
    }
    Judged { points, events }
}

fn judge_event<'a>(body: &'a str, limits: &Limits) -> (u32, Result<Event<'a>, ApiError>) {
    let Some(given) = object::<Given<'_>>(body) else {
        return (1, Err(ApiError::DataIncorrect));
    };
    let max = limits.event_channels_max;
    let channels = match (given.channels, given.channel) {
        (Some(list), _) => array(list, max),
        (None, Some(one)) if !is_falsy(one.get()) => Some(List {
            kept: smallvec![one],
            count: 1,
        }),
        (None, _) => None,
    };
    let points = channels.as_ref().map_or(1, |list| saturated(list.count));
    let event = channels
        .ok_or(ApiError::DataIncorrect)
        .and_then(|channels| check(&given, &channels, limits));
    (points, event)
}

fn check<'a>(
    given: &Given<'a>,
    channels: &List<'a>,
    limits: &Limits,
) -> Result<Event<'a>, ApiError> {
    let name = given.name.and_then(name).ok_or(ApiError::DataIncorrect)?;
    let data = given
        .data
        .filter(|data| !is_falsy(data.get()))
        .ok_or(ApiError::DataIncorrect)?;
    let names: SmallVec<[Cow<'_, str>; 1]> = channels
        .kept
        .iter()
        .map(|raw| text(raw.get()))
        .collect::<Option<_>>()
        .ok_or(ApiError::DataIncorrect)?;
    if channels.count > limits.event_channels_max {
        return Err(ApiError::TooManyChannels(limits.event_channels_max));
    }
    if too_long(&name, limits.event_name_chars_max) {
        return Err(ApiError::EventNameTooLong(limits.event_name_chars_max));
    }
    // No value counts for more than its text is long.
    let kb_max = limits.event_data_kb_max;
    let raw = data.get();
    if exceeds_kb(raw.len(), kb_max) && exceeds_kb(json::counted_bytes(raw), kb_max) {
        return Err(ApiError::EventDataTooLarge(kb_max));
    }
    let channels = names
        .iter()
        .map(|name| channel(name, limits.channel_name_chars_max))
        .collect::<Result<_, _>>()?;
    let except = match given.socket_id {
        None => None,
        Some(raw) => {
            let id = text(raw.get()).ok_or(ApiError::SocketId)?;
            Some(id.parse().map_err(|_| ApiError::SocketId)?)
        }
    };
    Ok(Event {
        name,
        data: Cow::Borrowed(data),
        channels,
        except,
        info: given.info.and_then(info),
    })
}

impl Event<'_> {
    /// The same without the body it was read from.
    fn into_owned(self) -> Event<'static> {
        Event {
            name: Cow::Owned(self.name.into_owned()),
            data: Cow::Owned(self.data.into_owned()),
            channels: self.channels,
            except: self.except,
            info: self.info,
        }
    }
}

impl Judged<'_> {
    /// The same without the body it was read from.
    pub(super) fn into_owned(self) -> Judged<'static> {
        Judged {
            points: self.points,
            events: self
                .events
                .map(|events| events.into_iter().map(Event::into_owned).collect()),
        }
    }
}

/// A JSON object as `T`; serde would take arrays too.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    text.trim_ascii_start()
        .starts_with('{')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// A string, unquoted; it is copied only where it has escapes.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// Soketi takes numbers for names.
fn name(raw: &RawValue) -> Option<Cow<'_, str>> {
    match raw.get() {
        r#""""# => None,
        raw if raw.starts_with('"') => text(raw),
        raw if is_number(raw) && !is_falsy(raw) => Some(Cow::Borrowed(raw)),
        _ => None,
    }
}

fn is_number(raw: &str) -> bool {
    raw.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// What JavaScript takes for false.
fn is_falsy(raw: &str) -> bool {
    matches!(raw, r#""""# | "false" | "null")
        || (is_number(raw) && raw.parse::<f64>().is_ok_and(|number| number == 0.0))
}

fn channel(name: &str, chars_max: usize) -> Result<ChannelName, ApiError> {
    ChannelName::parse(name, chars_max).map_err(|error| {
        ApiError::ChannelName(match error {
            NameError::TooLong => SubscriptionError::NameTooLong(chars_max),
            NameError::Illegal => SubscriptionError::NameIllegal,
        })
    })
}

fn info(raw: &RawValue) -> Option<Info> {
    let text = text(raw.get()).filter(|text| !text.is_empty())?;
    let wants = |attribute| text.split(',').any(|word| word.trim() == attribute);
    Some(Info {
        subscription_count: wants("subscription_count"),
        user_count: wants("user_count"),
    })
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The beginning of an array and how long it is: a body of empty objects must not become a hundred times its size.
struct List<'a> {
    kept: SmallVec<[&'a RawValue; 4]>,
    count: usize,
}

fn array(raw: &RawValue, max: usize) -> Option<List<'_>> {
    let mut json = serde_json::Deserializer::from_str(raw.get());
    AtMost(max, PhantomData).deserialize(&mut json).ok()
}

struct AtMost<'a>(usize, PhantomData<&'a ()>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for AtMost<'a> {
    type Value = List<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<List<'a>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for AtMost<'a> {
    type Value = List<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<'a>, A::Error> {
        let mut kept = SmallVec::new();
        while kept.len() < self.0 {
            let Some(raw) = seq.next_element::<&'de RawValue>()? else {
                let count = kept.len();
                return Ok(List { kept, count });
            };
            kept.push(raw);
        }
        let mut count = kept.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(List { kept, count })
    }
}
