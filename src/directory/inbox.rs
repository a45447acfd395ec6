//! How a shard is reached: from its own thread through a plain queue, from others through a locked one and a wake-up.

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker as TaskWaker,
};

use crate::{
    directory::ChannelKey,
    protocol::{SocketId, error::ProtocolError, frame::Frame},
    shard::Accepted,
};

/// Messages that may wait in one inbox before publishers must; control messages are taken beyond it.
const WAITING_MAX: usize = 65_536;

/// What a shard is told.
#[derive(Debug)]
pub enum Message {
    /// A new connection, accepted by another shard.
    Accept(Accepted),
    /// An event for the channel's subscribers here.
    Deliver {
        /// The channel.
        channel: ChannelKey,
        /// The finished event.
        frame: Frame,
        /// Left out.
        except: Option<SocketId>,
        /// The event's number in a cache channel.
        sequence: Option<u64>,
    },
    /// A change of a presence channel's members, for subscribers whose list is older.
    Announce {
        /// The channel.
        channel: ChannelKey,
        /// `member_added` or `member_removed`.
        frame: Frame,
        /// The list's version with the change.
        version: u64,
    },
    /// The channel's count has changed; this shard will tell its subscribers everywhere.
    Count(ChannelKey),
    /// A frame for one socket.
    Push {
        /// The socket.
        socket: SocketId,
        /// The frame.
        frame: Frame,
    },
    /// One socket must go.
    Close {
        /// The socket.
        socket: SocketId,
        /// Why.
        error: ProtocolError,
    },
    /// Every socket of the app must go.
    CloseApp {
        /// `Tenant::index`
        tenant: u32,
        /// Why.
        error: ProtocolError,
    },
    /// A task of this shard was woken by another thread.
    Wake(usize),
    /// hyper is done with a connection; bytes it read beyond the last request.
    HttpEnded(u32, bytes::Bytes),
    /// Close every socket evenly over so long; refuse new ones.
    Drain(std::time::Duration),
    /// Close the listeners.
    StopListening,
    /// End the thread.
    Stop,
}

/// The way to one shard.
#[derive(Debug)]
pub struct Inbox {
    shard: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Vec<Message>>,
    waiting: AtomicUsize,
    awake: AtomicBool,
    waker: mio::Waker,
    connections: AtomicUsize,
    waiting_bytes: AtomicUsize,
}

/// The shard's own end.
#[derive(Debug)]
pub struct Mailbox(Arc<Shared>);

thread_local! {
    static HERE: RefCell<Here> = const { RefCell::new(Here { shard: usize::MAX, queue: VecDeque::new() }) };
}

struct Here {
    shard: usize,
    queue: VecDeque<Message>,
}

/// Both ends of the way to `shard`, whose poll wakes by `waker`.
pub fn pair(shard: usize, waker: mio::Waker) -> (Inbox, Mailbox) {
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        waiting: AtomicUsize::new(0),
        awake: AtomicBool::new(false),
        waker,
        connections: AtomicUsize::new(0),
        waiting_bytes: AtomicUsize::new(0),
    });
    (
        Inbox {
            shard,
            shared: Arc::clone(&shared),
        },
        Mailbox(shared),
    )
}

impl Inbox {
    /// Hands a message over; never waits. The shard acts on messages in the order in which they were handed over, whichever thread did
    /// so: what other threads have sent goes before what the shard then sends to itself.
    pub fn send(&self, message: Message) {
        let local = HERE.with_borrow_mut(|here| {
            if here.shard != self.shard {
                return Some(message);
            }
            self.shared.take_into(&mut here.queue);
            here.queue.push_back(message);
            None
        });
        if let Some(message) = local {
            self.shared.queue(message);
            self.shared.wake();
        }
    }

    /// Its index.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// Whether publishers must wait.
    pub fn is_full(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) >= WAITING_MAX
    }

    /// Connections of the shard.
    pub fn load(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Bytes that wait in the shard's outboxes, as of its last tick.
    pub fn waiting_bytes(&self) -> usize {
        self.shared.waiting_bytes.load(Ordering::Relaxed)
    }

    /// A connection is on its way to the shard.
    pub fn count_in(&self) {
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Wakes a task of the shard from wherever the waker is called.
    pub(crate) fn task_waker(&self, task: usize) -> TaskWaker {
        TaskWaker::from(Arc::new(Wake {
            inbox: Self {
                shard: self.shard,
                shared: Arc::clone(&self.shared),
            },
            task,
        }))
    }
}

struct Wake {
    inbox: Inbox,
    task: usize,
}

impl std::task::Wake for Wake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.inbox.send(Message::Wake(self.task));
    }
}

impl Shared {
    /// Counted under the lock: a message must not be taken before it is counted, or the count falls below zero.
    fn queue(&self, message: Message) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(message);
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    fn take_into(&self, queue: &mut VecDeque<Message>) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut sent = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(sent.len(), Ordering::SeqCst);
        queue.extend(std::mem::take(&mut *sent));
    }

    fn wake(&self) {
        if !self.awake.swap(true, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a shard could not be woken");
        }
    }
}

impl Mailbox {
    /// Makes this thread the shard's own.
    pub fn settle(shard: usize) {
        HERE.with_borrow_mut(|here| here.shard = shard);
    }

    /// Leaves a message for the shard of this very thread.
    pub fn leave_here(message: Message) {
        HERE.with_borrow_mut(|here| here.queue.push_back(message));
    }

    /// The next message; from now on other threads wake the shard if there is none.
    pub fn next(&self) -> Option<Message> {
        HERE.with_borrow_mut(|here| {
            if here.queue.is_empty() {
                self.0.awake.swap(false, Ordering::SeqCst);
                self.0.take_into(&mut here.queue);
            }
            here.queue.pop_front()
        })
    }

    /// Whether anything waits to be taken.
    pub fn has_any(&self) -> bool {
        self.has_remote() || HERE.with_borrow(|here| !here.queue.is_empty())
    }

    /// Whether other threads have sent anything.
    pub fn has_remote(&self) -> bool {
        self.0.waiting.load(Ordering::Acquire) > 0
    }

    /// Bytes that wait in the shard's outboxes, for others to see.
    pub fn report_waiting(&self, bytes: usize) {
        self.0.waiting_bytes.store(bytes, Ordering::Relaxed);
    }

    /// A connection has ended here.
    pub fn count_out(&self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of its shard.
    pub shard: usize,
    /// Its place there.
    pub token: u32,
}

/// Sockets of one shard; a place takes 20 bits of a socket id.
pub const PLACES_MAX: u32 = 1 << 20;

const SHARD_BITS: u32 = 6;
const PLACE_BITS: u32 = 26;
const LOW_BITS: u32 = 33;

/// A fresh id for the socket at `place`: no two live sockets of the node have one id, and no map is needed to find a socket.
/// 40 bits are random, from the system; the place is hidden by a mask made at start.
pub fn socket_id(place: Place, random: u64) -> SocketId {
    let high = random % 10_000_000_000;
    let salt = (random >> 57) << PLACE_BITS;
    let low = (salt | (place.shard as u64) << (PLACE_BITS - SHARD_BITS) | u64::from(place.token))
        ^ mask();
    SocketId { high, low }
}

/// Where a socket with this id would be.
pub fn place_of(id: SocketId) -> Place {
    let place = (id.low ^ mask()) & ((1 << PLACE_BITS) - 1);
    Place {
        shard: (place >> (PLACE_BITS - SHARD_BITS)) as usize,
        token: place as u32 & (PLACES_MAX - 1),
    }
}

fn mask() -> u64 {
    static MASK: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *MASK.get_or_init(|| getrandom::u64().unwrap_or(0) & ((1 << LOW_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(shard: usize) -> (mio::Poll, Inbox, Mailbox) {
        let poll = mio::Poll::new().unwrap();
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
        let (inbox, mailbox) = pair(shard, waker);
        (poll, inbox, mailbox)
    }

    #[test]
    fn messages_are_heard_in_the_order_in_which_they_were_sent() {
        std::thread::spawn(|| {
            let (_poll, inbox, mailbox) = boxed(3);
            Mailbox::settle(3);
            inbox.send(Message::Wake(0));
            std::thread::scope(|scope| {
                scope.spawn(|| inbox.send(Message::Wake(1)));
            });
            inbox.send(Message::Wake(2));
            assert!(mailbox.has_any(), "the shard must not sleep now");
            let heard = std::iter::from_fn(|| mailbox.next()).map(|message| match message {
                Message::Wake(task) => task,
                other => panic!("{other:?}"),
            });
            assert_eq!(heard.collect::<Vec<_>>(), [0, 1, 2]);
            assert!(!mailbox.has_any());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn messages_are_never_taken_before_they_are_counted() {
        const EACH: usize = 20_000;
        let (_poll, inbox, mailbox) = boxed(4);
        let mut taken = 0;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..EACH).for_each(|i| inbox.send(Message::Wake(i))));
            }
            while taken < 2 * EACH {
                taken += std::iter::from_fn(|| mailbox.next()).count();
                let waiting = mailbox.0.waiting.load(Ordering::SeqCst);
                assert!(waiting <= 2 * EACH, "{waiting} messages wait");
            }
        });
        assert_eq!(inbox.shared.waiting.load(Ordering::SeqCst), 0);
    }
}
