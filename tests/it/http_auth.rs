//! Signed requests (http-api.md 3).

use serde_json::json;

use crate::harness::{App, Server, SignedTarget, md5_hex, now_s};

const FAILED: &str = "The secret authentication failed";
const EVENT: &[u8] = br#"{"name":"n","channel":"c","data":"x"}"#;

fn channels(server: &Server) -> SignedTarget {
    server.app.target("GET", "/channels")
}

async fn accepted(server: &Server, target: &str) {
    server
        .raw("GET", target)
        .await
        .expect(200, r#"{"channels":{}}"#);
}

async fn refused(server: &Server, target: &str) {
    server.raw("GET", target).await.expect_error_code(401);
}

#[tokio::test]
async fn a_good_signature_passes() {
    let server = Server::start().await;
    accepted(&server, &channels(&server).build()).await;
}

#[tokio::test]
async fn the_published_vector_holds() {
    let app = App::new("3", "278d425bdf160c739803", "7ad3773142a6692b25b8");
    let target = app
        .target("POST", "/events")
        .param("auth_timestamp", "1353088179")
        .param("body_md5", "ec365a775a4cd0599faeb73354201b6f");
    assert_eq!(
        target.signature(),
        "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
    );
    let apps = json!([{"id": app.id, "key": app.key, "secret": app.secret}]);
    let server = Server::builder()
        .apps(&apps)
        .env("BOWLINE_HTTP_TIMESTAMP_WINDOW", 0)
        .start()
        .await;
    let body = br#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
    let response = server
        .http()
        .await
        .request("POST", &target.build(), &[], Some(body))
        .await;
    response.expect(200, r#"{"ok":true}"#);
}

#[tokio::test]
async fn wrong_missing_and_upper_case_signatures_are_refused() {
    let server = Server::start().await;
    let good = channels(&server);
    server
        .raw("GET", "/apps/app-id/channels")
        .await
        .expect_error(401, FAILED);
    server
        .raw("GET", &good.clone().secret("wrong").build())
        .await
        .expect_error(401, FAILED);
    let (head, signature) = {
        let built = good.build();
        let (head, signature) = built.rsplit_once('=').unwrap();
        (head.to_owned(), signature.to_owned())
    };
    refused(&server, &format!("{head}={}", signature.to_uppercase())).await;
    refused(&server, &format!("{head}={}", &signature[..63])).await;
    refused(&server, &format!("{head}=")).await;
    refused(&server, &good.unsigned()).await;
}

#[tokio::test]
async fn parameters_are_part_of_the_signature() {
    let server = Server::start().await;
    accepted(
        &server,
        &channels(&server)
            .param("zeta", "1")
            .param("alpha", "a b+c")
            .build(),
    )
    .await;
    accepted(&server, &channels(&server).param("Beta", "1").build()).await;
    accepted(
        &server,
        &channels(&server)
            .param("filter_by_prefix", "pré&=x")
            .build(),
    )
    .await;
    refused(
        &server,
        &format!("{}&filter_by_prefix=x", channels(&server).build()),
    )
    .await;
    // Three names are left out of the signature.
    accepted(
        &server,
        &format!(
            "{}&appId=x&appKey=y&channelName=z",
            channels(&server).build()
        ),
    )
    .await;
}

#[tokio::test]
async fn order_in_the_query_is_free() {
    let server = Server::start().await;
    let signed = channels(&server).param("info", "user_count");
    let (path, query) = {
        let built = signed.build();
        let (path, query) = built.split_once('?').unwrap();
        (path.to_owned(), query.to_owned())
    };
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.reverse();
    accepted(&server, &format!("{path}?{}", pairs.join("&"))).await;
    pairs.sort_unstable();
    accepted(&server, &format!("{path}?{}", pairs.join("&"))).await;
}

#[tokio::test]
async fn the_timestamp_has_a_window_of_ten_minutes() {
    let server = Server::start().await;
    for (offset, good) in [
        (-590_i64, true),
        (590, true),
        (-615, false),
        (615, false),
        (-1_000_000, false),
    ] {
        let time = now_s().checked_add_signed(offset).unwrap();
        let target = channels(&server)
            .param("auth_timestamp", &time.to_string())
            .build();
        assert_eq!(
            server.raw("GET", &target).await.status,
            if good { 200 } else { 401 },
            "{offset}"
        );
    }
    for text in ["abc", "", "1e9", "-5", "99999999999999999999999"] {
        refused(
            &server,
            &channels(&server).param("auth_timestamp", text).build(),
        )
        .await;
    }
    refused(
        &server,
        &channels(&server).without("auth_timestamp").build(),
    )
    .await;
}

#[tokio::test]
async fn the_window_is_an_option_and_zero_is_off() {
    let server = Server::builder()
        .env("BOWLINE_HTTP_TIMESTAMP_WINDOW", 60)
        .start()
        .await;
    let old = (now_s() - 120).to_string();
    refused(
        &server,
        &channels(&server).param("auth_timestamp", &old).build(),
    )
    .await;
    let server = Server::builder()
        .env("BOWLINE_HTTP_TIMESTAMP_WINDOW", 0)
        .start()
        .await;
    accepted(
        &server,
        &channels(&server)
            .param("auth_timestamp", "1400000000")
            .build(),
    )
    .await;
}

#[tokio::test]
async fn the_key_must_be_the_apps_own() {
    let server = Server::start().await;
    refused(
        &server,
        &channels(&server).param("auth_key", "other-key").build(),
    )
    .await;
    refused(&server, &channels(&server).without("auth_key").build()).await;
    // Signed with the key although it is not in the query: Soketi lets it pass.
    let signature = channels(&server).signature();
    let bare = channels(&server).without("auth_key").unsigned();
    refused(&server, &format!("{bare}&auth_signature={signature}")).await;
}

#[tokio::test]
async fn any_auth_version_passes() {
    let server = Server::start().await;
    accepted(
        &server,
        &channels(&server).param("auth_version", "9.9").build(),
    )
    .await;
}

#[tokio::test]
async fn get_may_carry_the_md5_of_nothing() {
    let server = Server::start().await;
    accepted(&server, &channels(&server).body(b"").build()).await;
}

#[tokio::test]
async fn the_body_is_what_was_signed() {
    let server = Server::start().await;
    let mut http = server.http().await;
    let good = server.app.target("POST", "/events").body(EVENT).build();
    http.request("POST", &good, &[], Some(EVENT))
        .await
        .expect(200, r#"{"ok":true}"#);
    let other = br#"{"name":"n","channel":"c","data":"y"}"#;
    server
        .http()
        .await
        .request("POST", &good, &[], Some(other))
        .await
        .expect_error(401, FAILED);
    let zeros = server
        .app
        .target("POST", "/events")
        .param("body_md5", &"0".repeat(32))
        .build();
    server
        .http()
        .await
        .request("POST", &zeros, &[], Some(EVENT))
        .await
        .expect_error(401, FAILED);
    // In the signature but not in the query.
    let signature = server.app.target("POST", "/events").body(EVENT).signature();
    let bare = format!(
        "{}&auth_signature={signature}",
        server.app.target("POST", "/events").unsigned()
    );
    server
        .http()
        .await
        .request("POST", &bare, &[], Some(EVENT))
        .await
        .expect(200, r#"{"ok":true}"#);
    // Nowhere.
    let nowhere = server.app.target("POST", "/events").build();
    server
        .http()
        .await
        .request("POST", &nowhere, &[], Some(EVENT))
        .await
        .expect_error(401, FAILED);
}

#[tokio::test]
async fn an_empty_body_may_be_signed_as_nothing_or_as_an_object() {
    let server = Server::start().await;
    let path = "/users/nobody/terminate_connections";
    for md5 in [md5_hex(b""), md5_hex(b"{}")] {
        let target = server
            .app
            .target("POST", path)
            .param("body_md5", &md5)
            .build();
        server
            .http()
            .await
            .request("POST", &target, &[], Some(b""))
            .await
            .expect(200, r#"{"ok":true}"#);
    }
}

#[tokio::test]
async fn unknown_and_disabled_apps() {
    let apps = json!([
        {"id": "app-id", "key": "app-key", "secret": "app-secret"},
        {"id": "off", "key": "off-key", "secret": "s", "enabled": false},
    ]);
    let server = Server::builder().apps(&apps).start().await;
    let unknown = App::new("unknown-app", "k", "s");
    server
        .get_as(&unknown, "/channels")
        .await
        .expect_error(404, "The app unknown-app could not be found.");
    server
        .post_bytes(&unknown, "/events", EVENT)
        .await
        .expect_error(404, "The app unknown-app could not be found.");
    let off = App::new("off", "off-key", "s");
    server
        .get_as(&off, "/channels")
        .await
        .expect_error_code(403);
    server
        .post_bytes(&off, "/events", EVENT)
        .await
        .expect_error_code(403);
}

#[tokio::test]
async fn a_prefix_may_be_left_out_of_the_signed_path() {
    let server = Server::builder()
        .env("SOKETI_PATH_PREFIX", "/ws")
        .start()
        .await;
    let with = SignedTarget::new(&server.app, "GET", "/ws/apps/app-id/channels");
    accepted(&server, &with.build()).await;
    accepted(&server, &with.signed_path("/apps/app-id/channels").build()).await;
    assert_eq!(
        server.raw("GET", &channels(&server).build()).await.status,
        404,
        "unprefixed routes do not exist"
    );
    server
        .open("/ws/app/app-key")
        .await
        .established(&server.app)
        .await;
    assert_eq!(
        server
            .upgrade("/app/app-key", &[])
            .await
            .err()
            .unwrap()
            .status,
        404
    );
}

#[tokio::test]
async fn the_signature_covers_the_path_as_it_was_sent() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.subscribe("na=me,x").await;
    let count = r#"{"subscription_count":1,"occupied":true}"#;
    for path in [
        "/channels/na=me,x",
        "/channels/na%3Dme%2Cx",
        "/channels/na%3dme,x",
    ] {
        server.get(path).await.expect(200, count);
    }
    let decoded = server
        .app
        .target("GET", "/channels/na%3Dme%2Cx")
        .signed_path("/apps/app-id/channels/na=me,x");
    server
        .raw("GET", &decoded.build())
        .await
        .expect_error(401, FAILED);
}

#[tokio::test]
async fn errors_with_status_200_are_an_option() {
    let server = Server::builder()
        .env("BOWLINE_HTTP_STATUS_ALWAYS_200", true)
        .start()
        .await;
    let response = server.raw("GET", "/apps/app-id/channels").await;
    response.expect(
        200,
        r#"{"error":"The secret authentication failed","code":401}"#,
    );
    let response = server.post("/events", &json!({"name": "n"})).await;
    response.expect(
        200,
        r#"{"error":"The received data is incorrect","code":400}"#,
    );
    assert_eq!(server.raw("GET", "/nowhere").await.status, 404);
}
