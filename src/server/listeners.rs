//! Binding: exclusively, dual stack, with the socket options that every accepted connection inherits.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::FileTypeExt,
    path::Path,
};

use mio::net;
use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use crate::{
    config::{Metrics, Server},
    http::Listener,
    shard::Listening,
};

/// Connections the kernel keeps for us; it cuts this to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Bytes the kernel keeps for a peer that does not read: with its own growing default memory would not be ours to bound.
const SEND_BUFFER_BYTES: usize = 128 << 10;

/// Bytes not sent yet beyond which the kernel takes no more, so that what waits does so in the outbox, where it is counted.
const UNSENT_BYTES: u32 = 64 << 10;

/// Sockets that clients come by.
pub(super) struct Bound {
    pub(super) listening: Vec<Listening>,
    pub(super) port: u16,
}

pub(super) fn bind(config: &Server) -> Result<Bound, StartError> {
    let main = tcp(config.host, config.port, config.reuse_port, "main port")?;
    let port = main.local_addr()?.port();
    let mut listening = vec![Listening::Tcp(main, Listener::Main)];
    if let Some((host, port)) = config.api {
        listening.push(Listening::Tcp(
            tcp(host, port, false, "API")?,
            Listener::Api,
        ));
    }
    if let Some(path) = &config.unix_socket {
        let refused = |source| StartError::Listen {
            address: path.display().to_string(),
            kind: "Unix socket",
            source,
        };
        remove_stale(path).map_err(refused)?;
        listening.push(Listening::Unix(
            net::UnixListener::bind(path).map_err(refused)?,
        ));
    }
    Ok(Bound { listening, port })
}

/// The monitoring port; tokio's, not a shard's.
pub(super) fn ops(config: &Metrics) -> Result<std::net::TcpListener, StartError> {
    let address = SocketAddr::new(config.host, config.port);
    let bound = socket(address, false).map(std::net::TcpListener::from);
    bound.map_err(|source| StartError::Listen {
        address: address.to_string(),
        kind: "monitoring port",
        source,
    })
}

fn tcp(
    host: IpAddr,
    port: u16,
    reuse_port: bool,
    kind: &'static str,
) -> Result<net::TcpListener, StartError> {
    let address = SocketAddr::new(host, port);
    let bound = socket(address, reuse_port).map(|socket| net::TcpListener::from_std(socket.into()));
    bound.map_err(|source| StartError::Listen {
        address: address.to_string(),
        kind,
        source,
    })
}

fn socket(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    // An old connection in TIME_WAIT is no other server.
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// A socket that a killed server left behind; one that answers belongs to a living one.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)
        }
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the path exists and is no socket",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
