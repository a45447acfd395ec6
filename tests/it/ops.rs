//! Health, usage, modes (http-api.md 6, configuration.md 5).

use crate::harness::{Http, Server};

#[tokio::test]
async fn both_ports_say_ok() {
    let server = Server::start().await;
    for path in ["/", "/ready"] {
        server.raw("GET", path).await.expect(200, "OK");
        server.ops(path).await.expect(200, "OK");
    }
}

#[tokio::test]
async fn usage_has_soketis_shape_and_this_processs_memory() {
    let server = Server::start().await;
    let memory = server.ops("/usage").await.json()["memory"].clone();
    let number = |key: &str| {
        memory[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {memory}"))
    };
    let (free, used, total, percent) = (
        number("free"),
        number("used"),
        number("total"),
        number("percent"),
    );
    assert_eq!(memory.as_object().unwrap().len(), 4, "{memory}");
    assert!(
        (percent - used / total * 100.0).abs() < 0.01 && free > 0.0,
        "{memory}"
    );
    assert!(
        used > 1e6 && used < 300e6,
        "the resident size of this process: {used}"
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let resident = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    let resident: f64 = resident.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(
        (used / 1024.0 - resident).abs() < resident * 0.5,
        "{used} against {resident} KiB"
    );
}

#[tokio::test]
async fn accept_traffic_is_a_real_503_over_the_threshold() {
    let server = Server::start().await;
    let response = server.raw("GET", "/accept-traffic").await;
    let memory = response.json()["memory"].clone();
    for key in ["usedSize", "totalSize", "percentUsage"] {
        assert!(memory[key].as_f64().unwrap() > 0.0, "{memory}");
    }
    let server = Server::builder()
        .env("SOKETI_HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD", 0.001)
        .start()
        .await;
    let response = server.raw("GET", "/accept-traffic").await;
    assert_eq!(response.status, 503);
    assert_eq!(
        response.json()["error"],
        "Low on memory here. Choose another server. :)"
    );
}

#[tokio::test]
async fn a_worker_serves_health_alone() {
    let server = Server::builder().env("SOKETI_MODE", "worker").start().await;
    for path in ["/", "/ready"] {
        server.raw("GET", path).await.expect(200, "OK");
        server.ops(path).await.expect(200, "OK");
    }
    assert_eq!(server.get("/channels").await.status, 404);
    assert_eq!(server.raw("GET", "/accept-traffic").await.status, 404);
    assert_eq!(
        server
            .upgrade("/app/app-key", &[])
            .await
            .err()
            .map(|response| response.status),
        Some(404)
    );
}

#[tokio::test]
async fn mode_server_serves_everything_but_webhooks_of_others() {
    let mut server = Server::builder().env("SOKETI_MODE", "server").start().await;
    server.expect_healthy().await;
}

#[tokio::test]
async fn ipv6_dual_stack() {
    if tokio::net::TcpListener::bind("[::1]:0").await.is_err() {
        println!("skipped: no IPv6");
        return;
    }
    let server = Server::builder().env("SOKETI_HOST", "::").start().await;
    let port = server.main.port();
    for address in [
        ([127, 0, 0, 1], port).into(),
        ([0, 0, 0, 0, 0, 0, 0, 1_u16], port).into(),
    ] {
        Http::connect(address)
            .await
            .get("/")
            .await
            .expect(200, "OK");
    }
}

#[tokio::test]
async fn shards_are_an_option() {
    for shards in [1, 3] {
        let mut server = Server::builder()
            .env("BOWLINE_SHARDS", shards)
            .start()
            .await;
        server.expect_healthy().await;
    }
}

#[tokio::test]
async fn no_udp_port_is_touched() {
    let server = Server::start().await;
    let inodes: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            Some(
                link.to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect();
    for table in ["udp", "udp6"] {
        let text = std::fs::read_to_string(format!("/proc/{}/net/{table}", server.pid()))
            .unwrap_or_default();
        for line in text.lines().skip(1) {
            let inode = line.split_whitespace().nth(9).unwrap();
            assert!(!inodes.iter().any(|own| own == inode), "{line}");
        }
    }
}
