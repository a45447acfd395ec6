//! `healthcheck`: one plain HTTP/1.1 GET, for images that have no curl.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, ToSocketAddrs as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use bowline::config::{Config, Sources};

/// Bound of connecting, and of every read and write.
const PATIENCE: Duration = Duration::from_secs(3);

/// Prints one line that says why; 0 if the server is ready, else 1.
pub(crate) fn run(url: Option<String>, sources: &Sources) -> ExitCode {
    let asked = url.map_or_else(|| configured_url(sources), Ok);
    match asked.and_then(|url| Ok((get(&url)?, url))) {
        Ok((status, url)) => {
            println!("ready: {url} answered {status}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("not ready: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `/ready` of the main port, or of the monitoring port where the main one does not speak plain HTTP to everybody.
fn configured_url(sources: &Sources) -> anyhow::Result<String> {
    let loaded = Config::load(sources)
        .map_err(|errors| anyhow::anyhow!("{}", errors.to_string().replace('\n', "; ")))?;
    let Config {
        server,
        metrics,
        tls,
        ..
    } = &loaded.config;
    let plain = tls.is_none() && !server.proxy_protocol;
    let (host, port) = if plain {
        (server.host, server.port)
    } else {
        (metrics.host, metrics.port)
    };
    ensure!(port != 0, "the system chooses the port, so a URL is needed");
    let host = match host {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) | IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        }
        host => host,
    };
    let address = std::net::SocketAddr::new(host, port);
    Ok(format!("http://{address}{}/ready", server.path_prefix))
}

/// The status line of the answer, if it is a 2xx.
fn get(url: &str) -> anyhow::Result<String> {
    let Some(rest) = url.strip_prefix("http://") else {
        bail!("{url}: a URL that begins with http:// is needed");
    };
    let slash = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(slash);
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    let host_has_port = authority
        .rsplit(']')
        .next()
        .is_some_and(|tail| tail.contains(':'));
    let address = if host_has_port {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let status = ask(&address, authority, &path).with_context(|| url.to_owned())?;
    let code = status.split(' ').nth(1).unwrap_or_default();
    ensure!(
        code.len() == 3 && code.starts_with('2'),
        "{url} answered {status}"
    );
    Ok(status)
}

fn ask(address: &str, host: &str, path: &str) -> anyhow::Result<String> {
    let mut last = anyhow::anyhow!("the name has no address");
    for address in address.to_socket_addrs()? {
        let mut stream = match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => stream,
            Err(error) => {
                last = error.into();
                continue;
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bowline-healthcheck\r\nConnection: close\r\n\r\n"
        )?;
        return status_line(&mut stream);
    }
    Err(last)
}

/// The first line, of at most 1 KiB.
fn status_line(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut line = Vec::new();
    let mut chunk = [0; 256];
    while !line.contains(&b'\n') && line.len() < 1024 {
        match stream.read(&mut chunk)? {
            0 => break,
            n => line.extend_from_slice(&chunk[..n]),
        }
    }
    let line = line
        .split(|b| matches!(b, b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line).into_owned();
    ensure!(line.starts_with("HTTP/1."), "the answer is not HTTP");
    Ok(line)
}
