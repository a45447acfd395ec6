//! Structures against naive models: the members of a presence channel, the wheel, a shard's channels.

use std::{collections::HashMap, sync::Arc};

use bowline::{
    app::Tenant,
    directory::{ChannelKey, Full, roster::Roster},
    protocol::{
        channel::ChannelName,
        frame::Frame,
        member::{Member, UserId},
    },
    shard::{
        channels::{Channels, Known},
        conn::Subscription,
        wheel::Wheel,
    },
};
use proptest::prelude::*;
use serde_json::Value;

fn member(user: u8, info: u8) -> Member {
    Member::parse(
        &format!(r#"{{"user_id":"u{user}","user_info":{info}}}"#),
        2.0,
    )
    .unwrap()
}

fn presence(frame: &Frame) -> Value {
    let payload = &frame.bytes()[frame.bytes().len() - frame.payload_len()..];
    let frame: Value = serde_json::from_slice(payload).unwrap();
    serde_json::from_str::<Value>(frame["data"].as_str().unwrap()).unwrap()["presence"].clone()
}

proptest! {
    #[test]
    fn a_roster_is_a_list_of_users_with_counts(steps in prop::collection::vec((any::<bool>(), 0_u8..6, 0_u8..3), 0..60), members_max in 1_usize..6) {
        let channel = ChannelName::parse("presence-x", 200).unwrap();
        let mut roster = Roster::default();
        let mut model: Vec<(String, u32)> = Vec::new();
        let mut version = 0;
        for (enters, user, info) in steps {
            let (id, at) = (format!("u{user}"), model.iter().position(|(id, _)| *id == format!("u{user}")));
            if enters {
                let entered = roster.enter(&member(user, info), members_max);
                match at {
                    Some(at) => {
                        model[at].1 += 1;
                        prop_assert_eq!(entered, Ok(false));
                    }
                    None if model.len() >= members_max => prop_assert_eq!(entered, Err(Full)),
                    None => {
                        model.push((id, 1));
                        version += 1;
                        prop_assert_eq!(entered, Ok(true));
                    }
                }
            } else {
                let left = roster.leave(&UserId::new(&id));
                match at {
                    Some(at) if model[at].1 == 1 => {
                        model.remove(at);
                        version += 1;
                        prop_assert_eq!(left, Some((format!("\"{id}\"").into(), version)));
                    }
                    Some(at) => {
                        model[at].1 -= 1;
                        prop_assert_eq!(left, None);
                    }
                    None => prop_assert_eq!(left, None),
                }
            }
            prop_assert_eq!(roster.version(), version);
            let ids: Vec<&str> = roster.members().map(|member| member.id.as_str()).collect();
            let expected: Vec<&str> = model.iter().map(|(id, _)| &**id).collect();
            prop_assert_eq!(&ids, &expected);
            let told = presence(&roster.succeeded(&channel));
            prop_assert_eq!(&told["ids"], &Value::from(expected));
            prop_assert_eq!(&told["count"], &Value::from(model.len()));
            prop_assert_eq!(told["hash"].as_object().unwrap().len(), model.len());
        }
    }

    #[test]
    fn a_wheel_forgets_nobody_and_is_never_late(adds in prop::collection::vec((0_u32..40, 0_u32..1500), 1..60)) {
        let mut wheel = Wheel::new();
        // When each token was promised to come.
        let mut promised: HashMap<u32, u32> = HashMap::new();
        let mut now = 0;
        for (token, (wait, ahead)) in (0_u32..).zip(adds) {
            let due = now + ahead;
            let at = wheel.add(token, due);
            prop_assert!(at <= due.max(now + 1), "later than asked");
            promised.insert(token, at);
            prop_assert_eq!(wheel.first(), promised.values().min().copied());
            now += wait;
            while let Some((tick, tokens)) = wheel.take(now) {
                for token in tokens {
                    prop_assert_eq!(promised.remove(&token), Some(tick));
                }
            }
            prop_assert!(promised.values().all(|at| *at > now), "somebody was forgotten");
        }
    }

    #[test]
    fn sockets_and_channels_point_at_each_other(steps in prop::collection::vec((0_u32..4, 0_u8..4), 0..80)) {
        let tenant = Arc::new(Tenant::nobody());
        let key = |channel: u8| ChannelKey { tenant: 0, name: ChannelName::parse(&format!("cache-{channel}"), 200).unwrap() };
        let mut channels = Channels::default();
        let mut sockets: Vec<Vec<(u8, Subscription)>> = vec![Vec::new(); 4];
        for (token, channel) in steps {
            let socket = token as usize;
            match sockets[socket].iter().position(|(of, _)| *of == channel) {
                None => {
                    let known = Some(Known { roster: 0, cached: u64::from(token) });
                    let subscription = channels.enter(&key(channel), &tenant, token, sockets[socket].len(), known);
                    sockets[socket].push((channel, subscription));
                }
                // As a shard leaves: both lists move their last into the gap and are told.
                Some(i) => {
                    let (_, subscription) = sockets[socket].swap_remove(i);
                    if let Some((_, moved)) = sockets[socket].get(i) {
                        channels.get_mut(moved.channel).subscribers[moved.position as usize].back = u32::try_from(i).unwrap();
                    }
                    if let Some(moved) = channels.leave(subscription) {
                        sockets[moved.token as usize][moved.back as usize].1.position = subscription.position;
                    }
                    if channels.get(subscription.channel).subscribers.is_empty() {
                        channels.remove(subscription.channel);
                    }
                }
            }
            let subscribed: usize = sockets.iter().map(Vec::len).sum();
            let mut seated = 0;
            for (token, socket) in sockets.iter().enumerate() {
                for (i, (channel, at)) in socket.iter().enumerate() {
                    prop_assert_eq!(channels.find(&key(*channel)), Some(at.channel));
                    let seat = channels.get(at.channel).subscribers[at.position as usize];
                    prop_assert_eq!((seat.token as usize, seat.back as usize), (token, i));
                    let known = channels.get(at.channel).known.as_ref().unwrap()[at.position as usize];
                    prop_assert_eq!(known.cached, token as u64);
                }
            }
            for channel in 0..4 {
                seated += channels.find(&key(channel)).map_or(0, |at| channels.get(at).subscribers.len());
            }
            prop_assert_eq!(seated, subscribed);
        }
    }
}
