//! Reading channels (http-api.md 4.3 to 4.5).

use serde_json::json;

use crate::harness::Server;

#[tokio::test]
async fn listings_hold_both_attributes_always() {
    let server = Server::start().await;
    let mut first = server.subscribed("alpha").await;
    first.subscribe("beta").await;
    first.presence("presence-q", r#"{"user_id":"1"}"#).await;
    let _second = server.subscribed("alpha").await;
    let both = |count: u32| json!({"subscription_count": count, "occupied": true});
    let response = server.get("/channels").await;
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(
        response.json(),
        json!({"channels": {"alpha": both(2), "beta": both(1), "presence-q": both(1)}})
    );
    let filtered = server
        .get("/channels?filter_by_prefix=presence-")
        .await
        .json();
    assert_eq!(filtered, json!({"channels": {"presence-q": both(1)}}));
    server
        .get("/channels?filter_by_prefix=nothing")
        .await
        .expect(200, r#"{"channels":{}}"#);
}

#[tokio::test]
async fn user_count_is_added_where_it_means_something() {
    let server = Server::start().await;
    let mut client = server.subscribed("alpha").await;
    client.presence("presence-q", r#"{"user_id":"1"}"#).await;
    let listed = server.get("/channels?info=user_count").await;
    assert_eq!(
        listed.json(),
        json!({"channels": {
            "alpha": {"subscription_count": 1, "occupied": true},
            "presence-q": {"subscription_count": 1, "occupied": true, "user_count": 1},
        }})
    );
}

#[tokio::test]
async fn one_channel() {
    let server = Server::start().await;
    let mut client = server.subscribed("one").await;
    client.presence("presence-one", r#"{"user_id":"1"}"#).await;
    for (path, body) in [
        ("one", r#"{"subscription_count":1,"occupied":true}"#),
        (
            "presence-one",
            r#"{"subscription_count":1,"occupied":true,"user_count":1}"#,
        ),
        ("empty", r#"{"subscription_count":0,"occupied":false}"#),
        (
            "presence-empty",
            r#"{"subscription_count":0,"occupied":false,"user_count":0}"#,
        ),
        (
            "one?info=user_count",
            r#"{"subscription_count":1,"occupied":true}"#,
        ),
        (
            "presence-one?info=subscription_count",
            r#"{"subscription_count":1,"occupied":true,"user_count":1}"#,
        ),
        (
            "not%20legal%21",
            r#"{"subscription_count":0,"occupied":false}"#,
        ),
    ] {
        server
            .get(&format!("/channels/{path}"))
            .await
            .expect(200, body);
    }
}

#[tokio::test]
async fn info_cache_shows_the_cached_event() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.subscribe("cache-c").await;
    client.expect_event("pusher:cache_miss").await;
    server.get("/channels/cache-c?info=cache").await.expect(
        200,
        r#"{"subscription_count":1,"occupied":true,"cache":null}"#,
    );
    server.trigger("cache-c", "e", "v").await;
    client.expect_event("e").await;
    server.get("/channels/cache-c?info=cache").await.expect(
        200,
        r#"{"subscription_count":1,"occupied":true,"cache":{"event":"e","data":"v"}}"#,
    );
    server
        .get("/channels/cache-c")
        .await
        .expect(200, r#"{"subscription_count":1,"occupied":true}"#);
}

#[tokio::test]
async fn users_of_a_presence_channel() {
    let server = Server::start().await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first
        .presence("presence-u", r#"{"user_id":"x","user_info":{"n":1}}"#)
        .await;
    second.presence("presence-u", r#"{"user_id":2}"#).await;
    server
        .get("/channels/presence-u/users")
        .await
        .expect(200, r#"{"users":[{"id":"x"},{"id":2}]}"#);
    let with = server
        .get("/channels/presence-u/users?with_user_info=1")
        .await
        .json();
    assert_eq!(with["users"][0], json!({"id": "x", "user_info": {"n": 1}}));
    server
        .get("/channels/presence-u/users?with_user_info=true")
        .await
        .expect(200, r#"{"users":[{"id":"x"},{"id":2}]}"#);
    server
        .get("/channels/presence-nobody/users")
        .await
        .expect(200, r#"{"users":[]}"#);
    for channel in ["public-x", "private-x"] {
        server
            .get(&format!("/channels/{channel}/users"))
            .await
            .expect_error(400, "The channel must be a presence channel.");
    }
}

#[tokio::test]
async fn counts_follow_every_way_of_leaving() {
    let server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(server.subscribed("c").await);
    }
    server
        .get("/channels/c")
        .await
        .expect(200, r#"{"subscription_count":12,"occupied":true}"#);
    clients.pop().unwrap().close().await;
    clients.pop().unwrap().unsubscribe("c").await;
    drop(clients.split_off(6));
    crate::harness::eventually("six are left", async || {
        server.get("/channels/c").await.text() == r#"{"subscription_count":6,"occupied":true}"#
    })
    .await;
}
