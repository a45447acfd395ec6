//! HTTP exchanges and webhooks of a transcript.

use std::net::SocketAddr;
use std::time::Duration;

use super::names::query;
use super::{Change, Line, Replay, body, expect};
use crate::harness::{Hook, Http, Response, eventually, request_bytes};

impl Replay<'_> {
    pub(super) async fn http(&mut self, line: &Line) {
        let change = self.change(line);
        let here = format!("{} {}", self.here(line), line.text("label"));
        let want = match change {
            Some(Change::Skip) => return,
            Some(Change::Error(status)) => {
                return self.exchange(line).await.expect_error_code(status);
            }
            Some(Change::Answer(status, body)) => expect::Answer {
                status,
                headers: Vec::new(),
                body: body.to_owned(),
            },
            Some(Change::Json(body)) => expect::Answer {
                status: 200,
                headers: Vec::new(),
                body: body.to_owned(),
            },
            _ if line.value["response"]["status"].is_null() => return,
            _ => expect::answer(&line.value["response"]),
        };
        let want = expect::Answer {
            body: self.translated(&want.body),
            ..want
        };
        // Another shard may still be counting; a rate limit must not be asked twice.
        let asked_again =
            line.value["request"]["method"] == "GET" && !self.script.name.starts_with("rate-limit");
        if asked_again && want.body.contains("_count") {
            eventually(&here, async || {
                self.exchange(line).await.text() == want.body || want.body.contains("channels")
            })
            .await;
        }
        let got = self.exchange(line).await;
        expect::same_answer(&here, &want, &got);
    }

    async fn exchange(&self, line: &Line) -> Response {
        let request = &line.value["request"];
        let target = request["target"].as_str().unwrap();
        let path = target.split('?').next().unwrap();
        let label = line.text("label");
        let address = self.port(path, label);
        let shown = request["body"].as_str();
        let recorded = shown.map(|shown| match request["body_truncated_from"].as_u64() {
            Some(units) => body::whole(
                shown,
                usize::try_from(units).unwrap(),
                query(target, "body_md5"),
            ),
            None => shown.to_owned(),
        });
        let method = request["method"].as_str().unwrap();
        let body = recorded.as_deref().map(|body| self.translated(body));
        let body = if method == "POST" {
            Some(body.unwrap_or_default())
        } else {
            body
        };
        let target = self.resigned_target(method, target, recorded.as_deref(), body.as_deref());
        let headers = request["headers"].as_object().cloned().unwrap_or_default();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .filter(|(name, _)| {
                !["connection", "content-length", "host"].contains(&name.to_lowercase().as_str())
            })
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
            .collect();
        let mut http = Http::connect(address).await;
        if label.contains("two chunks") {
            let bytes = request_bytes(
                method,
                &target,
                &headers,
                body.as_deref().map(str::as_bytes),
            );
            let (first, second) = bytes.split_at(bytes.len() - 4);
            http.write(first).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            http.write(second).await;
            return http.response().await;
        }
        http.request(
            method,
            &target,
            &headers,
            body.as_deref().map(str::as_bytes),
        )
        .await
    }

    /// The metrics port where the script asked that one.
    fn port(&self, path: &str, label: &str) -> SocketAddr {
        let told = label.starts_with("metrics port") || self.script.name == "metrics-disabled";
        let own = path == "/metrics" && !label.contains("only on the metrics port");
        if told || own {
            self.server.metrics
        } else {
            self.server.main
        }
    }

    pub(super) fn webhook(&mut self, line: &Line) {
        match self.change(line) {
            Some(Change::Nothing) => {}
            Some(Change::Hook(instead)) => self
                .hooks_due
                .extend(instead.iter().map(|&hook| hook.to_owned())),
            _ => {
                let hook = self.recorded_hook(line);
                self.hooks_due.push(hook);
            }
        }
    }

    /// Every recorded webhook, whatever their order; those of one turn travel side by side.
    pub(super) async fn hooks(&mut self) {
        let mut want: Vec<String> = std::mem::take(&mut self.hooks_due);
        let mut got: Vec<String> = Vec::new();
        for _ in &want {
            got.push(self.shown_hook(&self.receiver.next().await));
        }
        want = want.iter().map(|hook| self.translated(hook)).collect();
        want.sort();
        got.sort();
        assert_eq!(want, got, "{}: webhooks", self.script.name);
        // Where the script stopped listening before the last client's leave was told, more may come.
        let rest = self.receiver.waiting();
        assert!(
            self.script.name == "webhooks-filters-and-failures" || rest.is_empty(),
            "{}: more webhooks: {rest:?}",
            self.script.name
        );
    }

    fn recorded_hook(&self, line: &Line) -> String {
        let body = self.translated(line.text("body"));
        let custom = line.value["headers"]["x-custom"].as_str();
        let key = line.value["headers"]["x-pusher-key"]
            .as_str()
            .unwrap_or_default();
        format!(
            "{} {} {custom:?} {key} {}",
            line.text("method"),
            line.text("url"),
            timeless(&body)
        )
    }

    fn shown_hook(&self, hook: &Hook) -> String {
        let key = hook.header("x-pusher-key").unwrap_or_default();
        if let Some(app) = self.apps.iter().find(|app| app.key == key)
            && hook.method == "POST"
        {
            hook.expect_signed(app);
        }
        format!(
            "{} {} {:?} {key} {}",
            hook.method,
            hook.path,
            hook.header("x-custom"),
            timeless(&hook.body)
        )
    }
}

/// A webhook body without its time, which must be there.
fn timeless(body: &str) -> String {
    let Some(rest) = body.strip_prefix(r#"{"time_ms":"#) else {
        return body.to_owned();
    };
    let (time, rest) = rest.split_once(',').unwrap();
    assert!(time.parse::<u64>().is_ok(), "{body}");
    format!(r#"{{"time_ms":T,{rest}"#)
}
