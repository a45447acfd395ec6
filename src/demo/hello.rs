//! What a new user copies: the `.env` lines of Laravel and the options of Echo that reach this server.

use std::{fmt::Write as _, net::IpAddr};

use crate::{
    app::{App, AppSecret},
    config::Config,
};

/// The secret of the app that is there when nothing is configured: printed in every manual, so it may be printed here.
const PUBLIC_SECRET: &str = "app-secret";

/// The secret if it is the public default; any other stays where it is.
pub(super) fn public_secret(app: &App) -> Option<&'static str> {
    (app.secret == AppSecret::new(PUBLIC_SECRET)).then_some(PUBLIC_SECRET)
}

/// `.env` lines for Laravel and the options of Echo for the first app, as reached from this machine on `port`. A secret that is
/// not the public default is not printed.
pub fn hello(config: &Config, port: u16) -> String {
    let Some(app) = config.apps.first() else {
        return String::new();
    };
    let server = &config.server;
    let host = reachable(server.host);
    let (secure, scheme) = (
        config.tls.is_some(),
        if config.tls.is_some() {
            "https"
        } else {
            "http"
        },
    );
    let secret = public_secret(app).unwrap_or("<the secret of your configuration>");
    let (id, key, prefix) = (&app.id, &app.key, &server.path_prefix);
    let mut text = format!(
        "\n  Laravel, .env (before Laravel 11 BROADCAST_CONNECTION is BROADCAST_DRIVER):\n\n\
         \x20   BROADCAST_CONNECTION=pusher\n\
         \x20   PUSHER_APP_ID={id}\n\
         \x20   PUSHER_APP_KEY={key}\n\
         \x20   PUSHER_APP_SECRET={secret}\n\
         \x20   PUSHER_APP_CLUSTER=mt1\n\
         \x20   PUSHER_HOST={host}\n\
         \x20   PUSHER_PORT={port}\n\
         \x20   PUSHER_SCHEME={scheme}\n\
         \x20   VITE_PUSHER_APP_KEY=\"${{PUSHER_APP_KEY}}\"\n\
         \x20   VITE_PUSHER_HOST=\"${{PUSHER_HOST}}\"\n\
         \x20   VITE_PUSHER_PORT=\"${{PUSHER_PORT}}\"\n\
         \n  Laravel Echo, resources/js/echo.js:\n\n\
         \x20   window.Echo = new Echo({{\n\
         \x20       broadcaster: 'pusher',\n\
         \x20       key: import.meta.env.VITE_PUSHER_APP_KEY,\n\
         \x20       cluster: 'mt1',\n\
         \x20       wsHost: import.meta.env.VITE_PUSHER_HOST,\n\
         \x20       wsPort: import.meta.env.VITE_PUSHER_PORT,\n\
         \x20       wssPort: import.meta.env.VITE_PUSHER_PORT,\n"
    );
    // Writing to a String cannot fail.
    if !prefix.is_empty() {
        let _ = writeln!(text, "        wsPath: '{prefix}',");
    }
    let _ = write!(
        text,
        "        forceTLS: {secure},\n        enabledTransports: ['ws', 'wss'],\n    }});\n"
    );
    if !prefix.is_empty() {
        let _ = writeln!(
            text,
            "\n  config/broadcasting.php, connections.pusher.options: 'path' => '{prefix}'"
        );
    }
    if super::is_allowed(server, &config.metrics) {
        let _ = writeln!(
            text,
            "\n  See an event arrive in your browser: {scheme}://{host}:{port}{prefix}/demo"
        );
    }
    text
}

/// How this machine reaches a listener on `host`.
fn reachable(host: IpAddr) -> String {
    match host {
        host if host.is_unspecified() => "127.0.0.1".into(),
        IpAddr::V6(host) => format!("[{host}]"),
        IpAddr::V4(host) => host.to_string(),
    }
}
