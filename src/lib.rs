//! Bowline: a WebSocket server that speaks the Pusher Channels protocol 7.

pub mod app;
pub mod cache;
pub mod config;
pub mod directory;
pub mod http;
pub mod limiter;
pub mod metrics;
pub mod node;
pub mod protocol;
pub mod shard;
pub mod webhook;
