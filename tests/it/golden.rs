//! Replays of what Soketi said: `tests/golden/*.jsonl`, played by `replay`, compared but for `deviations`.

mod body;
mod deviations;
mod expect;
mod faults;
mod replay;
mod script;

use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

macro_rules! golden {
    ($($name:ident => $file:literal,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                replay::play($file).await;
            }
        )*

        /// The transcripts that are replayed.
        const REPLAYED: &[&str] = &[$($file),*];
    };
}

golden! {
    app_limits => "app-limits",
    cache_channel => "cache-channel",
    channel_name_rules => "channel-name-rules",
    channel_prefix_substring_quirk => "channel-prefix-substring-quirk",
    client_close_code_4200_leak => "client-close-code-4200-leak",
    client_event_limits => "client-event-limits",
    client_event_not_subscribed => "client-event-not-subscribed",
    client_event_presence => "client-event-presence",
    client_event_private => "client-event-private",
    client_event_public => "client-event-public",
    client_events_disabled => "client-events-disabled",
    client_frames_ignored => "client-frames-ignored",
    config_file => "config-file",
    config_nested_object_replaces => "config-nested-object-replaces",
    config_numeric_key => "config-numeric-key",
    connect_app_disabled => "connect-app-disabled",
    connect_established => "connect-established",
    connect_over_quota => "connect-over-quota",
    connect_query_variants => "connect-query-variants",
    connect_subprotocol => "connect-subprotocol",
    connect_unknown_app_key => "connect-unknown-app-key",
    connect_wrong_path => "connect-wrong-path",
    event_name_contains_client => "event-name-contains-client",
    http_auth => "http-auth",
    http_batch => "http-batch",
    http_body_too_large => "http-body-too-large",
    http_channel => "http-channel",
    http_channels => "http-channels",
    http_health => "http-health",
    http_metrics => "http-metrics",
    http_routing => "http-routing",
    http_trigger => "http-trigger",
    http_trigger_bad_body => "http-trigger-bad-body",
    http_trigger_validation => "http-trigger-validation",
    http_users => "http-users",
    metrics_disabled => "metrics-disabled",
    mode_worker => "mode-worker",
    official_pusher_js_session => "official-pusher-js-session",
    official_server_libraries => "official-server-libraries",
    path_prefix => "path-prefix",
    ping_pong => "ping-pong",
    presence_errors => "presence-errors",
    presence_join_leave => "presence-join-leave",
    presence_no_user_info => "presence-no-user-info",
    presence_null_channel_data => "presence-null-channel-data",
    presence_number_ids => "presence-number-ids",
    presence_same_user_many_connections => "presence-same-user-many-connections",
    presence_subscribe_twice => "presence-subscribe-twice",
    rate_limit_backend_events => "rate-limit-backend-events",
    rate_limit_client_events => "rate-limit-client-events",
    rate_limit_read => "rate-limit-read",
    signin => "signin",
    signin_errors => "signin-errors",
    signin_timeout => "signin-timeout",
    subscribe_private => "subscribe-private",
    subscribe_private_encrypted => "subscribe-private-encrypted",
    subscribe_public => "subscribe-public",
    unsubscribe => "unsubscribe",
    webhooks_all_events => "webhooks-all-events",
    webhooks_batching => "webhooks-batching",
    webhooks_filters_and_failures => "webhooks-filters-and-failures",
}

#[test]
fn every_transcript_is_played_by_some_test() {
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            assert!(
                REPLAYED.contains(&name) || faults::PLAYED.contains(&name),
                "nobody plays {name}"
            );
        }
    }
}

#[test]
fn every_deviation_names_a_line_of_a_transcript() {
    for deviation in deviations::ALL {
        let text =
            std::fs::read_to_string(directory().join(format!("{}.jsonl", deviation.file))).unwrap();
        assert!(
            deviation.line >= 2 && deviation.line <= text.lines().count(),
            "{deviation:?}"
        );
    }
}
