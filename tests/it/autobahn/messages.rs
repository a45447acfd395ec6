//! Sections 1 (messages of every length), 2 (pings and pongs) and 10 (automatic fragmentation).

use super::{Case, Chop, Heard, Opcode, case, client_frame, fragments, padded, ping, play};

const LENGTHS: [(usize, Chop); 8] = [
    (0, Chop::Whole),
    (125, Chop::Whole),
    (126, Chop::Whole),
    (127, Chop::Whole),
    (128, Chop::Whole),
    (65_535, Chop::Whole),
    (65_536, Chop::Whole),
    (65_536, Chop::Pieces(997)),
];

fn of_every_length(opcode: Opcode, names: [&'static str; 8]) -> impl Iterator<Item = Case> {
    names
        .into_iter()
        .zip(LENGTHS)
        .map(move |(name, (octets, chop))| {
            case(name, [client_frame(true, opcode, &padded(octets))])
                .chop(chop)
                .echoes((octets > 0).into())
        })
}

#[tokio::test]
async fn section_1_1_text() {
    let names = [
        "case_1_1_1",
        "case_1_1_2",
        "case_1_1_3",
        "case_1_1_4",
        "case_1_1_5",
        "case_1_1_6",
        "case_1_1_7",
        "case_1_1_8",
    ];
    play(of_every_length(Opcode::Text, names)).await;
}

#[tokio::test]
async fn section_1_2_binary() {
    let names = [
        "case_1_2_1",
        "case_1_2_2",
        "case_1_2_3",
        "case_1_2_4",
        "case_1_2_5",
        "case_1_2_6",
        "case_1_2_7",
        "case_1_2_8",
    ];
    play(of_every_length(Opcode::Binary, names)).await;
}

#[tokio::test]
async fn section_2_pings_and_pongs() {
    let answered = |name, payload: &[u8], chop| {
        case(name, [ping(payload)])
            .chop(chop)
            .hears([Heard::Pong(payload.to_vec())])
    };
    let unsolicited = |payload| client_frame(true, Opcode::Pong, payload);
    let ten: Vec<Vec<u8>> = (0..10)
        .map(|i| format!("payload-{i}").into_bytes())
        .collect();
    let pongs = || ten.iter().cloned().map(Heard::Pong);
    let asked = || ten.iter().map(|payload| ping(payload));
    play([
        answered("case_2_1", b"", Chop::Whole),
        answered("case_2_2", b"Hello, world!", Chop::Whole),
        answered(
            "case_2_3",
            &[0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff],
            Chop::Whole,
        ),
        answered("case_2_4", &[0xfe; 125], Chop::Whole),
        case("case_2_5", [ping(&[0xfe; 126])]).fails(1002),
        answered("case_2_6", &[0xfe; 125], Chop::Octets),
        case("case_2_7", [unsolicited(b"")]),
        case("case_2_8", [unsolicited(b"unsolicited pong payload")]),
        case(
            "case_2_9",
            [
                unsolicited(b"unsolicited pong payload"),
                ping(b"ping payload"),
            ],
        )
        .hears([Heard::Pong(b"ping payload".to_vec())]),
        case("case_2_10", asked()).hears(pongs()),
        case("case_2_11", asked()).chop(Chop::Octets).hears(pongs()),
    ])
    .await;
}

#[tokio::test]
async fn section_10_automatic_fragmentation() {
    let message = padded(65_536);
    let parts: Vec<&[u8]> = message.chunks(1300).collect();
    let frames = || fragments(Opcode::Text, &parts);
    play([
        case("case_10_1_1", frames()).echoes(1),
        // Autobahn leaves the packets to TCP; here the same message comes a frame and a few octets at a time as well.
        case("case_10_1_1, a write for each frame", frames())
            .chop(Chop::Frames)
            .echoes(1),
        case("case_10_1_1, in pieces of 7 octets", frames())
            .chop(Chop::Pieces(7))
            .echoes(1),
    ])
    .await;
}
