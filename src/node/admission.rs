//! Who is let in: app, version, origin, quota, address; and the counts that say so.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{Node, Phase};
use crate::{
    app::{App, Tenant},
    protocol::error::ProtocolError,
};

/// What becomes of a WebSocket that has just shaken hands.
#[derive(Debug)]
pub struct Admission {
    /// Its app; a stand-in without a name where there is none.
    pub tenant: Arc<Tenant>,
    /// Why it must go; `None` lets it in.
    pub refusal: Option<ProtocolError>,
    /// It was counted towards the app's `maxConnections`.
    pub counted: bool,
    /// It must have signed in or joined an authorised channel by then.
    pub authorize_in: Option<Duration>,
    /// The address it was counted for, where addresses are counted.
    pub address: Option<IpAddr>,
}

impl Node {
    /// Decides on a new connection, in Soketi's order, and counts it in.
    pub fn admit(
        &self,
        key: &str,
        version: Option<&str>,
        address: Option<IpAddr>,
        origin_ok: impl Fn(&[String]) -> bool,
    ) -> Admission {
        let tenant = self.apps.by_key(key);
        let app = tenant.as_ref().map(|tenant| tenant.app());
        let refusal = match &app {
            _ if self.phase() == Phase::Closing => Some(ProtocolError::Closing),
            _ if self.protocol.strict_version => check_version(version).err(),
            None => Some(ProtocolError::UnknownApp(key.chars().take(64).collect())),
            Some(app) if !app.enabled => Some(ProtocolError::AppDisabled),
            Some(app) if !origin_ok(&app.allowed_origins) => Some(ProtocolError::OriginNotAllowed),
            Some(_) => None,
        };
        let tenant = tenant.unwrap_or_else(|| Arc::clone(&self.nobody));
        let mut admission = Admission {
            tenant,
            refusal,
            counted: false,
            authorize_in: None,
            address: None,
        };
        if let (None, Some(app)) = (&admission.refusal, app) {
            self.count(&mut admission, &app, address);
        }
        admission
    }

    fn count(&self, admission: &mut Admission, app: &App, address: Option<IpAddr>) {
        let must_authorize = app.user_authentication && self.protocol.signin_required;
        if let Err(error) = self.count_address(address) {
            admission.refusal = Some(error);
            return;
        }
        admission.address = address.filter(|_| self.connection.per_address_max.is_some());
        let counted = self.protocol.count_unauthorized || !must_authorize;
        let room = if counted {
            self.count_in(&admission.tenant)
        } else {
            self.has_room(&admission.tenant)
        };
        if let Err(error) = room {
            if let Some(address) = admission.address.take() {
                self.forget_address(address);
            }
            admission.refusal = Some(error);
            return;
        }
        admission.counted = counted;
        admission.authorize_in = must_authorize.then_some(self.protocol.signin_timeout);
        admission.tenant.connections.fetch_add(1, Ordering::Relaxed);
        admission.tenant.metrics.new_connections.increment(1);
    }

    /// Counts a socket towards its app's `maxConnections`, if there is room.
    pub fn count_in(&self, tenant: &Tenant) -> Result<(), ProtocolError> {
        let max = tenant.app().connections_max.unwrap_or(u32::MAX);
        let room = tenant
            .counted
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n < max).then_some(n + 1)
            });
        room.map(drop).map_err(|_| ProtocolError::OverQuota {
            code: self.protocol.quota_code,
        })
    }

    fn has_room(&self, tenant: &Tenant) -> Result<(), ProtocolError> {
        let full = tenant
            .app()
            .connections_max
            .is_some_and(|max| tenant.counted.load(Ordering::Relaxed) >= max);
        if full {
            Err(ProtocolError::OverQuota {
                code: self.protocol.quota_code,
            })
        } else {
            Ok(())
        }
    }

    /// An accepted connection has ended.
    pub fn count_gone(&self, tenant: &Tenant, counted: bool) {
        tenant.connections.fetch_sub(1, Ordering::Relaxed);
        tenant.metrics.new_disconnections.increment(1);
        if counted {
            tenant.counted.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn count_address(&self, address: Option<IpAddr>) -> Result<(), ProtocolError> {
        let (Some(address), Some(max)) =
            (address.map(neighbourhood), self.connection.per_address_max)
        else {
            return Ok(());
        };
        let mut count = self.addresses.entry(address).or_default();
        if *count >= max {
            return Err(ProtocolError::TooManyFromAddress);
        }
        *count += 1;
        Ok(())
    }

    /// A connection that was counted for its address has ended.
    pub fn forget_address(&self, address: IpAddr) {
        if let dashmap::Entry::Occupied(mut entry) = self.addresses.entry(neighbourhood(address)) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

fn check_version(version: Option<&str>) -> Result<(), ProtocolError> {
    match version.map(str::parse::<u32>) {
        None => Err(ProtocolError::VersionMissing),
        Some(Err(_)) => Err(ProtocolError::VersionInvalid),
        Some(Ok(5..=7)) => Ok(()),
        Some(Ok(_)) => Err(ProtocolError::VersionUnsupported),
    }
}

/// One client's addresses: an IPv6 client has a whole /64.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}
