//! Starting programs, in two phases.
//!
//! The [`ForkServer`] makes the process: the exec stub, which becomes what the program expects and then waits. Its
//! identity can be put on record before [`Prepared::go`] lets it run; if we die in between, it ends by itself. So no
//! crash of ours can leave an app that nobody knows.

pub(crate) mod plan;
pub(crate) mod server;

pub use crate::user::Credentials;
pub use server::{Begun, ForkServer};

use crate::process::Process;
use crate::stub::{self, Step};
use baton_core::spec::{Resource, Rlimit, Rlimits};
use baton_core::world::{SpawnError, SpawnStage};
use rustix::io::{Errno, read, write};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A program and everything it starts with.
#[derive(Debug)]
pub struct Launch {
    /// The file to execute.
    pub program: PathBuf,
    /// The arguments, the program's name first.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// As whom; `None`: as ourselves.
    pub credentials: Option<Credentials>,
    /// Standard input; `None` is `/dev/null`.
    pub stdin: Option<OwnedFd>,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
    /// Become 3, 4, ….
    pub extra_fds: Vec<OwnedFd>,
    /// The control group that it is to be in.
    pub group: Option<GroupFolder>,
    /// Get the process's own number as their value, which nobody knows before there is one.
    pub pid_variables: Vec<&'static CStr>,
    /// From -1000 (never ended when memory is short) to 1000; `None` leaves ours.
    pub oom_score_adj: Option<i32>,
    /// Its niceness, from -20 to 19; `None` leaves ours.
    pub nice: Option<i32>,
    /// Its limits; the others are ours.
    pub limits: Rlimits,
    /// The limit on open files (soft, hard) of [`crate::limits::raise_nofile`]; `None` leaves ours.
    pub original_nofile: Option<(u64, u64)>,
}

/// The folder of a control group.
#[derive(Debug)]
pub struct GroupFolder {
    /// From [`crate::cgroup::Groups::make`].
    pub folder: OwnedFd,
    /// Whether the program must not run outside of it.
    pub needed: bool,
}

/// A process that waits to be told to run its program. Dropping it calls the start off, as [`Prepared::abort`] does;
/// the zombie is the caller's to reap.
#[derive(Debug)]
pub struct Prepared {
    /// The process.
    pub process: Process,
    go: OwnedFd,
    report: OwnedFd,
    names: Names,
}

/// Tells whether the program runs. Polls readable once that is known.
#[derive(Debug)]
pub struct Report {
    pipe: OwnedFd,
    /// Whether the byte was taken: a stub that died before can't have executed anything.
    told: bool,
    names: Names,
}

/// What messages speak of.
#[derive(Debug)]
struct Names {
    program: PathBuf,
    cwd: PathBuf,
    user: Option<String>,
    oom_score_adj: Option<i32>,
    nice: Option<i32>,
    limits: Rlimits,
}

impl Prepared {
    /// Lets it run. The report tells whether it does.
    pub fn go(self) -> io::Result<(Process, Report)> {
        // First what can fail: after the byte there is no way back.
        rustix::io::ioctl_fionbio(&self.report, true)?;
        let told = loop {
            match write(&self.go, &[1]) {
                Ok(_) => break true,
                Err(Errno::INTR) => {}
                // It is dead already: the report has the reason, or its silence is one.
                Err(Errno::PIPE) => break false,
                Err(error) => return Err(error.into()),
            }
        };
        Ok((self.process, Report { pipe: self.report, told, names: self.names }))
    }

    /// Calls it off: the process ends without having run anything. It is ours to reap.
    pub fn abort(self) -> Process {
        self.process
    }
}

impl Report {
    /// What is known, without waiting: `None` is nothing yet, `Ok` that the program was executed.
    pub fn read(&mut self) -> Option<Result<(), SpawnError>> {
        let mut buffer = [0; 16];
        loop {
            return match read(&self.pipe, &mut buffer) {
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => None,
                Ok(0) if self.told => Some(Ok(())),
                Ok(0) => Some(Err(SpawnError {
                    stage: SpawnStage::Fork,
                    errno: 0,
                    message: format!("{}: its process was ended before it could run", self.names.program.display()),
                })),
                Ok(count) => {
                    // A pipe keeps so short a message whole.
                    let (step, errno) = stub::decode_failure(&buffer[..count]).unwrap_or((Step::Setup, libc::EIO));
                    Some(Err(self.names.error(step, errno)))
                }
                Err(error) => Some(Err(self.names.error(Step::Setup, error.raw_os_error()))),
            };
        }
    }
}

impl AsFd for Report {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Names {
    fn of(launch: &Launch) -> Names {
        Names {
            program: launch.program.clone(),
            cwd: launch.cwd.clone(),
            user: launch.credentials.as_ref().map(|who| who.name.clone()),
            oom_score_adj: launch.oom_score_adj,
            nice: launch.nice,
            limits: launch.limits.clone(),
        }
    }

    fn error(&self, step: Step, errno: i32) -> SpawnError {
        let reason = reason_of(&io::Error::from_raw_os_error(errno));
        let program = self.program.display();
        let message = match step {
            Step::Directory => format!("cannot enter directory {}: {reason}", self.cwd.display()),
            Step::User => format!("cannot become user {}: {reason}", self.user.as_deref().unwrap_or("?")),
            // The kernel says the same of a missing program and of a missing interpreter.
            Step::Exec if errno == libc::ENOENT && self.program.exists() => {
                format!("{program}: the interpreter that it names does not exist")
            }
            Step::Exec => format!("{program}: {reason}"),
            Step::OomScore => {
                format!("cannot set oom_score_adj to {}: {reason}", self.oom_score_adj.unwrap_or_default())
            }
            Step::Nice => {
                let refused = matches!(errno, libc::EACCES | libc::EPERM);
                let help = if refused { "; a lower one than baton has needs root" } else { "" };
                format!("cannot set nice to {}: {reason}{help}", self.nice.unwrap_or_default())
            }
            Step::Limit(resource) => {
                let limit = self.limits.get(&resource).copied().unwrap_or_default();
                let name = resource.name();
                format!("cannot set the limit {name} to {limit}: {reason}{}", help_for(resource, limit, errno))
            }
            Step::Group => format!("cannot enter the control group of {program}: {reason}"),
            Step::Setup => format!("cannot set up the process of {program}: {reason}"),
        };
        let stage = step.stage();
        SpawnError { stage, errno, message }
    }
}

/// What to do about a limit that the kernel refuses.
fn help_for(resource: Resource, limit: Rlimit, errno: i32) -> String {
    match errno {
        libc::EPERM if resource == Resource::Nofile => {
            "; only root may raise a hard limit, and nobody above the machine's fs.nr_open".into()
        }
        libc::EPERM => "; only root may raise a hard limit".into(),
        libc::EINVAL if limit.hard.is_none() => "; it is more than the hard limit: write `hard` as well".into(),
        _ => String::new(),
    }
}

/// The system's words without its number, in lower case: `no such file or directory`.
fn reason_of(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

struct Texts {
    program: CString,
    cwd: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Texts {
    fn of(launch: &Launch) -> Result<Texts, SpawnError> {
        let text = |what: &str, bytes: Vec<u8>| {
            CString::new(bytes).map_err(|_| SpawnError {
                stage: SpawnStage::Prepare,
                errno: libc::EINVAL,
                message: format!("{what} holds a NUL byte"),
            })
        };
        let plain = |what: &str, value: &OsStr| text(what, value.as_bytes().to_vec());
        Ok(Texts {
            program: plain("the path of the program", launch.program.as_os_str())?,
            cwd: plain("the path of the working directory", launch.cwd.as_os_str())?,
            argv: launch.argv.iter().map(|argument| plain("an argument", argument)).collect::<Result<_, _>>()?,
            env: (launch.env.iter())
                .map(|(name, value)| {
                    let what = format!("environment variable {}", name.display());
                    text(&what, [name.as_bytes(), b"=", value.as_bytes()].concat())
                })
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The file that a shell would execute for `name`: a name with a slash is a path from `cwd`, any other is looked for
/// in the directories of `path_var` (an empty one is `cwd`). Only executable regular files count.
pub fn find_program(name: &str, path_var: &str, cwd: &Path) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    if name.contains('/') {
        return Some(cwd.join(name)).filter(|path| is_executable(path));
    }
    path_var.split(':').map(|directory| cwd.join(directory).join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_is_found_as_a_shell_would() {
        let directory = tempfile::tempdir().unwrap();
        let cwd = directory.path();
        for (name, mode) in [("a/tool", 0o644), ("b/tool", 0o755), ("here", 0o755)] {
            let path = cwd.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::create_dir(cwd.join("a/folder")).unwrap();
        let path = format!("{0}/a:{0}/b", cwd.display());
        assert_eq!(find_program("tool", &path, cwd), Some(cwd.join("b/tool")), "the first one can't be executed");
        assert_eq!(find_program("b/tool", "", cwd), Some(cwd.join("b/tool")));
        assert_eq!(find_program("a/tool", &path, cwd), None);
        assert_eq!(find_program("folder", &path, cwd), None);
        assert_eq!(find_program("here", ":/nowhere", cwd), Some(cwd.join("here")), "an empty entry is the directory");
        assert_eq!(find_program("", &path, cwd), None);
    }

    #[test]
    fn reasons_read_after_a_colon() {
        assert_eq!(reason_of(&io::Error::from_raw_os_error(libc::ENOENT)), "no such file or directory");
        assert_eq!(reason_of(&io::Error::from_raw_os_error(libc::EPERM)), "operation not permitted");
    }
}
