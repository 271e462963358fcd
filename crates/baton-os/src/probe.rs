//! Looks for things that others run: one attempt each, with an end. It decides nothing; who needs them does.

use crate::sockets::{Taker, taker};
use baton_core::spec::{Environment, Probe};
use baton_core::world::Identity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio, read};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest status line that an answer may begin with, in bytes.
const STATUS_LINE: usize = 1024;
/// Of what a command prints the end is kept (bytes), and of that the last line is told (characters).
const LAST_WORDS: usize = 2048;
const TOLD: usize = 200;
/// How often a look at a shared socket tries to reach the right one.
const TURNS: u32 = 16;
/// How long it waits that somebody takes its connection.
const TAKEN: Duration = Duration::from_secs(1);

/// Looks once, for at most this long; a command runs in `cwd` with these variables.
///
/// # Errors
/// What was found instead, for people: such as `connection refused`.
pub fn look(probe: &Probe, cwd: &Path, env: &Environment, within: Duration) -> Result<(), String> {
    look_while(probe, cwd, env, within, None)
}

/// As [`look`], and a command is ended as soon as the other end of this pipe is closed: nobody wants to know any more.
///
/// # Errors
/// What was found instead, for people.
pub fn look_while(
    probe: &Probe,
    cwd: &Path,
    env: &Environment,
    within: Duration,
    wanted: Option<BorrowedFd<'_>>,
) -> Result<(), String> {
    let deadline = Instant::now() + within;
    match probe {
        Probe::Tcp(address) => connect(address, deadline).map(drop),
        Probe::Http(address) => {
            let page = Page::of(address);
            page.ask(connect(&page.place(), deadline)?, deadline)
        }
        Probe::Exec(command) => exec(command, cwd, env, deadline, wanted),
    }
}

/// As [`look`] for a port or a page at a socket that this tree shares with other processes: only its own answer counts. Of
/// another machine any answer does.
///
/// # Errors
/// What was found instead, for people.
pub fn look_at(probe: &Probe, leader: &Identity, within: Duration) -> Result<(), String> {
    let deadline = Instant::now() + within;
    let mut found = Err("no answer in time".to_owned());
    // Who gets a connection is chance: with several, the one that is meant soon has its turn.
    for _ in 0..TURNS {
        let connected = match probe {
            Probe::Tcp(address) => connect(address, deadline)?,
            Probe::Http(address) => connect(&Page::of(address).place(), deadline)?,
            Probe::Exec(_) => return Err("a command has no socket".into()),
        };
        found = match await_taker(&connected, leader, deadline) {
            Ok(Taker::Tree) => {
                return match probe {
                    Probe::Http(address) => Page::of(address).ask(connected, deadline),
                    Probe::Tcp(_) | Probe::Exec(_) => Ok(()),
                };
            }
            Ok(Taker::Other) => Err("another process answers there".into()),
            Ok(Taker::Nobody) => return Err("nobody takes the connection".into()),
            Err(error) => return Err(plain(&error)),
        };
    }
    found
}

/// Waits until somebody has taken a connection, for a moment.
fn await_taker(connection: &TcpStream, leader: &Identity, deadline: Instant) -> io::Result<Taker> {
    let (ours, theirs) = (connection.local_addr()?.ip(), connection.peer_addr()?.ip());
    if ours != theirs && !theirs.is_loopback() {
        return Ok(Taker::Tree);
    }
    let deadline = deadline.min(Instant::now() + TAKEN);
    let mut pause = Duration::from_millis(1);
    loop {
        let taker = taker(connection, leader)?;
        if taker != Taker::Nobody || Instant::now() >= deadline {
            return Ok(taker);
        }
        // Nothing tells of it: the kernel's table has to be read again.
        let timeout = Timespec { tv_sec: 0, tv_nsec: pause.subsec_nanos().into() };
        let _ = poll(&mut [], Some(&timeout));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Runs a command line to its end, in `cwd` and with these variables; what it prints goes to our standard error.
///
/// # Errors
/// When there is no shell to be had.
pub fn run(command: &str, cwd: &Path, env: &Environment) -> io::Result<ExitStatus> {
    shell(command, cwd, env).stdin(Stdio::null()).stdout(io::stderr()).status()
}

#[expect(clippy::disallowed_methods, reason = "a question or an order of the process file that is waited for, no app")]
pub(crate) fn shell(command: &str, cwd: &Path, env: &Environment) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).current_dir(cwd).env_clear().envs(env);
    shell
}

pub(crate) fn connect(address: &str, deadline: Instant) -> Result<TcpStream, String> {
    let mut found = "no address of that name".to_owned();
    for address in address.to_socket_addrs().map_err(|error| plain(&error))? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => found = plain(&error),
        }
    }
    Err(found)
}

/// The parts of an address.
pub(crate) struct Page<'a> {
    pub(crate) host: &'a str,
    path: &'a str,
}

impl<'a> Page<'a> {
    pub(crate) fn of(address: &'a str) -> Page<'a> {
        let rest = address.strip_prefix("http://").unwrap_or(address);
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        Page { host, path: path.split('#').next().unwrap_or_default() }
    }

    /// Host and port.
    pub(crate) fn place(&self) -> String {
        let has_port = self.host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if has_port { self.host.to_owned() } else { format!("{}:80", self.host) }
    }

    /// What is asked for there.
    pub(crate) fn target(&self) -> String {
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        format!("{slash}{}", self.path)
    }

    fn ask(&self, stream: TcpStream, deadline: Instant) -> Result<(), String> {
        let (path, host) = (self.target(), self.host);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: baton\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        send(request.as_bytes(), stream, deadline)
    }
}

/// Sends a request; what the status of its answer says is whether it is good.
pub(crate) fn send(request: &[u8], mut stream: TcpStream, deadline: Instant) -> Result<(), String> {
    stream.set_write_timeout(Some(left(deadline)?)).map_err(|error| plain(&error))?;
    stream.write_all(request).map_err(|error| plain(&error))?;
    let mut line = Vec::new();
    let mut bytes = [0; 256];
    while !line.contains(&b'\n') && line.len() < STATUS_LINE {
        stream.set_read_timeout(Some(left(deadline)?)).map_err(|error| plain(&error))?;
        match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => line.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err("no answer in time".into()),
            Err(error) => return Err(plain(&error)),
        }
    }
    let line = String::from_utf8_lossy(&line);
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u16>().ok());
    match status {
        Some(200..400) => Ok(()),
        Some(status) => Err(format!("status {status}")),
        None => Err("no answer of HTTP".into()),
    }
}

fn exec(
    command: &str,
    cwd: &Path,
    env: &Environment,
    deadline: Instant,
    wanted: Option<BorrowedFd<'_>>,
) -> Result<(), String> {
    let mut command = shell(command, cwd, env);
    command.stdin(Stdio::null());
    to_its_end(command, deadline, wanted).map(drop)
}

/// Runs a command to its end, with nothing left of its process group then. Its last line is returned, or told with what
/// went wrong.
pub(crate) fn to_its_end(
    mut command: Command,
    deadline: Instant,
    wanted: Option<BorrowedFd<'_>>,
) -> Result<Option<String>, String> {
    let (words, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| plain(&error.into()))?;
    let copy = theirs.try_clone().map_err(|error| plain(&error))?;
    ioctl_fionbio(&words, true).map_err(|error| plain(&error.into()))?;
    command.stdout(theirs).stderr(copy).process_group(0);
    let mut child = command.spawn().map_err(|error| plain(&error))?;
    // It holds their ends.
    drop(command);
    let mut said = Vec::new();
    let end = follow(&child, &words, &mut said, deadline, wanted);
    // Nor is anything left behind that it started. It is our child and not waited for yet: the number is still its own.
    let _ = i32::try_from(child.id()).ok().and_then(Pid::from_raw).map(|id| kill_process_group(id, Signal::KILL));
    let status = child.wait().map_err(|error| plain(&error))?;
    let found = match (end, status.success()) {
        (End::Ended, true) => return Ok(last_line(&said)),
        (End::Ended, false) => status.to_string().replace("exit status:", "exit code"),
        (End::Late, _) => "the command took too long".into(),
        (End::Unwanted, _) => "nobody waits for the command".into(),
    };
    Err(match last_line(&said) {
        Some(line) => format!("{found}: {line}"),
        None => found,
    })
}

/// How the time of a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ended,
    Late,
    Unwanted,
}

/// Takes in what a child prints until it ends, its time is up, or nobody wants to know any more. What others print who
/// have its standard output is not waited for.
fn follow(
    child: &Child,
    words: &OwnedFd,
    said: &mut Vec<u8>,
    deadline: Instant,
    wanted: Option<BorrowedFd<'_>>,
) -> End {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return End::Late };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return End::Late };
    let mut speaks = true;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
        let timeout = Timespec { tv_sec: seconds, tv_nsec: left.subsec_nanos().into() };
        let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
        fds.extend(wanted.as_ref().map(|wanted| PollFd::new(wanted, PollFlags::IN)));
        fds.extend(speaks.then(|| PollFd::new(words, PollFlags::IN)));
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return End::Late,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return End::Late,
        }
        let ended = !fds[0].revents().is_empty();
        let unwanted = wanted.is_some() && !fds[1].revents().is_empty();
        // At its end no more than a pipe holds.
        speaks = speaks && (0..if ended { 32 } else { 1 }).all(|_| take_in(words, said));
        if ended {
            return End::Ended;
        }
        if unwanted {
            return End::Unwanted;
        }
    }
}

/// Reads what is there; false at the end. Only the last of it is kept.
fn take_in(words: &OwnedFd, said: &mut Vec<u8>) -> bool {
    let mut bytes = [0; 2048];
    match read(words, &mut bytes) {
        Ok(0) => false,
        Ok(count) => {
            said.extend_from_slice(&bytes[..count]);
            said.drain(..said.len().saturating_sub(LAST_WORDS));
            true
        }
        Err(Errno::AGAIN | Errno::INTR) => true,
        Err(_) => false,
    }
}

/// The last line that says something, cut.
fn last_line(said: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(line.chars().filter(|letter| !letter.is_control()).take(TOLD).collect())
}

fn left(deadline: Instant) -> Result<Duration, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err("no answer in time".into()) } else { Ok(left) }
}

/// What the system says, without its number.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;
    use std::net::TcpListener;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn once(probe: &Probe) -> Result<(), String> {
        look(probe, Path::new("/"), &Environment::from([("WORD".into(), "yes".into())]), PATIENCE)
    }

    /// A server that gives one answer.
    fn answers(text: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
        });
        port
    }

    #[test]
    fn a_port_is_there_when_it_takes_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let probe = Probe::Tcp(format!("localhost:{}", listener.local_addr().unwrap().port()));
        assert_eq!(once(&probe), Ok(()));
        drop(listener);
        assert_eq!(once(&probe), Err("connection refused".into()));
    }

    #[test]
    fn a_page_is_there_when_its_status_is_good() {
        let ask = |answer, path: &str| once(&Probe::Http(format!("http://127.0.0.1:{}{path}", answers(answer))));
        assert_eq!(ask("HTTP/1.1 200 OK\r\n\r\n", "/health"), Ok(()));
        assert_eq!(ask("HTTP/1.0 302 Found\r\n\r\n", ""), Ok(()));
        assert_eq!(ask("HTTP/1.1 503 Busy\r\n\r\n", "?a=b"), Err("status 503".into()));
        assert_eq!(ask("hello", "/"), Err("no answer of HTTP".into()));
    }

    #[test]
    fn at_a_shared_socket_only_the_answer_of_the_right_one_counts() {
        let me = Process::identify(std::process::id()).unwrap().unwrap().identity().clone();
        let stranger = Identity { pid: u32::MAX, ..me.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tcp, http) = (Probe::Tcp(format!("127.0.0.1:{port}")), Probe::Http(format!("http://127.0.0.1:{port}/x")));
        assert_eq!(look_at(&tcp, &me, PATIENCE), Err("nobody takes the connection".into()));
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for mut stream in listener.incoming().flatten() {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                kept.push(stream);
            }
        });
        assert_eq!(look_at(&tcp, &me, PATIENCE), Ok(()));
        assert_eq!(look_at(&http, &me, PATIENCE), Ok(()));
        assert_eq!(look_at(&http, &stranger, PATIENCE), Err("another process answers there".into()));
    }

    #[test]
    fn a_command_says_by_its_exit_code_and_does_not_outlive_its_time() {
        let exec = |text: &str| Probe::Exec(text.into());
        assert_eq!(once(&exec("test \"$WORD\" = yes && test \"$PWD\" = /")), Ok(()));
        assert_eq!(once(&exec("exit 3")), Err("exit code 3".into()));
        let endless = look(&exec("exec cat /dev/zero"), Path::new("/"), &Environment::new(), Duration::ZERO);
        assert!(endless.unwrap_err().starts_with("the command took too long"));
    }

    #[test]
    fn the_last_line_of_a_command_that_fails_is_told() {
        let exec = |text: &str| once(&Probe::Exec(text.into()));
        assert_eq!(exec("echo one; echo two >&2; echo; exit 3"), Err("exit code 3: two".into()));
        assert_eq!(exec("yes | head -c 200000; printf '\\033[31mred'; exit 1"), Err("exit code 1: [31mred".into()));
        assert_eq!(exec("echo fine"), Ok(()));
        // Whoever has its output still is not waited for, and goes with it.
        assert_eq!(exec("sleep 1000 & echo left; exit 2"), Err("exit code 2: left".into()));
    }

    #[test]
    fn a_command_ends_when_nobody_wants_to_know_any_more() {
        use std::os::fd::AsFd;
        let (wanted, held) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        drop(held);
        let probe = Probe::Exec("exec sleep 1000".into());
        let found = look_while(&probe, Path::new("/"), &Environment::new(), PATIENCE, Some(wanted.as_fd()));
        assert_eq!(found, Err("nobody waits for the command".into()));
    }
}
