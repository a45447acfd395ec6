//! Tenants: one [`App`] per key and secret, its limits, its webhooks; [`Apps`] finds one by id or key.
//! Must not know: sockets, channels, HTTP.

use std::{collections::HashMap, fmt, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;

use crate::config::Limits;

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

/// Finds apps by id or key. Replaced whole by a reload; readers never wait.
#[derive(Debug)]
pub struct Apps(ArcSwap<Index>);

#[derive(Debug, Default)]
struct Index {
    list: Vec<Arc<App>>,
    by_id: HashMap<AppId, Arc<App>>,
    by_key: HashMap<AppKey, Arc<App>>,
}

impl Apps {
    /// Of several apps with one id or key the first wins, as in Soketi.
    pub fn new(apps: &[App]) -> Self {
        Self(ArcSwap::from_pointee(Index::new(apps)))
    }

    /// The app with this id.
    pub fn by_id(&self, id: &str) -> Option<Arc<App>> {
        self.0.load().by_id.get(id).cloned()
    }

    /// The app with this key.
    pub fn by_key(&self, key: &str) -> Option<Arc<App>> {
        self.0.load().by_key.get(key).cloned()
    }

    /// All apps, in configuration order.
    pub fn all(&self) -> Vec<Arc<App>> {
        self.0.load().list.clone()
    }

    /// Takes the new list; sockets of changed apps are told by the node.
    pub fn replace(&self, apps: &[App]) {
        self.0.store(Arc::new(Index::new(apps)));
    }
}

impl Index {
    fn new(apps: &[App]) -> Self {
        let mut index = Self::default();
        for app in apps {
            let app = Arc::new(app.clone());
            index.list.push(Arc::clone(&app));
            index
                .by_id
                .entry(app.id.clone())
                .or_insert_with(|| Arc::clone(&app));
            index
                .by_key
                .entry(app.key.clone())
                .or_insert_with(|| Arc::clone(&app));
        }
        index
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
