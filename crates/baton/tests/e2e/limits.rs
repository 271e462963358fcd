//! What an app may use of the machine.

use crate::harness::{Baton, Watch, alive, ended, kill, testapp};
use baton_core::world::{InstanceView, Status};
use baton_os::cgroup::{Group, Groups};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The control group that an app's process is in.
fn group_of(baton: &Baton, name: &str) -> PathBuf {
    let group = Group::of_process(baton.pid(name), baton.home());
    group.unwrap_or_else(|| panic!("{name} is in no group of its own")).folder().to_owned()
}

/// A group that a daemon is given, with nothing of others in it.
struct Given(Option<PathBuf>);

impl Given {
    /// One of a test's own. To be made before what uses it, so that it goes after that.
    fn new(test: &str) -> Given {
        let made = Groups::find(Path::new("/"), None).map_err(|lack| lack.to_string()).and_then(|groups| {
            let folder = groups.folder().join(format!("{test}-{}", std::process::id()));
            std::fs::create_dir(&folder).map(|()| folder).map_err(|error| error.to_string())
        });
        if let Err(why) = &made {
            eprintln!("NOT TESTED: {test}: {why}");
        }
        Given(made.ok())
    }

    /// Gives it to a daemon, which ends for that and has a successor.
    fn to(&self, baton: &Baton) -> bool {
        let Some(folder) = &self.0 else { return false };
        baton.run(["ls"]).ok();
        let daemon = baton.daemon();
        for pid in [baton.guard(), daemon] {
            std::fs::write(folder.join("cgroup.procs"), pid.to_string()).expect("moved");
        }
        kill(daemon);
        drop(baton.connect_to_successor(daemon));
        true
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            Group::at(folder).remove();
        }
    }
}

/// A home whose daemon was given a group. The daemon goes before the group does.
struct Grouped {
    baton: Baton,
    _given: Given,
}

impl Grouped {
    /// One of a test's own, or word that it did not run.
    fn new(test: &str) -> Option<Grouped> {
        let (given, baton) = (Given::new(test), Baton::new());
        given.to(&baton).then_some(Grouped { baton, _given: given })
    }

    /// Starts an app that lets a process go; that process, and the app's group.
    fn shed(&self) -> (u32, PathBuf) {
        self.baton.file("shed.py", SHED);
        self.baton.run(["start", "shed.py"]).ok();
        let child = child_in(&self.baton.wait_log("shed-out.log", "left"));
        (child, group_of(&self.baton, "shed"))
    }
}

/// Waits until a group is removed.
fn removed(group: &Path) {
    let watch = Watch::on(group.parent().expect("a parent"));
    while group.exists() {
        watch.wait("the removal of a control group");
    }
}

/// Starts, in a tree that it then leaves in every way, a process with neither our variables nor our descriptors.
const SHED: &str = "import os, time
gone, kept = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print('child', os.getpid(), flush=True)
        os.closerange(0, 256)
        os.execve('/bin/sleep', ['sleep', '1000'], {})
    os._exit(0)
os.close(kept)
os.wait()
os.read(gone, 1)
print('left', flush=True)
time.sleep(1000)
";

fn child_in(log: &str) -> u32 {
    log.lines().find_map(|line| line.strip_prefix("child ")?.trim().parse().ok()).expect("a child")
}

#[test]
fn an_app_has_its_niceness_and_limits_and_a_change_of_them_is_a_new_process() {
    let baton = Baton::new();
    let script = "nice; ulimit -n; ulimit -c; cat /proc/self/oom_score_adj; echo end; exec sleep 1000";
    let config = |nofile: u32| {
        let limits = json!({"nofile": {"soft": nofile, "hard": 99}, "CORE": 0});
        json!([{"name": "n", "script": script, "nice": 5, "rlimits": limits, "oom_score_adj": 500}]).to_string()
    };
    baton.file("ecosystem.config.json", config(77));
    baton.run(["start", "ecosystem.config.json"]).ok();
    assert_eq!(baton.wait_log("n-out.log", "end\n"), "5\n77\n0\n500\nend\n");
    let pid = baton.pid("n");
    baton.file("ecosystem.config.json", config(78));
    baton.run(["plan", "ecosystem.config.json"]).stdout_has("rlimits");
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.wait_log("n-out.log", "5\n78\n0\n500\nend\n");
    assert_ne!(baton.pid("n"), pid);
}

#[test]
fn an_app_whose_limits_cannot_be_set_does_not_start_and_the_others_do() {
    let baton = Baton::new();
    let config = json!([
        {"name": "bad", "script": testapp(), "args": "wait", "rlimits": {"nofile": {"hard": 1_u64 << 40}}},
        {"name": "good", "script": testapp(), "args": "wait"},
    ]);
    baton.file("ecosystem.config.json", config.to_string());
    baton
        .run(["start", "ecosystem.config.json"])
        .code(1)
        .stderr_has("cannot set the limit nofile to 1099511627776 (hard)");
    baton.wait_status("bad", Status::Errored);
    baton.wait_status("good", Status::Online);
    baton.run(["why", "bad"]).stdout_has("operation not permitted");
    baton.file("wrong.json", json!([{"script": testapp(), "rlimits": {"files": 3}}]).to_string());
    baton.run(["start", "wrong.json"]).code(1).stderr_has("there is no limit `files`").stderr_has("nofile");
}

#[test]
fn nobody_escapes_a_stop_and_no_group_is_left_where_there_are_control_groups() {
    let Some(grouped) = Grouped::new("escape") else { return };
    let (baton, (child, group)) = (&grouped.baton, grouped.shed());
    assert!(alive(child));
    baton.run(["restart", "shed"]).ok();
    assert!(!alive(child), "it is ended before the next life begins");
    removed(&group);
    let next = group_of(baton, "shed");
    assert_ne!(next, group, "each life has its own");
    baton.run(["delete", "shed"]).ok();
    removed(&next);
}

#[test]
fn control_groups_are_found_again_after_the_death_of_daemon_and_guard() {
    let Some(grouped) = Grouped::new("again") else { return };
    let (baton, (child, group)) = (&grouped.baton, grouped.shed());
    let (daemon, guard) = (baton.daemon(), baton.guard());
    kill(daemon);
    drop(baton.connect_to_successor(daemon));
    assert!(group.exists() && alive(child));
    // A start that nobody lived to see.
    let left = group.with_file_name(format!("{}9", group.file_name().expect("a name").to_str().expect("text")));
    std::fs::create_dir(&left).expect("a group");
    let daemon = baton.daemon();
    for pid in [guard, daemon] {
        kill(pid);
    }
    ended(daemon);
    baton.run(["ls"]).ok();
    assert_eq!(group_of(baton, "shed"), group);
    assert!(!left.exists(), "what nobody knows is removed");
    baton.run(["stop", "shed"]).ok();
    assert!(!alive(child));
    removed(&group);
}

#[test]
fn children_that_may_stay_keep_their_control_group_until_they_have_ended() {
    let Some(grouped) = Grouped::new("stay") else { return };
    let baton = &grouped.baton;
    let script = format!("{} child:wait wait", testapp().display());
    baton.run(["start", &script, "--name", "t", "--no-treekill"]).ok();
    let child = child_in(&baton.wait_log("t-out.log", "child "));
    let group = group_of(baton, "t");
    baton.run(["stop", "t"]).ok();
    assert!(alive(child) && group.exists());
    kill(child);
    removed(&group);
}

#[test]
fn a_daemon_that_an_app_of_another_starts_does_not_end_with_that_app() {
    let given = Given::new("another");
    let (outer, inner) = (Baton::new(), Baton::new());
    let grouped = given.to(&outer);
    let program = env!("CARGO_BIN_EXE_baton");
    let home = inner.home().display();
    let start = format!("env -u PM2_HOME BATON_HOME={home} {program} start 'sleep 1000' --name inner");
    outer.run(["start", &format!("{start}; echo done; exec sleep 1000"), "--name", "outer"]).ok();
    outer.wait_log("outer-out.log", "done");
    let pid = inner.pid("inner");
    outer.run(["stop", "outer"]).ok();
    assert!(alive(pid) && alive(inner.daemon()) && alive(inner.guard()));
    if grouped {
        assert_eq!(group_of(&inner, "inner").parent(), given.0.as_deref(), "not in the group of the app");
    }
}

#[test]
fn a_limit_that_nothing_keeps_is_refused_and_one_that_is_kept_follows_the_definition() {
    let baton = Baton::new();
    let config =
        |tasks: u32| json!([{"name": "m", "script": testapp(), "args": "wait", "tasks_max": tasks}]).to_string();
    baton.file("ecosystem.config.json", config(20));
    baton.run(["sync", "ecosystem.config.json"]);
    let begun = |view: &InstanceView| matches!(view.status, Status::Online | Status::Errored);
    let list = baton.wait_for("m to begin", |list| list.iter().any(begun));
    if list[0].status == Status::Online {
        let file = group_of(&baton, "m").join("pids.max");
        assert_eq!(std::fs::read_to_string(&file).expect("the kernel's word"), "20\n");
        let (pid, watch) = (baton.pid("m"), Watch::on(file.parent().expect("folder")));
        baton.file("ecosystem.config.json", config(30));
        baton.run(["sync", "ecosystem.config.json"]).ok();
        while std::fs::read_to_string(&file).expect("the kernel's word") != "30\n" {
            watch.wait("the new limit");
        }
        assert_eq!(baton.pid("m"), pid, "the same process");
    } else {
        let why = baton.run(["why", "m"]).stdout_has("cannot keep tasks_max: ").stdout;
        eprintln!("NOT TESTED: limits that control groups keep: {}", why.trim());
    }
}

#[test]
fn a_running_app_that_cannot_have_a_new_limit_is_told_until_it_ends() {
    let baton = Baton::new();
    let config = |more: serde_json::Value| {
        let mut app = json!({"name": "m", "script": testapp(), "args": "wait"});
        app.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        json!([app]).to_string()
    };
    baton.file("ecosystem.config.json", config(json!({})));
    baton.run(["sync", "ecosystem.config.json"]).ok();
    let pid = baton.pid("m");
    baton.file("ecosystem.config.json", config(json!({"tasks_max": 20})));
    baton.run(["sync", "ecosystem.config.json"]).ok();
    assert_eq!(baton.pid("m"), pid, "a limit is no reason for a new process");
    let told = "m (0) runs without its new tasks_max: ";
    // The group of the whole machine, or none: it began without one.
    if Group::of_process(pid, baton.home()).is_none() {
        baton.run(["ls"]).ok().stderr_has(told);
        baton.run(["stop", "m"]).ok();
        let list = baton.run(["ls"]).ok();
        assert!(!list.stderr.contains(told), "{}", list.stderr);
    } else {
        eprintln!("NOT TESTED: a limit that a running app can't have: it has a control group");
    }
}

#[test]
fn an_app_that_the_kernel_ends_for_memory_says_so() {
    let baton = Baton::new();
    let config = json!([{
        "name": "big", "script": testapp(), "args": ["memory:200", "wait"], "memory_max": "40M", "max_restarts": 1,
    }]);
    baton.file("ecosystem.config.json", config.to_string());
    let run = baton.run(["start", "ecosystem.config.json"]);
    if run.stderr.contains("cannot keep memory_max") {
        eprintln!("NOT TESTED: an app without memory: {}", run.stderr.trim());
        return;
    }
    baton.wait_status("big", Status::Errored);
    baton.run(["why", "big"]).ok().stdout_has("killed by the kernel: out of memory (limit 40M)");
    let events = baton.run(["events", "big", "--nostream", "--json"]).ok();
    assert!(events.stdout.contains("\"out_of_memory\":41943040"), "{}", events.stdout);
}
