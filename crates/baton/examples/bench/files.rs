//! Waiting until a log file holds everything.

use crate::app::LAST;
use crate::failure::Failure;
use crate::proc::ready_within;
use rustix::fs::inotify;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a log file may stand still before we give up.
const PATIENCE: Duration = Duration::from_secs(120);
/// The last line is within this many bytes of the end, stamps included.
const TAIL: u64 = 1024;

/// Waits until the file ends with the app's last line, and says when it was so. Wakes on changes of the file only.
pub(crate) fn complete(path: &Path) -> Result<Instant, Failure> {
    let doing = || format!("watching {}", path.display());
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC).map_err(Failure::system(doing()))?;
    // Before the first look: a change between the two would be missed.
    inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY).map_err(Failure::system(doing()))?;
    let file = File::open(path).map_err(Failure::system(doing()))?;
    let mut events = [0; 4096];
    loop {
        if ends(&file).map_err(Failure::system(doing()))? {
            return Ok(Instant::now());
        }
        if !ready_within(&watch, PATIENCE).map_err(Failure::system(doing()))? {
            return Err(Failure::Patience { what: format!("the end of {}", path.display()), patience: PATIENCE });
        }
        rustix::io::read(&watch, &mut events).map_err(Failure::system(doing()))?;
    }
}

fn ends(file: &File) -> std::io::Result<bool> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL);
    let mut tail = vec![0; usize::try_from(length - from).unwrap_or(0)];
    file.read_exact_at(&mut tail, from)?;
    Ok(tail.contains(&LAST))
}
