//! Section 6: text is UTF-8. A message that is valid leaves a connection that answers; one that is not ends it with 1007.

use super::{Chop, Opcode, PING, case, fragments, play, text};

/// A case's number and its text: valid, or not.
type Row = (&'static str, &'static [u8], bool);

const KOSME: &[u8] = "κόσμε".as_bytes();
const BAD: &[u8] =
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64";

/// Frames of one octet each.
fn octet_fragments(payload: &[u8]) -> Vec<Vec<u8>> {
    fragments(Opcode::Text, &payload.chunks(1).collect::<Vec<_>>())
}

async fn play_rows(rows: &[Row]) {
    play(rows.iter().map(|(name, payload, valid)| {
        assert_eq!(
            std::str::from_utf8(payload).is_ok(),
            *valid,
            "{name} says what it is"
        );
        let case = case(*name, [text(payload)]);
        if *valid { case } else { case.fails(1007) }
    }))
    .await;
}

#[tokio::test]
async fn section_6_1_empty_fragments() {
    play([
        case("case_6_1_1", [text(b"")]),
        case("case_6_1_2", fragments(Opcode::Text, &[b"", b"", b""])),
        case(
            "case_6_1_3",
            fragments(Opcode::Text, &[b"", PING.as_bytes(), b""]),
        )
        .echoes(1),
    ])
    .await;
}

#[tokio::test]
async fn section_6_2_valid_however_fragmented() {
    let whole = "{\"event\":\"pusher:ping\",\"data\":\"Hello-µ@ßöäüàá-UTF-8!!\"}".as_bytes();
    let (head, tail) = whole.split_at(39);
    assert!(std::str::from_utf8(head).is_ok(), "on a code point");
    play([
        case("case_6_2_1", [text(whole)]).echoes(1),
        case("case_6_2_2", fragments(Opcode::Text, &[head, tail])).echoes(1),
        case("case_6_2_3", octet_fragments(whole)).echoes(1),
        case("case_6_2_4", octet_fragments(KOSME)),
    ])
    .await;
}

#[tokio::test]
async fn section_6_3_invalid_however_fragmented() {
    play([
        case("case_6_3_1", [text(BAD)]).fails(1007),
        case("case_6_3_2", octet_fragments(BAD)).fails(1007),
    ])
    .await;
}

/// Autobahn would have the connection fail at the bad octet; to fail when the message is whole is allowed too ("non-strict").
#[tokio::test]
async fn section_6_4_invalid_in_the_middle() {
    let bad = [KOSME, b"\xf4\x90\x80\x80", b"edited"];
    let cut = [KOSME, b"\xf4", b"\x90\x80\x80edited"];
    play([
        case("case_6_4_1", fragments(Opcode::Text, &bad))
            .chop(Chop::Frames)
            .fails(1007),
        case("case_6_4_2", fragments(Opcode::Text, &cut))
            .chop(Chop::Frames)
            .fails(1007),
        case("case_6_4_3", [text(&bad.concat())])
            .chop(Chop::Pieces(6 + KOSME.len()))
            .fails(1007),
        case("case_6_4_4", [text(&cut.concat())])
            .chop(Chop::Pieces(6 + KOSME.len() + 1))
            .fails(1007),
    ])
    .await;
}

#[tokio::test]
async fn section_6_5_valid_sequences() {
    play_rows(&[
        ("case_6_5_1", b"hello$world", true),
        ("case_6_5_2", b"hello\xc2\xa2world", true),
        ("case_6_5_3", b"hello\xe2\x82\xacworld", true),
        ("case_6_5_4", b"hello\xf0\xa4\xad\xa2world", true),
        (
            "case_6_5_5",
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
            true,
        ),
    ])
    .await;
}

#[tokio::test]
async fn section_6_6_prefixes() {
    play_rows(&[
        ("case_6_6_1", b"\xce", false),
        ("case_6_6_2", b"\xce\xba", true),
        ("case_6_6_3", b"\xce\xba\xe1", false),
        ("case_6_6_4", b"\xce\xba\xe1\xbd", false),
        ("case_6_6_5", b"\xce\xba\xe1\xbd\xb9", true),
        ("case_6_6_6", b"\xce\xba\xe1\xbd\xb9\xcf", false),
        ("case_6_6_7", b"\xce\xba\xe1\xbd\xb9\xcf\x83", true),
        ("case_6_6_8", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce", false),
        ("case_6_6_9", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc", true),
        (
            "case_6_6_10",
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce",
            false,
        ),
        (
            "case_6_6_11",
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
            true,
        ),
    ])
    .await;
}

#[tokio::test]
async fn section_6_7_first_of_a_length() {
    play_rows(&[
        ("case_6_7_1", b"\x00", true),
        ("case_6_7_2", b"\xc2\x80", true),
        ("case_6_7_3", b"\xe0\xa0\x80", true),
        ("case_6_7_4", b"\xf0\x90\x80\x80", true),
    ])
    .await;
}

#[tokio::test]
async fn section_6_8_first_of_five_and_six() {
    play_rows(&[
        ("case_6_8_1", b"\xf8\x88\x80\x80\x80", false),
        ("case_6_8_2", b"\xfc\x84\x80\x80\x80\x80", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_9_last_of_a_length() {
    play_rows(&[
        ("case_6_9_1", b"\x7f", true),
        ("case_6_9_2", b"\xdf\xbf", true),
        ("case_6_9_3", b"\xef\xbf\xbf", true),
        ("case_6_9_4", b"\xf4\x8f\xbf\xbf", true),
    ])
    .await;
}

#[tokio::test]
async fn section_6_10_last_of_four_to_six() {
    play_rows(&[
        ("case_6_10_1", b"\xf7\xbf\xbf\xbf", false),
        ("case_6_10_2", b"\xfb\xbf\xbf\xbf\xbf", false),
        ("case_6_10_3", b"\xfd\xbf\xbf\xbf\xbf\xbf", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_11_other_boundaries() {
    play_rows(&[
        ("case_6_11_1", b"\xed\x9f\xbf", true),
        ("case_6_11_2", b"\xee\x80\x80", true),
        ("case_6_11_3", b"\xef\xbf\xbd", true),
        ("case_6_11_4", b"\xf4\x8f\xbf\xbf", true),
        ("case_6_11_5", b"\xf4\x90\x80\x80", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_12_unexpected_continuations() {
    play_rows(&[
        ("case_6_12_1", b"\x80", false),
        ("case_6_12_2", b"\xbf", false),
        ("case_6_12_3", b"\x80\xbf", false),
        ("case_6_12_4", b"\x80\xbf\x80", false),
        ("case_6_12_5", b"\x80\xbf\x80\xbf", false),
        ("case_6_12_6", b"\x80\xbf\x80\xbf\x80", false),
        ("case_6_12_7", b"\x80\xbf\x80\xbf\x80\xbf", false),
        ("case_6_12_8", b"\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf\xb0\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xbb\xbc\xbd\xbe\xbf", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_13_lonely_starts() {
    play_rows(&[
        ("case_6_13_1", b"\xc0 \xc1 \xc2 \xc3 \xc4 \xc5 \xc6 \xc7 \xc8 \xc9 \xca \xcb \xcc \xcd \xce \xcf \xd0 \xd1 \xd2 \xd3 \xd4 \xd5 \xd6 \xd7 \xd8 \xd9 \xda \xdb \xdc \xdd \xde \xdf ", false),
        ("case_6_13_2", b"\xe0 \xe1 \xe2 \xe3 \xe4 \xe5 \xe6 \xe7 \xe8 \xe9 \xea \xeb \xec \xed \xee \xef ", false),
        ("case_6_13_3", b"\xf0 \xf1 \xf2 \xf3 \xf4 \xf5 \xf6 \xf7 ", false),
        ("case_6_13_4", b"\xf8 \xf9 \xfa \xfb ", false),
        ("case_6_13_5", b"\xfc \xfd ", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_14_last_continuation_missing() {
    play_rows(&[
        ("case_6_14_1", b"\xc0", false),
        ("case_6_14_2", b"\xe0\x80", false),
        ("case_6_14_3", b"\xf0\x80\x80", false),
        ("case_6_14_4", b"\xf8\x80\x80\x80", false),
        ("case_6_14_5", b"\xfc\x80\x80\x80\x80", false),
        ("case_6_14_6", b"\xdf", false),
        ("case_6_14_7", b"\xef\xbf", false),
        ("case_6_14_8", b"\xf7\xbf\xbf", false),
        ("case_6_14_9", b"\xfb\xbf\xbf\xbf", false),
        ("case_6_14_10", b"\xfd\xbf\xbf\xbf\xbf", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_15_incomplete_ones_joined() {
    play_rows(&[
        ("case_6_15_1", b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf\xfb\xbf\xbf\xbf\xfd\xbf\xbf\xbf\xbf", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_16_impossible_bytes() {
    play_rows(&[
        ("case_6_16_1", b"\xfe", false),
        ("case_6_16_2", b"\xff", false),
        ("case_6_16_3", b"\xfe\xfe\xff\xff", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_17_overlong_ascii() {
    play_rows(&[
        ("case_6_17_1", b"\xc0\xaf", false),
        ("case_6_17_2", b"\xe0\x80\xaf", false),
        ("case_6_17_3", b"\xf0\x80\x80\xaf", false),
        ("case_6_17_4", b"\xf8\x80\x80\x80\xaf", false),
        ("case_6_17_5", b"\xfc\x80\x80\x80\x80\xaf", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_18_longest_overlong() {
    play_rows(&[
        ("case_6_18_1", b"\xc1\xbf", false),
        ("case_6_18_2", b"\xe0\x9f\xbf", false),
        ("case_6_18_3", b"\xf0\x8f\xbf\xbf", false),
        ("case_6_18_4", b"\xf8\x87\xbf\xbf\xbf", false),
        ("case_6_18_5", b"\xfc\x83\xbf\xbf\xbf\xbf", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_19_overlong_nul() {
    play_rows(&[
        ("case_6_19_1", b"\xc0\x80", false),
        ("case_6_19_2", b"\xe0\x80\x80", false),
        ("case_6_19_3", b"\xf0\x80\x80\x80", false),
        ("case_6_19_4", b"\xf8\x80\x80\x80\x80", false),
        ("case_6_19_5", b"\xfc\x80\x80\x80\x80\x80", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_20_single_surrogates() {
    play_rows(&[
        ("case_6_20_1", b"\xed\xa0\x80", false),
        ("case_6_20_2", b"\xed\xad\xbf", false),
        ("case_6_20_3", b"\xed\xae\x80", false),
        ("case_6_20_4", b"\xed\xaf\xbf", false),
        ("case_6_20_5", b"\xed\xb0\x80", false),
        ("case_6_20_6", b"\xed\xbe\x80", false),
        ("case_6_20_7", b"\xed\xbf\xbf", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_21_paired_surrogates() {
    play_rows(&[
        ("case_6_21_1", b"\xed\xa0\x80\xed\xb0\x80", false),
        ("case_6_21_2", b"\xed\xa0\x80\xed\xbf\xbf", false),
        ("case_6_21_3", b"\xed\xad\xbf\xed\xb0\x80", false),
        ("case_6_21_4", b"\xed\xad\xbf\xed\xbf\xbf", false),
        ("case_6_21_5", b"\xed\xae\x80\xed\xb0\x80", false),
        ("case_6_21_6", b"\xed\xae\x80\xed\xbf\xbf", false),
        ("case_6_21_7", b"\xed\xaf\xbf\xed\xb0\x80", false),
        ("case_6_21_8", b"\xed\xaf\xbf\xed\xbf\xbf", false),
    ])
    .await;
}

#[tokio::test]
async fn section_6_22_non_characters() {
    play_rows(&[
        ("case_6_22_1", b"\xef\xbf\xbe", true),
        ("case_6_22_2", b"\xef\xbf\xbf", true),
        ("case_6_22_3", b"\xf0\x9f\xbf\xbe", true),
        ("case_6_22_4", b"\xf0\x9f\xbf\xbf", true),
        ("case_6_22_5", b"\xf0\xaf\xbf\xbe", true),
        ("case_6_22_6", b"\xf0\xaf\xbf\xbf", true),
        ("case_6_22_7", b"\xf0\xbf\xbf\xbe", true),
        ("case_6_22_8", b"\xf0\xbf\xbf\xbf", true),
        ("case_6_22_9", b"\xf1\x8f\xbf\xbe", true),
        ("case_6_22_10", b"\xf1\x8f\xbf\xbf", true),
        ("case_6_22_11", b"\xf1\x9f\xbf\xbe", true),
        ("case_6_22_12", b"\xf1\x9f\xbf\xbf", true),
        ("case_6_22_13", b"\xf1\xaf\xbf\xbe", true),
        ("case_6_22_14", b"\xf1\xaf\xbf\xbf", true),
        ("case_6_22_15", b"\xf1\xbf\xbf\xbe", true),
        ("case_6_22_16", b"\xf1\xbf\xbf\xbf", true),
        ("case_6_22_17", b"\xf2\x8f\xbf\xbe", true),
        ("case_6_22_18", b"\xf2\x8f\xbf\xbf", true),
        ("case_6_22_19", b"\xf2\x9f\xbf\xbe", true),
        ("case_6_22_20", b"\xf2\x9f\xbf\xbf", true),
        ("case_6_22_21", b"\xf2\xaf\xbf\xbe", true),
        ("case_6_22_22", b"\xf2\xaf\xbf\xbf", true),
        ("case_6_22_23", b"\xf2\xbf\xbf\xbe", true),
        ("case_6_22_24", b"\xf2\xbf\xbf\xbf", true),
        ("case_6_22_25", b"\xf3\x8f\xbf\xbe", true),
        ("case_6_22_26", b"\xf3\x8f\xbf\xbf", true),
        ("case_6_22_27", b"\xf3\x9f\xbf\xbe", true),
        ("case_6_22_28", b"\xf3\x9f\xbf\xbf", true),
        ("case_6_22_29", b"\xf3\xaf\xbf\xbe", true),
        ("case_6_22_30", b"\xf3\xaf\xbf\xbf", true),
        ("case_6_22_31", b"\xf3\xbf\xbf\xbe", true),
        ("case_6_22_32", b"\xf3\xbf\xbf\xbf", true),
        ("case_6_22_33", b"\xf4\x8f\xbf\xbe", true),
        ("case_6_22_34", b"\xf4\x8f\xbf\xbf", true),
    ])
    .await;
}

#[tokio::test]
async fn section_6_23_specials() {
    play_rows(&[
        ("case_6_23_1", b"\xef\xbf\xb9", true),
        ("case_6_23_2", b"\xef\xbf\xba", true),
        ("case_6_23_3", b"\xef\xbf\xbb", true),
        ("case_6_23_4", b"\xef\xbf\xbc", true),
        ("case_6_23_5", b"\xef\xbf\xbd", true),
        ("case_6_23_6", b"\xef\xbf\xbe", true),
        ("case_6_23_7", b"\xef\xbf\xbf", true),
    ])
    .await;
}
