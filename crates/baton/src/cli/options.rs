//! The options that describe an app on the command line: PM2's spellings (from `baton_pm2::options`), and the key of a
//! process file that each of them is. Their help is the documentation of the key.
//!
//! To add one, add a row to PM2's table, or to [`OURS`] when PM2 does not have it.

use super::failure::Failure;
use super::session::Session;
use baton_core::spec::{Field, Kind};
use baton_pm2::commands::Availability;
use baton_pm2::options::{CliOption, OPTIONS, Takes};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};

/// Options for keys that PM2 knows in process files only.
const OURS: &[CliOption] = &[
    of_key("min-uptime", Takes::One, "min_uptime"),
    of_key("env-file", Takes::Repeated, "env_file"),
    of_key("kill-signal", Takes::One, "kill_signal"),
];

const fn of_key(long: &'static str, takes: Takes, key: &'static str) -> CliOption {
    CliOption { long, short: None, takes, key: Some(key), availability: Availability::Now }
}

/// The options that set a key, and those that this version must refuse.
fn rows() -> impl Iterator<Item = &'static CliOption> {
    OPTIONS.iter().chain(OURS).filter(|row| row.key.is_some() || row.availability != Availability::Now)
}

/// The options that mean nothing to a verb that starts nothing.
fn useless_rows() -> impl Iterator<Item = &'static CliOption> {
    let of_start = |row: &&CliOption| matches!(row.long, "force" | "update-env" | "attach" | "no-daemon");
    rows().chain(OPTIONS.iter().filter(of_start))
}

/// Asks for what is the case anyway: nothing of PM2's is loaded into apps, so that nothing is traced.
fn is_the_case(row: &CliOption) -> bool {
    matches!(row.long, "disable-trace" | "disable-source-map-support")
}

/// The keys that were given on the command line, in the form of a process file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AppOptions {
    /// Canonical key and value as given. `null` means the default.
    pub(crate) given: Map<String, Value>,
    /// The options themselves, by their long names.
    spelled: Vec<&'static str>,
}

impl AppOptions {
    /// Refuses options whose effect this version does not have.
    ///
    /// # Errors
    /// For the first of them.
    pub(crate) fn refuse_absent(&self) -> Result<(), Failure> {
        let used = rows().filter(|row| self.spelled.contains(&row.long) && !is_the_case(row));
        match used.filter_map(|row| row.availability.refusal(&format!("--{}", row.long))).next() {
            Some(text) => Err(Failure::Unavailable(text)),
            None => Ok(()),
        }
    }

    /// Whether this option was given; it is taken out.
    pub(crate) fn take(&mut self, long: &str) -> bool {
        let before = self.spelled.len();
        self.spelled.retain(|spelled| *spelled != long);
        self.spelled.len() < before
    }

    /// Sets a key that was not given.
    pub(crate) fn fall_back_to(&mut self, key: &str, value: Value) {
        if !self.given.contains_key(key) {
            self.given.insert(key.into(), value);
        }
    }

    /// Says that these options mean nothing to a verb.
    pub(crate) fn tell_useless(&self, verb: &str, session: &Session) {
        for long in &self.spelled {
            session.warn(&format!("--{long} has no effect on {verb}"));
        }
    }

    /// The keys for a new app: one set to `null` is as good as not given.
    pub(crate) fn for_new_app(&self) -> Map<String, Value> {
        self.given.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

impl AppOptions {
    fn read(matches: &ArgMatches, rows: impl Iterator<Item = &'static CliOption>) -> AppOptions {
        let mut options = AppOptions::default();
        for row in rows {
            let value = match row.takes {
                Takes::Nothing => matches.get_flag(row.long).then(|| set_to(row)),
                Takes::One | Takes::Maybe => matches.get_one::<String>(row.long).map(|text| one(text)),
                Takes::Repeated | Takes::Many => matches.get_many::<String>(row.long).map(many),
            };
            let Some(value) = value else { continue };
            options.spelled.push(row.long);
            let value = match row.long {
                "watch-delay" => in_seconds(value),
                "ext" => only_these_ends(&value),
                _ => value,
            };
            if let Some(key) = row.key {
                options.given.insert(key.into(), value);
            }
        }
        options
    }
}

impl clap::FromArgMatches for AppOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(AppOptions::read(matches, rows()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = AppOptions::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What an option without a value sets its key to.
fn set_to(row: &CliOption) -> Value {
    match row.long {
        "execute-command" => "fork".into(),
        long => Value::Bool(!long.starts_with("no-")),
    }
}

/// PM2 takes a bare number of this option for seconds.
fn in_seconds(value: Value) -> Value {
    let seconds = value.as_str().and_then(|text| text.parse::<f64>().ok());
    seconds.map_or(value, |seconds| format!("{}ms", (seconds * 1000.0).round()).into())
}

/// Patterns against every file but those with these ends (`js,ts`).
fn only_these_ends(value: &Value) -> Value {
    let ends = value.as_str().unwrap_or_default().split([',', ' ']).filter(|end| !end.is_empty());
    let ends = ends.map(|end| format!("!*.{}", end.trim_start_matches('.')));
    std::iter::once("*.*".to_owned()).chain(ends).map(Value::String).collect()
}

/// Stands for an option that was given without its optional value. No command line can hold it.
const BARE: &str = "\u{0}";

fn one(text: &str) -> Value {
    match text {
        BARE => Value::Bool(true),
        "null" => Value::Null,
        text => text.into(),
    }
}

/// A list for several mentions; one bare mention is `true`, and `null` is nothing at all.
fn many<'a>(texts: impl Iterator<Item = &'a String>) -> Value {
    let values: Vec<Value> = texts.map(|text| one(text)).collect();
    match values.as_slice() {
        [Value::Null] => Value::Null,
        [Value::Bool(flag)] => Value::Bool(*flag),
        _ => values.into_iter().filter(Value::is_string).collect(),
    }
}

impl clap::Args for AppOptions {
    fn augment_args(command: Command) -> Command {
        command.args(rows().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The same options for a verb that they mean nothing to, but that PM2 accepts them for: they are not in its help.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct UselessOptions(pub(crate) AppOptions);

impl clap::FromArgMatches for UselessOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(UselessOptions(AppOptions::read(matches, useless_rows())))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = UselessOptions::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for UselessOptions {
    fn augment_args(command: Command) -> Command {
        command.args(useless_rows().map(|row| argument(row).hide(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The first sentence of a text over several lines.
fn first_sentence(doc: &str) -> String {
    let words = doc.split_whitespace().collect::<Vec<_>>().join(" ");
    words.split_once(". ").map_or_else(|| words.clone(), |(first, _)| format!("{first}."))
}

/// The option as clap knows it.
fn argument(row: &'static CliOption) -> Arg {
    let field = row.key.and_then(Field::find);
    let doc = field.map(|field| first_sentence(field.doc)).unwrap_or_default();
    let works = row.availability == Availability::Now || is_the_case(row);
    let help = match row.long {
        "execute-command" => "Run independent processes (fork mode), also with several instances.".into(),
        long if long.starts_with("no-") => format!("Switch off: {doc}"),
        _ => doc,
    };
    let mut argument = Arg::new(row.long).long(row.long).help(help).help_heading("The app").hide(!works);
    if let Some(short) = row.short {
        argument = argument.short(short);
    }
    let name = value_name(field.map(|field| field.kind));
    match row.takes {
        Takes::Nothing => argument.action(ArgAction::SetTrue),
        // PM2 takes the last of several.
        Takes::One => argument.value_name(name).allow_hyphen_values(true).overrides_with(row.long),
        Takes::Maybe => optional(argument, name).overrides_with(row.long),
        Takes::Many => argument.value_name(name).action(ArgAction::Append).value_delimiter(','),
        Takes::Repeated => optional(argument, name).action(ArgAction::Append),
    }
}

fn optional(argument: Arg, name: &'static str) -> Arg {
    argument.value_name(name).num_args(0..=1).default_missing_value(BARE)
}

fn value_name(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Path) => "PATH",
        Some(Kind::Integer(..) | Kind::Instances) => "NUMBER",
        Some(Kind::Integers) => "NUMBERS",
        Some(Kind::Duration) => "TIME",
        Some(Kind::Size) => "SIZE",
        Some(Kind::Words) => "WORDS",
        Some(Kind::Signal) => "SIGNAL",
        Some(Kind::Choice(_)) => "WORD",
        Some(
            Kind::Text
            | Kind::Bool
            | Kind::Texts
            | Kind::Environment
            | Kind::Switch
            | Kind::Dependencies
            | Kind::Readiness
            | Kind::Health
            | Kind::Heartbeat
            | Kind::Schedule
            | Kind::Hooks
            | Kind::Listen
            | Kind::Rlimits
            | Kind::Cpus
            | Kind::Map
            | Kind::Any,
        )
        | None => "TEXT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};
    use serde_json::json;

    fn parse(words: &[&str]) -> AppOptions {
        let command = AppOptions::augment_args(Command::new("test").no_binary_name(true));
        AppOptions::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
    }

    #[test]
    fn the_text_of_an_option_is_a_whole_sentence() {
        assert_eq!(
            first_sentence(" Restart when a file\n changes: `true`. Or more."),
            "Restart when a file changes: `true`."
        );
        assert_eq!(first_sentence(" Name\n in the list"), "Name in the list");
    }

    #[test]
    fn every_option_that_works_has_a_text() {
        for argument in rows().map(argument).filter(|argument| !argument.is_hide_set()) {
            assert!(!argument.get_help().unwrap().to_string().is_empty(), "{}", argument.get_id());
        }
    }

    #[test]
    fn options_become_keys_of_a_process_file() {
        let options = parse(&["-n", "web", "-i", "-1", "--no-autorestart", "--node-args", "--inspect", "-l", "-x"]);
        assert_eq!(
            Value::Object(options.given),
            json!({"name": "web", "node_args": "--inspect", "log_file": true, "instances": "-1", "exec_mode": "fork", "autorestart": false}),
        );
    }

    #[test]
    fn the_word_null_sets_a_key_back() {
        let options = parse(&["--node-args=null", "--name", "x"]);
        assert_eq!(options.given["node_args"], Value::Null);
        assert_eq!(Value::Object(options.for_new_app()), json!({"name": "x"}));
    }

    #[test]
    fn repeated_options_gather_and_single_ones_take_the_last() {
        let options = parse(&["--filter-env", "AWS", "--filter-env", "SECRET", "--name", "a", "--name", "b"]);
        assert_eq!(Value::Object(options.given), json!({"name": "b", "filter_env": ["AWS", "SECRET"]}));
        assert_eq!(parse(&["--stop-exit-codes", "1,2"]).given["stop_exit_codes"], json!(["1", "2"]));
        assert_eq!(parse(&["--filter-env"]).given["filter_env"], json!(true));
    }

    #[test]
    fn options_of_watching_are_those_of_pm2() {
        let given = |words: &[&str]| Value::Object(parse(words).given);
        assert_eq!(given(&["--watch"]), json!({"watch": true}));
        assert_eq!(given(&["--watch", "src", "--watch", "lib"]), json!({"watch": ["src", "lib"]}));
        assert_eq!(given(&["--watch-delay", "0.5"]), json!({"watch_delay": "500ms"}));
        assert_eq!(given(&["--watch-delay", "500ms"]), json!({"watch_delay": "500ms"}));
        assert_eq!(given(&["--ext", "js,.ts"]), json!({"ignore_watch": ["*.*", "!*.js", "!*.ts"]}));
    }

    #[test]
    fn options_without_effect_yet_are_refused_and_those_that_ask_for_what_is_are_not() {
        let refusal = |words: &[&str]| parse(words).refuse_absent().unwrap_err().to_string();
        assert_eq!(refusal(&["--write"]), "--write is not available yet");
        assert!(refusal(&["--deep-monitoring"]).contains("is not supported"));
        assert!(parse(&["--no-vizion", "--no-pmx", "--no-automation", "--disable-trace"]).refuse_absent().is_ok());
    }
}
