//! The table of settings, in the order of the documentation.

use super::setting::{Group, Setting};

mod apps;
mod databases;
mod drivers;
mod limits;
mod policy;
mod scaling;
mod server;

/// All groups.
pub(crate) const GROUPS: [Group; 12] = [
    server::SERVER,
    server::TLS,
    server::STOPPING,
    policy::HTTP,
    policy::PROTOCOL,
    limits::LIMITS,
    limits::CONNECTIONS,
    policy::OBSERVING,
    drivers::DRIVERS,
    apps::APPS,
    scaling::SCALING,
    databases::DATABASES,
];

/// All settings.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.settings)
}

/// The setting with this key.
pub(crate) fn by_key(key: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.key == key)
}
