//! The black-box suite: real sockets, one harness, no knowledge of the code.
//!
//! `BOWLINE_BIN` names another binary to test, `BOWLINE_SHARDS` the number of shards, and
//! `BOWLINE_PEER=soketi` says that the binary is Soketi, which has no port 0.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod autobahn;
mod cache;
mod client_events;
mod connect;
mod golden;
mod harness;
mod hostile;
mod http_auth;
mod http_channels;
mod http_events;
mod http_limits;
mod limits;
mod presence;
mod rate_limits;
mod robustness;
mod signin;
mod subscribe;
mod subscription_count;
mod tidy;
mod webhooks;
