//! The query of a signed request.

use bowline::{
    app::{App, AppSecret},
    http::query::{Asked, Claims, value},
    protocol::auth::sign,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

proptest! {
    #[test]
    fn a_value_comes_out_as_it_went_in(pairs in prop::collection::vec(("[a-z]{1,3}", any::<String>()), 0..6)) {
        let query: Vec<String> = pairs.iter().map(|(key, text)| format!("{key}={}", encoded(text))).collect();
        let query = query.join("&");
        for (key, _) in &pairs {
            let first = pairs.iter().find(|(other, _)| other == key).unwrap();
            let read = value(&query, key);
            prop_assert_eq!(read.as_deref(), Some(&*first.1));
        }
        prop_assert_eq!(value(&query, "absent"), None);
    }

    #[test]
    fn a_signature_holds_whatever_the_order(mut pairs in prop::collection::hash_map("[a-z]{1,6}", "[ -~é]{1,12}", 0..6), seed in any::<u64>(), spoil in any::<prop::sample::Index>()) {
        let app = App::new("1", "key", "secret");
        for (name, text) in [("auth_key", "key"), ("auth_timestamp", "1700000000"), ("auth_version", "1.0")] {
            pairs.insert(name.into(), text.into());
        }
        let mut sorted: Vec<(&String, &String)> = pairs.iter().collect();
        sorted.sort();
        let text: Vec<String> = sorted.iter().map(|(name, text)| format!("{name}={text}")).collect();
        let text = format!("GET\n/apps/1/channels\n{}", text.join("&"));
        let signature = sign(&AppSecret::new("secret"), &[text.as_bytes()]);
        let mut parts: Vec<String> = sorted.iter().map(|(name, text)| format!("{name}={}", encoded(text))).collect();
        parts.push(format!("auth_signature={signature}"));
        // Any order will do.
        let turn = usize::try_from(seed % parts.len() as u64).unwrap();
        parts.rotate_left(turn);
        let query = parts.join("&");
        let asked = Asked { method: "GET", path: "/apps/1/channels", prefix: "" };
        let claims = Claims::parse(&query);
        prop_assert_eq!(claims.timestamp(), Some(1_700_000_000));
        prop_assert!(claims.verify(&app, asked, None));
        let posted = Asked { method: "POST", ..asked };
        prop_assert!(!claims.verify(&app, posted, None));
        prop_assert!(!claims.verify(&app, asked, Some("0")));
        // One more or one less parameter breaks it.
        let more = format!("{query}&added=1");
        prop_assert!(pairs.contains_key("added") || !Claims::parse(&more).verify(&app, asked, None));
        parts.remove(spoil.index(parts.len()));
        prop_assert!(!Claims::parse(&parts.join("&")).verify(&app, asked, None));
    }

    #[test]
    fn any_query_is_no_panic(query in "([a-zA-Z_=&+%0-9;]|body_md5|auth_signature|auth_key|appId){0,40}", other in any::<String>()) {
        let app = App::new("1", "key", "secret");
        let asked = Asked { method: "POST", path: "/p/apps/1/events", prefix: "/p" };
        for query in [&query, &other] {
            let claims = Claims::parse(query);
            prop_assert!(!claims.verify(&app, asked, claims.body_md5()));
            let _ = (value(query, "info"), claims.timestamp(), claims.names_body_md5());
        }
    }
}
