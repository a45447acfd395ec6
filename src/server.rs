//! Brings the process up: limits, listeners, shards, the few background tasks; takes it down again by the one story in `drain`.

mod listeners;
mod tls;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    config::{Config, Reloader},
    demo,
    directory::Message,
    drain,
    http::{self, HttpState},
    metrics,
    node::{Node, Parts},
    notify,
    shard::{self, Seat, Shard},
    webhook::Webhooks,
};

use listeners::Bound;

/// How often changed files are looked for.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Descriptors that are not client connections: listeners, polls, logs, webhooks.
const DESCRIPTORS_RESERVED: u64 = 128;

/// What only starting shows.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken, or not ours to take.
    #[error("cannot listen on {address} ({kind}); is another server running there?")]
    Listen {
        /// Address and port, or path.
        address: String,
        /// What it is for.
        kind: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use the TLS file {path}: {reason}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The system refused something else.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
    /// The recorder of metrics was there already.
    #[error("cannot start the metrics: {0}")]
    Metrics(String),
}

/// Runs the server until a signal ends it. Returns when everything that could be saved is.
pub fn run(config: Config, reloader: Reloader) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(config, reloader))
}

async fn serve(config: Config, reloader: Reloader) -> Result<(), StartError> {
    let tls = config.tls.as_ref().map(tls::load).transpose()?;
    let bound = listeners::bind(&config.server)?;
    let ops = listeners::ops(&config.metrics)?;
    let port = bound.port;
    let prometheus = metrics::install(&config.metrics).map_err(StartError::Metrics)?;
    let (seats, inboxes): (Vec<Seat>, Vec<_>) = (0..config.server.shards)
        .map(shard::seat)
        .collect::<io::Result<Vec<_>>>()?
        .into_iter()
        .unzip();
    let webhooks = Webhooks::start(&config.webhooks, &tokio::runtime::Handle::current());
    let (shutdown, config_tls) = (config.shutdown, config.tls.clone());
    let node = Arc::new(Node::new(Parts {
        config: config.clone(),
        inboxes,
        webhooks,
        tls,
        port,
    }));
    let state = HttpState::new(Arc::clone(&node), &config, prometheus.clone());
    let ops_address = ops.local_addr()?;
    tokio::spawn(serve_ops(ops, http::ops_router(state.clone())));
    warn_of_descriptors(&config, raise_descriptor_limit());
    let signals = Signals::new()?;
    let mut router = http::router(state);
    if demo::is_allowed(&config.server, &config.metrics) {
        router = router.merge(demo::router(Arc::clone(&node)));
    }
    let shards = start_shards(&node, &router, seats, bound)?;
    announce(&config, port, ops_address);
    notify::tell(notify::State::Ready);
    tokio::spawn(sweep(Arc::clone(&node), prometheus));
    let watcher = Watcher {
        node: Arc::clone(&node),
        reloader,
        tls: config_tls,
    };
    let mut signals = watcher.until_told_to_stop(signals).await;
    notify::tell(notify::State::Stopping);
    let stopping = drain::run(&node, shutdown);
    tokio::select! {
        () = stopping => {}
        () = signals.stop() => tracing::warn!("a second signal: stopping at once"),
    }
    node.directory.broadcast(|| Message::Stop);
    for shard in shards {
        // A shard that panicked has ended the process already.
        drop(shard.join());
    }
    tracing::info!("stopped");
    Ok(())
}

fn start_shards(
    node: &Arc<Node>,
    router: &axum::Router,
    seats: Vec<Seat>,
    bound: Bound,
) -> Result<Vec<std::thread::JoinHandle<()>>, StartError> {
    let runtime = tokio::runtime::Handle::current();
    let mut listening = Some(bound.listening);
    let mut threads = Vec::new();
    for (index, seat) in seats.into_iter().enumerate() {
        let (node, router, runtime) = (Arc::clone(node), router.clone(), runtime.clone());
        let listening = listening.take().unwrap_or_default();
        let body = move || {
            let _entered = runtime.enter();
            let run = std::panic::AssertUnwindSafe(|| {
                match Shard::new(index, node, router, seat, listening) {
                    Ok(shard) => shard.run(),
                    Err(error) => tracing::error!(%error, shard = index, "a shard cannot start"),
                }
            });
            if std::panic::catch_unwind(run).is_err() {
                tracing::error!(
                    shard = index,
                    "a shard has panicked, which is a bug; ending the process so that its supervisor starts it anew"
                );
                std::process::exit(70);
            }
        };
        threads.push(
            std::thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(body)?,
        );
    }
    Ok(threads)
}

async fn serve_ops(listener: std::net::TcpListener, router: axum::Router) {
    let served = match TcpListener::from_std(listener) {
        Ok(listener) => axum::serve(listener, router).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "the monitoring port is closed");
    }
}

/// Frees what has expired, once a second.
async fn sweep(node: Arc<Node>, prometheus: PrometheusHandle) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        node.directory.sweep();
        node.cache.sweep();
        node.limiter.sweep();
        prometheus.run_upkeep();
    }
}

fn announce(config: &Config, port: u16, ops: SocketAddr) {
    let server = &config.server;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        shards = server.shards,
        apps = config.apps.len(),
        tls = config.tls.is_some(),
        "bowline is up"
    );
    if let Some(path) = &server.unix_socket {
        println!("listening address={} kind=unix", path.display());
    }
    if let Some((host, port)) = server.api {
        println!("listening address={} kind=api", SocketAddr::new(host, port));
    }
    println!("listening address={ops} kind=metrics");
    println!(
        "listening address={} kind=main",
        SocketAddr::new(server.host, port)
    );
    if !config.log.json && config.apps.iter().any(|app| &*app.key.0 == "app-key") {
        println!("\n{}", demo::hello(config, port));
    }
}

/// The soft limit becomes the hard one; `None` if the system does not say.
fn raise_descriptor_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the descriptor limit could not be raised");
            limit.current
        }
    }
}

fn warn_of_descriptors(config: &Config, limit: Option<u64>) {
    let Some(limit) = limit else { return };
    let room = limit.saturating_sub(DESCRIPTORS_RESERVED);
    tracing::info!(
        descriptors = limit,
        connections_max = room,
        "descriptor limit"
    );
    let wanted: u64 = config
        .apps
        .iter()
        .filter_map(|app| app.connections_max)
        .map(u64::from)
        .sum();
    if room < wanted || limit < 4096 {
        tracing::warn!(
            descriptors = limit,
            connections_configured = wanted,
            "the descriptor limit is too low: raise it (LimitNOFILE= in systemd, ulimits in Compose, ulimit -n) or connections will be refused"
        );
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Re-reads what may change while the server runs.
struct Watcher {
    node: Arc<Node>,
    reloader: Reloader,
    tls: Option<crate::config::Tls>,
}

impl Watcher {
    async fn until_told_to_stop(self, mut signals: Signals) -> Signals {
        let mut look = tokio::time::interval(WATCH_EVERY);
        let mut seen = self.stamps();
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return signals,
                _ = signals.interrupt.recv() => return signals,
                _ = signals.hang_up.recv() => {
                    tracing::info!("SIGHUP: reading certificates and apps again");
                    seen = self.stamps();
                    self.reload();
                }
                _ = look.tick() => {
                    let now = self.stamps();
                    if now != seen {
                        seen = now;
                        tracing::info!("a file has changed: reading certificates and apps again");
                        self.reload();
                    }
                }
            }
        }
    }

    /// When the watched files last changed; a file that is away for a moment has no stamp.
    fn stamps(&self) -> Vec<Option<(std::time::SystemTime, u64)>> {
        let tls = self
            .tls
            .iter()
            .flat_map(|tls| {
                [
                    Some(&tls.cert_path),
                    Some(&tls.key_path),
                    tls.ca_path.as_ref(),
                ]
            })
            .flatten();
        let files = self
            .reloader
            .file()
            .into_iter()
            .chain(tls.map(PathBuf::as_path));
        files
            .map(|file| {
                std::fs::metadata(file)
                    .ok()
                    .and_then(|meta| Some((meta.modified().ok()?, meta.len())))
            })
            .collect()
    }

    fn reload(&self) {
        if let (Some(files), Some(current)) = (&self.tls, &self.node.tls) {
            match tls::load(files) {
                Ok(config) => current.store(Arc::new(config)),
                Err(error) => tracing::error!(%error, "the certificate was not changed"),
            }
        }
        match self.reloader.reload() {
            Ok(reload) => {
                reload
                    .warnings
                    .iter()
                    .for_each(|warning| tracing::warn!("{warning}"));
                for key in &reload.other_changed_keys {
                    tracing::warn!(key, "this setting has changed and needs a restart");
                }
                self.node.reload_apps(&reload.apps);
                tracing::info!(apps = reload.apps.len(), "apps were read again");
            }
            Err(errors) => tracing::error!("the configuration was not changed: {errors}"),
        }
    }
}
