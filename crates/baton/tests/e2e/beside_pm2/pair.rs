//! Real PM2 and baton called as PM2, each with a home and a working directory of its own but with the same input, and
//! what both say made comparable.

use crate::harness::{Baton, ended};
use crate::programs::node;
use regex_lite::Regex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// PM2 is slow and two of its daemons at once make waiting for it slower still: one pair at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Seconds that a command of PM2's has.
const PATIENCE: &str = "60";

/// The exit code of a command that had not ended by then.
const OUT_OF_TIME: Option<i32> = Some(124);

/// PM2's program, if it is here. Where it must be, its absence is a failure.
pub(crate) fn program() -> Option<PathBuf> {
    if !node() {
        return None;
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = std::env::var_os("BATON_TEST_PM2")
        .map_or_else(|| workspace.join("target/pm2/node_modules/.bin/pm2"), PathBuf::from);
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "this test needs PM2 at {}, and CI must have it", path.display());
    eprintln!("NOT TESTED: this test needs PM2, which `.ci/packages` installs and is not at {}", path.display());
    None
}

/// A home that real PM2 runs on.
pub(crate) struct Pm2 {
    program: PathBuf,
    home: TempDir,
    work: TempDir,
    environment: BTreeMap<String, String>,
    _turn: MutexGuard<'static, ()>,
}

impl Pm2 {
    /// A fresh home; `None` where PM2 is missing.
    pub(crate) fn new() -> Option<Pm2> {
        let program = program()?;
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        // Names of the same length as those of the other side, because tables are as wide as the paths in them.
        let home = tempfile::Builder::new().prefix("bh").tempdir().expect("home");
        let work = tempfile::Builder::new().prefix("bw").tempdir().expect("work");
        // No first use, hence no banner.
        std::fs::write(home.path().join("touch"), "1").expect("touch");
        Some(Pm2 { program, home, work, environment: BTreeMap::new(), _turn: turn })
    }

    /// The home.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The directory that the program is called in.
    pub(crate) fn work(&self) -> &Path {
        self.work.path()
    }

    /// Writes a file below the working directory.
    pub(crate) fn file(&self, name: &str, content: &str) {
        write(&self.work.path().join(name), content);
    }

    /// Runs a command to its end; once more where it does not come to one.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.run_with_input(args, b"")
    }

    fn run_with_input(&self, args: &[&str], input: &[u8]) -> Said {
        let once = || run(self.command(args), input, self.home(), self.work.path());
        let said = once();
        if said.code != OUT_OF_TIME {
            return said;
        }
        eprintln!("PM2 did not end: {args:?}, {said:?}");
        once()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the program beside which baton is tested is started as a user would"
    )]
    fn command(&self, args: &[&str]) -> Command {
        // Now and then a command of PM2's waits for ever for an answer that it has missed.
        let mut command = Command::new("timeout");
        command.args(["--foreground", "--kill-after=5", PATIENCE]).arg(&self.program);
        command.args(args).current_dir(self.work.path());
        world(&mut command, self.home(), &self.environment);
        command
    }

    /// The daemon's pid, if one was started.
    pub(crate) fn daemon(&self) -> Option<u32> {
        std::fs::read_to_string(self.home().join("pm2.pid")).ok()?.trim().parse().ok()
    }
}

impl Drop for Pm2 {
    fn drop(&mut self) {
        let daemon = self.daemon();
        // Where another daemon has taken the home over, PM2's command would start one anew.
        let ours = self.home().join("baton.sock").exists();
        if daemon.is_none() || ours || !self.home().join("rpc.sock").exists() {
            return;
        }
        let _ = self.command(&["kill"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if let Some(daemon) = daemon {
            ended(daemon);
        }
    }
}

/// PM2 and baton.
pub(crate) struct Pair {
    /// Ours, called as PM2.
    pub(crate) baton: Baton,
    /// The real one.
    pub(crate) pm2: Pm2,
}

impl Pair {
    /// Fresh homes; `None` where PM2 is missing.
    pub(crate) fn new() -> Option<Pair> {
        Some(Pair { pm2: Pm2::new()?, baton: Baton::called("pm2") })
    }

    /// A variable for every run of both.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.pm2.environment.insert(name.into(), value.into());
        self
    }

    /// Writes the same file for both.
    pub(crate) fn file(&self, name: &str, content: &str) {
        self.pm2.file(name, content);
        write(&self.baton.dir().join(name), content);
    }

    /// Runs the same command under both.
    pub(crate) fn each(&self, args: &[&str]) -> (Said, Said) {
        self.each_with_input(args, b"")
    }

    /// Runs the same command under both with the same standard input.
    pub(crate) fn each_with_input(&self, args: &[&str], input: &[u8]) -> (Said, Said) {
        let theirs = self.pm2.run_with_input(args, input);
        let mut command = self.baton.command(args);
        world(&mut command, self.baton.home(), &self.pm2.environment);
        (theirs, run(command, input, self.baton.home(), self.baton.dir()))
    }

    /// What both write to a terminal of this width.
    pub(crate) fn on_terminal(&self, columns: u16, args: &[&str]) -> (String, String) {
        let show = |mut command: Command, home: &Path| {
            world(&mut command, home, &self.pm2.environment);
            terminal(command, columns).replace('\r', "")
        };
        let theirs = show(self.pm2.command(args), self.pm2.home());
        let ours = show(self.baton.command(args), self.baton.home());
        (
            comparable(&theirs, self.pm2.home(), self.pm2.work.path()),
            comparable(&ours, self.baton.home(), self.baton.dir()),
        )
    }

    /// Both say the same and exit with the same code.
    #[track_caller]
    pub(crate) fn same(&self, args: &[&str]) -> Said {
        let (theirs, ours) = self.each(args);
        equal(args, &theirs, &ours);
        ours
    }

    /// As [`Pair::same`], but what each says on standard error is its own.
    #[track_caller]
    pub(crate) fn same_but_errors(&self, args: &[&str]) -> (Said, Said) {
        let (mut theirs, mut ours) = self.each(args);
        let errors = (std::mem::take(&mut theirs.stderr), std::mem::take(&mut ours.stderr));
        equal(args, &theirs, &ours);
        (theirs.stderr, ours.stderr) = errors;
        (theirs, ours)
    }

    /// `jlist` of both, by number; `pm2_env.env` aside, all is as printed.
    pub(crate) fn lists(&self) -> (Vec<Value>, Vec<Value>) {
        let (theirs, ours) = self.each(&["jlist"]);
        let read = |said: &Said| serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        (read(&theirs), read(&ours))
    }

    /// Waits until a file below both homes holds a text; gives both contents, made comparable.
    pub(crate) fn logs(&self, file: &str, text: &str) -> (String, String) {
        let read = |home: &Path| self.baton.wait_file(&home.join(file), text);
        let theirs = comparable(&read(self.pm2.home()), self.pm2.home(), self.pm2.work.path());
        (theirs, comparable(&read(self.baton.home()), self.baton.home(), self.baton.dir()))
    }

    /// As [`Pair::logs`], for a file below both working directories.
    pub(crate) fn beside_script(&self, file: &str, text: &str) -> (String, String) {
        let theirs = self.baton.wait_file(&self.pm2.work().join(file), text);
        let ours = self.baton.wait_file(&self.baton.dir().join(file), text);
        (
            comparable(&theirs, self.pm2.home(), self.pm2.work.path()),
            comparable(&ours, self.baton.home(), self.baton.dir()),
        )
    }

    /// The same file below both homes, parsed and made comparable.
    pub(crate) fn json(&self, file: &str) -> (Value, Value) {
        let read = |home: &Path, work: &Path| {
            let text = std::fs::read_to_string(home.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            serde_json::from_str(&places(&text, home, work)).expect("JSON")
        };
        (read(self.pm2.home(), self.pm2.work.path()), read(self.baton.home(), self.baton.dir()))
    }

    /// Names of the files in a folder of both homes.
    pub(crate) fn names(&self, folder: &str) -> (Vec<String>, Vec<String>) {
        let read = |home: &Path| {
            let mut names: Vec<String> = std::fs::read_dir(home.join(folder))
                .expect("folder")
                .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        (read(self.pm2.home()), read(self.baton.home()))
    }

    /// A text of theirs and one of ours with the places of each named alike.
    pub(crate) fn places(&self, theirs: &str, ours: &str) -> (String, String) {
        (places(theirs, self.pm2.home(), self.pm2.work.path()), places(ours, self.baton.home(), self.baton.dir()))
    }
}

/// What a command said, made comparable, and its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Asserts that both said the same.
#[track_caller]
pub(crate) fn equal(args: &[&str], theirs: &Said, ours: &Said) {
    assert!(
        theirs == ours,
        "`pm2 {}`\n==== PM2 (exit {:?})\n{}\n---- stderr\n{}\n==== baton (exit {:?})\n{}\n---- stderr\n{}",
        args.join(" "),
        theirs.code,
        theirs.stdout,
        theirs.stderr,
        ours.code,
        ours.stdout,
        ours.stderr,
    );
}

/// Asserts that a difference is written down: the first cell of a row of docs/pm2-differences.md.
#[track_caller]
pub(crate) fn documented(what: &str) {
    let page = include_str!("../../../../../docs/pm2-differences.md");
    let row = format!("| {what} |");
    assert!(page.lines().any(|line| line.starts_with(&row)), "docs/pm2-differences.md has no row {row}");
}

/// The same small environment for both, whatever the tests were called in.
fn world(command: &mut Command, home: &Path, more: &BTreeMap<String, String>) {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("PM2_HOME", home).env("HOME", home).env("LANG", "C.UTF-8").env("NO_COLOR", "1");
    // PM2 would ask a host of its makers.
    command.env("PM2_DISABLE_VERSION_CHECK", "true").envs(more);
}

fn run(mut command: Command, input: &[u8], home: &Path, work: &Path) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A command that does not read its input may have ended already.
    let _ = child.stdin.take().expect("stdin").write_all(input);
    let output = child.wait_with_output().expect("output");
    let text = |bytes: &[u8]| comparable(&String::from_utf8_lossy(bytes), home, work);
    Said { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Runs a command with a terminal of this width as its standard output, and gives what it wrote there.
fn terminal(mut command: Command, columns: u16) -> String {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&master).expect("grantpt");
    unlockpt(&master).expect("unlockpt");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let size = rustix::termios::Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size).expect("its size");
    let end = std::fs::File::options().read(true).write(true).open(name.to_str().expect("UTF-8")).expect("its end");
    command.stdin(Stdio::null()).stdout(end).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    // The last of our descriptors of its end: a read fails once the program has ended.
    drop(command);
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = rustix::io::read(&master, &mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
    }
    child.wait().expect("the program ends");
    String::from_utf8_lossy(&shown).into_owned()
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
    std::fs::write(path, content).expect("file");
}

fn places(text: &str, home: &Path, work: &Path) -> String {
    // As long as the paths were, so that tables stay as wide.
    let name = |what: &str, path: &Path| format!("{what:_<width$}", width = path.as_os_str().len());
    text.replace(home.to_str().expect("UTF-8"), &name("/HOME", home))
        .replace(work.to_str().expect("UTF-8"), &name("/WORK", work))
}

/// A text without what differs from run to run: places, times, pids, and what a process uses.
fn comparable(text: &str, home: &Path, work: &Path) -> String {
    let mut text = places(text, home, work);
    for (pattern, name) in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?", "<time>"),
        (r"(?m)^pid : [1-9]\d*$", "pid : <n>"),
        // The first second too, which one of both may have left behind; what doesn't run has no unit.
        (r"(?m)^uptime : \d+[smhD]$", "uptime : <n>"),
        (r"(?m)^memory usage : .*$", "memory usage : <n>"),
        (r"(?m)^(│ uptime +│) \d+[smhD]", "$1 Ns"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
    ] {
        text = Regex::new(pattern).expect("pattern").replace_all(&text, name).into_owned();
    }
    let lines = text.lines().filter(|line| !line.starts_with("host metrics")).map(row);
    let mut lines: Vec<String> = lines.map(|line| format!("{}\n", line.trim_end())).collect();
    // PM2 does two things at a time: what it tells of single apps comes in any order.
    let single = |line: &String| {
        line.starts_with("[PM2]") && [" ✓\n", " restored\n", " instances)\n"].iter().any(|end| line.ends_with(end))
    };
    for run in lines.chunk_by_mut(|a, b| single(a) && single(b)) {
        run.sort();
    }
    lines.concat()
}

/// A row of the process table without pid, uptime and use of an app that is up: the cells keep their widths.
fn row(line: &str) -> String {
    let cells: Vec<&str> = line.split('│').collect();
    if cells.len() != 15 || cells[9].trim() != "online" {
        return line.to_owned();
    }
    let masked = cells.iter().enumerate().map(|(index, cell)| match index {
        6 | 7 | 10 | 11 => "#".repeat(cell.chars().count()),
        _ => (*cell).to_owned(),
    });
    masked.collect::<Vec<_>>().join("│")
}
