//! What a channel's changes tell the app's own server. Runs while the channel is locked, so that webhooks keep its order.

use std::sync::Arc;

use crate::{
    app::{App, HookEvent},
    directory::{ChannelKey, Joined, Left},
    protocol::member::Member,
    webhook::{self, Webhooks},
};

pub(super) fn joined(
    webhooks: &Webhooks,
    app: &Arc<App>,
    key: &ChannelKey,
    joined: &Joined,
    member: Option<&Member>,
) {
    let wants = |kind| !key.name.is_hidden() && webhooks.wants(app, kind, key.name.as_str());
    let channel = || key.name.shared();
    if joined.occupied && wants(HookEvent::ChannelOccupied) {
        webhooks.enqueue(app, webhook::Event::ChannelOccupied { channel: channel() });
    }
    let added = joined
        .presence
        .as_ref()
        .is_some_and(|presence| presence.added.is_some());
    if let Some(member) = member.filter(|_| added && wants(HookEvent::MemberAdded)) {
        let user_id_json = member.id_json.clone();
        webhooks.enqueue(
            app,
            webhook::Event::MemberAdded {
                channel: channel(),
                user_id_json,
            },
        );
    }
}

pub(super) fn left(webhooks: &Webhooks, app: &Arc<App>, key: &ChannelKey, left: &Left) {
    let wants = |kind| !key.name.is_hidden() && webhooks.wants(app, kind, key.name.as_str());
    let channel = || key.name.shared();
    if left.vacated && wants(HookEvent::ChannelVacated) {
        webhooks.enqueue(app, webhook::Event::ChannelVacated { channel: channel() });
    }
    if let Some(removed) = left
        .removed
        .as_ref()
        .filter(|_| wants(HookEvent::MemberRemoved))
    {
        let user_id_json = removed.id_json.clone();
        webhooks.enqueue(
            app,
            webhook::Event::MemberRemoved {
                channel: channel(),
                user_id_json,
            },
        );
    }
}
