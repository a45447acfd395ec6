//! Subscription counts: told by one shard per channel, merged over some ticks. Pusher docs, "Subscription count events".

use super::Shard;
use crate::{
    directory::{ChannelKey, Message},
    protocol::{channel::Access, event},
    webhook,
};

impl Shard {
    /// The shard that the channel's name falls to tells the new count: one place, so that the last told is the last true.
    pub(super) fn count_changed(&self, key: &ChannelKey, wanted: bool) {
        if wanted && !key.name.is_hidden() && key.name.access() != Access::Presence {
            self.node
                .directory
                .home_of(key)
                .send(Message::Count(key.clone()));
        }
    }

    /// Tells the counts that have changed.
    pub(super) fn tell_counts(&mut self) {
        let tenants = self.node.apps.all();
        for key in std::mem::take(&mut self.counts) {
            let count = self.node.directory.occupancy(&key).subscriptions;
            let frame = event::subscription_count(key.name.as_str(), count);
            for shard in self.node.directory.holders(&key).shards() {
                let (channel, frame) = (key.clone(), frame.clone());
                self.node.directory.inboxes[shard].send(Message::Deliver {
                    channel,
                    frame,
                    except: None,
                    sequence: None,
                });
            }
            if let Some(tenant) = tenants.iter().find(|t| t.index == key.tenant) {
                let event = webhook::Event::SubscriptionCount {
                    channel: key.name.shared(),
                    count: count as u64,
                };
                self.node.webhooks.enqueue(&tenant.app(), event);
            }
        }
    }
}
