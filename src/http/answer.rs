//! Successful answers: their bodies, what is counted for them, what is left of the app's budget.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{HttpState, error, signed::SignedApp};
use crate::{
    http::ApiError,
    limiter::{Kind, Verdict},
};

pub(super) const JSON: &str = "application/json";

/// `{"ok":true}`
pub(super) const OK: Bytes = Bytes::from_static(br#"{"ok":true}"#);

/// Room for what the edge and this module put in.
const HEADERS: usize = 8;

/// A JSON answer with status 200.
pub(super) fn json(body: Bytes) -> Response {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    let mut response = Response::new(Body::from(body));
    *response.headers_mut() = headers;
    response
}

/// Charges the app's budget. `None`: it has none of this kind.
pub(super) fn charge(
    state: &HttpState,
    signed: &SignedApp,
    kind: Kind,
    points: u32,
) -> Result<Option<Verdict>, ApiError> {
    match state.node.limiter.consume(&signed.app, kind, points) {
        Some(verdict) if !verdict.allowed => {
            signed.tenant.metrics.rate_limited.increment(1);
            Err(ApiError::RateLimited(verdict))
        }
        verdict => Ok(verdict),
    }
}

/// Answers a call that was within its budget, and counts it if it succeeded. `received_bytes` is what a success counts for.
pub(super) fn finish(
    signed: &SignedApp,
    budget: Option<Verdict>,
    received_bytes: usize,
    result: Result<Bytes, ApiError>,
) -> Response {
    let mut response = match result {
        Ok(body) => {
            let metrics = &signed.tenant.metrics;
            metrics.http_calls_received.increment(1);
            metrics.http_received_bytes.increment(received_bytes as u64);
            metrics.http_transmitted_bytes.increment(body.len() as u64);
            json(body)
        }
        Err(error) => error.into_response(),
    };
    if let Some(verdict) = budget {
        let headers = response.headers_mut();
        // Soketi's decimal form; a refusal that says when to come back keeps its own.
        headers
            .entry(header::RETRY_AFTER)
            .or_insert_with(|| error::number(verdict.resets_in.as_secs_f64()));
        error::budget(headers, verdict);
    }
    response
}
