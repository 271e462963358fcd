//! Hooks (`on_event`): who is to be told of events, a few at a time, each by a thread of its own that tries again when it
//! fails. None of them can hold up the loop, and all of them end with the daemon.

use super::driver::Driver;
use super::inbox::{Inbox, Message};
use super::journal;
use super::spawner::variables;
use crate::home::Home;
use baton_core::spec::{Environment, Hook, HookBy};
use baton_core::step::Event;
use baton_core::units::WallTime;
use baton_core::world::{Detail, Exit, InstanceView, Report, Signal};
use baton_os::clock;
use baton_os::hook::{HOME_VARIABLE, rest, tell};
use baton_pm2::describe::iso;
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

/// How many are told at once.
const AT_ONCE: usize = 4;
/// How many may wait for that; what comes then is left out, and told in the journal.
const WAITING: usize = 100;
/// The first pause before another try; each is twice as long as the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is to be told to whom.
#[derive(Debug)]
struct Call {
    hook: Hook,
    report: Report,
    /// The slot, whole: a command runs in its directory and environment.
    view: InstanceView,
}

/// The calls under way, and those that wait.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    running: BTreeMap<u64, Running>,
    waiting: VecDeque<Call>,
    next: u64,
    left_out: u64,
}

#[derive(Debug)]
struct Running {
    /// Closed when nobody wants the call any more.
    held: OwnedFd,
    thread: JoinHandle<()>,
    /// Whether a command runs, which is not to be left behind.
    is_command: bool,
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Told {
    number: u64,
    hook: HookBy,
    report: Report,
    result: Result<Option<String>, String>,
}

impl Driver {
    /// Has a hook told of an event.
    pub(super) fn call_hook(&mut self, hook: Hook, report: Report) {
        let Some(slot) = self.world.instances.get(&report.id) else { return };
        if self.hooks.waiting.len() >= WAITING {
            // Once for a flood of them.
            if self.hooks.left_out == 0 {
                journal::warn(format_args!("more than {WAITING} calls of hooks wait: some are left out"));
            }
            self.hooks.left_out += 1;
            return;
        }
        let view = slot.view(clock::now(), Detail::Definition);
        self.hooks.waiting.push_back(Call { hook, report, view });
        self.call_next();
    }

    fn call_next(&mut self) {
        while self.hooks.running.len() < AT_ONCE
            && let Some(call) = self.hooks.waiting.pop_front()
        {
            let (number, id) = (self.hooks.next, call.report.id);
            self.hooks.next += 1;
            let (hook, event) = (call.hook.by.to_string(), call.report.event);
            match begin(number, call, self.inbox.clone(), &self.home) {
                Ok(running) => drop(self.hooks.running.insert(number, running)),
                Err(error) => {
                    let why = format!("no thread to tell it: {error}");
                    self.queue.push_back(Event::HookFailed { id, hook, event, why });
                }
            }
        }
    }

    /// A hook was told, or could not be.
    pub(super) fn told(&mut self, told: Told) {
        let Told { number, hook, report, result } = told;
        self.hooks.running.remove(&number);
        if self.hooks.left_out > 0 && self.hooks.waiting.is_empty() {
            journal::warn(format_args!("{} calls of hooks were left out", std::mem::take(&mut self.hooks.left_out)));
        }
        let (app, id, event) = (&report.app, report.id, report.event);
        match result {
            Ok(words) => {
                let words = words.map(|words| format!(": {words}")).unwrap_or_default();
                journal::log(format_args!("hook of {app} ({id}) was told of {}{words}", event.as_str()));
            }
            Err(why) => {
                journal::warn(format_args!("hook of {app} ({id}) could not be told of {}: {why}", event.as_str()));
                self.queue.push_back(Event::HookFailed { id, hook: hook.to_string(), event, why });
            }
        }
        self.call_next();
    }
}

impl Hooks {
    /// Ends what is under way: no command is left behind.
    pub(super) fn end(self) {
        for Running { held, thread, is_command } in self.running.into_values() {
            drop(held);
            // An address that does not answer leaves nothing behind.
            if is_command {
                let _ = thread.join();
            }
        }
    }
}

fn begin(number: u64, call: Call, inbox: Inbox, home: &Home) -> io::Result<Running> {
    let (wanted, held) = pipe_with(PipeFlags::CLOEXEC)?;
    let is_command = matches!(call.hook.by, HookBy::Exec(_));
    let home = home.clone();
    let work = move || {
        let Call { hook, report, view } = call;
        let result = try_on(&hook, &report, &view, &home, &wanted);
        inbox.send(Message::Told(Box::new(Told { number, hook: hook.by, report, result })));
    };
    let thread = std::thread::Builder::new().name("hook".into()).spawn(work)?;
    Ok(Running { held, thread, is_command })
}

/// Tells a hook, again and again until it has heard, or has been told often enough.
fn try_on(
    hook: &Hook,
    report: &Report,
    view: &InstanceView,
    home: &Home,
    wanted: &OwnedFd,
) -> Result<Option<String>, String> {
    let body = serde_json::to_vec(report).map_err(|error| error.to_string())?;
    let env = match hook.by {
        HookBy::Exec(_) => environment(report, view, home),
        HookBy::Http(_) => Environment::new(),
    };
    let cwd = view.spec.as_deref().map_or("/", |spec| &spec.cwd);
    let timeout = Duration::from_millis(hook.timeout.0);
    let (mut pause, mut left) = (FIRST_PAUSE, hook.retries);
    loop {
        let result = tell(&hook.by, &body, Path::new(cwd), &env, timeout, wanted.as_fd());
        if result.is_ok() || left == 0 || !rest(pause, wanted.as_fd()) {
            return result;
        }
        left -= 1;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What a command runs with: the variables of the app, and the event's.
fn environment(report: &Report, view: &InstanceView, home: &Home) -> Environment {
    // What is wrong with its files of variables was told when the app was started.
    let mut env = variables(view, home, |_| ()).unwrap_or_default();
    let mut put = |name: &str, value: String| drop(env.insert(name.into(), value));
    let Report { event, at: WallTime(at), app, unit, id, why, .. } = report;
    put(HOME_VARIABLE, home.root().to_string_lossy().into_owned());
    put("BATON_EVENT", event.as_str().into());
    put("BATON_EVENT_AT", iso(WallTime(*at)));
    put("BATON_EVENT_APP", app.clone());
    put("BATON_EVENT_UNIT", unit.clone());
    put("BATON_EVENT_ID", id.to_string());
    put("BATON_EVENT_STATUS", report.status.as_str().into());
    put("BATON_EVENT_WHY", why.clone());
    put("BATON_EVENT_RESTARTS", report.restarts.to_string());
    match report.exit {
        Some(Exit::Code(code)) => put("BATON_EVENT_EXIT_CODE", code.to_string()),
        Some(Exit::Signal(signal)) => put("BATON_EVENT_SIGNAL", signal.to_string()),
        Some(Exit::OutOfMemory(_)) => put("BATON_EVENT_SIGNAL", Signal::KILL.to_string()),
        Some(Exit::Unknown) | None => {}
    }
    env
}
