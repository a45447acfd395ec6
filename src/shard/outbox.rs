//! Frames that wait for one socket, counted in bytes; one vectored write each time. Must not know what the frames say.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use crate::{protocol::frame::Frame, shard::link::Link};

/// Frames of one vectored write.
const SLICES_MAX: usize = 64;

/// What a frame costs beside its bytes: its place in the queue, with room to grow.
const PLACE_BYTES: usize = 32;

/// An idle socket's outbox holds no heap, and a lone frame allocates nothing.
#[derive(Debug, Default)]
pub struct Outbox {
    first: Option<Frame>,
    #[expect(
        clippy::box_collection,
        reason = "a socket's record holds 8 bytes for it instead of 32"
    )]
    rest: Option<Box<VecDeque<Frame>>>,
    bytes: usize,
    sent: usize,
}

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing waits.
    All,
    /// The kernel takes no more now.
    Blocked,
}

impl Outbox {
    /// Bytes that a waiting frame counts for: its own, and its place in the queue, so that many small ones are bounded too.
    pub fn cost(frame: &Frame) -> usize {
        frame.bytes().len() + PLACE_BYTES
    }

    /// Appends a frame; says how many bytes wait.
    pub fn push(&mut self, frame: Frame) -> usize {
        self.bytes += Self::cost(&frame);
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.rest.get_or_insert_default().push_back(frame);
        }
        self.bytes
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes - self.sent
    }

    /// Forgets every frame that has not begun to leave.
    pub fn keep_begun_frame(&mut self) {
        self.rest = None;
        if self.sent == 0 {
            self.first = None;
        }
        self.bytes = self.first.as_ref().map_or(0, Self::cost);
    }

    /// Writes what waits, until all is written or the kernel says no.
    pub fn flush(&mut self, link: &mut Link) -> io::Result<Flushed> {
        while let Some(first) = &self.first {
            let result = match &self.rest {
                None => link.write(&first.bytes()[self.sent..]),
                Some(rest) => {
                    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                    slices[0] = IoSlice::new(&first.bytes()[self.sent..]);
                    let more = rest.len().min(SLICES_MAX - 1);
                    for (slice, frame) in slices[1..].iter_mut().zip(rest.iter()) {
                        *slice = IoSlice::new(frame.bytes());
                    }
                    link.write_vectored(&slices[..=more])
                }
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Flushed::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(if link.flush()? {
            Flushed::All
        } else {
            Flushed::Blocked
        })
    }

    fn advance(&mut self, written: usize) {
        self.sent += written;
        while let Some(first) = &self.first {
            let length = first.bytes().len();
            if self.sent < length {
                return;
            }
            self.sent -= length;
            self.bytes -= length + PLACE_BYTES;
            self.first = self.rest.as_mut().and_then(|rest| rest.pop_front());
            if self.rest.as_ref().is_some_and(|rest| rest.is_empty()) {
                self.rest = None;
            }
        }
    }
}
