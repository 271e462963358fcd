//! Hooks (`on_event`): of what they are told, and of what not.

mod bench;

use baton_core::proto::{Action, Command};
use baton_core::spec::{AppSpec, EventKind, Hook, HookBy};
use baton_core::step::{Effect, Effects, Event, step};
use baton_core::units::{InstanceId, Instant, Millis, Now, OpId, WallTime};
use baton_core::world::{Cause, Detail, Directories, Exit, State, World};
use bench::{acted, begun, defined, over};
use serde_json::json;

const SLOT: InstanceId = InstanceId(0);

struct Bench {
    world: World,
    at: u64,
    ops: u64,
    /// What hooks were told, in order: the hook and the event.
    told: Vec<(String, &'static str)>,
}

fn hook(name: &str, events: &[EventKind]) -> Hook {
    Hook { by: HookBy::Exec(name.into()), events: events.to_vec(), timeout: Millis(1000), retries: 0 }
}

impl Bench {
    fn new(spec: AppSpec) -> Bench {
        let mut bench = Bench { world: World::new(Directories::default()), at: 10_000, ops: 0, told: Vec::new() };
        let spec = AppSpec { name: "web".into(), script: "/w/web".into(), ..spec };
        bench.command(defined(spec));
        bench.run();
        bench
    }

    fn step(&mut self, event: Event) -> Effects {
        let now = Now { instant: Instant(self.at), wall: WallTime(self.at) };
        let effects = step(&mut self.world, now, event);
        for effect in &effects {
            if let Effect::Call { hook, report } = effect {
                self.told.push((hook.by.to_string(), report.event.as_str()));
            }
        }
        effects
    }

    fn command(&mut self, command: Command) {
        self.ops += 1;
        self.step(Event::Command { op: OpId(self.ops), command });
    }

    fn act(&mut self, action: Action) {
        self.command(acted(action, "web", json!({})));
    }

    fn run(&mut self) {
        for event in begun(SLOT, self.world.instances[&SLOT].incarnation) {
            self.step(event);
        }
    }

    fn end(&mut self, exit: Exit) {
        for event in over(SLOT, self.world.instances[&SLOT].incarnation, exit) {
            self.step(event);
        }
    }

    fn take(&mut self) -> Vec<(String, &'static str)> {
        std::mem::take(&mut self.told)
    }
}

fn told(pairs: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    pairs.iter().map(|(hook, event)| ((*hook).to_owned(), *event)).collect()
}

#[test]
fn a_crash_is_told_as_its_exit_and_its_restart_and_a_stop_by_hand_as_nothing() {
    let mut bench = Bench::new(AppSpec { on_event: vec![hook("a", &EventKind::ALL)], ..AppSpec::default() });
    assert_eq!(bench.take(), [], "a start by hand is no event");
    bench.end(Exit::Code(1));
    assert_eq!(bench.take(), told(&[("a", "exit"), ("a", "restart")]));
    bench.run();
    bench.act(Action::Restart);
    bench.end(Exit::Code(0));
    bench.run();
    bench.act(Action::Stop);
    bench.end(Exit::Code(0));
    assert_eq!(bench.take(), []);
}

#[test]
fn a_lack_of_memory_is_told_as_that_and_as_an_exit_to_whom_that_is_enough() {
    let hooks = vec![hook("alarms", &EventKind::ALARMS), hook("exits", &[EventKind::Exit])];
    let mut bench = Bench::new(AppSpec { on_event: hooks, ..AppSpec::default() });
    bench.end(Exit::OutOfMemory(None));
    assert_eq!(bench.take(), told(&[("alarms", "oom"), ("exits", "exit")]));
}

#[test]
fn a_hook_is_told_of_what_it_wants_and_once_of_what_is_two_things() {
    let hooks = vec![
        hook("all", &EventKind::ALARMS),
        hook("loops", &[EventKind::CrashLoop]),
        hook("given up", &[EventKind::Errored]),
        hook("health", &[EventKind::Healthy]),
    ];
    let mut bench = Bench::new(AppSpec { on_event: hooks, max_restarts: Some(3), ..AppSpec::default() });
    for _ in 0..2 {
        bench.end(Exit::Code(7));
        bench.run();
    }
    assert_eq!(bench.take(), []);
    bench.end(Exit::Code(7));
    assert!(matches!(bench.world.instances[&SLOT].state, State::Errored { .. }));
    assert_eq!(bench.take(), told(&[("all", "errored"), ("loops", "crash-loop"), ("given up", "errored")]));
}

#[test]
fn a_crash_loop_that_has_no_end_is_told_once() {
    let hooks = vec![hook("loops", &[EventKind::CrashLoop])];
    let spec = AppSpec { on_event: hooks, exp_backoff_restart_delay: Millis(100), ..AppSpec::default() };
    let mut bench = Bench::new(spec);
    for _ in 0..12 {
        bench.end(Exit::Code(7));
        bench.at += 60_000;
        bench.step(Event::Timer);
        bench.run();
    }
    assert_eq!(bench.take(), told(&[("loops", "crash-loop")]));
}

#[test]
fn a_program_that_is_not_there_is_told_as_given_up_with_the_reason() {
    let mut bench = Bench::new(AppSpec { on_event: vec![hook("a", &EventKind::ALARMS)], ..AppSpec::default() });
    bench.act(Action::Restart);
    bench.end(Exit::Code(0));
    let (id, incarnation) = (SLOT, bench.world.instances[&SLOT].incarnation);
    let error = serde_json::from_value(json!({"stage": "exec", "errno": 2, "message": "/w/web: not found"}));
    let effects = bench.step(Event::SpawnFailed { id, incarnation, error: error.expect("an error") });
    let report = effects.iter().find_map(|effect| match effect {
        Effect::Call { report, .. } => Some(report),
        _ => None,
    });
    let report = report.expect("a call");
    assert_eq!((report.event, report.app.as_str()), (EventKind::Errored, "web"));
    assert_eq!(report.why, "could not be started: /w/web: not found");
}

#[test]
fn a_run_of_a_job_that_fails_is_told_and_one_that_succeeds_is_not() {
    let schedule = serde_json::from_value(json!({"cron": "@daily"})).expect("a schedule");
    let spec =
        AppSpec { schedule: Some(schedule), on_event: vec![hook("a", &EventKind::ALARMS)], ..AppSpec::default() };
    let mut bench = Bench::new(spec);
    for code in [0, 5] {
        bench.act(Action::Run);
        bench.run();
        bench.end(Exit::Code(code));
    }
    assert_eq!(bench.take(), told(&[("a", "failed")]));
}

#[test]
fn a_hook_that_could_not_be_told_is_an_event_of_which_no_hook_is_told() {
    let mut bench = Bench::new(AppSpec { on_event: vec![hook("a", &EventKind::ALL)], ..AppSpec::default() });
    let event = EventKind::Exit;
    bench.step(Event::HookFailed { id: SLOT, hook: "a".into(), event, why: "exit code 3".into() });
    assert_eq!(bench.take(), []);
    let view = bench.world.instances[&SLOT].view(Now::default(), Detail::History);
    assert_eq!(
        view.last.expect("a transition").cause,
        Cause::Spawned,
        "what happened to the app itself stays the last"
    );
    let last = view.hook.expect("told");
    assert_eq!(
        (last.to.as_str(), last.cause.to_string()),
        ("hook", "the hook `a` could not be told of exit: exit code 3".into())
    );
    assert!(view.transitions.contains(&last));
}

#[test]
fn the_end_of_everything_is_no_event() {
    let mut bench = Bench::new(AppSpec { on_event: vec![hook("a", &EventKind::ALL)], ..AppSpec::default() });
    bench.command(Command::Kill);
    bench.end(Exit::Code(1));
    assert_eq!(bench.take(), []);
}
