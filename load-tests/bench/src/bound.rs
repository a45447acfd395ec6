//! The physical bounds, each a process of its own on the server's core: what the kernel alone costs.

use crate::{machine::Cores, server::Process, wire};
use anyhow::{Context, ensure};
use mio::{Events, Interest, Poll, Token};
use nix::sys::{prctl::set_pdeathsig, signal::Signal};
use slab::Slab;
use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
};

/// The channel that the bare loop names in its frames.
pub(crate) const CHANNEL: &str = "bench";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Bound {
    /// Writes to all its connections, one after the other, when told to.
    Send,
    /// Answers every request with the same 200.
    Http,
}

impl Bound {
    /// Starts it; `subscribers` is how many connections follow the first, which controls it.
    pub(crate) fn start(
        self,
        cores: Cores,
        subscribers: usize,
    ) -> anyhow::Result<(Process, SocketAddr)> {
        let name = match self {
            Self::Send => "send",
            Self::Http => "http",
        };
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--bound", name, "--subscribers", &subscribers.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command, cores)?;
        let output = process
            .child
            .stdout
            .take()
            .context("the bound has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port: u16 = line.trim().parse().context("the bound names no port")?;
        Ok((process, SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
    }

    /// The child's whole life: ends with its parent.
    pub(crate) fn live(self, subscribers: usize) -> anyhow::Result<()> {
        // No second thread to wait for it: sharing descriptors would make every call dearer.
        set_pdeathsig(Signal::SIGKILL)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        println!("{}", listener.local_addr()?.port());
        match self {
            Self::Send => send_when_told(&listener, subscribers),
            Self::Http => answer_all(listener),
        }
    }
}

/// Tells the bare loop to send events `first` and following, `frames_per_write` in one write to each.
pub(crate) fn order(first: u32, frames_per_write: u32) -> [u8; 8] {
    let mut order = [0; 8];
    order[..4].copy_from_slice(&first.to_be_bytes());
    order[4..].copy_from_slice(&frames_per_write.to_be_bytes());
    order
}

fn send_when_told(listener: &TcpListener, subscribers: usize) -> anyhow::Result<()> {
    let (mut control, _) = listener.accept()?;
    let mut sockets = Vec::with_capacity(subscribers);
    for _ in 0..subscribers {
        sockets.push(let_in(listener)?);
    }
    let mut order = [0; 8];
    let mut bytes = Vec::new();
    loop {
        control.read_exact(&mut order)?;
        let (first, frames) = order.split_at(4);
        let first = u32::from_be_bytes(first.try_into()?);
        let frames = u32::from_be_bytes(frames.try_into()?);
        bytes.clear();
        for number in first..first + frames {
            let event = wire::event(CHANNEL, number);
            bytes.extend_from_slice(&wire::server_text(event.as_bytes()));
        }
        for socket in &mut sockets {
            socket.write_all(&bytes)?;
        }
    }
}

/// A subscriber whose socket has the same past as a server's: how it acknowledges depends on that.
fn let_in(listener: &TcpListener) -> anyhow::Result<TcpStream> {
    const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    const ESTABLISHED: &[u8] = br#"{"event":"pusher:connection_established","data":"{}"}"#;
    const SUCCEEDED: &[u8] = br#"{"event":"pusher_internal:subscription_succeeded"}"#;
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    let mut request = [0; 1024];
    // Both requests are small and come whole.
    for answer in [
        [SWITCHING, &wire::server_text(ESTABLISHED)].concat(),
        wire::server_text(SUCCEEDED),
    ] {
        let read_bytes = socket.read(&mut request)?;
        ensure!(read_bytes > 0, "a subscriber left");
        socket.write_all(&answer)?;
    }
    Ok(socket)
}

fn answer_all(listener: TcpListener) -> anyhow::Result<()> {
    const LISTENER: Token = Token(usize::MAX);
    listener.set_nonblocking(true)?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut clients: Slab<mio::net::TcpStream> = Slab::new();
    let mut buffer = vec![0; 65536];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut client, _)) = listener.accept() {
                    client.set_nodelay(true)?;
                    let entry = clients.vacant_entry();
                    let token = Token(entry.key());
                    poll.registry()
                        .register(&mut client, token, Interest::READABLE)?;
                    entry.insert(client);
                }
            } else if let Some(client) = clients.get_mut(event.token().0)
                && is_done(client, &mut buffer)
            {
                clients.remove(event.token().0);
            }
        }
    }
}

/// Answers a request, which always comes whole; whether the client is gone.
fn is_done(client: &mut mio::net::TcpStream, buffer: &mut [u8]) -> bool {
    match client.read(buffer) {
        Ok(0) => true,
        Ok(count) => is_whole(&buffer[..count]) && client.write_all(ANSWER).is_err(),
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

fn is_whole(request: &[u8]) -> bool {
    const LENGTH: &[u8] = b"\r\nContent-Length: ";
    let Some(head) = memchr::memmem::find(request, b"\r\n\r\n") else {
        return false;
    };
    let Some(length) = memchr::memmem::find(&request[..head], LENGTH) else {
        return false;
    };
    let digits = request[length + LENGTH.len()..head]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let body = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    request.len() >= head + 4 + body
}
