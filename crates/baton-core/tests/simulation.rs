//! The world driven by a simulated operating system on virtual time: events come late, out of order, twice or from
//! incarnations long gone; programs crash, ignore signals, leave children behind and cannot be started; clients leave
//! without waiting; the daemon dies between any two effects and a successor takes over. Over all of it the promises
//! hold:
//!
//! 1. at most one incarnation of a slot is alive, but for the overlap that a reload declares;
//! 2. every spawn ends in `Spawned` or `SpawnFailed`, every process in one `Exited`, every request in one reply, and
//!    nothing is stuck once the world is quiet;
//! 3. after a stop was acknowledged nothing starts in the slot until someone asks;
//! 4. nothing starts before its pause is over, and the timers are exactly those that the states imply;
//! 5. nothing that was asked to start starts before what it depends on has come so far, and nothing that was stopped
//!    together with its dependents is signalled before they have ended;
//! 6. a reload keeps a life in the slot that is no worse than the one before: an old life is asked to end only when the
//!    new one is ready, or when someone asks for something else;
//! 7. a daemon that was told to end ends, with nothing left, and begins nothing meanwhile.

mod common;
#[path = "simulation/machine.rs"]
mod machine;
#[path = "simulation/wishes.rs"]
mod wishes;

use baton_core::step::Event;
use baton_core::world::State;
use machine::{Machine, Phase};
use proptest::prelude::*;
use wishes::command;

/// Cases × actions is well over 100,000 steps of the world.
const CASES: u32 = 1024;
const ACTIONS: usize = 300;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_whatever_happens(actions in prop::collection::vec((0u32..100, any::<u32>()), ACTIONS)) {
        let mut machine = Machine::new();
        for (kind, word) in actions {
            let nth = word as usize;
            match kind {
                0..15 => machine.command(command(word)),
                15..42 => machine.progress(nth, word / 97),
                42..45 if word.is_multiple_of(3) => machine.pet(nth / 3),
                42..45 => machine.call(nth, word / 7),
                45..48 if word.is_multiple_of(2) => machine.answer(nth / 2, word.is_multiple_of(4)),
                45..48 => machine.say_ready(nth),
                48..50 => machine.write_line(nth),
                50..80 => machine.hand_over(nth),
                80..84 if !machine.echoes.is_empty() => {
                    // Told again: by then it is stale, or says what is known.
                    let event = machine.echoes[nth % machine.echoes.len()].clone();
                    let stale = match &event {
                        Event::Prepared { id, incarnation, .. }
                        | Event::Spawned { id, incarnation }
                        | Event::SpawnFailed { id, incarnation, .. }
                        | Event::Exited { id, incarnation, .. }
                        | Event::TreeGone { id, incarnation }
                        | Event::Ready { id, incarnation }
                        | Event::Heard { id, incarnation, .. }
                        | Event::Drained { id, incarnation }
                        | Event::Examined { id, incarnation, .. }
                        | Event::Petted { id, incarnation, .. }
                        | Event::Beat { id, incarnation, .. }
                        | Event::BeaterGone { id, incarnation, .. }
                        | Event::Recovered { id, incarnation, .. } => !machine.world.lives(*id, *incarnation),
                        Event::Command { .. }
                        | Event::Timer
                        | Event::ClientGone { .. }
                        | Event::Probed { .. }
                        | Event::Changed { .. }
                        | Event::Struck { .. }
                        | Event::Planned { .. }
                        | Event::Clock
                        | Event::HookFailed { .. }
                        | Event::Weighed { .. }
                        | Event::PlanAsked { .. }
                        | Event::OutputDropped { .. } => false,
                    };
                    if stale {
                        machine.deliver(event);
                    }
                }
                84..97 => machine.advance(u64::from(word % 2000)),
                97 if word.is_multiple_of(2) => machine.leave(nth),
                97 => {
                    machine.dies_after = Some(nth / 2 % 3);
                    machine.advance(u64::from(word % 2000));
                }
                98 if word.is_multiple_of(8) => machine.reboot(),
                98..100 => machine.crash(),
                _ => {}
            }
        }
        machine.dies_after = None;
        machine.settle();
        prop_assert!(!machine.world.ending, "the daemon was told to end and does not");
        prop_assert!(machine.open.is_empty(), "requests without a reply: {:?} {:?}", machine.world.pending, machine.world.instances.values().map(|i| (i.id, i.incarnation, &i.state, &i.beside, &i.transitions)).collect::<Vec<_>>());
        for instance in machine.world.instances.values() {
            let at_rest = matches!(
                instance.state,
                State::Online { ready: true, .. } | State::Stopped { .. } | State::Idle { .. } | State::Errored { .. }
            );
            prop_assert!(at_rest, "slot {} is stuck in {:?}", instance.id, instance.state);
        }
        let running = machine.processes.values().filter(|process| process.phase == Phase::Running).count();
        let beside = machine.world.instances.values().map(|i| i.beside.len()).sum::<usize>();
        prop_assert_eq!(beside, 0, "a reload that does not end");
        let online = machine.world.instances.values().filter(|i| i.state.has_process()).count();
        prop_assert_eq!(running, online, "a process that nobody supervises");
    }
}
