//! `execSync` and `spawnSync`: a command that the process file runs while it is evaluated.
//!
//! The child leads a process group of its own. At the time limit of the evaluation, or at the command's own
//! `timeout`, the whole group is ended.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::PoisonError;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rquickjs::{Ctx, Function, Object, Result, TypedArray};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::super::state::{RunningChild, State};
use super::errno;
use super::text::from_binary;

pub(super) fn define<'js>(ctx: &Ctx<'js>, group: &Object<'js>, state: &Rc<State>) -> Result<()> {
    let s = state.clone();
    group.set(
        "run",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, request: Object<'js>| -> Result<Object<'js>> {
            let file: String = request.get("file")?;
            s.note_effect(format!("ran {file}"));
            match run(&request, &file, &s)? {
                Ok(outcome) => outcome.into_object(&ctx),
                Err(error) => Err(errno(&ctx, &error, &format!("spawnSync {file}"), None)),
            }
        }),
    )
}

/// Ends the command that is running, if one is, with everything in its group.
pub(in super::super) fn kill_running(child: &RunningChild) {
    let running = child.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pid) = *running {
        signal_group(pid, Signal::KILL);
    }
}

fn signal_group(pid: u32, signal: Signal) {
    // The leader is not reaped before it leaves `RunningChild`, so the number cannot be a stranger's.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _already_gone = kill_process_group(pid, signal);
    }
}

/// How a command ended.
pub(in super::super) struct Outcome {
    pid: u32,
    pub(in super::super) status: ExitStatus,
    pub(in super::super) stdout: Vec<u8>,
    pub(in super::super) stderr: Vec<u8>,
    /// It was ended at the deadline.
    pub(in super::super) timed_out: bool,
}

impl Outcome {
    fn into_object<'js>(self, ctx: &Ctx<'js>) -> Result<Object<'js>> {
        let object = Object::new(ctx.clone())?;
        object.set("pid", self.pid)?;
        object.set("status", self.status.code())?;
        object.set("signal", self.status.signal())?;
        object.set("stdout", TypedArray::<u8>::new_copy(ctx.clone(), self.stdout)?)?;
        object.set("stderr", TypedArray::<u8>::new_copy(ctx.clone(), self.stderr)?)?;
        object.set("timedOut", self.timed_out)?;
        Ok(object)
    }
}

/// What the threads around a child report.
enum Report {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    Exited,
}

fn run(request: &Object<'_>, file: &str, state: &State) -> Result<std::io::Result<Outcome>> {
    let args: Vec<String> = request.get("args")?;
    let cwd: Option<String> = request.get("cwd")?;
    let env: Vec<Vec<String>> = request.get("env")?;
    let input: Option<String> = request.get("input")?;
    let timeout: Option<f64> = request.get("timeout")?;
    let cwd = cwd.map_or_else(|| state.cwd(), |cwd| state.absolute(&cwd));
    let signal: i32 = request.get("killSignal")?;
    let timeout = timeout.filter(|timeout| *timeout > 0.0 && *timeout < 1e12).map(|timeout| Timeout {
        at: Instant::now() + Duration::from_secs_f64(timeout / 1000.0),
        signal: Signal::from_named_raw(signal).unwrap_or(Signal::TERM),
    });

    #[expect(clippy::disallowed_methods, reason = "a process file's own execSync: it is no app")]
    let mut command = Command::new(file);
    command.args(args).current_dir(&cwd).env_clear().process_group(0);
    for pair in &env {
        if let [name, value] = pair.as_slice() {
            command.env(name, value);
        }
    }
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if !Path::new(&cwd).is_dir() {
        return Ok(Err(std::io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error())));
    }
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Err(error)),
    };
    let input = input.map(|input| from_binary(&input));
    let outcome = supervise(child, input, timeout, state.deadline, &state.child);
    // Notes the end of the evaluation's own time now: what the file makes of a failed command no longer counts.
    state.must_stop();
    Ok(outcome)
}

/// The command's own time limit.
pub(in super::super) struct Timeout {
    at: Instant,
    signal: Signal,
}

/// Waits for the end of the child and of its output. Its group gets the signal of `timeout` first and is ended at the
/// deadline.
pub(in super::super) fn supervise(
    mut child: Child,
    input: Option<Vec<u8>>,
    mut timeout: Option<Timeout>,
    deadline: Instant,
    running: &RunningChild,
) -> std::io::Result<Outcome> {
    let pid = child.id();
    let set_running = |pid| *running.lock().unwrap_or_else(PoisonError::into_inner) = pid;
    set_running(Some(pid));
    let reports = watch(&mut child, input);
    let (mut stdout, mut stderr, mut timed_out) = (None, None, false);
    let (mut exited, mut ended) = (false, false);
    while !(exited && stdout.is_some() && stderr.is_some()) {
        let until = timeout.as_ref().map_or(deadline, |timeout| timeout.at.min(deadline));
        let report = if !ended {
            reports.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
        } else if exited {
            // A process that left the group may still hold the pipes: what it writes is not waited for.
            break;
        } else {
            reports.recv().ok()
        };
        match report {
            Some(Report::Stdout(bytes)) => stdout = Some(bytes),
            Some(Report::Stderr(bytes)) => stderr = Some(bytes),
            Some(Report::Exited) => exited = true,
            None if ended => break,
            None => {
                timed_out = true;
                match timeout.take() {
                    Some(timeout) if Instant::now() < deadline => signal_group(pid, timeout.signal),
                    _ => {
                        ended = true;
                        signal_group(pid, Signal::KILL);
                    }
                }
            }
        }
    }
    set_running(None);
    let status = child.wait()?;
    Ok(Outcome { pid, status, stdout: stdout.unwrap_or_default(), stderr: stderr.unwrap_or_default(), timed_out })
}

fn watch(child: &mut Child, input: Option<Vec<u8>>) -> Receiver<Report> {
    let (sender, reports) = mpsc::channel();
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A child that does not read all its input ends the write: that is no error.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    if let Some(pipe) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || drop(sender.send(Report::Stdout(read_all(pipe)))));
    }
    if let Some(pipe) = child.stderr.take() {
        let sender = sender.clone();
        thread::spawn(move || drop(sender.send(Report::Stderr(read_all(pipe)))));
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    thread::spawn(move || {
        // Looks without reaping: the pid stays the child's until `supervise` has let go of it.
        if let Some(pid) = pid {
            while matches!(
                waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT),
                Err(rustix::io::Errno::INTR)
            ) {}
        }
        drop(sender.send(Report::Exited));
    });
    reports
}

fn read_all(mut pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came before a failed read is still worth having.
    let _partial = pipe.read_to_end(&mut bytes);
    bytes
}
