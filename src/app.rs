//! Tenants: one [`App`] per key and secret, its limits, its webhooks; [`Apps`] finds one by id or key.
//! Must not know: sockets, channels, HTTP.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;

use crate::{config::Limits, metrics::AppMetrics};

/// Identity of an app in API paths, metrics labels and logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId(pub Arc<str>);

/// Identity of an app in connection paths; public.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppKey(pub Arc<str>);

/// Signs and verifies (`protocol::auth`). `Debug` says "redacted"; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct AppSecret(Box<str>);

impl AppSecret {
    /// Takes the secret; an empty one is refused where apps are loaded.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The bytes that key the MAC.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for AppSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

/// A tenant as configured; immutable, replaced whole when it changes.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in users' files"
)]
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Used in API paths.
    pub id: AppId,
    /// Used in connection paths.
    pub key: AppKey,
    /// Signs webhooks; verifies requests and subscriptions.
    pub secret: AppSecret,
    /// Also accepted until the time, so that a rotation is no outage; `None` as time is for ever.
    pub previous_secret: Option<(AppSecret, Option<SystemTime>)>,
    /// `false`: sockets are refused with 4003, the API answers 403.
    pub enabled: bool,
    /// Connections at once; `None` is unlimited.
    pub connections_max: Option<u32>,
    /// Clients may send `client-` events.
    pub client_events: bool,
    /// `pusher:signin` is answered.
    pub user_authentication: bool,
    /// `pusher_internal:subscription_count` is sent.
    pub subscription_count: bool,
    /// Watchlist events are sent where sign-in is allowed.
    pub watchlist: bool,
    /// Host patterns with `*`; empty allows all.
    pub allowed_origins: Vec<String>,
    /// Points a second for published events; `None` is unlimited, 0 refuses all.
    pub backend_events_per_second_max: Option<u32>,
    /// Client events a second and connection; `None` is unlimited.
    pub client_events_per_second_max: Option<u32>,
    /// API reads a second; `None` is unlimited.
    pub read_requests_per_second_max: Option<u32>,
    /// Limits of names, events and presence channels.
    pub limits: Limits,
    /// Where events are posted.
    pub webhooks: Vec<Hook>,
}

impl App {
    /// An app with nothing set but its identity: Soketi's defaults.
    pub fn new(id: &str, key: &str, secret: &str) -> Self {
        Self {
            id: AppId(id.into()),
            key: AppKey(key.into()),
            secret: AppSecret::new(secret),
            previous_secret: None,
            enabled: true,
            connections_max: None,
            client_events: false,
            user_authentication: false,
            subscription_count: false,
            watchlist: true,
            allowed_origins: Vec::new(),
            backend_events_per_second_max: None,
            client_events_per_second_max: None,
            read_requests_per_second_max: None,
            limits: Limits::default(),
            webhooks: Vec::new(),
        }
    }

    /// The secrets that verify now: the main one, and the previous one while it is accepted.
    pub fn secrets(&self) -> impl Iterator<Item = &AppSecret> {
        let previous = self
            .previous_secret
            .as_ref()
            .filter(|(_, until)| until.is_none_or(|t| t > SystemTime::now()));
        std::iter::once(&self.secret).chain(previous.map(|(secret, _)| secret))
    }
}

/// One webhook target of an app. spec: configuration, "Webhook object".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// HTTP(S) target.
    pub url: String,
    /// Events it wants.
    pub event_types: Vec<HookEvent>,
    /// Channel names it wants: begins with.
    pub channel_name_starts_with: Option<String>,
    /// Channel names it wants: ends with.
    pub channel_name_ends_with: Option<String>,
    /// Extra request headers.
    pub headers: Vec<(String, String)>,
}

/// What a webhook can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookEvent {
    /// `client_event`
    ClientEvent,
    /// `channel_occupied`
    ChannelOccupied,
    /// `channel_vacated`
    ChannelVacated,
    /// `member_added`
    MemberAdded,
    /// `member_removed`
    MemberRemoved,
    /// `cache_miss`
    CacheMiss,
    /// `subscription_count`
    SubscriptionCount,
}

impl HookEvent {
    /// All of them, in the order of the specification.
    pub const ALL: [Self; 7] = [
        Self::ClientEvent,
        Self::ChannelOccupied,
        Self::ChannelVacated,
        Self::MemberAdded,
        Self::MemberRemoved,
        Self::CacheMiss,
        Self::SubscriptionCount,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientEvent => "client_event",
            Self::ChannelOccupied => "channel_occupied",
            Self::ChannelVacated => "channel_vacated",
            Self::MemberAdded => "member_added",
            Self::MemberRemoved => "member_removed",
            Self::CacheMiss => "cache_miss",
            Self::SubscriptionCount => "subscription_count",
        }
    }
}

/// An app at work in this process: its configuration of the moment and what it has here. Lives as long as the process, so that
/// open sockets see a changed configuration at once.
#[derive(Debug)]
pub struct Tenant {
    /// Small and never reused: the app's part of every key inside this process.
    pub index: u32,
    app: ArcSwap<App>,
    /// Accepted connections that are open.
    pub connections: AtomicU32,
    /// Those of them that count towards `maxConnections`.
    pub counted: AtomicU32,
    /// Its counters.
    pub metrics: AppMetrics,
}

impl Tenant {
    /// Stands in for the app of a connection that named none.
    pub fn nobody() -> Self {
        let metrics = AppMetrics::detached();
        let (connections, counted) = (AtomicU32::new(0), AtomicU32::new(0));
        Self {
            index: u32::MAX,
            app: ArcSwap::from_pointee(App::new("", "", "")),
            connections,
            counted,
            metrics,
        }
    }

    /// The configuration of the moment.
    pub fn app(&self) -> Arc<App> {
        self.app.load_full()
    }
}

/// Finds apps by id or key. Changed by a reload; readers never wait.
#[derive(Debug)]
pub struct Apps {
    index: ArcSwap<Index>,
    metrics_prefix: Box<str>,
    port: Box<str>,
    made: AtomicU32,
}

#[derive(Debug, Default)]
struct Index {
    list: Vec<Arc<Tenant>>,
    by_id: HashMap<AppId, Arc<Tenant>>,
    by_key: HashMap<AppKey, Arc<Tenant>>,
}

impl Apps {
    /// Of several apps with one id or key the first wins, as in Soketi. `metrics_prefix` and `port` name and label the apps' counters.
    pub fn new(apps: &[App], metrics_prefix: &str, port: &str) -> Self {
        let new = Self {
            index: ArcSwap::default(),
            metrics_prefix: metrics_prefix.into(),
            port: port.into(),
            made: AtomicU32::new(0),
        };
        new.replace(apps);
        new
    }

    /// The app with this id.
    pub fn by_id(&self, id: &str) -> Option<Arc<Tenant>> {
        self.index.load().by_id.get(id).cloned()
    }

    /// The app with this key.
    pub fn by_key(&self, key: &str) -> Option<Arc<Tenant>> {
        self.index.load().by_key.get(key).cloned()
    }

    /// All apps, in configuration order.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        self.index.load().list.clone()
    }

    /// Takes the new list and returns the tenants that are gone from it. Tenants that stay keep their sockets and counters.
    pub fn replace(&self, apps: &[App]) -> Vec<Arc<Tenant>> {
        let old = self.index.load_full();
        let mut new = Index::default();
        for app in apps {
            if new.by_id.contains_key(&app.id) {
                continue;
            }
            let tenant = old
                .by_id
                .get(&app.id)
                .cloned()
                .unwrap_or_else(|| self.tenant(app));
            tenant.app.store(Arc::new(app.clone()));
            new.by_id.insert(app.id.clone(), Arc::clone(&tenant));
            new.by_key
                .entry(app.key.clone())
                .or_insert_with(|| Arc::clone(&tenant));
            new.list.push(tenant);
        }
        let gone = old
            .list
            .iter()
            .filter(|t| !new.by_id.contains_key(&t.app.load().id))
            .cloned()
            .collect();
        self.index.store(Arc::new(new));
        gone
    }

    fn tenant(&self, app: &App) -> Arc<Tenant> {
        Arc::new(Tenant {
            index: self.made.fetch_add(1, Ordering::Relaxed),
            app: ArcSwap::from_pointee(app.clone()),
            connections: AtomicU32::new(0),
            counted: AtomicU32::new(0),
            metrics: AppMetrics::new(&self.metrics_prefix, &app.id.0, &self.port),
        })
    }
}

impl std::borrow::Borrow<str> for AppId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for AppKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
