//! Trees whose members try to get away, and neighbours that must not be touched.

use crate::spawn::{end_of, outcome, prepare, shell, wait_readable};
use baton_core::units::{Incarnation, InstanceId};
use baton_core::world::{Exit, Identity, Signal};
use baton_os::process::Process;
use baton_os::spawn::Launch;
use baton_os::tree::{Belongings, Sweeper, TreeKey, TreeReport};
use baton_os::{boot, fifo};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

pub(crate) const KEY: TreeKey = TreeKey { id: InstanceId(0), incarnation: Incarnation(1) };

pub(crate) fn sweeper() -> (Sweeper, Receiver<TreeReport>) {
    let (sender, reports) = channel();
    let report = move |report| sender.send(report).expect("the test waits for its reports");
    (Sweeper::start(None, report).unwrap(), reports)
}

fn belongings(leader: &Process, mark: &str, fifos: &[PathBuf]) -> Belongings {
    Belongings {
        leader: leader.identity().clone(),
        mark: mark.into(),
        fifos: fifos.to_vec(),
        outputs: Vec::new(),
        group: None,
    }
}

fn start(launch: Launch) -> Process {
    let (process, mut report) = prepare(&launch).unwrap().go().unwrap();
    drop(launch);
    outcome(&mut report).unwrap();
    process
}

pub(crate) fn python(code: &str) -> (Launch, BufReader<File>) {
    let (mut launch, output) = shell("");
    launch.program = "/usr/bin/env".into();
    launch.argv = ["env", "python3", "-c", code].map(Into::into).into();
    (launch, BufReader::new(output))
}

/// The process whose pid is the next line.
pub(crate) fn told(output: &mut impl BufRead) -> Process {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    Process::identify(line.trim().parse().unwrap()).unwrap().expect("it lives")
}

/// Forks twice with a session between, so that nothing but signs leads back to the leader; the grandchild ignores
/// SIGTERM and SIGINT, does `last`, and waits. The leader tells the pid and ends.
pub(crate) fn escape(last: &str) -> String {
    format!(
        "import os, signal
read, write = os.pipe()
if os.fork() == 0:
  os.setsid()
  if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.write(write, b'%d\\n' % os.getpid())
    {last}
    signal.pause()
  os._exit(0)
os.wait()
os.write(2, os.read(read, 32))
"
    )
}

pub(crate) fn a_daemonised_grandchild_that_ignores_sigterm_is_found_by_its_mark() {
    let (mut launch, mut output) = python(&escape("os.closerange(0, 64)"));
    launch.env.push(("BATON_MARK".into(), "home/0/1".into()));
    let leader = start(launch);
    let grandchild = told(&mut output);
    assert_eq!(end_of(&leader), Exit::Code(0));
    assert!(Process::find(leader.identity()).unwrap().is_none(), "the leader is gone and reaped");
    let (sweeper, reports) = sweeper();
    let tree = belongings(&leader, "home/0/1", &[]);
    sweeper.signal(KEY, tree.clone(), Signal::TERM);
    sweeper.await_gone(KEY, tree.clone());
    // The thread serves in order: this one's answer shows that the first look of the other is over.
    let other = TreeKey { id: InstanceId(1), ..KEY };
    sweeper.await_gone(other, belongings(&leader, "another", &[]));
    assert!(Process::find(grandchild.identity()).unwrap().is_some());
    sweeper.kill(KEY, tree);
    let mut gone = [reports.recv().unwrap(), reports.recv().unwrap()];
    gone.sort_by_key(|TreeReport::Gone(key)| *key);
    assert_eq!(gone, [TreeReport::Gone(KEY), TreeReport::Gone(other)]);
    wait_readable(&grandchild);
}

pub(crate) fn a_daemonised_grandchild_without_environment_is_found_by_its_fifo() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("1.out");
    fifo::make(&path, None).unwrap();
    let _reader = fifo::open_reader(&path).unwrap();
    let last = "os.closerange(2, 64); os.execve('/bin/sh', ['sh', '-c', 'kill -STOP $$'], {})";
    let (mut launch, mut output) = python(&escape(last));
    launch.stdout = fifo::open_app_end(&path).unwrap();
    launch.env.push(("BATON_MARK".into(), "home/0/1".into()));
    let leader = start(launch);
    let grandchild = told(&mut output);
    assert_eq!(end_of(&leader), Exit::Code(0));
    let (sweeper, reports) = sweeper();
    sweeper.kill(KEY, belongings(&leader, "", &[path]));
    assert_eq!(reports.recv().unwrap(), TreeReport::Gone(KEY));
    wait_readable(&grandchild);
}

pub(crate) fn a_signal_reaches_the_leader_and_its_descendants() {
    let code = "import os, signal
if os.fork() == 0:
  os.setsid()
  print(os.getpid(), flush=True)
  signal.pause()
signal.pause()";
    let (launch, mut output) = python(code);
    let leader = start(launch);
    let child = told(&mut output);
    let (sweeper, reports) = sweeper();
    let tree = belongings(&leader, "", &[]);
    sweeper.signal(KEY, tree.clone(), Signal::TERM);
    sweeper.await_gone(KEY, tree);
    assert_eq!(reports.recv().unwrap(), TreeReport::Gone(KEY));
    wait_readable(&child);
    assert_eq!(end_of(&leader), Exit::Signal(Signal::TERM));
}

pub(crate) fn gone_is_said_when_the_last_member_has_ended() {
    let (mut launch, output) = shell("sh -c 'echo $$; read line; exit 5' <&3 & exec 3<&-; echo $!; exit 4");
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    launch.extra_fds = vec![read];
    let mut output = BufReader::new(output);
    let leader = start(launch);
    let child = told(&mut output);
    wait_readable(&leader);
    let (sweeper, reports) = sweeper();
    sweeper.await_gone(KEY, belongings(&leader, "", &[]));
    // Another's answer comes while this tree lives.
    let other = TreeKey { id: InstanceId(1), ..KEY };
    let nobody = Identity { pid: 1, start_time: u64::MAX, boot_id: boot::boot_id().unwrap() };
    sweeper.await_gone(
        other,
        Belongings { leader: nobody, mark: String::new(), fifos: Vec::new(), outputs: Vec::new(), group: None },
    );
    assert_eq!(reports.recv().unwrap(), TreeReport::Gone(other));
    assert_eq!(reports.try_recv(), Err(TryRecvError::Empty));
    drop(write);
    assert_eq!(reports.recv().unwrap(), TreeReport::Gone(KEY));
    wait_readable(&child);
    assert_eq!(end_of(&leader), Exit::Code(4));
}

pub(crate) fn a_tree_that_never_was_is_gone() {
    let (launch, _output) = shell("");
    let process = prepare(&launch).unwrap().abort();
    assert_eq!(end_of(&process), Exit::Code(baton_os::stub::CALLED_OFF));
    let (sweeper, reports) = sweeper();
    sweeper.await_gone(KEY, belongings(&process, "mark", &["/nowhere/1.out".into()]));
    assert_eq!(reports.recv().unwrap(), TreeReport::Gone(KEY));
    drop(sweeper);
    assert!(reports.recv().is_err(), "said once, and the thread ends with its handle");
}

pub(crate) fn a_reader_of_the_output_is_no_member() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("1.out");
    fifo::make(&path, None).unwrap();
    let _keeps_it_open = fifo::open_app_end(&path).unwrap();
    // Not our child: children of ours are looked at otherwise.
    let (mut launch, mut output) =
        python("import os\nif os.fork() == 0:\n  os.setsid()\n  print(os.getpid(), flush=True)\n  os.read(0, 1)");
    launch.stdin = Some(fifo::open_reader(&path).unwrap());
    rustix::io::ioctl_fionbio(launch.stdin.as_ref().unwrap(), false).unwrap();
    let parent = start(launch);
    let reader = told(&mut output);
    assert_eq!(end_of(&parent), Exit::Code(0));
    let (launch, _) = shell("exit 0");
    // Older than the reader, so that age is not what saves it.
    let leader = Identity { start_time: parent.identity().start_time, ..start(launch).identity().clone() };
    let (sweeper, reports) = sweeper();
    sweeper.kill(KEY, Belongings { leader, mark: String::new(), fifos: vec![path], outputs: Vec::new(), group: None });
    assert_eq!(reports.recv().unwrap(), TreeReport::Gone(KEY));
    assert!(reader.signal(Signal::KILL).unwrap(), "it still lived");
    wait_readable(&reader);
}

pub(crate) fn a_stranger_with_the_leaders_pid_is_left_alone() {
    let (mut launch, _output) = shell("read line");
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    launch.stdin = Some(read);
    let stranger = start(launch);
    let mut tree = belongings(&stranger, "", &[]);
    tree.leader.start_time -= 1;
    let (sweeper, reports) = sweeper();
    sweeper.signal(KEY, tree.clone(), Signal::KILL);
    sweeper.kill(KEY, tree);
    assert_eq!(reports.recv().unwrap(), TreeReport::Gone(KEY));
    assert_eq!(stranger.peek_exit().unwrap(), None);
    drop(write);
    assert_eq!(end_of(&stranger), Exit::Code(1), "its read came to the end of the file, no signal came");
}

pub(crate) fn a_hundred_trees_end_together() {
    let (sweeper, reports) = sweeper();
    let leaders: Vec<Process> = (0..100).map(|_| start(sleeper())).collect();
    for (leader, id) in leaders.iter().zip(0..) {
        sweeper.signal(TreeKey { id: InstanceId(id), ..KEY }, belongings(leader, "", &[]), Signal::TERM);
        sweeper.await_gone(TreeKey { id: InstanceId(id), ..KEY }, belongings(leader, "", &[]));
    }
    let mut gone: Vec<u32> =
        leaders.iter().map(|_| reports.recv().unwrap()).map(|TreeReport::Gone(key)| key.id.0).collect();
    gone.sort_unstable();
    assert_eq!(gone, (0..100).collect::<Vec<_>>());
    for leader in &leaders {
        assert_eq!(end_of(leader), Exit::Signal(Signal::TERM));
    }
}

fn sleeper() -> Launch {
    let (mut launch, _output) = shell("");
    launch.program = "/bin/sleep".into();
    launch.argv = ["sleep", "600"].map(Into::into).into();
    launch
}
