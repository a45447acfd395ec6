//! One client's byte stream, non-blocking: plain TCP, a Unix socket, or TLS over TCP. Must not know what the bytes mean.

use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    sync::Arc,
};

use mio::{Interest, Registry, Token, event::Source, net};
use rustls::{ServerConfig, ServerConnection};

/// Plain text that rustls may hold for a socket that does not read.
const TLS_BUFFER_BYTES: usize = 64 << 10;

/// A client's stream.
#[derive(Debug)]
pub enum Link {
    /// Plain TCP.
    Tcp(net::TcpStream),
    /// A Unix socket.
    Unix(net::UnixStream),
    /// TLS over TCP.
    Tls(Box<Tls>),
}

/// A TLS session and its TCP stream.
#[derive(Debug)]
pub struct Tls {
    tcp: net::TcpStream,
    session: ServerConnection,
}

impl Link {
    /// Puts TLS on an accepted TCP stream.
    pub fn tls(tcp: net::TcpStream, config: &Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let mut session = ServerConnection::new(Arc::clone(config))?;
        session.set_buffer_limit(Some(TLS_BUFFER_BYTES));
        Ok(Self::Tls(Box::new(Tls { tcp, session })))
    }

    /// Reads what is there; `WouldBlock` when nothing is, 0 at the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(buffer),
            Self::Unix(unix) => unix.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Writes as much as the other side takes now.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(bytes),
            Self::Unix(unix) => unix.write(bytes),
            Self::Tls(tls) => tls.write(&[IoSlice::new(bytes)]),
        }
    }

    /// Writes as much as the other side takes now, in one system call.
    pub fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write_vectored(slices),
            Self::Unix(unix) => unix.write_vectored(slices),
            Self::Tls(tls) => tls.write(slices),
        }
    }

    /// Sends what TLS still holds; `false` if the other side does not take it now. Always `true` without TLS.
    pub fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Ok(true),
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// A read that does not fill the buffer has taken all there was; TLS may hold more in itself.
    pub fn is_drained_by_short_read(&self) -> bool {
        !matches!(self, Self::Tls(_))
    }

    /// Ends our direction, so that the peer sees the end after all that was written.
    pub fn shutdown(&mut self) {
        // The stream may be gone already; then there is nothing to end.
        let _ = match self {
            Self::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            Self::Unix(unix) => unix.shutdown(Shutdown::Write),
            Self::Tls(tls) => {
                tls.session.send_close_notify();
                let _ = tls.flush();
                tls.tcp.shutdown(Shutdown::Write)
            }
        };
    }

    /// The next close resets the connection instead of waiting for unsent bytes.
    pub fn reset_on_close(&self) {
        let tcp = match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => &tls.tcp,
            Self::Unix(_) => return,
        };
        if let Err(error) = socket2::SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO))
        {
            tracing::debug!(%error, "a connection could not be set to reset");
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Unix(unix) => unix,
            Self::Tls(tls) => &mut tls.tcp,
        }
    }

    /// Begins to be told of readiness.
    pub fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        registry.register(self.source(), token, interest)
    }

    /// Changes what is told.
    pub fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        registry.reregister(self.source(), token, interest)
    }
}

impl Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A peer that cuts the connection without close_notify has ended it all the same.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                done => return done,
            }
            let end = self.session.read_tls(&mut self.tcp)? == 0;
            let state = self.session.process_new_packets();
            if self.session.wants_write() {
                self.flush()?;
            }
            state.map_err(io::Error::other)?;
            if end {
                return Ok(0);
            }
        }
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.flush()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.session.writer().write_vectored(slices)?;
        self.flush()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.tcp) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
