//! Health, memory, metrics: what operators and their probes ask.

use std::{collections::HashMap, sync::atomic::Ordering::Relaxed};

use axum::{
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{ApiError, HttpState, answer, edge::Bare, error, memory, query};
use crate::{
    directory::Inbox,
    metrics::{self, process},
    node::{Node, Phase},
};

/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "OK"
}

/// The process wants traffic.
pub(super) async fn ready(State(state): State<HttpState>) -> Response {
    match closing(&state) {
        Some(answer) => answer,
        None => "OK".into_response(),
    }
}

/// The process wants traffic and has memory left for it.
pub(super) async fn accept_traffic(State(state): State<HttpState>) -> Response {
    if let Some(answer) = closing(&state) {
        return answer;
    }
    let memory = memory::usage();
    let percent = memory.percent();
    if percent > state.node.server.accept_traffic_percent_max {
        let text = "Low on memory here. Choose another server. :)";
        return error::answer(StatusCode::SERVICE_UNAVAILABLE, text);
    }
    let (used, total) = (memory.used_bytes, memory.total_bytes);
    let body = format!(
        r#"{{"memory":{{"usedSize":{used},"totalSize":{total},"percentUsage":{percent}}}}}"#
    );
    answer::json(body.into())
}

/// Memory of this process against what it may have.
pub(super) async fn usage() -> Response {
    let memory = memory::usage();
    let (used, total) = (memory.used_bytes, memory.total_bytes);
    let (free, percent) = (total.saturating_sub(used), memory.percent());
    let body = format!(
        r#"{{"memory":{{"free":{free},"used":{used},"total":{total},"percent":{percent}}}}}"#
    );
    answer::json(body.into())
}

/// All metrics, as Prometheus' text or, with `?json=1`, as JSON.
pub(super) async fn metrics(State(state): State<HttpState>, RawQuery(raw): RawQuery) -> Response {
    let Some(prometheus) = state.prometheus.clone() else {
        return Bare(StatusCode::NOT_FOUND).into_response();
    };
    let as_json = raw.is_some_and(|raw| query::value(&raw, "json").is_some_and(|v| !v.is_empty()));
    // With many apps, or many descriptors to count, this takes longer than a shard may be away.
    let rendered = tokio::task::spawn_blocking(move || {
        refresh(&state.node);
        let mut text = prometheus.render();
        process::render(&mut text, &state.node.metrics);
        if as_json {
            metrics::json::convert(&text)
        } else {
            text
        }
    });
    let Ok(body) = rendered.await else {
        return ApiError::Internal.into_response();
    };
    if as_json {
        return answer::json(body.into());
    }
    let kind = HeaderValue::from_static(TEXT_FORMAT);
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Gauges are read from the truth when somebody looks.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and sizes are far below 2^52"
)]
fn refresh(node: &Node) {
    let totals: HashMap<u32, (usize, usize)> = node
        .directory
        .totals()
        .into_iter()
        .map(|(tenant, channels, subscriptions)| (tenant, (channels, subscriptions)))
        .collect();
    for tenant in node.apps.all() {
        let (channels, subscriptions) = totals.get(&tenant.index).copied().unwrap_or_default();
        let metrics = &tenant.metrics;
        metrics.connected.set(tenant.connections.load(Relaxed));
        metrics.channels_occupied.set(channels as f64);
        metrics.subscriptions.set(subscriptions as f64);
    }
    let waiting: usize = node
        .directory
        .inboxes
        .iter()
        .map(Inbox::waiting_bytes)
        .sum();
    node.metrics.outbox_bytes.set(waiting as f64);
}

fn closing(state: &HttpState) -> Option<Response> {
    let text = "The server is closing. Choose another server. :)";
    (state.node.phase() != Phase::Serving)
        .then(|| error::answer(StatusCode::SERVICE_UNAVAILABLE, text))
}
