//! Stopping: not ready but serving, 4200 spread over time, flush, exit (scaling-webhooks-metrics.md 7, design.md "Shutdown").

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{Answer, Client, Http, Message, Receiver, Server, ServerBuilder};

const CLOSED: &str = "Server closed. Please reconnect shortly.";
const CLOSING: &str = "Server is closing. Please reconnect shortly.";

fn slowly(grace: u32, delay: u32, spread: u32) -> ServerBuilder {
    Server::builder()
        .env("SOKETI_SHUTDOWN_GRACE_PERIOD", grace)
        .env("BOWLINE_SHUTDOWN_DRAIN_DELAY", delay)
        .env("BOWLINE_SHUTDOWN_SPREAD", spread)
}

async fn closed_with_4200(mut client: Client) -> Instant {
    loop {
        match client.recv().await {
            Message::Text(text) if text.contains("\"pusher:error\"") => {
                assert_eq!(
                    text,
                    format!(
                        r#"{{"event":"pusher:error","data":{{"code":4200,"message":"{CLOSED}"}}}}"#
                    )
                );
            }
            Message::Text(_) => {}
            Message::Close { code, reason } => {
                assert_eq!((code, reason.as_str()), (Some(4200), CLOSED));
                client.send_close(4200).await;
                return Instant::now();
            }
            Message::End => panic!("cut without a close"),
        }
    }
}

#[tokio::test]
async fn with_no_sockets_it_ends_at_once_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start().await;
        let begin = Instant::now();
        server.signal(signal);
        assert_eq!(server.wait_exit().await.code(), Some(0));
        assert!(
            begin.elapsed() < Duration::from_millis(1500),
            "{:?}",
            begin.elapsed()
        );
    }
}

#[tokio::test]
async fn every_socket_is_closed_with_4200_spread_over_time() {
    let mut server = slowly(4000, 0, 1000).start().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(server.subscribed("room").await);
    }
    let begin = Instant::now();
    server.signal(Signal::TERM);
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(closed_with_4200(client)))
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.push(task.await.unwrap() - begin);
    }
    times.sort();
    assert!(
        times[19].abs_diff(times[0]) > Duration::from_millis(400),
        "spread, not at once: {times:?}"
    );
    assert!(times[19] < Duration::from_millis(2500), "{times:?}");
    let middle = times[10];
    assert!(
        middle > Duration::from_millis(150) && middle < Duration::from_millis(1400),
        "evenly: {times:?}"
    );
    assert_eq!(server.wait_exit().await.code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn ready_is_503_while_everything_else_goes_on() {
    let mut server = slowly(5000, 1500, 200).start().await;
    let mut client = server.subscribed("room").await;
    server.signal(Signal::TERM);
    crate::harness::eventually("not ready", async || {
        server.raw("GET", "/ready").await.status == 503
    })
    .await;
    for response in [
        server.raw("GET", "/ready").await,
        server.ops("/ready").await,
        server.raw("GET", "/accept-traffic").await,
    ] {
        assert_eq!(response.status, 503);
        assert_eq!(
            response.json()["error"],
            "The server is closing. Choose another server. :)"
        );
    }
    server.raw("GET", "/").await.expect(200, "OK");
    // Within the delay a new client is served like any other.
    let mut late = server.subscribed("room").await;
    server.trigger("room", "e", "1").await;
    client.expect_event("e").await;
    late.expect_event("e").await;
    closed_with_4200(client).await;
    closed_with_4200(late).await;
    assert_eq!(server.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_handshake_that_comes_late_is_held_then_refused_with_4200() {
    let server = slowly(6000, 0, 3000).start().await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(server.connect().await);
    }
    server.signal(Signal::TERM);
    crate::harness::eventually("not ready", async || {
        server.raw("GET", "/ready").await.status == 503
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begin = Instant::now();
    let mut late = server.open("/app/app-key").await;
    late.expect_refusal(4200, CLOSING).await;
    assert!(
        begin.elapsed() < Duration::from_millis(1600),
        "held for up to a second: {:?}",
        begin.elapsed()
    );
    // Not cut: those whose turn has not come are still served.
    let mut last = clients.pop().unwrap();
    last.send_text(r#"{"event":"pusher:ping"}"#).await;
    assert!(matches!(last.recv().await, Message::Text(_)));
}

#[tokio::test]
async fn publishing_goes_on_until_the_port_closes() {
    let mut server = slowly(4000, 0, 1500).start().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(server.subscribed("room").await);
    }
    let http = Http::connect(server.main).await;
    let app = server.app.clone();
    let publisher = tokio::spawn(async move {
        let (mut http, mut answered) = (http, 0);
        for at in 0.. {
            let body = json!({"name": "n", "channel": "room", "data": at.to_string()}).to_string();
            let target = app.target("POST", "/events").body(body.as_bytes()).build();
            let bytes = crate::harness::request_bytes("POST", &target, &[], Some(body.as_bytes()));
            if http.io.write(&bytes).await.is_err() {
                break;
            }
            let answer = tokio::time::timeout(Duration::from_secs(2), http.answer_or_end()).await;
            match answer {
                Ok(Some(response)) if response.status == 200 => answered += 1,
                _ => break,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answered
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.signal(Signal::TERM);
    // Under load each client hears the events in order, without a gap, until its own close.
    for client in &mut clients {
        let mut next = 0;
        loop {
            match client.recv().await {
                Message::Text(text) if text.contains("\"n\"") => {
                    assert!(
                        text.contains(&format!("\"data\":\"{next}\"")),
                        "{text} where {next} was due"
                    );
                    next += 1;
                }
                Message::Text(text) => assert!(text.contains("4200"), "{text}"),
                Message::Close { code, .. } => {
                    assert_eq!(code, Some(4200));
                    client.send_close(4200).await;
                    break;
                }
                Message::End => panic!("cut without a close"),
            }
        }
        assert!(next > 10, "{next}");
    }
    assert_eq!(server.wait_exit().await.code(), Some(0));
    assert!(publisher.await.unwrap() > 20);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut server = slowly(20_000, 10_000, 5000).start().await;
    let _client = server.connect().await;
    server.signal(Signal::TERM);
    crate::harness::eventually("not ready", async || {
        server.raw("GET", "/ready").await.status == 503
    })
    .await;
    assert!(server.exited().is_none());
    let begin = Instant::now();
    server.signal(Signal::TERM);
    server.wait_exit().await;
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn the_grace_period_is_the_hard_limit() {
    let mut server = slowly(700, 10_000, 10_000).start().await;
    let mut client = server.connect().await;
    let begin = Instant::now();
    server.signal(Signal::TERM);
    client.expect_error(4200).await;
    client.expect_close(4200).await;
    // It never answers the close, and still the server ends.
    assert_eq!(server.wait_exit().await.code(), Some(0));
    assert!(
        begin.elapsed() < Duration::from_millis(1500),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_cannot_hold_the_exit() {
    let mut server = slowly(1500, 0, 200).start().await;
    let stalled = server.subscribed("flood").await;
    let data = "x".repeat(90_000);
    for _ in 0..8 {
        server.trigger("flood", "big", &data).await;
    }
    let begin = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait_exit().await.code(), Some(0));
    assert!(
        begin.elapsed() < Duration::from_millis(2500),
        "{:?}",
        begin.elapsed()
    );
    drop(stalled);
}

#[tokio::test]
async fn a_lone_node_flushes_its_webhooks() {
    let receiver = Receiver::start().await;
    receiver.answer("/all", [Answer::after(Duration::from_millis(300))]);
    let kinds = [
        "channel_occupied",
        "channel_vacated",
        "member_added",
        "member_removed",
    ];
    let hooks = json!([{"url": receiver.url("/all"), "event_types": kinds}]);
    let mut server = slowly(5000, 0, 200)
        .env("SOKETI_DEFAULT_APP_WEBHOOKS", hooks)
        .env("BOWLINE_WEBHOOKS_GRACE", 60_000)
        .start()
        .await;
    let mut leaver = server.connect().await;
    leaver
        .presence("presence-early", r#"{"user_id":"1"}"#)
        .await;
    leaver.close().await;
    let mut client = server.connect().await;
    client.presence("presence-p", r#"{"user_id":"1"}"#).await;
    server.signal(Signal::TERM);
    closed_with_4200(client).await;
    assert_eq!(server.wait_exit().await.code(), Some(0));
    let mut seen: Vec<String> = Vec::new();
    for hook in receiver.waiting() {
        for event in hook.events() {
            seen.push(format!(
                "{} {}",
                event["name"].as_str().unwrap(),
                event["channel"].as_str().unwrap()
            ));
        }
    }
    seen.sort();
    let want: Vec<String> = kinds
        .iter()
        .flat_map(|kind| {
            [
                format!("{kind} presence-early"),
                format!("{kind} presence-p"),
            ]
        })
        .collect();
    assert_eq!(seen, want);
}

#[tokio::test]
async fn sighup_is_no_shutdown() {
    let mut server = Server::start().await;
    let mut client = server.subscribed("room").await;
    server.signal(Signal::HUP);
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.trigger("room", "e", "1").await;
    client.expect_event("e").await;
    server.expect_healthy().await;
}
