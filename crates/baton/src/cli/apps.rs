//! Apps as process files, standard input and the command line describe them: reading, defining and ending them.

use super::act::{self, Targets};
use super::externals;
use super::failure::Failure;
use super::options::AppOptions;
use super::session::{CalledAs, Session, command, list};
use super::start::StartOptions;
use super::target::{self, Meant};
use crate::client::Client;
use baton_config::target::find_default;
use baton_config::{
    CliOverrides, ConfigError, Context, Dependencies, Limits, LoadOptions, Loader, Place, Skipped, check, normalise,
    render,
};
use baton_core::deps::DependencyError;
use baton_core::proto::{Action, Command, Done, List, Order, Outcome, Patch, Refusal, Roll, Wish};
use baton_core::select::Selector;
use baton_core::spec::{AppSpec, External};
use baton_core::units::InstanceId;
use baton_core::world::InstanceView;
use baton_pm2::text;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::thread;

/// The key that says what counts more, and its value for the shell.
const ENV_PRIORITY: &str = "env_priority";
const SHELL: &str = "shell";

/// Options that say which part of a process file is meant and how it is read.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FileOptions {
    /// Take this file as a process file, whatever its name is.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<String>,
    /// Only these apps and units of a process file (`a,b` or `"a b"`).
    #[arg(long, value_name = "NAMES")]
    pub(crate) only: Vec<String>,
    /// The environment of a process file to use: `env_<NAME>` above `env`.
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// One of the `profiles` of a process file.
    #[arg(long, visible_alias = "mode", value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The entry to take of a Clojure process file that is a library.
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// A setting over the process file: `apps.NAME.KEY=VALUE`, or a path from the top.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A key to take out of the process file, or with `apps.NAME` an app.
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// Let the variables of this shell stand above those of the process file, as `env_priority: shell` does.
    #[arg(long)]
    pub(crate) shell_env_first: bool,
    /// A variable that process files see while they are evaluated; no app gets it by that.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) eval_env: Vec<String>,
    /// What evaluates a JavaScript process file.
    #[arg(long, value_enum, default_value = "auto")]
    loader: LoaderName,
}

impl FileOptions {
    /// The same, for files that are named otherwise.
    pub(crate) fn without_files(&self) -> FileOptions {
        FileOptions { config: Vec::new(), ..self.clone() }
    }

    /// The options as words of a command line, but for `--only`.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut put = |name: &str, values: &[String]| {
            words.extend(values.iter().map(|value| format!("--{name}={value}")));
        };
        put("config", &self.config);
        put("env", self.env.as_slice());
        put("profile", self.profile.as_slice());
        put("entry", self.entry.as_slice());
        put("set", &self.set);
        put("unset", &self.unset);
        put("eval-env", &self.eval_env);
        match self.loader {
            LoaderName::Embedded => put("loader", &["embedded".into()]),
            LoaderName::Node => put("loader", &["node".into()]),
            LoaderName::Auto => {}
        }
        words.extend(self.shell_env_first.then(|| "--shell-env-first".to_owned()));
        words
    }

    /// The keys that these options set in apps which no process file defines.
    pub(crate) fn keys(&self) -> Map<String, Value> {
        let priority = self.shell_env_first.then(|| (ENV_PRIORITY.to_owned(), SHELL.into()));
        priority.into_iter().collect()
    }
}

/// What evaluates a JavaScript process file.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LoaderName {
    /// The engine in this program.
    Embedded,
    /// The `node` on PATH.
    Node,
    /// The engine in this program; `node` when something was missing that only Node has.
    #[default]
    Auto,
}

/// What a process file says.
#[derive(Default)]
pub(crate) struct Loaded {
    /// Its apps, those that are wanted.
    pub(crate) apps: Vec<AppSpec>,
    /// The command that it gives for missing scripts.
    pub(crate) on_missing: Option<String>,
    /// Every file that was read for it.
    pub(crate) inputs: Vec<PathBuf>,
    /// Other paths that were looked for, found or not.
    pub(crate) looked_for: Vec<PathBuf>,
    /// Directories that were listed.
    pub(crate) directories: Vec<PathBuf>,
    /// Of a directory of process files, what was left aside and why.
    pub(crate) skipped: Vec<Skipped>,
    /// Whether it says that `sync` may remove apps that it does not have any more.
    pub(crate) prune: bool,
    /// What `sync` makes before it reads the files, and after that.
    pub(crate) made: baton_config::Made,
    /// Names of `only` that it does not have.
    pub(crate) unknown_only: Vec<String>,
    /// Whether it has no apps at all.
    pub(crate) is_empty: bool,
    /// How messages call it.
    shown: String,
    /// Whether all of its apps were wanted.
    is_whole: bool,
    /// What others run, as it declares it.
    pub(crate) externals: Vec<External>,
    /// Names of apps that are there only because others need them.
    pub(crate) brought: Vec<String>,
    /// Where the dependencies of each app are written.
    pub(crate) depends: BTreeMap<String, Place>,
}

/// What was started by one command line.
#[derive(Debug, Default)]
pub(crate) struct Started {
    /// What became of each slot.
    outcomes: Vec<Outcome>,
    /// Whether a part of the command line came to nothing (told already).
    failed: bool,
}

impl Started {
    /// Takes in what became of slots.
    pub(crate) fn add(&mut self, outcomes: Vec<Outcome>) {
        self.outcomes.extend(outcomes);
    }

    /// Tells a failure and remembers it for the exit code.
    pub(crate) fn fail(&mut self, failure: &Failure, session: &Session) {
        failure.tell(session);
        self.failed = true;
    }

    /// Whether a word names an app or a slot that was touched.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.outcomes.iter().any(|outcome| outcome.name == word || outcome.id.to_string() == word)
    }

    /// Whether all went well.
    ///
    /// # Errors
    /// When anything failed (told already).
    pub(crate) fn success(self) -> Result<(), Failure> {
        if self.failed { Err(Failure::Told) } else { act::success(&self.outcomes) }
    }

    /// Shows the table, and follows the logs of what was started when that was asked for.
    ///
    /// # Errors
    /// When anything failed (told already).
    pub(crate) fn finish(self, attach: bool, client: &mut Client, session: &Session) -> Result<(), Failure> {
        if self.failed && self.outcomes.is_empty() {
            return Err(Failure::Told);
        }
        session.table(client)?;
        act::success(&self.outcomes)?;
        if self.failed {
            return Err(Failure::Told);
        }
        if attach {
            let slots = self.outcomes.into_iter().filter(|outcome| outcome.done != Done::Deleted);
            return super::logs::attach(slots.map(|outcome| outcome.id).collect(), client, session);
        }
        Ok(())
    }
}

impl Loaded {
    /// The same, when it can be made to run. Asked before there is a daemon, which a refusal needs none of.
    ///
    /// # Errors
    /// When a variable of `required_env` has no value, and when there are no apps, which PM2 has nothing against.
    pub(crate) fn startable(self, session: &Session) -> Result<Loaded, Failure> {
        check::refuse_missing_variables(&self.apps)?;
        if self.apps.is_empty() && self.is_whole && session.called == CalledAs::Baton {
            return Err(Failure::Usage(format!("{} defines no apps: there is nothing to start", self.shown)));
        }
        Ok(self)
    }
}

/// Reads the apps of a process file or of standard input. Nothing is asked of the daemon.
///
/// # Errors
/// When it is missing, wrong, or evaluates to something else than apps.
pub(crate) fn load(
    source: &Meant,
    file: &FileOptions,
    app: &AppOptions,
    dependencies: Dependencies,
    session: &Session,
) -> Result<Loaded, Failure> {
    let mut options = file_options(file, session)?;
    options.dependencies = dependencies;
    options.overrides = overrides(app, session);
    options.overrides.fields.extend(file.keys());
    let loaded = match source {
        Meant::Files(paths) => baton_config::load_all(paths, &options)?,
        Meant::Stdin => baton_config::load_stdin_json(&stdin()?, &options)?,
        Meant::Slots(selector) | Meant::Either(selector) => return Err(no_file(selector)),
    };
    session.pass_on(&loaded.console);
    for warning in &loaded.warnings {
        session.warn(&warning.to_string());
    }
    for name in &loaded.unknown_only {
        session.warn(&format!("--only: there is no app or unit {name} in the process file"));
    }
    let (shown, is_whole) = (source.to_string(), file.only.is_empty());
    let baton_config::Loaded {
        apps,
        is_empty,
        on_missing,
        inputs,
        looked_for,
        directories,
        externals,
        brought,
        depends,
        skipped,
        prune,
        made,
        unknown_only,
        ..
    } = loaded;
    Ok(Loaded {
        prune,
        made,
        unknown_only,
        is_empty,
        apps,
        on_missing,
        inputs,
        looked_for,
        directories,
        skipped,
        shown,
        is_whole,
        externals,
        brought,
        depends,
    })
}

/// What a process file exports, as it is.
///
/// # Errors
/// As [`load`], but for what is wrong with apps.
pub(crate) fn evaluate(source: &Meant, file: &FileOptions, session: &Session) -> Result<String, Failure> {
    let options = file_options(file, session)?;
    let raw = match source {
        Meant::Files(paths) => baton_config::evaluate(paths, &options)?,
        Meant::Stdin => baton_config::evaluate_stdin_json(&stdin()?, &options)?,
        Meant::Slots(selector) | Meant::Either(selector) => return Err(no_file(selector)),
    };
    session.pass_on(&raw.console);
    for warning in &raw.warnings {
        session.warn(&warning.to_string());
    }
    Ok(raw.exact.unwrap_or_else(|| render::stringify(&raw.value)))
}

fn no_file(selector: &Selector) -> Failure {
    Failure::Usage(format!("{} is no process file", selector.text))
}

/// The process files that a verb about files means: its words, whatever they are called, `--config`, or the directory's.
///
/// # Errors
/// When there is none.
pub(crate) fn source(words: &[String], file: &FileOptions, session: &Session) -> Result<Meant, Failure> {
    let words: Vec<&String> = words.iter().chain(&file.config).collect();
    match words[..] {
        [] => find_default(&session.directory()?)
            .map(|path| Meant::Files(vec![path]))
            .ok_or_else(|| Failure::Usage("File ecosystem.config.js not found".into())),
        [word] if word == "-" => Ok(Meant::Stdin),
        _ if words.iter().any(|word| *word == "-") => {
            Err(Failure::Usage("standard input is a source of its own: leave the files out".into()))
        }
        _ => Ok(Meant::Files(words.into_iter().map(PathBuf::from).collect())),
    }
}

fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(Failure::system("standard input"))?;
    Ok(text)
}

/// The name and the value in `KEY=VALUE`.
fn variable(given: &str) -> Result<(String, String), Failure> {
    let (name, value) = given
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Failure::Usage(format!("--eval-env {given}: write KEY=VALUE")))?;
    Ok((name.into(), value.into()))
}

pub(super) fn file_options(file: &FileOptions, session: &Session) -> Result<LoadOptions, Failure> {
    Ok(LoadOptions {
        env_name: file.env.clone(),
        profile: file.profile.clone(),
        entry: file.entry.clone(),
        set: file.set.clone(),
        unset: file.unset.clone(),
        eval_env: file.eval_env.iter().map(|given| variable(given)).collect::<Result<_, _>>()?,
        only: file.only.iter().flat_map(|names| words(names)).collect(),
        loader: match file.loader {
            LoaderName::Embedded => Loader::Embedded,
            LoaderName::Node => Loader::Node,
            LoaderName::Auto => Loader::Auto,
        },
        ..load_options(session)?
    })
}

/// The names in `a,b` or `a b`.
fn words(names: &str) -> Vec<String> {
    names.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What options of the command line mean to every app of a process file.
fn overrides(app: &AppOptions, session: &Session) -> CliOverrides {
    let mut fields = app.for_new_app();
    if fields.remove("name").is_some() {
        session.warn("--name has no effect on the apps of a process file");
    }
    let namespace = fields.remove("namespace").and_then(|value| value.as_str().map(str::to_owned));
    CliOverrides { namespace, fields }
}

/// What every reading of a process file has in common.
///
/// # Errors
/// When the directory of the caller is gone.
pub(crate) fn load_options(session: &Session) -> Result<LoadOptions, Failure> {
    Ok(LoadOptions {
        caller_env: session.environment(),
        caller_cwd: session.directory()?,
        home: session.home.root().to_owned(),
        limits: Limits::default(),
        ..LoadOptions::default()
    })
}

/// How many instances a definition means on this machine: the affinity and the CPU quota count.
pub(crate) fn wish(spec: AppSpec) -> Wish {
    let processors = thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
    Wish { count: spec.instances.count(processors), spec, brought: false }
}

/// Makes the apps of a process file run as it says, all at once or as `roll` says, and tells so in PM2's lines.
///
/// # Errors
/// When what others run could not be started, and when the daemon refuses.
pub(crate) fn define(
    loaded: Loaded,
    options: &StartOptions,
    roll: Option<Roll>,
    client: &mut Client,
    session: &Session,
) -> Result<Vec<Outcome>, Failure> {
    let (wait, order) = (options.wait()?, options.order());
    if order == Order::Dependencies {
        externals::prepare(&loaded.apps, options.start_externals, session)?;
    }
    let present = list(client, List::default())?.instances;
    if order == Order::Dependencies {
        refuse_unknown(&loaded.apps.iter().collect::<Vec<_>>(), &loaded.depends, &present)?;
    }
    let (mut fresh, mut known): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    // What comes along is left as it is where it runs.
    for spec in loaded.apps.iter().filter(|spec| !loaded.brought.contains(&spec.name)) {
        let names = if present.iter().any(|view| view.name == spec.name) { &mut known } else { &mut fresh };
        names.push(&spec.name);
    }
    for name in known {
        let ids: Vec<InstanceId> = present.iter().filter(|view| view.name == name).map(|view| view.id).collect();
        act::announce(roll.map_or(Action::Restart, Action::Roll), name, &ids, session);
    }
    if !fresh.is_empty() {
        session.caution(&text::not_running(&fresh));
    }
    let brought = |wish: Wish| Wish { brought: loaded.brought.contains(&wish.spec.name), ..wish };
    let apps = loaded.apps.into_iter().map(wish).map(brought).collect();
    let define = match roll {
        None => Command::Define { apps, order, wait },
        Some(roll) => Command::Replace { apps, roll, order, wait },
    };
    let outcomes = command(client, define).map_err(|failure| with_place(failure, &loaded.depends))?;
    act::tell(&outcomes, session);
    Ok(outcomes)
}

/// Refuses dependencies on names that neither the file nor the list has, before anything is told of a start.
///
/// # Errors
/// For the first of them, with its place.
pub(crate) fn refuse_unknown(
    apps: &[&AppSpec],
    depends: &BTreeMap<String, Place>,
    present: &[InstanceView],
) -> Result<(), Failure> {
    let has = |on: &str| {
        apps.iter().any(|app| app.name == on || app.namespace == on)
            || present.iter().any(|view| view.name == on || view.namespace == on)
    };
    for app in apps {
        let mut own = app.depends_on.iter().filter(|dependency| dependency.external.is_none());
        if let Some(unknown) = own.find(|dependency| !has(&dependency.on)) {
            let what = DependencyError::Unknown { app: app.name.clone(), on: unknown.on.clone() };
            return Err(with_place(Failure::Refused(Refusal::Dependencies(what)), depends));
        }
    }
    Ok(())
}

/// A refusal because of dependencies, with where they are written.
pub(crate) fn with_place(failure: Failure, depends: &BTreeMap<String, Place>) -> Failure {
    let Failure::Refused(Refusal::Dependencies(what)) = failure else { return failure };
    let app = match &what {
        DependencyError::Unknown { app, .. }
        | DependencyError::NeverExits { app, .. }
        | DependencyError::Job { app, .. }
        | DependencyError::NeverHealthy { app, .. } => Some(app),
        DependencyError::Cycle(path) => path.iter().find(|name| depends.contains_key(*name)),
    };
    match app.and_then(|app| depends.get(app)) {
        Some(place) => ConfigError::Dependencies { place: place.clone(), what }.into(),
        // An app of the list, from elsewhere.
        None => Failure::Refused(Refusal::Dependencies(what)),
    }
}

/// The app that a script, a program or a command line means, with the options of the command line.
///
/// # Errors
/// When there is no such program or an option does not fit.
pub(crate) fn script(
    text: &str,
    app: &AppOptions,
    file: &FileOptions,
    args: &[String],
    session: &Session,
) -> Result<Wish, Failure> {
    let options = load_options(session)?;
    let mut raw = app.for_new_app();
    raw.extend(file.keys());
    if !args.is_empty() {
        raw.insert("args".into(), args.iter().map(|word| Value::from(word.as_str())).collect());
    }
    let (spec, warnings) = normalise::script(text, &raw, &Context::command_line(&options))?;
    for warning in &warnings {
        session.warn(&warning.to_string());
    }
    Ok(wish(spec))
}

/// The normalised keys that options change in a present definition.
///
/// # Errors
/// When a value does not fit its key.
pub(crate) fn patch_fields(raw: &Map<String, Value>, session: &Session) -> Result<BTreeMap<String, Value>, Failure> {
    if raw.is_empty() {
        return Ok(BTreeMap::new());
    }
    let options = load_options(session)?;
    Ok(normalise::patch(raw, &Context::command_line(&options))?)
}

/// Stops or deletes slots and the apps of process files, with these changes of their definitions. Apps of a file that are not in the list are passed over.
///
/// # Errors
/// When a file can't be read, a word names nothing, or the daemon refuses.
pub(crate) fn end(
    action: Action,
    words: &[String],
    file: &FileOptions,
    patch: Patch,
    session: &Session,
) -> Result<(), Failure> {
    let meant = target::sort(words, &file.config, session)?;
    let mut names: Vec<String> = Vec::new();
    for source in &meant.sources {
        names.extend(
            load(source, file, &AppOptions::default(), Dependencies::Leave, session)?
                .apps
                .into_iter()
                .map(|app| app.name),
        );
    }
    let any_file = !meant.sources.is_empty();
    if !any_file && (file.env.is_some() || !file.only.is_empty()) {
        session.warn("--env and --only have no effect without a process file");
    }
    let mut client = session.client()?;
    let mut targets = Targets { words: meant.words, ..Targets::default() };
    if any_file {
        let listing = list(&mut client, List::default())?;
        targets.apps = target::of_apps(&names, &listing.instances);
        // A name of the file that was also given as a word is told and done once.
        targets.words.retain(|word| !targets.apps.iter().any(|app| app.text == word.text));
    }
    if targets.words.is_empty() && targets.apps.is_empty() {
        return session.table(&mut client);
    }
    let how = act::How { patch, ..act::How::default() };
    let outcomes = act::on_slots(action, targets, how, &mut client, session)?;
    session.table(&mut client)?;
    act::success(&outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_takes_commas_and_blanks() {
        assert_eq!(words("a,b c"), ["a", "b", "c"]);
        assert_eq!(words(", a"), ["a"]);
    }
}
