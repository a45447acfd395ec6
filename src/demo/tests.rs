//! The page and its button, asked as a router; what a visitor from elsewhere gets.

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use tower::ServiceExt as _;

use super::*;
use crate::{
    config::{self, Config},
    node::Parts,
    shard,
    webhook::Webhooks,
};

fn config(app: App, demo: bool) -> Config {
    let server = Server {
        host: [127, 0, 0, 1].into(),
        path_prefix: "/p".into(),
        demo,
        ..Server::default()
    };
    let metrics = Metrics {
        host: [127, 0, 0, 1].into(),
        ..Metrics::default()
    };
    Config {
        server,
        metrics,
        apps: vec![app],
        ..Config::default()
    }
}

fn demo(app: App, demo: bool) -> Router {
    let (_, inbox) = shard::seat(0).unwrap();
    let webhooks = Webhooks::start(
        &config::Webhooks::default(),
        &tokio::runtime::Handle::current(),
    );
    router(Arc::new(Node::new(Parts {
        config: config(app, demo),
        inboxes: vec![inbox],
        webhooks,
        tls: None,
        port: 6001,
    })))
}

async fn ask(
    router: Router,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> (u16, HeaderMap, String) {
    let mut request =
        Request::builder()
            .uri(path)
            .method(if body.is_some() { "POST" } else { "GET" });
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "127.0.0.1:6001");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Body::from(body.unwrap_or_default().to_owned());
    let answer = router.oneshot(request.body(body).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (
        parts.status.as_u16(),
        parts.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

fn default_app() -> App {
    App::new("app-id", "app-key", "app-secret")
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere_and_keeps_secrets() {
    let app = App::new("1", "</script><b>", "very-secret");
    let (status, headers, html) = ask(demo(app, false), "/p/demo", &[], None).await;
    assert_eq!(status, 200);
    assert!(!html.contains("very-secret") && !html.contains("{{"));
    assert!(
        !html.contains("</script><b>"),
        "the key cannot end the script"
    );
    for outside in ["src=", "https://", "http://", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    let policy = headers["content-security-policy"].to_str().unwrap();
    let nonce = policy
        .split("'nonce-")
        .nth(1)
        .and_then(|rest| rest.split('\'').next())
        .unwrap();
    assert!(html.contains(&format!("<script nonce=\"{nonce}\">")));
    let (_, _, html) = ask(demo(default_app(), false), "/p/demo", &[], None).await;
    assert!(html.contains("\"secret\":\"app-secret\""));
}

#[tokio::test]
async fn the_button_publishes_and_says_to_how_many() {
    let router = demo(default_app(), false);
    let own_page = [
        ("origin", "http://127.0.0.1:6001"),
        ("sec-fetch-site", "same-origin"),
    ];
    for headers in [&own_page[..], &[]] {
        let body = Some(r#"{"message":"hi"}"#);
        let (status, _, answer) = ask(router.clone(), "/p/demo/event", headers, body).await;
        assert_eq!(
            (status, answer.as_str()),
            (200, r#"{"ok":true,"subscribers":0}"#)
        );
    }
    for bad in [
        "",
        "null",
        "{}",
        r#"{"message":5}"#,
        &format!(r#"{{"message":"{}"}}"#, "x".repeat(BODY_BYTES_MAX)),
    ] {
        let (status, _, _) = ask(router.clone(), "/p/demo/event", &[], Some(bad)).await;
        assert_eq!(status, 400, "{bad}");
    }
}

#[tokio::test]
async fn other_pages_hosts_and_proxies_are_turned_away() {
    for (headers, local, open) in [
        (&[("host", "localhost:6001")][..], 200, 200),
        (&[("host", "[::1]:6001")], 200, 200),
        (&[("host", "rebound.example:6001")], 404, 200),
        (&[("host", "127.0.0.1.example")], 404, 200),
        (&[("x-forwarded-for", "192.0.2.1")], 404, 200),
        (&[("origin", "http://elsewhere.example")], 403, 403),
        (&[("origin", "null")], 403, 403),
        (&[("sec-fetch-site", "cross-site")], 403, 403),
    ] {
        for (flag, expected) in [(false, local), (true, open)] {
            let router = demo(default_app(), flag);
            let body = Some(r#"{"message":"hi"}"#);
            let (status, _, _) = ask(router, "/p/demo/event", headers, body).await;
            assert_eq!(status, expected, "{headers:?} --demo={flag}");
        }
    }
}

#[tokio::test]
async fn events_are_bounded_per_second() {
    let router = demo(default_app(), false);
    let mut refused = 0;
    for _ in 0..EVENTS_PER_SECOND_MAX * 3 {
        let body = Some(r#"{"message":"hi"}"#);
        let (status, _, _) = ask(router.clone(), "/p/demo/event", &[], body).await;
        refused += u32::from(status == 429);
    }
    assert!(refused > 0);
}

#[test]
fn public_listeners_have_no_demo_unless_asked() {
    let of = |change: fn(&mut Config)| {
        let mut config = config(default_app(), false);
        change(&mut config);
        is_allowed(&config.server, &config.metrics)
    };
    assert!(of(|_| ()));
    assert!(!of(|c| c.server.host = [0, 0, 0, 0].into()));
    assert!(!of(|c| c.metrics.host = [0, 0, 0, 0].into()));
    assert!(!of(|c| c.server.api = Some(([0, 0, 0, 0].into(), 1))));
    assert!(!of(|c| c.server.unix_socket = Some("/run/x".into())));
    assert!(!of(|c| c.server.proxy_protocol = true));
    assert!(of(|c| {
        c.server.host = [0, 0, 0, 0].into();
        c.server.demo = true;
    }));
    assert!(!of(|c| c.server.mode = Mode::Worker));
}

#[test]
fn hello_prints_what_reaches_the_server_and_no_secret_of_its_own() {
    let text = hello(&config(default_app(), false), 7001);
    for line in [
        "PUSHER_APP_SECRET=app-secret",
        "PUSHER_HOST=127.0.0.1",
        "PUSHER_PORT=7001",
        "PUSHER_SCHEME=http\n",
        "wsPath: '/p'",
        "forceTLS: false",
        "http://127.0.0.1:7001/p/demo",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let mut other = config(App::new("1", "k", "very-secret"), false);
    other.server.host = std::net::Ipv6Addr::LOCALHOST.into();
    let text = hello(&other, 1);
    assert!(!text.contains("very-secret") && text.contains("PUSHER_HOST=[::1]"));
}
