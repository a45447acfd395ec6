//! Fan-out: appending to outboxes, which is never sliced, and flushing them, which is.

use std::time::Instant;

use mio::{Interest, Token};

use super::{FLUSH_SLICE, Shard};
use crate::{
    directory::{ChannelKey, inbox::place_of},
    protocol::{SocketId, error::ProtocolError, frame::Frame},
    shard::{
        channels::Known,
        conn::{Client, Conn, State},
        outbox::{Flushed, Outbox},
    },
};

impl Shard {
    /// Puts an event into the outbox of every subscriber. `sequence` is the event's number in a cache channel: subscribers that were
    /// shown it, or a later one, when they came do not get it again.
    pub(super) fn deliver(
        &mut self,
        key: &ChannelKey,
        frame: &Frame,
        except: Option<SocketId>,
        sequence: Option<u64>,
    ) {
        let except = except.and_then(|id| self.token_of(id));
        self.fan_out(key, frame, |token, known| {
            Some(token) != except && sequence.is_none_or(|n| known.is_none_or(|k| k.cached < n))
        });
    }

    /// Tells a change of a presence channel's members to those whose list is older.
    pub(super) fn announce(&mut self, key: &ChannelKey, frame: &Frame, version: u64) {
        self.fan_out(key, frame, |_, known| {
            known.is_none_or(|known| known.roster < version)
        });
    }

    fn fan_out(
        &mut self,
        key: &ChannelKey,
        frame: &Frame,
        wanted: impl Fn(u32, Option<&Known>) -> bool,
    ) {
        let Some(at) = self.channels.find(key) else {
            return;
        };
        let Self {
            channels,
            conns,
            touched,
            waiting_bytes,
            node,
            ..
        } = self;
        let channel = channels.get(at);
        let outbox_bytes_max = node.connection.outbox_bytes_max;
        let cost = Outbox::cost(frame);
        let (mut sent, mut slow) = (0_u64, Vec::new());
        for (i, subscriber) in channel.subscribers.iter().enumerate() {
            let token = subscriber.token;
            if !wanted(token, channel.known.as_ref().and_then(|known| known.get(i))) {
                continue;
            }
            let Some(Conn::Client(client)) =
                conns.get_mut(token as usize).map(|slot| &mut slot.conn)
            else {
                continue;
            };
            if client.outbox.push(frame.clone()) > outbox_bytes_max {
                slow.push(token);
            }
            *waiting_bytes += cost;
            if !client.touched {
                client.touched = true;
                touched.push_back(token);
            }
            sent += 1;
        }
        channel.tenant.metrics.ws_messages_sent.increment(sent);
        channel
            .tenant
            .metrics
            .socket_transmitted_bytes
            .increment(sent * frame.payload_len() as u64);
        if sent > 0 {
            self.delivering_since.get_or_insert_with(Instant::now);
        }
        for token in slow {
            self.too_slow(token);
        }
    }

    /// Puts a frame into one outbox.
    pub(super) fn push(&mut self, token: u32, frame: Frame) {
        let Some(client) = self.client(token) else {
            return;
        };
        let metrics = &client.socket.tenant.metrics;
        metrics.ws_messages_sent.increment(1);
        let bytes = frame.payload_len() as u64;
        metrics.socket_transmitted_bytes.increment(bytes);
        self.push_control(token, frame);
    }

    /// The socket has something to write.
    pub(super) fn touch(&mut self, token: u32) {
        if let Some(client) = self.client(token)
            && !client.touched
        {
            client.touched = true;
            self.touched.push_back(token);
        }
    }

    /// Writes what waits for the next sockets, one vectored write each.
    pub(super) fn flush_touched(&mut self) {
        for _ in 0..self.touched.len().min(FLUSH_SLICE) {
            if let Some(token) = self.touched.pop_front() {
                self.flush(token);
            }
        }
        if self.touched.is_empty() {
            if let Some(since) = self.delivering_since.take() {
                self.node
                    .metrics
                    .delivery_seconds
                    .record(since.elapsed().as_secs_f64());
            }
            if self.touched.capacity() > 1024 && self.conns.len() < 64 {
                self.touched.shrink_to_fit();
            }
        }
    }

    fn flush(&mut self, token: u32) {
        let Some(Conn::Client(client)) = self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        else {
            return;
        };
        client.touched = false;
        if client.blocked {
            return;
        }
        let before = client.outbox.bytes();
        let flushed = client.outbox.flush(&mut client.link);
        self.waiting_bytes -= before - client.outbox.bytes();
        match flushed {
            Ok(Flushed::All) => match client.socket.state {
                State::Closed(_) => self.finish(token),
                State::Failed(_) => client.link.shutdown(),
                State::Open | State::Closing(_) => {}
            },
            Ok(Flushed::Blocked) => self.await_room(token),
            Err(_) => self.gone(token),
        }
    }

    /// Asks to be told when the kernel takes more; asked once, it is told each time.
    fn await_room(&mut self, token: u32) {
        let Some(Conn::Client(client)) = self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        else {
            return;
        };
        client.blocked = true;
        if std::mem::replace(&mut client.awaits_room, true) {
            return;
        }
        let both = Interest::READABLE | Interest::WRITABLE;
        if client
            .link
            .reregister(&self.registry, Token(token as usize), both)
            .is_err()
        {
            self.gone(token);
        }
    }

    /// More waits for the socket than is kept: it gets the rest of the frame that has begun, the reason, and its end.
    pub(super) fn too_slow(&mut self, token: u32) {
        let Some(client) = self.client(token) else {
            return;
        };
        if client.socket.state != State::Open {
            return;
        }
        let dropped = client.outbox.bytes();
        client.outbox.keep_begun_frame();
        let kept = client.outbox.bytes();
        client.socket.tenant.metrics.slow_closes.increment(1);
        tracing::debug!(socket = %client.socket.id, app = %client.socket.tenant.app().id, waiting_bytes = dropped, "closed a socket that reads too slowly");
        self.waiting_bytes -= dropped - kept;
        self.close(token, &ProtocolError::TooSlow);
    }

    /// The place of a socket of this shard, if it still lives.
    pub(super) fn token_of(&self, id: SocketId) -> Option<u32> {
        let place = place_of(id);
        match &self
            .conns
            .get(place.token as usize)
            .filter(|_| place.shard == self.index)?
            .conn
        {
            Conn::Client(Client { socket, .. }) if socket.id == id => Some(place.token),
            _ => None,
        }
    }
}
