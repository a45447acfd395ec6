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
