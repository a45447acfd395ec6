//! Ports, addresses, threads, certificates, stopping.

use std::path::PathBuf;

use crate::config::{
    Mode, Secret,
    kind::Kind::{Bool, Choice, ConfigFile, Count, Ip, Millis, Networks, Number, Path, Port, Text},
    kind::{Kind::Checked, unused},
    setting::{Group, Setting, settings},
};

settings! { SERVER, "Server", "Ports, addresses, threads.";
    /// The configuration file: Soketi's JSON or Bowline's TOML, told by its extension, otherwise by its content.
    /// The flag `--config` wins. A missing or broken file stops the start.
    "config" "CONFIG": ConfigFile, "";
    /// Address of the main port; `::` is dual stack, IPv4 and IPv6.
    "host" "HOST": Ip(|d, v| d.config.server.host = v), "0.0.0.0";
    /// Main port: WebSockets and the HTTP API. 0 lets the system choose and the log says what it chose.
    "port" "PORT": Port(|d, v| d.config.server.port = v), "6001";
    /// Put before every route of both ports; begins with `/` and does not end with it.
    "pathPrefix" "PATH_PREFIX": Checked(is_path_prefix, "nothing, or a path that begins with `/` and does not end with it",
        |d, v| d.config.server.path_prefix = v), "";
    /// What this process does: `full` everything, `server` the same with its own webhooks only,
    /// `worker` webhooks of a shared queue only: `/` and `/ready` on the main port, the rest 404.
    "mode" "MODE": Choice(&["full", "server", "worker"], |d, v| d.config.server.mode = mode(v)), "full";
    /// Threads that own sockets. Not set: one per core this process may use.
    "shards" "SHARDS": Count(1, 64, |d, v| d.config.server.shards = v), "";
    /// Address of the listener that `API_PORT` opens. Not set: that of the main port.
    "api.host" "API_HOST": Ip(|d, v| d.api_host = Some(v)), "";
    /// A listener of its own for `/apps`; the main port then answers 404 there. 0: none.
    "api.port" "API_PORT": Port(|d, v| d.api_port = v), "0";
    /// Path of a Unix socket that serves what the main port serves. Empty: none.
    "unixSocket" "UNIX_SOCKET": Path(|d, v| d.config.server.unix_socket = path(v)), "";
    /// Open the main port with `SO_REUSEPORT`. Off, a second server on the port is an error.
    "reusePort" "REUSE_PORT": Bool(|d, v| d.config.server.reuse_port = v), "false";
    /// Expect PROXY protocol v1 or v2 from the networks in `TRUSTED_PROXIES`.
    "proxyProtocol" "PROXY_PROTOCOL": Bool(|d, v| d.config.server.proxy_protocol = v), "false";
    /// Networks whose PROXY lines and `X-Forwarded-For` are believed.
    "trustedProxies" "TRUSTED_PROXIES": Networks(|d, v| d.config.server.trusted_proxies = v), "[]";
    /// `/accept-traffic` answers 503 above this percentage of memory.
    "httpApi.acceptTraffic.memoryThreshold" "HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD":
        Number(0.0, 100.0, |d, v| d.config.server.accept_traffic_percent_max = v), "85";
    /// Serve the demo page on public addresses too; the flag is `--demo`. Off, it is served where every listener is bound to loopback.
    "demo" "DEMO": Bool(|d, v| d.config.server.demo = v), "false";
    /// Ignored: Soketi puts it into the `User-Agent` of webhooks.
    "instance.process_id" "INSTANCE_PROCESS_ID": Text(unused), "", .ignored();
}

settings! { TLS, "TLS", "Certificate and key together switch the main port and the API listener to TLS; changed files are read again.";
    /// Certificate chain, PEM.
    "ssl.certPath" "SSL_CERT": Path(|d, v| d.tls.cert = path(v)), "";
    /// Private key, PEM.
    "ssl.keyPath" "SSL_KEY": Path(|d, v| d.tls.key = path(v)), "";
    /// Passphrase of the key.
    "ssl.passphrase" "SSL_PASS": Text(|d, v| d.tls.passphrase = Some(v).filter(|v| !v.is_empty()).map(Secret)), "", .secret();
    /// Further certificates of the chain, PEM.
    "ssl.caPath" "SSL_CA": Path(|d, v| d.tls.ca = path(v)), "";
}

settings! { STOPPING, "Stopping", "What happens between the signal and the exit.";
    /// Bound of the whole stop, from the signal to the exit.
    "shutdownGracePeriod" "SHUTDOWN_GRACE_PERIOD": Millis(0, |d, v| d.config.shutdown.grace = v), "3000";
    /// After the signal `/ready` is 503 and all else goes on for so long.
    "drainDelay" "SHUTDOWN_DRAIN_DELAY": Millis(0, |d, v| d.config.shutdown.drain_delay = v), "0";
    /// Sockets are closed evenly over so long. Not set: half the grace period. It and the drain delay are cut to fit the grace period.
    "shutdownSpread" "SHUTDOWN_SPREAD": Millis(0, |d, v| d.spread = Some(v)), "";
}

fn mode(word: &str) -> Mode {
    match word {
        "server" => Mode::Server,
        "worker" => Mode::Worker,
        _ => Mode::Full,
    }
}

fn path(path: PathBuf) -> Option<PathBuf> {
    Some(path).filter(|path| !path.as_os_str().is_empty())
}

fn is_path_prefix(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '%' | '\\' | '"');
    text.is_empty() || (text.starts_with('/') && !text.ends_with('/') && text.chars().all(plain))
}
