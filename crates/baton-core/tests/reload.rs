//! Reloads with a second life in the slot, rule by rule. The simulation looks at what else may come between.

use baton_core::proto::{Action, Command, Done, Order, Outcome, Patch, Reply, Roll, Wait, Wish};
use baton_core::select::Selector;
use baton_core::spec::{AppSpec, Condition, Dependency, ExecMode, Listen, Readiness, ReadyBy, Watch};
use baton_core::step::{Effect, Effects, Event, Scope, step};
use baton_core::units::{Incarnation, InstanceId, Instant, Millis, Now, OpId, WallTime};
use baton_core::world::{Directories, Exit, Identity, Signal, State, World};

const SLOT: InstanceId = InstanceId(0);

/// An app with a socket of ours and a word that tells when it is ready.
fn app() -> AppSpec {
    AppSpec {
        name: "web".into(),
        script: "/w/web".into(),
        listen: vec![Listen { name: "http".into(), at: "127.0.0.1:80".into(), reuseport: false }],
        ready: Some(Readiness { by: ReadyBy::Notify, timeout: Millis(5_000), interval: Millis(100) }),
        ..AppSpec::default()
    }
}

/// A world with the app online, in its first life.
struct Bench {
    world: World,
    at: u64,
    ops: u64,
}

impl Bench {
    fn new(instances: u32) -> Bench {
        Bench::of(app(), instances)
    }

    fn of(app: AppSpec, instances: u32) -> Bench {
        let mut bench = Bench { world: World::new(Directories::default()), at: 1_000, ops: 0 };
        let apps = vec![Wish { spec: app, count: instances, brought: false }];
        bench.command(Command::Define { apps, order: Order::Dependencies, wait: Wait::Spawned });
        for slot in 0..instances {
            let life = Incarnation(u64::from(slot) + 1);
            bench.run(InstanceId(slot), life);
            bench.step(Event::Ready { id: InstanceId(slot), incarnation: life });
        }
        bench
    }

    fn step(&mut self, event: Event) -> Effects {
        let now = Now { instant: Instant(self.at), wall: WallTime(self.at) };
        step(&mut self.world, now, event)
    }

    fn command(&mut self, command: Command) -> Effects {
        self.ops += 1;
        self.step(Event::Command { op: OpId(self.ops), command })
    }

    fn act(&mut self, action: Action) -> Effects {
        let targets = vec![Selector::new("web")];
        let (patch, order, wait) = (Patch::default(), Order::Dependencies, Wait::Spawned);
        self.command(Command::Act { action, targets, patch, order, wait })
    }

    fn reload(&mut self) -> Effects {
        self.act(Action::Roll(Roll { parallel: 1, overlap: true }))
    }

    fn run(&mut self, id: InstanceId, incarnation: Incarnation) {
        let pid = u32::try_from(incarnation.0).expect("small") + 100;
        let identity = Identity { pid, start_time: incarnation.0, boot_id: "b".into() };
        let effects = self.step(Event::Prepared { id, incarnation, identity });
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Go { .. })), "{effects:?}");
        self.step(Event::Spawned { id, incarnation });
    }

    /// The program ends, with everything that it had started.
    fn end(&mut self, id: InstanceId, incarnation: Incarnation, exit: Exit) -> Effects {
        let mut effects = self.step(Event::Exited { id, incarnation, exit });
        effects.extend(self.step(Event::TreeGone { id, incarnation }));
        effects
    }

    fn current(&self) -> (u64, u32) {
        let slot = &self.world.instances[&SLOT];
        (slot.incarnation.0, slot.process.as_ref().map_or(0, |process| process.pid))
    }
}

fn outcomes(effects: &Effects) -> Vec<Outcome> {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Reply { reply: Reply::Outcomes(outcomes), .. } => Some(outcomes.clone()),
        _ => None,
    });
    found.unwrap_or_default()
}

fn signalled(effects: &Effects) -> Vec<Incarnation> {
    let lives = effects.iter().filter_map(|effect| match effect {
        Effect::Signal { incarnation, scope: Scope::Tree, .. } => Some(*incarnation),
        _ => None,
    });
    lives.collect()
}

#[test]
fn the_old_life_is_asked_to_end_when_the_new_one_is_ready_and_not_before() {
    let mut bench = Bench::new(1);
    let effects = bench.reload();
    assert!(effects.iter().any(|e| matches!(e, Effect::Spawn { incarnation: Incarnation(2), .. })), "{effects:?}");
    bench.run(SLOT, Incarnation(2));
    assert_eq!(bench.current(), (1, 101));
    let effects = bench.step(Event::Ready { id: SLOT, incarnation: Incarnation(2) });
    assert_eq!((bench.current(), signalled(&effects)), ((2, 102), vec![Incarnation(1)]));
    assert!(outcomes(&effects).is_empty(), "not before the old one has ended");
    let effects = bench.end(SLOT, Incarnation(1), Exit::Signal(Signal::INT));
    assert_eq!(outcomes(&effects)[0].done, Done::Reloaded);
    let slot = &bench.world.instances[&SLOT];
    assert!(matches!(slot.state, State::Online { ready: true, .. }) && slot.beside.is_empty());
    assert_eq!((slot.restarts, slot.last_exit), (1, None), "the end of the old life is no crash");
}

#[test]
fn a_worker_that_does_not_drain_in_time_gets_the_signal_and_the_time_for_it() {
    let kills = |effects: &Effects| effects.iter().any(|effect| matches!(effect, Effect::Kill { .. }));
    for by_message in [false, true] {
        let worker = AppSpec {
            listen: Vec::new(),
            exec_mode: ExecMode::Cluster,
            kill_timeout: Millis(2_000),
            shutdown_with_message: by_message,
            ..app()
        };
        let mut bench = Bench::of(worker, 1);
        bench.reload();
        bench.run(SLOT, Incarnation(2));
        let effects = bench.step(Event::Ready { id: SLOT, incarnation: Incarnation(2) });
        let drains = |effect: &Effect| matches!(effect, Effect::Drain { incarnation: Incarnation(1), .. });
        assert!(effects.iter().any(drains) && signalled(&effects).is_empty(), "{effects:?}");
        bench.at += 2_000;
        let effects = bench.step(Event::Timer);
        // It knows what the message means: there is nothing more to say.
        assert_eq!(kills(&effects), by_message, "{effects:?}");
        if !by_message {
            assert_eq!(signalled(&effects), [Incarnation(1)]);
            bench.at += 2_000;
            assert!(kills(&bench.step(Event::Timer)));
        }
        let effects = bench.end(SLOT, Incarnation(1), Exit::Signal(Signal::KILL));
        assert_eq!(outcomes(&effects)[0].done, Done::Reloaded);
    }
}

#[test]
fn a_new_life_that_exits_or_is_late_leaves_the_old_one() {
    let mut bench = Bench::new(1);
    bench.reload();
    bench.run(SLOT, Incarnation(2));
    let effects = bench.end(SLOT, Incarnation(2), Exit::Code(3));
    let Done::Failed(why) = &outcomes(&effects)[0].done else { panic!("{effects:?}") };
    assert!(why.contains("exited with code 3 before it was ready") && why.contains("the old one still runs"), "{why}");
    assert_eq!(bench.current(), (1, 101));

    bench.reload();
    bench.run(SLOT, Incarnation(3));
    bench.at += 5_000;
    let effects = bench.step(Event::Timer);
    assert_eq!(signalled(&effects), [Incarnation(3)]);
    let effects = bench.end(SLOT, Incarnation(3), Exit::Signal(Signal::INT));
    let Done::Failed(why) = &outcomes(&effects)[0].done else { panic!("{effects:?}") };
    assert!(why.contains("was not ready within 5000 ms"), "{why}");
    assert_eq!(bench.current(), (1, 101));
}

#[test]
fn instances_are_reloaded_one_after_another_and_none_after_a_failure() {
    let mut bench = Bench::new(3);
    bench.reload();
    bench.run(SLOT, Incarnation(4));
    bench.step(Event::Ready { id: SLOT, incarnation: Incarnation(4) });
    let effects = bench.end(SLOT, Incarnation(1), Exit::Code(0));
    let next: Vec<_> = effects.iter().filter(|effect| matches!(effect, Effect::Spawn { .. })).collect();
    assert!(matches!(next[..], [Effect::Spawn { id: InstanceId(1), .. }]), "{effects:?}");
    bench.run(InstanceId(1), Incarnation(5));
    let effects = bench.end(InstanceId(1), Incarnation(5), Exit::Code(1));
    let done = outcomes(&effects);
    assert_eq!(done[0].done, Done::Reloaded);
    assert!(matches!(&done[1].done, Done::Failed(_)));
    assert!(matches!(&done[2].done, Done::Left(why) if why.contains("left as it is")), "{done:?}");
}

#[test]
fn a_stop_during_a_reload_ends_both_lives_before_it_is_acknowledged() {
    let mut bench = Bench::new(1);
    bench.reload();
    bench.run(SLOT, Incarnation(2));
    let effects = bench.act(Action::Stop);
    let mut asked = signalled(&effects);
    asked.sort_unstable();
    assert_eq!(asked, [Incarnation(1), Incarnation(2)]);
    let effects = bench.end(SLOT, Incarnation(1), Exit::Code(0));
    assert!(outcomes(&effects).is_empty(), "the candidate still lives");
    let effects = bench.end(SLOT, Incarnation(2), Exit::Code(0));
    let stopped = effects.iter().filter_map(|effect| match effect {
        Effect::Reply { reply: Reply::Outcomes(list), .. } => Some(list[0].done.clone()),
        _ => None,
    });
    let stopped: Vec<Done> = stopped.collect();
    assert!(
        stopped.contains(&Done::Stopped) && stopped.iter().any(|done| matches!(done, Done::Failed(_))),
        "{stopped:?}"
    );
    assert!(matches!(bench.world.instances[&SLOT].state, State::Stopped { .. }));
}

#[test]
fn a_candidate_takes_the_place_of_a_life_that_crashes_meanwhile() {
    let mut bench = Bench::new(1);
    bench.reload();
    bench.run(SLOT, Incarnation(2));
    bench.end(SLOT, Incarnation(1), Exit::Code(1));
    assert_eq!(bench.current(), (2, 102));
    assert!(matches!(bench.world.instances[&SLOT].state, State::Unready { .. }));
    let effects = bench.step(Event::Ready { id: SLOT, incarnation: Incarnation(2) });
    assert_eq!(outcomes(&effects)[0].done, Done::Reloaded);
}

#[test]
fn a_second_reload_of_a_slot_is_refused_while_the_first_is_under_way() {
    let mut bench = Bench::new(1);
    bench.reload();
    let effects = bench.reload();
    assert!(matches!(&outcomes(&effects)[0].done, Done::Failed(why) if why.contains("being reloaded already")));
}

#[test]
fn what_wants_a_slot_to_run_again_gives_way_to_a_reload() {
    let mut bench = Bench::new(2);
    let spec = AppSpec { watch: Watch::All(true), watch_delay: Millis(100), ..app() };
    let apps = vec![Wish { spec, count: 2, brought: false }];
    let roll = Roll { parallel: 1, overlap: true };
    // The first one's turn brings the key; the second one has it from the start, and a change.
    for slot in bench.world.instances.values_mut() {
        slot.spec = std::sync::Arc::new(apps[0].spec.clone());
    }
    bench.command(Command::Replace { apps, roll, order: Order::Dependencies, wait: Wait::Spawned });
    for id in [SLOT, InstanceId(1)] {
        bench.step(Event::Changed { id, path: "a.js".into(), more: 0 });
    }
    bench.at += 200;
    let effects = bench.step(Event::Timer);
    assert_eq!(signalled(&effects), [Incarnation(2)], "the second runs again, the first has a new life on its way");
    bench.run(SLOT, Incarnation(3));
    bench.step(Event::Ready { id: SLOT, incarnation: Incarnation(3) });
    bench.end(InstanceId(1), Incarnation(2), Exit::Code(0));
    bench.run(InstanceId(1), Incarnation(4));
    bench.step(Event::Ready { id: InstanceId(1), incarnation: Incarnation(4) });
    bench.end(SLOT, Incarnation(1), Exit::Code(0));
    // Its turn comes all the same.
    bench.run(InstanceId(1), Incarnation(5));
    bench.step(Event::Ready { id: InstanceId(1), incarnation: Incarnation(5) });
    let effects = bench.end(InstanceId(1), Incarnation(4), Exit::Code(0));
    let done: Vec<Done> = outcomes(&effects).into_iter().map(|outcome| outcome.done).collect();
    assert_eq!(done, [Done::Reloaded, Done::Reloaded]);
}

#[test]
fn each_turn_of_a_reload_that_waits_has_its_own_time() {
    let mut bench = Bench::new(1);
    let apps = vec![Wish { spec: AppSpec { name: "api".into(), ..app() }, count: 1, brought: false }];
    bench.command(Command::Define { apps, order: Order::Dependencies, wait: Wait::Spawned });
    bench.run(InstanceId(1), Incarnation(2));
    bench.step(Event::Ready { id: InstanceId(1), incarnation: Incarnation(2) });
    let (patch, order) = (Patch::default(), Order::Dependencies);
    let action = Action::Roll(Roll { parallel: 1, overlap: true });
    let wait = Wait::Ready { timeout: Millis(1_000) };
    bench.command(Command::Act { action, targets: vec![Selector::new("all")], patch, order, wait });
    bench.run(SLOT, Incarnation(3));
    bench.at += 1_000;
    let effects = bench.step(Event::Timer);
    assert!(effects.iter().any(|e| matches!(e, Effect::Spawn { id: InstanceId(1), .. })), "{effects:?}");
    assert!(outcomes(&effects).is_empty(), "the second has its time still");
    bench.run(InstanceId(1), Incarnation(4));
    bench.step(Event::Ready { id: InstanceId(1), incarnation: Incarnation(4) });
    let effects = bench.end(InstanceId(1), Incarnation(2), Exit::Code(0));
    let done: Vec<Done> = outcomes(&effects).into_iter().map(|outcome| outcome.done).collect();
    assert_eq!(done, [Done::Failed("was not ready in time".into()), Done::Reloaded]);
}

#[test]
fn what_an_app_needs_is_started_with_its_restart_in_place_unless_it_is_to_be_alone() {
    for order in [Order::Dependencies, Order::Alone] {
        let mut bench = Bench::new(1);
        let db = AppSpec { name: "db".into(), script: "/w/db".into(), autostart: false, ..AppSpec::default() };
        bench.command(Command::Define {
            apps: vec![Wish { spec: db, count: 1, brought: false }],
            order,
            wait: Wait::Spawned,
        });
        let on = Dependency { on: "db".into(), condition: Condition::Started, timeout: None, external: None };
        let spec = AppSpec { listen: Vec::new(), depends_on: vec![on], ..app() };
        let apps = vec![Wish { spec, count: 1, brought: false }];
        let roll = Roll { parallel: 1, overlap: true };
        let effects = bench.command(Command::Replace { apps, roll, order, wait: Wait::Spawned });
        let starts_db = effects.iter().any(|e| matches!(e, Effect::Spawn { id: InstanceId(1), .. }));
        assert_eq!(starts_db, order == Order::Dependencies, "{effects:?}");
        // Its turn comes when what it needs has been started.
        assert_eq!(signalled(&effects).is_empty(), starts_db, "{effects:?}");
        if starts_db {
            bench.run(InstanceId(1), Incarnation(2));
        }
        bench.end(SLOT, Incarnation(1), Exit::Code(0));
        let state = &bench.world.instances[&SLOT].state;
        assert!(matches!(state, State::Starting { .. }), "{state:?}");
    }
}
