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
    static HERE: RefCell<Here> = const { RefCell::new(Here { shard: usize::MAX, queue: VecDeque::new(), in_order: false }) };
}

struct Here {
    shard: usize,
    queue: VecDeque<Message>,
    /// The thread has put a message among those of other threads.
    in_order: bool,
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
    /// Hands a message over; never waits.
    pub fn send(&self, message: Message) {
        let local = HERE.with_borrow_mut(|here| {
            if here.shard == self.shard {
                here.queue.push_back(message);
                None
            } else {
                Some(message)
            }
        });
        if let Some(message) = local {
            self.shared.queue(message);
            self.shared.wake();
        }
    }

    /// The same, behind all that other threads have sent: for what must keep an order that a lock of the directory gives. A thread's
    /// messages to itself overtake the others' otherwise.
    pub fn send_in_order(&self, message: Message) {
        self.shared.queue(message);
        let here = HERE.with_borrow_mut(|here| {
            let own = here.shard == self.shard;
            here.in_order |= own;
            own
        });
        if !here {
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

    /// The next message from this very thread.
    pub fn next_local() -> Option<Message> {
        HERE.with_borrow_mut(|here| here.queue.pop_front())
    }

    /// Whether this thread has left itself messages.
    pub fn has_local() -> bool {
        HERE.with_borrow(|here| here.in_order || !here.queue.is_empty())
    }

    /// Whether other threads have sent anything.
    pub fn has_remote(&self) -> bool {
        self.0.waiting.load(Ordering::Acquire) > 0
    }

    /// Everything other threads have sent.
    pub fn take_remote(&self) -> Vec<Message> {
        self.0.awake.swap(false, Ordering::SeqCst);
        HERE.with_borrow_mut(|here| here.in_order = false);
        if self.0.waiting.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let taken =
            std::mem::take(&mut *self.0.queue.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.waiting.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
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
#[expect(clippy::cast_possible_truncation, reason = "masked to 6 and 20 bits")]
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

    fn heard(mailbox: &Mailbox) -> Vec<usize> {
        let own = std::iter::from_fn(Mailbox::next_local).collect::<Vec<_>>();
        own.into_iter()
            .chain(mailbox.take_remote())
            .map(|message| match message {
                Message::Wake(task) => task,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn own_messages_overtake_unless_order_matters() {
        std::thread::spawn(|| {
            let (_poll, inbox, mailbox) = boxed(3);
            Mailbox::settle(3);
            for (ordered, heard_in) in [(false, [2, 1]), (true, [1, 2])] {
                std::thread::scope(|scope| {
                    scope.spawn(|| inbox.send_in_order(Message::Wake(1)));
                });
                if ordered {
                    inbox.send_in_order(Message::Wake(2));
                } else {
                    inbox.send(Message::Wake(2));
                }
                assert!(Mailbox::has_local(), "the shard must not sleep now");
                assert_eq!(heard(&mailbox), heard_in);
                assert!(!Mailbox::has_local());
            }
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
                taken += mailbox.take_remote().len();
                let waiting = mailbox.0.waiting.load(Ordering::SeqCst);
                assert!(waiting <= 2 * EACH, "{waiting} messages wait");
            }
        });
        assert_eq!(inbox.shared.waiting.load(Ordering::SeqCst), 0);
    }
}
