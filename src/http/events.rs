//! `POST events` and `POST batch_events`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{
    ApiError, HttpState, answer,
    body::INLINE_BYTES_MAX,
    signed::SignedApp,
    trigger::{self, Event, Info, Judged, Shape},
};
use crate::{
    app::Tenant,
    limiter::Kind,
    node::{Node, Publish},
    protocol::{
        channel::{Access, ChannelName},
        json,
    },
};

/// `POST {prefix}/apps/{app}/events`
pub(super) async fn publish(State(state): State<HttpState>, signed: SignedApp) -> Response {
    take(&state, &signed, Shape::One).await
}

/// `POST {prefix}/apps/{app}/batch_events`
pub(super) async fn publish_batch(State(state): State<HttpState>, signed: SignedApp) -> Response {
    take(&state, &signed, Shape::Batch).await
}

async fn take(state: &HttpState, signed: &SignedApp, shape: Shape) -> Response {
    let judged = match judge(signed, shape).await {
        Ok(judged) => judged,
        Err(error) => return error.into_response(),
    };
    let budget = match answer::charge(state, signed, Kind::Backend, judged.points) {
        Ok(budget) => budget,
        Err(error) => return error.into_response(),
    };
    let result = match judged.events {
        Ok(events) => publish_all(&state.node, signed, &events, shape).await,
        Err(error) => Err(error),
    };
    answer::finish(signed, budget, signed.body.bytes.len(), result)
}

/// Large bodies are read off the shard.
async fn judge(signed: &SignedApp, shape: Shape) -> Result<Judged<'_>, ApiError> {
    let (body, limits) = (&signed.body.bytes, signed.app.limits);
    if body.len() <= INLINE_BYTES_MAX {
        return Ok(trigger::judge(body, &limits, shape));
    }
    let body = body.clone();
    let judging =
        tokio::task::spawn_blocking(move || trigger::judge(&body, &limits, shape).into_owned());
    let judged: Judged<'static> = judging.await.map_err(|_| ApiError::Internal)?;
    Ok(judged)
}

async fn publish_all(
    node: &Node,
    signed: &SignedApp,
    events: &[Event<'_>],
    shape: Shape,
) -> Result<Bytes, ApiError> {
    for event in events {
        let publish = Publish {
            name: &event.name,
            data: &event.data,
            channels: &event.channels,
            except: event.except,
        };
        node.publish(&signed.tenant, &publish).await?;
    }
    if events.iter().all(|event| event.info.is_none()) {
        return Ok(answer::OK);
    }
    let mut out = br#"{"ok":true,"#.to_vec();
    if let (Shape::One, [event]) = (shape, events) {
        channels(&mut out, node, &signed.tenant, event).await;
    } else {
        out.extend_from_slice(br#""batch":["#);
        for (i, event) in events.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"{" } else { b",{" });
            of_batch(&mut out, node, &signed.tenant, event).await;
            out.push(b'}');
        }
        out.push(b']');
    }
    out.push(b'}');
    Ok(out.into())
}

/// Pusher's batch events have one channel and get its attributes; those with several get what `events` answers.
async fn of_batch(out: &mut Vec<u8>, node: &Node, tenant: &Tenant, event: &Event<'_>) {
    match (event.info, &event.channels[..]) {
        (None, _) => {}
        (Some(info), [channel]) => attributes(out, node, tenant, channel, info).await,
        (Some(_), _) => channels(out, node, tenant, event).await,
    }
}

/// `"channels":{NAME:{…},…}`, each name once.
async fn channels(out: &mut Vec<u8>, node: &Node, tenant: &Tenant, event: &Event<'_>) {
    let Some(info) = event.info else { return };
    out.extend_from_slice(br#""channels":{"#);
    for (i, channel) in event.channels.iter().enumerate() {
        if event.channels[..i].contains(channel) {
            continue;
        }
        if i > 0 {
            out.push(b',');
        }
        json::string(out, channel.as_str());
        out.extend_from_slice(b":{");
        attributes(out, node, tenant, channel, info).await;
        out.push(b'}');
    }
    out.push(b'}');
}

async fn attributes(
    out: &mut Vec<u8>,
    node: &Node,
    tenant: &Tenant,
    channel: &ChannelName,
    info: Info,
) {
    let occupancy = node.occupancy(tenant, channel).await;
    let users = info.user_count && channel.access() == Access::Presence;
    if users {
        out.extend_from_slice(format!(r#""user_count":{}"#, occupancy.users).as_bytes());
    }
    if info.subscription_count {
        let comma = if users { "," } else { "" };
        let count = occupancy.subscriptions;
        out.extend_from_slice(format!(r#"{comma}"subscription_count":{count}"#).as_bytes());
    }
}
