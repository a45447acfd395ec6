//! Who may ask. The signatures are those that Soketi was seen to accept or refuse.

use std::time::Duration;

use axum::http::Method;

use super::{Fixture, config, md5, now, request, signed};
use crate::{
    app::{App, AppSecret},
    config::Config,
    http::{Listener, Peer},
    protocol::auth::sign,
};

const UNAUTHORIZED: (u16, &str) = (
    401,
    r#"{"error":"The secret authentication failed","code":401}"#,
);

const BASE: &str = "auth_key=app-key&auth_timestamp=1795224645&auth_version=1.0";

fn without_window() -> Config {
    let mut config = config();
    config.http.timestamp_window = None;
    config
}

const VALID: &str = "ffac1b8d5b7524ec8058f5ae5efc91c54b972c724f85eb8dff0ce759a941d1ff";

/// What it is, the parameters beside or instead of `BASE`, the signature, and whether it is accepted.
const RECORDED: [(&str, &str, &str, bool); 12] = [
    ("valid", BASE, VALID, true),
    (
        "wrong secret",
        BASE,
        "32a37ea1c88a9fb2992327449771d86eb166117de30520582cbfa2167a84d92d",
        false,
    ),
    (
        "timestamp ten years ago",
        "auth_key=app-key&auth_timestamp=1400000000&auth_version=1.0",
        "8f48d3fe5f4d71ec55405f53d5d5d381ecad36d5a01bcda11266adcbfcc59521",
        true,
    ),
    (
        "timestamp no number",
        "auth_key=app-key&auth_timestamp=abc&auth_version=1.0",
        "bcddcf456fe7a5a25a4e1458f85c33c717c4100fa252aa4eed095f7284d10d1f",
        true,
    ),
    (
        "version 9.9",
        "auth_key=app-key&auth_timestamp=1795224645&auth_version=9.9",
        "9a031dec56007da948a8392b270148ef8a2bd05f78ba2159a8ac890da96ed9ff",
        true,
    ),
    (
        "key of another app, right secret",
        "auth_key=other-key&auth_timestamp=1795224645&auth_version=1.0",
        "430f81ec47b871bb459f4196f47953ae3d05afc3be809ce70e5f26e72e28931f",
        false,
    ),
    (
        "key missing but signed",
        "auth_timestamp=1795224645&auth_version=1.0",
        VALID,
        false,
    ),
    (
        "extra parameters",
        "auth_key=app-key&auth_timestamp=1795224645&auth_version=1.0&zeta=1&alpha=a%20b%2Bc",
        "f8f6f1e4047996469e2923de258285c13805efa9e1b17adc15e41625f705f711",
        true,
    ),
    (
        "parameter added after signing",
        "auth_key=app-key&auth_timestamp=1795224645&auth_version=1.0&filter_by_prefix=x",
        VALID,
        false,
    ),
    (
        "upper-case key sorts first",
        "auth_key=app-key&auth_timestamp=1795224645&auth_version=1.0&Beta=1",
        "ad698d63621570d7de1994fb909aad024322df3349f0c095422ce35a942df24d",
        true,
    ),
    (
        "parameters that are not signed",
        "auth_key=app-key&auth_timestamp=1795224645&auth_version=1.0&appId=x&appKey=y&channelName=z",
        VALID,
        true,
    ),
    (
        "GET with the MD5 of nothing",
        "auth_key=app-key&auth_timestamp=1795224645&auth_version=1.0&body_md5=d41d8cd98f00b204e9800998ecf8427e",
        "a4e446f8aea01aea428bbf854c3c8c9aedf096f187e14c8e1948df844fb47281",
        true,
    ),
];

#[tokio::test]
async fn recorded_requests_are_judged_as_recorded() {
    let fixture = Fixture::new(&without_window());
    let path = "/apps/app-id/channels";
    for (name, query, signature, accepted) in RECORDED {
        let expected = if accepted {
            (200, r#"{"channels":{}}"#)
        } else {
            UNAUTHORIZED
        };
        for target in [
            format!("{path}?{query}&auth_signature={signature}"),
            format!("{path}?auth_signature={signature}&{query}"),
        ] {
            assert_eq!(fixture.get(&target).await.pair(), expected, "{name}");
        }
        let shouted = signature.to_uppercase();
        let target = format!("{path}?{query}&auth_signature={shouted}");
        assert_eq!(fixture.get(&target).await.pair(), UNAUTHORIZED, "{name}");
    }
    assert_eq!(fixture.get(path).await.pair(), UNAUTHORIZED);
}

#[tokio::test]
async fn recorded_posts_are_judged_as_recorded() {
    let fixture = Fixture::new(&without_window());
    let body = r#"{"name":"n","channel":"c","data":"x"}"#;
    let md5 = md5(body);
    for (name, query, accepted) in [
        (
            "MD5 signed but not named",
            "auth_signature=f427af83ffb8e728fab5a9d83eecb2d15979645fe3b3eb653763226e50e31015".to_owned(),
            true,
        ),
        (
            "wrong MD5, well signed",
            "body_md5=00000000000000000000000000000000&auth_signature=22667c108c447b8f028e546a276cba6e152441315f52d0921fe2b0466c8918c9".to_owned(),
            false,
        ),
        (
            "wrong secret",
            format!("body_md5={md5}&auth_signature=e4966333ae0ce2c35ac47d8d1536fbb932a0b4ebcc89285a09d8596a0126d127"),
            false,
        ),
    ] {
        let target = format!("/apps/app-id/events?{BASE}&{query}");
        let answer = fixture.ask(request(Method::POST, &target, body)).await;
        let expected = if accepted { (200, r#"{"ok":true}"#) } else { UNAUTHORIZED };
        assert_eq!(answer.pair(), expected, "{name}");
    }
}

#[tokio::test]
async fn timestamps_must_be_near() {
    let fixture = Fixture::new(&config());
    let secret = AppSecret::new("app-secret");
    for (offset, status) in [(-590, 200), (590, 200), (-610, 401), (610, 401)] {
        let timestamp = now().checked_add_signed(offset).unwrap();
        let query = format!("auth_key=app-key&auth_timestamp={timestamp}&auth_version=1.0");
        let mac = sign(
            &secret,
            &[format!("GET\n/apps/app-id/channels\n{query}").as_bytes()],
        );
        let target = format!("/apps/app-id/channels?{query}&auth_signature={mac}");
        let answer = fixture.get(&target).await;
        assert_eq!(answer.status, status, "{offset}: {}", answer.body);
    }
}

#[tokio::test]
async fn empty_bodies_may_be_signed_as_nothing_or_as_braces() {
    let fixture = Fixture::new(&config());
    let path = "/apps/app-id/users/1/terminate_connections";
    for (signed_body, status) in [("", 200), ("{}", 200), ("{ }", 401)] {
        let target = signed("POST", path, "", Some(signed_body));
        let answer = fixture.ask(request(Method::POST, &target, "")).await;
        assert_eq!(answer.status, status, "{signed_body:?}");
        // The same with the MD5 signed and not named.
        let unnamed = target.replace(&format!("&body_md5={}", md5(signed_body)), "");
        assert_ne!(unnamed, target);
        let answer = fixture.ask(request(Method::POST, &unnamed, "")).await;
        assert_eq!(answer.status, status, "{signed_body:?} unnamed");
    }
}

#[tokio::test]
async fn previous_secret_is_accepted_and_a_disabled_app_is_not() {
    let mut config = config();
    let mut app = App::new("app-id", "app-key", "new-secret");
    config.apps = vec![app.clone()];
    let fixture = Fixture::new(&config);
    assert_eq!(
        fixture.signed_get("/apps/app-id/channels", "").await.status,
        401
    );
    app.previous_secret = Some((AppSecret::new("app-secret"), None));
    fixture.node.reload_apps(&[app.clone()]);
    assert_eq!(
        fixture.signed_get("/apps/app-id/channels", "").await.status,
        200
    );
    app.enabled = false;
    fixture.node.reload_apps(&[app]);
    assert_eq!(
        fixture.get("/apps/app-id/channels").await.pair(),
        (403, r#"{"error":"The app is not enabled.","code":403}"#)
    );
    assert_eq!(
        fixture.get("/apps/un%22known/channels").await.pair(),
        (
            404,
            r#"{"error":"The app un\"known could not be found.","code":404}"#
        )
    );
}

#[tokio::test]
async fn path_is_signed_with_or_without_the_prefix_and_as_it_was_sent() {
    let mut config = config();
    config.server.path_prefix = "/w{s}".into();
    let fixture = Fixture::new(&config);
    let inner = "/apps/app-id/channels/presence-a%2Cb";
    for path in [format!("/w{{s}}{inner}"), inner.to_owned()] {
        let target = signed("GET", &path, "", None);
        let (_, query) = target.split_once('?').unwrap();
        // `Uri` takes braces as they are.
        let answer = fixture.get(&format!("/w{{s}}{inner}?{query}")).await;
        assert_eq!(
            answer.pair(),
            (
                200,
                r#"{"subscription_count":0,"occupied":false,"user_count":0}"#
            ),
            "{path}"
        );
    }
    let decoded = signed("GET", "/apps/app-id/channels/presence-a,b", "", None);
    let (_, query) = decoded.split_once('?').unwrap();
    assert_eq!(
        fixture.get(&format!("/w{{s}}{inner}?{query}")).await.pair(),
        UNAUTHORIZED
    );
    assert_eq!(fixture.get("/ready").await.status, 404);
    assert_eq!(fixture.get("/w{s}").await.status, 404);
    assert_eq!(fixture.get("/w{s}/").await.pair(), (200, "OK"));
}

#[tokio::test]
async fn strangers_are_refused_before_their_body() {
    let fixture = Fixture::new(&config());
    let never = || {
        let pending = http_body_util::StreamBody::new(futures_util::stream::pending::<
            Result<http_body::Frame<bytes::Bytes>, std::io::Error>,
        >());
        axum::body::Body::new(pending)
    };
    let post = |target: &str| {
        axum::http::Request::builder()
            .method(Method::POST)
            .uri(target)
            .body(never())
            .unwrap()
    };
    let wrong = signed("POST", "/apps/app-id/events", "", Some("x")).replace("e=", "e=0");
    for target in ["/apps/app-id/events", &wrong] {
        let answer = tokio::time::timeout(Duration::from_secs(5), fixture.ask(post(target)));
        assert_eq!(answer.await.unwrap().pair(), UNAUTHORIZED, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn body_that_does_not_come_is_given_up() {
    let fixture = Fixture::new(&config());
    let stalled = http_body_util::StreamBody::new(futures_util::StreamExt::chain(
        futures_util::stream::iter([Ok::<_, std::io::Error>(http_body::Frame::data(
            bytes::Bytes::from_static(b"{"),
        ))]),
        futures_util::stream::pending(),
    ));
    let request = axum::http::Request::builder()
        .method(Method::POST)
        .uri(signed("POST", "/apps/app-id/events", "", Some("{}")))
        .body(axum::body::Body::new(stalled))
        .unwrap();
    let answer = fixture.ask(request).await;
    assert_eq!(answer.status, 408);
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn api_may_have_a_listener_of_its_own() {
    let mut config = config();
    config.server.api = Some(([127, 0, 0, 1].into(), 0));
    let fixture = Fixture::new(&config);
    for (listener, status) in [
        (Listener::Main, 404),
        (Listener::Api, 200),
        (Listener::Unix, 200),
    ] {
        let target = signed("GET", "/apps/app-id/channels", "", None);
        let mut asked = request(Method::GET, &target, "");
        let peer = Peer {
            address: None,
            token: 0,
            listener,
        };
        asked.extensions_mut().insert(peer.clone());
        let answer = fixture.ask(asked).await;
        assert_eq!(answer.status, status, "{listener:?}");
        let mut health = request(Method::GET, "/ready", "");
        health.extensions_mut().insert(peer);
        assert_eq!(fixture.ask(health).await.status, 200, "{listener:?}");
    }
}
