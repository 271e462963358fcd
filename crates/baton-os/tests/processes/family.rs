//! Trees of a process whose parent is a guard: their end is known from the kernel's lists of children.
//!
//! The guard must be a subreaper, which no other test expects, so each test is another run of this binary below one.

use crate::spawn::{outcome, prepare, shell, wait_readable};
use crate::tree::{KEY, escape, python, told};
use baton_core::units::InstanceId;
use baton_core::world::{Identity, Signal};
use baton_os::fifo;
use baton_os::process::Process;
use baton_os::spawn::Launch;
use baton_os::tree::{Belongings, Sweeper, TreeKey, TreeReport};
use std::io::{BufReader, Write};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// What runs below a guard.
const SCENARIOS: [(&str, fn()); 3] = [("orphan", orphan), ("sibling", sibling), ("copied-mark", copied_mark)];

pub(crate) fn an_orphan_that_went_to_the_guard_holds_up_the_end_of_its_tree() {
    below_a_guard("orphan");
}

pub(crate) fn a_process_that_the_leader_made_our_child_holds_up_the_end_of_its_tree() {
    below_a_guard("sibling");
}

pub(crate) fn the_end_of_a_tree_is_known_without_a_look_at_all_processes() {
    below_a_guard("copied-mark");
}

#[expect(clippy::disallowed_methods, reason = "the guard of a test is no app")]
fn run_ourselves(words: [&str; 2]) -> bool {
    let status = Command::new("/proc/self/exe").args(words).status();
    status.unwrap().success()
}

fn below_a_guard(scenario: &str) {
    assert!(run_ourselves(["guard-of", scenario]), "{scenario}");
}

/// Acts as the guard or as what is below it; `None` for the tests themselves.
pub(crate) fn main(arguments: &[String]) -> Option<ExitCode> {
    let [role, scenario] = arguments else { return None };
    match role.as_str() {
        "guard-of" => {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
            Some(if run_ourselves(["scenario", scenario]) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        "scenario" => {
            let (_, run) = SCENARIOS.iter().find(|(name, _)| name == scenario).unwrap();
            run();
            Some(ExitCode::SUCCESS)
        }
        _ => None,
    }
}

struct Household {
    sweeper: Sweeper,
    reports: Receiver<TreeReport>,
    folder: tempfile::TempDir,
}

impl Household {
    fn new() -> Household {
        let (sender, reports) = channel();
        let report = move |report| sender.send(report).expect("the test waits for its reports");
        let guard = std::os::unix::process::parent_id();
        Household {
            sweeper: Sweeper::start(Some(guard), report).unwrap(),
            reports,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Starts a leader whose standard output is a FIFO.
    fn start(&self, mut launch: Launch) -> (Process, Belongings) {
        let path = self.folder.path().join("1.out");
        fifo::make(&path, None).unwrap();
        let reader = fifo::open_reader(&path).unwrap();
        launch.stdout = fifo::open_app_end(&path).unwrap();
        launch.env.push(("BATON_MARK".into(), "home/0/1".into()));
        let prepared = prepare(&launch).unwrap();
        drop(launch);
        self.sweeper.started(prepared.process.identity().pid);
        let (process, mut report) = prepared.go().unwrap();
        outcome(&mut report).unwrap();
        let leader = process.identity().clone();
        let outputs = vec![Arc::new(reader)];
        (process, Belongings { leader, mark: "home/0/1".into(), fifos: vec![path], outputs, group: None })
    }

    /// The end is not said while this process lives, and is when it was ended.
    fn is_held_up_by(&self, process: &Process, tree: Belongings) {
        self.sweeper.await_gone(KEY, tree.clone());
        // Another's answer comes after the same looks.
        let other = TreeKey { id: InstanceId(1), ..KEY };
        let leader = Identity { pid: 1, start_time: u64::MAX, ..tree.leader.clone() };
        let nobody = Belongings { leader, mark: String::new(), fifos: Vec::new(), outputs: Vec::new(), group: None };
        self.sweeper.await_gone(other, nobody);
        assert_eq!(self.reports.recv().unwrap(), TreeReport::Gone(other));
        assert!(Process::find(process.identity()).unwrap().is_some());
        assert_eq!(self.reports.try_recv(), Err(TryRecvError::Empty));
        self.sweeper.kill(KEY, tree);
        assert_eq!(self.reports.recv().unwrap(), TreeReport::Gone(KEY));
        wait_readable(process);
    }
}

fn orphan() {
    let household = Household::new();
    let (launch, mut output) = python(&escape("os.closerange(0, 64)"));
    let (leader, tree) = household.start(launch);
    let orphan = told(&mut output);
    wait_readable(&leader);
    household.is_held_up_by(&orphan, tree);
}

fn sibling() {
    let household = Household::new();
    // Outputs closed, in the leader's session: only the list of our children leads to it.
    let code = "import ctypes, os, platform, signal
number = {'x86_64': 56, 'aarch64': 220}[platform.machine()]
CLONE_PARENT = 0x8000
pid = ctypes.CDLL(None).syscall(number, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
if pid == 0:
  os.closerange(0, 64)
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  signal.pause()
os.write(2, b'%d\\n' % pid)";
    let (launch, mut output) = python(code);
    let (leader, tree) = household.start(launch);
    let sibling = told(&mut output);
    wait_readable(&leader);
    household.is_held_up_by(&sibling, tree);
}

/// Below another app lives a younger process with a copy of the mark: a look at all processes would find it.
fn copied_mark() {
    let household = Household::new();
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let (mut other, output) = shell("read line; BATON_MARK=home/0/1 sh -c 'kill -STOP $$' & echo $! >&2; wait");
    other.stdin = Some(read);
    let (other, _) = household.start(other);
    let (launch, _) = shell("exit 3");
    let (leader, tree) = household.start(launch);
    wait_readable(&leader);
    std::fs::File::from(write).write_all(b"go\n").unwrap();
    let copy = told(&mut BufReader::new(output));
    household.sweeper.await_gone(KEY, tree);
    assert_eq!(household.reports.recv().unwrap(), TreeReport::Gone(KEY));
    for process in [copy, other] {
        assert!(process.signal(Signal::KILL).unwrap());
        wait_readable(&process);
    }
}
