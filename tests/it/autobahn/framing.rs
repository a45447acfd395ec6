//! Sections 3 (reserved bits), 4 (opcodes) and 5 (fragmentation).

use super::{
    Chop, Heard, Opcode, PING, case, client_frame, close, fragments, ping, play, reserved_bits,
    text,
};

/// A frame that must never be answered once the connection has failed.
fn late() -> Vec<u8> {
    ping(b"late")
}

#[tokio::test]
async fn section_3_reserved_bits() {
    let (small, bits) = (text(PING.as_bytes()), reserved_bits);
    play([
        case("case_3_1", [bits(1, small.clone())]).fails(1002),
        case("case_3_2", [small.clone(), bits(2, small.clone()), late()])
            .echoes(1)
            .fails(1002),
        case("case_3_3", [small.clone(), bits(3, small.clone()), late()])
            .chop(Chop::Frames)
            .echoes(1)
            .fails(1002),
        case("case_3_4", [small.clone(), bits(4, small.clone()), late()])
            .chop(Chop::Octets)
            .echoes(1)
            .fails(1002),
        case(
            "case_3_5",
            [bits(5, client_frame(true, Opcode::Binary, &[0; 8]))],
        )
        .fails(1002),
        case("case_3_6", [bits(6, ping(b"x"))]).fails(1002),
        case("case_3_7", [bits(7, close(1000))]).fails(1002),
    ])
    .await;
}

#[tokio::test]
async fn section_4_reserved_opcodes() {
    let (small, opcode) = (text(PING.as_bytes()), |bits, payload: &[u8]| {
        client_frame(true, Opcode::Reserved(bits), payload)
    });
    let table = [
        ("case_4_1_1", opcode(3, b""), false, Chop::Whole),
        ("case_4_1_2", opcode(4, b"reserved"), false, Chop::Whole),
        ("case_4_1_3", opcode(5, b""), true, Chop::Whole),
        ("case_4_1_4", opcode(6, b"reserved"), true, Chop::Whole),
        ("case_4_1_5", opcode(7, b"reserved"), true, Chop::Octets),
        ("case_4_2_1", opcode(11, b""), false, Chop::Whole),
        ("case_4_2_2", opcode(12, b"reserved"), false, Chop::Whole),
        ("case_4_2_3", opcode(13, b""), true, Chop::Whole),
        ("case_4_2_4", opcode(14, b"reserved"), true, Chop::Whole),
        ("case_4_2_5", opcode(15, b"reserved"), true, Chop::Octets),
    ];
    play(table.into_iter().map(|(name, bad, after_text, chop)| {
        let frames = if after_text {
            vec![small.clone(), bad, late()]
        } else {
            vec![bad]
        };
        case(name, frames)
            .chop(chop)
            .echoes(after_text.into())
            .fails(1002)
    }))
    .await;
}

#[tokio::test]
async fn section_5_control_frames_are_whole() {
    play([
        case("case_5_1", fragments(Opcode::Ping, &[b"frag", b"ment"])).fails(1002),
        case("case_5_2", fragments(Opcode::Pong, &[b"frag", b"ment"])).fails(1002),
    ])
    .await;
}

#[tokio::test]
async fn section_5_fragments_join() {
    let (head, tail) = PING.as_bytes().split_at(PING.len() / 2);
    let two = fragments(Opcode::Text, &[head, tail]);
    let with_ping = [two[0].clone(), ping(b"between"), two[1].clone()];
    let answers = [Heard::Pong(b"between".to_vec()), Heard::Echo];
    let mut table = Vec::new();
    for (name, chop) in [
        ("case_5_3", Chop::Whole),
        ("case_5_4", Chop::Frames),
        ("case_5_5", Chop::Octets),
    ] {
        table.push(case(name, two.clone()).chop(chop).echoes(1));
    }
    for (name, chop) in [
        ("case_5_6", Chop::Whole),
        ("case_5_7", Chop::Frames),
        ("case_5_8", Chop::Octets),
    ] {
        table.push(
            case(name, with_ping.clone())
                .chop(chop)
                .hears(answers.clone()),
        );
    }
    let parts: Vec<&[u8]> = PING.as_bytes().chunks(PING.len().div_ceil(5)).collect();
    let five = fragments(Opcode::Text, &parts);
    assert_eq!(five.len(), 5);
    let with_pings: Vec<Vec<u8>> = [
        &five[..2],
        &[ping(b"one")],
        &five[2..4],
        &[ping(b"two")],
        &five[4..],
    ]
    .concat();
    let answers = [
        Heard::Pong(b"one".to_vec()),
        Heard::Pong(b"two".to_vec()),
        Heard::Echo,
    ];
    for (name, chop) in [("case_5_19", Chop::Whole), ("case_5_20", Chop::Frames)] {
        table.push(
            case(name, with_pings.clone())
                .chop(chop)
                .hears(answers.clone()),
        );
    }
    play(table).await;
}

#[tokio::test]
async fn section_5_fragments_out_of_place() {
    let stray = |fin| client_frame(fin, Opcode::Continuation, b"nothing to continue");
    let small = text(PING.as_bytes());
    let (head, tail) = PING.as_bytes().split_at(PING.len() / 2);
    let two = fragments(Opcode::Text, &[head, tail]);
    let begun = client_frame(false, Opcode::Text, head);
    let both = [
        [stray(false), begun.clone()].concat(),
        [stray(false), begun.clone()].concat(),
    ];
    let both_final = [
        [stray(true), begun.clone()].concat(),
        [stray(true), begun.clone()].concat(),
    ];
    play([
        case("case_5_9", [stray(true), small.clone()]).fails(1002),
        case("case_5_10", [stray(true), small.clone()])
            .chop(Chop::Frames)
            .fails(1002),
        case("case_5_11", [stray(true), small.clone()])
            .chop(Chop::Octets)
            .fails(1002),
        case("case_5_12", [stray(false), small.clone()]).fails(1002),
        case("case_5_13", [stray(false), small.clone()])
            .chop(Chop::Frames)
            .fails(1002),
        case("case_5_14", [stray(false), small.clone()])
            .chop(Chop::Octets)
            .fails(1002),
        case("case_5_15", [&two[..], &[stray(false), small]].concat())
            .echoes(1)
            .fails(1002),
        case("case_5_16", both).fails(1002),
        case("case_5_17", both_final).fails(1002),
        case("case_5_18", [begun, client_frame(true, Opcode::Text, tail)]).fails(1002),
    ])
    .await;
}
