//! Names and signatures of this run in place of the recorded ones.

use serde_json::Value;

use super::{RECORDED_AFTER, Replay};
use crate::harness::{hmac_hex, md5_hex, now_s};

impl Replay<'_> {
    pub(super) fn learn_id(&mut self, conn: &str, recorded: &str, got: &str) {
        let id = |frame: &str| {
            let frame: Value = serde_json::from_str(frame).unwrap();
            let data: Value = serde_json::from_str(frame["data"].as_str().unwrap_or_default())
                .unwrap_or_default();
            data["socket_id"].as_str().unwrap_or_default().to_owned()
        };
        let (old, new) = (id(recorded), id(got));
        self.conns
            .get_mut(conn)
            .unwrap()
            .recorded_id
            .clone_from(&old);
        self.renamed.push((old, new));
    }

    pub(super) fn translated(&self, text: &str) -> String {
        self.renamed
            .iter()
            .fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
    }

    /// The frame with a signature for this run's socket id, if the recorded one was right.
    pub(super) fn resigned(&mut self, conn: &str, frame: &str) -> String {
        let Ok(value) = serde_json::from_str::<Value>(frame) else {
            return frame.to_owned();
        };
        let data = &value["data"];
        let part = |key: &str| data[key].as_str();
        let (Some(auth), conn) = (part("auth"), &self.conns[conn]) else {
            return frame.to_owned();
        };
        let tail = match (part("user_data"), part("channel"), part("channel_data")) {
            (Some(user), ..) => format!(":user::{user}"),
            (_, Some(channel), Some(member)) => format!("{channel}:{member}"),
            (_, Some(channel), None) => channel.to_owned(),
            _ => return frame.to_owned(),
        };
        let signed = |id: &str| conn.app.auth(&format!("{id}:{tail}"));
        if signed(&conn.recorded_id) != auth {
            return frame.to_owned();
        }
        let fresh = signed(&self.translated(&conn.recorded_id));
        let text = frame.replace(auth, &fresh);
        self.renamed.push((auth.to_owned(), fresh));
        text
    }

    /// The target with this run's time and signature, if the recorded signature was right.
    pub(super) fn resigned_target(
        &self,
        method: &str,
        target: &str,
        old_body: Option<&str>,
        body: Option<&str>,
    ) -> String {
        let (Some(signature), Some(time)) = (
            query(target, "auth_signature"),
            query(target, "auth_timestamp"),
        ) else {
            return target.to_owned();
        };
        let fresh = if time.parse().is_ok_and(|time: u64| time > RECORDED_AFTER) {
            now_s().to_string()
        } else {
            time.to_owned()
        };
        let moved = target.replace(
            &format!("auth_timestamp={time}"),
            &format!("auth_timestamp={fresh}"),
        );
        let Some(app) = self
            .apps
            .iter()
            .find(|app| target.contains(&format!("/apps/{}/", app.id)))
        else {
            return moved;
        };
        let md5s = |body: Option<&str>| body.map(|body| md5_hex(body.as_bytes()));
        let query_md5 = query(target, "body_md5").map(str::to_owned);
        // Which body, path and key did the recorded signature stand for?
        let path = target.split('?').next().unwrap();
        let bare = path.strip_prefix("/ws").unwrap_or(path);
        for (body_md5, path) in [
            (md5s(old_body), path),
            (query_md5, path),
            (None, path),
            (None, bare),
        ] {
            let text = string_to_sign(method, path, target, body_md5.as_deref(), &app.key);
            if hmac_hex(&app.secret, text.as_bytes()) != signature {
                continue;
            }
            let unchanged = body_md5 != md5s(old_body);
            let new_md5 = if unchanged { body_md5 } else { md5s(body) };
            let moved = match (query(target, "body_md5"), &new_md5) {
                (Some(old), Some(new)) if !unchanged => moved.replace(old, new),
                _ => moved,
            };
            let text = string_to_sign(method, path, &moved, new_md5.as_deref(), &app.key);
            return moved.replace(signature, &hmac_hex(&app.secret, text.as_bytes()));
        }
        moved
    }
}

pub(super) fn query<'t>(target: &'t str, key: &str) -> Option<&'t str> {
    let pairs = target.split_once('?')?.1.split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

/// Soketi's string to sign (http-api.md 3), over a recorded target.
fn string_to_sign(
    method: &str,
    path: &str,
    target: &str,
    body_md5: Option<&str>,
    key: &str,
) -> String {
    const LEFT_OUT: [&str; 5] = [
        "auth_signature",
        "body_md5",
        "appId",
        "appKey",
        "channelName",
    ];
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let mut pairs: Vec<(String, String)> = target
        .split_once('?')
        .map_or("", |(_, query)| query)
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| !LEFT_OUT.contains(name))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    if !pairs.iter().any(|(name, _)| name == "auth_key") {
        pairs.push(("auth_key".into(), key.into()));
    }
    pairs.extend(body_md5.map(|md5| ("body_md5".to_owned(), md5.to_owned())));
    pairs.sort();
    let joined: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{method}\n{path}\n{}", joined.join("&"))
}
