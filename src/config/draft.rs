//! Values on their way into [`Config`]: those of which two make one, and the combinations that cannot be right.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::{
    Config, Mode, Secret, Tls,
    load::Given,
    problem::{Problem, Report, Source},
};

/// A configuration being filled.
pub(crate) struct Draft {
    pub(crate) config: Config,
    pub(crate) tls: TlsDraft,
    pub(crate) api_host: Option<IpAddr>,
    pub(crate) api_port: u16,
    pub(crate) spread: Option<Duration>,
    pub(crate) batching: bool,
    pub(crate) batching_duration: Duration,
    pub(crate) debug: bool,
    pub(crate) log_level: Option<String>,
    pub(crate) rate_limiter: &'static str,
    pub(crate) cluster: Cluster,
    /// Fewest and most connections to a SQL database.
    pub(crate) pool: (usize, usize),
}

/// Of these the first two belong together.
#[derive(Default)]
pub(crate) struct TlsDraft {
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) passphrase: Option<Secret>,
    pub(crate) ca: Option<PathBuf>,
}

/// Times of Soketi's own cluster protocol, checked only.
pub(crate) struct Cluster {
    pub(crate) check: Duration,
    pub(crate) node: Duration,
    pub(crate) master: Duration,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            config: Config::default(),
            tls: TlsDraft::default(),
            api_host: None,
            api_port: 0,
            spread: None,
            batching: false,
            batching_duration: Duration::from_millis(50),
            debug: false,
            log_level: None,
            rate_limiter: "local",
            cluster: Cluster {
                check: Duration::from_millis(500),
                node: Duration::from_secs(2),
                master: Duration::from_secs(2),
            },
            pool: (0, 7),
        }
    }
}

impl Draft {
    /// The finished configuration, apps apart. Reports what cannot be right together.
    pub(crate) fn finish(mut self, given: &Given, report: &mut Report) -> Config {
        self.check_unused(given, report);
        self.finish_tls(given, report);
        self.finish_ports(given, report);
        self.finish_shutdown(report);
        let config = &mut self.config;
        if self.batching {
            config.webhooks.batching = Some(self.batching_duration);
        }
        if let Some(level) = self.log_level {
            config.log.level = level;
        } else if self.debug {
            config.log.level = "debug".into();
        }
        if self.rate_limiter == "cluster" {
            report.warn("rateLimiter.driver: `cluster` counts per node here, as `local`".into());
        }
        if config.server.mode == Mode::Worker {
            report.warn(
                "mode: a worker without a shared queue has no webhooks to send; this server has the queue driver `sync` only".into(),
            );
        }
        if config.server.proxy_protocol && config.server.trusted_proxies.is_empty() {
            report.warn(
                "proxyProtocol: on, but trustedProxies is empty, so no PROXY line is believed"
                    .into(),
            );
        }
        self.config
    }

    fn finish_tls(&mut self, given: &Given, report: &mut Report) {
        let tls = std::mem::take(&mut self.tls);
        match (tls.cert, tls.key) {
            (Some(cert_path), Some(key_path)) => {
                self.config.tls = Some(Tls {
                    cert_path,
                    key_path,
                    passphrase: tls.passphrase,
                    ca_path: tls.ca,
                });
            }
            (Some(_), None) => report.refuse(missing("ssl.keyPath", "ssl.certPath", given)),
            (None, Some(_)) => report.refuse(missing("ssl.certPath", "ssl.keyPath", given)),
            (None, None) => {
                for (key, set) in [
                    ("ssl.passphrase", tls.passphrase.is_some()),
                    ("ssl.caPath", tls.ca.is_some()),
                ] {
                    if set {
                        report.warn(format!(
                            "{key}: no effect without ssl.certPath and ssl.keyPath"
                        ));
                    }
                }
            }
        }
    }

    fn finish_ports(&mut self, given: &Given, report: &mut Report) {
        let server = &mut self.config.server;
        let api_host = self.api_host.unwrap_or(server.host);
        if self.api_port > 0 {
            server.api = Some((api_host, self.api_port));
        } else if self.api_host.is_some() {
            report.warn("api.host: no effect without api.port".into());
        }
        let metrics = (&self.config.metrics.host, self.config.metrics.port);
        let main = (&server.host, server.port);
        let api = server.api.as_ref().map(|(host, port)| (host, *port));
        let mut clash = |key, other: &str, port: u16| {
            report.refuse(Problem {
                key: String::from(key),
                source: given.source(key),
                given: Some(port.to_string()),
                wrong: format!(
                    "{other} has the same port and an overlapping address; accepted: another port"
                ),
            });
        };
        if overlap(metrics, main) {
            clash("metrics.port", "port", metrics.1);
        }
        if let Some(api) = api {
            if overlap(api, main) {
                clash("api.port", "port", api.1);
            }
            if overlap(api, metrics) {
                clash("api.port", "metrics.port", api.1);
            }
        }
    }

    fn finish_shutdown(&mut self, report: &mut Report) {
        let stop = &mut self.config.shutdown;
        stop.spread = self.spread.unwrap_or(stop.grace / 2);
        let (drain, spread) = (stop.drain_delay, stop.spread);
        stop.drain_delay = drain.min(stop.grace);
        stop.spread = spread.min(stop.grace.saturating_sub(stop.drain_delay));
        if drain + spread > stop.grace {
            report.warn(format!(
                "drainDelay {} ms and shutdownSpread {} ms are longer than shutdownGracePeriod {} ms together; cut to {} ms and {} ms",
                drain.as_millis(),
                spread.as_millis(),
                stop.grace.as_millis(),
                stop.drain_delay.as_millis(),
                stop.spread.as_millis(),
            ));
        }
    }

    /// Rules between options of drivers that are not here, as Soketi holds them.
    fn check_unused(&self, given: &Given, report: &mut Report) {
        let mut refuse = |key: &'static str, value: u128, wrong: String| {
            report.refuse(Problem {
                key: key.into(),
                source: given.source(key),
                given: Some(value.to_string()),
                wrong,
            });
        };
        let times = &self.cluster;
        let node = times.node.as_millis();
        if times.check > times.node {
            refuse(
                "cluster.checkInterval",
                times.check.as_millis(),
                format!("accepted: at most cluster.nodeTimeout, which is {node}"),
            );
        }
        if times.master < times.node {
            refuse(
                "cluster.masterTimeout",
                times.master.as_millis(),
                format!("accepted: at least cluster.nodeTimeout, which is {node}"),
            );
        }
        let (least, most) = self.pool;
        if least > most {
            refuse(
                "databasePooling.min",
                least as u128,
                format!("accepted: at most databasePooling.max, which is {most}"),
            );
        }
    }
}

fn missing(key: &str, present: &str, given: &Given) -> Problem {
    Problem {
        key: key.into(),
        source: Source::Default,
        given: None,
        wrong: format!(
            "not set, but {present} is ({}); TLS needs both, accepted: the path of a PEM file",
            given.source(present)
        ),
    }
}

/// Whether the two could not be bound side by side.
fn overlap(a: (&IpAddr, u16), b: (&IpAddr, u16)) -> bool {
    let any = a.0.is_unspecified() || b.0.is_unspecified();
    a.1 != 0 && a.1 == b.1 && (any || a.0 == b.0)
}
