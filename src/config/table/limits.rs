//! Limits of names, events, presence channels and connections.

use crate::config::{
    kind::Kind::{Count, Kb, Mb, Number, Seconds},
    setting::{Group, Setting, settings},
};

settings! { LIMITS, "Limits of names, events and presence channels", "The defaults of every app; an app may set its own.";
    /// Characters of a channel name.
    "channelLimits.maxNameLength" "CHANNEL_LIMITS_MAX_NAME_LENGTH":
        Count(0, usize::MAX, |d, v| d.config.limits.channel_name_chars_max = v), "200", .alias(&["CHANNEL_MAX_NAME_LENGTH"]);
    /// Life of the cached event of a cache channel.
    "channelLimits.cacheTtl" "CHANNEL_CACHE_TTL": Seconds(|d, v| d.config.limits.cache_ttl = v), "3600";
    /// Events of one batch.
    "eventLimits.maxBatchSize" "EVENT_MAX_BATCH_SIZE": Count(0, usize::MAX, |d, v| d.config.limits.batch_events_max = v), "10";
    /// Channels of one event.
    "eventLimits.maxChannelsAtOnce" "EVENT_MAX_CHANNELS_AT_ONCE": Count(0, usize::MAX, |d, v| d.config.limits.event_channels_max = v), "100";
    /// Characters of an event name.
    "eventLimits.maxNameLength" "EVENT_MAX_NAME_LENGTH": Count(0, usize::MAX, |d, v| d.config.limits.event_name_chars_max = v), "200";
    /// KiB of an event's data.
    "eventLimits.maxPayloadInKb" "EVENT_MAX_SIZE_IN_KB": Number(0.0, f64::MAX, |d, v| d.config.limits.event_data_kb_max = v), "100";
    /// Members of a presence channel.
    "presence.maxMembersPerChannel" "PRESENCE_MAX_MEMBERS": Count(0, usize::MAX, |d, v| d.config.limits.presence_members_max = v), "100";
    /// KiB of one member's `user_info`.
    "presence.maxMemberSizeInKb" "PRESENCE_MAX_MEMBER_SIZE": Number(0.0, f64::MAX, |d, v| d.config.limits.presence_member_kb_max = v), "2";
}

settings! { CONNECTIONS, "Bounds on connections", "What one client, one address and all of them together may hold.";
    /// Bytes that may wait for one socket before it is closed as too slow.
    "connection.maxOutboxInKb" "CONNECTION_MAX_OUTBOX_IN_KB": Kb(|d, v| d.config.connection.outbox_bytes_max = v), "1024";
    /// Bytes that may wait for all sockets of this node; the fullest is closed first.
    "node.maxOutboxInMb" "NODE_MAX_OUTBOX_IN_MB": Mb(|d, v| d.config.connection.node_outbox_bytes_max = v), "1024";
    /// One inbound message; above it the connection is closed with 1009.
    "connection.maxFrameInKb" "CONNECTION_MAX_FRAME_IN_KB": Kb(|d, v| d.config.connection.message_bytes_max = v), "1024";
    /// Inbound frames of one connection in a second; above it the connection is closed with 4100.
    "connection.maxFramesPerSecond" "CONNECTION_MAX_FRAMES_PER_SECOND": Count(1, COUNT_MAX, |d, v| d.config.connection.frames_per_second_max = count(v)), "1000";
    /// Channels of one connection.
    "connection.maxSubscriptions" "CONNECTION_MAX_SUBSCRIPTIONS": Count(1, usize::MAX, |d, v| d.config.connection.subscriptions_max = v), "10000";
    /// Connections of one client address. 0: unbounded.
    "connection.maxPerAddress" "CONNECTION_MAX_PER_ADDRESS":
        Count(0, COUNT_MAX, |d, v| d.config.connection.per_address_max = Some(count(v)).filter(|v| *v > 0)), "0";
}

const COUNT_MAX: usize = u32::MAX as usize;

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
