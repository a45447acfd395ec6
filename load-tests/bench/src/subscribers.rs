//! Clients that connect and subscribe, a bounded number at a time.

use crate::{
    client::{Fleet, Heard, Talk},
    server::Process,
    wire,
};
use anyhow::bail;
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
    let mut arrivals: HashMap<usize, Arrival> = HashMap::with_capacity(at_once);
    let mut members = Vec::with_capacity(if then == Then::Stay { count } else { 0 });
    let (mut begun, mut over) = (0, 0);
    let mut moved = Instant::now();
    while over < count {
        while begun < count && arrivals.len() < at_once {
            let key = fleet.connect(Talk::Opening)?;
            arrivals.insert(
                key,
                Arrival {
                    index: begun,
                    awaited: 0,
                    socket_id: String::new(),
                },
            );
            begun += 1;
        }
        let mut news = News::default();
        fleet.turn(PATIENCE, |key, heard| news.hear(key, &heard))?;
        if let Some(refusal) = news.refused {
            bail!("client refused: {refusal}");
        }
        for (key, socket_id) in news.established {
            let Some(arrival) = arrivals.get_mut(&key) else {
                continue;
            };
            let requests = entry(arrival.index).requests(&socket_id);
            for request in &requests {
                fleet.send(key, &wire::text(request.as_bytes()))?;
            }
            (arrival.awaited, arrival.socket_id) = (requests.len(), socket_id);
            if requests.is_empty() {
                arrival.awaited = 1;
                news.confirmed.push(key);
            }
        }
        let before = over;
        for key in news.confirmed {
            let Some(arrival) = arrivals.get_mut(&key) else {
                continue;
            };
            arrival.awaited -= 1;
            if arrival.awaited > 0 {
                continue;
            }
            match then {
                Then::Close => {
                    fleet.send(key, &wire::close())?;
                    continue;
                }
                Then::HangUp => fleet.hang_up(key),
                Then::Stay => members.push(Member {
                    key,
                    socket_id: std::mem::take(&mut arrival.socket_id),
                }),
            }
            arrivals.remove(&key);
            over += 1;
        }
        for key in news.closed {
            let Some(arrival) = arrivals.remove(&key) else {
                continue;
            };
            if then != Then::Close || arrival.awaited > 0 {
                bail!(
                    "the server closed client {} while it came in",
                    arrival.index
                );
            }
            over += 1;
        }
        if over > before {
            moved = Instant::now();
        } else if moved.elapsed() > PATIENCE {
            bail!("{over} of {count} clients are in, and nothing moves");
        }
    }
    Ok(members)
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
        if process.cpu()? - before < QUIET {
            return Ok(());
        }
    }
    Ok(())
}
