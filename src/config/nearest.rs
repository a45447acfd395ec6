//! The known name that a misspelt one probably meant.

/// The nearest of `names`, if any is near: a third of the letters may differ, or the last part of a dotted key is the same.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let names: Vec<&str> = names.collect();
    let wanted = name.to_ascii_lowercase();
    let close = names
        .iter()
        .map(|known| (distance(&wanted, &known.to_ascii_lowercase()), *known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= wanted.chars().count() / 3 + 1)
        .map(|(_, known)| known);
    let last = |key: &str| key.rsplit('.').next().map(str::to_ascii_lowercase);
    close.or_else(|| names.into_iter().find(|known| last(known) == last(&wanted)))
}

/// The words to put behind a complaint about `name`.
pub(crate) fn hint<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    nearest(name, names).map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

/// Letters to insert, delete, replace or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(100).collect(), b.chars().collect());
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != to);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in [
            ("port", "port", 0),
            ("prot", "port", 1),
            ("por", "port", 1),
            ("ports", "port", 1),
            ("", "port", 4),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["DEFAULT_APP_ID", "DEFAULT_APP_KEY", "PORT"];
        let find = |name| nearest(name, known.into_iter());
        assert_eq!(find("DEFUALT_APP_ID"), Some("DEFAULT_APP_ID"));
        assert_eq!(find("PROT"), Some("PORT"));
        assert_eq!(find("SOMETHING_ELSE"), None);
        let keys = ["eventLimits.maxBatchSize", "port"];
        assert_eq!(
            nearest("maxBatchSize", keys.into_iter()),
            Some("eventLimits.maxBatchSize")
        );
    }
}
