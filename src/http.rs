//! stub
use std::net::IpAddr;
/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// main
    Main,
    /// api
    Api,
    /// unix
    Unix,
}
/// Who asks.
#[derive(Clone, Debug)]
pub struct Peer {
    /// address
    pub address: Option<IpAddr>,
    /// token
    pub token: u32,
    /// listener
    pub listener: Listener,
}
/// State.
#[derive(Clone)]
pub struct HttpState(std::sync::Arc<crate::node::Node>);
impl HttpState {
    /// new
    pub fn new(
        node: std::sync::Arc<crate::node::Node>,
        _c: &crate::config::Config,
        _p: metrics_exporter_prometheus::PrometheusHandle,
    ) -> Self {
        Self(node)
    }
}
/// r
pub fn router(_s: HttpState) -> axum::Router {
    axum::Router::new().route("/", axum::routing::get(|| async { "OK" }))
}
/// r
pub fn ops_router(_s: HttpState) -> axum::Router {
    axum::Router::new().route("/", axum::routing::get(|| async { "OK" }))
}
