//! Loading, from sources to what the server gets.

use serde_json::Value as Json;

use super::{draft::Draft, kind::Kind, table, *};

mod apps;
mod combinations;
mod sources;

/// A working directory with files, variables, flags.
struct Case {
    dir: tempfile::TempDir,
    sources: Sources,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sources = Sources {
            dir: dir.path().into(),
            ..Sources::default()
        };
        Self { dir, sources }
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.into(), value.into());
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        std::fs::write(self.dir.path().join(name), content).unwrap();
        self
    }

    fn config(self, name: &str, content: &str) -> Self {
        let mut case = self.file(name, content);
        case.sources.flags.config = Some(name.into());
        case
    }

    fn json(self, content: &Json) -> Self {
        self.config("soketi.json", &content.to_string())
    }

    fn loaded(&self) -> Loaded {
        Config::load(&self.sources).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn errors(&self) -> Vec<String> {
        let errors = Config::load(&self.sources)
            .map(|l| l.describe())
            .unwrap_err();
        errors.problems.iter().map(ToString::to_string).collect()
    }

    /// The only error.
    fn error(&self) -> String {
        let mut errors = self.errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors.remove(0)
    }

    /// Warnings but that of the default secret.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.loaded().warnings;
        warnings.retain(|w| !w.starts_with("INSECURE"));
        warnings
    }
}

fn var(name: &str, value: &str) -> Case {
    Case::new().var(name, value)
}

const SOKETI: &str = "\
    DEBUG HOST HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD MODE PORT PATH_PREFIX SHUTDOWN_GRACE_PERIOD SSL_CERT SSL_KEY \
    SSL_PASS SSL_CA USER_AUTHENTICATION_TIMEOUT APP_MANAGER_DRIVER APP_MANAGER_CACHE_ENABLED APP_MANAGER_CACHE_TTL \
    APP_MANAGER_DYNAMODB_TABLE APP_MANAGER_DYNAMODB_REGION APP_MANAGER_DYNAMODB_ENDPOINT APP_MANAGER_MYSQL_TABLE \
    APP_MANAGER_MYSQL_VERSION APP_MANAGER_POSTGRES_TABLE APP_MANAGER_POSTGRES_VERSION APP_MANAGER_MYSQL_USE_V2 \
    DEFAULT_APP_ID DEFAULT_APP_KEY DEFAULT_APP_SECRET DEFAULT_APP_MAX_CONNS DEFAULT_APP_ENABLE_CLIENT_MESSAGES \
    DEFAULT_APP_ENABLED DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC \
    DEFAULT_APP_MAX_READ_REQ_PER_SEC DEFAULT_APP_USER_AUTHENTICATION DEFAULT_APP_WEBHOOKS \
    CHANNEL_LIMITS_MAX_NAME_LENGTH CHANNEL_CACHE_TTL EVENT_MAX_BATCH_SIZE EVENT_MAX_CHANNELS_AT_ONCE \
    EVENT_MAX_NAME_LENGTH EVENT_MAX_SIZE_IN_KB PRESENCE_MAX_MEMBER_SIZE PRESENCE_MAX_MEMBERS ADAPTER_DRIVER \
    ADAPTER_CLUSTER_REQUESTS_TIMEOUT ADAPTER_REDIS_PREFIX ADAPTER_REDIS_CLUSTER_MODE \
    ADAPTER_REDIS_REQUESTS_TIMEOUT ADAPTER_REDIS_SUB_OPTIONS ADAPTER_REDIS_PUB_OPTIONS ADAPTER_NATS_PREFIX \
    ADAPTER_NATS_SERVERS ADAPTER_NATS_USER ADAPTER_NATS_PASSWORD ADAPTER_NATS_TOKEN ADAPTER_NATS_TIMEOUT \
    ADAPTER_NATS_REQUESTS_TIMEOUT ADAPTER_NATS_NODES_NUMBER CLUSTER_CHECK_INTERVAL CLUSTER_HOST \
    CLUSTER_IGNORE_PROCESS CLUSTER_BROADCAST_ADDRESS CLUSTER_KEEPALIVE_INTERVAL CLUSTER_MASTER_TIMEOUT \
    CLUSTER_MULTICAST_ADDRESS CLUSTER_NODE_TIMEOUT CLUSTER_PORT CLUSTER_PREFIX CLUSTER_UNICAST_ADDRESSES \
    CACHE_DRIVER CACHE_REDIS_CLUSTER_MODE CACHE_REDIS_OPTIONS QUEUE_DRIVER QUEUE_REDIS_CONCURRENCY \
    QUEUE_REDIS_OPTIONS QUEUE_REDIS_CLUSTER_MODE QUEUE_SQS_REGION QUEUE_SQS_CLIENT_OPTIONS QUEUE_SQS_URL \
    QUEUE_SQS_ENDPOINT QUEUE_SQS_PROCESS_BATCH QUEUE_SQS_BATCH_SIZE QUEUE_SQS_POLLING_WAIT_TIME_MS \
    RATE_LIMITER_DRIVER RATE_LIMITER_REDIS_OPTIONS RATE_LIMITER_REDIS_CLUSTER_MODE WEBHOOKS_BATCHING \
    WEBHOOKS_BATCHING_DURATION DB_POOLING_ENABLED DB_POOLING_MIN DB_POOLING_MAX DB_MYSQL_HOST DB_MYSQL_PORT \
    DB_MYSQL_USERNAME DB_MYSQL_PASSWORD DB_MYSQL_DATABASE DB_POSTGRES_HOST DB_POSTGRES_PORT DB_POSTGRES_USERNAME \
    DB_POSTGRES_PASSWORD DB_POSTGRES_DATABASE DB_REDIS_HOST DB_REDIS_PORT DB_REDIS_DB DB_REDIS_USERNAME \
    DB_REDIS_PASSWORD DB_REDIS_KEY_PREFIX DB_REDIS_SENTINELS DB_REDIS_SENTINEL_PASSWORD DB_REDIS_CLUSTER_NODES \
    DB_REDIS_INSTANCE_NAME METRICS_ENABLED METRICS_DRIVER METRICS_HOST METRICS_PROMETHEUS_PREFIX \
    METRICS_SERVER_PORT";

#[test]
fn every_variable_of_soketi_is_in_the_table() {
    let known: Vec<_> = table::settings()
        .flat_map(super::setting::Setting::variables)
        .collect();
    let missing: Vec<_> = SOKETI
        .split_whitespace()
        .filter(|name| !known.contains(name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert_eq!(SOKETI.split_whitespace().count(), 115);
}

#[test]
fn names_in_the_table_are_unique() {
    let mut keys: Vec<_> = table::settings().map(|s| s.key).collect();
    let mut names: Vec<_> = table::settings()
        .flat_map(super::setting::Setting::variables)
        .collect();
    let (all_keys, all_names) = (keys.len(), names.len());
    keys.sort_unstable();
    keys.dedup();
    names.sort_unstable();
    names.dedup();
    assert_eq!((keys.len(), names.len()), (all_keys, all_names));
}

#[test]
fn defaults_of_the_table_are_those_of_the_configuration() {
    let mut draft = Draft::default();
    for setting in table::settings().filter(|s| !s.default.is_empty()) {
        let read = setting.kind.read(&setting.default.into(), &mut draft);
        assert!(read.is_ok(), "{}: {read:?}", setting.key);
    }
    let config = draft.finish(&load::Given::default(), &mut problem::Report::default());
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn every_typed_variable_refuses_garbage_by_name() {
    for setting in table::settings().filter(|s| !s.variable.is_empty()) {
        let name = format!("SOKETI_{}", setting.variable);
        let case = var(&name, "[{garbage\u{7f}");
        let is_text = matches!(setting.kind, Kind::Text(_) | Kind::Path(_))
            || matches!(
                setting.kind,
                Kind::FirstApp("id" | "key" | "secret" | "previousSecret")
            );
        if is_text {
            continue;
        }
        let errors = case.errors();
        let named = |e: &String| e.contains(&name) && e.starts_with(setting.key);
        assert!(errors.iter().any(named), "{name}: {errors:?}");
        let shown = errors.iter().any(|e| e.contains("garbage"));
        assert!(!(setting.secret && shown), "{name}: {errors:?}");
    }
}
