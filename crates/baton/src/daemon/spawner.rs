//! The thread that makes processes: files of variables, look-ups, FIFOs and the spawn itself may take milliseconds.
//!
//! Jobs that arrived together give their FIFOs to the guard in one message, and while it takes them in, and the fork
//! server makes one process, the next is ordered. The pid file is written here, before the core knows of the process,
//! so that it is there when anybody is told of a start.

use super::channel::ends;
use super::inbox::{Inbox, Made, Message};
use super::life::{CHANNELS, Key, input_path, line_name, stream_key};
use super::line::{Line, Theirs};
use super::modules::{self, Module};
use super::sockets::{self, Keeper, SocketKey};
use super::storage::{Routes, fifo_path};
use crate::home::{Home, remove_file};
use baton_core::spec::{AppSpec, Environment, ExecMode, GroupLimits};
use baton_core::units::Incarnation;
use baton_core::world::{InstanceView, SpawnError, SpawnStage};
use baton_os::cgroup::{Group, Groups, Lack};
use baton_os::guard::link::{GuardLink, Holding};
use baton_os::logs::Stream;
use baton_os::spawn::{Credentials, ForkServer, GroupFolder, Launch, Prepared, find_program};
use baton_os::tree::MARK_VARIABLE;
use baton_os::{fifo, files, user};
use baton_pm2::environment::{self, ChildFacts};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Jobs whose descriptors go to the guard together.
const TOGETHER: usize = 32;
/// The number that the first extra descriptor has in the app.
const FIRST_EXTRA: usize = 3;
/// Where programs are looked for when the app's environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The code of the system for something that is not there.
const NO_ENTRY: i32 = rustix::io::Errno::NOENT.raw_os_error();

/// A process to make.
#[derive(Debug)]
pub(super) struct Job {
    /// The life.
    pub(super) key: Key,
    /// The whole slot.
    pub(super) view: InstanceView,
    /// The mark for its environment.
    pub(super) mark: String,
    /// Where its output goes.
    pub(super) routes: Routes,
    /// The control group that is to be made for it.
    pub(super) group: Option<Group>,
    /// Whether no other life has a socket of this one.
    pub(super) alone: bool,
}

enum Order {
    Make(Box<Job>),
    /// Nobody needs these sockets any more.
    Close(Vec<SocketKey>),
    /// The group of a life that runs is to keep these from now on.
    Limit(Key, Group, GroupLimits),
    /// A pid file outside the home is no longer true.
    RemovePid(PathBuf, u32),
    /// A pid file that names the first process is to name the second.
    ReplacePid(PathBuf, u32, u32),
}

/// What processes inherit from the machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heritage {
    /// The limit on open files that apps get.
    pub(super) nofile: Option<(u64, u64)>,
    /// The out-of-memory adjustment that apps get.
    pub(super) oom_score_adj: Option<i32>,
}

/// The thread.
#[derive(Debug)]
pub(super) struct Spawner {
    orders: Sender<Order>,
    pids: PathBuf,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(
        home: Home,
        (guard, keeper, groups): (Option<GuardLink>, Keeper, Result<Groups, Lack>),
        heritage: Heritage,
        inbox: Inbox,
    ) -> io::Result<Spawner> {
        let (orders, received) = channel();
        let pids = home.pids();
        let mut worker = Worker { home, guard, keeper, groups, heritage, inbox, server: ForkServer::default() };
        std::thread::Builder::new().name("spawner".into()).spawn(move || worker.run(&received))?;
        Ok(Spawner { orders, pids })
    }

    /// Has a process made.
    pub(super) fn make(&self, job: Job) {
        // The thread ends with this sender; were it dead by a panic, the hook has told.
        let _ = self.orders.send(Order::Make(Box::new(job)));
    }

    /// Has sockets closed; answered by `SocketsClosed`.
    pub(super) fn close(&self, keys: Vec<SocketKey>) {
        let _ = self.orders.send(Order::Close(keys));
    }

    /// Has the group of a life keep other limits. That may take a while, for memory may have to be given back.
    pub(super) fn limit(&self, key: Key, group: Group, limits: GroupLimits) {
        let _ = self.orders.send(Order::Limit(key, group, limits));
    }

    /// Has a pid file that names a process which ended name the one that has its slot.
    pub(super) fn replace_pid(&self, path: &str, ended: u32, current: u32) {
        let _ = self.orders.send(Order::ReplacePid(path.into(), ended, current));
    }

    /// Removes the pid file of a process that ended. A file elsewhere may be on a disk that does not answer.
    pub(super) fn remove_pid(&self, path: &str, pid: u32) {
        let path = PathBuf::from(path);
        if path.starts_with(&self.pids) {
            remove_pid(&path, pid);
        } else {
            let _ = self.orders.send(Order::RemovePid(path, pid));
        }
    }
}

fn names(path: &Path, pid: u32) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.trim() == pid.to_string())
}

/// Only a file that still names this process.
fn remove_pid(path: &Path, pid: u32) {
    if names(path, pid) {
        // Nobody could do anything about it, and nobody relies on its absence.
        let _ = remove_file(path);
    }
}

struct Worker {
    home: Home,
    guard: Option<GuardLink>,
    keeper: Keeper,
    groups: Result<Groups, Lack>,
    heritage: Heritage,
    inbox: Inbox,
    server: ForkServer,
}

/// The descriptors of one life: of its output, of what it tells by that it is ready, and of its channel.
struct Pipes {
    ours: Ours,
    theirs: AppEnds,
}

struct Ours {
    outputs: [OwnedFd; 2],
    line: Option<OwnedFd>,
    channel: Option<OwnedFd>,
    /// Sockets that were opened for it.
    opened: Vec<SocketKey>,
}

struct AppEnds {
    input: Option<OwnedFd>,
    outputs: [OwnedFd; 2],
    channel: Option<OwnedFd>,
    sockets: Vec<Arc<OwnedFd>>,
    line: Option<Theirs>,
}

impl Ours {
    /// Each with the guard's name for it.
    fn named(&self, key: Key) -> impl Iterator<Item = (String, &OwnedFd)> {
        let outputs = CHANNELS.into_iter().map(move |channel| stream_key(key, channel).guard_name()).zip(&self.outputs);
        let line = self.line.iter().map(move |line| (line_name(key), line));
        outputs.chain(line).chain(self.channel.iter().map(move |channel| (ends::name(key), channel)))
    }
}

impl Worker {
    fn run(&mut self, orders: &Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            let (mut jobs, mut limits) = (Vec::new(), Vec::new());
            let together = std::iter::once(first).chain(orders.try_iter()).take(TOGETHER);
            for order in together {
                match order {
                    Order::Make(job) => jobs.push(*job),
                    // Before what was asked for earlier: while that is not made, nobody gives its sockets up.
                    Order::Close(keys) => {
                        self.keeper.close(&keys, self.guard.as_ref());
                        self.inbox.send(Message::SocketsClosed);
                    }
                    // Its group may be one that is to be made now.
                    Order::Limit(key, group, wished) => limits.push((key, group, wished)),
                    Order::RemovePid(path, pid) => remove_pid(&path, pid),
                    Order::ReplacePid(path, old, new) => self.replace_pid(&path, old, new),
                }
            }
            let keys: Vec<Key> = jobs.iter().map(|job| job.key).collect();
            if catch_unwind(AssertUnwindSafe(|| self.make_all(jobs))).is_err() {
                // Those that were made before it are known by now, and this is no news of them.
                for key in keys {
                    let message = "an error of baton; please report it with pm2.log".into();
                    self.failed(key, SpawnError { stage: SpawnStage::Prepare, errno: 0, message }, Vec::new());
                }
            }
            limits.iter().for_each(|(key, group, wished)| self.limit(*key, group, wished));
        }
    }

    fn make_all(&mut self, jobs: Vec<Job>) {
        let mut ready = Vec::new();
        for job in jobs {
            let credentials = user::credentials(spec(&job).uid.as_deref(), spec(&job).gid.as_deref());
            let piped = credentials.and_then(|who| Ok((self.pipes(&job, who.as_ref())?, who)));
            match piped {
                Ok((pipes, who)) => ready.push((job, pipes, who)),
                Err(error) => self.failed(job.key, error, Vec::new()),
            }
        }
        let holding = self.deposit(&ready);
        let mut begun = Vec::new();
        for (job, pipes, who) in ready {
            let mut warnings = Vec::new();
            let launch = self.launch(&job, pipes.theirs, who, &mut warnings);
            match launch.and_then(|launch| self.server.begin(&launch)) {
                Ok(process) => begun.push((job, pipes.ours, process, warnings)),
                Err(error) => self.failed(job.key, error, warnings),
            }
        }
        // What a process writes must be held before it may write.
        let held = holding.and_then(|holding| holding.map_or(Ok(()), Holding::wait));
        for (job, ours, process, mut warnings) in begun {
            let made = match &held {
                Ok(()) => self.server.finish(process).map(|prepared| self.made(&job, ours, prepared, &mut warnings)),
                Err(error) => {
                    self.server.call_off(process);
                    self.keeper.close(&ours.opened, self.guard.as_ref());
                    Err(prepare_error(error, "the guard can't hold the app's output and sockets"))
                }
            };
            match made {
                Ok(made) => self.inbox.send(Message::Made { key: job.key, outcome: Ok(Box::new(made)), warnings }),
                Err(error) => self.failed(job.key, error, warnings),
            }
        }
    }

    fn limit(&self, key: Key, group: &Group, limits: &GroupLimits) {
        let done = self.groups.as_ref().map_err(Lack::to_string).and_then(|groups| groups.limit(group, limits));
        if let Err(why) = done {
            self.inbox.send(Message::NotLimited(key, why));
        }
    }

    /// The control group of a job's life, made. Without limits the app can do without.
    fn group(&self, job: &Job, warnings: &mut Vec<String>) -> Result<Option<GroupFolder>, SpawnError> {
        let limits = spec(job).group_limits();
        let made = match (&self.groups, &job.group) {
            (Ok(groups), Some(group)) => groups.make(group, &limits),
            (Err(_), _) | (_, None) if limits.is_empty() => return Ok(None),
            (Err(lack), _) => Err(lack.to_string()),
            (Ok(_), None) => Err("the app was begun without a control group".into()),
        };
        match made {
            Ok(folder) => Ok(Some(GroupFolder { folder, needed: !limits.is_empty() })),
            Err(why) if limits.is_empty() => {
                warnings.push(format!("App [{}:{}]: has no control group: {why}", job.view.name, job.key.0));
                Ok(None)
            }
            Err(why) => {
                let message = format!("cannot keep {}: {why}", limits.keys().join(", "));
                Err(SpawnError { stage: SpawnStage::Setup, errno: 0, message })
            }
        }
    }

    fn pipes(&self, job: &Job, who: Option<&Credentials>) -> Result<Pipes, SpawnError> {
        let (_, incarnation) = job.key;
        let owner = who.map(|who| (who.uid, who.gid));
        let make = |channel| {
            let path = fifo_path(&self.home, incarnation, channel);
            let ends = || {
                fifo::make(&path, owner)?;
                Ok((fifo::open_reader(&path)?, fifo::open_app_end(&path)?))
            };
            ends().map_err(|error: io::Error| prepare_error(&error, &path.display().to_string()))
        };
        let [(out_reader, out), (err_reader, err)] = [make(CHANNELS[0])?, make(CHANNELS[1])?];
        let input = if spec(job).has_input() { Some(self.input(incarnation, owner)?) } else { None };
        let mut opened = Vec::new();
        let mut sockets = Vec::new();
        for key in sockets::keys(spec(job), job.view.number) {
            let (socket, is_new) = self.keeper.give(&key, who, job.alone)?;
            sockets.push(socket);
            opened.extend(is_new.then_some(key));
        }
        let line = Line::of(spec(job), &self.home, incarnation, who)
            .map_err(|error| prepare_error(&error, "it can't be given what it says by that it is ready"))?;
        let (line, theirs) = line.map(|line| (line.reader, line.theirs)).unzip();
        let channel = if ends::is_for(spec(job)) { Some(ends::pair()) } else { None };
        let channel = channel.transpose().map_err(|error| prepare_error(&error, "it can't be given a channel"))?;
        let (channel, their_channel) = channel.unzip();
        let ours = Ours { outputs: [out_reader, err_reader], line, channel, opened };
        let theirs = AppEnds { input, outputs: [out, err], sockets, channel: their_channel, line: theirs };
        Ok(Pipes { ours, theirs })
    }

    /// What a life reads. Whoever writes to it finds it by its name, so nobody holds anything of it.
    fn input(&self, incarnation: Incarnation, owner: Option<(u32, u32)>) -> Result<OwnedFd, SpawnError> {
        let path = input_path(&self.home, incarnation);
        let made = fifo::make(&path, owner).and_then(|()| fifo::open_input(&path));
        made.map_err(|error| prepare_error(&error, &path.display().to_string()))
    }

    /// The guard is to hold our ends.
    fn deposit(&self, ready: &[(Job, Pipes, Option<Credentials>)]) -> io::Result<Option<Holding>> {
        let Some(guard) = &self.guard else { return Ok(None) };
        let mut held = Vec::new();
        for (job, pipes, _) in ready {
            for (name, end) in pipes.ours.named(job.key) {
                held.push((name, end.as_fd().try_clone_to_owned()?));
            }
            held.extend(self.keeper.copies(&pipes.ours.opened)?);
        }
        if held.is_empty() { Ok(None) } else { guard.begin_hold(held).map(Some) }
    }

    /// One elsewhere is there for others to read.
    fn pid_mode(&self, path: &Path) -> u32 {
        if path.starts_with(self.home.pids()) { 0o600 } else { 0o644 }
    }

    fn replace_pid(&self, path: &Path, ended: u32, current: u32) {
        if names(path, ended) {
            // Nobody could do anything about it; the next start writes it again.
            let _ = write_pid(path, current, self.pid_mode(path));
        }
    }

    /// A process that waits to be told to run, with what belongs to it.
    fn made(&self, job: &Job, ours: Ours, prepared: Prepared, warnings: &mut Vec<String>) -> Made {
        let pid = prepared.process.identity().pid;
        let pid_file = Path::new(&job.view.files.pid);
        let mode = self.pid_mode(pid_file);
        if let Err(error) = write_pid(pid_file, pid, mode) {
            warnings.push(format!(
                "App [{}:{}]: could not write {}: {error}",
                job.view.name,
                job.key.0,
                pid_file.display()
            ));
        }
        let mut readers = ours.outputs.into_iter();
        let streams = CHANNELS.map(|channel| Stream {
            key: stream_key(job.key, channel),
            reader: readers.next().expect("two channels, two readers"),
            route: job.routes.route(channel),
        });
        Made { prepared, streams, line: ours.line, channel: ours.channel }
    }

    fn launch(
        &self,
        job: &Job,
        app_ends: AppEnds,
        credentials: Option<Credentials>,
        warnings: &mut Vec<String>,
    ) -> Result<Launch, SpawnError> {
        let spec = spec(job);
        let cwd = PathBuf::from(&spec.cwd);
        let mut env = variables(&job.view, &self.home, |warning| {
            warnings.push(format!("App [{}:{}]: {warning}", job.view.name, job.key.0));
        })?;
        env.insert(MARK_VARIABLE.into(), job.mark.clone());
        if spec.log_blocking {
            let enabled = match credentials {
                // Our folder is closed to other users.
                Some(_) => Err(io::Error::other("the app runs as another user, who may not read baton's files")),
                None => modules::enable(Module::LogBlocking, &self.home, &mut env),
            };
            if let Err(error) = enabled {
                warnings.push(format!("App [{}:{}]: log_blocking has no effect: {error}", job.view.name, job.key.0));
            }
        }
        // Who runs as another user can't read it.
        if ends::loads_module(spec, &env)
            && credentials.is_none()
            && let Err(error) = modules::enable(Module::Preload, &self.home, &mut env)
        {
            warnings.push(format!("App [{}:{}]: pmx has no effect: {error}", job.view.name, job.key.0));
        }
        let (name, argv) = command(spec);
        let path_var = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        let program = find_program(&name, path_var, &cwd).ok_or_else(|| not_found(&name, path_var, &cwd))?;
        if let Some(script) = missing_script(spec, &cwd) {
            return Err(SpawnError { stage: SpawnStage::Prepare, errno: NO_ENTRY, message: script });
        }
        let [stdout, stderr] = app_ends.outputs;
        let mut extra_fds = Vec::new();
        for socket in &app_ends.sockets {
            let copy = socket.as_fd().try_clone_to_owned();
            extra_fds.push(copy.map_err(|error| prepare_error(&error, "it can't be given its sockets"))?);
        }
        let passes = !extra_fds.is_empty();
        if passes {
            let names: Vec<&str> = spec.listen.iter().map(|socket| socket.name.as_str()).collect();
            env.insert("LISTEN_FDS".into(), extra_fds.len().to_string());
            env.insert("LISTEN_FDNAMES".into(), names.join(":"));
            env.remove("LISTEN_PID");
        }
        if let Some(channel) = app_ends.channel {
            env.extend(ends::variables(FIRST_EXTRA + extra_fds.len()).map(|(name, value)| (name.into(), value)));
            extra_fds.push(channel);
            if spec.exec_mode == ExecMode::Cluster {
                let (name, value) = ends::worker(job.key);
                env.insert(name.into(), value);
            }
        }
        match app_ends.line {
            Some(Theirs::Path(variable, path)) => drop(env.insert(variable.into(), path.display().to_string())),
            Some(Theirs::Descriptor(variable, descriptor)) => {
                env.insert(variable.into(), (FIRST_EXTRA + extra_fds.len()).to_string());
                extra_fds.push(descriptor);
            }
            None => {}
        }
        let mut pid_variables = Vec::new();
        if passes && spec.listen_pid {
            pid_variables.push(c"LISTEN_PID");
        }
        if let Some(limit) = spec.watchdog_limit() {
            env.insert("WATCHDOG_USEC".into(), limit.0.saturating_mul(1000).to_string());
            env.remove("WATCHDOG_PID");
            if spec.listen_pid {
                pid_variables.push(c"WATCHDOG_PID");
            }
        }
        let group = self.group(job, warnings)?;
        Ok(Launch {
            program,
            argv,
            env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            cwd,
            credentials,
            stdin: app_ends.input,
            stdout,
            stderr,
            extra_fds,
            group,
            pid_variables,
            oom_score_adj: spec.oom_score_adj.or(self.heritage.oom_score_adj),
            nice: spec.nice,
            limits: spec.rlimits.clone(),
            original_nofile: self.heritage.nofile,
        })
    }

    /// The release of the life takes away what was made for it.
    fn failed(&self, key: Key, error: SpawnError, warnings: Vec<String>) {
        self.inbox.send(Message::Made { key, outcome: Err(error), warnings });
    }
}

/// The variables of an app's processes, but for those that only one life has; the view must be whole.
///
/// # Errors
/// When a file of variables can't be read.
pub(super) fn variables(view: &InstanceView, home: &Home, warn: impl FnMut(String)) -> Result<Environment, SpawnError> {
    let spec = view.spec.as_deref().expect("the view is whole");
    let from_files = read_env_files(spec, Path::new(&spec.cwd), warn)?;
    let root = home.root().to_string_lossy();
    let mut env = environment::child(spec, &ChildFacts::of(view, &root), &from_files);
    if let Some(heartbeat) = &spec.heartbeat {
        env.entry("HEARTBEAT_PORT".into()).or_insert_with(|| heartbeat.port.to_string());
    }
    if let Some(home) = other_home(spec, &from_files) {
        env.insert("HOME".into(), home);
    }
    Ok(env)
}

/// The definition; a job is made from a whole view.
fn spec(job: &Job) -> &AppSpec {
    job.view.spec.as_deref().expect("the view of a job is whole")
}

fn write_pid(path: &Path, pid: u32, mode: u32) -> io::Result<()> {
    let text = pid.to_string();
    match (files::write_quick(path, text.as_bytes(), mode), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            files::write_quick(path, text.as_bytes(), mode)
        }
        (result, _) => result,
    }
}

/// The variables of each file of an app, in order.
fn read_env_files(
    spec: &AppSpec,
    cwd: &Path,
    mut warn: impl FnMut(String),
) -> Result<Vec<(String, Environment)>, SpawnError> {
    let mut all = Vec::new();
    for name in &spec.env_file {
        let path = cwd.join(name);
        match fs::read(&path) {
            Ok(bytes) => all.push((name.clone(), baton_config::dotenv::parse(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                warn(format!("env_file {} does not exist", path.display()));
            }
            Err(error) => return Err(prepare_error(&error, &path.display().to_string())),
        }
    }
    Ok(all)
}

/// What to look for, and the arguments with the program's name first.
fn command(spec: &AppSpec) -> (String, Vec<OsString>) {
    let mut words: Vec<OsString> = Vec::new();
    if spec.interpreter != "none" {
        words.push(spec.interpreter.clone().into());
        words.extend(spec.node_args.iter().map(OsString::from));
    }
    words.push(spec.script.clone().into());
    words.extend(spec.args.iter().map(OsString::from));
    let name = if spec.interpreter == "none" { &spec.script } else { &spec.interpreter };
    (name.clone(), words)
}

fn not_found(name: &str, path_var: &str, cwd: &Path) -> SpawnError {
    let path = cwd.join(name);
    let message = if !name.contains('/') {
        format!("{name}: not found in PATH ({path_var})")
    } else if path.is_dir() {
        format!("{}: is a directory", path.display())
    } else if path.exists() {
        format!("{}: is not executable (chmod +x it, or set an interpreter)", path.display())
    } else {
        format!("{}: no such file", path.display())
    };
    SpawnError { stage: SpawnStage::Prepare, errno: NO_ENTRY, message }
}

/// What is wrong when an interpreter's script is not there. The interpreter would only end again and again over it. A
/// folder that can't be looked into is left to the program, which may run as someone who can.
fn missing_script(spec: &AppSpec, cwd: &Path) -> Option<String> {
    let there = cwd.join(&spec.script).try_exists();
    (spec.interpreter != "none" && matches!(there, Ok(false))).then(|| format!("Script not found: {}", spec.script))
}

/// The home of the user that an app is to run as; its own definition may say otherwise.
fn other_home(spec: &AppSpec, from_files: &[(String, Environment)]) -> Option<String> {
    if spec.env.contains_key("HOME") || from_files.iter().any(|(_, env)| env.contains_key("HOME")) {
        return None;
    }
    // An unknown user was refused before.
    let user = user::lookup_user(spec.uid.as_deref()?).ok()??;
    user.home.into_os_string().into_string().ok()
}

fn prepare_error(error: &io::Error, what: &str) -> SpawnError {
    SpawnError {
        stage: SpawnStage::Prepare,
        errno: error.raw_os_error().unwrap_or(0),
        message: format!("{what}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[OsString]) -> Vec<&str> {
        words.iter().map(|word| word.to_str().unwrap()).collect()
    }

    #[test]
    fn an_interpreter_gets_its_own_arguments_then_the_script_then_the_apps() {
        let spec = AppSpec {
            script: "/w/a.py".into(),
            interpreter: "python3".into(),
            node_args: vec!["-u".into()],
            args: vec!["--x".into(), String::new()],
            ..AppSpec::default()
        };
        let (name, words) = command(&spec);
        assert_eq!(name, "python3");
        assert_eq!(texts(&words), ["python3", "-u", "/w/a.py", "--x", ""]);
        let plain = AppSpec { interpreter: "none".into(), ..spec };
        let (name, words) = command(&plain);
        assert_eq!(name, "/w/a.py");
        assert_eq!(texts(&words), ["/w/a.py", "--x", ""]);
    }

    #[test]
    fn later_files_of_variables_win_and_a_missing_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.env"), "X=1\nY=1\n").unwrap();
        fs::write(dir.path().join("b.env"), "Y=2\n").unwrap();
        let env_file = ["a.env", "missing", "b.env"].map(String::from).to_vec();
        let mut warnings = Vec::new();
        let read =
            read_env_files(&AppSpec { env_file, ..AppSpec::default() }, dir.path(), |w| warnings.push(w)).unwrap();
        let read: Environment = read.into_iter().flat_map(|(_, env)| env).collect();
        assert_eq!((read["X"].as_str(), read["Y"].as_str()), ("1", "2"));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("missing does not exist"), "{warnings:?}");
    }

    #[test]
    fn the_pid_file_of_a_successor_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/app-0.pid");
        write_pid(&path, 7, 0o600).unwrap();
        remove_pid(&path, 6);
        assert_eq!(fs::read_to_string(&path).unwrap(), "7");
        remove_pid(&path, 7);
        assert!(!path.exists());
    }
}
