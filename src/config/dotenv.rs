//! `.env` files: `NAME=value` lines, `export` before them, `#` comments, values in quotes over several lines.

/// Names and values in order; lines that are neither are left out, as Soketi's reader does.
pub(crate) fn parse(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let (name, value) = (name.trim_end(), value.trim_start());
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if name.is_empty() || !name.chars().all(legal) {
            continue;
        }
        let quote = value
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\'' | '`'));
        let value = match quote.and_then(|quote| quoted(value, after, quote)) {
            Some((value, after)) => {
                rest = after;
                value
            }
            None => plain(value),
        };
        found.push((name.to_owned(), value));
    }
    found
}

/// A value without quotes ends at a `#`.
fn plain(value: &str) -> String {
    let end = value.find('#').unwrap_or(value.len());
    value[..end].trim().to_owned()
}

/// The text between two quotes, the second of which may stand lines below, and what follows that line.
fn quoted<'a>(first_line: &str, after: &'a str, quote: char) -> Option<(String, &'a str)> {
    let first_line = &first_line[1..];
    if let Some(end) = closing(first_line, quote) {
        return Some((unescaped(&first_line[..end], quote), after));
    }
    let end = closing(after, quote)?;
    let value = format!("{first_line}\n{}", &after[..end]);
    let rest = after[end + 1..]
        .split_once('\n')
        .map_or("", |(_, rest)| rest);
    Some((unescaped(&value, quote), rest))
}

fn closing(text: &str, quote: char) -> Option<usize> {
    let escaped = |at: usize| quote == '"' && text[..at].ends_with('\\');
    text.match_indices(quote)
        .map(|(at, _)| at)
        .find(|at| !escaped(*at))
}

fn unescaped(text: &str, quote: char) -> String {
    match quote {
        '"' => text
            .replace("\\n", "\n")
            .replace("\\r", "\r")
            .replace("\\\"", "\""),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_dotenv_reads_them() {
        let text = "\u{feff}# comment\nA=1\n  export B = two # rest\nC=\"a # b\" # c\nD='x=y'\nE=\nnot a line\nF=\"first\nsecond\"\r\nG=last";
        let expected = [
            ("A", "1"),
            ("B", "two"),
            ("C", "a # b"),
            ("D", "x=y"),
            ("E", ""),
            ("F", "first\nsecond"),
            ("G", "last"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn json_and_quotes_that_never_close_survive() {
        let text = "HOOKS='[{\"url\":\"http://a\"}]'\nBAD=\"open\nNEXT=1";
        let read = parse(text);
        assert_eq!(read[0].1, "[{\"url\":\"http://a\"}]");
        assert_eq!(read[1], ("BAD".into(), "\"open".into()));
        assert_eq!(read[2], ("NEXT".into(), "1".into()));
    }
}
