//! Tells systemd how far the process is (`Type=notify`): one datagram to the socket that the environment names, and nothing where it
//! names none. `sd_notify(3)`.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{ffi::OsStrExt as _, net::SocketAddr, net::UnixDatagram},
    },
};

/// What the supervisor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Connections are accepted.
    Ready,
    /// The signal has come; the process ends within its grace period.
    Stopping,
}

impl State {
    const fn message(self) -> &'static [u8] {
        match self {
            Self::Ready => b"READY=1\nSTATUS=Accepting connections",
            Self::Stopping => b"STOPPING=1\nSTATUS=Draining",
        }
    }
}

/// Tells the supervisor, if there is one. A failure is logged and changes nothing.
pub fn tell(state: State) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&socket, state) {
        tracing::warn!(%error, ?state, "systemd could not be told");
    }
}

/// `socket` is a path, or begins with `@` and is a name of the abstract name space.
fn send(socket: &OsStr, state: State) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(OsString::from(socket))?,
    };
    UnixDatagram::unbound()?
        .send_to_addr(state.message(), &address)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_abstract_names_are_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("bowline-notify-{}", std::process::id());
        let named = SocketAddr::from_abstract_name(&name).unwrap();
        for (receiver, socket) in [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (
                UnixDatagram::bind_addr(&named).unwrap(),
                format!("@{name}").into(),
            ),
        ] {
            receiver
                .set_read_timeout(Some(std::time::Duration::from_secs(5)))
                .unwrap();
            send(&socket, State::Ready).unwrap();
            let mut buffer = [0; 64];
            let n = receiver.recv(&mut buffer).unwrap();
            assert!(buffer[..n].starts_with(b"READY=1\n"), "{socket:?}");
        }
    }

    #[test]
    fn nobody_listening_is_an_error_and_no_panic() {
        assert!(send(OsStr::new("/nowhere/notify"), State::Stopping).is_err());
    }
}
