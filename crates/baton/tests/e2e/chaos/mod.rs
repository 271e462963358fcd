//! Chaos: whatever dies, is filled up or talks nonsense, nothing that was acknowledged is lost.
//!
//! In CI each scenario runs a few times; `just chaos` sets `BATON_TEST_LONG` and runs it as often as is worth waiting for.

mod kills;
mod limits;
mod overload;
mod peers;
mod pids;
mod points;
mod state;
mod tree;

use crate::harness::{Baton, testapp};
use std::path::Path;

/// How often a scenario is run: here, and in the long form.
fn runs(short: usize, long: usize) -> usize {
    if std::env::var_os("BATON_TEST_LONG").is_some() { long } else { short }
}

/// The helper programs that were started from a home.
pub(crate) fn of_home(baton: &Baton) -> Vec<u32> {
    let home = format!("PM2_HOME={}", baton.home().display());
    let app = testapp();
    std::fs::read_dir("/proc")
        .expect("proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == app))
        .filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes())
        })
        .collect()
}

/// Resident memory of a process (KiB).
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
