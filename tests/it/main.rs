//! The black-box suite: real sockets, one harness, no knowledge of the code.
//!
//! `BOWLINE_BIN` names another binary to test, `BOWLINE_SHARDS` the number of shards, and
//! `BOWLINE_PEER=soketi` says that the binary is Soketi, which has no port 0.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api_listener;
mod autobahn;
mod cache;
mod client_events;
mod config;
mod connect;
mod drain;
mod framing;
mod golden;
mod harness;
mod hostile;
mod http_auth;
mod http_channels;
mod http_events;
mod http_limits;
mod http_routes;
mod limits;
mod metrics;
mod ops;
mod origins;
mod presence;
mod presence_order;
mod proxy;
mod rate_limits;
mod reload;
mod robustness;
mod signin;
mod subscribe;
mod subscription_count;
mod tls;
mod unix;
mod webhook_delivery;
mod webhooks;
