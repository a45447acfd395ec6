//! The list of apps and, by variables, its first element.

use crate::config::{
    kind::Kind::{Apps, Bool, FirstApp, Integer, Text},
    kind::unused,
    setting::{Group, Setting, settings},
};

settings! { APPS, "Apps", "The variables `DEFAULT_APP_…` change the first app of the list, whichever source the list came from.";
    /// All apps. Not set: one app, `app-id`, `app-key`, `app-secret`. The fields are listed under "Fields of an app".
    "appManager.array.apps" "APPS": Apps, "", .secret();
    /// Identity of the first app in API paths.
    "appManager.array.apps.0.id" "DEFAULT_APP_ID": FirstApp("id"), "app-id";
    /// Identity of the first app in connection paths; public.
    "appManager.array.apps.0.key" "DEFAULT_APP_KEY": FirstApp("key"), "app-key";
    /// Secret of the first app; signs and verifies. Everybody knows the default.
    "appManager.array.apps.0.secret" "DEFAULT_APP_SECRET": FirstApp("secret"), "app-secret", .secret();
    /// Also accepted as secret until `DEFAULT_APP_PREVIOUS_SECRET_UNTIL`, so that a rotation is no outage.
    "appManager.array.apps.0.previousSecret" "DEFAULT_APP_PREVIOUS_SECRET": FirstApp("previousSecret"), "", .secret();
    /// When the previous secret ends. Not set: never.
    "appManager.array.apps.0.previousSecretUntil" "DEFAULT_APP_PREVIOUS_SECRET_UNTIL": FirstApp("previousSecretUntil"), "";
    /// Off: connections are refused with 4003, the API answers 403.
    "appManager.array.apps.0.enabled" "DEFAULT_APP_ENABLED": FirstApp("enabled"), "true";
    /// Connections at once; 0 and below: unlimited.
    "appManager.array.apps.0.maxConnections" "DEFAULT_APP_MAX_CONNS": FirstApp("maxConnections"), "-1";
    /// Clients may send `client-` events.
    "appManager.array.apps.0.enableClientMessages" "DEFAULT_APP_ENABLE_CLIENT_MESSAGES": FirstApp("enableClientMessages"), "false";
    /// `pusher:signin` is answered.
    "appManager.array.apps.0.enableUserAuthentication" "DEFAULT_APP_USER_AUTHENTICATION": FirstApp("enableUserAuthentication"), "false";
    /// `pusher_internal:subscription_count` is sent.
    "appManager.array.apps.0.enableSubscriptionCount" "DEFAULT_APP_ENABLE_SUBSCRIPTION_COUNT": FirstApp("enableSubscriptionCount"), "false";
    /// Watchlist events are sent where sign-in is allowed.
    "appManager.array.apps.0.enableWatchlist" "DEFAULT_APP_ENABLE_WATCHLIST": FirstApp("enableWatchlist"), "true";
    /// Host patterns with `*` that may connect from a browser. Empty: all.
    "appManager.array.apps.0.allowedOrigins" "DEFAULT_APP_ALLOWED_ORIGINS": FirstApp("allowedOrigins"), "[]";
    /// Points a second for published events; 0 refuses all, below 0: unlimited.
    "appManager.array.apps.0.maxBackendEventsPerSecond" "DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC": FirstApp("maxBackendEventsPerSecond"), "-1";
    /// Client events a second and connection; 0 refuses all, below 0: unlimited.
    "appManager.array.apps.0.maxClientEventsPerSecond" "DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC": FirstApp("maxClientEventsPerSecond"), "-1";
    /// API reads a second; 0 refuses all, below 0: unlimited.
    "appManager.array.apps.0.maxReadRequestsPerSecond" "DEFAULT_APP_MAX_READ_REQ_PER_SEC": FirstApp("maxReadRequestsPerSecond"), "-1";
    /// Where events are posted; see "Webhook".
    "appManager.array.apps.0.webhooks" "DEFAULT_APP_WEBHOOKS": FirstApp("webhooks"), "[]", .secret();
    /// Keep apps of a database for `APP_MANAGER_CACHE_TTL`. No effect with driver `array`.
    "appManager.cache.enabled" "APP_MANAGER_CACHE_ENABLED": Bool(unused), "false";
    /// Seconds; -1 and 0: for ever. No effect with driver `array`.
    "appManager.cache.ttl" "APP_MANAGER_CACHE_TTL": Integer(unused), "-1";
    /// Table of apps, driver `dynamodb`.
    "appManager.dynamodb.table" "APP_MANAGER_DYNAMODB_TABLE": Text(unused), "apps";
    /// Region, driver `dynamodb`.
    "appManager.dynamodb.region" "APP_MANAGER_DYNAMODB_REGION": Text(unused), "us-east-1";
    /// Endpoint, driver `dynamodb`.
    "appManager.dynamodb.endpoint" "APP_MANAGER_DYNAMODB_ENDPOINT": Text(unused), "";
    /// Table of apps, driver `mysql`.
    "appManager.mysql.table" "APP_MANAGER_MYSQL_TABLE": Text(unused), "apps";
    /// Ignored: a hint for Soketi's MySQL library.
    "appManager.mysql.version" "APP_MANAGER_MYSQL_VERSION": Text(unused), "8.0", .ignored();
    /// Ignored: the choice between two of Soketi's MySQL libraries.
    "appManager.mysql.useMysql2" "APP_MANAGER_MYSQL_USE_V2": Bool(unused), "false", .ignored();
    /// Table of apps, driver `postgres`.
    "appManager.postgres.table" "APP_MANAGER_POSTGRES_TABLE": Text(unused), "apps";
    /// Ignored: a hint for Soketi's PostgreSQL library.
    "appManager.postgres.version" "APP_MANAGER_POSTGRES_VERSION": Text(unused), "13.3", .ignored();
}
