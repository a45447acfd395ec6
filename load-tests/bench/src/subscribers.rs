//! Clients that connect and subscribe, a bounded number at a time.

use crate::{
    client::{Fleet, Heard, Talk},
    server::Process,
    wire,
};
use anyhow::{bail, ensure};
use memchr::memmem;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Nothing happened for so long: the server is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a client subscribes to when it is connected.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Nothing,
    Public(String),
    Private(String),
    Both(String, String),
}

impl Entry {
    fn requests(&self, socket_id: &str) -> Vec<String> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Public(channel) => vec![wire::subscribe(channel)],
            Self::Private(channel) => vec![wire::subscribe_private(channel, socket_id)],
            Self::Both(one, other) => vec![wire::subscribe(one), wire::subscribe(other)],
        }
    }
}

/// What a client does once it is subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Stay,
    /// Sends a close frame and waits until the server closes.
    Close,
    /// Closes its connection without a word.
    HangUp,
}

/// A client that is in.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) key: usize,
    pub(crate) socket_id: String,
}

struct Arrival {
    index: usize,
    awaited: usize,
    socket_id: String,
}

/// What a turn of the fleet brought.
#[derive(Default)]
struct News {
    established: Vec<(usize, String)>,
    confirmed: Vec<usize>,
    closed: Vec<usize>,
    refused: Option<String>,
}

impl News {
    fn hear(&mut self, key: usize, heard: &Heard<'_>) {
        match heard {
            Heard::Text(payload) => self.read(key, payload),
            Heard::Response { status, .. } => {
                self.refused = Some(format!("the handshake was answered {status}"));
            }
            Heard::Closed(_) => self.closed.push(key),
        }
    }

    fn read(&mut self, key: usize, payload: &[u8]) {
        let has = |name: &[u8]| memmem::find(payload, name).is_some();
        if has(b"pusher_internal:subscription_succeeded") {
            self.confirmed.push(key);
        } else if has(b"pusher:connection_established") {
            self.established
                .push((key, wire::socket_id(payload).unwrap_or_default()));
        } else if has(b"pusher:error") || has(b"pusher:subscription_error") {
            self.refused = Some(String::from_utf8_lossy(payload).into_owned());
        }
    }
}

/// Lets `count` clients in, at most `at_once` of them on their way at any time.
pub(crate) fn enter(
    fleet: &mut Fleet,
    count: usize,
    at_once: usize,
    then: Then,
    entry: impl Fn(usize) -> Entry,
) -> anyhow::Result<Vec<Member>> {
    let mut intake = Intake {
        then,
        arrivals: HashMap::with_capacity(at_once),
        members: Vec::new(),
        over: 0,
    };
    let (mut begun, mut moved) = (0, Instant::now());
    while intake.over < count {
        while begun < count && intake.arrivals.len() < at_once {
            let arrival = Arrival {
                index: begun,
                awaited: 0,
                socket_id: String::new(),
            };
            intake
                .arrivals
                .insert(fleet.connect(Talk::Opening)?, arrival);
            begun += 1;
        }
        let mut news = News::default();
        fleet.turn(PATIENCE, |key, heard| news.hear(key, &heard))?;
        if let Some(refusal) = news.refused {
            bail!("client refused: {refusal}");
        }
        let before = intake.over;
        for (key, socket_id) in news.established {
            intake.established(fleet, key, socket_id, &entry)?;
        }
        for key in news.confirmed {
            intake.confirmed(fleet, key)?;
        }
        for key in news.closed {
            intake.closed(key)?;
        }
        if intake.over > before {
            moved = Instant::now();
        } else if moved.elapsed() > PATIENCE {
            bail!(
                "{} of {count} clients are in, and nothing moves",
                intake.over
            );
        }
    }
    Ok(intake.members)
}

/// Clients on their way in.
struct Intake {
    then: Then,
    arrivals: HashMap<usize, Arrival>,
    members: Vec<Member>,
    over: usize,
}

impl Intake {
    fn established(
        &mut self,
        fleet: &mut Fleet,
        key: usize,
        socket_id: String,
        entry: impl Fn(usize) -> Entry,
    ) -> anyhow::Result<()> {
        let Some(arrival) = self.arrivals.get_mut(&key) else {
            return Ok(());
        };
        let requests = entry(arrival.index).requests(&socket_id);
        for request in &requests {
            fleet.send(key, &wire::text(request.as_bytes()))?;
        }
        (arrival.awaited, arrival.socket_id) = (requests.len(), socket_id);
        if requests.is_empty() {
            arrival.awaited = 1;
            self.confirmed(fleet, key)?;
        }
        Ok(())
    }

    fn confirmed(&mut self, fleet: &mut Fleet, key: usize) -> anyhow::Result<()> {
        let Some(arrival) = self.arrivals.get_mut(&key) else {
            return Ok(());
        };
        arrival.awaited = arrival.awaited.saturating_sub(1);
        if arrival.awaited > 0 {
            return Ok(());
        }
        match self.then {
            Then::Close => return fleet.send(key, &wire::close()),
            Then::HangUp => fleet.hang_up(key),
            Then::Stay => {
                let socket_id = std::mem::take(&mut arrival.socket_id);
                self.members.push(Member { key, socket_id });
            }
        }
        self.arrivals.remove(&key);
        self.over += 1;
        Ok(())
    }

    fn closed(&mut self, key: usize) -> anyhow::Result<()> {
        if let Some(arrival) = self.arrivals.remove(&key) {
            let asked = self.then == Then::Close && arrival.awaited == 0;
            ensure!(
                asked,
                "the server closed client {} while it came in",
                arrival.index
            );
            self.over += 1;
        }
        Ok(())
    }
}

/// Waits until the server has done what it had to do: until it uses no CPU to speak of, at most `longest`.
pub(crate) fn settle(
    fleet: &mut Fleet,
    process: &Process,
    longest: Duration,
) -> anyhow::Result<()> {
    const WINDOW: Duration = Duration::from_millis(100);
    const QUIET: Duration = Duration::from_millis(2);
    let end = Instant::now() + longest;
    while Instant::now() < end {
        let before = process.cpu()?;
        fleet.idle_until(Instant::now() + WINDOW)?;
        if process.cpu_since(before)? < QUIET {
            return Ok(());
        }
    }
    Ok(())
}
