//! This process's operations, each a sequence of steps: publish, count, list, terminate. Must not know axum types or Redis commands.

mod admission;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use serde_json::value::RawValue;

use crate::{
    app::{App, Apps, Tenant},
    cache::{Cache, CachedEvent},
    config::{self, Config},
    directory::{ChannelKey, Directory, Inbox, Message, UserKey},
    limiter::Limiter,
    metrics::NodeMetrics,
    protocol::{
        SocketId, channel::ChannelName, error::ProtocolError, event, frame::Frame, member::UserId,
    },
    webhook::Webhooks,
};

pub use admission::Admission;

/// A publisher waits for a full shard at most ten times so long.
const ROOM_LOOK: Duration = Duration::from_millis(10);
const ROOM_LOOKS: u32 = 10;

/// What the HTTP API publishes: one event to some channels.
#[derive(Debug)]
pub struct Publish<'a> {
    /// The event's name, checked.
    pub name: &'a str,
    /// JSON of any type, forwarded as it came.
    pub data: &'a RawValue,
    /// At most the app's `event_channels_max`.
    pub channels: &'a [ChannelName],
    /// Left out of the delivery, though not of a cache channel's memory.
    pub except: Option<SocketId>,
}

/// A shard could not take the event within 100 ms; it was not delivered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The server is overloaded; the event may have reached some of its subscribers. Try again.")]
pub struct Overloaded;

/// Who is in a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Sockets subscribed.
    pub subscriptions: usize,
    /// Distinct users; presence channels only, else 0.
    pub users: usize,
}

/// A member as the API lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// JSON, its type kept.
    pub id_json: Box<str>,
    /// JSON.
    pub info_json: Box<str>,
}

/// How far the process is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// At work.
    Serving,
    /// Signalled: not ready, but everything goes on.
    NotReady,
    /// Sockets are being closed; new ones are turned away.
    Closing,
}

/// This process.
#[derive(Debug)]
pub struct Node {
    /// Its tenants.
    pub apps: Apps,
    /// Its shards and what they share.
    pub directory: Directory,
    /// Last events of cache channels.
    pub cache: Cache,
    /// Budgets of the REST API.
    pub limiter: Limiter,
    /// The way to the apps' own servers.
    pub webhooks: Webhooks,
    /// Its metrics that belong to no app.
    pub metrics: NodeMetrics,
    /// TLS of the listeners, replaced by a reload.
    pub tls: Option<ArcSwap<rustls::ServerConfig>>,
    /// Ports and proxies.
    pub server: config::Server,
    /// Bounds on clients.
    pub connection: config::Connection,
    /// Sign-in and client-event policy.
    pub protocol: config::Protocol,
    /// Bounds on requests.
    pub http: config::Http,
    addresses: DashMap<IpAddr, u32>,
    nobody: Arc<Tenant>,
    phase: AtomicU8,
}

/// What a node is made of.
#[derive(Debug)]
pub struct Parts {
    /// Its settings.
    pub config: Config,
    /// One way to each shard.
    pub inboxes: Vec<Inbox>,
    /// The way to the apps' own servers.
    pub webhooks: Webhooks,
    /// TLS of the listeners.
    pub tls: Option<rustls::ServerConfig>,
    /// The main port, for metric labels.
    pub port: u16,
}

impl Node {
    /// A node with nothing in it yet.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            config,
            inboxes,
            webhooks,
            tls,
            port,
        } = parts;
        let (prefix, port) = (&config.metrics.prefix, port.to_string());
        Self {
            apps: Apps::new(&config.apps, prefix, &port),
            directory: Directory::new(inboxes),
            cache: Cache::memory(),
            limiter: Limiter::memory(),
            webhooks,
            metrics: NodeMetrics::new(prefix, &port),
            tls: tls.map(ArcSwap::from_pointee),
            server: config.server,
            connection: config.connection,
            protocol: config.protocol,
            http: config.http,
            addresses: DashMap::new(),
            nobody: Arc::new(Tenant::nobody()),
            phase: AtomicU8::new(0),
        }
    }

    /// How far the process is from its end.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Serving,
            1 => Phase::NotReady,
            _ => Phase::Closing,
        }
    }

    /// The process goes on to its next phase.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Delivers an event to every subscriber on this node, and remembers it for cache channels. Returns after hand-off.
    pub async fn publish(
        &self,
        tenant: &Arc<Tenant>,
        event: &Publish<'_>,
    ) -> Result<(), Overloaded> {
        let app = tenant.app();
        let data = event.data.get();
        for name in event.channels {
            if let Some(user) = name.user() {
                let frame = event::published(event.name, name.as_str(), data);
                self.tell_user(tenant, user, &frame);
                continue;
            }
            let sequence = name
                .is_cache()
                .then(|| self.cache.put(&app, &name.shared(), event.name, data));
            let key = ChannelKey {
                tenant: tenant.index,
                name: name.clone(),
            };
            let holders = self.directory.holders(&key);
            if holders.is_empty() {
                continue;
            }
            let frame = event::published(event.name, name.as_str(), data);
            for shard in holders.shards() {
                let inbox = &self.directory.inboxes[shard];
                if inbox.is_full() {
                    wait_for_room(inbox).await?;
                }
                let (channel, frame) = (key.clone(), frame.clone());
                inbox.send(Message::Deliver {
                    channel,
                    frame,
                    except: event.except,
                    sequence,
                });
            }
        }
        Ok(())
    }

    fn tell_user(&self, tenant: &Tenant, user: &str, frame: &Frame) {
        let key = UserKey {
            tenant: tenant.index,
            id: UserId::new(user),
        };
        for socket in self.directory.sockets_of(&key) {
            self.directory.send_to_socket(
                socket,
                Message::Push {
                    socket,
                    frame: frame.clone(),
                },
            );
        }
    }

    /// Channels with at least one subscription whose names begin with `prefix`; hidden ones (`#`) are left out.
    #[expect(clippy::unused_async, reason = "other nodes will be asked here")]
    pub async fn channels(&self, tenant: &Tenant, prefix: &str) -> Vec<(ChannelName, Occupancy)> {
        self.directory.channels(tenant.index, prefix)
    }

    /// Who is in one channel; zeros for one that nobody has.
    #[expect(clippy::unused_async, reason = "other nodes will be asked here")]
    pub async fn occupancy(&self, tenant: &Tenant, channel: &ChannelName) -> Occupancy {
        self.directory.occupancy(&ChannelKey {
            tenant: tenant.index,
            name: channel.clone(),
        })
    }

    /// Members of a presence channel in their order.
    #[expect(clippy::unused_async, reason = "other nodes will be asked here")]
    pub async fn members(&self, tenant: &Tenant, channel: &ChannelName) -> Vec<Listed> {
        let key = ChannelKey {
            tenant: tenant.index,
            name: channel.clone(),
        };
        self.directory.members(&key, |member| Listed {
            id_json: member.id_json.clone(),
            info_json: member.info_json.clone(),
        })
    }

    /// The remembered event of a cache channel.
    #[expect(clippy::unused_async, reason = "other nodes will be asked here")]
    pub async fn cached(&self, tenant: &Tenant, channel: &ChannelName) -> Option<Arc<CachedEvent>> {
        self.cache.get(&tenant.app(), &channel.shared())
    }

    /// Closes every socket that is signed in as the user, with 4009.
    #[expect(clippy::unused_async, reason = "other nodes will be asked here")]
    pub async fn terminate_user(&self, tenant: &Tenant, user: &str) {
        let key = UserKey {
            tenant: tenant.index,
            id: UserId::new(user),
        };
        for socket in self.directory.sockets_of(&key) {
            self.directory.send_to_socket(
                socket,
                Message::Close {
                    socket,
                    error: ProtocolError::Terminated,
                },
            );
        }
    }

    /// Takes a new list of apps. Sockets of apps that are gone or switched off are closed; all others go on under the new settings.
    pub fn reload_apps(&self, apps: &[App]) {
        for gone in self.apps.replace(apps) {
            let app = gone.app();
            self.close_app(&gone, &ProtocolError::UnknownApp(app.key.0.to_string()));
        }
        for tenant in self.apps.all() {
            if !tenant.app().enabled {
                self.close_app(&tenant, &ProtocolError::AppDisabled);
            }
        }
    }

    fn close_app(&self, tenant: &Tenant, error: &ProtocolError) {
        self.directory.broadcast(|| Message::CloseApp {
            tenant: tenant.index,
            error: error.clone(),
        });
    }

    /// Sockets and HTTP connections of all shards.
    pub fn connections(&self) -> usize {
        self.directory.inboxes.iter().map(Inbox::load).sum()
    }
}

async fn wait_for_room(inbox: &Inbox) -> Result<(), Overloaded> {
    for _ in 0..ROOM_LOOKS {
        tokio::time::sleep(ROOM_LOOK).await;
        if !inbox.is_full() {
            return Ok(());
        }
    }
    Err(Overloaded)
}
