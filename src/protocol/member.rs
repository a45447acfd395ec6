//! Who somebody is: a member of a presence channel, a signed-in user.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{error::SubscriptionError, json};

/// A user's identity: numbers and text that look the same are the same user. At most [`USER_ID_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Box<str>);

/// Far above Pusher's 128 characters; a bound, not a rule.
pub const USER_ID_BYTES_MAX: usize = 1024;

/// Users of one watchlist. Pusher docs, "Watchlist events".
pub const WATCHLIST_MAX: usize = 100;

impl UserId {
    /// The id as text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One user in one presence channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Identity.
    pub id: UserId,
    /// The id as JSON, its type kept: `1` or `"1"`.
    pub id_json: Box<str>,
    /// `user_info` as JSON; `null` where the application gave none.
    pub info_json: Box<str>,
}

#[derive(Deserialize)]
struct ChannelData<'a> {
    #[serde(borrow, default)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user_info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct UserData<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user_info: Option<&'a RawValue>,
    #[serde(borrow, default)]
    watchlist: Option<&'a RawValue>,
}

impl Member {
    /// From `channel_data`. `info_kb_max` bounds `user_info` alone, as in Soketi.
    pub fn parse(channel_data: &str, info_kb_max: f64) -> Result<Self, SubscriptionError> {
        let data = serde_json::from_str::<Option<ChannelData<'_>>>(channel_data)
            .ok()
            .flatten()
            .ok_or(SubscriptionError::MemberUnreadable)?;
        let info = data.user_info.map_or("null", RawValue::get);
        if exceeds_kb(json::compact_bytes(info), info_kb_max) {
            return Err(SubscriptionError::MemberTooLarge(info_kb_max));
        }
        let (id, id_json) = data
            .user_id
            .and_then(identity)
            .ok_or(SubscriptionError::Unauthorized)?;
        Ok(Self {
            id,
            id_json,
            info_json: info.into(),
        })
    }
}

/// Bytes against a limit in KiB; equality passes.
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
pub fn exceeds_kb(bytes: usize, kb_max: f64) -> bool {
    bytes as f64 / 1024.0 > kb_max
}

/// A signed-in user, from `user_data` of `pusher:signin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who it is, usable as a presence member too.
    pub member: Member,
    /// Whose comings and goings the user wants to hear of; at most [`WATCHLIST_MAX`].
    pub watchlist: Vec<UserId>,
    /// The list was longer and was cut.
    pub watchlist_cut: bool,
}

impl User {
    /// `None` where there is no usable `id` (missing, `""`, `0`, `null`), as in Soketi.
    pub fn parse(user_data: &str) -> Option<Self> {
        let data = serde_json::from_str::<UserData<'_>>(user_data).ok()?;
        let (id, id_json) =
            identity(data.id?).filter(|(id, json)| &**json != "0" && !id.as_str().is_empty())?;
        let info_json = data.user_info.map_or("null", RawValue::get).into();
        let watched: Vec<&RawValue> = data
            .watchlist
            .and_then(|list| serde_json::from_str(list.get()).ok())
            .unwrap_or_default();
        let watchlist = watched
            .iter()
            .take(WATCHLIST_MAX)
            .filter_map(|raw| identity(raw))
            .map(|(id, _)| id)
            .collect();
        Some(Self {
            member: Member {
                id,
                id_json,
                info_json,
            },
            watchlist,
            watchlist_cut: watched.len() > WATCHLIST_MAX,
        })
    }
}

/// A JSON string that is not empty, or a number.
fn identity(raw: &RawValue) -> Option<(UserId, Box<str>)> {
    let raw = raw.get();
    let text = match raw.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(raw).ok()?,
        b'-' | b'0'..=b'9' => raw.to_owned(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= USER_ID_BYTES_MAX).then(|| (UserId(text.into()), raw.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_the_type_of_their_id() {
        let number = Member::parse(r#"{"user_id":1,"user_info":{"n":1}}"#, 2.0).unwrap();
        let text = Member::parse(r#"{"user_id":"1"}"#, 2.0).unwrap();
        assert_eq!(
            (&*number.id_json, &*text.id_json, &*text.info_json),
            ("1", "\"1\"", "null")
        );
        assert_eq!(number.id, text.id);
    }

    #[test]
    fn unusable_members_are_refused() {
        for (data, error) in [
            ("null", SubscriptionError::MemberUnreadable),
            ("nonsense", SubscriptionError::MemberUnreadable),
            ("{}", SubscriptionError::Unauthorized),
            (r#"{"user_id":null}"#, SubscriptionError::Unauthorized),
            (r#"{"user_id":""}"#, SubscriptionError::Unauthorized),
            (r#"{"user_id":[1]}"#, SubscriptionError::Unauthorized),
            (
                r#"{"user_id":1,"user_info":"0123456789012345678901234567890123456789012345678901234567890"}"#,
                SubscriptionError::MemberTooLarge(0.05),
            ),
        ] {
            assert_eq!(Member::parse(data, 0.05), Err(error), "{data}");
        }
    }
}
