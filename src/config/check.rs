//! What `check` prints.
use super::Loaded;

/// x
pub enum ExampleFormat {
    /// x
    Toml,
    /// x
    Markdown,
}
impl Loaded {}
