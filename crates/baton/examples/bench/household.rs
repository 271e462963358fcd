//! Nothing that the bench started outlives it.

use crate::failure::Failure;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, set_child_subreaper, waitid};

/// While it exists, orphans of what we started become our children; at its end they are ended, by their ids.
#[derive(Debug)]
pub(crate) struct Household(());

impl Household {
    /// From now on orphans come to us.
    pub(crate) fn found() -> Result<Household, Failure> {
        set_child_subreaper(Some(getpid())).map_err(Failure::system("becoming the parent of orphans"))?;
        Ok(Household(()))
    }
}

impl Drop for Household {
    fn drop(&mut self) {
        // The children of one that ends become ours: until there is none. Our children's ids can't be reused before we
        // have waited for them.
        loop {
            for child in children() {
                let _ = kill_process(child, Signal::KILL);
            }
            match waitid(WaitId::All, WaitIdOptions::EXITED) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

fn children() -> Vec<Pid> {
    let us = getpid().as_raw_nonzero().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = pids.filter(|pid| {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&stat);
        stat.rsplit(") ").next().and_then(|rest| rest.split_ascii_whitespace().nth(1)) == Some(&us)
    });
    ours.filter_map(Pid::from_raw).collect()
}
