//! The process as the kernel sees it. The names are those of prom-client, with which Soketi was measured.

use std::{fmt::Write, fs};

use super::NodeMetrics;

/// Ticks of the CPU times in `/proc`: `USER_HZ`, which Linux shows as 100 whatever its own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// Sizes of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// In memory.
    pub resident_bytes: u64,
    /// Addressable.
    pub virtual_bytes: u64,
    /// Private data.
    pub heap_bytes: u64,
}

/// As of now; zeros where `/proc` is not mounted.
pub fn status() -> Status {
    let text = read("/proc/self/status");
    let bytes = |key| kilobytes(&text, key).unwrap_or_default();
    Status {
        resident_bytes: bytes("VmRSS:"),
        virtual_bytes: bytes("VmSize:"),
        heap_bytes: bytes("VmData:"),
    }
}

/// Bytes of a line `KEY   N kB`.
pub fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024)
}

/// Appends the `process_*` family in Prometheus' text format; label `port`.
#[expect(
    clippy::cast_precision_loss,
    reason = "sizes and counts are far below 2^52"
)]
pub fn render(out: &mut String, metrics: &NodeMetrics) {
    let mut family = Family { out, metrics };
    let sizes = status();
    if let Some(times) = Times::read() {
        let (user, system) = (times.user, times.system);
        let help = "CPU time spent in user mode.";
        family.add("cpu_user_seconds_total", "counter", help, user);
        let help = "CPU time spent in the kernel.";
        family.add("cpu_system_seconds_total", "counter", help, system);
        family.add(
            "cpu_seconds_total",
            "counter",
            "CPU time spent.",
            user + system,
        );
        let help = "When the process started, in seconds since 1970.";
        family.add("start_time_seconds", "gauge", help, times.start);
    }
    for (name, help, bytes) in [
        (
            "resident_memory_bytes",
            "Resident memory.",
            sizes.resident_bytes,
        ),
        (
            "virtual_memory_bytes",
            "Virtual memory.",
            sizes.virtual_bytes,
        ),
        ("heap_bytes", "Private data.", sizes.heap_bytes),
    ] {
        family.add(name, "gauge", help, bytes as f64);
    }
    family.add(
        "open_fds",
        "gauge",
        "Open descriptors.",
        open_descriptors() as f64,
    );
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(limit) = limit {
        family.add("max_fds", "gauge", "Descriptors it may have.", limit as f64);
    }
}

struct Family<'a> {
    out: &'a mut String,
    metrics: &'a NodeMetrics,
}

impl Family<'_> {
    fn add(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        let (prefix, port) = (&self.metrics.prefix, &self.metrics.port);
        let name = format!("{prefix}process_{name}");
        // Writing to a string does not fail.
        let _ = write!(
            self.out,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{port=\"{port}\"}} {value}\n\n"
        );
    }
}

/// In seconds; the start since 1970.
struct Times {
    user: f64,
    system: f64,
    start: f64,
}

impl Times {
    fn read() -> Option<Self> {
        Self::parse(&read("/proc/self/stat"), &read("/proc/stat"))
    }

    /// proc(5): after the name in parentheses, fields 14, 15 and 22 are user time, system time and start, in ticks.
    fn parse(own: &str, machine: &str) -> Option<Self> {
        let (_, fields) = own.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let seconds = |field: usize| {
            let ticks: f64 = fields.get(field - 3)?.parse().ok()?;
            Some(ticks / TICKS_PER_SECOND)
        };
        let boot = machine
            .lines()
            .find_map(|line| line.strip_prefix("btime "))?;
        Some(Self {
            user: seconds(14)?,
            system: seconds(15)?,
            start: boot.trim().parse::<f64>().ok()? + seconds(22)?,
        })
    }
}

/// Since Linux 6.2 the directory's size is the number of its entries.
fn open_descriptors() -> u64 {
    match fs::metadata("/proc/self/fd").map(|meta| meta.len()) {
        Ok(0) | Err(_) => fs::read_dir("/proc/self/fd").map_or(0, |list| list.count() as u64),
        Ok(count) => count,
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_past_a_name_with_spaces() {
        let own = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 1000 9 9";
        let times = Times::parse(own, "cpu 1 2\nbtime 1700000000\n").unwrap();
        let found = [times.user, times.system, times.start].map(|t| t.to_string());
        assert_eq!(found, ["2.5", "0.5", "1700000010"]);
        assert!(Times::parse("", "").is_none());
    }

    #[test]
    fn sizes_and_descriptors_are_those_of_this_process() {
        let status = status();
        assert!(status.resident_bytes > 0 && status.virtual_bytes >= status.resident_bytes);
        let before = open_descriptors();
        let _files: Vec<_> = (0..50)
            .map(|_| fs::File::open("/dev/null").unwrap())
            .collect();
        assert!(open_descriptors() > before + 20);
    }
}
