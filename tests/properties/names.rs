//! Names, ids and signatures.

use bowline::{
    app::{App, AppSecret},
    directory::inbox::{PLACES_MAX, Place, place_of, socket_id},
    protocol::{
        SocketId,
        auth::{Claim, allows, sign, verify},
        channel::{Access, ChannelName, NameError},
    },
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_socket_is_found_by_its_id(shard in 0_usize..64, token in 0..PLACES_MAX, random in any::<u64>()) {
        let place = Place { shard, token };
        let id = socket_id(place, random);
        prop_assert_eq!(place_of(id), place);
        prop_assert!(id.high < 10_000_000_000 && id.low < 10_000_000_000);
        prop_assert_eq!(id.to_string().parse::<SocketId>(), Ok(id));
    }

    #[test]
    fn socket_ids_are_two_numbers(text in "[0-9.x+ -]{0,30}") {
        let legal = text.split_once('.').is_some_and(|(a, b)| {
            [a, b].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        });
        let parsed = text.parse::<SocketId>();
        prop_assert_eq!(parsed.is_ok(), legal, "{}", text);
        // An id that nobody can have leads to no socket, and to no panic.
        if let Ok(id) = parsed {
            let _ = place_of(id);
        }
    }

    #[test]
    fn channel_names_follow_the_convention(name in "(presence-|private-(encrypted-)?|#|#server-to-user-)?(cache-)?[-a-zA-Z0-9_=@,.;]{0,20}", odd in any::<char>(), at in any::<prop::sample::Index>(), max in 0_usize..60) {
        let parsed = ChannelName::parse(&name, max);
        let rest = name.strip_prefix('#').unwrap_or(&name);
        if name.chars().count() > max {
            prop_assert_eq!(&parsed, &Err(NameError::TooLong));
        } else {
            prop_assert_eq!(parsed.is_ok(), !rest.is_empty());
        }
        if let Ok(channel) = &parsed {
            prop_assert_eq!(channel.as_str(), &name);
            prop_assert_eq!(channel.access() == Access::Presence, name.starts_with("presence-"));
            prop_assert_eq!(channel.is_hidden(), name.starts_with('#'));
        }
        // One character outside the convention makes the name illegal, but in the free text after `#server-to-user-`.
        let legal = odd.is_ascii_alphanumeric() || "-_=@,.;#".contains(odd);
        if !legal && !name.starts_with('#') {
            let mut spoilt: Vec<char> = name.chars().collect();
            spoilt.insert(at.index(spoilt.len() + 1), odd);
            let spoilt: String = spoilt.into_iter().collect();
            prop_assert_eq!(ChannelName::parse(&spoilt, usize::MAX), Err(NameError::Illegal));
        }
    }

    #[test]
    fn only_the_signed_bytes_verify(secret in "[ -~]{0,80}", message in prop::collection::vec(any::<u8>(), 1..80), cut in any::<prop::sample::Index>(), bit in 0_usize..256, spoil in any::<prop::sample::Index>()) {
        let secret = AppSecret::new(&secret);
        let signature = sign(&secret, &[&message]);
        let cut = cut.index(message.len());
        prop_assert!(verify(&secret, &[&message[..cut], &message[cut..]], &signature), "however it is cut");
        let mut other = message.clone();
        other[spoil.index(message.len())] ^= 1;
        prop_assert!(!verify(&secret, &[&other], &signature));
        let mut claimed = hex::decode(&signature).unwrap();
        claimed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verify(&secret, &[&message], &hex::encode(claimed)));
        prop_assert!(!verify(&secret, &[&message], &signature[..63]));
    }

    #[test]
    fn nothing_but_the_right_signature_is_leave(auth in ".{0,90}", channel in "private-[a-z]{1,5}", data in ".{0,20}") {
        let app = App::new("id", "key", "secret");
        let socket = SocketId { high: 12, low: 34 };
        for claim in [Claim::Channel(&channel), Claim::Presence(&channel, &data), Claim::User(&data)] {
            prop_assert!(!allows(&app, socket, claim, &auth));
        }
        let signed = sign(&AppSecret::new("secret"), &[format!("12.34:{channel}:{data}").as_bytes()]);
        let auth = format!("key:{signed}");
        prop_assert!(allows(&app, socket, Claim::Presence(&channel, &data), &auth));
        prop_assert!(!allows(&app, socket, Claim::Channel(&channel), &auth));
        let other = SocketId { high: 12, low: 35 };
        prop_assert!(!allows(&app, other, Claim::Presence(&channel, &data), &auth));
    }
}
