//! What a shard keeps for each connection: a stranger whose first bytes are awaited, an HTTP connection, or a WebSocket client.

use std::{cell::RefCell, net::IpAddr, rc::Rc, sync::Arc};

use smallvec::SmallVec;

use crate::{
    app::Tenant,
    limiter::Window,
    protocol::{
        SocketId,
        frame::Fragments,
        member::{Member, User},
    },
    shard::{
        fresh::Fresh, http_io::HttpConn, lingering::Lingering, link::Link, outbox::Outbox,
        wheel::Tick,
    },
};

/// One place of the shard.
#[derive(Debug)]
pub struct Slot {
    /// When the wheel will look at it; other entries of the wheel are stale.
    pub due: Tick,
    /// Who is there.
    pub conn: Conn,
}

/// Who is at a place.
#[derive(Debug)]
pub enum Conn {
    /// Nobody has spoken yet.
    Fresh(Box<Fresh>),
    /// hyper speaks with it.
    Http(Rc<RefCell<HttpConn>>),
    /// A WebSocket.
    Client(Client),
    /// An HTTP connection that was answered early.
    Lingering(Box<Lingering>),
    /// Its link is on the way from one owner to the next.
    Between,
}

/// A WebSocket client: its I/O and its record.
#[derive(Debug)]
pub struct Client {
    /// The stream.
    pub link: Link,
    /// What waits for it.
    pub outbox: Outbox,
    /// Bytes and fragments of what has not come whole.
    pub partial: Option<Box<Partial>>,
    /// Who it is and where.
    pub socket: Socket,
    /// It stands in the queue of those to be flushed.
    pub touched: bool,
    /// The kernel took no more; readiness to write is awaited.
    pub blocked: bool,
    /// Readiness to write is told.
    pub awaits_room: bool,
    /// The address it counts for, where addresses are counted.
    pub counted_address: Option<Box<IpAddr>>,
}

/// What has not come whole.
#[derive(Debug, Default)]
pub struct Partial {
    /// Bytes of an incomplete frame.
    pub bytes: Vec<u8>,
    /// Frames of an incomplete message.
    pub fragments: Option<Box<Fragments>>,
}

impl Partial {
    /// Bytes it takes.
    pub fn size(&self) -> usize {
        self.bytes.capacity()
            + self
                .fragments
                .as_ref()
                .map_or(0, |fragments| fragments.size())
    }
}

/// A socket's record: state and subscriptions, no I/O.
#[derive(Debug)]
pub struct Socket {
    /// Its name on the wire.
    pub id: SocketId,
    /// Its app.
    pub tenant: Arc<Tenant>,
    /// Where it stands in its channels.
    pub subscriptions: SmallVec<[Subscription; 2]>,
    /// What few sockets have.
    pub extra: Option<Box<Extra>>,
    /// When a byte last came.
    pub heard: Tick,
    /// When it must be authorised by; `Tick::MAX` is never.
    pub authorize_by: Tick,
    /// Second of the last inbound frame and frames in it.
    pub frames: (Tick, u32),
    /// Pings since a byte last came.
    pub pings: u8,
    /// How far it is from its end.
    pub state: State,
    /// It counts towards the app's `maxConnections`.
    pub counted: bool,
    /// It was let in: it counts as a connection of its app.
    pub accepted: bool,
}

/// How far a socket is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// At work.
    Open,
    /// Told to go: what waits is sent, the peer's close is awaited until the time.
    Closing(Tick),
    /// It broke the WebSocket protocol and was told: what it sends cannot be understood any more, its end is awaited until the time.
    Failed(Tick),
    /// Both sides have said so: what waits is sent, then it ends.
    Closed(Tick),
}

/// A socket's place in a channel of its shard.
#[derive(Clone, Copy, Debug)]
pub struct Subscription {
    /// The channel's place in the shard.
    pub channel: u32,
    /// The socket's place in the channel.
    pub position: u32,
}

/// What few sockets have.
#[derive(Debug, Default)]
pub struct Extra {
    /// Signed in as.
    pub user: Option<User>,
    /// Who it is in its presence channels, by the channel's place in the shard.
    pub members: Vec<(u32, Member)>,
    /// Client events of the moment.
    pub client_events: Window,
}

impl Socket {
    /// What few sockets have, made when first needed.
    pub fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Who it is in a presence channel.
    pub fn member(&self, channel: u32) -> Option<&Member> {
        self.extra
            .as_ref()?
            .members
            .iter()
            .find(|(at, _)| *at == channel)
            .map(|(_, member)| member)
    }

    /// Signed in as.
    pub fn user(&self) -> Option<&User> {
        self.extra.as_ref()?.user.as_ref()
    }
}

impl Client {
    /// A client just admitted or about to be turned away.
    pub fn new(link: Link, socket: Socket) -> Self {
        Self {
            link,
            outbox: Outbox::default(),
            partial: None,
            socket,
            touched: false,
            blocked: false,
            awaits_room: false,
            counted_address: None,
        }
    }
}
