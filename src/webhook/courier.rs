//! The one task that owns all that is on its way: takes events in, lets leaves wait, starts attempts, judges how they ended.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use hyper::Uri;
use tokio::{
    sync::{mpsc, oneshot},
    task::{Id, JoinError, JoinSet},
    time::sleep_until,
};

use super::{
    Bounds, Inbox,
    batch::Batches,
    client::{Client, Outcome},
    count,
    event::Occurrence,
    grace::Grace,
    queue::{Delivery, Parcel, Queue},
};
use crate::{app::AppId, config};

/// Events handled before other tasks of the runtime get their turn.
const SLICE: usize = 256;
/// Between attempts while flushing: there is no time for back-off.
const FLUSH_PAUSE: Duration = Duration::from_millis(200);
/// Log lines of one kind are at least so far apart.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// When there is nothing to wait for.
const IDLE: Duration = Duration::from_hours(1);

/// A request to send everything and stop.
#[derive(Debug)]
pub(super) struct Flush {
    pub(super) deadline: Instant,
    /// Gets how many events and requests were left.
    pub(super) done: oneshot::Sender<usize>,
}

#[derive(Debug)]
pub(super) struct Courier {
    inbox: Arc<Inbox>,
    bounds: Bounds,
    block_private: bool,
    grace: Grace,
    batches: Batches,
    queue: Queue,
    /// Made for the first delivery: most servers have none, and authorities take time to read.
    client: Option<Client>,
    attempts: JoinSet<Outcome>,
    in_flight: HashMap<Id, Delivery>,
    flush: Option<Flush>,
    /// Random, so that ids of two processes differ.
    id: u64,
    parcels: u64,
    drops: Quiet,
    failures: Quiet,
    surrenders: Quiet,
}

impl Courier {
    pub(super) fn new(inbox: Arc<Inbox>, config: &config::Webhooks, bounds: Bounds) -> Self {
        Self {
            inbox,
            bounds,
            block_private: config.block_private_targets,
            grace: Grace::new(config.grace, bounds.held),
            batches: Batches::new(config.batching),
            queue: Queue::memory(bounds.queue, bounds.order_wait),
            client: None,
            attempts: JoinSet::new(),
            in_flight: HashMap::new(),
            flush: None,
            id: getrandom::u64().unwrap_or_else(|_| super::now_ms()),
            parcels: 0,
            drops: Quiet::default(),
            failures: Quiet::default(),
            surrenders: Quiet::default(),
        }
    }

    /// Ends with a flush, or when nobody is left to ask for one.
    pub(super) async fn run(mut self, mut flushes: mpsc::Receiver<Flush>) {
        loop {
            let now = Instant::now();
            self.release(now);
            let has_more = self.take_events(now);
            self.pack(now);
            while let Some(ended) = self.attempts.try_join_next_with_id() {
                self.settle(ended, now);
            }
            self.start_attempts(now).await;
            let waiting = self.waiting();
            self.inbox.beyond.store(waiting, Ordering::Relaxed);
            if let Some(flush) = &self.flush {
                let is_done = waiting == 0 && !has_more && self.inbox.len() == 0;
                if is_done || now >= flush.deadline {
                    return self.finish();
                }
            }
            if has_more {
                tokio::task::yield_now().await;
                continue;
            }
            let wake = self.next_due().unwrap_or(now + IDLE);
            tokio::select! {
                () = self.inbox.arrived.notified() => {}
                Some(ended) = self.attempts.join_next_with_id() => self.settle(ended, Instant::now()),
                flush = flushes.recv(), if self.flush.is_none() => match flush {
                    Some(flush) => self.begin_flush(flush),
                    None => return self.finish(),
                },
                () = sleep_until(wake.into()) => {}
            }
        }
    }

    /// Whether the inbox may have more.
    fn take_events(&mut self, now: Instant) -> bool {
        let mut taken = Vec::new();
        let dropped = self.inbox.take(SLICE, &mut taken);
        if let Some(more) = self.drops.count(dropped, now) {
            tracing::error!(events = more, "webhook events dropped: too many at once");
        }
        let has_more = taken.len() == SLICE;
        for occurrence in taken {
            if let Some(occurrence) = self.grace.admit(occurrence, now) {
                self.batch(&occurrence, now);
            }
        }
        has_more
    }

    /// Adds the event to the batches of the hooks that want it.
    fn batch(&mut self, occurrence: &Occurrence, now: Instant) {
        let (kind, channel) = (occurrence.event.kind(), occurrence.event.channel());
        let mut json = Vec::new();
        for (index, hook) in occurrence.app.webhooks.iter().enumerate() {
            if hook.wants(kind, channel) {
                if json.is_empty() {
                    occurrence.event.write_json(&mut json);
                }
                self.batches.add(occurrence, index, &json, now);
            }
        }
    }

    fn release(&mut self, now: Instant) {
        while let Some(occurrence) = self.grace.pop_due(now) {
            self.batch(&occurrence, now);
        }
        self.queue.wake_due(now);
    }

    /// Makes parcels of the batches that may leave.
    fn pack(&mut self, now: Instant) {
        for batch in self.batches.take_closed(now) {
            self.parcels += 1;
            let dropped = self.queue.push(Parcel {
                id: format!("{:016x}-{}", self.id, self.parcels),
                app: Arc::clone(&batch.app),
                hook: batch.hook,
                channel: batch.channel.clone(),
                body: batch.seal().into(),
            });
            for parcel in dropped {
                count("webhooks_dropped_total", &parcel.app.id);
                if let Some(requests) = self.drops.count(1, now) {
                    let (app_id, host) = address(&parcel);
                    tracing::error!(
                        app_id,
                        hook = parcel.hook,
                        host,
                        requests,
                        "webhooks dropped: queue full"
                    );
                }
            }
        }
    }

    async fn start_attempts(&mut self, now: Instant) {
        while self.attempts.len() < self.bounds.in_flight {
            let Some(mut delivery) = self.queue.take(now) else {
                return;
            };
            if delivery.attempts > 0 {
                count("webhooks_retries_total", &delivery.parcel.app.id);
            }
            delivery.attempts += 1;
            delivery.since.get_or_insert(now);
            let client = self.client().await;
            let attempt = client.post(Arc::clone(&delivery.parcel));
            let id = self.attempts.spawn(attempt).id();
            self.in_flight.insert(id, delivery);
        }
    }

    async fn client(&mut self) -> Client {
        if let Some(client) = &self.client {
            return client.clone();
        }
        let (block_private, timeout) = (self.block_private, self.bounds.timeout);
        let made = tokio::task::spawn_blocking(move || Client::new(block_private, timeout)).await;
        let client = made.unwrap_or_else(|_| Client::new(block_private, timeout));
        self.client.insert(client).clone()
    }

    fn settle(&mut self, ended: Result<(Id, Outcome), JoinError>, now: Instant) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Outcome::failed("the attempt panicked")),
        };
        let Some(delivery) = self.in_flight.remove(&id) else {
            return;
        };
        match outcome {
            Outcome::Delivered => {
                count("webhooks_delivered_total", &delivery.parcel.app.id);
                self.queue.done(&delivery, true);
            }
            Outcome::Refused { reason } => self.give_up(&delivery, &reason, now),
            Outcome::Failed {
                reason,
                retry_after,
            } => self.retry(delivery, &reason, retry_after, now),
        }
    }

    fn retry(&mut self, delivery: Delivery, reason: &str, after: Option<Duration>, now: Instant) {
        let since = delivery.since.unwrap_or(now);
        let pause = if self.flush.is_some() {
            FLUSH_PAUSE
        } else {
            pause(&self.bounds, delivery.attempts, after)
        };
        if now + pause > since + self.bounds.give_up_after && self.flush.is_none() {
            return self.give_up(&delivery, reason, now);
        }
        let parcel = Arc::clone(&delivery.parcel);
        let is_first = self.queue.retry(delivery, now + pause);
        if is_first && let Some(hooks) = self.failures.count(1, now) {
            let (app_id, host) = address(&parcel);
            tracing::warn!(
                app_id,
                hook = parcel.hook,
                host,
                reason,
                hooks,
                "webhook fails, will be tried again"
            );
        }
    }

    fn give_up(&mut self, delivery: &Delivery, reason: &str, now: Instant) {
        let parcel = &delivery.parcel;
        count("webhooks_failed_total", &parcel.app.id);
        if let Some(requests) = self.surrenders.count(1, now) {
            let (app_id, host) = address(parcel);
            let attempts = delivery.attempts;
            tracing::error!(
                app_id,
                hook = parcel.hook,
                host,
                reason,
                attempts,
                requests,
                "webhook given up"
            );
        }
        self.queue.done(delivery, false);
    }

    fn begin_flush(&mut self, flush: Flush) {
        let now = Instant::now();
        for occurrence in self.grace.end() {
            self.batch(&occurrence, now);
        }
        self.batches.end();
        self.queue.wake_all();
        self.flush = Some(flush);
    }

    /// Counts what is left as dropped, and says how much it is.
    fn finish(mut self) {
        let mut left = 0;
        let mut drop_one = |app: &AppId| {
            count("webhooks_dropped_total", app);
            left += 1;
        };
        let mut events: Vec<_> = self.inbox.close().into();
        events.extend(self.grace.end());
        for event in &events {
            drop_one(&event.app.id);
        }
        self.batches.end();
        let batches = self.batches.take_closed(Instant::now());
        for batch in &batches {
            drop_one(&batch.app.id);
        }
        let in_flight = self.in_flight.into_values().map(|d| d.parcel);
        for parcel in in_flight.chain(self.queue.drain()) {
            drop_one(&parcel.app.id);
        }
        if left > 0 {
            tracing::error!(left, "webhooks not delivered before the end");
        }
        self.inbox.beyond.store(0, Ordering::Relaxed);
        if let Some(flush) = self.flush {
            // Whoever asked may have stopped waiting.
            let _ = flush.done.send(left);
        }
    }

    fn waiting(&self) -> usize {
        self.batches.len() + self.queue.len()
    }

    fn next_due(&self) -> Option<Instant> {
        let dues = [
            self.grace.next_due(),
            self.batches.next_due(),
            self.queue.next_due(),
            self.flush.as_ref().map(|flush| flush.deadline),
        ];
        dues.into_iter().flatten().min()
    }
}

/// Doubles with each attempt, give or take a quarter; longer if the target asked for it.
fn pause(bounds: &Bounds, attempts: u32, asked: Option<Duration>) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let pause = (bounds.pause * (1 << doublings)).min(bounds.pause_max);
    let percent = 75 + getrandom::u32().unwrap_or_default() % 51;
    let jittered = pause * percent / 100;
    jittered.max(asked.unwrap_or_default().min(bounds.pause_max))
}

/// App and host for a log line; the rest of a URL may be a secret.
fn address(parcel: &Parcel) -> (&str, String) {
    let uri = parcel.target().url.parse::<Uri>();
    let host = uri.ok().and_then(|uri| {
        let port = uri.port().map(|p| format!(":{p}")).unwrap_or_default();
        Some(format!("{}{port}", uri.host()?))
    });
    (&parcel.app.id.0, host.unwrap_or_else(|| "none".into()))
}

/// Keeps one cause from filling the log.
#[derive(Debug, Default)]
struct Quiet {
    last: Option<Instant>,
    unsaid: usize,
}

impl Quiet {
    /// Adds to what happened; if it is time to say so, how much there was since the last line.
    fn count(&mut self, more: usize, now: Instant) -> Option<usize> {
        self.unsaid += more;
        let is_time = self.last.is_none_or(|last| now >= last + LOG_INTERVAL);
        if self.unsaid == 0 || !is_time {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests;
