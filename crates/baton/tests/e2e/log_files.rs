//! Which files the output goes to and how its lines look there, beside PM2 where it can be compared.

use crate::beside_pm2::pair::{Pair, documented};
use crate::harness::{Baton, Watch, testapp};
use regex_lite::Regex;
use serde_json::{Value, json};

#[test]
fn dates_are_written_as_pm2_writes_them() {
    let Some(pair) = Pair::new() else { return };
    pair.file("lines.sh", "echo first; exec sleep 1000\n");
    let date = "[on] dddd ddd dd d, MMMM MMM MM M DD D YYYY YY [YYYY [HH] HH H hh h mm m ss s SSS A a Z ZZ ü/-_";
    let app = |name: &str, more: Value| {
        let mut app = json!({"name": name, "script": "lines.sh"});
        app.as_object_mut().expect("map").extend(more.as_object().expect("map").clone());
        app
    };
    let apps = json!([
        app("dated", json!({"log_date_format": date})),
        app("timed", json!({"time": true})),
        app("json", json!({"log_type": "json"})),
        app("dated-json", json!({"log_type": "json", "log_date_format": date})),
        app("off", json!({"disable_logs": true})),
    ]);
    pair.file("ecosystem.config.json", &json!({ "apps": apps }).to_string());
    pair.each(&["start", "ecosystem.config.json"]);
    // The two are not started at the same moment: words and forms are compared, not numbers.
    let form = |text: &str| Regex::new("[0-9]+").expect("pattern").replace_all(text, "#").replace("AM", "PM");
    for name in ["dated", "timed"] {
        let (theirs, ours) = pair.logs(&format!("logs/{name}-out.log"), "first\n");
        assert_eq!(form(&theirs), form(&ours));
    }
    documented("`log_type: json`");
    for name in ["json", "dated-json"] {
        let (theirs, ours) = pair.logs(&format!("logs/{name}-out.log"), "}\n");
        let record = |text: &str| {
            let mut record: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
            record["message"] = record["message"].as_str().expect("text").trim_end().into();
            record["timestamp"] = form(record["timestamp"].as_str().expect("text")).into();
            record
        };
        assert_eq!(record(&theirs), record(&ours));
        assert_eq!(record(&ours)["message"], "first");
    }
}

#[test]
fn files_are_shared_numbered_made_with_their_folders_or_left_out() {
    let baton = Baton::new();
    let written = baton.dir().join("written");
    let config = json!([
        {"name": "merged", "script": testapp(), "args": ["out:mine", "err:mine", "wait"], "instances": 2,
            "exec_mode": "fork", "merge_logs": true, "out_file": "deep/er/merged.log", "error_file": "deep/down/merged.log"},
        {"name": "each", "script": testapp(), "args": ["out:mine", "err:mine", "wait"], "instances": 2, "exec_mode": "fork",
            "log_file": "all/each.log"},
        {"name": "silent", "script": testapp(), "args": ["spam:30000", format!("touch:{}", written.display()), "wait"],
            "disable_logs": true},
        {"name": "json", "script": testapp(), "args": ["err:one", "err:two", "wait"], "log_type": "json"},
    ]);
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    for folder in ["deep/er", "deep/down"] {
        baton.wait_file(&baton.dir().join(folder).join("merged.log"), "mine\nmine\n");
        assert_eq!(std::fs::read_dir(baton.dir().join(folder)).expect("folder").count(), 1, "one file for both");
    }
    for entry in baton.jlist().iter().filter(|entry| entry["name"] == "each") {
        let id = entry["pm_id"].as_u64().expect("id");
        baton.wait_log(&format!("each-out-{id}.log"), "mine\n");
        baton.wait_log(&format!("each-error-{id}.log"), "mine\n");
        baton.wait_file(&baton.dir().join(format!("all/each-{id}.log")), "mine\nmine\n");
    }
    // Two megabytes don't fit into a pipe: they are read all the same.
    let watch = Watch::on(baton.dir());
    while !written.exists() {
        watch.wait("the end of the output");
    }
    for name in ["silent-out.log", "silent-error.log"] {
        let text = std::fs::read(baton.home().join("logs").join(name)).unwrap_or_default();
        assert!(text.is_empty(), "{name}");
    }
    let text = baton.wait_log("json-error.log", "two");
    let id = baton.entry("json")["pm_id"].clone();
    for (line, message) in text.lines().zip(["one", "two"]) {
        let record: Value = serde_json::from_str(line).expect("a record");
        let time: jiff::Timestamp = record["timestamp"].as_str().expect("text").parse().expect("a time");
        assert!(time <= jiff::Timestamp::now());
        let mut record = record;
        record.as_object_mut().expect("map").remove("timestamp");
        assert_eq!(record, json!({"message": message, "type": "err", "process_id": id, "app_name": "json"}));
    }
}
