//! What a caller is told when a request is refused: status, sentence, headers. Texts are Soketi's where it has one.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    limiter::Verdict,
    node::Overloaded,
    protocol::{error::SubscriptionError, json},
};

/// A refused request. spec: http-api, "Endpoints" and "The one fact everybody trips over".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApiError {
    /// The body is larger than any may be; found before or while it is read.
    #[error("The payload size is too big.")]
    BodyTooLarge,
    /// No app has this id.
    #[error("The app {0} could not be found.")]
    UnknownApp(String),
    /// The app is switched off.
    #[error("The app is not enabled.")]
    AppDisabled,
    /// `auth_timestamp` is further off than so many seconds.
    #[error(
        "The auth_timestamp is more than {0} seconds from this server's time: check both clocks."
    )]
    TimestampOff(u64),
    /// The signature does not match, or something that belongs to it is missing.
    #[error("The secret authentication failed")]
    Unauthorized,
    /// Bodies of other requests fill what the node may hold.
    #[error("The server is reading too many request bodies at once. Try again.")]
    TooManyBodies,
    /// Nothing more of the body came for too long.
    #[error("The request body did not arrive in time.")]
    BodyTimeout,
    /// The connection failed within the body.
    #[error("The request body could not be read.")]
    BodyUnreadable,
    /// No JSON, or not what the endpoint takes.
    #[error("The received data is incorrect")]
    DataIncorrect,
    /// An event for more channels than allowed.
    #[error("Cannot broadcast to more than {0} channels at once")]
    TooManyChannels(usize),
    /// A batch of more events than allowed.
    #[error("Cannot batch-send more than {0} messages at once")]
    BatchTooLong(usize),
    /// The event's name is too long.
    #[error("Event name is too long. Maximum allowed size is {0}.")]
    EventNameTooLong(usize),
    /// The event's data is too large.
    #[error("The event data should be less than {0} KB.")]
    EventDataTooLarge(f64),
    /// The name of a channel is not one.
    #[error("{0}")]
    ChannelName(SubscriptionError),
    /// `socket_id` is not one.
    #[error("The socket_id must be two numbers joined by a dot, such as 1234.5678.")]
    SocketId,
    /// Only presence channels have users.
    #[error("The channel must be a presence channel.")]
    NotPresence,
    /// The app's budget is spent.
    #[error("Too many requests.")]
    RateLimited(Verdict),
    /// A shard could not take the event.
    #[error("{0}")]
    Overloaded(#[from] Overloaded),
    /// This listener does not serve the API.
    #[error("")]
    NotHere,
    /// A bug.
    #[error("Internal server error.")]
    Internal,
}

/// Marks an answer as an API error, so that the switch for Soketi's statuses finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApiErrorMark;

impl ApiError {
    /// What goes into the status line and the body.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BodyTooLarge | Self::EventDataTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownApp(_) | Self::NotHere => StatusCode::NOT_FOUND,
            Self::AppDisabled => StatusCode::FORBIDDEN,
            Self::TimestampOff(_) | Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::TooManyBodies | Self::Overloaded(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyUnreadable
            | Self::DataIncorrect
            | Self::TooManyChannels(_)
            | Self::BatchTooLong(_)
            | Self::EventNameTooLong(_)
            | Self::ChannelName(_)
            | Self::SocketId
            | Self::NotPresence => StatusCode::BAD_REQUEST,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The rest of the body was not read and must not be taken for the next request.
    const fn leaves_body(&self) -> bool {
        matches!(
            self,
            Self::BodyTooLarge | Self::BodyTimeout | Self::BodyUnreadable | Self::TooManyBodies
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self == Self::NotHere {
            return StatusCode::NOT_FOUND.into_response();
        }
        let mut response = answer(self.status(), &self.to_string());
        let headers = response.headers_mut();
        match &self {
            Self::TooManyBodies | Self::Overloaded(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::RateLimited(verdict) => {
                let seconds = verdict.resets_in.as_secs_f64().ceil().max(1.0);
                headers.insert(header::RETRY_AFTER, number(seconds));
                budget(headers, *verdict);
            }
            _ => {}
        }
        if self.leaves_body() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self == Self::BodyTooLarge {
            response.extensions_mut().insert(super::edge::NoCors);
        } else {
            response.extensions_mut().insert(ApiErrorMark);
        }
        response
    }
}

/// `{"error":TEXT,"code":N}`
pub(super) fn answer(status: StatusCode, text: &str) -> Response {
    let mut body = Vec::with_capacity(32 + text.len());
    body.extend_from_slice(br#"{"error":"#);
    json::string(&mut body, text);
    body.extend_from_slice(format!(r#","code":{}}}"#, status.as_u16()).as_bytes());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(super::answer::JSON),
    );
    response
}

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// What a budget is and what is left of it.
pub(super) fn budget(headers: &mut axum::http::HeaderMap, verdict: Verdict) {
    headers.insert(LIMIT, verdict.limit.into());
    headers.insert(REMAINING, verdict.remaining.into());
}

/// A number as JavaScript prints it.
pub(super) fn number(number: f64) -> HeaderValue {
    HeaderValue::try_from(number.to_string()).unwrap_or(HeaderValue::from_static("1"))
}

/// What is said for a handler that panicked.
pub(super) fn of_panic(panic: &(dyn std::any::Any + Send)) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(
        panic = text,
        "a request handler has panicked, which is a bug"
    );
    ApiError::Internal.into_response()
}
