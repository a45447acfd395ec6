//! Connections whose request was refused before its body was read: the answer must arrive, and closing while bytes come in would reset the
//! connection and take the answer back. What still comes is thrown away for a while. RFC 9112, section 9.6.

use std::{io, time::Duration};

use mio::{Interest, Token};

use super::Shard;
use crate::shard::{
    conn::Conn,
    link::Link,
    wheel::{Tick, ticks},
};

/// How long, at most.
const AT_MOST: Duration = Duration::from_secs(2);

/// Reads of one turn.
const READS_MAX: usize = 16;

/// A connection that has been answered.
#[derive(Debug)]
pub struct Lingering {
    link: Link,
    /// When it ends, whatever still comes.
    pub by: Tick,
}

impl Shard {
    /// Ends our side of the connection and waits for the peer to end its own.
    pub(super) fn linger(&mut self, token: u32, mut link: Link, registered: bool) {
        link.shutdown();
        let ready = if registered {
            Ok(())
        } else {
            link.register(&self.registry, Token(token as usize), Interest::READABLE)
        };
        let Some(slot) = self.conns.get_mut(token as usize) else {
            return;
        };
        let by = self.now + ticks(AT_MOST);
        slot.conn = Conn::Lingering(Box::new(Lingering { link, by }));
        if ready.is_err() {
            return self.gone(token);
        }
        self.schedule(token, by);
        self.unread.push(token);
    }

    /// Throws away what has come.
    pub(super) fn read_lingering(&mut self, token: u32) {
        let Self { conns, buffer, .. } = self;
        let Some(Conn::Lingering(lingering)) =
            conns.get_mut(token as usize).map(|slot| &mut slot.conn)
        else {
            return;
        };
        for _ in 0..READS_MAX {
            match lingering.link.read(buffer) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => return self.gone(token),
            }
        }
        self.unread.push(token);
    }
}
