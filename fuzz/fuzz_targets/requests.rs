//! The query of a signed request, and signatures of channels: strangers get no leave, and nothing panics.
#![no_main]

use bowline::{
    app::App,
    http::query::{Asked, Claims, value},
    protocol::{
        SocketId,
        auth::{Claim, allows},
    },
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let app = App::new("1", "key", "secret");
    let (path, query) = text.split_once('?').unwrap_or(("/p/apps/1/events", text));
    let claims = Claims::parse(query);
    for method in ["GET", "POST"] {
        let asked = Asked {
            method,
            path,
            prefix: "/p",
        };
        assert!(
            !claims.verify(&app, asked, claims.body_md5().as_ref()),
            "nobody knows the secret"
        );
    }
    let _ = (
        claims.timestamp(),
        claims.names_body_md5(),
        claims.is_plausible(&app),
    );
    for key in ["info", "filter_by_prefix", "auth_key", ""] {
        let _ = value(query, key);
    }
    let socket = SocketId { high: 1, low: 2 };
    for claim in [
        Claim::Channel(path),
        Claim::Presence(path, query),
        Claim::User(query),
    ] {
        assert!(!allows(&app, socket, claim, text));
    }
});
