//! Jobs (`schedule`): what their times bring, on a clock that only the test moves. The times of a pattern are told by the
//! test, too: here every job is due at each full minute.

mod bench;

use baton_core::proto::{Action, Command, Done, Reply};
use baton_core::spec::{AppSpec, Missed, Overlap, Schedule};
use baton_core::step::{Effect, Effects, Event, Found, step};
use baton_core::units::{Incarnation, InstanceId, Instant, Millis, Now, OpId, WallTime};
use baton_core::world::{
    Cause, Detail, Directories, Exit, InstanceView, Job, Next, Outcome, RUNS, SpawnError, SpawnStage, State, Status,
    Verb, Wanted, World,
};
use bench::{acted, begun, defined, over};
use proptest::prelude::*;
use serde_json::json;

const SLOT: InstanceId = InstanceId(0);
const MINUTE: u64 = 60_000;
/// When the wall clock stands at the beginning, a full minute.
const NOON: u64 = 29_000_000 * MINUTE;

/// A world with one job that was started, and two clocks: one that goes on, and one that is set.
struct Bench {
    world: World,
    at: u64,
    wall: u64,
    ops: u64,
    replies: Vec<Reply>,
}

impl Bench {
    fn new(schedule: Schedule) -> Bench {
        let mut bench =
            Bench { world: World::new(Directories::default()), at: 10_000, wall: NOON, ops: 0, replies: Vec::new() };
        bench.define(AppSpec { schedule: Some(schedule), ..AppSpec::default() });
        bench
    }

    fn step(&mut self, event: Event) -> Effects {
        let now = Now { instant: Instant(self.at), wall: WallTime(self.wall) };
        let effects = step(&mut self.world, now, event);
        for effect in &effects {
            if let Effect::Reply { reply, .. } = effect {
                self.replies.push(reply.clone());
            }
        }
        effects
    }

    fn command(&mut self, command: Command) -> Effects {
        self.ops += 1;
        let effects = self.step(Event::Command { op: OpId(self.ops), command });
        self.plan();
        effects
    }

    fn define(&mut self, spec: AppSpec) -> Effects {
        let spec = AppSpec { name: "backup".into(), script: "/w/backup".into(), ..spec };
        self.command(defined(spec))
    }

    fn act(&mut self, action: Action) -> Effects {
        self.command(acted(action, "backup", json!({})))
    }

    /// What the edge does after each step: it finds out when the job is due next.
    fn plan(&mut self) {
        let slot = &self.world.instances[&SLOT];
        let Some((schedule, job)) = slot.armed_job().filter(|(_, job)| job.next == Next::Unplanned) else { return };
        let (pattern, after) = (schedule.pattern(), job.plan_after(WallTime(self.wall)));
        let time = Some(WallTime((after.0 / MINUTE + 1) * MINUTE));
        self.step(Event::Planned { id: SLOT, pattern, time });
    }

    fn slot(&self) -> &baton_core::world::Instance {
        &self.world.instances[&SLOT]
    }

    fn job(&self) -> &Job {
        self.slot().job.as_deref().expect("a job")
    }

    fn view(&self) -> InstanceView {
        self.slot().view(Now { instant: Instant(self.at), wall: WallTime(self.wall) }, Detail::History)
    }

    fn life(&self) -> Incarnation {
        self.slot().incarnation
    }

    /// Time goes on; timers strike, and the wall clock rings at each time of the job.
    fn pass(&mut self, millis: u64) -> Effects {
        let (end, mut effects) = (self.at + millis, Effects::new());
        loop {
            let timer = self.world.next_deadline().map(|due| due.0.max(self.at));
            let due = match (self.slot().armed_job(), self.job().next) {
                (Some(_), Next::At(due)) => Some(self.at + due.at.0.saturating_sub(self.wall)),
                _ => None,
            };
            let Some(next) = timer.into_iter().chain(due).min().filter(|next| *next <= end) else { break };
            self.wall += next - self.at;
            self.at = next;
            effects.extend(self.step(if timer == Some(next) { Event::Timer } else { Event::Clock }));
            self.plan();
        }
        self.wall += end - self.at;
        self.at = end;
        effects
    }

    /// The wall clock is set, and the edge tells so.
    fn set_clock(&mut self, wall: u64) -> Effects {
        self.wall = wall;
        let effects = self.step(Event::Clock);
        let next = WallTime((self.job().plan_after(WallTime(wall)).0 / MINUTE + 1) * MINUTE);
        if let Some((schedule, _)) = self.slot().armed_job() {
            let pattern = schedule.pattern();
            self.step(Event::Planned { id: SLOT, pattern, time: Some(next) });
        }
        effects
    }

    /// What was begun runs.
    fn run(&mut self) {
        for event in begun(SLOT, self.life()) {
            self.step(event);
        }
    }

    /// What runs ends, with everything that it had started.
    fn end(&mut self, exit: Exit) -> Effects {
        let effects = over(SLOT, self.life(), exit).into_iter().flat_map(|event| self.step(event)).collect();
        self.plan();
        effects
    }

    fn outcomes(&self) -> Vec<(&str, String)> {
        let told = |run: &baton_core::world::Run| {
            (run.outcome().as_str(), run.cause.as_ref().map(ToString::to_string).unwrap_or_default())
        };
        self.job().runs.iter().map(told).collect()
    }
}

fn spawns(effects: &Effects) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Spawn { .. })).count()
}

fn signals(effects: &Effects) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Signal { .. })).count()
}

fn minutely() -> Schedule {
    serde_json::from_value(json!({"cron": "* * * * *"})).expect("a schedule")
}

#[test]
fn a_job_is_armed_by_its_start_and_run_at_its_times_and_rests_in_between() {
    let mut bench = Bench::new(minutely());
    assert!(matches!(bench.replies.last(), Some(Reply::Outcomes(done)) if done[0].done == Done::Launched));
    assert!(matches!(bench.slot().state, State::Idle { .. }), "nothing runs yet");
    let view = bench.view();
    assert_eq!((view.status, view.word(), view.is_idle()), (Status::Stopped, "scheduled", true));
    assert_eq!(view.job.expect("a job").next, Some(WallTime(NOON + MINUTE)));
    assert_eq!(spawns(&bench.pass(MINUTE - 1)), 0);
    assert_eq!(spawns(&bench.pass(1)), 1, "on time");
    bench.run();
    assert_eq!(bench.view().status, Status::Online);
    bench.pass(2_000);
    bench.end(Exit::Code(0));
    assert_eq!(bench.view().word(), "scheduled");
    assert_eq!(bench.outcomes(), [("succeeded", "the process exited with code 0".to_owned())]);
    let run = &bench.job().runs[0];
    assert_eq!((run.due, run.began), (Some(WallTime(NOON + MINUTE)), Some(WallTime(NOON + MINUTE))));
    assert_eq!((run.ended, run.exit), (Some(WallTime(NOON + MINUTE + 2_000)), Some(Exit::Code(0))));
    assert_eq!(spawns(&bench.pass(MINUTE)), 1, "and again");
    assert_eq!(bench.slot().restarts, 0, "one run after another is no restart");
}

#[test]
fn a_run_that_fails_is_told_and_not_started_again_before_its_next_time() {
    let mut bench = Bench::new(minutely());
    for round in 0..40 {
        assert_eq!(spawns(&bench.pass(MINUTE)), 1, "round {round}: sixteen quick failures do not end it");
        bench.run();
        assert_eq!(spawns(&bench.end(Exit::Code(3))), 0);
    }
    assert_eq!(bench.view().word(), "failed");
    assert_eq!(bench.job().runs.len(), RUNS, "what is remembered is bounded");
    let last = bench.slot().transitions.back().expect("a transition");
    assert_eq!((last.to.as_str(), last.cause.to_string()), ("scheduled", "the process exited with code 3".into()));
}

#[test]
fn a_run_that_can_not_be_started_has_failed_and_the_next_is_tried() {
    let mut bench = Bench::new(minutely());
    bench.pass(MINUTE);
    let (id, incarnation) = (SLOT, bench.life());
    let error = SpawnError { stage: SpawnStage::Exec, errno: 2, message: "/w/backup: not found".into() };
    bench.step(Event::SpawnFailed { id, incarnation, error });
    bench.plan();
    assert_eq!(bench.outcomes(), [("failed", "could not be started: /w/backup: not found".to_owned())]);
    assert_eq!(spawns(&bench.pass(MINUTE)), 1);
}

#[test]
fn a_time_at_which_the_run_before_is_under_way_is_skipped_queued_or_takes_its_place() {
    let at = |overlap| {
        let mut bench = Bench::new(Schedule { overlap, ..minutely() });
        bench.pass(MINUTE);
        bench.run();
        (bench.pass(2 * MINUTE), bench)
    };
    let (effects, mut bench) = at(Overlap::Skip);
    assert_eq!((signals(&effects), spawns(&effects)), (0, 0));
    let words: Vec<_> = bench.outcomes().into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["skipped", "skipped", "running"], "the run under way stays the last");
    assert_eq!(spawns(&bench.end(Exit::Code(0))), 0);

    let (effects, mut bench) = at(Overlap::Queue);
    assert_eq!((signals(&effects), spawns(&effects)), (0, 0));
    assert_eq!(bench.job().queued, Some(WallTime(NOON + 2 * MINUTE)), "one waits, and no more");
    assert_eq!(spawns(&bench.end(Exit::Code(0))), 1, "it has its turn at once");
    bench.run();
    bench.end(Exit::Code(0));
    assert!(matches!(bench.slot().state, State::Idle { .. }));
    let due: Vec<_> = bench.job().runs.iter().filter(|run| run.began.is_some()).map(|run| run.due).collect();
    assert_eq!(due, [Some(WallTime(NOON + MINUTE)), Some(WallTime(NOON + 2 * MINUTE))]);

    let mut bench = Bench::new(Schedule { overlap: Overlap::Replace, ..minutely() });
    bench.pass(MINUTE);
    bench.run();
    let effects = bench.pass(MINUTE);
    assert_eq!((signals(&effects), spawns(&effects)), (1, 0), "the old one is asked to end first");
    assert_eq!(spawns(&bench.end(Exit::Code(0))), 1);
    assert_eq!(bench.outcomes()[0], ("stopped", "the next run was due, and replaces it".to_owned()));
    assert_eq!(bench.outcomes()[1].0, "running");
}

#[test]
fn a_run_that_takes_too_long_is_ended_as_a_whole_tree_with_that_cause() {
    let mut bench = Bench::new(Schedule { timeout: Some(Millis(10_000)), ..minutely() });
    bench.pass(MINUTE);
    bench.run();
    assert_eq!(signals(&bench.pass(9_999)), 0);
    let effects = bench.pass(1);
    let whole = |effect: &Effect| matches!(effect, Effect::Signal { scope: baton_core::step::Scope::Tree, .. });
    assert!(effects.iter().any(whole), "{effects:?}");
    let effects = bench.pass(2_000);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Kill { .. })), "what ignores that is killed");
    bench.end(Exit::Code(0));
    assert_eq!(bench.outcomes(), [("failed", "the run took longer than its timeout of 10 s".to_owned())]);
    assert_eq!(bench.view().word(), "failed");
    assert_eq!(spawns(&bench.pass(MINUTE)), 1, "the next time counts");
}

#[test]
fn a_stop_ends_the_run_and_disarms_until_the_next_start() {
    let mut bench = Bench::new(minutely());
    bench.pass(MINUTE);
    bench.run();
    assert_eq!(signals(&bench.act(Action::Stop)), 1);
    bench.end(Exit::Code(0));
    assert_eq!(bench.slot().state, State::Stopped { why: Cause::Operator(Verb::Stop) });
    assert_eq!(bench.outcomes(), [("stopped", "stop was asked for".to_owned())]);
    assert_eq!(spawns(&bench.pass(10 * MINUTE)), 0);
    bench.act(Action::Start);
    assert_eq!(spawns(&bench.pass(1)), 0, "what it missed while it was stopped was meant to be missed");
    assert_eq!(spawns(&bench.pass(MINUTE)), 1);
}

#[test]
fn a_start_and_a_restart_of_what_rests_run_nothing_and_a_start_leaves_a_run_alone() {
    let mut bench = Bench::new(minutely());
    for action in [Action::Start, Action::Restart] {
        let effects = bench.act(action);
        assert_eq!((spawns(&effects), bench.slot().state.wanted()), (0, Wanted::Up));
        assert!(matches!(bench.replies.last(), Some(Reply::Outcomes(done)) if done[0].done == Done::Restarted));
    }
    bench.pass(MINUTE);
    bench.run();
    assert_eq!(signals(&bench.act(Action::Start)), 0);
    assert_eq!(signals(&bench.act(Action::Restart)), 1, "a run under way is run again when that is asked");
    assert_eq!(spawns(&bench.end(Exit::Code(0))), 1);
    assert_eq!(bench.outcomes()[0], ("stopped", "restart was asked for".to_owned()));
}

#[test]
fn a_job_is_run_by_hand_and_one_that_is_stopped_only_this_once() {
    let mut bench = Bench::new(minutely());
    assert_eq!(spawns(&bench.act(Action::Run)), 1);
    bench.run();
    assert!(matches!(bench.replies.last(), Some(Reply::Outcomes(done)) if done[0].done == Done::Ran));
    bench.act(Action::Run);
    assert!(matches!(bench.replies.last(), Some(Reply::Outcomes(done)) if matches!(done[0].done, Done::Failed(_))));
    bench.end(Exit::Code(0));
    assert_eq!((bench.job().runs[0].due, bench.view().word()), (None, "scheduled"));
    bench.act(Action::Stop);
    assert_eq!(spawns(&bench.act(Action::Run)), 1);
    bench.run();
    assert_eq!(spawns(&bench.pass(10 * MINUTE)), 0, "its times do not count");
    bench.end(Exit::Code(0));
    assert_eq!(bench.slot().state, State::Stopped { why: Cause::Operator(Verb::Stop) });
}

#[test]
fn times_that_nobody_was_there_for_are_one_run_or_none() {
    for (missed, runs) in [(Missed::Run, 1), (Missed::Skip, 0)] {
        let mut bench = Bench::new(Schedule { missed, ..minutely() });
        // The daemon is away for ten minutes; its successor looks at the clock.
        bench.at += 10 * MINUTE + 5_000;
        bench.wall += 10 * MINUTE + 5_000;
        let effects = bench.step(Event::Clock);
        bench.plan();
        assert_eq!(spawns(&effects), runs, "{missed:?}");
        if missed == Missed::Skip {
            assert_eq!(bench.outcomes(), [("skipped", "it was due while the machine or baton was away".to_owned())]);
            assert_eq!(spawns(&bench.pass(MINUTE)), 1, "the next time counts");
        }
    }
}

#[test]
fn a_restart_of_the_machine_keeps_what_was_due_for_when_the_job_is_armed_again() {
    let mut bench = Bench::new(minutely());
    let (id, incarnation) = (SLOT, bench.life());
    bench.wall += 30 * MINUTE;
    bench.step(Event::Recovered { id, incarnation, found: Found::Rebooted });
    assert_eq!(bench.slot().state, State::Stopped { why: Cause::Reboot });
    assert_eq!(spawns(&bench.step(Event::Clock)), 0, "not before somebody asks");
    bench.act(Action::Start);
    assert_eq!(spawns(&bench.step(Event::Clock)), 1);
    assert_eq!(bench.job().runs[0].due, Some(WallTime(NOON + MINUTE)));
}

#[test]
fn a_clock_that_is_set_forward_over_a_time_runs_once_and_back_by_a_little_not_twice() {
    let mut bench = Bench::new(minutely());
    assert_eq!(spawns(&bench.set_clock(NOON + 30 * MINUTE + 5)), 1);
    bench.run();
    bench.end(Exit::Code(0));
    assert_eq!(spawns(&bench.pass(MINUTE - 5)), 1, "and from then on as always");
    bench.run();
    bench.end(Exit::Code(0));
    // Half a second after it ran, the clock is set back by a second.
    bench.pass(500);
    let now = bench.wall;
    assert_eq!(spawns(&bench.set_clock(now - 1_000)), 0);
    assert_eq!(spawns(&bench.pass(MINUTE - 1)), 0, "the time that was acted on does not count twice");
    assert_eq!(spawns(&bench.pass(501)), 1);
    bench.run();
    bench.end(Exit::Code(0));
    // A clock that was wrong by a day counts anew.
    let now = bench.wall;
    bench.set_clock(now - 24 * 60 * MINUTE);
    assert_eq!(spawns(&bench.pass(MINUTE)), 1);
}

#[test]
fn another_pattern_counts_at_once_and_what_is_no_job_any_more_runs_for_good() {
    let mut bench = Bench::new(minutely());
    let other = Schedule { cron: "0 0 * * *".into(), ..minutely() };
    let spec =
        AppSpec { name: "backup".into(), script: "/w/backup".into(), schedule: Some(other), ..AppSpec::default() };
    bench.ops += 1;
    bench.step(Event::Command { op: OpId(bench.ops), command: defined(spec) });
    assert_eq!(bench.job().next, Next::Unplanned);
    bench.step(Event::Planned { id: SLOT, pattern: "* * * * *".into(), time: Some(WallTime(NOON + MINUTE)) });
    assert_eq!(bench.job().next, Next::Unplanned, "a time of the pattern that it had");
    let effects = {
        bench.ops += 1;
        let spec = AppSpec { name: "backup".into(), script: "/w/backup".into(), ..AppSpec::default() };
        bench.step(Event::Command { op: OpId(bench.ops), command: defined(spec) })
    };
    assert_eq!((spawns(&effects), bench.slot().job.is_none()), (1, true));
}

#[test]
fn what_is_asked_of_a_job_can_not_contradict_it() {
    let mut bench = Bench::new(minutely());
    bench.command(acted(Action::Restart, "backup", json!({"cron_restart": "0 3 * * *"})));
    let Some(Reply::Refused(refusal)) = bench.replies.last() else { panic!("{:?}", bench.replies) };
    assert!(refusal.to_string().contains("`cron_restart` is not possible beside `schedule`"), "{refusal}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Jitter is the same for the same time, lies within its bound, and differs from time to time and slot to slot.
    #[test]
    fn jitter_is_decided_by_its_seed(seed in any::<u64>(), most in 1_000u64..600_000, minute in 1u64..100_000) {
        let due = |seed: u64, minute: u64| {
            let mut bench = Bench::new(Schedule { jitter: Millis(most), ..minutely() });
            bench.world.seed = seed;
            let job = bench.world.instances.get_mut(&SLOT).and_then(|slot| slot.job.as_deref_mut()).expect("a job");
            job.next = Next::Unplanned;
            bench.step(Event::Planned { id: SLOT, pattern: "* * * * *".into(), time: Some(WallTime(minute * MINUTE)) });
            match bench.job().next {
                Next::At(due) => due,
                next => panic!("{next:?}"),
            }
        };
        let first = due(seed, minute);
        prop_assert_eq!(first.time, WallTime(minute * MINUTE));
        prop_assert!(first.at >= first.time && first.at.0 - first.time.0 <= most);
        prop_assert_eq!(due(seed, minute), first);
        let others: std::collections::BTreeSet<u64> =
            (1..40).map(|other| { let due = due(seed, minute + other); due.at.0 - due.time.0 }).collect();
        prop_assert!(others.len() > 20, "{:?}", others);
    }

    /// Whatever the clock does and however long runs take: no time is acted on twice, every run that was begun is over
    /// or under way, at most one is, and what was due is told.
    #[test]
    fn every_time_counts_at_most_once(
        overlap in prop::sample::select(vec![Overlap::Skip, Overlap::Queue, Overlap::Replace]),
        jitter in 0u64..90_000,
        moves in prop::collection::vec((0u8..6, 1u64..200_000), 1..60),
    ) {
        let mut bench = Bench::new(Schedule { overlap, jitter: Millis(jitter), ..minutely() });
        let mut seen: Vec<WallTime> = Vec::new();
        for (what, by) in moves {
            match what {
                0..3 => drop(bench.pass(by)),
                3 => {
                    // A clock is set back by less than the three hours within which no time counts twice.
                    let now = bench.wall;
                    bench.set_clock(now - by.min(now));
                }
                4 => {
                    let now = bench.wall;
                    bench.set_clock(now + by);
                }
                _ => match &bench.slot().state {
                    State::Starting { .. } => bench.run(),
                    State::Online { .. } | State::Unready { .. } | State::Stopping { .. } => {
                        drop(bench.end(Exit::Code(i32::from(by % 2 == 0))));
                    }
                    _ => {}
                },
            }
            bench.plan();
            for due in bench.job().runs.iter().filter_map(|run| run.due) {
                if !seen.contains(&due) {
                    seen.push(due);
                }
            }
            let runs = &bench.job().runs;
            let due: Vec<WallTime> = runs.iter().filter_map(|run| run.due).collect();
            let once: std::collections::BTreeSet<WallTime> = due.iter().copied().collect();
            prop_assert_eq!(due.len(), once.len(), "a time was acted on twice: {:?}", runs);
            let under_way = runs.iter().filter(|run| run.outcome() == Outcome::Running).count();
            let idle = matches!(bench.slot().state, State::Idle { .. });
            prop_assert_eq!(under_way, usize::from(!idle), "{:?} in {:?}", runs, bench.slot().state);
            prop_assert!(runs.len() <= RUNS);
        }
    }
}
