//! What every message pays: encoding, decoding, verifying, and delivery to 1, 100 and 10,000 subscribers. `cargo bench`.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::{
    hint::black_box,
    io::Read,
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
};

use bowline::{
    app::{App, Tenant},
    directory::{ChannelKey, roster::Roster},
    http::query::{Asked, Claims},
    protocol::{
        SocketId,
        auth::{Claim, allows, sign},
        channel::ChannelName,
        event::{self, ClientFrame},
        frame::{Frame, decode},
        member::Member,
    },
    shard::{
        channels::Channels,
        link::Link,
        outbox::{Flushed, Outbox},
    },
};
use divan::Bencher;

const CHANNEL: &str = "private-orders.1234";
/// With its header and names, a frame of about 200 bytes.
const DATA: &str = r#""{\"id\":1234567,\"status\":\"shipped\",\"customer\":\"Ann Example\",\"total\":\"129.90\",\"items\":[1,2,3]}""#;

fn main() {
    divan::main();
}

fn frame() -> Frame {
    event::published("order.updated", CHANNEL, DATA)
}

#[divan::bench]
fn encode_event() -> Frame {
    event::published(black_box("order.updated"), CHANNEL, black_box(DATA))
}

#[divan::bench(args = [1, 100, 2_000])]
fn encode_presence_list(bencher: Bencher<'_, '_>, members: usize) {
    let channel = ChannelName::parse("presence-room", 200).unwrap();
    let member = |i| {
        Member::parse(
            &format!(r#"{{"user_id":{i},"user_info":{{"name":"Ann"}}}}"#),
            2.0,
        )
        .unwrap()
    };
    let mut roster = Roster::default();
    for i in 1..members {
        roster.enter(&member(i), usize::MAX).unwrap();
    }
    let last = member(members);
    // A join and a leave: the list is encoded anew for the one who joins.
    bencher.bench_local(|| {
        roster.enter(&last, usize::MAX).unwrap();
        black_box(roster.succeeded(&channel));
        roster.leave(&last.id)
    });
}

#[divan::bench(args = [33, 200, 10_000])]
fn decode_frame(bencher: Bencher<'_, '_>, payload: u16) {
    let mut bytes = vec![0x81, 0xfe];
    bytes.extend_from_slice(&payload.to_be_bytes());
    // A mask of zeros costs as much as another and can be taken off again and again.
    bytes.resize(8 + usize::from(payload), 0);
    bytes[8..].fill(b'x');
    bencher.bench_local(|| decode(black_box(&mut bytes), &mut None, 1 << 20).is_ok());
}

#[divan::bench]
fn parse_client_event(bencher: Bencher<'_, '_>) {
    let text = format!(r#"{{"event":"client-typing","channel":"{CHANNEL}","data":{DATA}}}"#);
    bencher.bench_local(|| ClientFrame::parse(black_box(text.as_bytes())).is_some());
}

#[divan::bench]
fn verify_subscription(bencher: Bencher<'_, '_>) {
    let app = App::new("app-id", "app-key", "app-secret");
    let socket = SocketId {
        high: 1_234_567_890,
        low: 987_654_321,
    };
    let text = format!("{socket}:{CHANNEL}");
    let auth = format!(
        "app-key:{}",
        sign(app.secrets().next().unwrap(), &[text.as_bytes()])
    );
    assert!(allows(&app, socket, Claim::Channel(CHANNEL), &auth));
    bencher.bench_local(|| allows(&app, socket, Claim::Channel(black_box(CHANNEL)), &auth));
}

#[divan::bench]
fn verify_publish(bencher: Bencher<'_, '_>) {
    let app = App::new("app-id", "app-key", "app-secret");
    let asked = Asked {
        method: "POST",
        path: "/apps/app-id/events",
        prefix: "",
    };
    let query = "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f";
    let text = format!("POST\n/apps/app-id/events\n{query}");
    let query = format!(
        "{query}&auth_signature={}",
        sign(app.secrets().next().unwrap(), &[text.as_bytes()])
    );
    let verify = |query: &str| {
        let claims = Claims::parse(query);
        claims.verify(&app, asked, claims.body_md5().as_ref())
    };
    assert!(verify(&query));
    bencher.bench_local(|| verify(black_box(&query)));
}

/// A channel with subscribers, each with its outbox, as a shard holds them.
struct Room {
    channels: Channels,
    at: u32,
    outboxes: Vec<Outbox>,
}

impl Room {
    fn new(subscribers: usize) -> Self {
        let key = ChannelKey {
            tenant: 0,
            name: ChannelName::parse(CHANNEL, 200).unwrap(),
        };
        let (mut channels, tenant) = (Channels::default(), Arc::new(Tenant::nobody()));
        for token in 0..u32::try_from(subscribers).unwrap() {
            channels.enter(&key, &tenant, token, 0, None);
        }
        let at = channels.find(&key).unwrap();
        Self {
            channels,
            at,
            outboxes: std::iter::repeat_with(Outbox::default)
                .take(subscribers)
                .collect(),
        }
    }

    fn append(&mut self, frame: &Frame) {
        for subscriber in &self.channels.get(self.at).subscribers {
            self.outboxes[subscriber.token as usize].push(frame.clone());
        }
    }
}

/// The part of a delivery that is never sliced: one reference into each outbox.
#[divan::bench(args = [1, 100, 10_000])]
fn append(bencher: Bencher<'_, '_>, subscribers: usize) {
    let (mut room, frame) = (Room::new(subscribers), frame());
    bencher
        .counter(divan::counter::ItemsCount::new(subscribers))
        .bench_local(|| {
            room.append(&frame);
            room.outboxes.iter_mut().for_each(Outbox::keep_begun_frame);
        });
}

/// A whole delivery over loopback, frames in flight given: append, then one write for each socket. 10,000 would need more descriptors
/// than one process is sure to have; `make bench` measures the server with them.
#[divan::bench(args = [(1, 1), (100, 1), (100, 4), (1_000, 1), (1_000, 4)])]
fn deliver(bencher: Bencher<'_, '_>, (subscribers, in_flight): (usize, usize)) {
    let (mut room, frame) = (Room::new(subscribers), frame());
    let mut links = connected(subscribers);
    bencher
        .counter(divan::counter::ItemsCount::new(subscribers * in_flight))
        .bench_local(|| {
            for _ in 0..in_flight {
                room.append(&frame);
            }
            for (outbox, link) in room.outboxes.iter_mut().zip(&mut links) {
                // The readers are another thread's; where it lags, the kernel says no for a moment.
                while outbox.flush(link).unwrap() == Flushed::Blocked {
                    std::thread::yield_now();
                }
            }
        });
}

/// So many sockets whose other ends a thread reads until they close.
fn connected(sockets: usize) -> Vec<Link> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut poll = mio::Poll::new().unwrap();
    let (mut links, mut readers) = (Vec::new(), Vec::new());
    for i in 0..sockets {
        let reader = std::net::TcpStream::connect(address).unwrap();
        let (stream, _) = listener.accept().unwrap();
        for end in [&reader, &stream] {
            end.set_nonblocking(true).unwrap();
            end.set_nodelay(true).unwrap();
        }
        let mut reader = mio::net::TcpStream::from_std(reader);
        poll.registry()
            .register(&mut reader, mio::Token(i), mio::Interest::READABLE)
            .unwrap();
        readers.push(reader);
        links.push(Link::Tcp(mio::net::TcpStream::from_std(stream)));
    }
    std::thread::spawn(move || {
        let (mut events, mut buffer, mut open) =
            (mio::Events::with_capacity(1024), vec![0; 64 << 10], sockets);
        while open > 0 {
            poll.poll(&mut events, None).unwrap();
            for event in &events {
                loop {
                    match readers[event.token().0].read(&mut buffer) {
                        Ok(0) => {
                            open -= 1;
                            break;
                        }
                        Ok(_) => {}
                        Err(_) => break,
                    }
                }
            }
        }
    });
    links
}
