//! The roles that the guard starts: a daemon that does what the test says, and an app that ends when it says so.

use baton_os::guard::link::{GuardEvent, GuardLink};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

/// An app: opens the FIFO, so that whoever opens the other end knows that it runs, and exits with `code` when that
/// end is closed.
pub(crate) fn app(fifo: &Path, code: &str) -> ! {
    let mut end = File::open(fifo).unwrap();
    end.read_to_end(&mut Vec::new()).unwrap();
    exit(code.parse().unwrap())
}

struct Daemon {
    home: PathBuf,
    link: Option<GuardLink>,
    to_test: Arc<Mutex<UnixStream>>,
    taken: BTreeMap<String, OwnedFd>,
    /// Copies of what was given to the guard, as a real daemon has.
    own: Vec<OwnedFd>,
}

fn say(to_test: &Mutex<UnixStream>, text: &str) {
    // A test that has failed no longer listens; the guard then ends us.
    let _ = to_test.lock().unwrap().write_all(format!("{text}\n").as_bytes());
}

/// The daemon: connects to `control` in its home, introduces itself, and obeys one line after the other.
pub(crate) fn main(home: &Path) -> ! {
    let stream = UnixStream::connect(home.join("control")).unwrap();
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut daemon = Daemon {
        home: home.to_owned(),
        link: None,
        to_test: Arc::new(Mutex::new(stream)),
        taken: BTreeMap::new(),
        own: Vec::new(),
    };
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    let exe = std::fs::read_link("/proc/self/exe").unwrap();
    say(&daemon.to_test, &format!("{} {parent} {}", std::process::id(), exe.display()));
    for line in lines.map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let reply = daemon.obey(words[0], &words[1..]);
        say(&daemon.to_test, &reply);
    }
    exit(99)
}

impl Daemon {
    fn link(&self) -> &GuardLink {
        self.link.as_ref().expect("connected")
    }

    fn obey(&mut self, verb: &str, words: &[&str]) -> String {
        match verb {
            "connect" => {
                let to_test = Arc::clone(&self.to_test);
                let on_event = move |event| match event {
                    GuardEvent::ChildExited { pid, start_time, exit } => {
                        say(&to_test, &format!("event {pid} {start_time} {exit}"));
                    }
                    GuardEvent::Lost => say(&to_test, "event lost"),
                };
                self.link = GuardLink::from_env(on_event).unwrap();
                format!("guard {}", self.link().pid())
            }
            // A pipe with its own name in it.
            "hold" => {
                let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
                File::from(writer).write_all(words[0].as_bytes()).unwrap();
                done(self.link().hold(vec![(words[0].to_owned(), reader)]))
            }
            "hold-many" => {
                let null = OwnedFd::from(File::open("/dev/null").unwrap());
                let range = words[0].parse().unwrap()..words[1].parse::<u32>().unwrap();
                done(self.link().hold(range.map(|n| (format!("n{n}"), null.try_clone().unwrap())).collect()))
            }
            "listen" => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let port = listener.local_addr().unwrap().port();
                let fd = OwnedFd::from(listener);
                self.own.push(fd.try_clone().unwrap());
                self.link().hold(vec![(words[0].to_owned(), fd)]).unwrap();
                port.to_string()
            }
            "take" => {
                self.taken = self.link().take_back().unwrap().into_iter().collect();
                self.taken.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
            }
            "read" => {
                let mut bytes = [0; 64];
                let len = rustix::io::read(self.taken[words[0]].as_fd(), &mut bytes).unwrap();
                String::from_utf8_lossy(&bytes[..len]).into_owned()
            }
            "release" => {
                let (sender, receiver) = channel();
                let names = words.iter().map(|word| (*word).to_owned()).collect();
                self.link().release(names, Box::new(move || sender.send(()).unwrap()));
                receiver.recv().unwrap();
                "ok".to_owned()
            }
            "app" => self.app(words[0], words[1]),
            // Already a zombie when the reply is sent.
            "ended-app" => {
                let pid: u32 = self.app("/dev/null", words[0]).parse().unwrap();
                let id = rustix::process::WaitId::Pid(rustix::process::Pid::from_raw(pid.cast_signed()).unwrap());
                let look = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
                rustix::process::waitid(id, look).unwrap();
                pid.to_string()
            }
            "consume" => {
                self.link().consume(words[0].parse().unwrap());
                // Requests are carried out in order: after this answer it is done.
                self.link().take_back().map_or_else(|error| error.to_string(), |_| "ok".to_owned())
            }
            "ready" => {
                if let Some(link) = &self.link {
                    link.ready();
                }
                if words != ["again"] {
                    answer_client("ok\n");
                }
                "ok".to_owned()
            }
            "fail" => {
                answer_client(&words.join(" "));
                "ok".to_owned()
            }
            "stand-down" => {
                self.link().stand_down();
                "ok".to_owned()
            }
            "update" => done(File::open(words[0]).and_then(|exe| self.link().update(exe.into()))),
            "takeover" => {
                let held = std::mem::take(&mut self.taken).into_iter().collect();
                baton_os::guard::takeover(held, &self.home).to_string()
            }
            "env" => std::env::var(words[0]).unwrap_or_default(),
            "limits" => {
                let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
                format!("{:?} {:?}", limit.current, limit.maximum)
            }
            "fds" => {
                let mut fds: Vec<u32> = std::fs::read_dir("/proc/self/fd")
                    .unwrap()
                    .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
                    .collect();
                fds.sort_unstable();
                format!("{}", fds.len())
            }
            "status" => {
                let text = std::fs::read_to_string("/proc/self/status").unwrap();
                let line = text.lines().find_map(|line| line.strip_prefix(words[0])).unwrap();
                line.trim_start_matches(':').trim().to_owned()
            }
            "exit" => exit(words[0].parse().unwrap()),
            other => panic!("no such command: {other}"),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "an app of the test is no app of baton")]
    #[expect(clippy::zombie_processes, reason = "whose zombie it becomes is what is tested")]
    fn app(&self, fifo: &str, code: &str) -> String {
        let exe = std::env::current_exe().unwrap();
        let child = Command::new(exe).args(["app", fifo, code]).stdin(Stdio::null()).spawn().unwrap();
        child.id().to_string()
    }
}

fn done(result: std::io::Result<()>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

/// Writes into the pipe for the client's readiness and closes it, in the first daemon only.
fn answer_client(text: &str) {
    if let Some(fd) = std::env::var(baton_os::guard::READY_FD).ok().and_then(|text| text.parse().ok()) {
        // SAFETY: the guard opened it for us, and this is called once.
        unsafe { File::from_raw_fd(fd) }.write_all(text.as_bytes()).unwrap();
    }
}
