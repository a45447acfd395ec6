//! Which driver does what. One that this server does not have cannot be selected; its options further down may be set.

use crate::config::{
    kind::Kind::Driver,
    kind::unused,
    setting::{Group, Setting, settings},
};

settings! { DRIVERS, "Drivers", "Selecting a driver that this server does not have stops the start. Options of drivers that are not selected are checked and have no effect.";
    /// Where apps come from.
    "appManager.driver" "APP_MANAGER_DRIVER": Driver(&["array"], &["mysql", "postgres", "dynamodb"], unused), "array";
    /// How events cross nodes.
    "adapter.driver" "ADAPTER_DRIVER": Driver(&["local"], &["redis", "nats", "cluster"], unused), "local";
    /// Where the last event of a cache channel is kept.
    "cache.driver" "CACHE_DRIVER": Driver(&["memory"], &["redis"], unused), "memory";
    /// Where webhooks wait.
    "queue.driver" "QUEUE_DRIVER": Driver(&["sync"], &["redis", "sqs"], unused), "sync";
    /// Where message budgets are kept; `cluster` counts per node, as `local`.
    "rateLimiter.driver" "RATE_LIMITER_DRIVER": Driver(&["local", "cluster"], &["redis"], |d, v| d.rate_limiter = v), "local";
}
