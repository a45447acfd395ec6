//! Configuration files, JSON and TOML, and `.env`: read or refused with a message, never a panic.
#![no_main]

use std::{cell::LazyCell, fs};

use bowline::config::{Config, Flags, Sources};
use libfuzzer_sys::fuzz_target;

thread_local! {
    /// In memory where the system has such a place: the disk would be most of the work.
    static DIR: LazyCell<tempfile::TempDir> = LazyCell::new(|| {
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
    });
}

fuzz_target!(|text: &str| {
    DIR.with(|dir| {
        let dir = dir.path();
        for name in ["config.json", "config.toml", ".env"] {
            fs::write(dir.join(name), text).expect("a file");
            let config = (name != ".env").then(|| dir.join(name));
            let sources = Sources {
                dir: dir.to_owned(),
                flags: Flags {
                    config,
                    ..Flags::default()
                },
                ..Sources::default()
            };
            if let Err(errors) = Config::load(&sources) {
                assert!(!errors.to_string().is_empty());
            }
            fs::remove_file(dir.join(name)).expect("the file");
        }
    });
});
