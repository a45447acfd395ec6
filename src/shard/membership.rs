//! Entering and leaving channels. Leaving is one function, so that no way out can forget it.

use std::sync::Arc;

use super::Shard;
use crate::{
    app::{App, Tenant},
    cache::CachedEvent,
    directory::{ChannelKey, Full, Holders, Joined, Joining, Left, Message, UserKey},
    protocol::{
        channel::ChannelName, error::SubscriptionError, event, frame::Frame, member::Member,
    },
    shard::{
        channels::Known,
        conn::{Conn, State},
        hooks,
    },
    webhook,
};

/// What a channel remembers.
enum Cached {
    /// It is no cache channel.
    NotKept,
    /// Nothing.
    Miss,
    /// Its last event.
    Hit(Arc<CachedEvent>),
}

impl Cached {
    fn sequence(&self) -> u64 {
        match self {
            Self::Hit(event) => event.sequence,
            Self::NotKept | Self::Miss => 0,
        }
    }
}

impl Shard {
    /// Where the channel stands among the socket's subscriptions.
    pub(super) fn position(&self, token: u32, key: &ChannelKey) -> Option<usize> {
        let at = self.channels.find(key)?;
        let Conn::Client(client) = &self.conns.get(token as usize)?.conn else {
            return None;
        };
        client
            .socket
            .subscriptions
            .iter()
            .position(|s| s.channel == at)
    }

    /// Enters a channel for which the socket has leave. The subscription, its success and its cached event are one step: no event
    /// comes before them, none is lost after.
    pub(super) fn enter(
        &mut self,
        token: u32,
        name: ChannelName,
        mut member: Option<Member>,
    ) -> Result<(), SubscriptionError> {
        // To become somebody may have been one too many for the app's quota.
        let Some(client) = self
            .client(token)
            .filter(|client| client.socket.state == State::Open)
        else {
            return Ok(());
        };
        let tenant = Arc::clone(&client.socket.tenant);
        let key = ChannelKey {
            tenant: tenant.index,
            name,
        };
        if let Some(i) = self.position(token, &key) {
            return self.enter_again(token, i, key, member);
        }
        let subscriptions_max = self.node.connection.subscriptions_max;
        if self
            .client(token)
            .is_some_and(|client| client.socket.subscriptions.len() >= subscriptions_max)
        {
            return Err(SubscriptionError::TooManySubscriptions(subscriptions_max));
        }
        let app = tenant.app();
        let joining = Joining {
            member: member.as_ref(),
            members_max: app.limits.presence_members_max,
        };
        let webhooks = &self.node.webhooks;
        let tell = |joined: &Joined| {
            hooks::joined(webhooks, &app, &key, joined, member.as_ref());
            self.announce_joined(&key, joined, member.as_ref());
        };
        let joined = self
            .node
            .directory
            .join(&key, self.index, &joining, tell)
            .map_err(|Full| SubscriptionError::ChannelFull)?;
        if let (Some(member), Some(presence)) = (&mut member, &joined.presence) {
            member.id_json.clone_from(&presence.id_json);
        }
        let cached = self.cached(&app, &key);
        let knows = joined.presence.is_some() || !matches!(cached, Cached::NotKept);
        let known = knows.then(|| Known {
            roster: joined.presence.as_ref().map_or(0, |p| p.version),
            cached: cached.sequence(),
        });
        self.seat(token, &key, &tenant, known, member.as_ref());
        let succeeded = match joined.presence {
            None => event::subscription_succeeded(key.name.as_str()),
            Some(presence) => presence.succeeded,
        };
        self.push(token, succeeded);
        self.replay(token, &key, cached);
        self.count_changed(&key, app.subscription_count);
        Ok(())
    }

    /// Puts the socket into the channel's list here, and the channel into the socket's.
    fn seat(
        &mut self,
        token: u32,
        key: &ChannelKey,
        tenant: &Arc<Tenant>,
        known: Option<Known>,
        member: Option<&Member>,
    ) {
        let Self {
            conns, channels, ..
        } = self;
        let Some(Conn::Client(client)) = conns.get_mut(token as usize).map(|slot| &mut slot.conn)
        else {
            return;
        };
        let socket = &mut client.socket;
        let subscription = channels.enter(key, tenant, token, socket.subscriptions.len(), known);
        socket.subscriptions.push(subscription);
        if let Some(member) = member {
            socket
                .extra()
                .members
                .push((subscription.channel, member.clone()));
        }
    }

    fn enter_again(
        &mut self,
        token: u32,
        i: usize,
        key: ChannelKey,
        member: Option<Member>,
    ) -> Result<(), SubscriptionError> {
        let Some(client) = self.client(token) else {
            return Ok(());
        };
        let at = client.socket.subscriptions[i].channel;
        let succeeded = match member {
            None => event::subscription_succeeded(key.name.as_str()),
            Some(member)
                if client
                    .socket
                    .member(at)
                    .is_some_and(|old| old.id == member.id) =>
            {
                if let Some((_, old)) = client
                    .socket
                    .extra()
                    .members
                    .iter_mut()
                    .find(|(channel, _)| *channel == at)
                {
                    old.info_json.clone_from(&member.info_json);
                }
                let Some(frame) = self.node.directory.rejoin(&key, &member) else {
                    return Ok(());
                };
                frame
            }
            Some(member) => {
                // Another user on the same socket: the old one leaves, and everybody hears of it.
                self.leave(token, i);
                return self.enter(token, key.name, Some(member));
            }
        };
        self.push(token, succeeded);
        let app = self
            .conns
            .get(token as usize)
            .and_then(|slot| match &slot.conn {
                Conn::Client(client) => Some(client.socket.tenant.app()),
                _ => None,
            });
        if let Some(app) = app {
            let cached = self.cached(&app, &key);
            self.replay(token, &key, cached);
        }
        Ok(())
    }

    fn cached(&self, app: &App, key: &ChannelKey) -> Cached {
        if !key.name.is_cache() {
            return Cached::NotKept;
        }
        let event = self.node.cache.get(app, &key.name.shared());
        event.map_or(Cached::Miss, Cached::Hit)
    }

    /// Shows the cached event, or says that there is none.
    fn replay(&mut self, token: u32, key: &ChannelKey, cached: Cached) {
        match cached {
            Cached::NotKept => {}
            Cached::Hit(cached) => self.push(
                token,
                event::published(&cached.event, key.name.as_str(), &cached.data_json),
            ),
            Cached::Miss => {
                self.push(token, event::cache_miss(key.name.as_str()));
                self.hook(token, key, |channel| webhook::Event::CacheMiss { channel });
            }
        }
    }

    /// Leaves the channel that stands at `i` among the socket's subscriptions.
    pub(super) fn leave(&mut self, token: u32, i: usize) {
        let Some(client) = self.client(token) else {
            return;
        };
        let tenant = Arc::clone(&client.socket.tenant);
        let Some((key, last, member)) = self.unseat(token, i) else {
            return;
        };
        let app = tenant.app();
        let webhooks = &self.node.webhooks;
        let tell = |left: &Left| {
            hooks::left(webhooks, &app, &key, left);
            self.announce_left(&key, left);
        };
        let user = member.as_ref().map(|member| &member.id);
        self.node
            .directory
            .leave(&key, self.index, last, user, tell);
        self.count_changed(&key, app.subscription_count);
    }

    /// Takes the socket out of the channel's list here; says which channel, whether it was the last, and who it was there.
    fn unseat(&mut self, token: u32, i: usize) -> Option<(ChannelKey, bool, Option<Member>)> {
        let socket = &mut self.client(token)?.socket;
        let subscription = socket.subscriptions.swap_remove(i);
        let member = socket.extra.as_mut().and_then(|extra| {
            let at = extra
                .members
                .iter()
                .rposition(|(channel, _)| *channel == subscription.channel)?;
            Some(extra.members.swap_remove(at).1)
        });
        // The socket's last subscription has moved into the gap: its channel must know.
        if let Some(moved) = socket.subscriptions.get(i).copied() {
            let subscriber =
                &mut self.channels.get_mut(moved.channel).subscribers[moved.position as usize];
            subscriber.back = u32::try_from(i).unwrap_or(u32::MAX);
        }
        // So has the channel's last subscriber.
        if let Some(moved) = self.channels.leave(subscription)
            && let Some(other) = self.client(moved.token)
        {
            other.socket.subscriptions[moved.back as usize].position = subscription.position;
        }
        let channel = self.channels.get(subscription.channel);
        let (key, last) = (channel.key.clone(), channel.subscribers.is_empty());
        if last {
            self.channels.remove(subscription.channel);
        }
        Some((key, last, member))
    }

    /// Leaves every channel and signs out.
    pub(super) fn leave_all(&mut self, token: u32) {
        while let Some(last) = self
            .client(token)
            .and_then(|client| client.socket.subscriptions.len().checked_sub(1))
        {
            self.leave(token, last);
        }
        let Some(client) = self.client(token) else {
            return;
        };
        let (id, tenant) = (client.socket.id, client.socket.tenant.index);
        let Some(user) = client
            .socket
            .extra
            .as_mut()
            .and_then(|extra| extra.user.take())
        else {
            return;
        };
        let directory = &self.node.directory;
        for watched in user.watchlist {
            directory.unwatch(
                &UserKey {
                    tenant,
                    id: watched,
                },
                id,
            );
        }
        let user = user.member.id;
        let offline = event::watchlist(event::Presence::Offline, std::iter::once(&user));
        directory.sign_out(&UserKey { tenant, id: user }, id, &offline);
    }

    fn announce_joined(&self, key: &ChannelKey, joined: &Joined, member: Option<&Member>) {
        let presence = joined.presence.as_ref();
        let added = presence.and_then(|presence| Some((presence.added?, presence.version)));
        if let (Some((holders, version)), Some(member)) = (added, member) {
            let frame = event::member_added(key.name.as_str(), member);
            self.announce_everywhere(key, holders, version, &frame);
        }
    }

    fn announce_left(&self, key: &ChannelKey, left: &Left) {
        if let Some(removed) = &left.removed {
            let frame = event::member_removed(key.name.as_str(), &removed.id_json);
            self.announce_everywhere(key, removed.holders, removed.version, &frame);
        }
    }

    /// While the channel is locked, so that every shard hears of its changes in their order.
    fn announce_everywhere(&self, key: &ChannelKey, holders: Holders, version: u64, frame: &Frame) {
        for shard in holders.shards() {
            let (channel, frame) = (key.clone(), frame.clone());
            self.node.directory.inboxes[shard].send(Message::Announce {
                channel,
                frame,
                version,
            });
        }
    }

    fn hook(
        &mut self,
        token: u32,
        key: &ChannelKey,
        event: impl FnOnce(Arc<str>) -> webhook::Event,
    ) {
        if let Some(client) = self.client(token).filter(|_| !key.name.is_hidden()) {
            let app = client.socket.tenant.app();
            self.node.webhooks.enqueue(&app, event(key.name.shared()));
        }
    }
}
