//! How connections end, and what the wheel finds overdue: pings, time-outs, the drain.

use std::time::{Duration, Instant};

use super::Shard;
use crate::{
    protocol::{error::ProtocolError, event, frame::Frame},
    shard::{
        conn::{Conn, State},
        outbox::Outbox,
        wheel::{TICK_MS, Tick, ticks},
    },
};

/// Silence after which a client is pinged, and again, and given up.
const PING_AFTER: Duration = Duration::from_secs(30);

/// A peer that was told to go has so long to answer before the connection is reset.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// Pings that may go unanswered.
const PINGS_MAX: u8 = 2;

/// Closing all sockets evenly over a span.
#[derive(Debug)]
pub(super) struct Draining {
    began: Instant,
    spread: Duration,
    /// Places not visited yet, last first.
    places: Vec<u32>,
    total: usize,
}

impl Shard {
    /// Tells a socket why, closes it, and awaits its own close for a while. Its channels are left at once.
    pub(super) fn close(&mut self, token: u32, error: &ProtocolError) {
        if self
            .client(token)
            .is_none_or(|client| client.socket.state != State::Open)
        {
            return;
        }
        self.set_closing(token);
        self.push(token, event::error(error, None));
        self.push_control(token, Frame::close(Some(error.code()), &error.to_string()));
    }

    /// Fails the connection with a close frame: nothing that still comes can be understood. RFC 6455, section 7.1.7.
    pub(super) fn close_failed(&mut self, token: u32, frame: Frame) {
        if self
            .client(token)
            .is_some_and(|client| client.socket.state == State::Open)
        {
            self.set_closing(token);
            if let Some(client) = self.client(token)
                && let State::Closing(by) = client.socket.state
            {
                client.socket.state = State::Failed(by);
            }
            self.push_control(token, frame);
        }
    }

    fn set_closing(&mut self, token: u32) {
        let by = self.now + ticks(LINGER);
        self.leave_all(token);
        if let Some(client) = self.client(token) {
            client.socket.state = State::Closing(by);
        }
        self.schedule(token, by);
    }

    /// The peer closes, or answers our close.
    pub(super) fn closed_by_peer(&mut self, token: u32, code: Option<u16>) {
        let by = self.now + ticks(LINGER);
        // Who has closed once cannot put its end off by closing again.
        let Some(client) = self
            .client(token)
            .filter(|client| !matches!(client.socket.state, State::Closed(_)))
        else {
            return;
        };
        let was = std::mem::replace(&mut client.socket.state, State::Closed(by));
        if was == State::Open {
            self.leave_all(token);
            self.push_control(token, Frame::close(code, ""));
        }
        self.touch(token);
        self.schedule(token, by);
    }

    /// A control frame: not counted as a message.
    pub(super) fn push_control(&mut self, token: u32, frame: Frame) {
        let outbox_bytes_max = self.node.connection.outbox_bytes_max;
        let Some(client) = self.client(token) else {
            return;
        };
        let bytes = Outbox::cost(&frame);
        let slow =
            client.outbox.push(frame) > outbox_bytes_max && client.socket.state == State::Open;
        self.waiting_bytes += bytes;
        self.touch(token);
        if slow {
            self.too_slow(token);
        }
    }

    /// Everything has been sent and both sides have closed.
    pub(super) fn finish(&mut self, token: u32) {
        if let Some(client) = self.client(token) {
            client.link.shutdown();
        }
        self.gone(token);
    }

    /// The one way out of a place.
    pub(super) fn gone(&mut self, token: u32) {
        self.leave_all(token);
        let Some(slot) = self.conns.try_remove(token as usize) else {
            return;
        };
        self.mailbox.count_out();
        if let Conn::Client(client) = slot.conn {
            self.waiting_bytes -= client.outbox.bytes();
            self.partial_bytes -= client.partial.as_ref().map_or(0, |partial| partial.size());
            let socket = &client.socket;
            if socket.accepted {
                self.node.count_gone(&socket.tenant, socket.counted);
            }
            if let Some(address) = client.counted_address {
                self.node.forget_address(*address);
            }
        }
        if self.conns.is_empty() {
            self.conns = slab::Slab::new();
            self.touched = std::collections::VecDeque::new();
        }
    }

    /// The wheel came to a connection: something may be due.
    pub(super) fn look(&mut self, token: u32) {
        let now = self.now;
        let header_timeout = ticks(self.node.http.header_timeout);
        match self
            .conns
            .get_mut(token as usize)
            .map(|slot| &mut slot.conn)
        {
            Some(Conn::Fresh(fresh)) => match (fresh.by <= now, fresh.held.is_some()) {
                (false, _) => {
                    let by = fresh.by;
                    self.schedule(token, by);
                }
                (true, true) => self.answer_held(token),
                (true, false) => self.gone(token),
            },
            Some(Conn::Http(http)) => {
                let due = http.borrow().due(header_timeout);
                if due > now {
                    self.schedule(token, due);
                } else {
                    let wakers = http.borrow_mut().cut();
                    wakers
                        .into_iter()
                        .flatten()
                        .for_each(std::task::Waker::wake);
                }
            }
            Some(Conn::Client(_)) => self.look_at_client(token),
            Some(Conn::Lingering(lingering)) if lingering.by > now => {
                let by = lingering.by;
                self.schedule(token, by);
            }
            Some(Conn::Lingering(_)) => self.gone(token),
            Some(Conn::Between) | None => {}
        }
    }

    fn look_at_client(&mut self, token: u32) {
        let now = self.now;
        let Some(client) = self.client(token) else {
            return;
        };
        let socket = &mut client.socket;
        let due = match socket.state {
            State::Closing(by) | State::Failed(by) | State::Closed(by) if by <= now => {
                if client.outbox.bytes() > 0 {
                    client.link.reset_on_close();
                }
                return self.gone(token);
            }
            State::Closing(by) | State::Failed(by) | State::Closed(by) => by,
            State::Open if socket.authorize_by <= now => {
                return self.close(token, &ProtocolError::NotAuthorizedInTime);
            }
            State::Open => {
                let silent_until =
                    socket.heard + ticks(PING_AFTER) * (Tick::from(socket.pings) + 1);
                if silent_until > now {
                    silent_until.min(socket.authorize_by)
                } else if socket.pings >= PINGS_MAX {
                    return self.close(token, &ProtocolError::PongMissing);
                } else {
                    socket.pings += 1;
                    let next = (now + ticks(PING_AFTER)).min(socket.authorize_by);
                    self.push_control(token, Frame::ping());
                    next
                }
            }
        };
        self.schedule(token, due);
    }

    /// What is done each tick, whoever is connected.
    pub(super) fn each_tick(&mut self, tick: Tick) {
        self.accept_again(true);
        self.mailbox.report_waiting(self.waiting_bytes);
        if !self.counts.is_empty() && tick.is_multiple_of(3) {
            self.tell_counts();
        }
        if self.waiting_bytes > 0 {
            self.bound_waiting();
        }
        self.drain_some();
    }

    /// More waits on the node than it keeps: this shard closes its fullest, as many as make up for its share of the excess.
    fn bound_waiting(&mut self) {
        let inboxes = &self.node.directory.inboxes;
        let total: usize = inboxes
            .iter()
            .map(crate::directory::Inbox::waiting_bytes)
            .sum();
        let excess = total.saturating_sub(self.node.connection.node_outbox_bytes_max);
        if excess == 0 {
            return;
        }
        let share = excess as u128 * self.waiting_bytes as u128 / total as u128;
        let mut share = usize::try_from(share).unwrap_or(usize::MAX);
        let mut fullest: Vec<(usize, usize)> = self
            .conns
            .iter()
            .filter_map(|(token, slot)| match &slot.conn {
                Conn::Client(client) if client.socket.state == State::Open => {
                    Some((client.outbox.bytes(), token))
                }
                _ => None,
            })
            .filter(|(bytes, _)| *bytes > 0)
            .collect();
        fullest.sort_unstable();
        while share > 0
            && let Some((bytes, token)) = fullest.pop()
        {
            share = share.saturating_sub(bytes);
            self.too_slow(u32::try_from(token).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn close_app(&mut self, tenant: u32, error: &ProtocolError) {
        for token in self.clients(|client| client.socket.tenant.index == tenant) {
            self.close(token, error);
        }
    }

    fn clients(&self, wanted: impl Fn(&crate::shard::conn::Client) -> bool) -> Vec<u32> {
        let tokens = self
            .conns
            .iter()
            .filter(|(_, slot)| matches!(&slot.conn, Conn::Client(client) if wanted(client)));
        tokens
            .map(|(token, _)| u32::try_from(token).unwrap_or(u32::MAX))
            .collect()
    }

    /// Strangers whose handshake is held back.
    fn held(&self) -> Vec<u32> {
        let held = self
            .conns
            .iter()
            .filter(|(_, slot)| matches!(&slot.conn, Conn::Fresh(fresh) if fresh.held.is_some()));
        held.map(|(token, _)| u32::try_from(token).unwrap_or(u32::MAX))
            .collect()
    }

    /// Begins to close every socket.
    pub(super) fn drain(&mut self, spread: Duration) {
        self.routes.closing.set(true);
        let places = self.clients(|client| client.socket.state == State::Open);
        let total = places.len();
        self.draining = Some(Draining {
            began: Instant::now(),
            spread,
            places,
            total,
        });
        self.drain_some();
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    fn drain_some(&mut self) {
        let Some(draining) = &mut self.draining else {
            return;
        };
        let share = (draining.began.elapsed().as_secs_f64() + 0.001 * TICK_MS as f64)
            / draining.spread.as_secs_f64().max(0.001);
        let left =
            draining.total - ((draining.total as f64 * share).ceil() as usize).min(draining.total);
        let now = if left < draining.places.len() {
            draining.places.split_off(left)
        } else {
            Vec::new()
        };
        for token in now {
            self.close(token, &ProtocolError::Closed);
        }
    }

    /// Ends the thread: whoever is left is told to come back, and what waits gets one last write.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        for token in self.held() {
            self.answer_held(token);
        }
        for token in self.clients(|client| client.socket.state == State::Open) {
            self.close(token, &ProtocolError::Closed);
        }
        while !self.touched.is_empty() {
            self.flush_touched();
        }
    }
}
