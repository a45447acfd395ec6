//! Signing in, user events, termination, watchlists (protocol.md 9).

use serde_json::{Value, json};

use crate::harness::{Client, PONG, Server, eventually};

async fn users() -> Server {
    Server::builder()
        .env("SOKETI_DEFAULT_APP_USER_AUTHENTICATION", true)
        .start()
        .await
}

#[tokio::test]
async fn success_echoes_the_request() {
    let server = users().await;
    let mut client = server.connect().await;
    let user = r#"{"id":"u1","user_info":{"name":"Ann"}}"#;
    let auth = server.app.auth(&format!("{}::user::{user}", client.id()));
    let data = json!({"auth": auth, "user_data": user});
    client
        .send(json!({"event": "pusher:signin", "data": data}))
        .await;
    let want = format!(r#"{{"event":"pusher:signin_success","data":{data}}}"#);
    client.expect_frame(&want).await;
}

#[tokio::test]
async fn ignored_when_the_app_has_no_users() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send_signin(r#"{"id":"u1"}"#).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn a_wrong_signature_closes_with_4009() {
    let server = users().await;
    for auth in ["", "app-key:00", "garbage"] {
        let mut client = server.connect().await;
        client.send(json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": "{\"id\":\"1\"}"}})).await;
        client
            .expect_refusal(4009, "Connection not authorized.")
            .await;
    }
}

#[tokio::test]
async fn an_id_is_needed() {
    let server = users().await;
    for user in [
        r#"{"name":"x"}"#,
        r#"{"id":""}"#,
        r#"{"id":0}"#,
        r#"{"id":null}"#,
    ] {
        let mut client = server.connect().await;
        client.send_signin(user).await;
        let frame = client.expect_error(4009).await;
        assert_eq!(
            frame["data"]["message"],
            "The returned user data must contain the \"id\" field."
        );
        client.expect_close(4009).await;
    }
}

#[tokio::test]
async fn silence_until_the_timeout_closes_with_4009() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_USER_AUTHENTICATION", true)
        .env("SOKETI_USER_AUTHENTICATION_TIMEOUT", 400)
        .start()
        .await;
    let (mut silent, mut public) = (server.connect().await, server.subscribed("pub").await);
    let (mut private, mut signed) = (server.connect().await, server.connect().await);
    private.private("private-ok").await;
    signed.signin(r#"{"id":"x"}"#).await;
    let text = "Connection not authorized within timeout.";
    silent.expect_refusal(4009, text).await;
    public.expect_refusal(4009, text).await;
    private.expect_silence().await;
    signed.expect_silence().await;
}

#[tokio::test]
async fn signin_without_force_is_an_option() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_USER_AUTHENTICATION", true)
        .env("SOKETI_USER_AUTHENTICATION_TIMEOUT", 100)
        .env("BOWLINE_SIGNIN_REQUIRED", false)
        .start()
        .await;
    let mut client = server.connect().await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    client.expect_silence().await;
    client.signin(r#"{"id":"late"}"#).await;
}

#[tokio::test]
async fn a_second_signin_as_somebody_else_is_refused_without_closing() {
    let server = users().await;
    let mut client = server.connect().await;
    client.signin(r#"{"id":"u1"}"#).await;
    client.send_signin(r#"{"id":"u2"}"#).await;
    client.expect_error(4009).await;
    client.expect_silence().await;
    server.trigger("#server-to-user-u1", "still", "x").await;
    client.expect_event("still").await;
    server.trigger("#server-to-user-u2", "never", "x").await;
    client.expect_silence().await;
}

#[tokio::test]
async fn user_events_reach_every_connection_of_the_user_alone() {
    let server = users().await;
    let (mut first, mut second, mut other) = (
        server.connect().await,
        server.connect().await,
        server.connect().await,
    );
    first.signin(r#"{"id":7}"#).await;
    second.signin(r#"{"id":"7"}"#).await;
    other.signin(r#"{"id":"8"}"#).await;
    let body = json!({"name": "hi", "channels": ["#server-to-user-7"], "data": "x", "socket_id": first.id()});
    server
        .post("/events", &body)
        .await
        .expect(200, r#"{"ok":true}"#);
    for client in [&mut first, &mut second] {
        client
            .expect_frame(r##"{"event":"hi","channel":"#server-to-user-7","data":"x"}"##)
            .await;
    }
    other.expect_silence().await;
}

#[tokio::test]
async fn a_user_channel_is_for_its_user_and_hidden_from_listings() {
    let server = users().await;
    let (mut user, mut stranger) = (server.connect().await, server.connect().await);
    user.signin(r#"{"id":"u1"}"#).await;
    user.subscribe("#server-to-user-u1").await;
    for client in [&mut user, &mut stranger] {
        client.send(json!({"event": "pusher:subscribe", "data": {"auth": "", "channel": "#server-to-user-u2"}})).await;
        client.expect_event("pusher:subscription_error").await;
    }
    server
        .get("/channels")
        .await
        .expect(200, r#"{"channels":{}}"#);
    server.trigger("#server-to-user-u1", "once", "x").await;
    user.expect_event("once").await;
    user.expect_silence().await;
    stranger.expect_silence().await;
}

#[tokio::test]
async fn terminate_closes_every_connection_of_the_user() {
    let server = users().await;
    let (mut first, mut second, mut other) = (
        server.connect().await,
        server.connect().await,
        server.connect().await,
    );
    first.signin(r#"{"id":"u1"}"#).await;
    second.signin(r#"{"id":"u1"}"#).await;
    other.signin(r#"{"id":"u2"}"#).await;
    server
        .post("/users/u1/terminate_connections", &json!({}))
        .await
        .expect(200, r#"{"ok":true}"#);
    first
        .expect_refusal(4009, "You got disconnected by the app.")
        .await;
    second
        .expect_refusal(4009, "You got disconnected by the app.")
        .await;
    other.expect_silence().await;
    server
        .post("/users/nobody/terminate_connections", &json!({}))
        .await
        .expect(200, r#"{"ok":true}"#);
}

#[tokio::test]
async fn terminate_decodes_the_id_in_the_path() {
    let server = users().await;
    let mut client = server.connect().await;
    client.signin(r#"{"id":"a b/c#d"}"#).await;
    server
        .post("/users/a%20b%2Fc%23d/terminate_connections", &json!({}))
        .await
        .expect(200, r#"{"ok":true}"#);
    client
        .expect_refusal(4009, "You got disconnected by the app.")
        .await;
}

#[tokio::test]
async fn unauthorized_connections_may_stay_out_of_the_quota() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_USER_AUTHENTICATION", true)
        .env("SOKETI_DEFAULT_APP_MAX_CONNS", 1)
        .env("BOWLINE_COUNT_UNAUTHORIZED", false)
        .start()
        .await;
    let _first = server.connect().await;
    let mut second = server.connect().await;
    second.signin(r#"{"id":"u1"}"#).await;
    eventually("the quota is used", async || {
        let mut third = server.open("/app/app-key").await;
        third.text().await.contains("4100")
    })
    .await;
}

async fn watchlist(client: &mut Client) -> Value {
    let frame = client
        .expect_event("pusher_internal:watchlist_events")
        .await;
    assert!(frame.get("channel").is_none(), "{frame}");
    serde_json::from_str(frame["data"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_watchlist_tells_who_is_online_and_who_goes() {
    let server = users().await;
    let mut bob = server.connect().await;
    bob.signin(r#"{"id":"bob"}"#).await;
    let mut ann = server.connect().await;
    ann.signin(r#"{"id":"ann","watchlist":["bob","carl"]}"#)
        .await;
    let data = watchlist(&mut ann).await;
    let online: Vec<&Value> = data["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["name"] == "online")
        .collect();
    assert_eq!(online[0]["user_ids"], json!(["bob"]), "{data}");
    let mut carl = server.connect().await;
    carl.signin(r#"{"id":"carl"}"#).await;
    assert_eq!(
        watchlist(&mut ann).await,
        json!({"events": [{"name": "online", "user_ids": ["carl"]}]})
    );
    // A second connection of somebody who is online is no news.
    let mut again = server.connect().await;
    again.signin(r#"{"id":"carl"}"#).await;
    again.close().await;
    ann.expect_silence().await;
    carl.close().await;
    let data = tokio::time::timeout(std::time::Duration::from_secs(8), async {
        match ann.next().await {
            crate::harness::Message::Text(text) => text,
            other => panic!("{other:?}"),
        }
    })
    .await
    .expect("offline within 5 s");
    assert!(
        data.contains(r#"\"name\":\"offline\""#) && data.contains("carl"),
        "{data}"
    );
}

#[tokio::test]
async fn a_watchlist_holds_a_hundred() {
    let server = users().await;
    let mut watched = server.connect().await;
    watched.signin(r#"{"id":"w99"}"#).await;
    let mut beyond = server.connect().await;
    beyond.signin(r#"{"id":"w100"}"#).await;
    let mut ann = server.connect().await;
    let ids: Vec<String> = (0..101).map(|at| format!("w{at}")).collect();
    ann.send_signin(&json!({"id": "ann", "watchlist": ids}).to_string())
        .await;
    let mut seen = Vec::new();
    ann.send_text(r#"{"event":"pusher:ping"}"#).await;
    loop {
        match ann.text().await {
            text if text == PONG => break,
            text => seen.push(text),
        }
    }
    assert!(
        seen.iter()
            .any(|text| text.contains("pusher:signin_success")),
        "{seen:?}"
    );
    assert!(
        seen.iter()
            .any(|text| text.contains("pusher:error") && text.contains("4302")),
        "{seen:?}"
    );
    let online = seen
        .iter()
        .find(|text| text.contains("watchlist_events"))
        .unwrap();
    assert!(
        online.contains(r#"\"w99\""#) && !online.contains(r#"\"w100\""#),
        "{online}"
    );
}

#[tokio::test]
async fn watchlists_can_be_switched_off() {
    let server = Server::builder()
        .env("SOKETI_DEFAULT_APP_USER_AUTHENTICATION", true)
        .env("BOWLINE_DEFAULT_APP_ENABLE_WATCHLIST", false)
        .start()
        .await;
    let mut bob = server.connect().await;
    bob.signin(r#"{"id":"bob"}"#).await;
    let mut ann = server.connect().await;
    ann.signin(r#"{"id":"ann","watchlist":["bob"]}"#).await;
    ann.expect_silence().await;
}
