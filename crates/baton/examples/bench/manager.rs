//! A running manager with a home of its own: one interface for both.

use crate::contender::{Contender, Kind};
use crate::failure::Failure;
use crate::proc::{Held, fork_server};
use baton_core::proto::{ClientMessage, PROTOCOL, Reply, Request, ServerMessage};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a manager may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home, a working directory, and once it runs the processes of the manager.
#[derive(Debug)]
pub(crate) struct Manager<'a> {
    contender: &'a Contender,
    home: TempDir,
    processes: Vec<Held>,
}

/// A command that has exited with 0.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its standard output.
    pub(crate) stdout: String,
    /// From before its start until it had ended and its output was read.
    pub(crate) took: Duration,
}

impl<'a> Manager<'a> {
    /// A home in this directory; nothing runs yet.
    pub(crate) fn fresh(contender: &'a Contender, directory: &Path) -> Result<Manager<'a>, Failure> {
        // Short: the path of a socket has little room.
        let home = tempfile::Builder::new().prefix("b-").tempdir_in(directory);
        let home = home.map_err(Failure::system(format!("making a directory in {}", directory.display())))?;
        Ok(Manager { contender, home, processes: Vec::new() })
    }

    /// The same with its daemon running.
    pub(crate) fn running(contender: &'a Contender, directory: &Path) -> Result<Manager<'a>, Failure> {
        let mut manager = Manager::fresh(contender, directory)?;
        manager.run(["ping"])?;
        manager.meet()?;
        Ok(manager)
    }

    /// Runs a command of the manager to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Finished, Failure> {
        output(self.command().args(arguments))
    }

    /// Which manager it is.
    pub(crate) fn kind(&self) -> Kind {
        self.contender.kind
    }

    /// Begins a command of the manager; what it says comes from the child's standard output.
    pub(crate) fn begin<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Child, Failure> {
        let mut command = self.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map_err(Failure::system("starting a command"))
    }

    /// Begins a command of the manager on a terminal.
    pub(crate) fn begin_on(&self, verb: &str, terminal: &OwnedFd) -> Result<Child, Failure> {
        let end = || terminal.try_clone().map(Stdio::from).map_err(Failure::system("handing over a terminal"));
        let mut command = self.command();
        command.arg(verb).env("TERM", "xterm-256color").stdin(end()?).stdout(end()?).stderr(end()?);
        command.spawn().map_err(Failure::system("starting a command"))
    }

    /// Takes hold of the processes of the manager, which must run by now. Once more after it has started apps: some
    /// of its processes come with them.
    pub(crate) fn meet(&mut self) -> Result<(), Failure> {
        let pids = match self.contender.kind {
            Kind::Baton => self.baton_pids()?,
            Kind::Pm2 => vec![self.pm2_pid()?],
        };
        self.processes = pids.into_iter().map(Held::of).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The processes of the manager, the one that handles apps and logs first.
    pub(crate) fn processes(&self) -> &[Held] {
        &self.processes
    }

    /// The process that handles apps and logs.
    pub(crate) fn daemon(&self) -> Result<&Held, Failure> {
        self.processes.first().ok_or_else(|| self.unexpected("its daemon was not looked for"))
    }

    /// The entries of `jlist`.
    pub(crate) fn list(&self) -> Result<Vec<Value>, Failure> {
        let text = self.run(["jlist"])?.stdout;
        // PM2 may say other things first.
        let found = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        found.ok_or_else(|| self.unexpected(format!("jlist printed no list: {text}")))
    }

    /// The pids of the apps, of which there must be so many, all online.
    pub(crate) fn online(&self, expected: usize) -> Result<Vec<u64>, Failure> {
        let list = self.list()?;
        let online = list.iter().filter(|entry| entry["pm2_env"]["status"] == "online");
        let pids: Vec<u64> = online.filter_map(|entry| entry["pid"].as_u64()).filter(|&pid| pid > 0).collect();
        if pids.len() == expected && list.len() == expected {
            return Ok(pids);
        }
        Err(self.unexpected(format!("{} of {} apps are online instead of {expected}", pids.len(), list.len())))
    }

    /// Writes a file beside the home's own and gives its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf, Failure> {
        let path = self.path(name);
        std::fs::write(&path, content).map_err(Failure::system(format!("writing {}", path.display())))?;
        Ok(path)
    }

    /// Where a file of this name would be.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Whether it is baton.
    pub(crate) fn is_baton(&self) -> bool {
        self.contender.kind == Kind::Baton
    }

    /// The directory of the home.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Follows the log of an app: its lines as they are come from the child's standard output.
    pub(crate) fn follower(&self, app: &str) -> Result<Child, Failure> {
        let mut command = self.command();
        command.args(["logs", app, "--raw", "--lines", "0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        if self.contender.kind == Kind::Baton {
            // PM2 always does.
            command.arg("--follow");
        }
        command.spawn().map_err(Failure::system("starting a follower"))
    }

    /// Ends the apps and the manager; what does not end is killed, and said.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        self.finish()
    }

    /// Something that the scenario can't use.
    pub(crate) fn unexpected(&self, what: impl Into<String>) -> Failure {
        Failure::Unexpected { manager: self.contender.kind.name(), what: what.into() }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if self.processes.is_empty() {
            return Ok(());
        }
        let said = self.run(["kill"]);
        for process in std::mem::take(&mut self.processes) {
            if !process.ended_within(PATIENCE) {
                process.kill()?;
                return Err(self.unexpected(format!("process {} outlived `kill`", process.pid)));
            }
        }
        said.map(drop)
    }

    fn command(&self) -> Command {
        let mut command = tool(&self.contender.program);
        let home = match self.contender.kind {
            Kind::Baton => "BATON_HOME",
            Kind::Pm2 => "PM2_HOME",
        };
        command.env(home, self.home.path()).env("HOME", self.home.path()).current_dir(self.home.path());
        command
    }

    fn baton_pids(&self) -> Result<Vec<u32>, Failure> {
        match self.greet().map_err(Failure::system("asking baton's daemon who it is"))? {
            ServerMessage::Reply { reply: Reply::Hello(greeting), .. } => {
                let server = fork_server(greeting.pid);
                Ok([Some(greeting.pid), greeting.guard, server].into_iter().flatten().collect())
            }
            other => Err(self.unexpected(format!("the daemon answered {other:?}"))),
        }
    }

    fn greet(&self) -> io::Result<ServerMessage> {
        let body = serde_json::to_vec(&ClientMessage { id: 0, request: Request::Hello { protocol: PROTOCOL } })?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        let mut stream = UnixStream::connect(self.path("baton.sock"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&body)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }

    fn pm2_pid(&self) -> Result<u32, Failure> {
        let path = self.path("pm2.pid");
        let text = std::fs::read_to_string(&path).map_err(Failure::system(format!("reading {}", path.display())))?;
        text.trim().parse().map_err(|_| self.unexpected(format!("pm2.pid holds {text:?}")))
    }
}

impl Drop for Manager<'_> {
    /// After a failure; what remains even so is ended by the household.
    fn drop(&mut self) {
        if let Err(failure) = self.finish() {
            eprintln!("warning: failed to end a manager: {failure}");
        }
    }
}

/// A program, with nothing in its environment that would make it another manager's app or client.
#[expect(clippy::disallowed_methods, reason = "what is measured is started as a user would start it")]
pub(crate) fn tool(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let inherited = ["PM2", "BATON", "pm_"].iter().any(|prefix| text.starts_with(prefix));
        if inherited || name == "NODE_OPTIONS" || name == "NODE_APP_INSTANCE" {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a program to its end, with its output read.
pub(crate) fn output(command: &mut Command) -> Result<Finished, Failure> {
    let shown = format!("{command:?}");
    let begin = Instant::now();
    let output = command.output().map_err(Failure::system(format!("running {shown}")))?;
    let took = begin.elapsed();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(Finished { stdout, took });
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = format!("{}\n{}", stdout.trim_end(), stderr.trim_end());
    Err(Failure::Command { command: shown, status: output.status, output: said })
}
