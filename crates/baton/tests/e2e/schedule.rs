//! Jobs: run at their times, with an end for each run, over deaths of the daemon.

use crate::harness::{Baton, alive, ended, kill, terminate, testapp};
use baton_core::world::{InstanceView, JobView, Outcome, Status};
use serde_json::{Value, json};

fn start(baton: &Baton, args: &str, schedule: Value) {
    let app = json!({"name": "job", "script": testapp(), "args": args, "schedule": schedule});
    baton.file("ecosystem.config.json", json!({ "apps": [app] }).to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
}

fn job(list: &[InstanceView]) -> Option<&JobView> {
    list.iter().find(|view| view.name == "job")?.job.as_deref()
}

fn runs(baton: &Baton) -> Vec<Value> {
    let run = baton.run(["schedule", "job", "--json"]).ok();
    let all: Value = serde_json::from_str(&run.stdout).expect("json");
    all[0]["runs"].as_array().expect("runs").clone()
}

#[test]
fn a_job_runs_at_its_times_is_told_as_scheduled_in_between_and_stays_down_when_it_is_stopped() {
    let baton = Baton::new();
    start(&baton, "out:ran exit:0", json!("* * * * * *"));
    baton.wait_log("job-out.log", "ran\nran\nran\n");
    let mut between = baton.connect_to_any();
    between.wait_for("a rest between two runs", |list| {
        job(list).is_some_and(|job| job.idle && job.next.is_some() && job.last.is_some())
    });
    // One that is not due soon: what it looks like does not change while it is looked at.
    start(&baton, "out:ran exit:0", json!({"cron": "0 3 1 1 *", "timezone": "Europe/Berlin"}));
    between.wait_for("the rest", |list| job(list).is_some_and(|job| job.idle));
    baton.run(["ls"]).ok().stdout_has("scheduled");
    baton.run(["describe", "job"]).ok().stdout_has("CRON_TZ=Europe/Berlin 0 3 1 1 *").stdout_has("next run");
    baton.run(["why", "job"]).ok().stdout_has("job (0) is scheduled").stdout_has("it was time: * * * * * *");
    baton.run(["schedule"]).ok().stdout_has("job (0)").stdout_has("succeeded after");
    let entry = baton.entry("job");
    // PM2's readers find its word, and no restarts.
    assert_eq!((&entry["pm2_env"]["status"], &entry["pm2_env"]["restart_time"]), (&json!("stopped"), &json!(0)));
    assert!(runs(&baton).iter().all(|run| run["outcome"] == "succeeded" && run["due"].is_u64()));

    baton.run(["stop", "job"]).ok();
    baton.run(["schedule", "job"]).ok().stdout_has("next run: none: it is stopped");
    let before = runs(&baton).len();
    baton.run(["schedule", "job", "--now"]).ok();
    baton.wait_for("the run by hand", |list| {
        list.iter().any(|view| view.status == Status::Stopped && view.job.as_ref().is_some_and(|job| !job.armed))
            && job(list)
                .is_some_and(|job| job.last.as_ref().is_some_and(|run| run.due.is_none() && run.cause.is_some()))
    });
    baton.run(["schedule", "job"]).ok().stdout_has("by hand").stdout_has("job (0) is stopped");
    assert_eq!(runs(&baton).len(), (before + 1).min(20));
    baton.run(["save"]).ok();
    assert!(std::fs::read_to_string(baton.home().join("dump.pm2")).expect("a dump").contains(r#""armed": false"#));
}

#[test]
fn a_run_that_takes_too_long_is_ended_with_its_children_and_told_as_failed() {
    let baton = Baton::new();
    start(&baton, "session:wait wait", json!({"cron": "* * * * * *", "timeout": "300ms", "overlap": "skip"}));
    let log = baton.wait_log("job-out.log", "child ");
    let failed = |list: &[InstanceView]| {
        job(list).is_some_and(|job| job.last.as_ref().is_some_and(|run| run.outcome() == Outcome::Failed))
    };
    baton.wait_for("a run that has failed", failed);
    let child = log.lines().find_map(|line| line.strip_prefix("child ")).expect("a child").parse().expect("a pid");
    ended(child);
    baton.run(["stop", "job"]).ok();
    baton.run(["schedule", "job"]).ok().stdout_has("failed: the run took longer than its timeout of 300 ms");
    baton.run(["events", "job", "--nostream"]).ok().stdout_has("the run took longer than its timeout of 300 ms");
}

#[test]
fn runs_and_what_is_remembered_of_them_survive_the_daemon() {
    let baton = Baton::new();
    start(&baton, "out:ran wait", json!({"cron": "0 3 1 1 *"}));
    baton.run(["schedule", "job", "--now"]).ok();
    baton.wait_log("job-out.log", "ran\n");
    let (pid, daemon) = (baton.pid("job"), baton.daemon());
    kill(daemon);
    baton.connect_to_successor(daemon);
    assert!(alive(pid), "the run goes on");
    baton.run(["schedule", "job"]).ok().stdout_has("running");
    // It ends under the successor, and its next time is known there.
    baton.run(["sendSignal", "SIGKILL", "job"]).ok();
    baton.wait_for("the end of the run", |list| job(list).is_some_and(|job| job.idle && job.next.is_some()));
    baton.run(["schedule", "job"]).ok().stdout_has("failed: the process was ended by SIGKILL");
    let daemon = baton.daemon();
    kill(daemon);
    baton.connect_to_successor(daemon);
    let after = runs(&baton);
    assert_eq!((after.len(), &after[0]["outcome"]), (1, &json!("failed")));
}

#[test]
fn what_was_due_between_the_end_of_the_daemon_and_a_resurrect_is_made_up_for_and_the_runs_are_remembered() {
    let baton = Baton::new();
    start(&baton, "out:ran exit:0", json!("* * * * * *"));
    baton.wait_log("job-out.log", "ran\n");
    baton.run(["save"]).ok();
    assert!(std::fs::read_to_string(baton.home().join("dump.pm2")).expect("a dump").contains(r#""armed": true"#));
    let (daemon, guard) = (baton.daemon(), baton.guard());
    // As the system ends a service: everything goes, and `resurrect` brings back what was saved.
    terminate(daemon);
    ended(daemon);
    ended(guard);
    let kept: Value =
        serde_json::from_slice(&std::fs::read(baton.home().join("jobs.json")).expect("kept")).expect("json");
    let due = kept[0]["job"]["next"]["at"]["time"].as_u64().expect("the next time");
    let ran = kept[0]["job"]["runs"].as_array().expect("runs").len();
    baton.run(["resurrect"]).ok();
    baton.wait_for("a run", |list| {
        job(list)
            .is_some_and(|job| job.last.as_ref().is_some_and(|run| run.due >= Some(baton_core::units::WallTime(due))))
    });
    let runs = runs(&baton);
    assert!(ran > 0 && runs.len() > ran, "{runs:?}");
    assert_eq!(runs.iter().filter(|run| run["due"] == due).count(), 1, "the time that nobody was there for: {runs:?}");
    assert!(!baton.home().join("jobs.json").exists(), "it counts once");
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused_where_it_stands() {
    let baton = Baton::new();
    let refused = |more: &str, told: &str| {
        baton.file("bad.yaml", format!("apps:\n  - name: job\n    script: {}\n{more}\n", testapp().display()));
        baton.run(["start", "bad.yaml"]).code(1).says("bad.yaml").says(told);
    };
    refused("    schedule: often", "is no cron pattern");
    refused("    schedule: { cron: '@daily', timezone: Berlin }", "`Berlin` is no time zone");
    refused("    schedule: { cron: '@daily', overlap: kill }", "its overlap is not one of skip, queue, replace");
    refused("    schedule: '@daily'\n    cron_restart: '@daily'", "leave `cron_restart` out");
    refused("    schedule: '@daily'\n    watch: true", "leave `watch` out");
    baton.run(["schedule", "--now"]).code(1);
}
