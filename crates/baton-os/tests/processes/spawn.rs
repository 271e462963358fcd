//! What a program gets, and what is told when it can't run.

use baton_core::spec::{Ceiling, Resource, Rlimit};
use baton_core::world::{Exit, Signal, SpawnError, SpawnStage};
use baton_os::process::Process;
use baton_os::spawn::{Credentials, ForkServer, Launch, Prepared, Report};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Makes the process of a launch; all tests share a server, as all apps of a daemon do.
pub(crate) fn prepare(launch: &Launch) -> Result<Prepared, SpawnError> {
    static SERVER: Mutex<Option<ForkServer>> = Mutex::new(None);
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    server.get_or_insert_default().prepare(launch)
}

/// A launch of `sh -c script` whose two outputs go to one pipe, and the pipe.
pub(crate) fn shell(script: &str) -> (Launch, File) {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let launch = Launch {
        program: "/bin/sh".into(),
        argv: ["sh", "-c", script].map(Into::into).into(),
        env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        cwd: "/".into(),
        credentials: None,
        stdin: None,
        stderr: write.try_clone().unwrap(),
        stdout: write,
        extra_fds: Vec::new(),
        group: None,
        pid_variables: Vec::new(),
        oom_score_adj: None,
        nice: None,
        limits: Default::default(),
        original_nofile: None,
    };
    (launch, File::from(read))
}

pub(crate) fn wait_readable(fd: impl AsFd) {
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).unwrap();
}

pub(crate) fn outcome(report: &mut Report) -> Result<(), SpawnError> {
    wait_readable(&*report);
    report.read().expect("a readable report has an answer")
}

pub(crate) fn end_of(process: &Process) -> Exit {
    wait_readable(process);
    let exit = process.peek_exit().unwrap().expect("a readable pidfd has an exit");
    process.reap().unwrap();
    exit
}

/// Runs to the end: what it printed and how it ended.
fn run((launch, mut output): (Launch, File)) -> (String, Exit) {
    let (process, mut report) = prepare(&launch).unwrap().go().unwrap();
    drop(launch);
    outcome(&mut report).unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    (text, end_of(&process))
}

/// The failure of a launch that can't work. The process is gone afterwards.
fn failure(launch: &Launch) -> SpawnError {
    let (process, mut report) = prepare(launch).unwrap().go().unwrap();
    let error = outcome(&mut report).unwrap_err();
    end_of(&process);
    error
}

fn script(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn a_program_gets_what_the_launch_says() {
    let directory = tempfile::tempdir().unwrap();
    let cwd = directory.path().canonicalize().unwrap();
    let (mut launch, output) = shell("pwd; echo \"[$1]$2\"; env | sort; cat; echo error >&2; exit 3");
    launch.argv.extend(["name", "", "two words"].map(Into::into));
    launch.env.push(("GREETING".into(), "a=b c".into()));
    launch.cwd.clone_from(&cwd);
    let (stdin, mut writer) = pipe_with(PipeFlags::CLOEXEC).map(|(read, write)| (read, File::from(write))).unwrap();
    launch.stdin = Some(stdin);
    writer.write_all(b"from stdin\n").unwrap();
    drop(writer);
    launch.oom_score_adj = Some(7);
    let (text, exit) = run((launch, output));
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("_=")).collect();
    let path = format!("PATH={}", std::env::var("PATH").unwrap());
    let pwd = format!("PWD={}", cwd.display());
    let expected = [cwd.to_str().unwrap(), "[]two words", "GREETING=a=b c", &path, &pwd, "from stdin", "error"];
    let lines: Vec<&str> =
        lines.into_iter().filter(|line| !line.starts_with("OLDPWD=") && !line.starts_with("SHLVL=")).collect();
    assert_eq!(lines, expected, "nothing of our own environment is there");
    assert_eq!(exit, Exit::Code(3));
}

pub(crate) fn a_program_sees_only_the_declared_descriptors() {
    // One that the parent forgot to protect must not reach the program either.
    let (careless, _other_end) = pipe_with(PipeFlags::empty()).unwrap();
    for count in [0, 3] {
        let (mut launch, output) = shell("");
        // The directory's own descriptor is the one that listdir opens: it is gone when it is looked up.
        let code = "import os\nfor fd in sorted(map(int, os.listdir('/proc/self/fd'))):\n  try: print(fd, os.fstat(fd).st_ino)\n  except OSError: pass";
        launch.program = "/usr/bin/env".into();
        launch.argv = ["env", "python3", "-c", code].map(Into::into).into();
        let extras: Vec<(OwnedFd, OwnedFd)> = (0..count).map(|_| pipe_with(PipeFlags::CLOEXEC).unwrap()).collect();
        launch.extra_fds = extras.iter().map(|(read, _)| read.try_clone().unwrap()).collect();
        let inode = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
        let null = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata("/dev/null").unwrap());
        let mut expected = vec![null, inode(&launch.stdout), inode(&launch.stderr)];
        expected.extend(extras.iter().map(|(read, _)| inode(read)));
        let expected: String = expected.iter().zip(0..).map(|(inode, fd)| format!("{fd} {inode}\n")).collect();
        assert_eq!(run((launch, output)), (expected, Exit::Code(0)));
    }
    drop(careless);
}

pub(crate) fn a_program_starts_with_default_signals_in_its_own_session() {
    let (mut launch, output) = shell("");
    let code = "import os; print(os.getsid(0) == os.getpid() == os.getpgrp())";
    launch.program = "/usr/bin/env".into();
    launch.argv = ["env", "python3", "-c", code].map(Into::into).into();
    assert_eq!(run((launch, output)).0, "True\n");
    // Python ignores SIGPIPE by itself; a shell tells what it was given.
    let (text, _) = run(shell(
        "while read name set; do case $name in SigBlk:|SigIgn:) echo $name $set; esac; done < /proc/$$/status",
    ));
    assert_eq!(text, "SigBlk: 0000000000000000\nSigIgn: 0000000000000000\n");
}

pub(crate) fn a_prepared_process_has_its_final_identity_and_has_not_run() {
    let (launch, mut output) = shell("echo ran");
    let Prepared { .. } = prepare(&launch).unwrap();
    let prepared = prepare(&launch).unwrap();
    let identity = prepared.process.identity().clone();
    rustix::io::ioctl_fionbio(&output, true).unwrap();
    assert_eq!(output.read(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    rustix::io::ioctl_fionbio(&output, false).unwrap();
    let (process, mut report) = prepared.go().unwrap();
    outcome(&mut report).unwrap();
    assert_eq!(process.identity(), &identity);
    drop(launch);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), end_of(&process)), ("ran\n", Exit::Code(0)));
}

pub(crate) fn a_start_that_is_called_off_never_runs() {
    let (launch, mut output) = shell("echo ran");
    let process = prepare(&launch).unwrap().abort();
    drop(launch);
    assert_eq!(end_of(&process), Exit::Code(baton_os::stub::CALLED_OFF));
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "");
}

pub(crate) fn a_missing_program_is_named() {
    let (mut launch, _output) = shell("");
    launch.program = "/w/missing".into();
    let error = failure(&launch);
    assert_eq!((error.stage, error.errno), (SpawnStage::Exec, libc::ENOENT));
    assert_eq!(error.message, "/w/missing: no such file or directory");
    launch.program = "/etc/passwd".into();
    assert_eq!(failure(&launch).message, "/etc/passwd: permission denied");
}

pub(crate) fn a_directory_that_cannot_be_entered_is_named() {
    let (mut launch, _output) = shell("");
    launch.cwd = "/w/nowhere".into();
    let error = failure(&launch);
    assert_eq!((error.stage, error.errno), (SpawnStage::Directory, libc::ENOENT));
    assert_eq!(error.message, "cannot enter directory /w/nowhere: no such file or directory");
}

pub(crate) fn a_missing_interpreter_is_not_taken_for_a_missing_program() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tool");
    script(&path, "#!/w/no-interpreter\n");
    let (mut launch, _output) = shell("");
    launch.program.clone_from(&path);
    let error = failure(&launch);
    assert_eq!(error.stage, SpawnStage::Exec);
    assert_eq!(error.message, format!("{}: the interpreter that it names does not exist", path.display()));
}

pub(crate) fn a_script_without_first_line_runs_by_the_shell() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tool");
    script(&path, "echo \"$1\"\n");
    let (mut launch, output) = shell("");
    launch.program.clone_from(&path);
    launch.argv = ["tool", "argument"].map(Into::into).into();
    assert_eq!(run((launch, output)), ("argument\n".into(), Exit::Code(0)));
}

fn nobody() -> Credentials {
    Credentials { name: "nobody".into(), uid: 65_534, gid: 65_534, groups: vec![65_534, 4_242] }
}

/// Both need root for one half: only root may become another, only another may be refused.
pub(crate) fn a_user_that_we_may_not_become_is_named() {
    let (mut launch, mut output) = shell("");
    if rustix::process::geteuid().is_root() {
        // A stub of nobody's: this test once more, in a process that is nobody already.
        launch.program = std::env::current_exe().unwrap();
        let copy = tempfile::tempdir().unwrap();
        let program = copy.path().join("tests");
        std::fs::copy(&launch.program, &program).unwrap();
        script_mode(copy.path());
        launch.program = program;
        launch.argv = ["tests", "a_user_that_we_may_not_become"].map(Into::into).into();
        launch.credentials = Some(nobody());
        let (process, mut report) = prepare(&launch).unwrap().go().unwrap();
        outcome(&mut report).unwrap();
        drop(launch);
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(end_of(&process), Exit::Code(0), "{text}");
        return;
    }
    launch.credentials = Some(Credentials { name: "root".into(), uid: 0, gid: 0, groups: vec![0] });
    let error = failure(&launch);
    assert_eq!((error.stage, error.errno), (SpawnStage::User, libc::EPERM));
    assert_eq!(error.message, "cannot become user root: operation not permitted");
}

fn script_mode(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn another_user_is_become_with_its_groups() {
    let (mut launch, output) = shell("id -u; id -g; id -G");
    if !rustix::process::geteuid().is_root() {
        println!("(needs root: not run)");
        return;
    }
    launch.credentials = Some(nobody());
    assert_eq!(run((launch, output)).0, "65534\n65534\n65534 4242\n");
}

pub(crate) fn the_original_limit_on_open_files_is_restored() {
    let (mut launch, output) = shell("ulimit -Sn; ulimit -Hn");
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
    launch.original_nofile = Some((64, hard));
    let hard = if hard == u64::MAX { "unlimited".into() } else { hard.to_string() };
    assert_eq!(run((launch, output)).0, format!("64\n{hard}\n"));
}

fn limit(soft: Option<u64>, hard: Option<u64>) -> Rlimit {
    Rlimit { soft: soft.map(Ceiling::At), hard: hard.map(Ceiling::At) }
}

pub(crate) fn a_program_has_the_niceness_and_limits_that_it_is_given() {
    let (mut launch, output) = shell("nice; ulimit -Sn; ulimit -Hn; ulimit -Sc; cat /proc/self/autogroup 2>&1");
    launch.nice = Some(7);
    launch.original_nofile = Some((32, 64));
    launch.limits = [(Resource::Nofile, limit(Some(48), None)), (Resource::Core, limit(None, Some(0)))].into();
    let (text, _) = run((launch, output));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], ["7", "48", "64", "0"], "{text}");
    let grouped = std::fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled");
    if grouped.is_ok_and(|text| text.trim() == "1") && Path::new("/proc/self/autogroup").exists() {
        assert!(lines[4].ends_with(" nice 7"), "its session counts as much: {text}");
    }
}

pub(crate) fn a_limit_that_cannot_be_set_is_named_and_nothing_runs() {
    let (mut launch, _output) = shell("echo ran");
    launch.limits = [(Resource::Nproc, limit(Some(9), Some(4)))].into();
    let error = failure(&launch);
    assert_eq!(error.message, "cannot set the limit nproc to 9 (hard 4): invalid argument");
    launch.limits =
        [(Resource::Core, limit(None, Some(4))), (Resource::Nofile, limit(Some(u64::MAX - 1), None))].into();
    let error = failure(&launch);
    let wanted = format!("cannot set the limit nofile to {} (soft): invalid argument", u64::MAX - 1);
    assert_eq!(error.message, format!("{wanted}; it is more than the hard limit: write `hard` as well"));
    assert_eq!(error.stage, SpawnStage::Setup);
    launch.limits = [(Resource::Nofile, limit(None, Some(u64::MAX - 1)))].into();
    let error = failure(&launch);
    assert!(
        error.message.ends_with(
            ": operation not permitted; only root may raise a hard limit, and nobody above the machine's fs.nr_open"
        ),
        "{error}"
    );
}

pub(crate) fn limits_are_set_before_the_user_changes_and_only_root_is_first() {
    if !rustix::process::geteuid().is_root() {
        println!("(needs root: not run)");
        return;
    }
    let (mut launch, output) = shell("id -u; nice; ulimit -Hn; cat /proc/self/oom_score_adj");
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(1 << 20);
    launch.original_nofile = Some((16, hard));
    launch.limits = [(Resource::Nofile, limit(Some(hard), Some(hard)))].into();
    launch.nice = Some(-3);
    launch.oom_score_adj = Some(11);
    launch.credentials = Some(nobody());
    assert_eq!(run((launch, output)).0, format!("65534\n-3\n{hard}\n11\n"));
}

pub(crate) fn a_process_killed_before_its_start_is_no_started_program() {
    let (launch, _output) = shell("echo ran");
    let prepared = prepare(&launch).unwrap();
    assert!(prepared.process.signal(Signal::KILL).unwrap());
    wait_readable(&prepared.process);
    let (process, mut report) = prepared.go().unwrap();
    assert_eq!(outcome(&mut report).unwrap_err().message, "/bin/sh: its process was ended before it could run");
    assert_eq!(end_of(&process), Exit::Signal(Signal::KILL));
}

pub(crate) fn a_text_with_a_nul_is_refused_before_anything_starts() {
    let (mut launch, _output) = shell("");
    launch.env.push(("BAD".into(), "a\0b".into()));
    let error = prepare(&launch).unwrap_err();
    assert_eq!(
        (error.stage, error.message.as_str()),
        (SpawnStage::Prepare, "environment variable BAD holds a NUL byte")
    );
}

pub(crate) fn processes_that_were_ordered_together_are_made_and_some_called_off() {
    let mut server = ForkServer::default();
    let order = |server: &mut ForkServer, text: &str| {
        let (launch, output) = shell(&format!("echo {text}"));
        (server.begin(&launch).unwrap(), output)
    };
    let (first, mut first_output) = order(&mut server, "first");
    let (second, mut second_output) = order(&mut server, "second");
    let (third, mut third_output) = order(&mut server, "third");
    drop(order(&mut server, "nobody asks for it"));
    let (last, mut last_output) = order(&mut server, "last");
    let mut prepared = vec![server.finish(first).unwrap()];
    server.call_off(second);
    prepared.push(server.finish(third).unwrap());
    prepared.push(server.finish(last).unwrap());
    let processes = prepared.into_iter().map(|prepared| prepared.go().unwrap().0).collect::<Vec<_>>();
    for process in processes {
        assert_eq!(end_of(&process), Exit::Code(0));
    }
    let mut read = |output: &mut File| {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(read(&mut second_output), "");
    let others = [&mut first_output, &mut third_output, &mut last_output].map(&mut read);
    assert_eq!(others, ["first\n", "third\n", "last\n"]);
}

pub(crate) fn a_server_that_was_ended_is_replaced_and_one_that_is_let_go_ends() {
    let mut server = ForkServer::default();
    let child = |server: &mut ForkServer| {
        let (launch, _output) = shell("exec sleep 1000");
        let (process, mut report) = server.prepare(&launch).unwrap().go().unwrap();
        outcome(&mut report).unwrap();
        process
    };
    let before = children();
    let first = child(&mut server);
    let servers: Vec<u32> =
        children().into_iter().filter(|pid| !before.contains(pid) && *pid != first.identity().pid).collect();
    let [pid] = servers[..] else { panic!("{servers:?}") };
    let process = Process::identify(pid).unwrap().unwrap();
    assert!(process.signal(Signal::KILL).unwrap());
    wait_readable(&process);
    let second = child(&mut server);
    assert!(Process::find(process.identity()).unwrap().is_none(), "it is reaped");
    let successors = children();
    drop(server);
    let left = children();
    assert_eq!(successors.iter().filter(|pid| !left.contains(pid)).count(), 1, "the server has ended");
    for app in [first, second] {
        assert!(left.contains(&app.identity().pid), "apps are our children and live on");
        app.signal(Signal::KILL).unwrap();
        assert_eq!(end_of(&app), Exit::Signal(Signal::KILL));
    }
}

/// Our children.
fn children() -> Vec<u32> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}
