//! Configuration as a user meets it (configuration.md).

mod commands;
mod refusals;
mod sources;

use crate::harness::{Server, ServerBuilder};

/// Quick to end: whatever it is, it must not stay.
fn fails() -> ServerBuilder {
    Server::builder()
        .env("SOKETI_HOST", "127.0.0.1")
        .env("SOKETI_METRICS_HOST", "127.0.0.1")
        .env("SOKETI_PORT", 0)
        .env("SOKETI_METRICS_SERVER_PORT", 0)
}
