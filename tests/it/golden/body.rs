//! Bodies and frames that a transcript shortens, made whole again.

use crate::harness::md5_hex;

/// Ends with which a shortened JSON text may go on.
const ENDS: &[&str] = &[r#""}"#, r#""}}"#, r#""}]}"#, r#"""#, r#""],"data":"x"}"#];

/// The body as it was sent: `shown` begins it, `units` is its length in UTF-16 units, `md5` what the query says.
pub(crate) fn whole(shown: &str, units: usize, md5: Option<&str>) -> String {
    let mut candidates: Vec<String> = ENDS.iter().map(|end| filled(shown, units, end)).collect();
    if shown.starts_with(r#"{"name":"n","channels":["c0""#) {
        let channels: Vec<String> = (0..101).map(|at| format!("\"c{at}\"")).collect();
        candidates.push(format!(
            r#"{{"name":"n","channels":[{}],"data":"x"}}"#,
            channels.join(",")
        ));
    }
    if shown.starts_with(r#"{"batch":["#) {
        let event = r#"{"name":"e","channel":"c","data":"x"}"#;
        candidates.push(format!(r#"{{"batch":[{}]}}"#, [event; 20].join(",")));
    }
    let Some(md5) = md5 else {
        return filled(shown, units, r#"""#);
    };
    let found = candidates
        .into_iter()
        .find(|body| md5_hex(body.as_bytes()) == md5);
    found.unwrap_or_else(|| panic!("cannot tell how this body went on: {shown}"))
}

fn filled(shown: &str, units: usize, end: &str) -> String {
    let filler = shown.chars().last().unwrap().to_string();
    let missing = units.saturating_sub(shown.encode_utf16().count() + end.len());
    format!("{shown}{}{end}", filler.repeat(missing))
}

/// A frame in which `xxx...(N bytes)` stands for N times the letter x.
pub(crate) fn unfolded(frame: &str) -> String {
    let Some((before, rest)) = frame.split_once("xxx...(") else {
        return frame.to_owned();
    };
    let (count, after) = rest.split_once(" bytes)").unwrap();
    format!("{before}{}{after}", "x".repeat(count.parse().unwrap()))
}
