//! What all answers have in common.

use axum::{body::Body, http::Method};
use bytes::Bytes;
use futures_util::stream::iter;
use http_body::Frame;
use http_body_util::StreamBody;

use super::{Fixture, config, request, signed};

#[tokio::test]
async fn every_answer_carries_the_cross_origin_headers_of_soketi() {
    let fixture = Fixture::new(&config());
    for (method, target, status) in [
        (Method::GET, "/", 200),
        (Method::HEAD, "/", 200),
        (Method::GET, "/apps/app-id/channels", 401),
        (Method::OPTIONS, "/apps/app-id/events", 204),
        (Method::PUT, "/apps/app-id/events", 404),
        (Method::GET, "/apps/app-id/channels/", 404),
        (Method::GET, "/favicon.ico", 404),
        (Method::GET, "/usage", 404),
        (Method::POST, "/", 404),
    ] {
        let answer = fixture.ask(request(method.clone(), target, "")).await;
        assert_eq!(answer.status, status, "{method} {target}");
        if status == 404 || method == Method::HEAD {
            assert_eq!(answer.body, "", "{method} {target}");
        }
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            (
                "access-control-allow-methods",
                "GET, POST, PUT, DELETE, OPTIONS",
            ),
            (
                "access-control-allow-headers",
                "Origin, Content-Type, X-Auth-Token, X-Requested-With, Accept, Authorization, X-CSRF-TOKEN, XSRF-TOKEN, X-Socket-Id",
            ),
        ] {
            assert_eq!(answer.header(name), Some(value), "{method} {target}");
        }
        assert_eq!(answer.header("vary"), None);
    }
}

#[tokio::test]
async fn of_several_origins_the_matching_one_is_echoed() {
    let mut config = config();
    config.cors.origins = vec!["https://a.test".into(), "https://b.test".into()];
    let fixture = Fixture::new(&config);
    for (origin, allowed) in [
        (Some("https://b.test"), Some("https://b.test")),
        (Some("https://c.test"), None),
        (None, None),
    ] {
        let mut asked = request(Method::GET, "/", "");
        if let Some(origin) = origin {
            asked
                .headers_mut()
                .insert("origin", origin.parse().unwrap());
        }
        let answer = fixture.ask(asked).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
}

#[tokio::test]
async fn errors_go_out_with_200_on_request_but_health_and_the_real_413_do_not() {
    let mut config = config();
    config.http.status_always_200 = true;
    config.http.request_bytes_max = 1000;
    let fixture = Fixture::new(&config);
    let answer = fixture.get("/apps/app-id/channels").await;
    let body = r#"{"error":"The secret authentication failed","code":401}"#;
    assert_eq!(answer.pair(), (200, body));
    fixture.node.set_phase(crate::node::Phase::NotReady);
    assert_eq!(fixture.get("/ready").await.status, 503);
    assert_eq!(fixture.get("/nowhere").await.status, 404);
    let large = "x".repeat(1001);
    let answer = fixture
        .ask(request(Method::POST, "/apps/unknown/events", &large))
        .await;
    assert_eq!(
        answer.pair(),
        (
            413,
            r#"{"error":"The payload size is too big.","code":413}"#
        )
    );
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

/// `each` and `together` in KiB.
async fn body_statuses(each: usize, together: usize, sizes: [(usize, u16); 4]) {
    let mut config = config();
    config.http.request_bytes_max = each << 10;
    config.http.bodies_in_flight_bytes_max = together << 10;
    let fixture = Fixture::new(&config);
    for (kib, status) in sizes {
        let event = r#"{"name":"n","channel":"c","data":"x"}"#;
        let body = format!("{event}{}", " ".repeat((kib << 10) - event.len()));
        let target = signed("POST", "/apps/app-id/events", "", Some(&body));
        let pieces: Vec<_> = body
            .as_bytes()
            .chunks(10_000)
            .map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let undeclared = axum::http::Request::builder()
            .method(Method::POST)
            .uri(&target)
            .body(Body::new(StreamBody::new(iter(pieces))))
            .unwrap();
        for asked in [request(Method::POST, &target, &body), undeclared] {
            let answer = fixture.ask(asked).await;
            assert_eq!(answer.status, status, "{kib} KiB: {}", answer.body);
            let retry = (status == 503).then_some("1");
            assert_eq!(answer.header("retry-after"), retry);
            let close = (status != 200).then_some("close");
            assert_eq!(answer.header("connection"), close);
        }
    }
}

#[tokio::test]
async fn refused_requests_with_small_bodies_keep_their_connection() {
    let fixture = Fixture::new(&config());
    for (bytes, connection) in [(100, None), (8 << 10, None), (9 << 10, Some("close"))] {
        let asked = request(Method::POST, "/apps/app-id/events", &"x".repeat(bytes));
        let answer = fixture.ask(asked).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("connection"), connection, "{bytes}");
    }
}

#[tokio::test]
async fn bodies_are_bounded_each_and_together() {
    body_statuses(100, 500, [(1, 200), (64, 200), (100, 200), (101, 413)]).await;
    // What was held is free again after each.
    body_statuses(200, 100, [(99, 200), (101, 503), (65, 200), (100, 200)]).await;
}

#[tokio::test]
async fn panic_is_answered_and_the_router_goes_on() {
    let edge = crate::http::edge::Edge::new(&config().cors, false);
    let bug = || async { panic!("{}", "oops") as &'static str };
    let router = axum::Router::new()
        .route("/bug", axum::routing::get(bug))
        .route("/", axum::routing::get(|| async { "OK" }))
        .layer(edge);
    let answer = super::answer(&router, request(Method::GET, "/bug", "")).await;
    let body = r#"{"error":"Internal server error.","code":500}"#;
    assert_eq!(answer.pair(), (500, body));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let answer = super::answer(&router, request(Method::GET, "/", "")).await;
    assert_eq!(answer.pair(), (200, "OK"));
}
