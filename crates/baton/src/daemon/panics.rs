//! What becomes of an error of ours.
//!
//! A daemon that goes on after a panic would be one that has forgotten something: an app that is never started, an
//! answer that never comes, a thread that is gone. So it ends, and the guard's next one takes up what is on record, as
//! after any other death. Only a daemon whose predecessor ended for the same reason a moment ago goes on: better one app
//! that waits than a manager that does nothing but begin.

use super::journal;
use crate::home::Home;
use baton_os::files::write_quick;
use std::fs;
use std::time::Duration;

/// What the daemon ends with: as after a panic that nobody caught.
const FAILED: i32 = 101;

/// For how long after a daemon has ended itself another does not.
const SPARED: Duration = Duration::from_mins(1);

/// Threads without which the daemon would only seem to work. Those that look after themselves or serve one client are
/// not among them.
const NEEDED: [&str; 8] =
    ["baton-logs", "baton-parts", "guard-link", "sweeper", "channels", "measurer", "watcher", "writer"];

/// From now on a panic of a thread that others rely on ends the daemon, after its message.
pub(super) fn end_with_needed_threads() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        if std::thread::current().name().is_some_and(|name| NEEDED.contains(&name)) {
            journal::error(
                "an error of baton: a thread has failed, and its daemon ends; please report it with pm2.log",
            );
            std::process::exit(FAILED);
        }
    }));
}

/// Ends the daemon for this reason, and leaves everything to the next. Returns when one did so a moment ago.
pub(super) fn hand_over(home: &Home, why: &str) {
    let mark = home.run().join("failed");
    let lately = fs::metadata(&mark).and_then(|facts| facts.modified()).is_ok_and(|when| {
        // A time to come is of a clock that was set back.
        when.elapsed().is_ok_and(|since| since < SPARED)
    });
    // Without the mark the next one could fail the same way, for ever.
    if lately || write_quick(&mark, b"", 0o600).is_err() {
        return;
    }
    journal::error(format_args!("{why}; a successor takes over"));
    std::process::exit(FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_goes_on_when_its_predecessor_has_just_failed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        home.create().unwrap();
        fs::write(home.run().join("failed"), "").unwrap();
        // Else the test would end here.
        hand_over(&home, "why");
    }
}
