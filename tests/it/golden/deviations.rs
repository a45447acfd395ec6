//! Every place where a transcript must not be matched, and the row of docs/compat.md that says why.
//!
//! What holds for every frame or answer (`"data":"{}"`, real statuses, reasons of closes, keep-alive) is in `expect` and `replay`.

use Change::{Answer, Error, Frame, Hook, Json, May, Nothing, On, Skip};

/// What happens instead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// This frame instead of the recorded one.
    Frame(&'static str),
    /// The recorded frame, close or webhook does not come.
    Nothing,
    /// The sender of this line may be answered with this frame, or with silence.
    May(&'static str),
    /// After this line that connection gets that frame.
    On(&'static str, &'static str),
    /// This status and body.
    Answer(u16, &'static str),
    /// Status 200 and this body, whatever the order of its keys.
    Json(&'static str),
    /// This status, with an error of the server's own wording.
    Error(u16),
    /// These webhooks, as `METHOD PATH X-CUSTOM KEY BODY`, instead of the recorded one.
    Hook(&'static [&'static str]),
    /// The step depends on what was left out before it.
    Skip,
}

/// One declared difference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deviation {
    pub(crate) file: &'static str,
    /// Line in the file, from 1.
    pub(crate) line: usize,
    pub(crate) change: Change,
    /// The row of docs/compat.md.
    #[expect(
        dead_code,
        reason = "shown by Debug when a declared difference is not met"
    )]
    pub(crate) why: &'static str,
}

const fn row(file: &'static str, line: usize, change: Change, why: &'static str) -> Deviation {
    Deviation {
        file,
        line,
        change,
        why,
    }
}

const OK: &str = r#"{"ok":true}"#;
const NO_CHANNELS: &str = r#"{"channels":{}}"#;
const MALFORMED: &str =
    r#"{"event":"pusher:error","data":{"code":4200,"message":"Invalid message format"}}"#;

const FULL: &str = "a member is let in whatever the limit";
const PREFIX: &str = "channel kinds by prefix";
const USER_CHANNELS: &str = "user channels belong to their user";
const CLOSE_4200: &str = "a client may close with any code";
const IGNORED: &str = "malformed frames";
const CLIENT_PREFIX: &str = "client events begin with client-";
const AUTH: &str = "request signatures";
const DECODED: &str = "path parameters are decoded";
const INFO: &str = "info";
const CHECKED: &str = "publish checks channels and socket_id";
const REAL_BYTES: &str = "body_md5 over the real bytes";
const NO_INFO: &str = "a member without user_info";
const NO_ID: &str = "a member without user_id";
const ONE_IDENTITY: &str = "1 and \"1\" are one user";
const TWICE: &str = "another user_id on the same socket";
const CONFLICT: &str = "a second signin";
const OCCUPIED: &str = "occupied and vacated are transitions";
const BATCHES: &str = "webhook batches per app and hook";

#[rustfmt::skip] // One row a line.
pub(crate) const ALL: &[Deviation] = &[
    row("app-limits", 24, Frame(r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-r","data":"{\"presence\":{\"ids\":[\"1\",\"2\"],\"hash\":{\"1\":{\"n\":\"a\"},\"2\":{\"n\":\"b\"}},\"count\":2}}"}"#), FULL),
    row("app-limits", 41, Nothing, FULL),
    row("app-limits", 44, On("C", r#"{"event":"pusher_internal:member_removed","channel":"presence-r","data":"{\"user_id\":\"2\"}"}"#), FULL),
    row("channel-name-rules", 22, Frame(r##"{"event":"pusher:subscription_error","channel":"#server-to-user-1","data":{"type":"AuthError","error":"The connection is unauthorized.","status":401}}"##), USER_CHANNELS),
    row("channel-prefix-substring-quirk", 6, Frame(r#"{"event":"pusher_internal:subscription_succeeded","channel":"my-private-room","data":"{}"}"#), PREFIX),
    row("channel-prefix-substring-quirk", 8, Frame(r#"{"event":"pusher_internal:subscription_succeeded","channel":"x-presence-room","data":"{}"}"#), PREFIX),
    row("channel-prefix-substring-quirk", 11, Nothing, PREFIX),
    row("client-close-code-4200-leak", 17, On("B", r#"{"event":"pusher_internal:member_removed","channel":"presence-g","data":"{\"user_id\":\"ghost\"}"}"#), CLOSE_4200),
    row("client-close-code-4200-leak", 19, Answer(200, r#"{"users":[{"id":"b"}]}"#), CLOSE_4200),
    row("client-close-code-4200-leak", 20, Answer(200, r#"{"subscription_count":1,"occupied":true,"user_count":1}"#), CLOSE_4200),
    row("client-frames-ignored", 5, May(MALFORMED), IGNORED),
    row("client-frames-ignored", 6, May(MALFORMED), IGNORED),
    row("client-frames-ignored", 7, May(MALFORMED), IGNORED),
    row("client-frames-ignored", 8, May(MALFORMED), IGNORED),
    row("client-frames-ignored", 9, May(MALFORMED), IGNORED),
    row("client-frames-ignored", 10, May(MALFORMED), IGNORED),
    row("client-frames-ignored", 11, May(MALFORMED), IGNORED),
    row("client-frames-ignored", 12, May(MALFORMED), IGNORED),
    row("config-nested-object-replaces", 3, Answer(413, r#"{"error":"The event data should be less than 100 KB.","code":413}"#), "nested sections merge"),
    row("config-nested-object-replaces", 4, Answer(400, r#"{"error":"Cannot batch-send more than 10 messages at once","code":400}"#), "nested sections merge"),
    row("connect-app-disabled", 6, Error(403), "a disabled app has no API"),
    row("connect-app-disabled", 7, Error(403), "a disabled app has no API"),
    row("event-name-contains-client", 13, Nothing, CLIENT_PREFIX),
    row("event-name-contains-client", 15, Nothing, CLIENT_PREFIX),
    row("event-name-contains-client", 17, Nothing, CLIENT_PREFIX),
    row("http-auth", 5, Error(401), AUTH),
    row("http-auth", 6, Error(401), AUTH),
    row("http-auth", 8, Error(401), AUTH),
    row("http-auth", 10, Error(401), AUTH),
    row("http-batch", 13, Json(r#"{"ok":true,"batch":[{},{},{"channels":{"b1":{"subscription_count":1},"b2":{"subscription_count":1}}}]}"#), INFO),
    row("http-channel", 22, Answer(200, r#"{"subscription_count":1,"occupied":true,"cache":{"event":"cached","data":"v"}}"#), INFO),
    row("http-channel", 24, Answer(200, r#"{"subscription_count":1,"occupied":true}"#), DECODED),
    row("http-channels", 22, Frame(r##"{"event":"pusher:subscription_error","channel":"#server-to-user-9","data":{"type":"AuthError","error":"The connection is unauthorized.","status":401}}"##), USER_CHANNELS),
    row("http-channels", 23, Json(r#"{"channels":{"alpha":{"subscription_count":2,"occupied":true},"beta":{"subscription_count":1,"occupied":true},"cache-one":{"subscription_count":1,"occupied":true},"private-p":{"subscription_count":1,"occupied":true},"presence-q":{"subscription_count":1,"occupied":true}}}"#), USER_CHANNELS),
    row("http-channels", 25, Json(r#"{"channels":{"presence-q":{"subscription_count":1,"occupied":true,"user_count":1}}}"#), INFO),
    row("http-channels", 26, Json(r#"{"channels":{"alpha":{"subscription_count":2,"occupied":true},"beta":{"subscription_count":1,"occupied":true},"cache-one":{"subscription_count":1,"occupied":true},"private-p":{"subscription_count":1,"occupied":true},"presence-q":{"subscription_count":1,"occupied":true,"user_count":1}}}"#), INFO),
    row("http-routing", 3, Answer(204, ""), "OPTIONS and HEAD"),
    row("http-routing", 7, Answer(200, ""), "OPTIONS and HEAD"),
    row("http-trigger", 35, Nothing, CHECKED),
    row("http-trigger", 36, Nothing, CHECKED),
    row("http-trigger", 37, Error(400), CHECKED),
    row("http-trigger", 43, Json(r#"{"ok":true,"channels":{"t1":{"subscription_count":2},"presence-none":{"subscription_count":0,"user_count":0}}}"#), INFO),
    row("http-trigger", 48, Error(400), CHECKED),
    row("http-trigger-bad-body", 2, Error(400), REAL_BYTES),
    row("http-trigger-bad-body", 3, Error(400), REAL_BYTES),
    row("http-trigger-bad-body", 4, Error(400), REAL_BYTES),
    row("http-trigger-validation", 19, Error(400), CHECKED),
    row("official-server-libraries", 3, Json(r#"{"ok":true,"channels":{"c":{"subscription_count":0},"d":{"subscription_count":0}}}"#), INFO),
    row("path-prefix", 11, Answer(200, NO_CHANNELS), "signatures without the prefix"),
    row("path-prefix", 17, Answer(200, r#"{"memory":{"usedSize":1,"totalSize":1,"percentUsage":1}}"#), "memory is this process's"),
    row("presence-no-user-info", 6, Frame(r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-bare","data":"{\"presence\":{\"ids\":[\"1\"],\"hash\":{\"1\":null},\"count\":1}}"}"#), NO_INFO),
    row("presence-no-user-info", 12, Frame(r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-bare","data":"{\"presence\":{\"ids\":[\"1\",\"2\"],\"hash\":{\"1\":null,\"2\":null},\"count\":2}}"}"#), NO_INFO),
    row("presence-no-user-info", 18, Nothing, NO_ID),
    row("presence-no-user-info", 19, Nothing, NO_ID),
    row("presence-no-user-info", 20, Frame(r#"{"event":"pusher:subscription_error","channel":"presence-bare","data":{"type":"AuthError","error":"The connection is unauthorized.","status":401}}"#), NO_ID),
    row("presence-no-user-info", 22, Answer(200, r#"{"users":[{"id":"1"},{"id":"2"}]}"#), NO_ID),
    row("presence-no-user-info", 25, Nothing, NO_ID),
    row("presence-no-user-info", 28, Nothing, NO_ID),
    row("presence-number-ids", 17, Nothing, ONE_IDENTITY),
    row("presence-number-ids", 18, Nothing, ONE_IDENTITY),
    row("presence-number-ids", 19, Frame(r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-num","data":"{\"presence\":{\"ids\":[1,2],\"hash\":{\"1\":{\"name\":\"Ann\"},\"2\":{\"name\":\"Bob\"}},\"count\":2}}"}"#), ONE_IDENTITY),
    row("presence-number-ids", 20, Answer(200, r#"{"subscription_count":3,"occupied":true,"user_count":2}"#), ONE_IDENTITY),
    row("presence-number-ids", 21, Answer(200, r#"{"users":[{"id":1},{"id":2}]}"#), ONE_IDENTITY),
    row("presence-number-ids", 26, Nothing, ONE_IDENTITY),
    row("presence-subscribe-twice", 11, Frame(r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-w","data":"{\"presence\":{\"ids\":[\"2\"],\"hash\":{\"2\":{\"v\":3}},\"count\":1}}"}"#), TWICE),
    row("signin", 18, Frame(r##"{"event":"pusher:subscription_error","channel":"#server-to-user-u1","data":{"type":"AuthError","error":"The connection is unauthorized.","status":401}}"##), USER_CHANNELS),
    row("signin", 27, Frame(r#"{"event":"pusher:error","data":{"code":4009,"message":"The connection is already signed in as another user."}}"#), CONFLICT),
    row("signin", 31, Nothing, CONFLICT),
    row("signin", 33, Answer(200, NO_CHANNELS), USER_CHANNELS),
    row("signin", 34, Skip, DECODED),
    row("signin", 35, Nothing, CONFLICT),
    row("signin", 37, Nothing, CONFLICT),
    row("signin", 38, Answer(200, OK), REAL_BYTES),
    row("webhooks-all-events", 60, Nothing, OCCUPIED),
    row("webhooks-all-events", 64, Nothing, OCCUPIED),
    row("webhooks-batching", 15, Hook(&[r#"POST /one-occupied None app-key {"time_ms":T,"events":[{"name":"channel_occupied","channel":"one-a"},{"name":"channel_occupied","channel":"one-b"}]}"#]), BATCHES),
    row("webhooks-batching", 16, Hook(&[r#"POST /one-vacated None app-key {"time_ms":T,"events":[{"name":"channel_vacated","channel":"one-a"}]}"#, r#"POST /two-occupied None two-key {"time_ms":T,"events":[{"name":"channel_occupied","channel":"two-secret-channel"}]}"#]), BATCHES),
    row("webhooks-filters-and-failures", 22, Nothing, "redirects are not followed"),
];
