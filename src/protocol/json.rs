//! The little JSON that is written by hand: strings inside frames, and sizes without writing.

/// Appends `text` as a JSON string, quotes included.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// Appends `text` escaped as inside a JSON string, as JavaScript's `JSON.stringify` does.
pub fn escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (i, &b) in bytes.iter().enumerate() {
        let short = match b {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            8 => b'b',
            12 => b'f',
            0..=31 => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..i]);
        plain = i + 1;
        if short == 0 {
            out.extend_from_slice(format!("\\u{b:04x}").as_bytes());
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// Bytes that a JSON value counts for against limits: a string's text without quotes and escapes, any other value as compact JSON.
pub fn counted_bytes(raw: &str) -> usize {
    if !raw.starts_with('"') {
        return compact_bytes(raw);
    }
    if !raw.contains('\\') {
        return raw.len().saturating_sub(2);
    }
    serde_json::from_str::<String>(raw).map_or(raw.len(), |text| text.len())
}

/// Bytes of a valid JSON value without the white space between its tokens.
pub fn compact_bytes(raw: &str) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for b in raw.bytes() {
        if in_string {
            count += 1;
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else if !matches!(b, b' ' | b'\n' | b'\r' | b'\t') {
            count += 1;
            in_string = b == b'"';
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_serde_does() {
        for text in [
            "",
            "plain",
            "a\"b\\c",
            "\n\r\t\u{8}\u{c}\u{1}",
            "é€😀\u{2028}",
        ] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                serde_json::to_string(text).unwrap()
            );
        }
    }

    #[test]
    fn sizes_ignore_form() {
        for (raw, bytes) in [
            ("\"abc\"", 3),
            ("\"a\\nb\"", 3),
            ("{ \"a\" : [ 1, 2 ] }", 11),
            ("\" a \"", 3),
            ("{\"a b\": \"\\\" \"}", 13),
        ] {
            assert_eq!(counted_bytes(raw), bytes, "{raw}");
        }
    }
}
