//! PM2's global options: how they are written, which key of a process file each one sets, and whether it works here.

use crate::commands::Availability;

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: the option is a switch.
    Nothing,
    /// One value.
    One,
    /// One value or none: without one the option is a switch.
    Maybe,
    /// One value or none, and the option may be given again.
    Repeated,
    /// One or more values. (PM2 takes only the first; the rest become targets there.)
    Many,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct CliOption {
    /// The long name, without the dashes.
    pub long: &'static str,
    /// The letter.
    pub short: Option<char>,
    /// What follows.
    pub takes: Takes,
    /// Key of a process file that it sets; a name that begins with `no-` sets it to false.
    pub key: Option<&'static str>,
    /// Whether it works.
    pub availability: Availability,
}

const CLOUD: &str = "it belongs to PM2's cloud service, and baton calls nobody";

const fn option(
    long: &'static str,
    short: Option<char>,
    takes: Takes,
    key: Option<&'static str>,
    availability: Availability,
) -> CliOption {
    CliOption { long, short, takes, key, availability }
}

/// All options, in the order of PM2's help.
pub const OPTIONS: &[CliOption] = &[
    option("version", Some('v'), Takes::Nothing, None, Availability::Now),
    option("silent", Some('s'), Takes::Nothing, None, Availability::Now),
    option("ext", None, Takes::One, Some("ignore_watch"), Availability::Now),
    option("name", Some('n'), Takes::One, Some("name"), Availability::Now),
    option("mini-list", Some('m'), Takes::Nothing, None, Availability::Now),
    option("interpreter", None, Takes::One, Some("interpreter"), Availability::Now),
    option("interpreter-args", None, Takes::One, Some("node_args"), Availability::Now),
    option("node-args", None, Takes::One, Some("node_args"), Availability::Now),
    option("output", Some('o'), Takes::One, Some("out_file"), Availability::Now),
    option("error", Some('e'), Takes::One, Some("error_file"), Availability::Now),
    option("log", Some('l'), Takes::Maybe, Some("log_file"), Availability::Now),
    option("filter-env", None, Takes::Repeated, Some("filter_env"), Availability::Now),
    option("log-type", None, Takes::One, Some("log_type"), Availability::Now),
    option("log-date-format", None, Takes::One, Some("log_date_format"), Availability::Now),
    option("time", None, Takes::Nothing, Some("time"), Availability::Now),
    option("disable-logs", None, Takes::Nothing, Some("disable_logs"), Availability::Now),
    option("env", None, Takes::One, None, Availability::Now),
    option("update-env", Some('a'), Takes::Nothing, None, Availability::Now),
    option("force", Some('f'), Takes::Nothing, None, Availability::Now),
    option("instances", Some('i'), Takes::One, Some("instances"), Availability::Now),
    option("parallel", None, Takes::One, None, Availability::Now),
    option("shutdown-with-message", None, Takes::Nothing, Some("shutdown_with_message"), Availability::Now),
    option("pid", Some('p'), Takes::One, Some("pid_file"), Availability::Now),
    option("kill-timeout", Some('k'), Takes::One, Some("kill_timeout"), Availability::Now),
    option("listen-timeout", None, Takes::One, Some("listen_timeout"), Availability::Now),
    option("max-memory-restart", None, Takes::One, Some("max_memory_restart"), Availability::Now),
    option("restart-delay", None, Takes::One, Some("restart_delay"), Availability::Now),
    option("exp-backoff-restart-delay", None, Takes::One, Some("exp_backoff_restart_delay"), Availability::Now),
    option("execute-command", Some('x'), Takes::Nothing, Some("exec_mode"), Availability::Now),
    option("max-restarts", None, Takes::One, Some("max_restarts"), Availability::Now),
    option("user", Some('u'), Takes::One, Some("uid"), Availability::Now),
    option("uid", None, Takes::One, Some("uid"), Availability::Now),
    option("gid", None, Takes::One, Some("gid"), Availability::Now),
    option("namespace", None, Takes::One, Some("namespace"), Availability::Now),
    option("cwd", None, Takes::One, Some("cwd"), Availability::Now),
    option("hp", None, Takes::One, None, Availability::Now),
    option("wait-ip", None, Takes::Nothing, None, Availability::Now),
    option("service-name", None, Takes::One, None, Availability::Now),
    option("cron", Some('c'), Takes::One, Some("cron_restart"), Availability::Now),
    option("cron-restart", None, Takes::One, Some("cron_restart"), Availability::Now),
    option("write", Some('w'), Takes::Nothing, None, Availability::Later),
    option("no-daemon", None, Takes::Nothing, None, Availability::Now),
    option("source-map-support", None, Takes::Nothing, Some("source_map_support"), Availability::Later),
    option("disable-source-map-support", None, Takes::Nothing, Some("disable_source_map_support"), Availability::Later),
    option("only", None, Takes::One, None, Availability::Now),
    option("wait-ready", None, Takes::Nothing, Some("wait_ready"), Availability::Now),
    option("merge-logs", None, Takes::Nothing, Some("merge_logs"), Availability::Now),
    option("watch", None, Takes::Repeated, Some("watch"), Availability::Now),
    option("ignore-watch", None, Takes::One, Some("ignore_watch"), Availability::Now),
    option("watch-delay", None, Takes::One, Some("watch_delay"), Availability::Now),
    option("no-color", None, Takes::Nothing, None, Availability::Now),
    option("no-vizion", None, Takes::Nothing, Some("vizion"), Availability::Now),
    option("no-autostart", None, Takes::Nothing, Some("autostart"), Availability::Now),
    option("no-autorestart", None, Takes::Nothing, Some("autorestart"), Availability::Now),
    option("no-treekill", None, Takes::Nothing, Some("treekill"), Availability::Now),
    option("no-pmx", None, Takes::Nothing, Some("pmx"), Availability::Now),
    option("no-automation", None, Takes::Nothing, Some("automation"), Availability::Now),
    option("stop-exit-codes", None, Takes::Many, Some("stop_exit_codes"), Availability::Now),
    option("trace", None, Takes::Nothing, Some("trace"), Availability::Never(CLOUD)),
    option("disable-trace", None, Takes::Nothing, Some("disable_trace"), Availability::Never(CLOUD)),
    option("v8", None, Takes::Nothing, Some("v8"), Availability::Never(CLOUD)),
    option("event-loop-inspector", None, Takes::Nothing, Some("event_loop_inspector"), Availability::Never(CLOUD)),
    option("deep-monitoring", None, Takes::Nothing, Some("deep_monitoring"), Availability::Never(CLOUD)),
    option("sort", None, Takes::One, None, Availability::Now),
    option("attach", None, Takes::Nothing, None, Availability::Now),
];

/// The option of this long name, with or without its dashes.
pub fn find(long: &str) -> Option<&'static CliOption> {
    let long = long.trim_start_matches("--");
    OPTIONS.iter().find(|option| option.long == long)
}

#[cfg(test)]
mod tests {
    use super::{OPTIONS, Takes, find};
    use crate::commands::Availability;
    use baton_core::spec::Field;
    use std::collections::BTreeSet;

    #[test]
    fn every_option_sets_a_key_that_exists() {
        for option in OPTIONS {
            let Some(key) = option.key else { continue };
            let field = Field::find(key).unwrap_or_else(|| panic!("--{} sets {key}", option.long));
            let satisfied = ["vizion", "automation"].contains(&key);
            if option.availability == Availability::Now {
                assert!(!field.is_later() || satisfied, "--{} works, but {key} does not", option.long);
            } else {
                assert!(field.is_later(), "{key} works, but --{} does not", option.long);
            }
        }
    }

    #[test]
    fn no_name_and_no_letter_is_used_twice() {
        let names: BTreeSet<_> = OPTIONS.iter().map(|option| option.long).collect();
        assert_eq!(names.len(), OPTIONS.len());
        let letters: Vec<_> = OPTIONS.iter().filter_map(|option| option.short).collect();
        assert_eq!(letters.iter().collect::<BTreeSet<_>>().len(), letters.len());
        assert_eq!(find("--stop-exit-codes").map(|option| option.takes), Some(Takes::Many));
    }
}
