//! The wire of Pusher protocol 7, pure: names, frames, signatures, errors. Must not know tokio, axum, clocks or config.

pub mod auth;
pub mod channel;
pub mod error;
pub mod event;
pub mod frame;
pub mod json;
pub mod member;

use std::{fmt, str::FromStr};

/// One connection's name on the wire: two decimal numbers joined by a dot. Pusher protocol 7, "Connection established".
///
/// The second number also says which shard owns the socket and its place there (`directory::Ids`), so that no map is needed to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId {
    /// Random, below 10^10.
    pub high: u64,
    /// Random and place, below 10^10.
    pub low: u64,
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.high, self.low)
    }
}

/// Text that is not `digits.digits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a socket id is two numbers joined by a dot, such as 1234.5678")]
pub struct NotASocketId;

impl FromStr for SocketId {
    type Err = NotASocketId;

    /// Accepts any `^\d+\.\d+$`; numbers that no socket of this server can have become an id that matches none.
    fn from_str(text: &str) -> Result<Self, NotASocketId> {
        let (high, low) = text.split_once('.').ok_or(NotASocketId)?;
        let number = |digits: &str| {
            let legal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            legal
                .then(|| digits.parse().unwrap_or(u64::MAX))
                .ok_or(NotASocketId)
        };
        Ok(Self {
            high: number(high)?,
            low: number(low)?,
        })
    }
}
