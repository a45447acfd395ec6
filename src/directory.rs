//! What shards share: which shard holds a channel, how many are in it and who, where a signed-in user's sockets are. Everything else
//! belongs to one shard alone. Shards are reached by [`Message`]s only. Must not know sockets, frames' meaning, HTTP.

pub mod inbox;
pub mod roster;

use std::hash::BuildHasher;

use dashmap::{DashMap, Entry, mapref::one::RefMut};
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::{
    node::Occupancy,
    protocol::{
        SocketId,
        channel::ChannelName,
        frame::Frame,
        member::{Member, UserId},
    },
};

pub use inbox::{Inbox, Message};
use roster::Roster;

/// Room that an empty directory may keep.
const SPARE: usize = 1024;

/// A channel of an app of this process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChannelKey {
    /// `Tenant::index`
    pub tenant: u32,
    /// The channel.
    pub name: ChannelName,
}

/// A user of an app of this process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserKey {
    /// `Tenant::index`
    pub tenant: u32,
    /// The user.
    pub id: UserId,
}

/// Shards that hold a channel: one bit each, so at most 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holders(u64);

impl Holders {
    /// No shard.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their indexes, in order.
    pub fn shards(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let shard = left.trailing_zeros() as usize;
            left &= left.checked_sub(1)?;
            Some(shard)
        })
    }
}

#[derive(Debug, Default)]
struct Channel {
    holders: Holders,
    subscriptions: u32,
    roster: Option<Box<Roster>>,
}

#[derive(Debug, Default)]
struct User {
    sockets: SmallVec<[SocketId; 1]>,
    watchers: Vec<SocketId>,
}

/// A socket enters a channel.
#[derive(Debug)]
pub struct Joining<'a> {
    /// Who joins; presence channels only.
    pub member: Option<&'a Member>,
    /// Most members the channel may have.
    pub members_max: usize,
}

/// A socket has entered a channel.
#[derive(Debug)]
pub struct Joined {
    /// It is the first of the node.
    pub occupied: bool,
    /// Presence channels only.
    pub presence: Option<JoinedPresence>,
}

/// What a presence channel's joiner is told, and what the others are.
#[derive(Debug)]
pub struct JoinedPresence {
    /// `subscription_succeeded` with the list at `version`.
    pub succeeded: Frame,
    /// The list's version; later changes have a greater one.
    pub version: u64,
    /// The user was not in the channel before: the others must hear of it.
    pub added: Option<Holders>,
    /// The user's id as the others know it.
    pub id_json: Box<str>,
}

/// A socket has left a channel.
#[derive(Debug)]
pub struct Left {
    /// It was the last of the node.
    pub vacated: bool,
    /// It was the user's last: the others must hear of it.
    pub removed: Option<Removed>,
}

/// A member is gone.
#[derive(Debug)]
pub struct Removed {
    /// The id as JSON.
    pub id_json: Box<str>,
    /// Version of the list without the member.
    pub version: u64,
    /// Who must hear of it.
    pub holders: Holders,
}

/// The presence channel has as many members as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The shards and what they share.
#[derive(Debug)]
pub struct Directory {
    /// One per shard.
    pub inboxes: Box<[Inbox]>,
    channels: DashMap<ChannelKey, Channel, RandomState>,
    users: DashMap<UserKey, User, RandomState>,
}

impl Directory {
    /// For these shards.
    pub fn new(inboxes: Vec<Inbox>) -> Self {
        Self {
            inboxes: inboxes.into(),
            channels: DashMap::default(),
            users: DashMap::default(),
        }
    }

    /// Shards that have subscribers of the channel.
    pub fn holders(&self, key: &ChannelKey) -> Holders {
        self.channels
            .get(key)
            .map_or(Holders(0), |channel| channel.holders)
    }

    /// Counts a socket of `shard` in. `tell` runs while the channel is locked, so that what it tells of a channel keeps its order;
    /// it must not wait.
    pub fn join(
        &self,
        key: &ChannelKey,
        shard: usize,
        joining: &Joining<'_>,
        tell: impl FnOnce(&Joined),
    ) -> Result<Joined, Full> {
        let mut channel = match self.channels.entry(key.clone()) {
            Entry::Occupied(entry) => entry.into_ref(),
            Entry::Vacant(_) if joining.member.is_some() && joining.members_max == 0 => {
                return Err(Full);
            }
            Entry::Vacant(entry) => entry.insert(Channel::default()),
        };
        let presence = match joining.member {
            Some(member) => Some(channel.enter(&key.name, member, joining.members_max)?),
            None => None,
        };
        channel.holders.0 |= 1 << shard;
        channel.subscriptions += 1;
        let joined = Joined {
            occupied: channel.subscriptions == 1,
            presence,
        };
        tell(&joined);
        Ok(joined)
    }

    /// A socket that is in the channel joins it again as the same user.
    pub fn rejoin(&self, key: &ChannelKey, member: &Member) -> Option<Frame> {
        let mut channel = self.channels.get_mut(key)?;
        let roster = channel.roster.as_mut()?;
        roster.renew(member);
        Some(roster.succeeded(&key.name))
    }

    /// Counts a socket of `shard` out. `last` says that the shard has none left in the channel; `tell` as in
    /// [`Self::join`].
    pub fn leave(
        &self,
        key: &ChannelKey,
        shard: usize,
        last: bool,
        user: Option<&UserId>,
        tell: impl FnOnce(&Left),
    ) -> Left {
        let Entry::Occupied(mut entry) = self.channels.entry(key.clone()) else {
            return Left {
                vacated: false,
                removed: None,
            };
        };
        let channel = entry.get_mut();
        channel.subscriptions -= 1;
        if last {
            channel.holders.0 &= !(1 << shard);
        }
        let holders = channel.holders;
        let removed = user
            .zip(channel.roster.as_mut())
            .and_then(|(user, roster)| {
                let (id_json, version) = roster.leave(user)?;
                Some(Removed {
                    id_json,
                    version,
                    holders,
                })
            });
        let vacated = channel.subscriptions == 0;
        let left = Left { vacated, removed };
        tell(&left);
        if vacated {
            entry.remove();
        }
        left
    }

    /// Who is in the channel.
    pub fn occupancy(&self, key: &ChannelKey) -> Occupancy {
        self.channels
            .get(key)
            .map_or_else(Occupancy::default, |channel| channel.occupancy())
    }

    /// Channels of an app whose names begin with `prefix`, without hidden ones.
    pub fn channels(&self, tenant: u32, prefix: &str) -> Vec<(ChannelName, Occupancy)> {
        let wanted = |key: &ChannelKey| {
            key.tenant == tenant && !key.name.is_hidden() && key.name.as_str().starts_with(prefix)
        };
        self.channels
            .iter()
            .filter(|entry| wanted(entry.key()))
            .map(|entry| (entry.key().name.clone(), entry.occupancy()))
            .collect()
    }

    /// Subscriptions and channels of each app, for gauges: (`tenant`, channels, subscriptions).
    pub fn totals(&self) -> Vec<(u32, usize, usize)> {
        let mut totals = std::collections::HashMap::<u32, (usize, usize)>::new();
        for entry in &self.channels {
            let total = totals.entry(entry.key().tenant).or_default();
            total.0 += 1;
            total.1 += entry.subscriptions as usize;
        }
        totals
            .into_iter()
            .map(|(tenant, (channels, subscriptions))| (tenant, channels, subscriptions))
            .collect()
    }

    /// Runs `read` over the members of a presence channel.
    pub fn members<T>(&self, key: &ChannelKey, read: impl FnMut(&Member) -> T) -> Vec<T> {
        self.channels
            .get(key)
            .and_then(|c| c.roster.as_ref().map(|r| r.members().map(read).collect()))
            .unwrap_or_default()
    }

    /// Sockets signed in as the user.
    pub fn sockets_of(&self, key: &UserKey) -> SmallVec<[SocketId; 1]> {
        self.users
            .get(key)
            .map(|user| user.sockets.clone())
            .unwrap_or_default()
    }

    /// The socket is the user's now. `online` is told to the user's watchers if it is the first, before anything that follows.
    pub fn sign_in(&self, key: &UserKey, socket: SocketId, online: &Frame) {
        let mut user = self.user(key);
        user.sockets.push(socket);
        if user.sockets.len() == 1 {
            self.tell(&user.watchers, online);
        }
    }

    /// The socket is gone. `offline` is told to the user's watchers if it was the last.
    pub fn sign_out(&self, key: &UserKey, socket: SocketId, offline: &Frame) {
        let Entry::Occupied(mut entry) = self.users.entry(key.clone()) else {
            return;
        };
        let user = entry.get_mut();
        user.sockets.retain(|id| *id != socket);
        if user.sockets.is_empty() {
            self.tell(&user.watchers, offline);
            if user.watchers.is_empty() {
                entry.remove();
            }
        }
    }

    /// The socket hears of the user from now on; says whether the user is online.
    pub fn watch(&self, key: &UserKey, watcher: SocketId) -> bool {
        let mut user = self.user(key);
        if !user.watchers.contains(&watcher) {
            user.watchers.push(watcher);
        }
        !user.sockets.is_empty()
    }

    /// The socket does not hear of the user any more.
    pub fn unwatch(&self, key: &UserKey, watcher: SocketId) {
        let Entry::Occupied(mut entry) = self.users.entry(key.clone()) else {
            return;
        };
        let user = entry.get_mut();
        user.watchers.retain(|id| *id != watcher);
        if user.watchers.is_empty() && user.sockets.is_empty() {
            entry.remove();
        }
    }

    /// Gives back the room of channels and users that are gone. Called once a second.
    pub fn sweep(&self) {
        if self.channels.is_empty() && self.channels.capacity() > SPARE {
            self.channels.shrink_to_fit();
        }
        if self.users.is_empty() && self.users.capacity() > SPARE {
            self.users.shrink_to_fit();
        }
    }

    fn user(&self, key: &UserKey) -> RefMut<'_, UserKey, User> {
        self.users.entry(key.clone()).or_default()
    }

    /// The user's entry is locked meanwhile, so that a watcher hears online and offline in their order.
    fn tell(&self, watchers: &[SocketId], frame: &Frame) {
        for &socket in watchers {
            if let Some(inbox) = self.inboxes.get(inbox::place_of(socket).shard) {
                inbox.send_in_order(Message::Push {
                    socket,
                    frame: frame.clone(),
                });
            }
        }
    }

    /// To the shard that owns the socket, if the id can be one of ours.
    pub fn send_to_socket(&self, socket: SocketId, message: Message) {
        if let Some(inbox) = self.inboxes.get(inbox::place_of(socket).shard) {
            inbox.send(message);
        }
    }

    /// The shard with the fewest connections.
    pub fn quietest(&self) -> &Inbox {
        self.inboxes
            .iter()
            .min_by_key(|inbox| inbox.load())
            .unwrap_or(&self.inboxes[0])
    }

    /// The shard that speaks for a channel where one must.
    #[expect(clippy::cast_possible_truncation, reason = "a remainder of at most 64")]
    pub fn home_of(&self, key: &ChannelKey) -> &Inbox {
        let hash = self.channels.hasher().hash_one(key);
        &self.inboxes[(hash % self.inboxes.len() as u64) as usize]
    }

    /// Tells every shard.
    pub fn broadcast(&self, message: impl Fn() -> Message) {
        for inbox in &self.inboxes {
            inbox.send(message());
        }
    }
}

impl Channel {
    fn enter(
        &mut self,
        name: &ChannelName,
        member: &Member,
        members_max: usize,
    ) -> Result<JoinedPresence, Full> {
        let holders = self.holders;
        let roster = self.roster.get_or_insert_default();
        let added = roster.enter(member, members_max)?;
        Ok(JoinedPresence {
            succeeded: roster.succeeded(name),
            version: roster.version(),
            added: added.then_some(holders),
            id_json: roster
                .announced_id(&member.id)
                .unwrap_or(&member.id_json)
                .into(),
        })
    }

    fn occupancy(&self) -> Occupancy {
        Occupancy {
            subscriptions: self.subscriptions as usize,
            users: self.roster.as_ref().map_or(0, |r| r.members().len()),
        }
    }
}
