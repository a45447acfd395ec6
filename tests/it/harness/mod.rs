//! What every test needs: a server of its own, clients that see each byte, signatures.

mod client;
mod http;
mod io;
mod server;
mod sign;
mod webhook;
mod wire;

use std::time::Duration;

pub(crate) use client::{Client, Message, PONG, upgrade_request};
pub(crate) use http::{Http, Response, request_bytes};
pub(crate) use io::{Io, TlsIo};
pub(crate) use server::{Binary, Server, ServerBuilder};
pub(crate) use sign::{App, SignedTarget, hmac_hex, md5_hex, now_s};
pub(crate) use webhook::{Answer, Hook, Receiver};
<<<<<<< HEAD
pub(crate) use wire::{Opcode, client_frame};
=======
pub(crate) use wire::{Opcode, WireFrame, client_frame, take_frame};
>>>>>>> fuzz

/// How long anything may take that must happen. Generous: it is only waited for by a test that fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// Waits for what must happen and names it when it does not.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(DEADLINE, future).await;
    outcome.unwrap_or_else(|_| panic!("nothing within {DEADLINE:?}: {what}"))
}

/// Repeats a question until its answer is right: for what another thread of the server brings about.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut question: F) {
    let end = tokio::time::Instant::now() + DEADLINE;
    while !question().await {
        assert!(
            tokio::time::Instant::now() < end,
            "never became true: {what}"
        );
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}
