//! `monit` in a real terminal.

use crate::harness::Baton;
use baton_core::world::Status;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::os::fd::OwnedFd;

/// A terminal of 80 columns and 24 rows: our end of it, and the program's.
pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("terminal");
    grantpt(&ours).expect("terminal");
    unlockpt(&ours).expect("terminal");
    let name = ptsname(&ours, Vec::new()).expect("name");
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("terminal");
    tcsetwinsize(&theirs, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).expect("size");
    (ours, theirs)
}

/// Reads what the program draws until this text has come.
pub(crate) fn reads(terminal: &OwnedFd, seen: &mut String, text: &str) {
    while !seen.contains(text) {
        let mut fds = [PollFd::new(terminal, PollFlags::IN)];
        let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
        assert!(poll(&mut fds, Some(&patience)).expect("poll") > 0, "waited in vain for {text:?} in {seen:?}");
        let mut buffer = [0; 4096];
        let read = rustix::io::read(terminal, &mut buffer).expect("read");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

#[test]
fn it_shows_apps_and_logs_restarts_after_a_yes_and_gives_the_terminal_back() {
    let baton = Baton::new();
    baton.start("web", &["out:hello-from-web", "wait"]);
    let before = baton.wait_status("web", Status::Online);
    let (ours, theirs) = terminal();
    let end = || File::from(theirs.try_clone().expect("descriptor"));
    let mut command = baton.command(["monit"]);
    command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm-256color");
    let mut child = command.spawn().expect("monit");
    let mut seen = String::new();
    reads(&ours, &mut seen, "hello-from-web");
    assert!(seen.contains("\x1b[?1049h"), "a screen of its own");
    rustix::io::write(&ours, b"rn").expect("keys");
    reads(&ours, &mut seen, "nothing was done");
    assert_eq!(Some(baton.pid("web")), before.pid);
    rustix::io::write(&ours, b"ry").expect("keys");
    baton.wait_for("another life", |list| {
        list.iter().any(|view| view.status == Status::Online && view.pid != before.pid)
    });
    rustix::io::write(&ours, b"q").expect("key");
    reads(&ours, &mut seen, "\x1b[?1049l");
    assert!(child.wait().expect("end").success());
    baton.run(["monit"]).code(1).stderr_has("monit needs a terminal");
}
