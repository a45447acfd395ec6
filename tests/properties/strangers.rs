//! What comes before a WebSocket: PROXY headers, request heads, forwarded addresses, origins.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bowline::shard::{
    fresh::{Head, client_address, origin_allowed, read_head},
    proxy::{HEADER_BYTES_MAX, Header, is_trusted, read},
};
use ipnet::IpNet;
use proptest::prelude::*;

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits))),
        any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from(bits))),
    ]
}

fn version_1(address: IpAddr) -> Vec<u8> {
    let family = if address.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {address} {address} 1 65535\r\n").into_bytes()
}

fn version_2(address: IpAddr, extension: usize) -> Vec<u8> {
    let (family, mut body) = match address {
        IpAddr::V4(ip) => (0x11, [ip.octets(); 2].concat()),
        IpAddr::V6(ip) => (0x21, [ip.octets(); 2].concat()),
    };
    body.resize(body.len() + 4 + extension, 0);
    let mut out = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    out.push(family);
    out.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&body);
    out
}

proptest! {
    #[test]
    fn a_proxy_header_is_read_whole_or_not_at_all(address in any_address(), extension in 0_usize..300, rest in prop::collection::vec(any::<u8>(), 0..40)) {
        for header in [version_1(address), version_2(address, extension)] {
            for cut in 0..header.len() {
                // No byte may be a header of nothing; from the first on it is one that has begun.
                prop_assert_eq!(read(&header[..cut]), Header::Partial, "{} of {}", cut, header.len());
            }
            let bytes = [&header[..], &rest].concat();
            prop_assert_eq!(read(&bytes), Header::Present(header.len(), Some(address)));
        }
    }

    #[test]
    fn a_proxy_header_takes_no_more_than_there_is(begins in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11"]), rest in prop::collection::vec(any::<u8>(), 0..1200)) {
        let bytes = [begins, &rest].concat();
        match read(&bytes) {
            Header::Present(length, _) => prop_assert!(length <= bytes.len() && length <= HEADER_BYTES_MAX),
            Header::Partial => prop_assert!(bytes.len() < HEADER_BYTES_MAX, "waits for what can never come"),
            Header::Absent | Header::Broken => {}
        }
    }

    #[test]
    fn a_head_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "(GET /app/k[ -~]{0,20} HTTP/1.1\r\n)?([A-Za-z-]{1,12}: [ -~]{0,20}\r\n){0,5}(\r\n)?", prefix in "(/[a-z]{0,4})?") {
        for bytes in [&bytes[..], text.as_bytes(), format!("GET {prefix}/app/{text}").as_bytes()] {
            if let Head::WebSocket(_, length) = read_head(bytes, &prefix) {
                prop_assert!(length <= bytes.len());
            }
        }
    }

    #[test]
    fn a_handshake_is_found_once_it_is_whole(key in "[a-z0-9]{1,20}", query in "(\\?[a-z=&0-9]{0,20})?", extra in prop::collection::vec("X-[A-Za-z]{1,9}: [ -~]{0,30}", 0..20), rest in prop::collection::vec(any::<u8>(), 0..30)) {
        let extra: String = extra.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
        let head = format!("GET /app/{key}{query} HTTP/1.1\r\n{extra}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
        for cut in 0..head.len() {
            prop_assert_eq!(read_head(&head.as_bytes()[..cut], ""), Head::Partial);
        }
        let bytes = [head.as_bytes(), &rest].concat();
        let Head::WebSocket(handshake, length) = read_head(&bytes, "") else { panic!("{head}") };
        prop_assert_eq!((&handshake.app_key, length), (&key, head.len()));
    }

    #[test]
    fn what_strangers_claim_is_not_believed(claimed in prop::collection::vec(any_address(), 0..4), client in any_address(), proxies in prop::collection::vec(0_u32..256, 0..3)) {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/24".parse().unwrap()];
        prop_assume!(!is_trusted(&trusted, client));
        let proxies = proxies.iter().map(|n| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n)));
        let list: Vec<String> = claimed.into_iter().chain([client]).chain(proxies).map(|a| a.to_string()).collect();
        prop_assert_eq!(client_address(&list.join(", "), &trusted), Some(client));
    }

    #[test]
    fn forwarded_is_no_panic(text in "[0-9a-f.:,\\[\\] x]{0,60}", other in any::<String>()) {
        let _ = (client_address(&text, &[]), client_address(&other, &[]));
    }

    #[test]
    fn origins_match_as_the_naive_way_does(pattern in "[ab*.]{0,8}", origin in "[ab.]{0,8}") {
        fn naive(pattern: &[u8], text: &[u8]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some((b'*', rest)) => (0..=text.len()).any(|n| naive(rest, &text[n..])),
                Some((byte, rest)) => text.first() == Some(byte) && naive(rest, &text[1..]),
            }
        }
        let allowed = origin_allowed(std::slice::from_ref(&pattern), Some(&origin));
        prop_assert_eq!(allowed, naive(pattern.as_bytes(), origin.as_bytes()));
        let as_host = origin_allowed(std::slice::from_ref(&pattern), Some(&format!("https://{origin}:8443")));
        prop_assert!(as_host >= allowed);
        prop_assert!(!origin_allowed(&[pattern], None));
    }
}
