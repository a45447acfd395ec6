//! Memory of this process against what it may have: the control group's limit, else the machine's memory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::metrics::process;

/// Bytes in use and bytes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    /// Resident memory of this process alone: a container's page cache is not its own.
    pub(super) used_bytes: u64,
    /// What it may have.
    pub(super) total_bytes: u64,
}

impl Usage {
    /// Of 100.
    #[expect(
        clippy::cast_precision_loss,
        reason = "memory sizes are far below 2^52"
    )]
    pub(super) fn percent(self) -> f64 {
        self.used_bytes as f64 / self.total_bytes.max(1) as f64 * 100.0
    }
}

/// As of now.
pub(super) fn usage() -> Usage {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = machine_bytes();
    let limit = limit_bytes(&groups, Path::new("/sys/fs/cgroup"));
    Usage {
        used_bytes: process::status().resident_bytes,
        total_bytes: limit.map_or(machine, |limit| limit.min(machine)),
    }
}

fn machine_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    process::kilobytes(&text, "MemTotal:").unwrap_or(u64::MAX)
}

/// The smallest limit of the group and those above it. `groups` is `/proc/self/cgroup`: version 2 has one line, `0::/PATH`; version 1 one
/// line per controller. In a container the path may be the host's, so that only the root of the mount exists.
fn limit_bytes(groups: &str, mount: &Path) -> Option<u64> {
    groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            match controllers {
                "" => smallest(mount, path, "memory.max"),
                _ if controllers.split(',').any(|c| c == "memory") => {
                    smallest(&mount.join("memory"), path, "memory.limit_in_bytes")
                }
                _ => None,
            }
        })
        .min()
}

fn smallest(mount: &Path, group: &str, file: &str) -> Option<u64> {
    let mut limits = Vec::new();
    let group: PathBuf = mount.join(group.trim_start_matches('/'));
    for directory in group.ancestors().take_while(|d| d.starts_with(mount)) {
        // "max" is no number and no limit.
        let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
        limits.extend(text.trim().parse::<u64>());
    }
    limits.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_found_in_both_versions_of_control_groups() {
        let mount = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "1000\n");
        write("memory.max", "2000\n");
        write("memory/x/memory.limit_in_bytes", "500\n");
        for (groups, limit) in [
            ("0::/a/b\n", Some(1000)),
            ("0::/\n", Some(2000)),
            ("0::/unknown/here\n", Some(2000)),
            ("5:cpu:/y\n4:memory:/x\n", Some(500)),
            ("5:cpu:/y\n", None),
            ("", None),
        ] {
            assert_eq!(limit_bytes(groups, mount.path()), limit, "{groups}");
        }
    }

    #[test]
    fn this_process_uses_some_of_what_there_is() {
        let usage = usage();
        assert!(usage.used_bytes > 0 && usage.used_bytes < usage.total_bytes);
        assert!(usage.percent() > 0.0 && usage.percent() < 100.0);
    }
}
