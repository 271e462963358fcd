//! Files of the state that are cut off, emptied or overwritten.

use super::runs;
use crate::harness::{Baton, Watch, alive, kill, testapp};
use baton_core::world::Status;
use std::path::PathBuf;
use std::process::Stdio;

/// Files below the home that are neither logs nor sockets nor the program.
fn files(baton: &Baton) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut folders = vec![baton.home().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let kind = entry.file_type().expect("a kind");
            let name = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() && name != "logs" {
                folders.push(entry.path());
            } else if kind.is_file() && !name.ends_with(".log") && !name.contains("lock") {
                all.push(entry.path());
            }
        }
    }
    all.sort();
    all
}

#[test]
fn a_broken_file_is_set_aside_by_name_and_no_app_runs_twice() {
    let sample = Baton::new();
    sample.start("a", &["wait"]);
    sample.run(["save"]).ok();
    let names: Vec<PathBuf> =
        files(&sample).iter().map(|path| path.strip_prefix(sample.home()).expect("below").to_owned()).collect();
    assert!(names.len() >= 3, "{names:?}");
    for name in &names {
        for harm in ["cut", "emptied", "overwritten"] {
            let baton = Baton::new();
            baton.start("a", &["wait"]);
            baton.start("b", &["wait"]);
            baton.run(["save"]).ok();
            let (a, b) = (baton.pid("a"), baton.pid("b"));
            baton.kill_both();
            let path = baton.home().join(name);
            let Ok(content) = std::fs::read(&path) else { continue };
            let broken = match harm {
                "cut" => content[..content.len() / 2].to_vec(),
                "emptied" => Vec::new(),
                _ => content.iter().map(|byte| byte ^ 0x5a).collect(),
            };
            std::fs::write(&path, broken).expect("a file");
            let what = format!("{} {harm}", name.display());
            let list = baton.run(["jlist"]).ok();
            let list: Vec<serde_json::Value> =
                serde_json::from_str(&list.stdout).unwrap_or_else(|error| panic!("{what}: {error}"));
            // Each app has one process, and that is in the list: its first, or another in its place.
            for (app, first) in [("a", a), ("b", b)] {
                let entries: Vec<&serde_json::Value> = list.iter().filter(|entry| entry["name"] == app).collect();
                assert_eq!(entries.len(), 1, "{what}: {app} in {list:?}");
                let pid = entries[0]["pid"].as_u64();
                assert!(
                    pid == Some(u64::from(first)) || !alive(first),
                    "{what}: {app} is {pid:?}, and {first} runs on"
                );
            }
            let known: Vec<u64> = list.iter().filter_map(|entry| entry["pid"].as_u64()).collect();
            for pid in super::of_home(&baton) {
                assert!(known.contains(&u64::from(pid)), "{what}: {pid} is supervised by nobody");
            }
        }
    }
}

#[test]
fn two_commands_at_once_give_exactly_what_is_declared() {
    let file = serde_json::json!([
        {"name": "one", "script": testapp(), "args": "wait", "min_uptime": 50},
        {"name": "three", "script": testapp(), "args": "wait", "instances": 3, "min_uptime": 50},
    ])
    .to_string();
    let commands: &[&[&str]] =
        &[&["start", "ecosystem.config.json"], &["sync", "ecosystem.config.json"], &["resurrect"]];
    for command in commands {
        for _ in 0..runs(2, 50) {
            let baton = Baton::new();
            baton.file("ecosystem.config.json", &file);
            if *command == ["resurrect"] {
                baton.run(["start", "ecosystem.config.json"]).ok();
                baton.run(["save"]).ok();
                baton.run(["kill"]).ok();
            }
            // There is no daemon: each of them wants to begin one.
            let all: Vec<std::process::Child> = (0..4)
                .map(|_| {
                    baton.command(*command).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
                })
                .collect();
            for child in all {
                let output = child.wait_with_output().expect("it ends");
                let said = String::from_utf8_lossy(&output.stderr);
                // Two passes of one source at once: one of them may be refused by name.
                assert!(output.status.success() || said.contains("under way"), "{command:?}: {said}");
            }
            let mut names: Vec<String> = baton
                .wait_for("rest", |list| list.iter().all(|view| view.status == Status::Online))
                .into_iter()
                .map(|view| view.name)
                .collect();
            names.sort();
            assert_eq!(names, ["one", "three", "three", "three"], "{command:?}");
            assert_eq!(super::of_home(&baton).len(), 4, "{command:?}");
        }
    }
}

/// A home on a file system of a few pages, which is full at some moment.
#[test]
fn a_full_disk_ends_nothing_and_is_told() {
    let baton = Baton::new();
    let disk = baton.dir().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    if mount(&disk).is_err() {
        assert!(
            std::env::var_os("CI").is_none() || !rustix::process::geteuid().is_root(),
            "no file system can be mounted"
        );
        eprintln!("skipped: only root can mount a file system");
        return;
    }
    let baton = Baton::called_on("baton", &disk.join("home"));
    std::fs::create_dir(baton.home()).expect("a home");
    baton.start("a", &["wait"]);
    let (daemon, app) = (baton.daemon(), baton.pid("a"));
    let filler = disk.join("filler");
    let mut file = std::fs::File::create(&filler).expect("a file");
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    while std::io::Write::write_all(&mut file, &[0]).is_ok() {}
    // What can't be kept is refused, or told.
    let start = baton.run(["start", testapp().to_str().expect("a path"), "--name", "b", "--", "wait"]);
    let status = baton.run(["status"]).ok();
    let told = format!("{start}{status}");
    assert!(told.contains("No space left"), "{told}");
    assert_eq!((baton.daemon(), baton.pid("a")), (daemon, app));
    drop(file);
    std::fs::remove_file(&filler).expect("room");
    // It recovers by itself, without another command.
    let state =
        |text: &str| std::fs::read_to_string(baton.home().join("state.json")).is_ok_and(|state| state.contains(text));
    let watch = Watch::on(baton.home());
    while !state(r#""name":"b""#) {
        watch.wait("the state to be written");
    }
    let status = baton.run(["status"]).ok();
    assert!(!status.stderr.contains("No space left"), "{status}");
    kill(daemon);
    baton.connect_to_successor(daemon);
    assert_eq!(baton.pid("a"), app);
    assert_eq!(baton.entry("b")["pm2_env"]["status"], "online");
    baton.run(["kill"]).ok();
    rustix::mount::unmount(&disk, rustix::mount::UnmountFlags::DETACH).expect("unmounted");
}

fn mount(at: &std::path::Path) -> rustix::io::Result<()> {
    let options = std::ffi::CString::new("size=1m,nr_inodes=2k").expect("no NUL");
    rustix::mount::mount("tmpfs", at, "tmpfs", rustix::mount::MountFlags::empty(), Some(options.as_c_str()))
}
