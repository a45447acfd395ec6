//! Reads of channels and their users; `terminate_connections`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{ApiError, HttpState, answer, signed::SignedApp};
use crate::{
    limiter::Kind,
    node::Occupancy,
    protocol::{
        channel::{Access, ChannelName},
        json,
    },
};

/// What a read counts for in `http_received_bytes`: Soketi's `{}`.
const READ_BYTES: usize = 2;

/// `GET {prefix}/apps/{app}/channels`
pub(super) async fn list(State(state): State<HttpState>, signed: SignedApp) -> Response {
    read(&state, &signed, async {
        let prefix = signed.parameter("filter_by_prefix").unwrap_or_default();
        let users = signed.wants("user_count");
        let channels = state.node.channels(&signed.tenant, &prefix).await;
        let mut out = br#"{"channels":{"#.to_vec();
        for (i, (name, occupancy)) in channels.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            json::string(&mut out, name.as_str());
            out.extend_from_slice(b":{");
            let users = users && name.access() == Access::Presence;
            attributes(&mut out, *occupancy, users);
            out.push(b'}');
        }
        out.extend_from_slice(b"}}");
        Ok(out.into())
    })
    .await
}

/// `GET {prefix}/apps/{app}/channels/{channel}`
pub(super) async fn one(State(state): State<HttpState>, signed: SignedApp) -> Response {
    read(&state, &signed, async {
        let name = ChannelName::parse(&signed.subject, usize::MAX).ok();
        let occupancy = match &name {
            Some(name) => state.node.occupancy(&signed.tenant, name).await,
            None => Occupancy::default(),
        };
        let mut out = b"{".to_vec();
        let users = Access::of(&signed.subject) == Access::Presence;
        attributes(&mut out, occupancy, users);
        if let Some(name) = name.filter(|name| name.is_cache() && signed.wants("cache")) {
            out.extend_from_slice(br#","cache":"#);
            match state.node.cached(&signed.tenant, &name).await {
                None => out.extend_from_slice(b"null"),
                Some(cached) => {
                    out.extend_from_slice(br#"{"event":"#);
                    json::string(&mut out, &cached.event);
                    out.extend_from_slice(br#","data":"#);
                    out.extend_from_slice(cached.data_json.as_bytes());
                    out.push(b'}');
                }
            }
        }
        out.push(b'}');
        Ok(out.into())
    })
    .await
}

/// `GET {prefix}/apps/{app}/channels/{channel}/users`
pub(super) async fn users(State(state): State<HttpState>, signed: SignedApp) -> Response {
    read(&state, &signed, async {
        if Access::of(&signed.subject) != Access::Presence {
            return Err(ApiError::NotPresence);
        }
        let with_info = signed.parameter("with_user_info").as_deref() == Some("1");
        let members = match ChannelName::parse(&signed.subject, usize::MAX) {
            Ok(name) => state.node.members(&signed.tenant, &name).await,
            Err(_) => Vec::new(),
        };
        let mut out = br#"{"users":["#.to_vec();
        for (i, member) in members.iter().enumerate() {
            out.extend_from_slice(if i == 0 { br#"{"id":"# } else { br#",{"id":"# });
            out.extend_from_slice(member.id_json.as_bytes());
            // Soketi leaves out what the application did not give.
            if with_info && &*member.info_json != "null" {
                out.extend_from_slice(br#","user_info":"#);
                out.extend_from_slice(member.info_json.as_bytes());
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
        Ok(out.into())
    })
    .await
}

/// `POST {prefix}/apps/{app}/users/{user}/terminate_connections`
pub(super) async fn terminate(State(state): State<HttpState>, signed: SignedApp) -> Response {
    state
        .node
        .terminate_user(&signed.tenant, &signed.subject)
        .await;
    answer::json(answer::OK)
}

async fn read(
    state: &HttpState,
    signed: &SignedApp,
    result: impl Future<Output = Result<Bytes, ApiError>>,
) -> Response {
    match answer::charge(state, signed, Kind::Read, 1) {
        Ok(budget) => answer::finish(signed, budget, READ_BYTES, result.await),
        Err(error) => error.into_response(),
    }
}

fn attributes(out: &mut Vec<u8>, occupancy: Occupancy, users: bool) {
    let (count, occupied) = (occupancy.subscriptions, occupancy.subscriptions > 0);
    out.extend_from_slice(
        format!(r#""subscription_count":{count},"occupied":{occupied}"#).as_bytes(),
    );
    if users {
        out.extend_from_slice(format!(r#","user_count":{}"#, occupancy.users).as_bytes());
    }
}
