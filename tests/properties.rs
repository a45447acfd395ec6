//! What holds for every input: parsers take anything and keep their bounds, writers write what others read, and each clever structure
//! says the same as a naive one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "properties/frames.rs"]
mod frames;
#[path = "properties/http.rs"]
mod http;
#[path = "properties/names.rs"]
mod names;
#[path = "properties/strangers.rs"]
mod strangers;
#[path = "properties/structures.rs"]
mod structures;
#[path = "properties/text.rs"]
mod text;
