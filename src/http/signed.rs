//! A request that an app has signed. What is cheap to refuse is refused first, and strangers before a byte of body is read.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{Uri, request::Parts},
};

use super::{
    ApiError, HttpState, Listener, Peer,
    body::HeldBody,
    query::{self, Asked, Claims, HexMd5},
};
use crate::app::{App, Tenant};

/// MD5 of no bytes.
const MD5_OF_NOTHING: HexMd5 = *b"d41d8cd98f00b204e9800998ecf8427e";
/// MD5 of `{}`, which Soketi takes an empty body for.
const MD5_OF_BRACES: HexMd5 = *b"99914b932bd37a50b983c5e7c90ae93b";

/// A request of a known app that is switched on, with its body. design: "HTTP".
pub(super) struct SignedApp {
    /// Whose it is.
    pub(super) tenant: Arc<Tenant>,
    /// Its settings when the request came.
    pub(super) app: Arc<App>,
    /// The channel or user that the path names, decoded; empty on routes without.
    pub(super) subject: String,
    /// Empty for requests that have none.
    pub(super) body: HeldBody,
    uri: Uri,
}

impl SignedApp {
    /// The first value of a parameter of the query.
    pub(super) fn parameter(&self, key: &str) -> Option<Cow<'_, str>> {
        query::value(self.uri.query()?, key)
    }

    /// Whether the comma-separated `info` asks for an attribute.
    pub(super) fn wants(&self, attribute: &str) -> bool {
        self.parameter("info")
            .is_some_and(|info| info.split(',').any(|word| word.trim() == attribute))
    }
}

impl FromRequest<HttpState> for SignedApp {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        if state.api_apart && is_main(&parts) {
            return Err(ApiError::NotHere);
        }
        if !state
            .bodies
            .accepts(http_body::Body::size_hint(&body).lower())
        {
            return Err(ApiError::BodyTooLarge);
        }
        let params = RawPathParams::from_request_parts(&mut parts, state)
            .await
            .map_err(|_| ApiError::NotHere)?;
        let (mut id, mut subject) = ("", "");
        for (name, value) in &params {
            *(if name == "app" { &mut id } else { &mut subject }) = value;
        }
        let Some(tenant) = state.node.apps.by_id(id) else {
            return Err(ApiError::UnknownApp(id.to_owned()));
        };
        let app = tenant.app();
        if !app.enabled {
            return Err(ApiError::AppDisabled);
        }
        let asked = Asked {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            prefix: &state.prefix,
        };
        let query = parts.uri.query().unwrap_or_default();
        let proven = prove(
            &Claims::parse(query),
            &app,
            asked,
            state.node.http.timestamp_window,
        )?;
        let body = match proven {
            Proven::WithoutBody => HeldBody::none(state),
            Proven::IfBodyHas(md5) => {
                let body = HeldBody::read(state, body).await?;
                check_md5(md5, &body).await?;
                body
            }
            Proven::NotYet => {
                let body = HeldBody::read(state, body).await?;
                prove_late(query, &app, asked, &body).await?;
                body
            }
        };
        Ok(Self {
            tenant,
            app,
            subject: subject.to_owned(),
            body,
            uri: parts.uri,
        })
    }
}

/// How far a signature was checked before the body came.
enum Proven {
    /// To the end.
    WithoutBody,
    /// To the end, given that the body has the MD5 that the query names.
    IfBodyHas(HexMd5),
    /// It covers an MD5 that the query does not name.
    NotYet,
}

fn prove(
    claims: &Claims<'_>,
    app: &App,
    asked: Asked<'_>,
    window: Option<Duration>,
) -> Result<Proven, ApiError> {
    if let Some(window) = window {
        check_timestamp(claims.timestamp().ok_or(ApiError::Unauthorized)?, window)?;
    }
    let (md5, proven) = match claims.body_md5() {
        _ if !takes_body(asked.method) => {
            let named = claims.names_body_md5();
            (named.then_some(MD5_OF_NOTHING), Proven::WithoutBody)
        }
        None if claims.is_plausible(app) => return Ok(Proven::NotYet),
        None => return Err(ApiError::Unauthorized),
        Some(md5) => (Some(md5), Proven::IfBodyHas(md5)),
    };
    if claims.verify(app, asked, md5.as_ref()) {
        Ok(proven)
    } else {
        Err(ApiError::Unauthorized)
    }
}

fn check_timestamp(timestamp: i64, window: Duration) -> Result<(), ApiError> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let off = i64::try_from(now).unwrap_or(i64::MAX).abs_diff(timestamp);
    if off > window.as_secs() {
        Err(ApiError::TimestampOff(window.as_secs()))
    } else {
        Ok(())
    }
}

/// The body is the one whose MD5 was signed.
async fn check_md5(signed: HexMd5, body: &HeldBody) -> Result<(), ApiError> {
    if body.md5().await? == signed || (body.bytes.is_empty() && signed == MD5_OF_BRACES) {
        Ok(())
    } else {
        Err(ApiError::Unauthorized)
    }
}

/// The signature covers the MD5 of the body that came.
async fn prove_late(
    query: &str,
    app: &App,
    asked: Asked<'_>,
    body: &HeldBody,
) -> Result<(), ApiError> {
    let md5 = body.md5().await?;
    let claims = Claims::parse(query);
    let braces = body.bytes.is_empty().then_some(MD5_OF_BRACES);
    if [Some(md5), braces]
        .iter()
        .flatten()
        .any(|md5| claims.verify(app, asked, Some(md5)))
    {
        Ok(())
    } else {
        Err(ApiError::Unauthorized)
    }
}

fn takes_body(method: &str) -> bool {
    method == "POST"
}

fn is_main(parts: &Parts) -> bool {
    parts
        .extensions
        .get::<Peer>()
        .is_some_and(|peer| peer.listener == Listener::Main)
}
