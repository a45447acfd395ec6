//! The byte streams under a client: TCP, a Unix socket, TLS.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// One connection, whatever carries it.
pub(crate) enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsIo>),
}

impl Io {
    pub(crate) async fn tcp(address: SocketAddr) -> Self {
        let stream = super::within("a TCP connection", TcpStream::connect(address))
            .await
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self::Tcp(stream)
    }

    pub(crate) async fn unix(path: &Path) -> Self {
        Self::Unix(UnixStream::connect(path).await.unwrap())
    }

    /// Reads what there is into `buffer`; 0 or an error means that the connection has ended.
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read_buf(buffer).await,
            Self::Unix(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Unix(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => stream.write(bytes).await,
        }
    }

    /// Says that nothing more will be written; reading goes on.
    pub(crate) async fn shut_write(&mut self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown().await,
            Self::Unix(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.tcp.shutdown().await,
        };
    }

    pub(crate) fn tcp_stream(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => &stream.tcp,
            Self::Unix(_) => panic!("a Unix socket has no TCP stream"),
        }
    }
}

/// rustls driven by hand over a TCP stream.
pub(crate) struct TlsIo {
    tls: rustls::ClientConnection,
    tcp: TcpStream,
}

impl TlsIo {
    /// Shakes hands as a client that trusts `config`'s roots and asks for `localhost`.
    pub(crate) async fn connect(
        address: SocketAddr,
        config: Arc<rustls::ClientConfig>,
    ) -> std::io::Result<Self> {
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let tls = rustls::ClientConnection::new(config, name).unwrap();
        let mut this = Self {
            tls,
            tcp: TcpStream::connect(address).await?,
        };
        while this.tls.is_handshaking() {
            this.flush().await?;
            if this.tls.is_handshaking() && this.fill().await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        this.flush().await?;
        Ok(this)
    }

    /// The certificate that the server showed, DER.
    pub(crate) fn server_certificate(&self) -> Vec<u8> {
        self.tls.peer_certificates().unwrap()[0].to_vec()
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        let mut out = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut out)?;
        }
        self.tcp.write_all(&out).await
    }

    async fn fill(&mut self) -> std::io::Result<usize> {
        let mut raw = vec![0; 16 * 1024];
        let got = self.tcp.read(&mut raw).await?;
        let mut rest = &raw[..got];
        while !rest.is_empty() {
            self.tls.read_tls(&mut rest)?;
            self.tls
                .process_new_packets()
                .map_err(std::io::Error::other)?;
        }
        Ok(got)
    }

    async fn read(&mut self, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
        loop {
            let mut plain = [0; 4096];
            match self.tls.reader().read(&mut plain) {
                Ok(got) => {
                    buffer.extend_from_slice(&plain[..got]);
                    return Ok(got);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            self.flush().await?;
            if self.fill().await? == 0 {
                return Ok(0);
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        for part in bytes.chunks(16 * 1024) {
            self.tls.writer().write_all(part)?;
            self.flush().await?;
        }
        Ok(())
    }
}
