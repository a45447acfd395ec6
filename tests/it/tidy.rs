//! The shape of the source: which module may know which, how long files are, what they must not say.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Lines of a file.
const LINES_MAX: usize = 400;

/// What a module of the crate may use, itself and what lies under it aside. An arrow that is not here is a mistake, here or there.
const ARROWS: &[(&str, &[&str])] = &[
    ("app", &["metrics"]),
    ("cache", &["app", "metrics"]),
    ("cli", &["config", "server"]),
    ("config", &["app"]),
    ("demo", &["app", "config", "limiter", "node", "protocol"]),
    ("directory", &["protocol"]),
    ("drain", &["config", "directory", "node"]),
    (
        "http",
        &["app", "config", "limiter", "metrics", "node", "protocol"],
    ),
    ("limiter", &["app"]),
    ("metrics", &["config"]),
    (
        "node",
        &[
            "app",
            "cache",
            "config",
            "directory",
            "limiter",
            "metrics",
            "protocol",
            "webhook",
        ],
    ),
    ("notify", &[]),
    ("protocol", &["app"]),
    (
        "server",
        &[
            "config",
            "demo",
            "directory",
            "drain",
            "http",
            "metrics",
            "node",
            "notify",
            "shard",
            "webhook",
        ],
    ),
    (
        "shard",
        &[
            "app",
            "cache",
            "config",
            "directory",
            "http",
            "limiter",
            "node",
            "protocol",
            "webhook",
        ],
    ),
    ("webhook", &["app", "config", "metrics"]),
];

/// Arrows that point back, each for a type or two that stand there. To be turned round, not to be added to.
const BACK: &[(&str, &str, &str)] = &[
    (
        "app",
        "config",
        "the server-wide limits, which apps inherit",
    ),
    ("directory", "node", "what is told of a channel's occupancy"),
    (
        "directory",
        "shard",
        "connections and upgrades that travel between shards",
    ),
    ("http", "directory", "the shards' inboxes, for gauges"),
];

/// Words that a module's source must not hold: what style.md says it must not know.
const MUST_NOT_KNOW: &[(&str, &[&str])] = &[
    (
        "protocol",
        &[
            "tokio::",
            "axum",
            "fred",
            "SystemTime",
            "Instant::",
            "crate::config",
        ],
    ),
    ("shard", &["crate::adapter", "crate::state"]),
    ("node", &["axum", "fred", "hyper"]),
    ("http", &["crate::shard"]),
    ("directory", &["axum", "hyper"]),
    ("cache", &["crate::protocol", "crate::shard", "axum"]),
    ("limiter", &["crate::protocol", "crate::shard", "axum"]),
];

/// One source file.
struct Source {
    path: PathBuf,
    /// The crate's module that it belongs to.
    module: String,
    /// All of it.
    text: String,
    /// Without comments, texts in quotes and tests.
    code: String,
    /// It is a test's.
    is_test: bool,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut dirs, mut found) = (vec![root.clone()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(source(&root, &path));
            }
        }
    }
    assert!(found.len() > 40, "the source was found");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn source(root: &Path, path: &Path) -> Source {
    let text = std::fs::read_to_string(path).unwrap();
    let relative = path.strip_prefix(root).unwrap();
    let first = relative.components().next().unwrap();
    let module = first
        .as_os_str()
        .to_str()
        .unwrap()
        .trim_end_matches(".rs")
        .to_owned();
    let is_test = relative
        .with_extension("")
        .components()
        .any(|part| part.as_os_str() == "tests");
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let code = code.lines().map(bare).collect::<Vec<_>>().join("\n");
    Source {
        path: relative.to_owned(),
        module,
        text,
        code,
        is_test,
    }
}

/// A line without its comment and what it quotes.
fn bare(line: &str) -> String {
    let (mut out, mut quoted, mut before) = (String::new(), false, ' ');
    for (i, c) in line.char_indices() {
        match c {
            '"' if before != '\\' => quoted = !quoted,
            '/' if !quoted && line[i..].starts_with("//") => break,
            c if !quoted => out.push(c),
            _ => {}
        }
        before = if before == '\\' { ' ' } else { c };
    }
    out
}

/// Modules of the crate that a file uses: `crate::x`, and the names in `use crate::{x, …}`.
fn uses(source: &Source, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, found) in source
        .code
        .match_indices("crate::")
        .chain(source.code.match_indices("bowline::"))
    {
        let rest = &source.code[at + found.len()..];
        let mut depth = 0;
        let mut word = String::new();
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if c.is_alphanumeric() || c == '_' {
                word.push(c);
                continue;
            }
            // Only what stands at the crate's own level is a module of it.
            let level = depth + i32::from(c == '}') - i32::from(c == '{');
            if level <= 1 && modules.contains(&word) {
                used.insert(std::mem::take(&mut word));
            }
            word.clear();
            if depth == 0 && !c.is_whitespace() {
                break;
            }
        }
    }
    used.remove(&source.module);
    used
}

fn modules(sources: &[Source]) -> BTreeSet<String> {
    let not = |name: &&String| *name != "lib" && *name != "main";
    sources
        .iter()
        .map(|source| source.module.clone())
        .filter(|name| not(&name))
        .collect()
}

#[test]
fn modules_use_only_what_their_arrows_allow() {
    let sources = sources();
    let modules = modules(&sources);
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources
        .iter()
        .filter(|source| !["lib", "main"].contains(&&*source.module) && !source.is_test)
    {
        let Some(allowed) = arrows.get(&*source.module) else {
            wrong.push(format!(
                "{}: a module without arrows",
                source.path.display()
            ));
            continue;
        };
        for used in uses(source, &modules) {
            let back = BACK
                .iter()
                .any(|(from, to, _)| *from == source.module && *to == used);
            if !back && !allowed.contains(&&*used) {
                wrong.push(format!("{}: uses {used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn something_points_to_every_module() {
    let sources = sources();
    let modules = modules(&sources);
    let used: BTreeSet<String> = sources
        .iter()
        .flat_map(|source| uses(source, &modules))
        .collect();
    let in_main = |name: &str| {
        sources
            .iter()
            .any(|s| s.module == "main" && s.text.contains(&format!("mod {name};")))
    };
    let idle: Vec<&String> = modules
        .iter()
        .filter(|name| !used.contains(*name) && !in_main(name))
        .collect();
    assert!(idle.is_empty(), "nothing uses {idle:?}");
}

#[test]
fn every_arrow_is_needed() {
    let sources = sources();
    let modules = modules(&sources);
    let mut used = BTreeSet::new();
    for source in sources.iter().filter(|source| !source.is_test) {
        used.extend(
            uses(source, &modules)
                .into_iter()
                .map(|to| (source.module.clone(), to)),
        );
    }
    let listed = ARROWS
        .iter()
        .flat_map(|(from, allowed)| allowed.iter().map(move |to| (*from, *to)));
    for (from, to) in listed.chain(BACK.iter().map(|(from, to, _)| (*from, *to))) {
        assert!(
            used.contains(&(from.to_owned(), to.to_owned())),
            "nothing in {from} uses {to}: remove the arrow"
        );
    }
}

#[test]
fn modules_do_not_know_what_they_must_not() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        for (_, words) in MUST_NOT_KNOW
            .iter()
            .filter(|(module, _)| *module == source.module)
        {
            wrong.extend(
                words
                    .iter()
                    .filter(|word| source.code.contains(**word))
                    .map(|word| format!("{}: {word}", source.path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn delivery_never_waits() {
    for source in sources()
        .iter()
        .filter(|source| source.path.starts_with("shard") && !source.is_test)
    {
        if source
            .path
            .file_name()
            .is_some_and(|name| name != "answering.rs")
        {
            assert!(
                !source.code.contains("async fn"),
                "{}: an async fn in a shard",
                source.path.display()
            );
            let waits = |(at, word): (usize, &str)| {
                !source.code[at + word.len()..]
                    .starts_with(|c: char| c.is_alphanumeric() || c == '_')
            };
            assert!(
                !source.code.match_indices(".await").any(waits),
                "{}: a shard that waits",
                source.path.display()
            );
        }
    }
}

#[test]
fn files_fit_their_length() {
    let long: Vec<String> = sources()
        .iter()
        .map(|source| (source.text.lines().count(), source))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, source)| format!("{}: {lines} lines", source.path.display()))
        .collect();
    assert!(
        long.is_empty(),
        "longer than {LINES_MAX} lines:\n{}",
        long.join("\n")
    );
}

#[test]
fn nothing_unwraps_outside_tests() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        for (number, line) in (1..).zip(source.code.lines()) {
            if line.contains(".unwrap()") || line.contains("todo!(") || line.contains("dbg!(") {
                wrong.push(format!("{}:{number}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for source in sources()
        .iter()
        .filter(|source| source.path != Path::new("main.rs"))
    {
        assert!(
            source.is_test || source.text.starts_with("//!"),
            "{}: no //! line",
            source.path.display()
        );
    }
}

#[test]
fn every_file_is_part_of_the_crate() {
    let sources = sources();
    for source in &sources {
        let stem = source.path.with_extension("");
        let name = stem.file_name().unwrap().to_str().unwrap();
        if ["lib", "main"].contains(&name) && stem.components().count() == 1 {
            continue;
        }
        let parent = match stem.parent().filter(|dir| dir.components().count() > 0) {
            Some(dir) => dir.with_extension("rs"),
            None => PathBuf::from("lib.rs"),
        };
        let declares = |path: &Path| {
            sources
                .iter()
                .any(|other| other.path == path && other.text.contains(&format!("mod {name};")))
        };
        let is_part =
            declares(&parent) || (parent == Path::new("lib.rs") && declares(Path::new("main.rs")));
        assert!(is_part, "{}: nothing points to it", source.path.display());
    }
}
