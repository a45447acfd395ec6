//! A shard's part of every channel: who is subscribed here. Membership is exact: it changes only between fan-outs.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use slab::Slab;

use crate::{app::Tenant, directory::ChannelKey, shard::conn::Subscription};

/// Channels by their place and by their name.
#[derive(Debug, Default)]
pub struct Channels {
    slab: Slab<Channel>,
    places: HashMap<ChannelKey, u32, RandomState>,
}

/// One channel's subscribers on this shard.
#[derive(Debug)]
pub struct Channel {
    /// Its name.
    pub key: ChannelKey,
    /// Its app.
    pub tenant: Arc<Tenant>,
    /// Who is subscribed.
    pub subscribers: Vec<Subscriber>,
    /// What each subscriber knew when it came, in the same order; only channels that have such knowledge.
    pub known: Option<Vec<Known>>,
}

/// One subscriber.
#[derive(Clone, Copy, Debug)]
pub struct Subscriber {
    /// The socket's place in the shard.
    pub token: u32,
    /// The channel's place among the socket's subscriptions.
    pub back: u32,
}

/// What a subscriber knew when it came: older news are not told to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Version of the member list.
    pub roster: u64,
    /// Number of the cached event.
    pub cached: u64,
}

impl Channels {
    /// The channel's place, if it has subscribers here.
    pub fn find(&self, key: &ChannelKey) -> Option<u32> {
        self.places.get(key).copied()
    }

    /// The channel at a place that [`Self::find`] or a subscription named.
    pub fn get(&self, at: u32) -> &Channel {
        &self.slab[at as usize]
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, at: u32) -> &mut Channel {
        &mut self.slab[at as usize]
    }

    /// Appends a subscriber, whose subscription will stand at `back` in its socket.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "places and positions are below 2^20"
    )]
    pub fn enter(
        &mut self,
        key: &ChannelKey,
        tenant: &Arc<Tenant>,
        token: u32,
        back: usize,
        known: Option<Known>,
    ) -> Subscription {
        let at = self.find(key).unwrap_or_else(|| {
            let (key, tenant) = (key.clone(), Arc::clone(tenant));
            let channel = Channel {
                key: key.clone(),
                tenant,
                subscribers: Vec::new(),
                known: known.map(|_| Vec::new()),
            };
            let at = self.slab.insert(channel) as u32;
            self.places.insert(key, at);
            at
        });
        let channel = self.get_mut(at);
        channel.subscribers.push(Subscriber {
            token,
            back: back as u32,
        });
        if let Some(list) = &mut channel.known {
            list.push(known.unwrap_or_default());
        }
        Subscription {
            channel: at,
            position: channel.subscribers.len() as u32 - 1,
        }
    }

    /// Removes the subscriber at `position`; says who stands there now and must be told.
    pub fn leave(&mut self, subscription: Subscription) -> Option<Subscriber> {
        let channel = self.get_mut(subscription.channel);
        let position = subscription.position as usize;
        channel.subscribers.swap_remove(position);
        if let Some(known) = &mut channel.known {
            known.swap_remove(position);
        }
        channel.subscribers.get(position).copied()
    }

    /// Forgets a channel without subscribers.
    pub fn remove(&mut self, at: u32) {
        let channel = self.slab.remove(at as usize);
        self.places.remove(&channel.key);
        if self.slab.is_empty() {
            *self = Self::default();
        }
    }
}
