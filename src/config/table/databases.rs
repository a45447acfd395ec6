//! Databases. This server uses none of them: options are checked and have no effect.

use crate::config::{
    kind::Kind::{Bool, Checked, Count, Millis, Nodes, ObjectOrBool, Port, Text},
    kind::unused,
    setting::{Group, Setting, settings},
};

settings! { DATABASES, "Databases", "Checked, without effect: the drivers that use them cannot be selected.";
    /// Stands for the whole family `DB_REDIS_…`.
    "database.redis.url" "REDIS_URL":
        Checked(is_redis_url, "`redis://`, `rediss://`, `redis-sentinel://` or `redis-cluster://` and a host", unused), "", .secret();
    /// Host, for adapter, cache, rate limiter and queue.
    "database.redis.host" "DB_REDIS_HOST": Text(unused), "127.0.0.1";
    /// Port.
    "database.redis.port" "DB_REDIS_PORT": Port(unused), "6379";
    /// Number of the database.
    "database.redis.db" "DB_REDIS_DB": Count(0, usize::MAX, unused), "0";
    /// User.
    "database.redis.username" "DB_REDIS_USERNAME": Text(unused), "";
    /// Password.
    "database.redis.password" "DB_REDIS_PASSWORD": Text(unused), "", .secret();
    /// Put before every key.
    "database.redis.keyPrefix" "DB_REDIS_KEY_PREFIX": Text(unused), "";
    /// Sentinels; they replace host and port.
    "database.redis.sentinels" "DB_REDIS_SENTINELS": Nodes, "";
    /// Password of the Sentinels.
    "database.redis.sentinelPassword" "DB_REDIS_SENTINEL_PASSWORD": Text(unused), "", .secret();
    /// Nodes of a Redis Cluster.
    "database.redis.clusterNodes" "DB_REDIS_CLUSTER_NODES": Nodes, "[]";
    /// Name of the master that Sentinels watch.
    "database.redis.name" "DB_REDIS_INSTANCE_NAME": Text(unused), "mymaster";
    /// TLS: an object, or on and off.
    "database.redis.tls" "": ObjectOrBool, "", .secret();
    /// 4 or 6.
    "database.redis.family" "": Count(0, 6, unused), "";
    /// Time to connect.
    "database.redis.connectTimeout" "": Millis(0, unused), "";
    /// Time for a command.
    "database.redis.commandTimeout" "": Millis(0, unused), "";
    /// Keep connections to the SQL database.
    "databasePooling.enabled" "DB_POOLING_ENABLED": Bool(unused), "false";
    /// Fewest connections.
    "databasePooling.min" "DB_POOLING_MIN": Count(0, usize::MAX, |d, v| d.pool.0 = v), "0";
    /// Most connections.
    "databasePooling.max" "DB_POOLING_MAX": Count(0, usize::MAX, |d, v| d.pool.1 = v), "7";
    /// Host.
    "database.mysql.host" "DB_MYSQL_HOST": Text(unused), "127.0.0.1";
    /// Port.
    "database.mysql.port" "DB_MYSQL_PORT": Port(unused), "3306";
    /// User.
    "database.mysql.user" "DB_MYSQL_USERNAME": Text(unused), "root";
    /// Password.
    "database.mysql.password" "DB_MYSQL_PASSWORD": Text(unused), "password", .secret();
    /// Database.
    "database.mysql.database" "DB_MYSQL_DATABASE": Text(unused), "main";
    /// TLS: an object, or on and off.
    "database.mysql.ssl" "": ObjectOrBool, "", .secret();
    /// Host.
    "database.postgres.host" "DB_POSTGRES_HOST": Text(unused), "127.0.0.1";
    /// Port.
    "database.postgres.port" "DB_POSTGRES_PORT": Port(unused), "5432";
    /// User.
    "database.postgres.user" "DB_POSTGRES_USERNAME": Text(unused), "postgres";
    /// Password.
    "database.postgres.password" "DB_POSTGRES_PASSWORD": Text(unused), "password", .secret();
    /// Database.
    "database.postgres.database" "DB_POSTGRES_DATABASE": Text(unused), "main";
    /// TLS: an object, or on and off.
    "database.postgres.ssl" "": ObjectOrBool, "", .secret();
}

fn is_redis_url(text: &str) -> bool {
    let schemes = ["redis", "rediss", "redis-sentinel", "redis-cluster"];
    text.is_empty()
        || text.split_once("://").is_some_and(|(scheme, rest)| {
            let host = rest.rsplit('@').next().unwrap_or(rest);
            schemes.contains(&scheme) && !host.starts_with(['/', '?']) && !host.is_empty()
        })
}
