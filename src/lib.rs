//! Bowline: a WebSocket server that speaks the Pusher Channels protocol 7.

pub mod app;
pub mod cache;
pub mod config;
pub mod demo;
pub mod directory;
pub mod drain;
pub mod http;
pub mod limiter;
pub mod metrics;
pub mod node;
pub mod notify;
pub mod protocol;
pub mod server;
pub mod shard;
pub mod webhook;
