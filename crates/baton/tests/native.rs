//! The daemon over its native socket, through the program's own client: no command line in between.

#[path = "../src/called.rs"]
#[expect(dead_code, reason = "the tests have one name only")]
mod called;
#[path = "../src/client.rs"]
#[expect(dead_code, reason = "the tests start the daemon through the program itself")]
mod client;
#[path = "../src/frame.rs"]
#[expect(dead_code, reason = "the daemon's side is not used here")]
mod frame;
#[path = "../src/home.rs"]
#[expect(dead_code, reason = "the daemon's files are its own")]
mod home;

use baton_core::proto::{
    Action, Change, ClientMessage, Command, Done, List, MAX_FRAME, Order, Patch, Refusal, Reply, Request, Wait, Wish,
};
use baton_core::select::Selector;
use baton_core::spec::AppSpec;
use baton_core::world::{InstanceView, Status};
use client::{Client, ClientError};
use home::Home;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

/// A daemon of its own, which ends with the test.
struct Daemon {
    home: Home,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Daemon {
        let folder = tempfile::Builder::new().prefix("bn").tempdir().unwrap();
        let daemon = Daemon { home: Home::at(folder.path()), folder };
        daemon.run("ping");
        daemon
    }

    /// Runs the program; a verb waits for a daemon that is being started again.
    #[expect(clippy::disallowed_methods, reason = "the program under test is started as a user would")]
    fn run(&self, verb: &str) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_baton"));
        command.arg(verb).env("BATON_HOME", self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        assert!(command.status().unwrap().success(), "{verb}");
    }

    fn client(&self) -> Client {
        Client::connect(&self.home).unwrap().expect("a daemon")
    }

    fn socket(&self) -> UnixStream {
        let stream = UnixStream::connect(self.home.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(Some(mut client)) = Client::connect(&self.home) {
            // The test has said what it had to say.
            let _ = client.call(Request::Command(Command::Kill));
        }
    }
}

fn sleeper(name: &str) -> Box<Wish> {
    let spec = AppSpec {
        name: name.into(),
        script: "/bin/sleep".into(),
        args: vec!["100000".into()],
        cwd: "/".into(),
        ..AppSpec::default()
    };
    Box::new(Wish { spec, count: 1, brought: false })
}

fn launch(client: &mut Client, name: &str) {
    let command = Command::Launch { app: sleeper(name), force: false, wait: Wait::Spawned };
    match client.call(Request::Command(command)).unwrap() {
        Reply::Outcomes(outcomes) => assert_eq!(outcomes[0].done, Done::Launched),
        other => panic!("{other:?}"),
    }
}

fn act(action: Action) -> Request {
    let targets = vec![Selector::new("all")];
    Request::Command(Command::Act {
        action,
        targets,
        patch: Patch::default(),
        order: Order::Dependencies,
        wait: Wait::Spawned,
    })
}

fn only(client: &mut Client) -> InstanceView {
    let Reply::Usage(usages) = client.call(Request::Usage).unwrap() else { panic!("no usage") };
    match client.call(Request::List(List::default())).unwrap() {
        Reply::List(mut listing) if listing.instances.len() == 1 => {
            listing.fill_in(usages);
            listing.instances.remove(0)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_app_and_its_numbers_outlive_a_killed_daemon() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let first = client.greeting().pid;
    launch(&mut client, "s");
    let before = only(&mut client);
    assert!(before.pid.is_some() && before.memory.is_some_and(|memory| memory.0 > 0), "{before:?}");
    let updates = daemon.client().subscribe().unwrap();
    kill_process(Pid::from_raw(first.cast_signed()).unwrap(), Signal::KILL).unwrap();
    for update in updates {
        // The subscription ends with the daemon, without a word about its end.
        assert!(!matches!(update.map(|update| update.change), Ok(Change::Ending)));
    }
    assert!(matches!(client.call(Request::ReloadLogs), Err(ClientError::Lost)));
    daemon.run("ping");
    let mut client = daemon.client();
    assert_ne!(client.greeting().pid, first);
    assert!(client.greeting().guard.is_some());
    let after = only(&mut client);
    assert_eq!((after.pid, after.restarts, after.started_at), (before.pid, 0, before.started_at));
    match client.call(act(Action::Stop)).unwrap() {
        Reply::Outcomes(outcomes) => assert_eq!(outcomes[0].done, Done::Stopped),
        other => panic!("{other:?}"),
    }
    let stopped = only(&mut client);
    assert_eq!((stopped.status, stopped.pid), (Status::Stopped, None));
}

#[test]
fn unfriendly_bytes_end_their_own_connection_and_no_other() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let garbage = [
        [&4_u32.to_be_bytes()[..], b"\xff\xfe{]"].concat(),
        [&2_u32.to_be_bytes()[..], b"{}"].concat(),
        (MAX_FRAME + 1).to_be_bytes().to_vec(),
        u32::MAX.to_be_bytes().to_vec(),
    ];
    for bytes in garbage {
        let mut stream = daemon.socket();
        stream.write_all(&bytes).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "{bytes:?}");
    }
    // Whoever announces much and sends little costs little.
    let announced: Vec<UnixStream> = (0..64)
        .map(|_| {
            let mut stream = daemon.socket();
            stream.write_all(&[&MAX_FRAME.to_be_bytes()[..], b"{"].concat()).unwrap();
            stream
        })
        .collect();
    match client.call(Request::Hello { protocol: 99 }).unwrap() {
        Reply::Refused(Refusal::Protocol { client: 99, .. }) => {}
        other => panic!("{other:?}"),
    }
    let resident = std::fs::read_to_string(format!("/proc/{}/statm", client.greeting().pid)).unwrap();
    let pages: u64 = resident.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(pages * 4096 < 200 << 20, "{pages} pages");
    drop(announced);
}

#[test]
fn a_follower_that_does_not_read_is_dropped_and_the_others_are_served() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    launch(&mut client, "s");
    let mut deaf = daemon.socket();
    frame::write(&mut deaf, &ClientMessage { id: 1, request: Request::Subscribe }).unwrap();
    let mut follower = daemon.client().subscribe().unwrap();
    assert!(matches!(follower.next().unwrap().unwrap().change, Change::Snapshot(_)));
    // More than a queue and a socket's buffer hold.
    let mut asker = daemon.socket();
    for _ in 0..20 {
        for id in 0..200 {
            frame::write(&mut asker, &ClientMessage { id, request: act(Action::Reset) }).unwrap();
        }
        for _ in 0..200 {
            frame::read::<baton_core::proto::ServerMessage>(&mut asker).unwrap().expect("an answer");
        }
        for _ in 0..200 {
            assert!(matches!(follower.next().unwrap().unwrap().change, Change::Slot(_)));
        }
    }
    // What was queued is still there to be read, and then it is over.
    let mut read = 0_u32;
    while let Ok(Some(_)) = frame::read::<baton_core::proto::ServerMessage>(&mut deaf) {
        read += 1;
    }
    assert!(read < 4_000, "{read}");
    assert_eq!(only(&mut client).restarts, 0);
}
