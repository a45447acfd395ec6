//! Publishing: one event, batches, `info`, what is refused (http-api.md 4.1, 4.2).

use serde_json::json;

use crate::harness::{Response, Server};

const OK: &str = r#"{"ok":true}"#;
const INCORRECT: &str = "The received data is incorrect";

async fn post(server: &Server, body: &str) -> Response {
    server
        .post_bytes(&server.app, "/events", body.as_bytes())
        .await
}

#[tokio::test]
async fn data_keeps_its_bytes() {
    let server = Server::start().await;
    let mut client = server.subscribed("d").await;
    for data in [
        r#""text""#,
        r#""{\"json\":\"in a string\"}""#,
        r#""é \u00e9 \u2028 \"q\" \\ /""#,
        r#"{"a":[1,2.5],"b":null}"#,
        r#"{"n":1.50,"big":123456789012345678901234567890,"tiny":1e-400}"#,
        "5",
        "true",
        "[1]",
    ] {
        post(
            &server,
            &format!(r#"{{"name":"n","channel":"d","data":{data}}}"#),
        )
        .await
        .expect(200, OK);
        client
            .expect_frame(&format!(r#"{{"event":"n","channel":"d","data":{data}}}"#))
            .await;
    }
}

#[tokio::test]
async fn every_listed_channel_gets_it_in_order() {
    let server = Server::start().await;
    let mut client = server.subscribed("a").await;
    client.subscribe("b").await;
    let body = json!({"name": "n", "channels": ["b", "none", "a"], "data": "x"});
    server.post("/events", &body).await.expect(200, OK);
    assert_eq!(client.expect_event("n").await["channel"], "b");
    assert_eq!(client.expect_event("n").await["channel"], "a");
    // `channels` wins over `channel`; an empty list is nobody.
    server
        .post(
            "/events",
            &json!({"name": "n", "channel": "a", "channels": ["b"], "data": "x"}),
        )
        .await
        .expect(200, OK);
    assert_eq!(client.expect_event("n").await["channel"], "b");
    server
        .post(
            "/events",
            &json!({"name": "n", "channel": "a", "channels": [], "data": "x"}),
        )
        .await
        .expect(200, OK);
    client.expect_silence().await;
}

#[tokio::test]
async fn names_of_the_protocol_may_be_published() {
    let server = Server::start().await;
    let mut client = server.subscribed("a").await;
    for name in [
        "pusher:foo",
        "pusher_internal:x",
        "client-x",
        "name with \"quotes\" é",
    ] {
        server.trigger("a", name, "x").await;
        client.expect_event(name).await;
    }
}

#[tokio::test]
async fn what_is_missing_is_refused() {
    let server = Server::start().await;
    for body in [
        r#"{"channel":"c","data":"x"}"#,
        r#"{"name":"","channel":"c","data":"x"}"#,
        r#"{"name":"n","data":"x"}"#,
        r#"{"name":"n","channel":"c"}"#,
        r#"{"name":"n","channel":"c","data":""}"#,
        r#"{"name":"n","channel":"c","data":null}"#,
        r#"{"name":"n","channel":"c","data":0}"#,
        r#"{"name":"n","channel":"c","data":false}"#,
        "{}",
        "[]",
        "null",
        "5",
        "\"text\"",
    ] {
        let response = post(&server, body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text());
        response.expect_error(400, INCORRECT);
    }
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let server = Server::start().await;
    for body in [
        "{\"name\":",
        "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"x\"} trailing",
        "{'a':1}",
        "\u{feff}{}",
        "NaN",
    ] {
        post(&server, body).await.expect_error_code(400);
    }
    let bytes = b"{\"name\":\"n\",\"channel\":\"c\",\"data\":\"\xff\xfe\"}";
    server
        .post_bytes(&server.app, "/events", bytes)
        .await
        .expect_error_code(400);
    let deep = "[".repeat(100_000);
    post(
        &server,
        &format!(r#"{{"name":"n","channel":"c","data":{deep}"#),
    )
    .await
    .expect_error_code(400);
}

#[tokio::test]
async fn channels_must_be_an_array_of_legal_names() {
    let server = Server::start().await;
    for channels in [
        json!("abc"),
        json!(5),
        json!({"a": 1}),
        json!([5]),
        json!([null]),
        json!([["a"]]),
        json!(["bad name!"]),
        json!(["ok", "a/b"]),
        json!([""]),
        json!(["a#b"]),
        json!(["n".repeat(201)]),
    ] {
        let body = json!({"name": "n", "channels": channels, "data": "x"});
        let response = server.post("/events", &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text());
        response.expect_error_code(400);
    }
    for legal in ["#server-to-user-any id é!", "#server-to-user-7", "n"] {
        server
            .post(
                "/events",
                &json!({"name": "n", "channels": [legal], "data": "x"}),
            )
            .await
            .expect(200, OK);
    }
}

#[tokio::test]
async fn socket_id_must_look_like_one() {
    let server = Server::start().await;
    let mut client = server.subscribed("a").await;
    for bad in [
        json!("garbage"),
        json!("1"),
        json!("1.2.3"),
        json!("1.2 "),
        json!("a.b"),
        json!(""),
        json!(1.2),
    ] {
        let body = json!({"name": "n", "channel": "a", "data": "x", "socket_id": bad});
        let response = server.post("/events", &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text());
    }
    client.expect_silence().await;
    server
        .post(
            "/events",
            &json!({"name": "n", "channel": "a", "data": "x", "socket_id": "1.2"}),
        )
        .await
        .expect(200, OK);
    client.expect_event("n").await;
}

#[tokio::test]
async fn limits_have_soketis_texts() {
    let server = Server::start().await;
    let channels: Vec<String> = (0..101).map(|at| format!("c{at}")).collect();
    let many = server
        .post(
            "/events",
            &json!({"name": "n", "channels": channels, "data": "x"}),
        )
        .await;
    many.expect_error(400, "Cannot broadcast to more than 100 channels at once");
    let name = |length: usize| json!({"name": "n".repeat(length), "channel": "c", "data": "x"});
    server.post("/events", &name(200)).await.expect(200, OK);
    server
        .post("/events", &name(201))
        .await
        .expect_error(400, "Event name is too long. Maximum allowed size is 200.");
    let data = |text: String| json!({"name": "n", "channel": "c", "data": text});
    server
        .post("/events", &data("x".repeat(102_400)))
        .await
        .expect(200, OK);
    for long in ["x".repeat(102_401), "é".repeat(51_201)] {
        server
            .post("/events", &data(long))
            .await
            .expect_error(413, "The event data should be less than 100 KB.");
    }
    let object = json!({"name": "n", "channel": "c", "data": {"p": "x".repeat(102_393)}});
    server
        .post("/events", &object)
        .await
        .expect_error(413, "The event data should be less than 100 KB.");
}

#[tokio::test]
async fn limits_are_options() {
    let server = Server::builder()
        .env("SOKETI_EVENT_MAX_CHANNELS_AT_ONCE", 2)
        .env("SOKETI_EVENT_MAX_NAME_LENGTH", 3)
        .env("SOKETI_EVENT_MAX_SIZE_IN_KB", 0.5)
        .env("SOKETI_EVENT_MAX_BATCH_SIZE", 1)
        .start()
        .await;
    server
        .post(
            "/events",
            &json!({"name": "n", "channels": ["a", "b", "c"], "data": "x"}),
        )
        .await
        .expect_error(400, "Cannot broadcast to more than 2 channels at once");
    server
        .post(
            "/events",
            &json!({"name": "nnnn", "channel": "a", "data": "x"}),
        )
        .await
        .expect_error(400, "Event name is too long. Maximum allowed size is 3.");
    server
        .post(
            "/events",
            &json!({"name": "n", "channel": "a", "data": "x".repeat(513)}),
        )
        .await
        .expect_error(413, "The event data should be less than 0.5 KB.");
    let event = json!({"name": "n", "channel": "a", "data": "x"});
    server
        .post("/batch_events", &json!({"batch": [event, event]}))
        .await
        .expect_error(400, "Cannot batch-send more than 1 messages at once");
}

#[tokio::test]
async fn info_answers_in_pushers_form() {
    let server = Server::start().await;
    let mut first = server.subscribed("a").await;
    first.presence("presence-p", r#"{"user_id":"1"}"#).await;
    let mut second = server.subscribed("a").await;
    second.presence("presence-p", r#"{"user_id":"1"}"#).await;
    let ask = async |info: &str| {
        let body =
            json!({"name": "n", "channels": ["a", "presence-p", "a"], "data": "x", "info": info});
        let response = server.post("/events", &body).await;
        assert_eq!(response.status, 200);
        response.json()
    };
    assert_eq!(
        ask("user_count,subscription_count").await,
        json!({"ok": true, "channels": {"a": {"subscription_count": 2}, "presence-p": {"user_count": 1, "subscription_count": 2}}})
    );
    assert_eq!(
        ask("user_count").await,
        json!({"ok": true, "channels": {"a": {}, "presence-p": {"user_count": 1}}})
    );
    assert_eq!(
        ask("subscription_count").await,
        json!({"ok": true, "channels": {"a": {"subscription_count": 2}, "presence-p": {"subscription_count": 2}}})
    );
}

#[tokio::test]
async fn a_batch_is_sent_in_order_or_not_at_all() {
    let server = Server::start().await;
    let mut client = server.subscribed("a").await;
    client.subscribe("b").await;
    let batch = json!({"batch": [
        {"name": "e1", "channel": "a", "data": "1"},
        {"name": "e2", "channels": ["a", "b"], "data": "2"},
        {"name": "e3", "channel": "a", "data": "3", "socket_id": client.id()},
        {"name": "e4", "channel": "b", "data": "4"},
    ]});
    server.post("/batch_events", &batch).await.expect(200, OK);
    for event in ["e1", "e2", "e2", "e4"] {
        client.expect_event(event).await;
    }
    let bad = json!({"batch": [{"name": "good", "channel": "a", "data": "x"}, {"name": "bad", "channel": "a"}]});
    server
        .post("/batch_events", &bad)
        .await
        .expect_error(400, INCORRECT);
    client.expect_silence().await;
    server
        .post("/batch_events", &json!({"batch": []}))
        .await
        .expect(200, OK);
}

#[tokio::test]
async fn a_batch_that_is_none_is_refused() {
    let server = Server::start().await;
    for body in [
        "{}",
        "null",
        "[]",
        r#"{"batch":5}"#,
        r#"{"batch":null}"#,
        r#"{"batch":[5]}"#,
        r#"{"batch":[null]}"#,
    ] {
        let response = server
            .post_bytes(&server.app, "/batch_events", body.as_bytes())
            .await;
        assert_eq!(response.status, 400, "{body}: {}", response.text());
    }
    let event = json!({"name": "e", "channel": "a", "data": "x"});
    let eleven = json!({"batch": vec![event; 11]});
    server
        .post("/batch_events", &eleven)
        .await
        .expect_error(400, "Cannot batch-send more than 10 messages at once");
}

#[tokio::test]
async fn a_batch_answers_info_by_index() {
    let server = Server::start().await;
    let _client = server.subscribed("a").await;
    let batch = json!({"batch": [
        {"name": "e", "channel": "a", "data": "x", "info": "subscription_count"},
        {"name": "e", "channel": "b", "data": "x"},
    ]});
    let body = server.post("/batch_events", &batch).await.json();
    assert_eq!(body["ok"], true);
    assert_eq!(body["batch"], json!([{"subscription_count": 1}, {}]));
}

#[tokio::test]
async fn the_content_type_is_not_looked_at() {
    let server = Server::start().await;
    let body = br#"{"name":"n","channel":"c","data":"x"}"#;
    for kind in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "nonsense",
    ] {
        let target = server.app.target("POST", "/events").body(body).build();
        let response = server
            .http()
            .await
            .request("POST", &target, &[("Content-Type", kind)], Some(body))
            .await;
        response.expect(200, OK);
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn duplicate_keys_and_unknown_fields_do_no_harm() {
    let mut server = Server::start().await;
    let mut client = server.subscribed("c").await;
    post(
        &server,
        r#"{"x":{"y":[]},"name":"n","channel":"c","data":"x","z":null}"#,
    )
    .await
    .expect(200, OK);
    client.expect_event("n").await;
    let twice = post(
        &server,
        r#"{"name":"a","name":"b","channel":"c","data":"x"}"#,
    )
    .await;
    assert!([200, 400].contains(&twice.status));
    server.expect_healthy().await;
}
