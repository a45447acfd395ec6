//! The PROXY protocol, versions 1 and 2: what a balancer in TCP mode says of the client before the client's first byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Bytes of the longest header that is looked at: a version 2 header with as many extensions as balancers send.
pub const HEADER_BYTES_MAX: usize = 1024;

const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// More bytes are needed.
    Partial,
    /// No PROXY header: a health check of the balancer, say.
    Absent,
    /// A header of so many bytes; the address is `None` for the balancer's own connections.
    Present(usize, Option<IpAddr>),
    /// It begins like one and is none.
    Broken,
}

/// Whether an address is a trusted proxy's. IPv4 in IPv6 is IPv4.
pub fn is_trusted(trusted: &[IpNet], address: IpAddr) -> bool {
    trusted
        .iter()
        .any(|net| net.contains(&address.to_canonical()))
}

/// Reads a header.
pub fn read(bytes: &[u8]) -> Header {
    let begins = |magic: &[u8]| {
        bytes[..bytes.len().min(magic.len())] == magic[..bytes.len().min(magic.len())]
    };
    if begins(V2) {
        version_2(bytes)
    } else if begins(b"PROXY ") {
        version_1(bytes)
    } else {
        Header::Absent
    }
}

fn version_1(bytes: &[u8]) -> Header {
    const LINE_MAX: usize = 107;
    let Some(end) = bytes
        .windows(2)
        .take(LINE_MAX)
        .position(|pair| pair == b"\r\n")
    else {
        return if bytes.len() >= LINE_MAX {
            Header::Broken
        } else {
            Header::Partial
        };
    };
    let Ok(line) = std::str::from_utf8(&bytes[..end]) else {
        return Header::Broken;
    };
    let mut words = line.split(' ').skip(1);
    match words.next() {
        Some("UNKNOWN") => Header::Present(end + 2, None),
        Some("TCP4" | "TCP6") => match words.next().map(str::parse) {
            Some(Ok(address)) => Header::Present(end + 2, Some(address)),
            _ => Header::Broken,
        },
        _ => Header::Broken,
    }
}

fn version_2(bytes: &[u8]) -> Header {
    let Some(&[command, family, high, low]) = bytes.get(12..16) else {
        return Header::Partial;
    };
    let length = 16 + usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 || length > HEADER_BYTES_MAX {
        return Header::Broken;
    }
    let Some(body) = bytes.get(16..length) else {
        return Header::Partial;
    };
    let address = match (command & 0xf, family >> 4) {
        (1, 1) => body
            .first_chunk::<4>()
            .map(|b| IpAddr::from(Ipv4Addr::from(*b))),
        (1, 2) => body
            .first_chunk::<16>()
            .map(|b| IpAddr::from(Ipv6Addr::from(*b))),
        _ => return Header::Present(length, None),
    };
    address.map_or(Header::Broken, |address| {
        Header::Present(length, Some(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_tell_the_client() {
        let client = Some("192.0.2.7".parse().unwrap());
        assert_eq!(
            read(b"PROXY TCP4 192.0.2.7 192.0.2.1 5 6\r\nGET"),
            Header::Present(36, client)
        );
        assert_eq!(read(b"PROXY UNKNOWN\r\n"), Header::Present(15, None));
        assert_eq!(read(b"PROXY TCP4 192"), Header::Partial);
        assert_eq!(read(b"PROXY TCP4 x y 1 2\r\n"), Header::Broken);
        assert_eq!(read(b"GET / HTTP/1.1"), Header::Absent);
        let mut v2 = V2.to_vec();
        v2.extend([0x21, 0x11, 0, 12, 192, 0, 2, 7, 192, 0, 2, 1, 0, 5, 0, 6]);
        assert_eq!(read(&v2), Header::Present(28, client));
        assert_eq!(read(&v2[..20]), Header::Partial);
        v2[12] = 0x20;
        assert_eq!(read(&v2), Header::Present(28, None));
    }
}
