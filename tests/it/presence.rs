//! Presence channels: members, their lists, who hears of whom (protocol.md 5b).

use serde_json::json;

use crate::harness::{Client, Server};

const ANN: &str = r#"{"user_id":"1","user_info":{"name":"Ann"}}"#;
const BOB: &str = r#"{"user_id":"2","user_info":{"name":"Bob"}}"#;

async fn refused(client: &mut Client, channel: &str, kind: &str, error: &str, status: u16) {
    client.expect_frame(&format!(
        r#"{{"event":"pusher:subscription_error","channel":"{channel}","data":{{"type":"{kind}","error":"{error}","status":{status}}}}}"#
    ))
    .await;
}

const ADDED: &str = "pusher_internal:member_added";
const REMOVED: &str = "pusher_internal:member_removed";

#[tokio::test]
async fn members_come_and_go() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (server.connect().await, server.connect().await);
    ann.send_presence("presence-room", ANN).await;
    ann.expect_frame(r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-room","data":"{\"presence\":{\"ids\":[\"1\"],\"hash\":{\"1\":{\"name\":\"Ann\"}},\"count\":1}}"}"#).await;
    bob.send_presence("presence-room", BOB).await;
    bob.expect_frame(r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-room","data":"{\"presence\":{\"ids\":[\"1\",\"2\"],\"hash\":{\"1\":{\"name\":\"Ann\"},\"2\":{\"name\":\"Bob\"}},\"count\":2}}"}"#).await;
    ann.expect_frame(r#"{"event":"pusher_internal:member_added","channel":"presence-room","data":"{\"user_id\":\"2\",\"user_info\":{\"name\":\"Bob\"}}"}"#).await;
    bob.unsubscribe("presence-room").await;
    ann.expect_frame(r#"{"event":"pusher_internal:member_removed","channel":"presence-room","data":"{\"user_id\":\"2\"}"}"#).await;
    bob.expect_silence().await;
}

#[tokio::test]
async fn a_user_is_one_member_however_many_connections() {
    let server = Server::start().await;
    let mut watcher = server.connect().await;
    watcher.presence("presence-m", BOB).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first.presence("presence-m", ANN).await;
    watcher.expect_event(ADDED).await;
    let list = second
        .presence(
            "presence-m",
            r#"{"user_id":"1","user_info":{"name":"newer"}}"#,
        )
        .await;
    assert_eq!(
        list["hash"]["1"]["name"], "Ann",
        "the old user_info is in the list"
    );
    assert_eq!(
        (&list["count"], &list["ids"]),
        (&json!(2), &json!(["2", "1"]))
    );
    let users = server
        .get("/channels/presence-m/users?with_user_info=1")
        .await
        .json();
    assert_eq!(
        users["users"][1]["user_info"]["name"], "newer",
        "listings show the newest: {users}"
    );
    first.close().await;
    watcher.expect_silence().await;
    drop(second);
    assert_eq!(
        watcher.expect_event(REMOVED).await["data"],
        r#"{"user_id":"1"}"#
    );
}

#[tokio::test]
async fn ids_keep_their_type_but_a_number_and_its_text_are_one_user() {
    let server = Server::start().await;
    let (mut number, mut text) = (server.connect().await, server.connect().await);
    let list = number
        .presence("presence-n", r#"{"user_id":1,"user_info":{"n":1}}"#)
        .await;
    assert_eq!(list["ids"], json!([1]));
    let list = text
        .presence("presence-n", r#"{"user_id":"1","user_info":{"n":2}}"#)
        .await;
    assert_eq!((&list["ids"], &list["count"]), (&json!([1]), &json!(1)));
    number.expect_silence().await;
    server.get("/channels/presence-n").await.expect(
        200,
        r#"{"subscription_count":2,"occupied":true,"user_count":1}"#,
    );
    server
        .get("/channels/presence-n/users")
        .await
        .expect(200, r#"{"users":[{"id":1}]}"#);
    let mut watcher = server.connect().await;
    watcher
        .presence("presence-n", r#"{"user_id":77,"user_info":{}}"#)
        .await;
    assert_eq!(
        number.expect_event(ADDED).await["data"],
        r#"{"user_id":77,"user_info":{}}"#
    );
    drop(watcher);
    assert_eq!(
        number.expect_event(REMOVED).await["data"],
        r#"{"user_id":77}"#
    );
}

#[tokio::test]
async fn a_user_leaves_under_the_id_that_was_announced() {
    let server = Server::start().await;
    let (mut watcher, mut number, mut text) = (
        server.connect().await,
        server.connect().await,
        server.connect().await,
    );
    watcher.presence("presence-n", r#"{"user_id":"w"}"#).await;
    number.presence("presence-n", r#"{"user_id":1}"#).await;
    assert_eq!(
        watcher.expect_event(ADDED).await["data"],
        r#"{"user_id":1,"user_info":null}"#
    );
    text.presence("presence-n", r#"{"user_id":"1"}"#).await;
    number.close().await;
    text.close().await;
    assert_eq!(
        watcher.expect_event(REMOVED).await["data"],
        r#"{"user_id":1}"#
    );
}

#[tokio::test]
async fn a_member_without_user_info_is_null_in_the_hash() {
    let server = Server::start().await;
    let (mut bare, mut other) = (server.connect().await, server.connect().await);
    let list = bare.presence("presence-b", r#"{"user_id":"1"}"#).await;
    assert_eq!(list["hash"], json!({"1": null}));
    let list = other
        .presence(
            "presence-b",
            r#"{"user_id":"2","user_info":null,"extra":"signed but dropped"}"#,
        )
        .await;
    assert_eq!(list["hash"], json!({"1": null, "2": null}));
    assert_eq!(
        bare.expect_event(ADDED).await["data"],
        r#"{"user_id":"2","user_info":null}"#
    );
}

#[tokio::test]
async fn a_member_without_id_is_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for data in [
        "{}",
        r#"{"user_info":{}}"#,
        r#"{"user_id":null}"#,
        r#"{"user_id":""}"#,
    ] {
        client.send_presence("presence-x", data).await;
        refused(
            &mut client,
            "presence-x",
            "AuthError",
            "The connection is unauthorized.",
            401,
        )
        .await;
    }
    server.get("/channels/presence-x").await.expect(
        200,
        r#"{"subscription_count":0,"occupied":false,"user_count":0}"#,
    );
}

#[tokio::test]
async fn channel_data_that_is_no_object_is_a_server_error() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for data in ["null", "not json", "{"] {
        client.send_presence("presence-x", data).await;
        refused(
            &mut client,
            "presence-x",
            "ServerError",
            "A server error has occured.",
            4302,
        )
        .await;
    }
    let auth = server.app.auth(&format!("{}:presence-x", client.id()));
    client
        .send(json!({"event": "pusher:subscribe", "data": {"channel": "presence-x", "auth": auth}}))
        .await;
    refused(
        &mut client,
        "presence-x",
        "ServerError",
        "A server error has occured.",
        4302,
    )
    .await;
}

#[tokio::test]
async fn the_signature_comes_before_what_it_would_reveal() {
    let server = Server::builder()
        .env("SOKETI_PRESENCE_MAX_MEMBERS", 1)
        .env("SOKETI_PRESENCE_MAX_MEMBER_SIZE", 0.05)
        .start()
        .await;
    let mut member = server.connect().await;
    member.presence("presence-full", r#"{"user_id":"1"}"#).await;
    let mut stranger = server.connect().await;
    for channel_data in [
        BOB.to_owned(),
        format!(r#"{{"user_id":"3","user_info":"{}"}}"#, "x".repeat(500)),
        "{".into(),
    ] {
        let data =
            json!({"channel": "presence-full", "auth": "app-key:00", "channel_data": channel_data});
        stranger
            .send(json!({"event": "pusher:subscribe", "data": data}))
            .await;
        refused(
            &mut stranger,
            "presence-full",
            "AuthError",
            "The connection is unauthorized.",
            401,
        )
        .await;
    }
    stranger
        .send_presence("presence-full", r#"{"user_id":"2"}"#)
        .await;
    let full = "The maximum members per presence channel limit was reached";
    refused(&mut stranger, "presence-full", "LimitReached", full, 4100).await;
    stranger
        .presence("presence-full", r#"{"user_id":"1"}"#)
        .await;
}

#[tokio::test]
async fn only_user_info_counts_for_the_member_size() {
    let server = Server::builder()
        .env("SOKETI_PRESENCE_MAX_MEMBER_SIZE", 0.05)
        .start()
        .await;
    let mut client = server.connect().await;
    let long_id = format!(r#"{{"user_id":"{}","user_info":{{}}}}"#, "i".repeat(100));
    client.presence("presence-a", &long_id).await;
    let big = format!(
        r#"{{"user_id":"1","user_info":{{"p":"{}"}}}}"#,
        "x".repeat(60)
    );
    client.send_presence("presence-b", &big).await;
    refused(
        &mut client,
        "presence-b",
        "LimitReached",
        "The maximum size for a channel member is 0.05 KB.",
        4301,
    )
    .await;
}

#[tokio::test]
async fn another_identity_on_the_same_socket_is_a_leave_and_a_join() {
    let server = Server::start().await;
    let (mut watcher, mut changer) = (server.connect().await, server.connect().await);
    watcher.presence("presence-c", r#"{"user_id":"w"}"#).await;
    changer.presence("presence-c", ANN).await;
    watcher.expect_event(ADDED).await;
    let list = changer.presence("presence-c", BOB).await;
    assert_eq!(
        (&list["ids"], &list["count"]),
        (&json!(["w", "2"]), &json!(2))
    );
    let mut heard = [
        watcher.expect_event(REMOVED).await,
        watcher.expect_event(ADDED).await,
    ];
    heard.sort_by_key(|frame| frame["event"].to_string());
    assert_eq!(
        heard[0]["data"],
        r#"{"user_id":"2","user_info":{"name":"Bob"}}"#
    );
    assert_eq!(heard[1]["data"], r#"{"user_id":"1"}"#);
    drop(changer);
    assert_eq!(
        watcher.expect_event(REMOVED).await["data"],
        r#"{"user_id":"2"}"#
    );
    watcher.expect_silence().await;
}

#[tokio::test]
async fn a_signed_in_user_needs_no_channel_data() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_USER_AUTHENTICATION", true)
        .start()
        .await;
    let mut client = server.connect().await;
    client
        .signin(r#"{"id":"u1","user_info":{"name":"Ann"}}"#)
        .await;
    let auth = server.app.auth(&format!("{}:presence-s", client.id()));
    client
        .send(json!({"event": "pusher:subscribe", "data": {"channel": "presence-s", "auth": auth}}))
        .await;
    let list = client.expect_joined("presence-s").await;
    assert_eq!(
        list,
        json!({"ids": ["u1"], "hash": {"u1": {"name": "Ann"}}, "count": 1})
    );
}

#[tokio::test]
async fn hostile_ids_stay_inside_their_strings() {
    let server = Server::start().await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first
        .presence(
            "presence-h",
            r#"{"user_id":"__proto__","user_info":{"a":1}}"#,
        )
        .await;
    let data =
        json!({"user_id": "q\"\\\u{1}\u{1f600}", "user_info": {"x": "</script>"}}).to_string();
    let list = second.presence("presence-h", &data).await;
    assert_eq!(list["ids"], json!(["__proto__", "q\"\\\u{1}\u{1f600}"]));
    assert_eq!(list["hash"]["__proto__"], json!({"a": 1}));
    first.expect_event(ADDED).await;
    drop(second);
    first.expect_event(REMOVED).await;
}
