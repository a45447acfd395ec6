//! What clients are told when something is refused: codes they act on and sentences people read.

/// A `pusher:error`, with or without the end of the connection. Pusher protocol 7, "Error codes"; texts are Soketi's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// No app has this key.
    #[error("App key {0} does not exist.")]
    UnknownApp(String),
    /// The app is switched off.
    #[error("The app is not enabled.")]
    AppDisabled,
    /// The page's origin is not on the app's list.
    #[error("The origin is not allowed.")]
    OriginNotAllowed,
    /// The version in the address is no number (strict only).
    #[error("The protocol version is not a number.")]
    VersionInvalid,
    /// The version in the address is not spoken (strict only).
    #[error("Only protocol versions 5, 6 and 7 are supported.")]
    VersionUnsupported,
    /// No version in the address (strict only).
    #[error("No protocol version was given.")]
    VersionMissing,
    /// `maxConnections` is reached; the code is an option.
    #[error("The current concurrent connections quota has been reached.")]
    OverQuota {
        /// 4100 (clients come back) or 4004 (they give up).
        code: u16,
    },
    /// `connection.per_address_max` is reached.
    #[error("Too many connections from this address.")]
    TooManyFromAddress,
    /// The node is about to stop; asked of a new connection.
    #[error("Server is closing. Please reconnect shortly.")]
    Closing,
    /// The node stops; told to an old connection.
    #[error("Server closed. Please reconnect shortly.")]
    Closed,
    /// More bytes wait for this socket than allowed.
    #[error("The connection reads too slowly: more data waited for it than the server keeps.")]
    TooSlow,
    /// More frames a second than allowed.
    #[error("The connection sent more messages per second than the server accepts.")]
    TooManyFrames,
    /// Neither signed in nor in an authorised channel in time.
    #[error("Connection not authorized within timeout.")]
    NotAuthorizedInTime,
    /// The sign-in signature does not match.
    #[error("Connection not authorized.")]
    NotAuthorized,
    /// The sign-in's user has no id.
    #[error("The returned user data must contain the \"id\" field.")]
    UserWithoutId,
    /// Signed in as somebody else already.
    #[error("The connection is already signed in as another user.")]
    SignedInAlready,
    /// The app asked for it over HTTP.
    #[error("You got disconnected by the app.")]
    Terminated,
    /// Two pings went unanswered.
    #[error("Pong reply not received in time.")]
    PongMissing,
    /// A frame the server knows but cannot read.
    #[error("Invalid message format")]
    InvalidMessage,
    /// Client events are off for the app.
    #[error("The app does not have client messaging enabled.")]
    ClientEventsDisabled,
    /// Client events are not allowed on this kind of channel.
    #[error("Client events are only supported on private and presence channels.")]
    ClientEventsNotHere,
    /// The event name is longer than the limit.
    #[error("Event name is too long. Maximum allowed size is {0}.")]
    EventNameTooLong(usize),
    /// The event data is larger than the limit.
    #[error("The event data should be less than {0} KB.")]
    EventDataTooLarge(NumberText),
    /// More client events than the app allows.
    #[error("The rate limit for sending client events exceeded the quota.")]
    ClientEventRate,
    /// A shard cannot take more; the event was not sent.
    #[error("The server is overloaded; the event was not sent. Try again.")]
    Overloaded,
    /// A client event to a channel the sender is not in (option).
    #[error("The client is not a member of the specified channel.")]
    NotAMember,
    /// A watchlist longer than the limit.
    #[error("The watchlist is longer than 100 users; only the first 100 are watched.")]
    WatchlistTooLong,
}

/// A number in a sentence, printed as JavaScript prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberText(String);

impl From<f64> for NumberText {
    fn from(number: f64) -> Self {
        Self(number.to_string())
    }
}

impl std::fmt::Display for NumberText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl ProtocolError {
    /// What clients act on: 40xx give up, 41xx back off, 42xx reconnect at once, 43xx carry on.
    pub const fn code(&self) -> u16 {
        match self {
            Self::UnknownApp(_) => 4001,
            Self::AppDisabled => 4003,
            Self::VersionInvalid => 4006,
            Self::VersionUnsupported => 4007,
            Self::VersionMissing => 4008,
            Self::OriginNotAllowed
            | Self::NotAuthorizedInTime
            | Self::NotAuthorized
            | Self::UserWithoutId
            | Self::SignedInAlready
            | Self::Terminated
            | Self::NotAMember => 4009,
            Self::OverQuota { code } => *code,
            Self::TooSlow | Self::TooManyFrames | Self::TooManyFromAddress => 4100,
            Self::Closing | Self::Closed | Self::InvalidMessage => 4200,
            Self::PongMissing => 4201,
            Self::ClientEventsDisabled
            | Self::ClientEventsNotHere
            | Self::EventNameTooLong(_)
            | Self::EventDataTooLarge(_)
            | Self::ClientEventRate
            | Self::Overloaded => 4301,
            Self::WatchlistTooLong => 4302,
        }
    }
}

/// A `pusher:subscription_error`; the connection stays open. Shapes and texts are Soketi's: Laravel Echo's `.error()` reads them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SubscriptionError {
    /// Longer than `maxChannelNameLength`.
    #[error("The channel name is longer than the allowed {0} characters.")]
    NameTooLong(usize),
    /// Characters outside the convention.
    #[error(
        "The channel name is not allowed. Read channel conventions: https://pusher.com/docs/channels/using_channels/channels/#channel-naming-conventions"
    )]
    NameIllegal,
    /// The signature does not match, or nothing says who the member is.
    #[error("The connection is unauthorized.")]
    Unauthorized,
    /// `channel_data` is missing or no JSON object.
    #[error("A server error has occured.")]
    MemberUnreadable,
    /// `maxPresenceMembersPerChannel` is reached.
    #[error("The maximum members per presence channel limit was reached")]
    ChannelFull,
    /// `maxPresenceMemberSizeInKb` is exceeded.
    #[error("The maximum size for a channel member is {0} KB.")]
    MemberTooLarge(f64),
    /// More channels than one socket may hold.
    #[error("The connection is subscribed to the allowed {0} channels already.")]
    TooManySubscriptions(usize),
}

impl SubscriptionError {
    /// The field `type`; absent for illegal names, as in Soketi.
    pub const fn kind(&self) -> Option<&'static str> {
        match self {
            Self::NameIllegal => None,
            Self::Unauthorized => Some("AuthError"),
            Self::MemberUnreadable => Some("ServerError"),
            Self::NameTooLong(_)
            | Self::ChannelFull
            | Self::MemberTooLarge(_)
            | Self::TooManySubscriptions(_) => Some("LimitReached"),
        }
    }

    /// The field `status`.
    pub const fn status(&self) -> u16 {
        match self {
            Self::NameTooLong(_) | Self::NameIllegal => 4009,
            Self::Unauthorized => 401,
            Self::MemberUnreadable => 4302,
            Self::ChannelFull | Self::TooManySubscriptions(_) => 4100,
            Self::MemberTooLarge(_) => 4301,
        }
    }
}
