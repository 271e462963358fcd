//! Descriptors run out.

use crate::harness::{Baton, Watch, kill, testapp};
use baton_core::world::{InstanceView, Status};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::os::unix::net::UnixStream;

/// How many descriptors a process has open.
fn descriptors(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").count() as u64
}

/// Lets a process have so many.
fn allow(pid: u32, descriptors: u64) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let maximum = getrlimit(Resource::Nofile).maximum;
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(descriptors), maximum }).expect("one may");
}

#[test]
fn an_app_that_finds_no_descriptors_is_begun_when_there_are_some() {
    let baton = Baton::new();
    baton.start("b", &["wait"]);
    let (daemon, b) = (baton.daemon(), baton.pid("b"));
    // Enough for one client, not for the pipes of so many lives.
    allow(daemon, descriptors(daemon) + 5);
    let app = testapp();
    let start = ["start", app.to_str().expect("a path"), "--name", "a", "-i", "20", "--", "wait"];
    baton.run(start).code(1).says("oo many open files").says("tried again by itself");
    allow(daemon, 1024);
    let up = |list: &[InstanceView]| list.len() == 21 && list.iter().all(|view| view.status == Status::Online);
    baton.wait_for("all to be up", up);
    assert_eq!((baton.daemon(), baton.pid("b")), (daemon, b));
}

#[test]
fn connections_that_nobody_can_accept_wait_and_cost_nothing() {
    let baton = Baton::new();
    baton.start("a", &["wait"]);
    let (daemon, a) = (baton.daemon(), baton.pid("a"));
    allow(daemon, descriptors(daemon) + 2);
    let path = baton.home().join("baton.sock");
    let many: Vec<UnixStream> = (0..20).map(|_| UnixStream::connect(&path).expect("there is room to wait")).collect();
    let log = baton.home().join("pm2.log");
    let told = |text: &str| std::fs::read_to_string(&log).expect("a log").matches(text).count();
    let watch = Watch::on(baton.home());
    while told("connections can't be accepted for now: Too many open files") == 0 {
        watch.wait("the cause to be told");
    }
    allow(daemon, 1024);
    baton.wait_file(&log, "connections are accepted again");
    assert_eq!((baton.daemon(), baton.pid("a")), (daemon, a));
    drop(many);
    assert_eq!(told("can't be accepted"), 1, "it is told once, not all the time");
}

/// Clients that say nothing have at most a part of the descriptors, and the next one is served.
#[test]
fn idle_connections_leave_descriptors_for_apps() {
    let baton = Baton::new();
    // The guard and the daemon have the limit of the command that starts them.
    let wrapper = baton.file("limited.sh", "ulimit -n 128\nexec \"$@\"\n");
    let words = ["sh", wrapper.to_str().expect("a path")];
    #[expect(clippy::disallowed_methods, reason = "a user's shell starts the program")]
    let mut limited = std::process::Command::new(words[0]);
    let jlist = baton.command(["jlist"]);
    limited.arg(words[1]).arg(jlist.get_program()).args(jlist.get_args()).current_dir(baton.dir());
    limited.envs(jlist.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(limited.output().expect("it runs").status.success());
    let path = baton.home().join("baton.sock");
    let many: Vec<UnixStream> = (0..200).map(|_| UnixStream::connect(&path).expect("it listens")).collect();
    baton.start("a", &["wait"]);
    let a = baton.pid("a");
    kill(a);
    baton.wait_for("another life", |list| {
        list.iter().any(|view| view.status == Status::Online && view.pid.is_some_and(|pid| pid != a))
    });
    assert!(descriptors(baton.daemon()) < 110);
    drop(many);
}
