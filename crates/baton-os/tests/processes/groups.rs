//! Control groups, where this machine lets us make some.

use crate::spawn::{end_of, outcome, prepare, shell};
use crate::tree::{KEY, escape, python, sweeper, told};
use baton_core::spec::GroupLimits;
use baton_core::units::{Incarnation, InstanceId};
use baton_core::world::{Exit, Signal};
use baton_os::cgroup::{Group, Groups, are_together, sweep};
use baton_os::process::Process;
use baton_os::spawn::GroupFolder;
use baton_os::tree::{Belongings, TreeReport};
use std::io::{BufRead, Read};
use std::path::Path;

/// Groups of a home of the test's own, or word that it did not run.
fn groups(test: &str) -> Option<(Groups, tempfile::TempDir)> {
    let home = tempfile::tempdir().unwrap();
    match Groups::find(home.path(), None) {
        Ok(groups) => Some((groups, home)),
        Err(lack) => {
            println!("NOT TESTED: {test}: {lack}");
            None
        }
    }
}

fn make(groups: &Groups, life: u64) -> (Group, GroupFolder) {
    let group = groups.of(InstanceId(0), Incarnation(life));
    let folder = groups.make(&group, &GroupLimits::default()).unwrap();
    (group, GroupFolder { folder, needed: true })
}

pub(crate) fn a_program_begins_in_its_group_and_the_group_tells_that_it_has_ended() {
    let Some((groups, home)) = groups("a program in a control group") else { return };
    let (group, folder) = make(&groups, 1);
    assert!(!group.is_populated());
    let (mut launch, mut output) = shell("grep ^0:: /proc/self/cgroup; sleep 1000 </dev/null >/dev/null 2>&1 & exit 3");
    launch.group = Some(folder);
    let (process, mut report) = prepare(&launch).unwrap().go().unwrap();
    drop(launch);
    outcome(&mut report).unwrap();
    let pid = process.identity().pid;
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    let name = group.folder().file_name().unwrap().to_str().unwrap();
    assert!(text.trim().ends_with(&format!("/{name}")), "{text}");
    assert_eq!(Group::of_process(pid, home.path()).as_ref(), Some(&group), "a zombie, too");
    assert_eq!(Group::of_process(pid, Path::new("/another/home")), None);
    assert!(are_together(pid, std::process::id()), "both were given the same group");
    assert_eq!(end_of(&process), Exit::Code(3));
    let members = group.members();
    assert!(group.is_populated() && members.len() == 1, "{members:?}");
    assert!(!group.remove(), "something lives there");
    sweep(groups.folder(), home.path(), |_| false);
    assert!(group.folder().exists());
    let left = Process::identify(members[0]).unwrap().unwrap();
    assert!(group.kill(&[members[0]]).is_err(), "it is spared");
    group.kill(&[1]).unwrap();
    crate::spawn::wait_readable(&left);
    assert!(!group.is_populated());
    sweep(groups.folder(), home.path(), |known| *known == group);
    assert!(group.folder().exists(), "it is known");
    sweep(groups.folder(), Path::new("/another/home"), |_| false);
    assert!(group.folder().exists(), "it is another's");
    sweep(groups.folder(), home.path(), |_| false);
    assert!(!group.folder().exists());
}

pub(crate) fn who_has_shed_every_sign_is_found_by_the_group() {
    let Some((groups, _home)) = groups("a process that nothing but its control group gives away") else { return };
    let (group, folder) = make(&groups, 2);
    let other_user = "os.closerange(0, 64)\n    os.execve('/bin/sleep', ['sleep', '1000'], {})";
    let (mut launch, mut output) = python(&escape(other_user));
    launch.group = Some(folder);
    launch.env.push(("BATON_MARK".into(), "home/0/2".into()));
    let (leader, mut report) = prepare(&launch).unwrap().go().unwrap();
    drop(launch);
    outcome(&mut report).unwrap();
    let hidden = told(&mut output);
    // Its last descriptors close with its exec, and so its mark is gone.
    assert_eq!(output.read_line(&mut String::new()).unwrap(), 0);
    crate::spawn::wait_readable(&leader);
    let belongings = |group| Belongings {
        leader: leader.identity().clone(),
        mark: "home/0/2".into(),
        fifos: Vec::new(),
        outputs: Vec::new(),
        group,
    };
    let (blind, reports) = sweeper();
    blind.kill(KEY, belongings(None));
    assert_eq!(reports.recv().unwrap(), TreeReport::Gone(KEY));
    assert!(group.is_populated(), "nothing else gives it away");
    let (sweeper, reports) = sweeper();
    sweeper.signal(KEY, belongings(Some(group.clone())), Signal(1));
    sweeper.await_gone(KEY, belongings(Some(group.clone())));
    assert_eq!(reports.recv().unwrap(), TreeReport::Gone(KEY));
    crate::spawn::wait_readable(&hidden);
    assert!(!group.is_populated() && group.remove());
    assert_eq!(end_of(&leader), Exit::Code(0));
}

pub(crate) fn a_group_whose_members_go_on_forking_is_killed_whole() {
    let Some((groups, _home)) = groups("a fork bomb in a control group") else { return };
    let (group, folder) = make(&groups, 3);
    let (mut launch, _output) = shell("trap '' INT TERM; again() { setsid sleep 0.01; again & }; again & again & wait");
    launch.group = Some(folder);
    let (leader, mut report) = prepare(&launch).unwrap().go().unwrap();
    outcome(&mut report).unwrap();
    let (sweeper, reports) = sweeper();
    let leader_identity = leader.identity().clone();
    let group_of = Some(group.clone());
    let (mark, fifos, outputs) = (String::new(), Vec::new(), Vec::new());
    sweeper.kill(KEY, Belongings { leader: leader_identity, mark, fifos, outputs, group: group_of });
    assert_eq!(reports.recv().unwrap(), TreeReport::Gone(KEY));
    assert!(!group.is_populated() && group.remove());
    assert_eq!(end_of(&leader), Exit::Signal(Signal::KILL));
}

pub(crate) fn limits_are_kept_or_refused_with_the_reason() {
    let Some((groups, _home)) = groups("limits of a control group") else { return };
    let group = groups.of(InstanceId(0), Incarnation(4));
    let limits = GroupLimits { tasks: Some(7), ..GroupLimits::default() };
    match groups.make(&group, &limits) {
        Ok(_) => {
            assert_eq!(std::fs::read_to_string(group.folder().join("pids.max")).unwrap(), "7\n");
            groups.limit(&group, &GroupLimits::default()).unwrap();
            assert_eq!(std::fs::read_to_string(group.folder().join("pids.max")).unwrap(), "max\n");
            assert!(group.remove());
        }
        Err(why) => {
            println!("NOT TESTED: limits of a control group that are kept: {why}");
            assert!(why.starts_with("the control group "), "{why}");
            assert!(!group.folder().exists(), "nothing is left of it");
        }
    }
}

pub(crate) fn room_is_made_for_limits_where_only_we_are_in_the_way() {
    let test = "a group that is emptied for limits";
    let Some((outer, home)) = groups(test) else { return };
    let there = std::fs::read_to_string(outer.folder().join("cgroup.controllers")).unwrap();
    let Some(controller) = there.split_whitespace().next() else {
        println!("NOT TESTED: {test}: no controller is there");
        return;
    };
    let control = outer.folder().join("cgroup.subtree_control");
    let was_there = std::fs::read_to_string(&control).unwrap().split_whitespace().any(|name| name == controller);
    if let Err(why) = outer.enable(&[controller]) {
        println!("NOT TESTED: {test}: {why}");
        return;
    }
    let given = outer.folder().join(format!("room-{}", std::process::id()));
    std::fs::create_dir(&given).unwrap();
    let enter = |group: &Path| std::fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    enter(&given);
    let inner = Groups::find(home.path(), None).unwrap();
    assert_eq!(inner.folder(), given);
    assert!(inner.are_for_all());
    let (mut launch, _output) = shell("exec sleep 1000");
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let folder = rustix::fs::open(&given, flags, rustix::fs::Mode::empty()).unwrap();
    launch.group = Some(GroupFolder { folder, needed: true });
    let (stranger, mut report) = prepare(&launch).unwrap().go().unwrap();
    outcome(&mut report).unwrap();
    let refused = inner.enable(&[controller]).unwrap_err();
    assert!(refused.contains("has processes that are not baton's"), "{refused}");
    stranger.signal(Signal::KILL).unwrap();
    end_of(&stranger);
    inner.enable(&[controller]).unwrap();
    let own = given.join(baton_os::cgroup::OWN);
    assert!(Group::at(&own).members().contains(&std::process::id()));
    assert_eq!(Groups::find(home.path(), None).unwrap().folder(), given, "a successor finds the same place");
    enter(outer.folder());
    assert!(Group::at(&given).remove());
    if !was_there {
        // Refused where somebody has come to need it meanwhile.
        let _ = std::fs::write(&control, format!("-{controller}"));
    }
}
