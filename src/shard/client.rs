//! What a client's message does: ping, subscribe, unsubscribe, client events. Every refusal is an answer; nothing a client sends can harm
//! anybody else. Pusher protocol 7.

use std::sync::Arc;

use super::Shard;
use crate::{
    app::{App, HookEvent},
    config::ClientEvents,
    directory::{ChannelKey, Message},
    protocol::{
        SocketId,
        auth::{self, Claim},
        channel::{Access, ChannelName, NameError, too_long},
        error::{ProtocolError, SubscriptionError},
        event::{self, ClientFrame, Subscribe},
        frame::Frame,
        json,
        member::{Member, exceeds_kb},
    },
    shard::{conn::Socket, wheel::Tick},
    webhook,
};

impl Shard {
    /// Acts on one message.
    pub(super) fn message(&mut self, token: u32, bytes: &[u8]) {
        let Some(client) = self.client(token) else {
            return;
        };
        let metrics = &client.socket.tenant.metrics;
        metrics.socket_received_bytes.increment(bytes.len() as u64);
        let Some(frame) = ClientFrame::parse(bytes) else {
            return;
        };
        metrics.ws_messages_received.increment(1);
        match &*frame.event {
            "pusher:ping" => self.push(token, event::pong()),
            "pusher:subscribe" => self.subscribe(token, &frame),
            "pusher:unsubscribe" => self.unsubscribe(token, &frame),
            "pusher:signin" => self.sign_in(token, &frame),
            name if name.starts_with("client-") => {
                if let Err(error) = self.client_event(token, &frame) {
                    self.push(token, event::error(&error, frame.channel.as_deref()));
                }
            }
            // `pusher:pong` and what later versions of clients may say.
            _ => {}
        }
    }

    pub(super) fn invalid(&mut self, token: u32) {
        self.push(token, event::error(&ProtocolError::InvalidMessage, None));
    }

    fn subscribe(&mut self, token: u32, frame: &ClientFrame<'_>) {
        let payload = frame.payload();
        let Some(request) = payload
            .as_deref()
            .and_then(|p| serde_json::from_str::<Subscribe<'_>>(p).ok())
        else {
            return self.invalid(token);
        };
        let Some(client) = self.client(token) else {
            return;
        };
        let leave = leave_for(&client.socket, &request);
        let done = leave.and_then(|(name, member)| {
            if name.access() != Access::Public {
                self.authorized(token);
            }
            self.enter(token, name, member)
        });
        if let Err(error) = done {
            self.push(token, event::subscription_error(&request.channel, &error));
        }
    }

    /// The socket is somebody now: the time to become so does not run any more.
    pub(super) fn authorized(&mut self, token: u32) {
        let node = Arc::clone(&self.node);
        let Some(client) = self.client(token) else {
            return;
        };
        let socket = &mut client.socket;
        socket.authorize_by = Tick::MAX;
        if !socket.counted {
            socket.counted = true;
            if let Err(error) = node.count_in(&socket.tenant) {
                socket.counted = false;
                self.close(token, &error);
            }
        }
    }

    fn unsubscribe(&mut self, token: u32, frame: &ClientFrame<'_>) {
        let payload = frame.payload();
        let Some(request) = payload
            .as_deref()
            .and_then(|p| serde_json::from_str::<Subscribe<'_>>(p).ok())
        else {
            return self.invalid(token);
        };
        let Some(client) = self.client(token) else {
            return;
        };
        let Ok(name) = ChannelName::parse(&request.channel, usize::MAX) else {
            return;
        };
        let key = ChannelKey {
            tenant: client.socket.tenant.index,
            name,
        };
        if let Some(i) = self.position(token, &key) {
            self.leave(token, i);
        }
    }

    fn client_event(&mut self, token: u32, frame: &ClientFrame<'_>) -> Result<(), ProtocolError> {
        let Some(client) = self.client(token) else {
            return Ok(());
        };
        let tenant = Arc::clone(&client.socket.tenant);
        let app = tenant.app();
        let data = check_client_event(&app, frame)?;
        let Some((key, i)) = self.place_in(token, tenant.index, frame) else {
            let told = self.node.protocol.not_a_member_error;
            return if told {
                Err(ProtocolError::NotAMember)
            } else {
                Ok(())
            };
        };
        let private = matches!(key.name.access(), Access::Private | Access::Presence);
        if self.node.protocol.client_events == ClientEvents::PrivateAndPresence && !private {
            return Err(ProtocolError::ClientEventsNotHere);
        }
        let now_ms = self.now_ms();
        let Some(client) = self.client(token) else {
            return Ok(());
        };
        let socket = &mut client.socket;
        if let Some(limit) = app.client_events_per_second_max
            && !socket
                .extra()
                .client_events
                .consume(now_ms, limit, 1)
                .allowed
        {
            tenant.metrics.rate_limited.increment(1);
            return Err(ProtocolError::ClientEventRate);
        }
        tenant.metrics.client_events.increment(1);
        let member = socket.member(socket.subscriptions[i].channel);
        let user_id_json = member.map(|member| member.id_json.clone());
        let (id, channel) = (socket.id, key.name.shared());
        let told = event::client_event(&frame.event, &channel, data, user_id_json.as_deref());
        self.spread(&key, &told, id)?;
        if self
            .node
            .webhooks
            .wants(&app, HookEvent::ClientEvent, &channel)
        {
            let event = webhook::Event::ClientEvent {
                channel,
                event: (*frame.event).into(),
                data_json: data.map(Into::into),
                socket_id: id.to_string().into(),
                user_id_json,
            };
            self.node.webhooks.enqueue(&app, event);
        }
        Ok(())
    }

    /// The channel that a client event names, and where it stands among the sender's subscriptions.
    fn place_in(
        &self,
        token: u32,
        tenant: u32,
        frame: &ClientFrame<'_>,
    ) -> Option<(ChannelKey, usize)> {
        let name = ChannelName::parse(frame.channel.as_deref()?, usize::MAX).ok()?;
        let key = ChannelKey { tenant, name };
        self.position(token, &key).map(|i| (key, i))
    }

    /// Tells every shard that holds the channel, this one too: behind what it was told before, so that a member is known before it speaks.
    fn spread(
        &self,
        channel: &ChannelKey,
        frame: &Frame,
        sender: SocketId,
    ) -> Result<(), ProtocolError> {
        let directory = &self.node.directory;
        let holders = directory.holders(channel);
        if holders
            .shards()
            .any(|shard| directory.inboxes[shard].is_full())
        {
            return Err(ProtocolError::Overloaded);
        }
        for shard in holders.shards() {
            let (channel, frame) = (channel.clone(), frame.clone());
            directory.inboxes[shard].send(Message::Deliver {
                channel,
                frame,
                except: Some(sender),
                sequence: None,
            });
        }
        Ok(())
    }
}

/// The event's data, if the app takes such events.
fn check_client_event<'a>(
    app: &App,
    frame: &ClientFrame<'a>,
) -> Result<Option<&'a str>, ProtocolError> {
    let limits = &app.limits;
    if !app.client_events {
        return Err(ProtocolError::ClientEventsDisabled);
    }
    if too_long(&frame.event, limits.event_name_chars_max) {
        return Err(ProtocolError::EventNameTooLong(limits.event_name_chars_max));
    }
    let data = frame.data.map(serde_json::value::RawValue::get);
    if data.is_some_and(|raw| exceeds_kb(json::counted_bytes(raw), limits.event_data_kb_max)) {
        return Err(ProtocolError::EventDataTooLarge(
            limits.event_data_kb_max.into(),
        ));
    }
    Ok(data)
}

/// Whether the socket may enter, and as whom. The signature is checked before any limit, so that strangers learn nothing of a channel.
fn leave_for(
    socket: &Socket,
    request: &Subscribe<'_>,
) -> Result<(ChannelName, Option<Member>), SubscriptionError> {
    let app = socket.tenant.app();
    let limits = app.limits;
    let channel = &*request.channel;
    if too_long(channel, limits.channel_name_chars_max) {
        return Err(SubscriptionError::NameTooLong(
            limits.channel_name_chars_max,
        ));
    }
    let auth = request.auth.as_deref().unwrap_or_default();
    let access = Access::of(channel);
    let member = match (access, request.channel_data.as_deref()) {
        (Access::Public, _) => None,
        (Access::Presence, Some(data)) => {
            prove(auth::allows(
                &app,
                socket.id,
                Claim::Presence(channel, data),
                auth,
            ))?;
            Some(Member::parse(data, limits.presence_member_kb_max)?)
        }
        (Access::Presence, None) => {
            let user = socket.user().ok_or(SubscriptionError::MemberUnreadable)?;
            prove(auth::allows(&app, socket.id, Claim::Channel(channel), auth))?;
            Some(user.member.clone())
        }
        (Access::Private | Access::Encrypted, _) => {
            prove(auth::allows(&app, socket.id, Claim::Channel(channel), auth))?;
            None
        }
    };
    let name =
        ChannelName::parse(channel, limits.channel_name_chars_max).map_err(
            |error| match error {
                NameError::TooLong => SubscriptionError::NameTooLong(limits.channel_name_chars_max),
                NameError::Illegal => SubscriptionError::NameIllegal,
            },
        )?;
    let is_user = |id: &str| {
        socket
            .user()
            .is_some_and(|user| user.member.id.as_str() == id)
    };
    prove(name.user().is_none_or(is_user))?;
    Ok((name, member))
}

fn prove(allowed: bool) -> Result<(), SubscriptionError> {
    if allowed {
        Ok(())
    } else {
        Err(SubscriptionError::Unauthorized)
    }
}
