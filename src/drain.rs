//! The one story of stopping: not ready but serving, close with 4200 spread over time, stop listening, flush, end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    config::Shutdown,
    directory::Message,
    node::{Node, Phase},
};

/// How often it is looked whether everybody has gone.
const LOOK: Duration = Duration::from_millis(10);

/// Of the grace period, kept for the last writes and the exit itself.
const RESERVE: Duration = Duration::from_millis(100);

/// Beyond the spread, for peers to answer their close.
const ANSWER: Duration = Duration::from_millis(500);

/// Takes the node from serving to nobody left, within the grace period.
pub async fn run(node: &Arc<Node>, shutdown: Shutdown) {
    let end = Instant::now() + shutdown.grace.saturating_sub(RESERVE);
    let left = || end.saturating_duration_since(Instant::now());
    node.set_phase(Phase::NotReady);
    tracing::info!(sockets = sockets(node), drain_delay = ?shutdown.drain_delay, "stopping: not ready any more, everything else goes on");
    tokio::time::sleep(shutdown.drain_delay.min(left())).await;
    node.set_phase(Phase::Closing);
    let spread = shutdown.spread.min(left());
    tracing::info!(
        sockets = sockets(node),
        ?spread,
        "closing all sockets with 4200"
    );
    node.directory.broadcast(|| Message::Drain(spread));
    let answered = Instant::now() + (spread + ANSWER).min(left());
    while sockets(node) > 0 && Instant::now() < answered {
        tokio::time::sleep(LOOK).await;
    }
    node.directory.broadcast(|| Message::StopListening);
    let pending = node.webhooks.flush(left()).await;
    if pending > 0 {
        tracing::error!(
            pending,
            "webhooks were not delivered before the end of the grace period"
        );
    }
}

fn sockets(node: &Node) -> u32 {
    node.apps
        .all()
        .iter()
        .map(|tenant| {
            tenant
                .connections
                .load(std::sync::atomic::Ordering::Relaxed)
        })
        .sum()
}
