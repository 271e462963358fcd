//! Tests with real processes that are started through the exec stub. The stub is this binary itself, so `main` is
//! ours: it is the stub when told so, else it runs the tests below, by name when names are given.

mod family;
mod groups;
mod spawn;
mod tree;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// A test and its name.
type Test = (&'static str, fn());

/// Lists functions of a module as tests.
macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => { &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*] };
}

const TESTS: &[Test] = tests![
    spawn::a_program_gets_what_the_launch_says,
    spawn::a_program_sees_only_the_declared_descriptors,
    spawn::a_program_starts_with_default_signals_in_its_own_session,
    spawn::a_prepared_process_has_its_final_identity_and_has_not_run,
    spawn::a_start_that_is_called_off_never_runs,
    spawn::a_missing_program_is_named,
    spawn::a_directory_that_cannot_be_entered_is_named,
    spawn::a_missing_interpreter_is_not_taken_for_a_missing_program,
    spawn::a_script_without_first_line_runs_by_the_shell,
    spawn::a_user_that_we_may_not_become_is_named,
    spawn::another_user_is_become_with_its_groups,
    spawn::the_original_limit_on_open_files_is_restored,
    spawn::a_program_has_the_niceness_and_limits_that_it_is_given,
    spawn::a_limit_that_cannot_be_set_is_named_and_nothing_runs,
    spawn::limits_are_set_before_the_user_changes_and_only_root_is_first,
    spawn::a_process_killed_before_its_start_is_no_started_program,
    spawn::a_text_with_a_nul_is_refused_before_anything_starts,
    spawn::processes_that_were_ordered_together_are_made_and_some_called_off,
    spawn::a_server_that_was_ended_is_replaced_and_one_that_is_let_go_ends,
    tree::a_daemonised_grandchild_that_ignores_sigterm_is_found_by_its_mark,
    tree::a_daemonised_grandchild_without_environment_is_found_by_its_fifo,
    tree::a_signal_reaches_the_leader_and_its_descendants,
    tree::gone_is_said_when_the_last_member_has_ended,
    tree::a_tree_that_never_was_is_gone,
    tree::a_reader_of_the_output_is_no_member,
    tree::a_stranger_with_the_leaders_pid_is_left_alone,
    tree::a_hundred_trees_end_together,
    groups::a_program_begins_in_its_group_and_the_group_tells_that_it_has_ended,
    groups::who_has_shed_every_sign_is_found_by_the_group,
    groups::a_group_whose_members_go_on_forking_is_killed_whole,
    groups::limits_are_kept_or_refused_with_the_reason,
    groups::room_is_made_for_limits_where_only_we_are_in_the_way,
    family::an_orphan_that_went_to_the_guard_holds_up_the_end_of_its_tree,
    family::a_process_that_the_leader_made_our_child_holds_up_the_end_of_its_tree,
    family::the_end_of_a_tree_is_known_without_a_look_at_all_processes,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "exec-stub") {
        baton_os::stub::main();
    }
    if let Some(code) = family::main(&arguments) {
        return code;
    }
    // What nextest and cargo ask of any test binary.
    if arguments.iter().any(|argument| argument == "--list") {
        if !arguments.iter().any(|argument| argument == "--ignored") {
            TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
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
