//! Tells a hook of an event: one try each, with an end. It decides nothing.

use crate::probe::{Page, connect, plain, send, shell, to_its_end};
use crate::process::Process;
use baton_core::spec::{Environment, HookBy};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::io::retry_on_intr;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Tells once, within this time; a command runs in `cwd` with these variables, and is ended with all of its process group
/// when its time is up, or as soon as the other end of `wanted` is closed. The last line that a command prints is returned.
///
/// # Errors
/// What went wrong, for people.
pub fn tell(
    by: &HookBy,
    event: &[u8],
    cwd: &Path,
    env: &Environment,
    within: Duration,
    wanted: BorrowedFd<'_>,
) -> Result<Option<String>, String> {
    let deadline = Instant::now() + within;
    match by {
        HookBy::Http(address) => post(address, event, deadline).map(|()| None),
        HookBy::Exec(line) => {
            let mut command = shell(line, cwd, env);
            // A file has no reader that could be slow.
            command.stdin(Stdio::from(in_memory(event).map_err(|error| plain(&error))?));
            let daemon = rustix::process::getpid();
            let with_us = move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // It has died before that was asked for.
                if getppid() == Some(daemon) { Ok(()) } else { Err(io::Error::other("the daemon has ended")) }
            };
            // SAFETY: between fork and exec only two system calls are made; nothing is allocated but for an error that
            // ends the child.
            unsafe { command.pre_exec(with_us) };
            to_its_end(command, deadline, Some(wanted))
        }
    }
}

/// Waits so long; false when the other end of `wanted` is closed meanwhile.
pub fn rest(pause: Duration, wanted: BorrowedFd<'_>) -> bool {
    let timeout = Timespec::try_from(pause).ok();
    let waited = retry_on_intr(|| poll(&mut [PollFd::new(&wanted, PollFlags::IN)], timeout.as_ref()));
    waited == Ok(0)
}

/// Stands in the environment of every command of a hook, with the home of its daemon.
pub const HOME_VARIABLE: &str = "BATON_HOOK";

/// Ends what commands of hooks have left that ran when the daemon before died: they have come to its guard as children.
pub fn end_left(guard: u32, home: &Path) {
    let sign = [HOME_VARIABLE.as_bytes(), b"=", home.as_os_str().as_encoded_bytes()].concat();
    let is_left = |pid: u32| {
        let variables = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|variable| variable == sign)
    };
    // What one has started comes to the guard when that one is gone.
    for _ in 0..GENERATIONS {
        let children = std::fs::read_to_string(format!("/proc/{guard}/task/{guard}/children")).unwrap_or_default();
        let left = children.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(|pid| is_left(*pid));
        let left: Vec<u32> = left.collect();
        if left.is_empty() {
            return;
        }
        for pid in left {
            // Identified first, and then looked at again: its number can't have been given to another in between.
            if let Ok(Some(process)) = Process::identify(pid)
                && is_left(pid)
            {
                let _ = process.signal(baton_core::world::Signal::KILL);
            }
        }
    }
}

/// How often it is looked for more.
const GENERATIONS: usize = 8;

fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("event", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

fn post(address: &str, body: &[u8], deadline: Instant) -> Result<(), String> {
    let page = Page::of(address);
    let (path, host, length) = (page.target(), page.host, body.len());
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: baton\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    send(&request, connect(&page.place(), deadline)?, deadline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};
    use std::io::Read;
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    const PATIENCE: Duration = Duration::from_secs(60);
    const EVENT: &[u8] = br#"{"event":"errored"}"#;

    fn exec(line: &str, within: Duration) -> Result<Option<String>, String> {
        let (wanted, _held) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let env = Environment::from([("BATON_EVENT".into(), "errored".into())]);
        tell(&HookBy::Exec(line.into()), EVENT, Path::new("/"), &env, within, wanted.as_fd())
    }

    #[test]
    fn a_command_has_the_event_as_its_input_and_its_last_line_is_told() {
        let told = exec("cat; echo; echo $BATON_EVENT in $PWD", PATIENCE);
        assert_eq!(told, Ok(Some("errored in /".into())));
        assert_eq!(exec("cat", PATIENCE), Ok(Some(r#"{"event":"errored"}"#.into())));
        assert_eq!(exec("echo no >&2; exit 3", PATIENCE), Err("exit code 3: no".into()));
        // It need not read.
        assert_eq!(exec("true", PATIENCE), Ok(None));
    }

    #[test]
    fn a_command_does_not_outlive_its_time_nor_does_what_it_has_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let line = format!("sleep 1000 & echo $! > {}; wait", file.display());
        assert_eq!(exec(&line, Duration::from_secs(1)), Err("the command took too long".into()));
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        // Killed: it ends when it has its turn.
        let Ok(process) = rustix::process::pidfd_open(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::PidfdFlags::empty(),
        ) else {
            return;
        };
        let mut fds = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        let patience = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut fds, Some(&patience)), Ok(1), "it still runs");
    }

    #[test]
    fn a_hook_that_is_unwanted_ends_and_rests_no_longer() {
        let (wanted, held) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        assert!(rest(Duration::from_millis(1), wanted.as_fd()));
        drop(held);
        assert!(!rest(PATIENCE, wanted.as_fd()));
        let by = HookBy::Exec("exec sleep 1000".into());
        let told = tell(&by, EVENT, Path::new("/"), &Environment::new(), PATIENCE, wanted.as_fd());
        assert_eq!(told, Err("nobody waits for the command".into()));
    }

    #[test]
    fn an_address_has_the_event_as_the_body_of_a_post() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut bytes = [0; 512];
            while !request.ends_with(EVENT) {
                let count = stream.read(&mut bytes).unwrap();
                request.extend_from_slice(&bytes[..count]);
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            String::from_utf8(request).unwrap()
        });
        let (wanted, _held) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let by = HookBy::Http(format!("http://127.0.0.1:{port}/hook?a=1"));
        let told = tell(&by, EVENT, Path::new("/"), &Environment::new(), PATIENCE, wanted.as_fd());
        assert_eq!(told, Ok(None));
        let request = server.join().unwrap();
        assert!(request.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("Content-Length: 19\r\n"), "{request}");
        let told = tell(&by, EVENT, Path::new("/"), &Environment::new(), PATIENCE, wanted.as_fd());
        assert_eq!(told, Err("connection refused".into()));
    }
}
