//! Channel names and what they say: access, caching, server-to-user.

use std::{fmt, sync::Arc};

/// A legal channel name: made once, at the edge, and trusted inside. Pusher docs, "Channel naming conventions"; `#` may begin it, as in Soketi.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

/// Who may subscribe. Pusher docs, "Channel types": the prefix decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Whoever brings a signature.
    Private,
    /// The same; the payload is opaque to the server.
    Encrypted,
    /// Whoever brings a signature over who he is.
    Presence,
}

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Longer than the app allows.
    TooLong,
    /// Empty, or a character outside `-a-zA-Z0-9_=@,.;`.
    Illegal,
}

/// Events of this channel go to the sockets that are signed in as the user named after it.
pub const SERVER_TO_USER: &str = "#server-to-user-";

impl Access {
    /// Of a name, by prefix.
    pub fn of(name: &str) -> Self {
        if name.starts_with("presence-") {
            Self::Presence
        } else if name.starts_with("private-encrypted-") {
            Self::Encrypted
        } else if name.starts_with("private-") {
            Self::Private
        } else {
            Self::Public
        }
    }
}

impl ChannelName {
    /// `chars_max` is the app's limit. The user id after `#server-to-user-` is free text.
    pub fn parse(name: &str, chars_max: usize) -> Result<Self, NameError> {
        if too_long(name, chars_max) {
            return Err(NameError::TooLong);
        }
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_=@,.;".contains(&b);
        let rest = name.strip_prefix('#').unwrap_or(name);
        let to_user = name
            .strip_prefix(SERVER_TO_USER)
            .is_some_and(|id| !id.is_empty());
        if to_user || (!rest.is_empty() && rest.bytes().all(legal)) {
            Ok(Self(name.into()))
        } else {
            Err(NameError::Illegal)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Who may subscribe.
    pub fn access(&self) -> Access {
        Access::of(&self.0)
    }

    /// The last published event is kept and replayed. Pusher docs, "Cache channels".
    pub fn is_cache(&self) -> bool {
        [
            "cache-",
            "private-cache-",
            "private-encrypted-cache-",
            "presence-cache-",
        ]
        .iter()
        .any(|p| self.0.starts_with(p))
    }

    /// The user whom `#server-to-user-ID` names.
    pub fn user(&self) -> Option<&str> {
        self.0.strip_prefix(SERVER_TO_USER)
    }

    /// Names with `#` stay out of listings and webhooks.
    pub fn is_hidden(&self) -> bool {
        self.0.starts_with('#')
    }
}

/// Characters, not bytes, are counted.
pub fn too_long(text: &str, chars_max: usize) -> bool {
    text.len() > chars_max && text.chars().count() > chars_max
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_decide_access_and_caching() {
        for (name, access, cache) in [
            ("news", Access::Public, false),
            ("my-private-room", Access::Public, false),
            ("x-cache-y", Access::Public, false),
            ("cache-a", Access::Public, true),
            ("private-a", Access::Private, false),
            ("private-cache-a", Access::Private, true),
            ("private-encrypted-a", Access::Encrypted, false),
            ("private-encrypted-cache-a", Access::Encrypted, true),
            ("presence-a", Access::Presence, false),
            ("presence-cache-a", Access::Presence, true),
        ] {
            let channel = ChannelName::parse(name, 200).unwrap();
            assert_eq!(
                (channel.access(), channel.is_cache()),
                (access, cache),
                "{name}"
            );
        }
    }

    #[test]
    fn names_are_checked() {
        assert!(ChannelName::parse("#server-to-user-ann@x y", 200).is_ok());
        for (name, error) in [
            ("", NameError::Illegal),
            ("#", NameError::Illegal),
            ("a b", NameError::Illegal),
            ("a/b", NameError::Illegal),
            ("é", NameError::Illegal),
            ("a#b", NameError::Illegal),
            ("#server-to-user-", NameError::Illegal),
        ] {
            match name {
                "#server-to-user-" => assert!(
                    ChannelName::parse(name, 200).is_ok(),
                    "legal characters, though it names nobody"
                ),
                _ => assert_eq!(ChannelName::parse(name, 200), Err(error), "{name}"),
            }
        }
        assert_eq!(ChannelName::parse("aaaa", 3), Err(NameError::TooLong));
    }
}
