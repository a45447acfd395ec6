//! The HTTP connections' futures, run on the shard's own thread. A waker called there costs a push onto a queue; called elsewhere (a timer,
//! a finished hash of a large body) it wakes the shard.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use slab::Slab;

use crate::directory::Inbox;

/// Futures by their place.
#[derive(Default)]
pub struct Tasks {
    slab: Slab<Task>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    waker: Waker,
}

impl Tasks {
    /// Takes a future and runs it until it first waits.
    pub fn spawn(&mut self, inbox: &Inbox, future: impl Future<Output = ()> + 'static) {
        let entry = self.slab.vacant_entry();
        let index = entry.key();
        entry.insert(Task {
            future: Box::pin(future),
            waker: inbox.task_waker(index),
        });
        self.run(index);
    }

    /// Runs a task that was woken; a stale wake-up does no harm.
    pub fn run(&mut self, index: usize) {
        let Some(task) = self.slab.get_mut(index) else {
            return;
        };
        let waker = task.waker.clone();
        if let Poll::Ready(()) = task.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            drop(self.slab.remove(index));
            if self.slab.is_empty() {
                self.slab = Slab::new();
            }
        }
    }
}
