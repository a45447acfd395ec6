//! Every setting of the server: sections, defaults, units. Where values come from (defaults, file, environment, flags) and what
//! is refused lives in the modules below; nothing outside `server` and `cli` sees the whole [`Config`].

use std::{net::IpAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

use crate::app::App;

mod apps;
mod check;
mod dotenv;
mod draft;
mod environment;
mod file;
mod hooks;
mod kind;
mod load;
mod nearest;
mod problem;
mod reference;
mod setting;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use load::{Effective, Flags, Loaded, Reload, Reloader, Sources};
pub use problem::{ConfigErrors, Problem, Source};
pub use reference::{example_toml, markdown};

/// The whole configuration. One section per module that reads it.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Ports, addresses, threads.
    pub server: Server,
    /// TLS of the main port and of the API listener; `None` is plain TCP.
    pub tls: Option<Tls>,
    /// What happens between the signal and the exit.
    pub shutdown: Shutdown,
    /// The REST API.
    pub http: Http,
    /// Cross-origin headers of the REST API.
    pub cors: Cors,
    /// Apps of the `array` driver, complete: unset per-app limits hold the server-wide value of [`Limits`].
    pub apps: Vec<App>,
    /// Server-wide limits of names, events and presence channels: the defaults of every app.
    pub limits: Limits,
    /// Bounds on one client connection.
    pub connection: Connection,
    /// Sign-in and client-event policy.
    pub protocol: Protocol,
    /// Webhook delivery.
    pub webhooks: Webhooks,
    /// The monitoring port.
    pub metrics: Metrics,
    /// What is logged and how.
    pub log: Log,
}

/// Ports, addresses and threads.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Address of the main port (`HOST`, default `0.0.0.0`). `::` is dual stack: IPv4 and IPv6.
    pub host: IpAddr,
    /// Main port (`PORT`, default 6001; 0 lets the system choose).
    pub port: u16,
    /// Put before every route of both ports (`PATH_PREFIX`): empty, or begins with `/` and does not end with it.
    pub path_prefix: String,
    /// What this process does (`MODE`).
    pub mode: Mode,
    /// Threads that own sockets (`SHARDS`, default: one per core this process may use; 1 to 64).
    pub shards: usize,
    /// A listener of its own for `/apps` (`API_HOST`, `API_PORT`); the main port then answers 404 there.
    pub api: Option<(IpAddr, u16)>,
    /// A Unix socket that serves what the main port serves (`UNIX_SOCKET`).
    pub unix_socket: Option<PathBuf>,
    /// `SO_REUSEPORT` on the main port (`REUSE_PORT`, default off: a second server on the port is an error).
    pub reuse_port: bool,
    /// PROXY protocol v1 and v2 are expected from trusted proxies (`PROXY_PROTOCOL`).
    pub proxy_protocol: bool,
    /// Networks whose PROXY lines and `X-Forwarded-For` are believed (`TRUSTED_PROXIES`).
    pub trusted_proxies: Vec<IpNet>,
    /// `/accept-traffic` answers 503 above this percentage of memory (`HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD`).
    pub accept_traffic_percent_max: f64,
    /// The demo page is served even on a public address (`--demo`).
    pub demo: bool,
}

/// What this process does (`MODE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Sockets, API and webhooks.
    Full,
    /// Sockets and API; webhooks only where the queue is this process's own.
    Server,
    /// Webhooks only: `/` and `/ready` on the main port, nothing else.
    Worker,
}

/// Certificate files, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain (`SSL_CERT`).
    pub cert_path: PathBuf,
    /// Private key (`SSL_KEY`).
    pub key_path: PathBuf,
    /// Passphrase of the key (`SSL_PASS`).
    pub passphrase: Option<Secret>,
    /// Further chain certificates (`SSL_CA`).
    pub ca_path: Option<PathBuf>,
}

/// Text that is never printed: `Debug` says "redacted".
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("redacted")
    }
}

/// What happens between the signal and the exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Bound of the whole stop, from the signal to the exit (`SHUTDOWN_GRACE_PERIOD`, 3 s).
    pub grace: Duration,
    /// `/ready` is 503 and all else goes on for so long (`SHUTDOWN_DRAIN_DELAY`, 0).
    pub drain_delay: Duration,
    /// Sockets are closed evenly over so long (`SHUTDOWN_SPREAD`, half of `grace`).
    pub spread: Duration,
}

/// The REST API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http {
    /// Bytes of one body (`HTTP_MAX_REQUEST_SIZE` in MB of 1024² bytes, 100); above: 413.
    pub request_bytes_max: usize,
    /// Bytes of bodies being read at once on this node (`HTTP_MAX_BODIES_IN_FLIGHT` in MB, 256); above: 503.
    pub bodies_in_flight_bytes_max: usize,
    /// How far `auth_timestamp` may be off (`HTTP_TIMESTAMP_WINDOW`, 600 s); `None` is not checked.
    pub timestamp_window: Option<Duration>,
    /// Errors go out with status 200 and the code in the body only, as Soketi does (`HTTP_STATUS_ALWAYS_200`).
    pub status_always_200: bool,
    /// From the first byte to the end of the headers (`HTTP_HEADER_TIMEOUT`, 10 s).
    pub header_timeout: Duration,
}

/// Cross-origin headers of the REST API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Allowed origins; `*` is all (`CORS_ORIGIN`).
    pub origins: Vec<String>,
    /// Allowed methods (`CORS_METHODS`).
    pub methods: Vec<String>,
    /// Allowed request headers (`CORS_ALLOWED_HEADERS`).
    pub allowed_headers: Vec<String>,
}

/// Limits an app may set for itself; these are what it gets if it does not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Characters of a channel name (`CHANNEL_LIMITS_MAX_NAME_LENGTH`, 200).
    pub channel_name_chars_max: usize,
    /// Life of the cached event of a cache channel (`CHANNEL_CACHE_TTL`, 3600 s).
    pub cache_ttl: Duration,
    /// Events of one batch (`EVENT_MAX_BATCH_SIZE`, 10).
    pub batch_events_max: usize,
    /// Channels of one event (`EVENT_MAX_CHANNELS_AT_ONCE`, 100).
    pub event_channels_max: usize,
    /// Characters of an event name (`EVENT_MAX_NAME_LENGTH`, 200).
    pub event_name_chars_max: usize,
    /// KiB of an event's data, fractions allowed (`EVENT_MAX_SIZE_IN_KB`, 100).
    pub event_data_kb_max: f64,
    /// Members of a presence channel (`PRESENCE_MAX_MEMBERS`, 100).
    pub presence_members_max: usize,
    /// KiB of one member's `user_info`, fractions allowed (`PRESENCE_MAX_MEMBER_SIZE`, 2).
    pub presence_member_kb_max: f64,
}

/// Bounds on one client connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Bytes that may wait for one socket before it is closed as too slow (`CONNECTION_MAX_OUTBOX_IN_KB`, 1 MiB).
    pub outbox_bytes_max: usize,
    /// Bytes that may wait for all sockets of the node; the fullest is closed first (`NODE_MAX_OUTBOX_IN_MB`, 1 GiB).
    /// The same bound holds for messages that have not come whole.
    pub node_outbox_bytes_max: usize,
    /// Bytes of one inbound message (`CONNECTION_MAX_FRAME_IN_KB`, 1 MiB); above: close 1009.
    pub message_bytes_max: usize,
    /// Inbound frames a second (`CONNECTION_MAX_FRAMES_PER_SECOND`, 1000); above: close 4100.
    pub frames_per_second_max: u32,
    /// Channels of one socket (`CONNECTION_MAX_SUBSCRIPTIONS`, 10,000).
    pub subscriptions_max: usize,
    /// Connections of one client address (`CONNECTION_MAX_PER_ADDRESS`); `None` is unbounded.
    pub per_address_max: Option<u32>,
}

/// Sign-in and client-event policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, not a state"
)]
pub struct Protocol {
    /// Time for sign-in or the first authorised channel (`USER_AUTHENTICATION_TIMEOUT`, 30 s).
    pub signin_timeout: Duration,
    /// Apps with user authentication close who neither signs in nor joins an authorised channel (`SIGNIN_REQUIRED`, on).
    pub signin_required: bool,
    /// Connections that are not authorised yet count towards `maxConnections` (`COUNT_UNAUTHORIZED`, on).
    pub count_unauthorized: bool,
    /// Where client events may be sent (`CLIENT_EVENTS`).
    pub client_events: ClientEvents,
    /// A client event to a channel the sender is not in is answered with 4009 (`NOT_A_MEMBER_ERROR`, off: silence).
    pub not_a_member_error: bool,
    /// Versions other than 5, 6 and 7 are refused with 4006 to 4008 (`STRICT_PROTOCOL_VERSION`, off).
    pub strict_version: bool,
    /// Close code over `maxConnections` (`QUOTA_CODE`, 4100, or 4004 as Pusher).
    pub quota_code: u16,
}

/// Where client events may be sent (`CLIENT_EVENTS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEvents {
    /// As Soketi: on every channel.
    AnyChannel,
    /// As Pusher: not on public and encrypted ones.
    PrivateAndPresence,
}

/// Webhook delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Webhooks {
    /// Events of one app and hook wait so long for company (`WEBHOOKS_BATCHING`, `WEBHOOKS_BATCHING_DURATION`); `None`: one request each.
    pub batching: Option<Duration>,
    /// Holds `channel_vacated` and `member_removed` back (`WEBHOOKS_GRACE`, 3 s); zero is at once.
    pub grace: Duration,
    /// Private, loopback and link-local targets are refused (`WEBHOOKS_BLOCK_PRIVATE_TARGETS`, off).
    pub block_private_targets: bool,
}

/// The monitoring port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// `/metrics` is served (`METRICS_ENABLED`, off); the other routes of the port always are.
    pub enabled: bool,
    /// Address (`METRICS_HOST`, `0.0.0.0`).
    pub host: IpAddr,
    /// Port (`METRICS_SERVER_PORT`, 9601; 0 lets the system choose).
    pub port: u16,
    /// Put before every metric's name (`METRICS_PROMETHEUS_PREFIX`, `soketi_`).
    pub prefix: String,
}

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// One object a line instead of text (`LOG_FORMAT=json`).
    pub json: bool,
    /// A `tracing` filter (`LOG_LEVEL`, `info`; `DEBUG` makes it `debug`).
    pub level: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            host: IpAddr::from([0, 0, 0, 0]),
            port: 6001,
            path_prefix: String::new(),
            mode: Mode::Full,
            shards: std::thread::available_parallelism().map_or(1, |n| n.get().min(64)),
            api: None,
            unix_socket: None,
            reuse_port: false,
            proxy_protocol: false,
            trusted_proxies: Vec::new(),
            accept_traffic_percent_max: 85.0,
            demo: false,
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(3),
            drain_delay: Duration::ZERO,
            spread: Duration::from_millis(1500),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            request_bytes_max: 100 << 20,
            bodies_in_flight_bytes_max: 256 << 20,
            timestamp_window: Some(Duration::from_mins(10)),
            status_always_200: false,
            header_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Cors {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Self {
            origins: list(&["*"]),
            methods: list(&["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
            allowed_headers: list(&[
                "Origin",
                "Content-Type",
                "X-Auth-Token",
                "X-Requested-With",
                "Accept",
                "Authorization",
                "X-CSRF-TOKEN",
                "XSRF-TOKEN",
                "X-Socket-Id",
            ]),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            channel_name_chars_max: 200,
            cache_ttl: Duration::from_hours(1),
            batch_events_max: 10,
            event_channels_max: 100,
            event_name_chars_max: 200,
            event_data_kb_max: 100.0,
            presence_members_max: 100,
            presence_member_kb_max: 2.0,
        }
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            outbox_bytes_max: 1 << 20,
            node_outbox_bytes_max: 1 << 30,
            message_bytes_max: 1 << 20,
            frames_per_second_max: 1000,
            subscriptions_max: 10_000,
            per_address_max: None,
        }
    }
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            signin_timeout: Duration::from_secs(30),
            signin_required: true,
            count_unauthorized: true,
            client_events: ClientEvents::AnyChannel,
            not_a_member_error: false,
            strict_version: false,
            quota_code: 4100,
        }
    }
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            batching: None,
            grace: Duration::from_secs(3),
            block_private_targets: false,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: false,
            host: IpAddr::from([0, 0, 0, 0]),
            port: 9601,
            prefix: "soketi_".into(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            json: false,
            level: "info".into(),
        }
    }
}
