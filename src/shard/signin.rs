//! `pusher:signin`: who a socket's user is, what the user's watchers hear, and what the user hears of others. Pusher docs, "User authentication".

use super::Shard;
use crate::{
    directory::UserKey,
    protocol::{
        auth::{self, Claim},
        error::ProtocolError,
        event::{self, ClientFrame, Presence, Signin},
        member::{User, UserId},
    },
};

impl Shard {
    pub(super) fn sign_in(&mut self, token: u32, frame: &ClientFrame<'_>) {
        let Some(client) = self.client(token) else {
            return;
        };
        let app = client.socket.tenant.app();
        if !app.user_authentication {
            return;
        }
        let payload = frame.payload();
        let Some((payload, request)) = payload
            .as_deref()
            .and_then(|p| Some((p, serde_json::from_str::<Signin<'_>>(p).ok()?)))
        else {
            return self.invalid(token);
        };
        if !auth::allows(
            &app,
            client.socket.id,
            Claim::User(&request.user_data),
            &request.auth,
        ) {
            return self.close(token, &ProtocolError::NotAuthorized);
        }
        let Some(user) = User::parse(&request.user_data) else {
            return self.close(token, &ProtocolError::UserWithoutId);
        };
        let (id, tenant) = (client.socket.id, client.socket.tenant.index);
        match client
            .socket
            .user()
            .map(|old| old.member.id == user.member.id)
        {
            Some(true) => return self.push(token, event::signin_success(payload)),
            Some(false) => {
                return self.push(token, event::error(&ProtocolError::SignedInAlready, None));
            }
            None => client.socket.extra().user = Some(user.clone()),
        }
        // Either step may be one too many, for the app's quota or for a socket that reads too slowly: it has left everything
        // then and must not come back.
        self.authorized(token);
        if self.is_open(token) {
            self.push(token, event::signin_success(payload));
        }
        if !self.is_open(token) {
            return;
        }
        let online = event::watchlist(Presence::Online, std::iter::once(&user.member.id));
        self.node.directory.sign_in(
            &UserKey {
                tenant,
                id: user.member.id.clone(),
            },
            id,
            &online,
        );
        if app.watchlist {
            self.watch(token, &user);
        }
    }

    /// Tells who of the watchlist is online, and hears of the others from now on.
    fn watch(&mut self, token: u32, user: &User) {
        let Some(client) = self.client(token) else {
            return;
        };
        let (id, tenant) = (client.socket.id, client.socket.tenant.index);
        let directory = &self.node.directory;
        let online: Vec<&UserId> = user
            .watchlist
            .iter()
            .filter(|watched| {
                directory.watch(
                    &UserKey {
                        tenant,
                        id: (*watched).clone(),
                    },
                    id,
                )
            })
            .collect();
        // Told after the directory knows: whoever is closed as too slow by this leaves what it watches.
        if user.watchlist_cut {
            self.push(token, event::error(&ProtocolError::WatchlistTooLong, None));
        }
        if !online.is_empty() {
            let frame = event::watchlist(Presence::Online, online.into_iter());
            self.push(token, frame);
        }
    }
}
