//! Tests of the guard with real processes, each of which kills one and looks for its successor. Guard, daemon and
//! apps are this binary in another role, so `main` is ours.
//!
//! The daemon here does what the test tells it over a socket in the home; see `daemon`.

mod daemon;
mod home;
mod promises;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// A test and its name.
type Test = (&'static str, fn());

/// Lists functions of a module as tests.
macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => { &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*] };
}

const TESTS: &[Test] = tests![
    promises::the_client_learns_that_the_daemon_answers,
    promises::the_client_learns_why_the_daemon_does_not_answer,
    promises::the_client_learns_that_the_daemon_ended_early,
    promises::descriptors_outlive_a_killed_daemon_until_they_are_released,
    promises::more_descriptors_than_one_frame_carries_come_back,
    promises::a_full_table_refuses_by_name,
    promises::a_released_listener_frees_its_port_while_copies_are_open,
    promises::the_exit_of_an_orphan_is_told_once_and_kept_until_consumed,
    promises::an_exit_from_before_the_daemons_death_is_told_to_the_successor,
    promises::an_exit_waits_while_no_daemon_records_it,
    promises::more_exits_than_the_socket_holds_all_arrive_once,
    promises::pauses_grow_while_daemons_die_young,
    promises::a_guard_with_nothing_to_hold_gives_up,
    promises::a_killed_guard_is_replaced_by_its_daemon,
    promises::an_update_changes_the_executable_and_keeps_everything,
    promises::an_update_that_is_never_ready_is_taken_back,
    promises::a_file_that_is_no_program_is_no_update,
    promises::a_request_to_end_reaches_a_daemon_that_is_ready,
    promises::a_request_to_end_does_not_start_dying_daemons_without_pause,
    promises::a_daemon_that_stands_down_ends_the_guard,
    promises::a_successor_that_never_answered_cannot_stand_down,
    promises::the_daemon_starts_clean,
    promises::a_serving_guard_does_not_grow,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // One word alone is the filter of somebody who runs `cargo test guard`.
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["guard", "--home", ..] => baton_os::guard::main(),
        ["daemon", "--home", home] => daemon::main(home.as_ref()),
        ["app", fifo, code] => daemon::app(fifo.as_ref(), code),
        _ => {}
    }
    // What nextest and cargo ask of any test binary.
    if arguments.iter().any(|argument| argument == "--list") {
        if !arguments.iter().any(|argument| argument == "--ignored") {
            TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    // A guard that is made from a daemon has lost its parent: it becomes ours, and we can await it.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let mut failed = Vec::new();
    for (name, test) in TESTS.iter().filter(|(name, _)| chosen(name)) {
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}");
    ExitCode::FAILURE
}
