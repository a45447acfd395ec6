//! The black-box suite: real sockets, one harness, no knowledge of the code.
