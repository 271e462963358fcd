//! Starting with the machine: services, what init systems are given, and starts without a login.

use crate::harness::{Baton, alive, ended, kill, testapp};
use baton_core::world::Status;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What systemd listens with.
struct Init {
    socket: UnixDatagram,
}

impl Init {
    fn on(path: &Path) -> Init {
        let socket = UnixDatagram::bind(path).expect("socket");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
        Init { socket }
    }

    /// What it is told next, but for the request to say that all before has been read.
    fn hears(&self) -> String {
        loop {
            let mut buffer = [0; 4096];
            let read = self.socket.recv(&mut buffer).expect("a message");
            let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
            if text != "BARRIER=1" {
                return text;
            }
        }
    }
}

/// The command as an init system gives it: without a login, and with nothing but what the unit says.
fn bare(baton: &Baton, words: &[&str]) -> Command {
    let mut command = baton.command(words);
    command.env_clear().env("BATON_HOME", baton.home()).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn a_service_is_ready_when_the_saved_apps_run_and_outlives_its_daemon_and_even_its_guard() {
    let baton = Baton::new();
    baton.start("web", &["wait"]);
    baton.run(["save"]).ok();
    let saved = std::fs::read(baton.home().join("dump.pm2")).expect("dump");
    baton.run(["kill"]).ok();
    let path = baton.home().join("notify");
    let init = Init::on(&path);

    let mut main = bare(&baton, &["resurrect", "--as-service"]).env("NOTIFY_SOCKET", &path).spawn().expect("service");
    assert_eq!(init.hears(), "READY=1\nSTATUS=1 processes in the list");
    assert_eq!((baton.entry("web")["pm2_env"]["status"].as_str(), baton.guard()), (Some("online"), main.id()));
    let (web, daemon) = (baton.pid("web"), baton.daemon());
    let environment = std::fs::read(format!("/proc/{web}/environ")).expect("environment");
    assert!(!String::from_utf8_lossy(&environment).contains("NOTIFY_SOCKET"), "an app speaks for itself alone");

    kill(daemon);
    drop(baton.connect_to_successor(daemon));
    assert_eq!((baton.pid("web"), baton.guard()), (web, main.id()), "the main process is the same");

    let daemon = baton.daemon();
    main.kill().expect("kill");
    main.wait().expect("wait");
    drop(baton.connect_to_successor(daemon));
    // The init system starts the service again.
    let again = bare(&baton, &["resurrect", "--as-service"]).env("NOTIFY_SOCKET", &path).status().expect("service");
    assert!(again.success());
    assert_eq!(init.hears(), format!("MAINPID={daemon}\nREADY=1"), "the daemon took the place of the guard");
    assert_eq!((baton.pid("web"), baton.guard()), (web, daemon));

    // What was saved is what comes back with the machine, whatever runs when it goes down.
    baton.start("later", &["wait"]);
    let guard = Pid::from_raw(daemon.cast_signed()).expect("pid");
    kill_process(guard, Signal::TERM).expect("signal");
    ended(daemon);
    assert!(!alive(web), "the service ends its apps");
    assert_eq!(std::fs::read(baton.home().join("dump.pm2")).expect("dump"), saved);
}

#[test]
fn a_service_does_not_take_a_daemon_that_was_started_by_hand() {
    let baton = Baton::new();
    baton.start("web", &["wait"]);
    let run = baton.run(["resurrect", "--as-service"]).code(1);
    run.stderr_has("runs on").stderr_has("outside this service");
    assert_eq!(baton.entry("web")["pm2_env"]["status"], "online");
}

#[test]
fn a_process_file_is_started_without_a_login_and_twice_is_as_good_as_once() {
    let baton = Baton::new();
    let file = baton.file(
        "ecosystem.config.cjs",
        format!(
            "module.exports = {{ apps: [{{ name: 'web', script: {:?}, args: ['wait'], cwd: __dirname }}, \
         {{ name: 'sh', script: 'sleep 1000' }}] }}",
            testapp()
        ),
    );
    let file = file.to_str().expect("path");
    for _ in 0..2 {
        let run = bare(&baton, &["start", file]).output().expect("run");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
    let list = baton.wait_for("two apps", |list| list.iter().all(|view| view.status == Status::Online));
    assert_eq!(list.len(), 2, "no second copy of either");

    baton.run(["kill"]).ok();
    let path = baton.home().join("notify");
    let init = Init::on(&path);
    let words = ["start", file, "--as-service"];
    let mut service = bare(&baton, &words).env("NOTIFY_SOCKET", &path).spawn().expect("service");
    assert_eq!(init.hears(), "READY=1\nSTATUS=2 processes in the list");
    assert_eq!((baton.guard(), baton.jlist().len()), (service.id(), 2));
    baton.run(["kill"]).ok();
    assert!(service.wait().expect("the service ends").success());
}

#[test]
fn an_app_that_does_not_start_is_told_and_the_service_is_ready_all_the_same() {
    let baton = Baton::new();
    let file = baton.file(
        "apps.json",
        r#"[{"name": "gone", "script": "/no/such/program"}, {"name": "ok", "script": "sleep 1000"}]"#,
    );
    let path = baton.home().join("notify");
    let init = Init::on(&path);
    let words = ["start", file.to_str().expect("path"), "--as-service"];
    let mut service = bare(&baton, &words).env("NOTIFY_SOCKET", &path).spawn().expect("service");
    let heard = init.hears();
    assert!(heard.starts_with("READY=1\nSTATUS=") && heard.contains("some did not start"), "{heard}");
    baton.run(["kill"]).ok();
    service.wait().expect("the service ends");
}

#[test]
fn the_unit_of_systemd_is_one_that_systemd_accepts() {
    let baton = Baton::new();
    let root = baton.dir().join("image");
    let words = |verb| vec![verb, "systemd", "--root", root.to_str().expect("path"), "--service-name", "apps"];
    baton.run(words("startup").into_iter().chain(["--wait-ip"])).ok().stdout_has("systemctl enable apps.service");
    let unit = root.join("etc/systemd/system/apps.service");
    let text = std::fs::read_to_string(&unit).expect("unit");
    for line in ["Type=notify", "KillMode=process", "Delegate=yes", "OOMPolicy=continue", "After=network-online.target"]
    {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
    assert!(text.contains(&format!("Environment=\"BATON_HOME={}\"", baton.home().display())), "{text}");
    #[expect(clippy::disallowed_methods, reason = "systemd's own word on the unit")]
    let verify = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output();
    match verify {
        Ok(run) => {
            let said = String::from_utf8_lossy(&run.stderr);
            // Systemd before 254 does not know this key, and passes over it.
            let said: Vec<&str> = said.lines().filter(|line| !line.contains("'DelegateSubgroup'")).collect();
            assert!(run.status.success() && said.is_empty(), "{said:?}");
        }
        Err(_) => eprintln!("not looked at by systemd-analyze, which is not here"),
    }
    baton.run(words("unstartup")).ok().stdout_has("Init file disabled.");
    assert!(!unit.exists());
    baton.run(words("unstartup")).ok().stderr_has("there is no");
}

#[test]
fn who_is_not_root_is_given_the_one_command_that_is() {
    let baton = Baton::new();
    let mut command = baton.command(["startup", "openrc", "--service-name", "apps", "--wait-ip"]);
    command.env("HOME", "/srv/some one").env("BATON_HOME", "/srv/some one/.baton");
    if rustix::process::geteuid().is_root() {
        // The home that holds the link is closed to others.
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_baton"));
        if !rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok_and(|()| open_to_all(program)) {
            eprintln!("skipped: the program can't be run by others");
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "the program under test, by its own path")]
        let mut other = Command::new(program);
        other.args(command.get_args()).current_dir("/").uid(65534).gid(65534);
        other.env("HOME", "/srv/some one").env("BATON_HOME", "/srv/some one/.baton");
        command = other;
    }
    let run = command.output().expect("run");
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert_eq!(run.status.code(), Some(1), "{said}");
    let line = said.lines().last().expect("a command");
    assert!(line.starts_with("sudo env PATH=$PATH /"), "{line}");
    assert!(
        line.contains(" startup openrc -u ") && line.ends_with(" --hp '/srv/some one' --service-name apps --wait-ip"),
        "{line}"
    );
}

fn open_to_all(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    program.ancestors().all(|path| std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o001 != 0))
}

#[test]
fn root_writes_the_script_and_tells_the_init_system_that_was_found() {
    let baton = Baton::new();
    let fake = baton.dir().join("bin");
    let told = baton.dir().join("told");
    let record = |program: &str| {
        let path =
            baton.file(&format!("bin/{program}"), format!("#!/bin/sh\necho {program} \"$@\" >> {}\n", told.display()));
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    };
    record("rc-update");
    record("rc-service");
    for needed in ["sh", "mount", "cat", "rm"] {
        let real = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(needed));
        let real = real.iter().find(|path| path.exists()).expect("a usual program");
        std::os::unix::fs::symlink(real, fake.join(needed)).expect("link");
    }
    let script = format!(
        "mount -t tmpfs tmpfs /etc/init.d && {program} startup && cat /etc/init.d/baton && {program} unstartup && ! test -e /etc/init.d/baton",
        program = baton.home().join("baton").display()
    );
    #[expect(clippy::disallowed_methods, reason = "a place where /etc is the test's own")]
    let run = Command::new("/usr/bin/unshare")
        .args(["-m", "sh", "-c", &script])
        .env("PATH", &fake)
        .env("BATON_HOME", baton.home())
        .output();
    let Ok(run) = run else {
        eprintln!("skipped: there is no unshare");
        return;
    };
    if !Path::new("/etc/init.d").exists() || String::from_utf8_lossy(&run.stderr).contains("unshare failed") {
        eprintln!("skipped: no mount namespace of our own");
        return;
    }
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("Init System found: openrc") && said.contains("supervisor=supervise-daemon"), "{said}");
    let told = std::fs::read_to_string(&told).expect("commands");
    assert_eq!(told, "rc-update add baton default\nrc-service baton stop\nrc-update delete baton default\n");
}
