//! Endpoints: what they take, what they refuse, what they answer.

use super::{Fixture, config};

const EVENTS: &str = "/apps/app-id/events";
const BATCH: &str = "/apps/app-id/batch_events";
const OK: (u16, &str) = (200, r#"{"ok":true}"#);
const SOCKET_ID: &str = r#"{"error":"The socket_id must be two numbers joined by a dot, such as 1234.5678.","code":400}"#;
const INCORRECT: (u16, &str) = (
    400,
    r#"{"error":"The received data is incorrect","code":400}"#,
);

fn event(fields: &str) -> String {
    format!(r#"{{"name":"n","channel":"c","data":"x"{fields}}}"#)
}

#[tokio::test]
async fn bodies_that_are_no_event_are_refused() {
    let fixture = Fixture::new(&config());
    for body in [
        "null",
        "[]",
        "{}",
        "",
        "5",
        "\"x\"",
        r#"{"name":"#,
        "{\"name\":\"\u{fffd}",
        r#"{"channel":"c","data":"x"}"#,
        r#"{"name":"","channel":"c","data":"x"}"#,
        r#"{"name":0,"channel":"c","data":"x"}"#,
        r#"{"name":{},"channel":"c","data":"x"}"#,
        r#"{"name":"n","channel":"c"}"#,
        r#"{"name":"n","channel":"c","data":""}"#,
        r#"{"name":"n","channel":"c","data":null}"#,
        r#"{"name":"n","channel":"c","data":0}"#,
        r#"{"name":"n","channel":"c","data":-0.0e7}"#,
        r#"{"name":"n","channel":"c","data":false}"#,
        r#"{"name":"n","data":"x"}"#,
        r#"{"name":"n","channel":7,"data":"x"}"#,
        r#"{"name":"n","channel":"","data":"x"}"#,
        r#"{"name":"n","channels":"abc","data":"x"}"#,
        r#"{"name":"n","channels":[1],"data":"x"}"#,
        r#"["n","x",null,"c"]"#,
    ] {
        assert_eq!(
            fixture.signed_post(EVENTS, body).await.pair(),
            INCORRECT,
            "{body}"
        );
    }
    for body in [
        "{}",
        "null",
        "[]",
        "",
        r#"{"batch":{}}"#,
        r#"{"batch":[null]}"#,
        r#"{"batch":[[]]}"#,
    ] {
        assert_eq!(
            fixture.signed_post(BATCH, body).await.pair(),
            INCORRECT,
            "{body}"
        );
    }
}

#[tokio::test]
async fn bodies_that_are_events_are_taken() {
    let fixture = Fixture::new(&config());
    for body in [
        event(""),
        event(r#","channels":null"#),
        event(r#","channels":[]"#),
        event(r#","channels":["a","a","b"]"#),
        event(r#","socket_id":"1.2","info":"","more":{"a":[1]}"#),
        event(r##","channels":["#server-to-user-any thing"]"##),
        r#" { "name" : 5 , "data" : {"a": 1} , "channel" : "c" } "#.to_owned(),
        r#"{"name":"\u006e","data":[],"channel":"\u0063"}"#.to_owned(),
        r#"{"name":"pusher:x","data":true,"channel":"c"}"#.to_owned(),
        r#"{"name":"n","data":"\ud800","channel":"c"}"#.to_owned(),
    ] {
        assert_eq!(
            fixture.signed_post(EVENTS, &body).await.pair(),
            OK,
            "{body}"
        );
    }
    for body in [
        r#"{"batch":[]}"#.to_owned(),
        format!(r#"{{"batch":[{}]}}"#, [event("").as_str(); 10].join(",")),
    ] {
        assert_eq!(fixture.signed_post(BATCH, &body).await.pair(), OK, "{body}");
    }
}

#[tokio::test]
async fn limits_are_named() {
    let fixture = Fixture::new(&config());
    let data = |inner: &str| format!(r#"{{"name":"n","channel":"c","data":{inner}}}"#);
    let name = |name: String| format!(r#"{{"name":"{name}","channel":"c","data":"x"}}"#);
    let channels = |count: usize| {
        let list = vec!["\"c\""; count].join(",");
        format!(r#"{{"name":"n","channels":[{list}],"data":"x"}}"#)
    };
    let too_large = r#"{"error":"The event data should be less than 100 KB.","code":413}"#;
    let too_many = r#"{"error":"Cannot broadcast to more than 100 channels at once","code":400}"#;
    let too_long = r#"{"error":"Event name is too long. Maximum allowed size is 200.","code":400}"#;
    for (body, expected) in [
        (data(&format!("\"{}\"", "x".repeat(102_400))), OK),
        (
            data(&format!("\"{}\"", "x".repeat(102_401))),
            (413, too_large),
        ),
        (data(&format!("\"{}\"", "\\u00e9".repeat(51_200))), OK),
        (
            data(&format!("\"{}\"", "é".repeat(51_201))),
            (413, too_large),
        ),
        (data(&format!("{{\"p\":\"{}\"}}", "x".repeat(102_392))), OK),
        (
            data(&format!("{{\"p\":\"{}\"}}", "x".repeat(102_393))),
            (413, too_large),
        ),
        (data(&format!("[{}1]", " ".repeat(110_000))), OK),
        (channels(100), OK),
        (channels(101), (400, too_many)),
        (name("é".repeat(200)), OK),
        (name("n".repeat(201)), (400, too_long)),
        (event(r#","socket_id":"12""#), (400, SOCKET_ID)),
        (
            format!(
                r#"{{"name":"n","channel":"{}","data":"x"}}"#,
                "c".repeat(201)
            ),
            (
                400,
                r#"{"error":"The channel name is longer than the allowed 200 characters.","code":400}"#,
            ),
        ),
    ] {
        let answer = fixture.signed_post(EVENTS, &body).await;
        let start: String = body.chars().take(60).collect();
        assert_eq!(answer.pair(), expected, "{start}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let batch = format!(r#"{{"batch":[{},{body}]}}"#, event(""));
        assert_eq!(
            fixture.signed_post(BATCH, &batch).await.pair(),
            expected,
            "{start}"
        );
    }
}

#[tokio::test]
async fn names_and_batches_have_limits() {
    let fixture = Fixture::new(&config());
    let illegal = fixture
        .signed_post(EVENTS, r#"{"name":"n","channel":"a b","data":"x"}"#)
        .await;
    assert_eq!(illegal.status, 400);
    assert!(illegal.body.contains("channel-naming-conventions"));
    let batch = format!(r#"{{"batch":[{}]}}"#, [event("").as_str(); 11].join(","));
    assert_eq!(
        fixture.signed_post(BATCH, &batch).await.pair(),
        (
            400,
            r#"{"error":"Cannot batch-send more than 10 messages at once","code":400}"#
        )
    );
}

#[tokio::test]
async fn attributes_are_answered_where_asked() {
    let fixture = Fixture::new(&config());
    for (path, body, expected) in [
        (
            EVENTS,
            r#"{"name":"n","data":"x","channels":["presence-a","b","b"],"info":"user_count,subscription_count"}"#,
            r#"{"ok":true,"channels":{"presence-a":{"user_count":0,"subscription_count":0},"b":{"subscription_count":0}}}"#,
        ),
        (
            EVENTS,
            r#"{"name":"n","data":"x","channel":"b","info":"user_count"}"#,
            r#"{"ok":true,"channels":{"b":{}}}"#,
        ),
        (
            EVENTS,
            r#"{"name":"n","data":"x","channels":["b","b","c"],"info":"subscription_count"}"#,
            r#"{"ok":true,"channels":{"b":{"subscription_count":0},"c":{"subscription_count":0}}}"#,
        ),
        (
            BATCH,
            r#"{"batch":[{"name":"n","data":"x","channel":"b"},{"name":"n","data":"x","channel":"presence-a","info":"user_count"},{"name":"n","data":"x","channels":["b","c"],"info":"subscription_count"}]}"#,
            r#"{"ok":true,"batch":[{},{"user_count":0},{"channels":{"b":{"subscription_count":0},"c":{"subscription_count":0}}}]}"#,
        ),
    ] {
        assert_eq!(
            fixture.signed_post(path, body).await.pair(),
            (200, expected),
            "{body}"
        );
    }
}

#[tokio::test]
async fn channels_that_nobody_has_are_answered() {
    let fixture = Fixture::new(&config());
    let cached = r#"{"name":"n","data":"x","channel":"cache-a"}"#;
    assert_eq!(fixture.signed_post(EVENTS, cached).await.pair(), OK);
    for (path, query, expected) in [
        ("channels", "", (200, r#"{"channels":{}}"#)),
        (
            "channels/a",
            "",
            (200, r#"{"subscription_count":0,"occupied":false}"#),
        ),
        (
            "channels/a%20b",
            "",
            (200, r#"{"subscription_count":0,"occupied":false}"#),
        ),
        (
            "channels/presence-a",
            "",
            (
                200,
                r#"{"subscription_count":0,"occupied":false,"user_count":0}"#,
            ),
        ),
        (
            "channels/cache-a",
            "info=cache",
            (
                200,
                r#"{"subscription_count":0,"occupied":false,"cache":{"event":"n","data":"x"}}"#,
            ),
        ),
        (
            "channels/cache-b",
            "info=user_count,cache",
            (
                200,
                r#"{"subscription_count":0,"occupied":false,"cache":null}"#,
            ),
        ),
        (
            "channels/a",
            "info=cache",
            (200, r#"{"subscription_count":0,"occupied":false}"#),
        ),
        ("channels/presence-a/users", "", (200, r#"{"users":[]}"#)),
        (
            "channels/a/users",
            "",
            (
                400,
                r#"{"error":"The channel must be a presence channel.","code":400}"#,
            ),
        ),
    ] {
        let answer = fixture
            .signed_get(&format!("/apps/app-id/{path}"), query)
            .await;
        assert_eq!(answer.pair(), expected, "{path}?{query}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn budgets_are_charged_before_bodies_are_checked() {
    let mut config = config();
    config.apps[0].backend_events_per_second_max = Some(3);
    config.apps[0].read_requests_per_second_max = Some(1);
    let fixture = Fixture::new(&config);
    let budget = |answer: &super::Answer| {
        ["x-ratelimit-limit", "x-ratelimit-remaining"]
            .map(|name| answer.header(name).map(ToOwned::to_owned))
    };
    let some = |limit: &str, left: &str| [Some(limit.to_owned()), Some(left.to_owned())];
    let bad = r#"{"name":"n","channels":["a","b"]}"#;
    let answer = fixture.signed_post(EVENTS, bad).await;
    assert_eq!(answer.pair(), INCORRECT);
    assert_eq!(budget(&answer), some("3", "1"));
    assert!(
        answer
            .header("retry-after")
            .unwrap()
            .parse::<f64>()
            .unwrap()
            <= 1.0
    );
    let batch = r#"{"batch":[{"name":"n","channels":["a","b"],"data":"x"}]}"#;
    let answer = fixture.signed_post(BATCH, batch).await;
    assert_eq!(
        answer.pair(),
        (429, r#"{"error":"Too many requests.","code":429}"#)
    );
    assert_eq!(budget(&answer), some("3", "0"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    let path = "/apps/app-id/channels";
    let answer = fixture.signed_get(path, "").await;
    assert_eq!(
        (answer.status.as_u16(), budget(&answer)),
        (200, some("1", "0"))
    );
    assert_eq!(fixture.signed_get(path, "").await.status, 429);
    let unlimited = Fixture::new(&super::config());
    assert_eq!(budget(&unlimited.signed_get(path, "").await), [None, None]);
}

#[tokio::test]
async fn users_are_terminated_by_decoded_name() {
    let fixture = Fixture::new(&config());
    let path = "/apps/app-id/users/a%2Fb%20c/terminate_connections";
    assert_eq!(fixture.signed_post(path, "{}").await.pair(), OK);
    assert_eq!(fixture.signed_post(path, "not json").await.pair(), OK);
}
