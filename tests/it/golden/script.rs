//! A transcript as it is read: lines with their numbers, in the order in which they are to be played.

use serde_json::Value;

use crate::harness::App;

/// One line of a transcript. `number` is its line in the file.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) kind: String,
    pub(crate) value: Value,
}

impl Line {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.value[key].as_str().unwrap_or_default()
    }

    pub(crate) fn conn(&self) -> &str {
        self.text("conn")
    }

    fn time(&self) -> i64 {
        self.value["t"].as_i64().unwrap_or_default()
    }

    fn may_follow_http(&self) -> bool {
        match self.kind.as_str() {
            "recv" => {
                let frame = self.text("frame");
                !frame.contains("connection_established")
                    && !frame.contains("subscription_succeeded")
            }
            "close" => self.text("by") == "server",
            "webhook" => true,
            _ => false,
        }
    }
}

/// A transcript.
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) meta: Value,
    pub(crate) lines: Vec<Line>,
}

impl Script {
    pub(crate) fn load(name: &str) -> Self {
        let path = super::directory().join(format!("{name}.jsonl"));
        let text = std::fs::read_to_string(path).unwrap();
        let mut values = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let meta = values.next().unwrap();
        let lines = values.enumerate().map(|(at, value)| Line {
            number: at + 2,
            kind: value["type"].as_str().unwrap().to_owned(),
            value,
        });
        Self {
            name: name.to_owned(),
            meta,
            lines: in_order(lines.collect()),
        }
    }

    /// Every app of the run: that of the first line and those of the configuration.
    pub(crate) fn apps(&self) -> Vec<App> {
        let configured = self.meta["config"]["appManager.array.apps"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let all = std::iter::once(&self.meta["app"]).chain(&configured);
        all.filter_map(|app| {
            let id = app["id"]
                .as_str()
                .map_or_else(|| app["id"].to_string(), str::to_owned);
            Some(App::new(&id, app["key"].as_str()?, app["secret"].as_str()?))
        })
        .collect()
    }

    /// Milliseconds that the script itself waited before the line at `at`, when that mattered.
    pub(crate) fn pause_before(&self, at: usize) -> u64 {
        let line = &self.lines[at];
        let acts = matches!(line.kind.as_str(), "send" | "http");
        let least = if self.name == "webhooks-batching" && line.kind == "webhook" {
            300
        } else {
            500
        };
        let before = self.lines[..at]
            .iter()
            .rev()
            .find(|before| before.value["t"].is_i64());
        let Some(before) = before.filter(|before| before.kind != "silence") else {
            return 0;
        };
        let gap = u64::try_from(line.time() - before.time()).unwrap_or_default();
        if (acts || least == 300) && (least..2400).contains(&gap) {
            gap
        } else {
            0
        }
    }
}

/// An HTTP exchange is written when it is complete; it is played when it began, before what it caused.
fn in_order(mut lines: Vec<Line>) -> Vec<Line> {
    for at in 0..lines.len() {
        if lines[at].kind != "http" {
            continue;
        }
        let start = lines[at].time();
        let mut to = at;
        while to > 0 && lines[to - 1].may_follow_http() && lines[to - 1].time() >= start {
            to -= 1;
        }
        lines[to..=at].rotate_right(1);
    }
    lines
}
