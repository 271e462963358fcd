//! What the guard promises.

use crate::home::{Home, exists, exit_code, signal};
use rustix::process::Signal;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

fn killed(pid: u32) -> String {
    format!("the daemon (pid {pid}) was ended by SIGKILL")
}

pub(crate) fn the_client_learns_that_the_daemon_answers() {
    let (home, readiness) = Home::launched();
    let mut daemon = home.daemon();
    daemon.tell("ready");
    assert_eq!(readiness.wait(), Ok(()));
    let mode = std::fs::metadata(home.path("log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the log is private");
    home.end(daemon);
}

pub(crate) fn the_client_learns_why_the_daemon_does_not_answer() {
    let (home, readiness) = Home::launched();
    let mut daemon = home.daemon();
    daemon.tell("fail the home is not writable");
    assert_eq!(readiness.wait(), Err("the home is not writable".to_owned()));
    daemon.tell("stand-down");
    daemon.order("exit 1");
    assert_eq!(exit_code(daemon.guard), Some(0), "it may stand down: none was ready before");
}

pub(crate) fn the_client_learns_that_the_daemon_ended_early() {
    let (home, readiness) = Home::launched();
    home.daemon().kill();
    assert_eq!(readiness.wait(), Err("the daemon ended before it was ready".to_owned()));
    let daemon = home.daemon();
    home.end(daemon);
}

pub(crate) fn descriptors_outlive_a_killed_daemon_until_they_are_released() {
    let (home, mut daemon) = Home::started();
    let (pid, guard) = (daemon.pid, daemon.guard);
    for name in ["out:1", "err:1", "batch:r"] {
        assert_eq!(daemon.tell(&format!("hold {name}")), "ok");
    }
    assert_eq!(daemon.tell("release err:1 never-held"), "ok");
    daemon.kill();

    let mut second = home.daemon();
    assert_eq!(second.guard, guard, "the guard stayed");
    assert_eq!(second.tell("take"), "batch:r out:1");
    assert_eq!(second.tell("read out:1"), "out:1", "the last words are there");
    assert!(home.log().contains(&killed(pid)), "{}", home.log());
    assert_eq!(second.tell("release out:1"), "ok");
    second.kill();

    let mut third = home.daemon();
    assert_eq!(third.tell("take"), "batch:r");
    home.end(third);
}

pub(crate) fn more_descriptors_than_one_frame_carries_come_back() {
    let (home, mut daemon) = Home::started();
    assert_eq!(daemon.tell("hold-many 0 200"), "ok");
    daemon.kill();
    let mut second = home.daemon();
    assert_eq!(second.tell("take").split(' ').count(), 200);
    home.end(second);
}

pub(crate) fn a_full_table_refuses_by_name() {
    let (home, mut daemon) = Home::started();
    // As many as the guard may have open, if that is less than what it has places for.
    assert_eq!(daemon.tell("hold-many 0 4000"), "ok");
    assert_eq!(daemon.tell("hold-many 4000 8000"), "ok");
    let refusal = daemon.tell("hold-many 8000 8250");
    assert_eq!(refusal, "the guard's table of descriptors is full: no place for n8192");
    assert_eq!(daemon.tell("release n17"), "ok");
    assert_eq!(daemon.tell("hold-many 8192 8193"), "ok", "there is room again");
    home.end(daemon);
}

pub(crate) fn a_released_listener_frees_its_port_while_copies_are_open() {
    let (home, mut daemon) = Home::started();
    let port: u16 = daemon.tell("listen listener:1").parse().unwrap();
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err(), "it is taken");
    assert_eq!(daemon.tell("release listener:1"), "ok");
    TcpListener::bind(("127.0.0.1", port)).unwrap();
    home.end(daemon);
}

pub(crate) fn the_exit_of_an_orphan_is_told_once_and_kept_until_consumed() {
    let (home, mut daemon) = Home::started();
    let first = home.app(&mut daemon, 7);
    let second = home.app(&mut daemon, 8);
    daemon.kill();
    let mut successor = home.daemon();
    assert!(!successor.has_event(), "both still run");

    let pid = first.pid;
    drop(first);
    let event = successor.event();
    assert!(event.starts_with(&format!("{pid} ")) && event.ends_with(" exited with code 7"), "{event}");
    // Another exit makes the guard look through its children again, the zombie among them.
    let other = second.pid;
    drop(second);
    let event = successor.event();
    assert!(event.starts_with(&format!("{other} ")), "the first is not told again: {event}");
    assert!(!successor.has_event());
    assert!(exists(pid), "kept until consumed");

    assert_eq!(successor.tell(&format!("consume {pid}")), "ok");
    assert!(!exists(pid) && exists(other));
    successor.kill();

    let mut third = home.daemon();
    let event = third.event();
    assert!(event.starts_with(&format!("{other} ")), "what was not consumed is told to the next: {event}");
    third.tell(&format!("consume {other}"));
    assert!(!exists(other) && !third.has_event());
    home.end(third);
}

pub(crate) fn an_exit_from_before_the_daemons_death_is_told_to_the_successor() {
    let (home, mut daemon) = Home::started();
    let pid = daemon.tell("ended-app 5");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start = stat.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap().to_owned();
    daemon.kill();
    let mut successor = home.daemon();
    assert_eq!(successor.event(), format!("{pid} {start} exited with code 5"));
    successor.tell(&format!("consume {pid}"));
    home.end(successor);
}

pub(crate) fn an_exit_waits_while_no_daemon_records_it() {
    let (home, mut daemon) = Home::started();
    let app = home.app(&mut daemon, 3);
    daemon.kill();
    // This one never connects: it dies without having read what it was told.
    let silent = home.silent_daemon();
    signal(app.pid, Signal::TERM);
    silent.kill();
    let mut successor = home.daemon();
    let event = successor.event();
    assert!(event.starts_with(&format!("{} ", app.pid)) && event.ends_with(" was ended by SIGTERM"), "{event}");
    assert!(app.exists());
    successor.tell(&format!("consume {}", app.pid));
    home.end(successor);
}

pub(crate) fn more_exits_than_the_socket_holds_all_arrive_once() {
    const APPS: usize = 600;
    let (home, mut daemon) = Home::started();
    let mut apps: Vec<String> = (0..APPS).map(|_| daemon.tell("ended-app 0")).collect();
    daemon.kill();
    let mut successor = home.silent_daemon();
    successor.tell("connect");
    let mut told: Vec<String> = (0..APPS).map(|_| successor.event().split(' ').next().unwrap().to_owned()).collect();
    assert!(!successor.has_event());
    apps.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, apps);
    for app in &apps {
        successor.tell(&format!("consume {app}"));
    }
    assert!(apps.iter().all(|app| !exists(app.parse().unwrap())));
    home.end(successor);
}

pub(crate) fn pauses_grow_while_daemons_die_young() {
    let (home, daemon) = Home::started();
    daemon.kill();
    for _ in 0..3 {
        home.daemon().kill();
    }
    let last = home.daemon();
    assert_eq!(pauses(&home), ["0 ms", "100 ms", "200 ms", "400 ms"]);
    home.end(last);
}

/// The pauses that the guard has made so far.
fn pauses(home: &Home) -> Vec<String> {
    let log = home.log();
    log.lines().filter_map(|line| line.split_once("starting a daemon in ")).map(|(_, ms)| ms.to_owned()).collect()
}

pub(crate) fn a_guard_with_nothing_to_hold_gives_up() {
    let (home, _readiness) = Home::launched();
    let mut guard = 0;
    for _ in 0..5 {
        let mut daemon = home.daemon();
        guard = daemon.guard;
        daemon.order("exit 4");
    }
    assert_eq!(exit_code(guard), Some(1));
    assert!(home.log().contains("exited with code 4") && home.log().contains("giving up"), "{}", home.log());
}

pub(crate) fn a_killed_guard_is_replaced_by_its_daemon() {
    let (home, mut daemon) = Home::started();
    let app = home.app(&mut daemon, 6);
    let ended = daemon.tell("ended-app 2");
    daemon.tell("hold out:1");
    daemon.tell("take");
    let (old_guard, old_daemon) = (daemon.guard, daemon.pid);
    let nofile = daemon.tell("env BATON_ORIGINAL_NOFILE");
    signal(old_guard, Signal::KILL);
    assert_eq!(exit_code(old_guard), None);
    assert_eq!(daemon.event(), "lost");
    daemon.order("takeover");

    let mut successor = home.daemon();
    assert_eq!(successor.guard, old_daemon, "the daemon's pid is the guard's now");
    assert_eq!(successor.tell("take"), "out:1");
    assert_eq!(successor.tell("read out:1"), "out:1");
    assert_eq!(successor.tell("env BATON_ORIGINAL_NOFILE"), nofile);
    let event = successor.event();
    assert!(event.starts_with(&format!("{ended} ")) && event.ends_with("exited with code 2"), "{event}");
    let pid = app.pid;
    drop(app);
    let event = successor.event();
    assert!(event.starts_with(&format!("{pid} ")) && event.ends_with("exited with code 6"), "{event}");
    successor.kill();
    let mut next = home.daemon();
    assert_eq!(next.guard, old_daemon, "and it guards as the one before");
    assert_eq!(next.tell("take"), "out:1");
    home.end(next);
}

pub(crate) fn an_update_changes_the_executable_and_keeps_everything() {
    let (home, mut daemon) = Home::started();
    let second = home.path("second");
    std::fs::copy("/proc/self/exe", &second).unwrap();
    let app = home.app(&mut daemon, 6);
    daemon.tell("hold out:1");
    let (guard, nofile) = (daemon.guard, daemon.tell("env BATON_ORIGINAL_NOFILE"));
    assert_eq!(daemon.tell(&format!("update {}", second.display())), "ok");
    daemon.order("exit 0");

    let mut updated = home.daemon();
    assert_eq!((updated.guard, &updated.exe), (guard, &second));
    assert_eq!(std::fs::read_link(format!("/proc/{guard}/exe")).unwrap(), second);
    assert_eq!(updated.tell("take"), "out:1");
    assert_eq!(updated.tell("read out:1"), "out:1");
    assert_eq!(updated.tell("env BATON_ORIGINAL_NOFILE"), nofile);
    updated.tell("ready again");
    let pid = app.pid;
    drop(app);
    assert!(updated.event().starts_with(&format!("{pid} ")), "children are kept");
    updated.tell(&format!("consume {pid}"));
    assert!(!exists(pid));
    updated.kill();

    let after = home.daemon();
    assert_eq!(after.exe, second, "it was ready once: a later death takes nothing back");
    home.end(after);
}

pub(crate) fn an_update_that_is_never_ready_is_taken_back() {
    let (home, mut daemon) = Home::started();
    let second = home.path("second");
    std::fs::copy("/proc/self/exe", &second).unwrap();
    let app = home.app(&mut daemon, 6);
    daemon.tell("hold out:1");
    let (guard, exe) = (daemon.guard, daemon.exe.clone());
    daemon.tell(&format!("update {}", second.display()));
    daemon.order("exit 0");
    let mut updated = home.daemon();
    assert_eq!(updated.exe, second);
    updated.order("exit 3");

    let mut back = home.daemon();
    assert_eq!((back.guard, &back.exe), (guard, &exe));
    assert_eq!(std::fs::read_link(format!("/proc/{guard}/exe")).unwrap(), exe);
    assert_eq!(back.tell("take"), "out:1");
    let pid = app.pid;
    drop(app);
    assert!(back.event().starts_with(&format!("{pid} ")));
    home.end(back);
}

pub(crate) fn a_file_that_is_no_program_is_no_update() {
    let (home, mut daemon) = Home::started();
    let exe = daemon.exe.clone();
    let text = home.path("text");
    std::fs::write(&text, "no program").unwrap();
    daemon.tell("hold out:1");
    daemon.tell(&format!("update {}", text.display()));
    daemon.order("exit 0");
    let mut next = home.daemon();
    assert_eq!(next.exe, exe);
    assert_eq!(next.tell("take"), "out:1");
    assert!(home.log().contains("can't run the new executable"), "{}", home.log());
    home.end(next);
}

pub(crate) fn a_request_to_end_reaches_a_daemon_that_is_ready() {
    let (home, _readiness) = Home::launched();
    let mut daemon = home.daemon();
    signal(daemon.guard, Signal::TERM);
    signal(daemon.guard, Signal::HUP);
    daemon.tell("hold out:1");
    assert_eq!(daemon.tell("take"), "out:1", "not yet");
    let (pid, guard) = (daemon.pid, daemon.guard);
    daemon.order("ready");
    let next = home.daemon();
    assert_eq!(next.guard, guard, "the guard waits on: this daemon did not stand it down");
    assert!(home.log().contains(&format!("the daemon (pid {pid}) was ended by SIGTERM")), "{}", home.log());
    home.end(next);
}

pub(crate) fn a_request_to_end_does_not_start_dying_daemons_without_pause() {
    let (home, _readiness) = Home::launched();
    let mut daemon = home.daemon();
    daemon.tell("hold out:1");
    signal(daemon.guard, Signal::TERM);
    for _ in 0..3 {
        daemon.tell("take");
        daemon.kill();
        daemon = home.daemon();
    }
    assert_eq!(pauses(&home), ["0 ms", "100 ms", "200 ms"]);
    // It is ended as soon as it answers.
    daemon.order("ready");
    let last = home.daemon();
    home.end(last);
}

pub(crate) fn a_daemon_that_stands_down_ends_the_guard() {
    let (home, mut daemon) = Home::started();
    daemon.tell("stand-down");
    let (pid, guard) = (daemon.pid, daemon.guard);
    daemon.kill();
    assert_eq!(exit_code(guard), Some(0), "however it died");
    assert!(home.log().contains(&killed(pid)));
    assert!(!home.log().contains("starting a daemon"), "{}", home.log());
}

pub(crate) fn a_successor_that_never_answered_cannot_stand_down() {
    let (home, mut daemon) = Home::started();
    daemon.tell("hold out:1");
    daemon.kill();
    let mut second = home.daemon();
    second.tell("stand-down");
    second.order("exit 1");
    let mut third = home.daemon();
    assert_eq!(third.tell("take"), "out:1");
    home.end(third);
}

pub(crate) fn the_daemon_starts_clean() {
    let (home, mut daemon) = Home::started();
    assert_eq!(daemon.tell("status SigBlk"), "0000000000000000");
    let ignored = u64::from_str_radix(&daemon.tell("status SigIgn"), 16).unwrap();
    // The runtime itself ignores SIGPIPE, and glibc's posix_spawn its own signal 32.
    assert_eq!(ignored & 0x7fff_ffff, 1 << 12, "{ignored:x}");
    daemon.tell("hold out:1");
    daemon.kill();
    let mut next = home.silent_daemon();
    // 0, 1, 2, the guard, the test twice, and the directory that is read.
    assert_eq!(next.tell("fds"), "7", "nothing that the guard holds leaks into a daemon");
    next.tell("connect");
    home.end(next);
}

pub(crate) fn a_serving_guard_does_not_grow() {
    let (home, mut daemon) = Home::started();
    let guard = daemon.guard;
    let anonymous = || {
        let map = std::fs::read_to_string(format!("/proc/{guard}/smaps_rollup")).unwrap();
        map.lines().find(|line| line.starts_with("Anonymous:")).unwrap().to_owned()
    };
    let mut serve = |rounds: u32| {
        for _ in 0..rounds {
            assert_eq!(daemon.tell("hold-many 0 100"), "ok");
            let names: Vec<String> = (0..100).map(|n| format!("n{n}")).collect();
            assert_eq!(daemon.tell("take").split(' ').count(), 100);
            assert_eq!(daemon.tell(&format!("release {}", names.join(" "))), "ok");
        }
    };
    serve(3);
    let before = anonymous();
    serve(100);
    assert_eq!(anonymous(), before);
    home.end(daemon);
}
