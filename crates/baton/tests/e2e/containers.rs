//! Apps in the foreground: `runtime` as the process of a container, also as its first, and `dev` in a terminal.

use crate::harness::{Baton, alive, ended, testapp};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// A run that goes on, and what it writes.
struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn of(mut command: Command) -> Running {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout"));
        Running { child, lines }
    }

    /// Reads up to a line that holds this text.
    fn reads(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).expect("output") > 0, "ended before {text:?}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Reads until all of these have come, in any order.
    fn reads_all(&mut self, texts: &[&str]) {
        let mut left = texts.to_vec();
        while !left.is_empty() {
            let line = self.reads("");
            left.retain(|text| !line.contains(text));
        }
    }

    /// Sends a signal to a process, and waits for the end of this one.
    fn ends_by(mut self, signal: Signal, to: u32) -> (Option<i32>, String) {
        kill_process(Pid::from_raw(to.cast_signed()).expect("pid"), signal).expect("signal");
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("output");
        (self.child.wait().expect("end").code(), rest)
    }
}

fn app() -> String {
    testapp().to_str().expect("path").to_owned()
}

#[test]
fn output_comes_whole_and_the_exit_code_tells_how_all_apps_ended() {
    let baton = Baton::new();
    let run = baton.run(["runtime", &app(), "--no-autorestart", "--", "spam:20000", "err:of error", "exit:0"]).code(0);
    let lines = run.stdout.lines().filter(|line| !line.contains("PM2 log") && !line.contains("guard: ")).count();
    assert_eq!(lines, 20_000, "every line, and nothing else");
    assert!(run.stderr.lines().any(|line| line == "of error"), "{}", run.stderr);
    assert!(baton.connect().is_none(), "nothing is left");

    let again = baton.run(["runtime", "start", &app(), "--no-autorestart", "--", "out:twice", "exit:3"]).code(2);
    again.stdout_has("twice\n").stdout_has("exited with code [3]");
    let given_up = baton.run(["runtime", &app(), "--max-restarts", "2", "--", "exit:1"]).code(2);
    assert_eq!(given_up.stdout.matches("exited with code [1]").count(), 2, "{given_up}");
    let told = baton.run(["runtime", "/no/such/script.js"]).code(1);
    told.stderr_has("Script not found");
    assert!(baton.connect().is_none());
}

#[test]
fn a_process_file_runs_under_pm2s_name_in_json_and_alone_on_standard_output() {
    let baton = Baton::called("pm2-runtime").env("PM2_HOME", "");
    let file = baton.file(
        "apps.json",
        format!(
            r#"[{{"name": "a", "script": {0:?}, "args": "out:of-a", "autorestart": false, "out_file": "/dev/stdout"}},
            {{"name": "b", "script": {0:?}, "args": "out:of-b", "autorestart": false, "out_file": "/dev/null", "depends_on": {{"a": "exited"}}}},
            {{"name": "c", "script": {0:?}, "args": "out:of-c", "autorestart": false}}]"#,
            app()
        ),
    );
    let run = baton.run(["--json", "--only", "a,b", file.to_str().expect("path")]).code(0);
    let read =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let lines: Vec<serde_json::Value> = run.stdout.lines().map(read).collect();
    let said: Vec<_> = lines.iter().map(|line| (line["app_name"].as_str(), line["message"].as_str())).collect();
    assert_eq!(said, [(Some("a"), Some("of-a")), (Some("b"), Some("of-b"))]);
    assert!(baton.home().join(".pm2").is_dir(), "PM2's home");
    baton.run(["--version"]).ok();
    baton.run::<&str>([]).code(1).stdout_has("Usage");
}

#[test]
fn a_signal_ends_the_apps_with_their_last_words_and_is_no_failure() {
    let baton = Baton::new();
    let mut running =
        Running::of(baton.command(["runtime", &app(), "--formatted", "--", "child:wait", "out:up", "wait"]));
    let child = running.reads("child ").trim().rsplit(' ').next().expect("pid").parse().expect("pid");
    running.reads("0|testapp");
    // Every other verb works beside it.
    assert_eq!(baton.entry("testapp")["pm2_env"]["status"], "online");
    let (leader, guard) = (baton.pid("testapp"), baton.guard());
    baton.run(["runtime", &app()]).code(1).stderr_has("runs on").stderr_has("already");
    let main = running.child.id();
    let (code, _) = running.ends_by(Signal::TERM, main);
    assert_eq!(code, Some(0));
    assert!(![leader, child, guard].into_iter().any(alive), "nothing of it is left");
}

#[test]
fn what_it_cannot_do_is_refused() {
    let baton = Baton::new();
    baton.run(["runtime", "app.js", "--web"]).code(1).stderr_has("--web is not available yet");
    baton.run(["runtime", "app.js", "--secret", "x"]).code(1).stderr_has("--secret is not supported");
    baton.run(["runtime", "app.js", "--attach"]).code(1).stderr_has("--attach has no meaning");
    assert!(!baton.home().join("baton.sock").exists() && !baton.home().join("state.json").exists());
}

/// The program as the first process of a namespace of its own, or nothing where that is not allowed.
#[expect(clippy::disallowed_methods, reason = "the tool that makes the namespace")]
fn as_first(baton: &Baton, words: &[&str]) -> Option<Command> {
    let unshare = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--fork", "--pid", "--mount-proc", "--kill-child"]).args(words);
        command
    };
    if !unshare(&["true"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: no namespace of processes of our own");
        return None;
    }
    let inner = baton.command(words);
    let program = inner.get_program().to_str().expect("path").to_owned();
    let mut command = unshare(&[&[program.as_str()], words].concat());
    command.current_dir(baton.dir()).env("BATON_HOME", baton.home()).env("HOME", baton.home());
    Some(command)
}

/// The process that has this number in the namespace that `unshare` made.
fn first_of(unshare: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).expect("children");
    children.trim().parse().expect("one child")
}

#[test]
fn as_the_first_process_it_gets_signals_and_consumes_what_is_left_to_it() {
    let baton = Baton::new();
    let Some(command) = as_first(&baton, &["runtime", &app(), "--", "orphan:wait", "out:up", "wait"]) else { return };
    let mut running = Running::of(command);
    running.reads("up");
    let first = first_of(running.child.id());
    // As `docker exec` would: a process from outside whose child is left behind, and ends.
    #[expect(clippy::disallowed_methods, reason = "the tool that enters the namespace")]
    let entered = Command::new("nsenter")
        .args(["--pid", "--mount", "-t"])
        .arg(first.to_string())
        .args(["sh", "-c", "sh -c 'exec 1>&- 2>&-; read x < /proc/self/stat; exit 5' & echo started"])
        .output();
    let entered = entered.expect("nsenter");
    assert!(
        String::from_utf8_lossy(&entered.stdout).contains("started"),
        "{}",
        String::from_utf8_lossy(&entered.stderr)
    );
    let zombies = || {
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(|pid| !alive(*pid)).count()
    };
    // The kernel has no event for a child that was consumed.
    while zombies() > 0 {
        let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        let _ = rustix::event::poll(&mut [], Some(&pause));
    }
    let (code, rest) = running.ends_by(Signal::TERM, first);
    assert_eq!(code, Some(0), "{rest}");
}

#[test]
fn a_container_that_is_started_again_begins_with_an_empty_list() {
    let baton = Baton::new();
    let once = format!("once:{}:out:first", baton.dir().join("was-here").display());
    let Some(command) = as_first(&baton, &["runtime", &app(), "--name", "old", "--", &once, "out:old is up", "wait"])
    else {
        return;
    };
    let mut running = Running::of(command);
    running.reads("old is up");
    let first = first_of(running.child.id());
    // The machine's hand: everything in the namespace ends at once, and the home stays as it is.
    let (_, _) = running.ends_by(Signal::KILL, first);
    ended(first);

    let words = ["runtime", &app(), "--name", "new", "--no-autorestart", "--", "out:new is up", "exit:0"];
    let mut command = as_first(&baton, &words).expect("as before");
    let run = command.stdin(Stdio::null()).output().expect("run");
    let said = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{said}");
    assert!(
        said.contains("new is up") && !said.contains("old"),
        "nothing of the earlier life runs or is shown: {said}"
    );
}

#[test]
fn dev_starts_an_app_again_when_a_file_changes_and_leaves_nothing_behind() {
    let baton = Baton::new();
    let work = baton.dir().join("src");
    let script = baton.file("src/app.sh", "echo version 1\nexec sleep 1000\n");
    let after = baton.dir().join("after");
    let post = format!("echo again >> {}", after.display());
    let mut command = baton.command([
        "dev",
        "app.sh",
        "--interpreter",
        "sh",
        "--ignore",
        "ignored",
        "--post-exec",
        &post,
        "--watch-delay",
        "0.01",
    ]);
    command.current_dir(&work).env("TMPDIR", baton.dir());
    let mut running = Running::of(command);
    // An edit from then on is seen.
    running.reads_all(&["| version 1", "Start watching app"]);
    std::fs::write(&script, "echo version 2\nexec sleep 1000\n").expect("edit");
    running.reads("| version 2");
    assert!(baton.wait_file(&after, "again").contains("again"));
    let main = running.child.id();
    let (code, _) = running.ends_by(Signal::INT, main);
    assert_eq!(code, Some(0));
    let left = std::fs::read_dir(baton.dir()).expect("folder").flatten();
    let left: Vec<_> =
        left.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().contains("baton-dev")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn start_without_a_daemon_stays_until_it_is_interrupted() {
    let baton = Baton::called("pm2");
    let mut running = Running::of(baton.command(["start", &app(), "--no-daemon", "--", "out:up", "wait"]));
    running.reads("up");
    let leader = baton.pid("testapp");
    let main = running.child.id();
    let (code, _) = running.ends_by(Signal::INT, main);
    assert_eq!(code, Some(0));
    assert!(!alive(leader) && baton.connect().is_none());
}
