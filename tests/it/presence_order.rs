//! Who hears of whom when many come and go at once (protocol.md 5b).

use crate::harness::{Server, eventually};

const ADDED: &str = "pusher_internal:member_added";
const REMOVED: &str = "pusher_internal:member_removed";

#[tokio::test]
async fn many_joins_and_leaves_end_in_the_truth() {
    let server = Server::start().await;
    let mut watcher = server.connect().await;
    watcher.presence("presence-t", r#"{"user_id":"w"}"#).await;
    let mut members = Vec::new();
    for at in 0..30 {
        let mut member = server.connect().await;
        // Every user joins twice, so half of the leaves are nobody's business.
        member
            .send_presence("presence-t", &format!(r#"{{"user_id":{}}}"#, at / 2))
            .await;
        member.expect_joined("presence-t").await;
        members.push(member);
    }
    for _ in 0..15 {
        watcher.expect_event(ADDED).await;
    }
    drop(members);
    for _ in 0..15 {
        watcher.expect_event(REMOVED).await;
    }
    watcher.expect_silence().await;
    eventually("one user is left", async || {
        server.get("/channels/presence-t/users").await.text() == r#"{"users":[{"id":"w"}]}"#
    })
    .await;
}

#[tokio::test]
async fn a_joiner_sees_a_list_and_then_each_change_once() {
    let server = Server::start().await;
    let mut first = server.connect().await;
    first.presence("presence-r", r#"{"user_id":"first"}"#).await;
    // Joiners at the same moment: each must learn of every other by list or by announcement, never both, never neither.
    let mut joiners = Vec::new();
    for at in 0..8 {
        let mut joiner = server.connect().await;
        joiner
            .send_presence("presence-r", &format!(r#"{{"user_id":"j{at}"}}"#))
            .await;
        joiners.push(joiner);
    }
    for joiner in &mut joiners {
        let mut known: Vec<String> = Vec::new();
        while known.len() < 9 {
            let frame: serde_json::Value = serde_json::from_str(&joiner.text().await).unwrap();
            let data: serde_json::Value =
                serde_json::from_str(frame["data"].as_str().unwrap()).unwrap();
            match data.get("presence") {
                Some(list) => known.extend(
                    list["ids"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(ToString::to_string),
                ),
                None => known.push(data["user_id"].to_string()),
            }
        }
        known.sort();
        known.dedup();
        assert_eq!(known.len(), 9, "{known:?}");
        joiner.expect_silence().await;
    }
}
