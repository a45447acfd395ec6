//! Section 7: the close handshake.

use super::{Opcode, PING, case, client_frame, close, fragments, padded, ping, play, text};

#[tokio::test]
async fn section_7_1_nothing_follows_a_close() {
    let small = text(PING.as_bytes());
    let (head, tail) = PING.as_bytes().split_at(PING.len() / 2);
    let two = fragments(Opcode::Text, &[head, tail]);
    play([
        case("case_7_1_1", [small.clone(), close(1000)])
            .echoes(1)
            .closes(Some(1000)),
        case("case_7_1_2", [close(1000), close(1000)]).closes(Some(1000)),
        case("case_7_1_3", [close(1000), ping(b"late")]).closes(Some(1000)),
        case("case_7_1_4", [close(1000), small]).closes(Some(1000)),
        case("case_7_1_5", [two[0].clone(), close(1000), two[1].clone()]).closes(Some(1000)),
        case(
            "case_7_1_6",
            [text(&padded(256 << 10)), close(1000), ping(b"late")],
        )
        .echoes(1)
        .closes(Some(1000)),
    ])
    .await;
}

#[tokio::test]
async fn section_7_3_payloads() {
    let with = |payload: &[u8]| [client_frame(true, Opcode::Close, payload)];
    let reasoned = |octets| [&1000_u16.to_be_bytes()[..], &vec![b'*'; octets]].concat();
    play([
        case("case_7_3_1", with(b"")).closes(None),
        case("case_7_3_2", with(b"a")).fails(1002),
        case("case_7_3_3", with(&reasoned(0))).closes(Some(1000)),
        case("case_7_3_4", with(&reasoned(14))).closes(Some(1000)),
        case("case_7_3_5", with(&reasoned(123))).closes(Some(1000)),
        case("case_7_3_6", with(&reasoned(124))).fails(1002),
    ])
    .await;
}

#[tokio::test]
async fn section_7_5_the_reason_is_utf8() {
    let reason =
        b"\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64";
    play([case("case_7_5_1", [client_frame(true, Opcode::Close, reason)]).fails(1007)]).await;
}

#[tokio::test]
async fn section_7_7_codes_that_exist() {
    let table = [
        ("case_7_7_1", 1000),
        ("case_7_7_2", 1001),
        ("case_7_7_3", 1002),
        ("case_7_7_4", 1003),
        ("case_7_7_5", 1007),
        ("case_7_7_6", 1008),
        ("case_7_7_7", 1009),
        ("case_7_7_8", 1010),
        ("case_7_7_9", 1011),
        ("case_7_7_10", 3000),
        ("case_7_7_11", 3999),
        ("case_7_7_12", 4000),
        ("case_7_7_13", 4999),
    ];
    play(table.map(|(name, code)| case(name, [close(code)]).closes(Some(code)))).await;
}

#[tokio::test]
async fn section_7_9_codes_that_may_not_be_sent() {
    let table = [
        ("case_7_9_1", 0),
        ("case_7_9_2", 999),
        ("case_7_9_3", 1004),
        ("case_7_9_4", 1005),
        ("case_7_9_5", 1006),
        ("case_7_9_6", 1016),
        ("case_7_9_7", 1100),
        ("case_7_9_8", 2000),
        ("case_7_9_9", 2999),
    ];
    play(table.map(|(name, code)| case(name, [close(code)]).fails(1002))).await;
}

/// Autobahn only looks at these; here they are refused like every other code that does not exist.
#[tokio::test]
async fn section_7_13_codes_beyond_all() {
    let four = client_frame(true, Opcode::Close, &65_536_u32.to_be_bytes());
    play([
        case("case_7_13_1", [close(5000)]).fails(1002),
        case("case_7_13_2", [four]).fails(1002),
    ])
    .await;
}
