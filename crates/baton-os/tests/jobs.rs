//! Jobs on a clock that only the test moves, with the times of real patterns and zones: over the nights in which a zone
//! sets its clocks, and over jumps of the machine's own.

use baton_core::proto::{Command, Order, Wait, Wish};
use baton_core::spec::{AppSpec, Schedule};
use baton_core::step::{Event, step};
use baton_core::units::{InstanceId, Instant, Now, OpId, WallTime};
use baton_core::world::{Directories, Exit, Identity, Job, Next, State, World};
use baton_os::moments;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

const SLOT: InstanceId = InstanceId(0);
const MINUTE: u64 = 60_000;

/// A world with one job, whose runs end at once, and what stands between it and the clock.
struct Bench {
    world: World,
    wall: u64,
    at: u64,
    /// When runs began.
    began: Vec<String>,
}

fn wall(text: &str) -> u64 {
    let time: Timestamp = text.parse().expect("a time");
    u64::try_from(time.as_millisecond()).expect("after 1970")
}

impl Bench {
    fn new(pattern: &str, zone: &str, start: &str) -> Bench {
        let schedule: Schedule =
            serde_json::from_value(json!({"cron": pattern, "timezone": zone})).expect("a schedule");
        let world = World::new(Directories::default());
        let mut bench = Bench { world, wall: wall(start), at: 1_000, began: Vec::new() };
        let spec =
            AppSpec { name: "job".into(), script: "/w/job".into(), schedule: Some(schedule), ..AppSpec::default() };
        let apps = vec![Wish { spec, count: 1, brought: false }];
        let command = Command::Define { apps, order: Order::Dependencies, wait: Wait::Spawned };
        bench.step(Event::Command { op: OpId(1), command });
        bench
    }

    fn job(&self) -> &Job {
        self.world.instances[&SLOT].job.as_deref().expect("a job")
    }

    fn step(&mut self, event: Event) {
        let now = Now { instant: Instant(self.at), wall: WallTime(self.wall) };
        step(&mut self.world, now, event);
        let slot = &self.world.instances[&SLOT];
        if matches!(slot.state, State::Starting { .. }) {
            let at = i64::try_from(self.wall).expect("a time");
            self.began.push(Timestamp::from_millisecond(at).expect("a time").to_string());
            let (id, incarnation) = (SLOT, slot.incarnation);
            let identity = Identity { pid: 100, start_time: incarnation.0, boot_id: "b".into() };
            for event in [
                Event::Prepared { id, incarnation, identity },
                Event::Spawned { id, incarnation },
                Event::Exited { id, incarnation, exit: Exit::Code(0) },
                Event::TreeGone { id, incarnation },
            ] {
                step(&mut self.world, now, event);
            }
        }
        self.plan(|next| *next == Next::Unplanned);
    }

    /// As the daemon does: the next time of the pattern is found out.
    fn plan(&mut self, is_wanted: impl Fn(&Next) -> bool) {
        let slot = &self.world.instances[&SLOT];
        let Some((schedule, job)) = slot.armed_job().filter(|(_, job)| is_wanted(&job.next)) else { return };
        let (pattern, after) = (schedule.pattern(), job.plan_after(WallTime(self.wall)));
        let time = moments::next(&pattern, TimeZone::UTC, after);
        let now = Now { instant: Instant(self.at), wall: WallTime(self.wall) };
        step(&mut self.world, now, Event::Planned { id: SLOT, pattern, time });
    }

    /// Time goes on, and the alarm rings when the job is due.
    fn until(&mut self, end: &str) {
        let end = wall(end);
        while let Next::At(due) = self.job().next
            && due.at.0 <= end
        {
            self.at += due.at.0.saturating_sub(self.wall);
            self.wall = self.wall.max(due.at.0);
            self.step(Event::Clock);
        }
        self.at += end - self.wall;
        self.wall = end;
    }

    /// The clock is set, and the kernel tells.
    fn set(&mut self, to: &str) {
        self.wall = wall(to);
        self.step(Event::Clock);
        self.plan(|_| true);
    }
}

#[test]
fn a_night_whose_hour_is_left_out_or_comes_twice_has_one_run() {
    let mut bench = Bench::new("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z");
    bench.until("2026-03-30T12:00:00Z");
    let spring: Vec<&str> = bench.began.iter().map(|at| &at[..10]).collect();
    assert_eq!(spring, ["2026-03-28", "2026-03-29", "2026-03-30"], "{:?}", bench.began);
    let mut bench = Bench::new("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z");
    bench.until("2026-10-26T12:00:00Z");
    let autumn: Vec<&str> = bench.began.iter().map(|at| &at[..10]).collect();
    assert_eq!(autumn, ["2026-10-25", "2026-10-26"], "{:?}", bench.began);
    // Noon stays noon for those who live there.
    let mut bench = Bench::new("0 12 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z");
    bench.until("2026-03-29T23:00:00Z");
    assert_eq!(bench.began, ["2026-03-28T11:00:00Z", "2026-03-29T10:00:00Z"]);
}

#[test]
fn every_hour_of_such_a_day_counts_once_on_the_machines_clock() {
    for (from, to, hours) in
        [("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 23), ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 25)]
    {
        let mut bench = Bench::new("0 * * * *", "Europe/Berlin", from);
        bench.until(to);
        let gaps: Vec<u64> = bench.began.windows(2).map(|pair| (wall(&pair[1]) - wall(&pair[0])) / MINUTE).collect();
        assert!(gaps.iter().all(|gap| *gap == 60 || *gap == 120), "{gaps:?}");
        // An hour that comes twice may count once, as in `cron_restart`; none is acted on twice.
        assert!((hours - 1..=hours).contains(&bench.began.len()), "{:?}", bench.began);
    }
}

#[test]
fn a_clock_that_is_set_over_a_time_runs_it_once_and_one_that_is_set_back_a_little_does_not_run_it_again() {
    let mut bench = Bench::new("0 3 * * *", "UTC", "2026-11-21T02:00:00Z");
    bench.set("2026-11-21T09:00:00Z");
    assert_eq!(bench.began, ["2026-11-21T09:00:00Z"], "set forward over its time");
    bench.set("2026-11-21T02:30:00Z");
    bench.until("2026-11-21T23:00:00Z");
    assert_eq!(bench.began.len(), 1, "that time was acted on: {:?}", bench.began);
    bench.until("2026-11-22T03:00:01Z");
    bench.set("2026-11-22T02:59:59Z");
    bench.until("2026-11-22T12:00:00Z");
    assert_eq!(bench.began.len(), 2, "{:?}", bench.began);
    // A clock that was wrong by years is right again: what it had planned does not count.
    bench.set("2031-01-01T00:00:00Z");
    bench.set("2026-11-22T12:00:00Z");
    bench.until("2026-11-23T12:00:00Z");
    assert_eq!(bench.began.last().map(String::as_str), Some("2026-11-23T03:00:00Z"), "{:?}", bench.began);
}
