//! This process's operations, each a sequence of steps: publish, count, list, terminate. Must not know axum types or Redis commands.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use serde_json::value::RawValue;

use crate::{
    app::{Apps, Tenant},
    protocol::{SocketId, channel::ChannelName},
};

/// What the HTTP API publishes: one event to some channels.
#[derive(Debug)]
pub struct Publish<'a> {
    /// The event's name, checked.
    pub name: &'a str,
    /// JSON of any type, forwarded as it came.
    pub data: &'a RawValue,
    /// At most the app's `event_channels_max`.
    pub channels: &'a [ChannelName],
    /// Left out of the delivery, though not of a cache channel's memory.
    pub except: Option<SocketId>,
}

/// A shard could not take the event within 100 ms; it was not delivered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The server is overloaded; the event may have reached some of its subscribers. Try again.")]
pub struct Overloaded;

/// Who is in a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Sockets subscribed.
    pub subscriptions: usize,
    /// Distinct users; presence channels only, else 0.
    pub users: usize,
}

/// A member as the API lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// JSON, its type kept.
    pub id_json: Box<str>,
    /// JSON.
    pub info_json: Box<str>,
}

/// How far the process is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// At work.
    Serving,
    /// Signalled: not ready, but everything goes on.
    NotReady,
    /// Sockets are being closed; new ones are turned away.
    Closing,
}

/// This process.
#[derive(Debug)]
pub struct Node {
    /// Its tenants.
    pub apps: Apps,
    phase: AtomicU8,
}

impl Node {
    /// How far the process is from its end.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Serving,
            1 => Phase::NotReady,
            _ => Phase::Closing,
        }
    }

    /// Delivers an event to every subscriber on this node, and remembers it for cache channels. Returns after hand-off.
    pub async fn publish(
        &self,
        _tenant: &Arc<Tenant>,
        _event: &Publish<'_>,
    ) -> Result<(), Overloaded> {
        Ok(())
    }

    /// Channels with at least one subscription whose names begin with `prefix`; hidden ones (`#`) are left out.
    pub async fn channels(&self, _tenant: &Tenant, _prefix: &str) -> Vec<(ChannelName, Occupancy)> {
        Vec::new()
    }

    /// Who is in one channel; zeros for one that nobody has.
    pub async fn occupancy(&self, _tenant: &Tenant, _channel: &ChannelName) -> Occupancy {
        Occupancy::default()
    }

    /// Members of a presence channel in their order.
    pub async fn members(&self, _tenant: &Tenant, _channel: &ChannelName) -> Vec<Listed> {
        Vec::new()
    }

    /// The remembered event of a cache channel as name and JSON data.
    pub async fn cached(
        &self,
        _tenant: &Tenant,
        _channel: &ChannelName,
    ) -> Option<(String, String)> {
        None
    }

    /// Closes every socket that is signed in as the user, with 4009.
    pub async fn terminate_user(&self, _tenant: &Tenant, _user: &str) {}
}
