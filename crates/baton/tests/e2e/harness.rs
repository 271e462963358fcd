//! What the tests stand on: a home of their own, runs of the program with expectations, and waiting for what the daemon
//! says instead of for the clock.

use baton_core::proto::{Change, ClientMessage, Listing, Request, ServerMessage};
use baton_core::world::{InstanceView, Status};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take before a test gives up. No promise: only an end for tests that hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home, a working directory and the program.
pub(crate) struct Baton {
    home: TempDir,
    work: TempDir,
    called: PathBuf,
    /// The home, when it is another's.
    elsewhere: Option<PathBuf>,
    environment: BTreeMap<String, String>,
}

impl Baton {
    /// A fresh home; the program is called `baton`.
    pub(crate) fn new() -> Self {
        Self::called("baton")
    }

    /// A fresh home; the program is called through a link of this name.
    pub(crate) fn called(name: &str) -> Self {
        let home = tempfile::Builder::new().prefix("bh").tempdir().expect("home");
        let work = tempfile::Builder::new().prefix("bw").tempdir().expect("work");
        let called = home.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_baton"), &called).expect("link");
        Baton { home, work, called, elsewhere: None, environment: BTreeMap::new() }
    }

    /// The program called through a link of this name on a home that is there already, and is left there.
    pub(crate) fn called_on(name: &str, home: &Path) -> Self {
        let mut baton = Self::called(name);
        baton.elsewhere = Some(home.to_owned());
        baton
    }

    /// A variable for every run of the program.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// The home.
    pub(crate) fn home(&self) -> &Path {
        self.elsewhere.as_deref().unwrap_or_else(|| self.home.path())
    }

    /// The directory that the program is called in.
    pub(crate) fn dir(&self) -> &Path {
        self.work.path()
    }

    /// Writes a file below the working directory.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(&path, content).expect("file");
        path
    }

    /// The command, ready to run.
    #[expect(clippy::disallowed_methods, reason = "the program under test is started as a user would")]
    pub(crate) fn command<A: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.called);
        command.args(args).current_dir(self.dir()).stdin(Stdio::null());
        for inherited in ["PM2_HOME", "BATON_HOME", "PM2_SILENT", "PM2_DISCRETE_MODE", "pm_id", "NO_COLOR"] {
            command.env_remove(inherited);
        }
        let home = if self.called.ends_with("pm2") { "PM2_HOME" } else { "BATON_HOME" };
        command.env(home, self.home()).env("HOME", self.home()).envs(&self.environment);
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run<A: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        self.run_with_input(args, b"")
    }

    /// Runs the program to its end with this on its standard input.
    pub(crate) fn run_with_input<A: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Run {
        let mut command = self.command(args);
        let shown = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("stdin").write_all(input).expect("input");
        let output = child.wait_with_output().expect("output");
        Run {
            command: shown,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }

    /// Starts the helper program with these actions under a name.
    pub(crate) fn start(&self, name: &str, actions: &[&str]) -> Run {
        let app = testapp();
        let mut args = vec!["start", app.to_str().expect("path"), "--name", name, "--"];
        args.extend(actions);
        self.run(args).ok()
    }

    /// `jlist`, read.
    pub(crate) fn jlist(&self) -> Vec<serde_json::Value> {
        let run = self.run(["jlist"]).ok();
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
    }

    /// The entry of an app in `jlist`.
    pub(crate) fn entry(&self, name: &str) -> serde_json::Value {
        let list = self.jlist();
        let found = list.iter().find(|entry| entry["name"] == name);
        found.unwrap_or_else(|| panic!("no app {name} in {list:?}")).clone()
    }

    /// The pid of an app.
    pub(crate) fn pid(&self, name: &str) -> u32 {
        let pid = self.entry(name)["pid"].as_u64().expect("pid");
        u32::try_from(pid).expect("pid")
    }

    /// The daemon's pid.
    pub(crate) fn daemon(&self) -> u32 {
        let greeting = self.connect().expect("daemon").ask(Request::Hello { protocol: baton_core::proto::PROTOCOL });
        match greeting {
            baton_core::proto::Reply::Hello(greeting) => greeting.pid,
            other => panic!("{other:?}"),
        }
    }

    /// Ends daemon and guard, of whom neither gets the time to start the other again.
    pub(crate) fn kill_both(&self) {
        let (daemon, guard) = (self.daemon(), self.guard());
        send(guard, rustix::process::Signal::STOP);
        [daemon, guard].into_iter().for_each(kill);
        [daemon, guard].into_iter().for_each(ended);
    }

    /// The guard's pid.
    pub(crate) fn guard(&self) -> u32 {
        let greeting = self.connect().expect("daemon").ask(Request::Hello { protocol: baton_core::proto::PROTOCOL });
        match greeting {
            baton_core::proto::Reply::Hello(greeting) => greeting.guard.expect("a guard"),
            other => panic!("{other:?}"),
        }
    }

    /// A connection to the daemon, if one answers.
    pub(crate) fn connect(&self) -> Option<Connection> {
        let stream = UnixStream::connect(self.home().join("baton.sock")).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        Some(Connection { stream, next: 0, late: false })
    }

    /// A connection to whatever daemon answers: waits for one if there is none.
    pub(crate) fn connect_to_any(&self) -> Connection {
        self.connect_to_successor(0)
    }

    /// A connection to a daemon other than this one: waits until the socket is made anew.
    pub(crate) fn connect_to_successor(&self, of: u32) -> Connection {
        let watch = Watch::on(self.home());
        loop {
            if let Some(mut connection) = self.connect()
                && let Some(baton_core::proto::Reply::Hello(greeting)) =
                    connection.try_ask(Request::Hello { protocol: baton_core::proto::PROTOCOL })
                && greeting.pid != of
            {
                return connection;
            }
            watch.wait("a new daemon");
        }
    }

    /// Waits until the list is as wished.
    pub(crate) fn wait_for(&self, what: &str, wished: impl Fn(&[InstanceView]) -> bool) -> Vec<InstanceView> {
        loop {
            // A daemon that dies meanwhile has a successor.
            if let Some(list) = self.connect_to_any().try_wait_for(what, &wished) {
                return list;
            }
        }
    }

    /// Waits until an app has this status.
    pub(crate) fn wait_status(&self, name: &str, status: Status) -> InstanceView {
        let list = self.wait_for(&format!("{name} to be {status:?}"), |list| {
            list.iter().any(|view| view.name == name && view.status == status)
        });
        list.into_iter().find(|view| view.name == name).expect("just seen")
    }

    /// Waits until a file below the home holds a text, and gives its content.
    pub(crate) fn wait_log(&self, file: &str, text: &str) -> String {
        self.wait_file(&self.home().join("logs").join(file), text)
    }

    /// Waits until a file holds a text, and gives its content.
    pub(crate) fn wait_file(&self, path: &Path, text: &str) -> String {
        let folder = path.parent().expect("folder");
        while !folder.exists() {
            Watch::on(folder.parent().expect("parent")).wait("a folder");
        }
        let watch = Watch::on(folder);
        loop {
            let content = std::fs::read(path).unwrap_or_default();
            let content = String::from_utf8_lossy(&content).into_owned();
            if content.contains(text) {
                return content;
            }
            watch.wait(&format!("{text:?} in {}, which holds {content:?}", path.display()));
        }
    }
}

impl Drop for Baton {
    fn drop(&mut self) {
        let guard = self.connect().and_then(|mut connection| {
            match connection.try_ask(Request::Hello { protocol: baton_core::proto::PROTOCOL })? {
                baton_core::proto::Reply::Hello(greeting) => greeting.guard,
                _ => None,
            }
        });
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.home().join("pm2.log")).unwrap_or_default();
            eprintln!("---- the daemon's log\n{log}");
        }
        let _ = self.command(["kill"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if let Some(guard) = guard {
            ended(guard);
        }
    }
}

/// The number that stands behind a text in a log.
pub(crate) fn port_in(log: &str, before: &str) -> u16 {
    let rest = log.rsplit(before).next().expect("a port");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a port")
}

/// The helper program.
pub(crate) fn testapp() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_baton")).parent().expect("folder").join("examples/testapp");
    assert!(path.exists(), "the helper program is missing: cargo build --example testapp");
    path
}

/// Waits until a process is gone (or a zombie of someone else).
pub(crate) fn ended(pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return };
    let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else { return };
    let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
    let ready = rustix::event::poll(&mut fds, Some(&patience)).expect("poll");
    assert!(ready > 0, "process {pid:?} is still alive");
}

/// Whether a process lives; a zombie does not.
pub(crate) fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with(['Z', 'X'])))
}

/// Sends SIGKILL to one process by its id.
pub(crate) fn kill(pid: u32) {
    send(pid, rustix::process::Signal::KILL);
}

/// Sends SIGTERM to one process by its id.
pub(crate) fn terminate(pid: u32) {
    send(pid, rustix::process::Signal::TERM);
}

fn send(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("pid");
    rustix::process::kill_process(pid, signal).expect("kill");
}

/// Changes below a directory.
pub(crate) struct Watch(std::os::fd::OwnedFd);

impl Watch {
    /// Watches a directory from now on.
    pub(crate) fn on(directory: &Path) -> Self {
        use rustix::fs::inotify;
        let watch = Watch(inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify"));
        watch.also(directory);
        watch
    }

    /// Watches another directory as well.
    pub(crate) fn also(&self, directory: &Path) {
        use rustix::fs::inotify;
        // Whoever waits looks at the files each time, which must not count as a change.
        let looks = inotify::WatchFlags::ACCESS | inotify::WatchFlags::OPEN | inotify::WatchFlags::CLOSE_NOWRITE;
        inotify::add_watch(&self.0, directory, inotify::WatchFlags::ALL_EVENTS - looks).expect("watch");
    }

    /// Waits for the next change.
    pub(crate) fn wait(&self, what: &str) {
        let mut fds = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
        let patience = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
        let ready = rustix::event::poll(&mut fds, Some(&patience)).expect("poll");
        assert!(ready > 0, "waited in vain for {what}");
        let mut buffer = [0; 4096];
        let _ = rustix::io::read(&self.0, &mut buffer);
    }
}

/// A client of the native socket.
pub(crate) struct Connection {
    stream: UnixStream,
    next: u64,
    /// Whether the last read ended because of the time, not because of the other side.
    late: bool,
}

impl Connection {
    /// Asks and waits for the answer.
    pub(crate) fn ask(&mut self, request: Request) -> baton_core::proto::Reply {
        self.try_ask(request).expect("an answer")
    }

    fn try_ask(&mut self, request: Request) -> Option<baton_core::proto::Reply> {
        let id = self.next;
        self.next += 1;
        let body = serde_json::to_vec(&ClientMessage { id, request }).expect("request");
        let length = u32::try_from(body.len()).expect("length").to_be_bytes();
        self.stream.write_all(&[&length[..], &body].concat()).ok()?;
        loop {
            match self.message()? {
                ServerMessage::Reply { id: of, reply } if of == id => return Some(reply),
                ServerMessage::Reply { .. }
                | ServerMessage::Update(_)
                | ServerMessage::Lines(_)
                | ServerMessage::Message(_) => {}
            }
        }
    }

    fn message(&mut self) -> Option<ServerMessage> {
        let mut length = [0; 4];
        if let Err(error) = self.stream.read_exact(&mut length) {
            self.late = error.kind() == std::io::ErrorKind::WouldBlock;
            return None;
        }
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut body).ok()?;
        Some(serde_json::from_slice(&body).expect("a message"))
    }

    /// Waits for something that a program says, after [`Request::Hear`].
    pub(crate) fn said(&mut self) -> baton_core::proto::ProgramMessage {
        loop {
            match self.message().expect("a message of a program") {
                ServerMessage::Message(said) => return said,
                ServerMessage::Reply { .. } | ServerMessage::Update(_) | ServerMessage::Lines(_) => {}
            }
        }
    }

    /// Waits for lines that were asked for.
    pub(crate) fn lines(&mut self) -> baton_core::proto::LogLines {
        loop {
            match self.message().expect("lines") {
                ServerMessage::Lines(lines) => return lines,
                ServerMessage::Reply { .. } | ServerMessage::Update(_) | ServerMessage::Message(_) => {}
            }
        }
    }

    /// Waits until the list is as wished.
    pub(crate) fn wait_for(&mut self, what: &str, wished: impl Fn(&[InstanceView]) -> bool) -> Vec<InstanceView> {
        self.try_wait_for(what, &wished).unwrap_or_else(|| panic!("the daemon is gone while waiting for {what}"))
    }

    fn try_wait_for(&mut self, what: &str, wished: &dyn Fn(&[InstanceView]) -> bool) -> Option<Vec<InstanceView>> {
        let body = serde_json::to_vec(&ClientMessage { id: u64::MAX, request: Request::Subscribe }).expect("request");
        let length = u32::try_from(body.len()).expect("length").to_be_bytes();
        self.stream.write_all(&[&length[..], &body].concat()).ok()?;
        let mut list = Listing::default();
        loop {
            let message = match self.message() {
                Some(message) => message,
                None if self.late => panic!("waited in vain for {what}; the list is {:#?}", list.instances),
                None => return None,
            };
            let ServerMessage::Update(update) = message else { continue };
            match update.change {
                Change::Snapshot(snapshot) => list = snapshot,
                Change::Slot(view) => {
                    list.instances.retain(|known| known.id != view.id);
                    list.instances.push(*view);
                }
                Change::Gone(id) => list.instances.retain(|known| known.id != id),
                Change::Ending => return None,
            }
            if wished(&list.instances) {
                return Some(list.instances);
            }
        }
    }
}

/// One finished run.
pub(crate) struct Run {
    command: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    code: Option<i32>,
}

impl Run {
    /// It exited with 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.code(0)
    }

    /// It exited with this code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Its standard output holds this text.
    #[track_caller]
    pub(crate) fn stdout_has(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} on standard output of {self}");
        self
    }

    /// Its standard error holds this text.
    #[track_caller]
    pub(crate) fn stderr_has(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} on standard error of {self}");
        self
    }

    /// Either stream holds this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "no {text:?} in {self}");
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (exit {:?})\n---- stdout\n{}\n---- stderr\n{}", self.command, self.code, self.stdout, self.stderr)
    }
}
