//! Files of the state that are cut off, emptied or overwritten.

use crate::harness::{Baton, alive, ended, kill};
use std::path::PathBuf;

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

/// Ends daemon and guard at once.
fn strike(baton: &Baton) {
    let (daemon, guard) = (baton.daemon(), baton.guard());
    kill(guard);
    kill(daemon);
    ended(guard);
    ended(daemon);
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
            strike(&baton);
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
