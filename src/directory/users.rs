//! Signed-in users: where their sockets are, and who watches them. A user's entry is locked while watchers are told, so that each hears
//! online and offline in their order.

use dashmap::{Entry, mapref::one::RefMut};
use smallvec::SmallVec;

use super::{Directory, Message, User, UserKey, inbox};
use crate::protocol::{SocketId, frame::Frame};

impl Directory {
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

    fn user(&self, key: &UserKey) -> RefMut<'_, UserKey, User> {
        self.users.entry(key.clone()).or_default()
    }

    /// The user's entry is locked meanwhile, so that a watcher hears online and offline in their order.
    fn tell(&self, watchers: &[SocketId], frame: &Frame) {
        for &socket in watchers {
            if let Some(inbox) = self.inboxes.get(inbox::place_of(socket).shard) {
                inbox.send(Message::Push {
                    socket,
                    frame: frame.clone(),
                });
            }
        }
    }
}
