//! The binary: flags, logging, the server, signals.
fn main() {}
