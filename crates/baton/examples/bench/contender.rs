//! The programs that are compared, and where PM2 comes from.

use crate::failure::Failure;
use crate::manager::{output, tool};
use crate::options::Options;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Which manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours.
    Baton,
    /// The one from npm.
    Pm2,
}

impl Kind {
    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Baton => "baton",
            Kind::Pm2 => "PM2",
        }
    }
}

/// A program that is compared.
#[derive(Debug)]
pub(crate) struct Contender {
    /// Which.
    pub(crate) kind: Kind,
    /// Its executable.
    pub(crate) program: PathBuf,
    /// What it says its version is.
    pub(crate) version: String,
    /// Holds a PM2 that was installed for this run.
    _installation: Option<TempDir>,
}

impl Contender {
    /// Baton: the one that was named, or the one beside this program.
    pub(crate) fn baton(options: &Options) -> Result<Contender, Failure> {
        let program = match &options.baton {
            Some(named) => named.clone(),
            None => {
                let own = std::env::current_exe().map_err(Failure::system("finding this program"))?;
                // target/release/examples/bench → target/release/baton
                own.ancestors().nth(2).unwrap_or(Path::new("")).join("baton")
            }
        };
        let program = executable(&program).ok_or(Failure::NoBaton(program))?;
        Contender::of(Kind::Baton, program, None)
    }

    /// PM2, wherever it is to be had; `None` when it is nowhere, which is said.
    pub(crate) fn pm2(options: &Options) -> Result<Option<Contender>, Failure> {
        if let Some(named) = options.pm2.clone().or_else(|| std::env::var_os("PM2").map(PathBuf::from)) {
            let program = executable(&named).ok_or(Failure::NoPm2(named))?;
            return Contender::of(Kind::Pm2, program, None).map(Some);
        }
        if let Some(program) = beside_us() {
            return Contender::of(Kind::Pm2, program, None).map(Some);
        }
        eprintln!("no pm2 in --pm2, $PM2 or a node_modules above: installing one from npm into a temporary directory");
        match install() {
            Ok((program, installation)) => Contender::of(Kind::Pm2, program, Some(installation)).map(Some),
            Err(failure) => {
                eprintln!("no comparison: pm2 can't be installed: {failure}");
                Ok(None)
            }
        }
    }

    fn of(kind: Kind, program: PathBuf, installation: Option<TempDir>) -> Result<Contender, Failure> {
        // PM2 makes its home even for this.
        let home = tempfile::tempdir().map_err(Failure::system("making a directory"))?;
        let mut command = tool(&program);
        command.arg("--version").env("PM2_HOME", home.path()).env("BATON_HOME", home.path()).env("HOME", home.path());
        let said = output(&mut command)?.stdout;
        let version = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("?");
        let version = version.split_ascii_whitespace().last().unwrap_or("?").to_owned();
        Ok(Contender { kind, program, version, _installation: installation })
    }
}

fn beside_us() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().find_map(|folder| executable(&folder.join("node_modules/.bin/pm2")))
}

fn install() -> Result<(PathBuf, TempDir), Failure> {
    let folder = tempfile::Builder::new().prefix("bench-pm2-").tempdir();
    let folder = folder.map_err(Failure::system("making a directory"))?;
    let mut npm = tool(Path::new("npm"));
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"]).arg(folder.path()).arg("pm2");
    output(&mut npm)?;
    let program = folder.path().join("node_modules/.bin/pm2");
    let program = executable(&program).ok_or(Failure::NoPm2(program))?;
    Ok((program, folder))
}

/// The absolute path of a program, if it can be run.
fn executable(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    (path.is_file() && rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_ok()).then_some(path)
}
