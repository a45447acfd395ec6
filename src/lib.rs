//! Bowline: a WebSocket server that speaks the Pusher Channels protocol 7.

pub mod app;
pub mod config;
pub mod metrics;
pub mod node;
pub mod protocol;
