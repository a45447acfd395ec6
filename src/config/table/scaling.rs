//! Options of drivers that join nodes. This server has none of them: they are checked and have no effect.

use crate::config::{
    kind::Kind::{Bool, Count, Ip, Millis, Nodes, Object, Port, Text},
    kind::unused,
    setting::{Group, Setting, settings},
};

settings! { SCALING, "Options of drivers for several nodes", "Checked, without effect: these drivers cannot be selected.";
    /// Wait for answers of other nodes.
    "adapter.cluster.requestsTimeout" "ADAPTER_CLUSTER_REQUESTS_TIMEOUT": Millis(0, unused), "5000";
    /// Put before the names of the adapter's channels.
    "adapter.redis.prefix" "ADAPTER_REDIS_PREFIX": Text(unused), "";
    /// Use Redis Cluster.
    "adapter.redis.clusterMode" "ADAPTER_REDIS_CLUSTER_MODE": Bool(unused), "false";
    /// Wait for answers of other nodes.
    "adapter.redis.requestsTimeout" "ADAPTER_REDIS_REQUESTS_TIMEOUT": Millis(0, unused), "5000";
    /// Further options of the subscribing connection.
    "adapter.redis.redisSubOptions" "ADAPTER_REDIS_SUB_OPTIONS": Object, "{}", .secret();
    /// Further options of the publishing connection.
    "adapter.redis.redisPubOptions" "ADAPTER_REDIS_PUB_OPTIONS": Object, "{}", .secret();
    /// Put before the subjects.
    "adapter.nats.prefix" "ADAPTER_NATS_PREFIX": Text(unused), "";
    /// Servers.
    "adapter.nats.servers" "ADAPTER_NATS_SERVERS": Nodes, r#"["127.0.0.1:4222"]"#;
    /// User.
    "adapter.nats.user" "ADAPTER_NATS_USER": Text(unused), "";
    /// Password.
    "adapter.nats.pass" "ADAPTER_NATS_PASSWORD": Text(unused), "", .secret();
    /// Token instead of user and password.
    "adapter.nats.token" "ADAPTER_NATS_TOKEN": Text(unused), "", .secret();
    /// Time to connect.
    "adapter.nats.timeout" "ADAPTER_NATS_TIMEOUT": Millis(0, unused), "10000";
    /// Wait for answers of other nodes.
    "adapter.nats.requestsTimeout" "ADAPTER_NATS_REQUESTS_TIMEOUT": Millis(0, unused), "5000";
    /// Fixed number of nodes. Not set: asked.
    "adapter.nats.nodesNumber" "ADAPTER_NATS_NODES_NUMBER": Count(0, usize::MAX, unused), "";
    /// Time between looks for dead nodes; at most the node timeout.
    "cluster.checkInterval" "CLUSTER_CHECK_INTERVAL": Millis(0, |d, v| d.cluster.check = v), "500";
    /// Ignored: a label in Soketi's datagrams.
    "cluster.hostname" "CLUSTER_HOST": Text(unused), "0.0.0.0", .ignored();
    /// Ignored: it concerns several instances of Soketi in one process.
    "cluster.ignoreProcess" "CLUSTER_IGNORE_PROCESS": Bool(unused), "true", .ignored();
    /// Broadcast address.
    "cluster.broadcast" "CLUSTER_BROADCAST_ADDRESS": Ip(unused), "255.255.255.255";
    /// Time between datagrams.
    "cluster.helloInterval" "CLUSTER_KEEPALIVE_INTERVAL": Millis(0, unused), "500";
    /// When the master counts as dead; at least the node timeout.
    "cluster.masterTimeout" "CLUSTER_MASTER_TIMEOUT": Millis(0, |d, v| d.cluster.master = v), "2000";
    /// Multicast address; replaces broadcast.
    "cluster.multicast" "CLUSTER_MULTICAST_ADDRESS": Ip(unused), "";
    /// When a node counts as dead.
    "cluster.nodeTimeout" "CLUSTER_NODE_TIMEOUT": Millis(0, |d, v| d.cluster.node = v), "2000";
    /// UDP port. It is never opened.
    "cluster.port" "CLUSTER_PORT": Port(unused), "11002";
    /// Put before the adapter's events.
    "cluster.prefix" "CLUSTER_PREFIX": Text(unused), "";
    /// Addresses of the other nodes; replaces broadcast and multicast.
    "cluster.unicast" "CLUSTER_UNICAST_ADDRESSES": Nodes, "";
    /// Use Redis Cluster for the cache.
    "cache.redis.clusterMode" "CACHE_REDIS_CLUSTER_MODE": Bool(unused), "false";
    /// Further options of the cache's connection.
    "cache.redis.redisOptions" "CACHE_REDIS_OPTIONS": Object, "{}", .secret();
    /// Ignored: it has no effect in Soketi either.
    "queue.redis.concurrency" "QUEUE_REDIS_CONCURRENCY": Count(0, usize::MAX, unused), "1", .ignored();
    /// Further options of the queue's connections.
    "queue.redis.redisOptions" "QUEUE_REDIS_OPTIONS": Object, "{}", .secret();
    /// Use Redis Cluster for the queue.
    "queue.redis.clusterMode" "QUEUE_REDIS_CLUSTER_MODE": Bool(unused), "false";
    /// Region.
    "queue.sqs.region" "QUEUE_SQS_REGION": Text(unused), "us-east-1";
    /// Further options of the client.
    "queue.sqs.clientOptions" "QUEUE_SQS_CLIENT_OPTIONS": Object, "{}", .secret();
    /// Further options of the consumer.
    "queue.sqs.consumerOptions" "QUEUE_SQS_CONSUMER_OPTIONS": Object, "{}", .secret();
    /// A FIFO queue.
    "queue.sqs.queueUrl" "QUEUE_SQS_URL": Text(unused), "";
    /// Endpoint.
    "queue.sqs.endpoint" "QUEUE_SQS_ENDPOINT": Text(unused), "";
    /// Take messages in batches.
    "queue.sqs.processBatch" "QUEUE_SQS_PROCESS_BATCH": Bool(unused), "false";
    /// Messages of a batch.
    "queue.sqs.batchSize" "QUEUE_SQS_BATCH_SIZE": Count(1, 10, unused), "1";
    /// Wait between polls.
    "queue.sqs.pollingWaitTimeMs" "QUEUE_SQS_POLLING_WAIT_TIME_MS": Millis(0, unused), "0";
    /// Further options of the rate limiter's connection.
    "rateLimiter.redis.redisOptions" "RATE_LIMITER_REDIS_OPTIONS": Object, "{}", .secret();
    /// Use Redis Cluster for the rate limiter.
    "rateLimiter.redis.clusterMode" "RATE_LIMITER_REDIS_CLUSTER_MODE": Bool(unused), "false";
}
