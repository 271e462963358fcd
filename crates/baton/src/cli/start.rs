//! `start`: run a script, a program, a command line, or the apps of a process file; or start present apps again.

use super::act::{self, How, Targets};
use super::apps::{self, FileOptions, Loaded, Started};
use super::check;
use super::common::Common;
use super::failure::Failure;
use super::foreground::{self, Foreground};
use super::options::AppOptions;
use super::service::{self, ServiceOptions};
use super::session::{Session, command, list};
use super::target;
use crate::client::Client;
use baton_config::target::{Target, classify, find_default, is_pattern, resolve};
use baton_config::{ConfigError, Dependencies};
use baton_core::proto::{Action, Command, Done, List, Order, Outcome, Patch, Roll, Wait};
use baton_core::select::Selector;
use baton_core::units::Millis;
use baton_core::world::InstanceView;
use baton_pm2::commands::Availability;
use baton_pm2::{record, text};
use clap::{Args as ClapArgs, Parser};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How long `--wait` waits when it does not say (ms).
#[cfg(test)]
const DEFAULT_WAIT: Millis = Millis(30_000);

/// Run a script, a program, a command line in quotes, or the apps of a process file.
///
/// A name or number of the list starts that app again. Without a target, ecosystem.config.* of the directory is
/// taken.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Scripts, programs, command lines, process files, names, numbers, or `-` for JSON on standard input.
    #[arg(value_name = "script|file|name|id|-")]
    pub(super) targets: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(super) file: FileOptions,
    #[command(flatten)]
    pub(super) start: StartOptions,
    /// Check the apps of process files first, as `check` does; when one check fails, start nothing.
    #[arg(long)]
    check: bool,
    /// Start a second copy of a script that runs already.
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    pub(super) service: ServiceOptions,
    /// Stay in the foreground and show the logs; Ctrl-C ends the apps, as `runtime` does.
    #[arg(long)]
    pub(super) no_daemon: bool,
    /// What apps write is shown here, from their log files.
    #[arg(skip)]
    pub(super) shown_here: bool,
    #[command(flatten)]
    pub(super) app: AppOptions,
    /// Arguments of the app, as they are. Without a target in front, the first is the program.
    #[arg(last = true)]
    pub(super) app_args: Vec<String>,
}

/// Options of `start`, `restart` and `startOrRestart` that are no keys of an app.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct StartOptions {
    /// Give present apps the environment of this shell; variables that are gone go away.
    #[arg(short = 'a', long)]
    pub(crate) update_env: bool,
    /// Wait until the apps are ready (until then: up for min_uptime); fail when one is not within this time (such as
    /// `10s`, default 30 s).
    #[arg(long, value_name = "TIMEOUT", num_args = 0..=1, require_equals = true, default_missing_value = "30s")]
    wait: Option<String>,
    /// Start again so many instances at a time, each when the ones before are ready. Default: all at once, and one at a
    /// time in a reload.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    parallel: Option<u32>,
    /// Follow the logs of the started apps.
    #[arg(long)]
    pub(crate) attach: bool,
    /// Start nothing but what is named, and at once, whatever it depends on.
    #[arg(long)]
    no_deps: bool,
    /// Start what others run and the apps depend on, where it is not there and the process file says how.
    #[arg(long)]
    pub(crate) start_externals: bool,
    #[command(flatten)]
    images: ImageOptions,
}

/// PM2's options for building container images. They are known, so that each can say why it is not here.
#[derive(Clone, Debug, ClapArgs)]
struct ImageOptions {
    #[arg(long, hide = true)]
    fresh: bool,
    #[arg(long, hide = true)]
    daemon: bool,
    #[arg(long, hide = true)]
    container: bool,
    #[arg(long, hide = true)]
    dist: bool,
    #[arg(long, hide = true, num_args = 0..=1)]
    image_name: Option<Option<String>>,
    #[arg(long, hide = true, num_args = 0..=1)]
    node_version: Option<Option<String>>,
    #[arg(long, hide = true)]
    dockerdaemon: bool,
}

impl StartOptions {
    /// Refuses the options of PM2 that baton does without.
    ///
    /// # Errors
    /// For the first of them.
    pub(crate) fn refuse_absent(&self) -> Result<(), Failure> {
        let images = &self.images;
        let given = [
            ("--fresh", images.fresh),
            ("--daemon", images.daemon),
            ("--container", images.container),
            ("--dist", images.dist),
            ("--image-name", images.image_name.is_some()),
            ("--node-version", images.node_version.is_some()),
            ("--dockerdaemon", images.dockerdaemon),
        ];
        let why = Availability::Never("baton builds no container images; run it inside the image that you build");
        match given.iter().find(|(_, given)| *given).and_then(|(name, _)| why.refusal(name)) {
            Some(text) => Err(Failure::Unavailable(text)),
            None => Ok(()),
        }
    }

    /// Whether a start heeds what the apps depend on.
    pub(crate) fn order(&self) -> Order {
        if self.no_deps { Order::Alone } else { Order::Dependencies }
    }

    /// What becomes of what the apps of a process file depend on.
    pub(crate) fn dependencies(&self) -> Dependencies {
        if self.no_deps { Dependencies::Name } else { Dependencies::Bring }
    }

    /// Until when to wait.
    ///
    /// # Errors
    /// When the time is none.
    pub(crate) fn wait(&self) -> Result<Wait, Failure> {
        let Some(text) = &self.wait else { return Ok(Wait::Spawned) };
        duration(text)
            .map(|timeout| Wait::Ready { timeout })
            .ok_or_else(|| Failure::Usage(format!("--wait={text}: write a time such as 10s or 500ms")))
    }
}

impl StartOptions {
    /// The options given that say how a start is done and are not about turns.
    pub(super) fn options_of_a_start(&self) -> impl Iterator<Item = String> + use<> {
        let options = [
            ("--update-env", self.update_env),
            ("--wait", self.wait.is_some()),
            ("--no-deps", self.no_deps),
            ("--start-externals", self.start_externals),
        ];
        options.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned())
    }

    /// How slots are run again one after another.
    pub(crate) fn roll(&self, overlap: bool) -> Roll {
        Roll { parallel: self.parallel.unwrap_or(1), overlap }
    }

    /// How apps are started again: at once, or with `--parallel` slot by slot.
    pub(crate) fn rolled(&self) -> Option<Roll> {
        self.parallel.map(|_| self.roll(false))
    }
}

/// A time in milliseconds, or with `ms`, `s`, `m` or `h` behind it.
pub(super) fn duration(text: &str) -> Option<Millis> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).map(Millis)
}

/// One thing that `start` was asked to do.
enum Job {
    /// Make the apps of a process file run.
    Define(Box<Loaded>),
    /// Start a script, a program or a command line as it stands.
    Launch(String),
    /// A bare word: a present app, or else a program.
    Word(String),
}

impl Job {
    /// The same, when it can be done as far as is known without the daemon.
    fn startable(self, session: &Session) -> Result<Job, Failure> {
        match self {
            Job::Define(loaded) => Ok(Job::Define(Box::new(loaded.startable(session)?))),
            Job::Launch(_) | Job::Word(_) => Ok(self),
        }
    }
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    args.start.refuse_absent()?;
    args.app.refuse_absent()?;
    if args.service.is_wanted() {
        return service::become_it(session);
    }
    if args.no_daemon {
        return foreground::run(args, Foreground::default(), session);
    }
    let attach = args.start.attach;
    let (started, mut client) = bring_up(args, session)?;
    started.finish(attach, &mut client, session)
}

/// Has everything started that the command line means.
///
/// # Errors
/// When it can't be begun. What became of each part is in the result.
pub(super) fn bring_up(mut args: Args, session: &Session) -> Result<(Started, Client), Failure> {
    let wait = args.start.wait()?;
    let directory = session.directory()?;
    if args.targets.is_empty() && args.file.config.is_empty() {
        if args.app_args.is_empty() {
            args.targets.push(default_file(&directory, session)?);
        } else {
            args.targets.push(args.app_args.remove(0));
        }
    }
    let mut started = Started::default();
    let jobs = read_files(&args, &directory, &mut started, session)?;
    if jobs.is_empty() {
        return Err(Failure::Told);
    }
    if !jobs.iter().any(|job| matches!(job, Job::Define(_))) && (args.file.env.is_some() || !args.file.only.is_empty())
    {
        session.warn("--env and --only have no effect without a process file");
    }
    if args.check {
        for job in &jobs {
            if let Job::Define(loaded) = job {
                check::all(loaded, false, session)?;
            }
        }
    }
    let mut jobs = jobs.into_iter().map(|job| job.startable(session)).collect::<Result<Vec<Job>, Failure>>()?;
    if args.shown_here {
        let loaded = jobs.iter_mut().filter_map(|job| if let Job::Define(loaded) = job { Some(loaded) } else { None });
        loaded.flat_map(|loaded| &mut loaded.apps).for_each(foreground::with_logs);
    }
    if !args.app_args.is_empty() && jobs.iter().any(|job| matches!(job, Job::Define(_))) {
        session.warn("arguments after -- have no effect on the apps of a process file: write `args` there");
    }
    let mut client = session.client()?;
    for job in jobs {
        match carry_out(job, &args, wait, &directory, &started, &mut client, session) {
            Ok(outcomes) => started.add(outcomes),
            Err(failure) => started.fail(&failure, session),
        }
    }
    Ok((started, client))
}

/// The process file of the directory, said aloud.
fn default_file(directory: &Path, session: &Session) -> Result<String, Failure> {
    let Some(path) = find_default(directory) else {
        return Err(Failure::Usage("File ecosystem.config.js not found".into()));
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    session.say(&format!("Using {name}"));
    Ok(name)
}

/// What the targets ask for; all process files together are one source. They are evaluated here, before the daemon is
/// asked for anything: what is wrong in one changes nothing, the other targets neither.
fn read_files(args: &Args, directory: &Path, started: &mut Started, session: &Session) -> Result<Vec<Job>, Failure> {
    let mut files: Vec<PathBuf> = args.file.config.iter().map(PathBuf::from).collect();
    let mut jobs = Vec::new();
    // The source takes the turn of its first file.
    let mut turn = (!files.is_empty()).then_some(0);
    for text in &args.targets {
        match text.as_str() {
            "-" => jobs.push(Job::Define(Box::new(apps::load(
                &target::Meant::Stdin,
                &args.file,
                &args.app,
                args.start.dependencies(),
                session,
            )?))),
            text => match classify(text, directory, false) {
                Target::ProcessFile(_) => {
                    turn.get_or_insert(jobs.len());
                    files.push(text.into());
                }
                Target::CommandLine(_) | Target::Program(_) => jobs.push(Job::Launch(text.into())),
                Target::Word(word)
                    if !is_on_path(&word, session) && target::is_only_a_directory(&word, directory, session)? =>
                {
                    turn.get_or_insert(jobs.len());
                    files.push(word.into());
                }
                Target::Word(word) => jobs.push(Job::Word(word)),
            },
        }
    }
    // Scripts name a file that may be there or not beside one that is.
    let is_missing = |path: &PathBuf| !resolve(directory, path).exists() && !is_pattern(&path.to_string_lossy());
    let (missing, files): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(is_missing);
    for path in missing {
        started.fail(&ConfigError::FileNotFound(path.display().to_string()).into(), session);
    }
    if !files.is_empty() {
        let source = target::Meant::Files(files);
        let loaded = apps::load(&source, &args.file, &args.app, args.start.dependencies(), session)?;
        jobs.insert(turn.unwrap_or(0), Job::Define(Box::new(loaded)));
    }
    Ok(jobs)
}

/// Whether a word is the name of a program.
fn is_on_path(word: &str, session: &Session) -> bool {
    baton_config::paths::on_path(word, &session.environment(), Path::new("/")).is_some()
}

fn carry_out(
    job: Job,
    args: &Args,
    wait: Wait,
    directory: &Path,
    started: &Started,
    client: &mut Client,
    session: &Session,
) -> Result<Vec<Outcome>, Failure> {
    match job {
        Job::Define(loaded) => apps::define(*loaded, &args.start, args.start.rolled(), client, session),
        Job::Launch(text) => launch(&text, args, wait, client, session),
        // It stood in a process file of the same command line and was just started with it.
        Job::Word(word) if started.has(&word) => Ok(Vec::new()),
        Job::Word(word) => match present(&word, directory, client)? {
            Some(selector) => {
                let patch = patch(&args.app, &args.file, &args.app_args, args.start.update_env, session)?;
                let targets = Targets { words: vec![selector], ..Targets::default() };
                let how = How { patch, order: args.start.order(), wait };
                let outcomes = act::on_slots(Action::Start, targets, how, client, session)?;
                if act::success(&outcomes).is_ok() {
                    session.say(text::STARTED);
                }
                Ok(outcomes)
            }
            None => launch(&word, args, wait, client, session),
        },
    }
}

/// The selector for a word that names something present: an app, a unit, `all`, or a number.
fn present(word: &str, directory: &Path, client: &mut Client) -> Result<Option<Selector>, Failure> {
    let known = |instances: &[InstanceView]| {
        word == "all"
            || instances.iter().any(|view| view.name == word || view.namespace == word)
            // A number is never a program: an unknown one is told by the daemon.
            || word.parse::<u32>().is_ok()
    };
    let instances = list(client, List::default())?.instances;
    Ok(known(&instances).then(|| target::selector(word, directory)))
}

fn launch(
    text: &str,
    args: &Args,
    wait: Wait,
    client: &mut Client,
    session: &Session,
) -> Result<Vec<Outcome>, Failure> {
    let mut wish = apps::script(text, &args.app, &args.file, &args.app_args, session)?;
    if args.shown_here {
        foreground::with_logs(&mut wish.spec);
    }
    let wished = wish.spec.instances.0.max(0);
    let starting = text::starting(&wish.spec.script, record::exec_mode(wish.spec.exec_mode), wished);
    // Told once the daemon has not refused it: scripts look for this line to know that something was launched.
    let outcomes = command(client, Command::Launch { app: Box::new(wish), force: args.force, wait })?;
    let again: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.done == Done::Restarted).collect();
    let done = if let Some(first) = again.first() {
        let ids: Vec<_> = again.iter().map(|outcome| outcome.id).collect();
        act::announce(Action::Start, &first.name, &ids, session);
        act::tell(&outcomes, session);
        text::STARTED
    } else {
        session.say(&starting);
        act::tell_failures(&outcomes, session);
        text::DONE
    };
    if act::success(&outcomes).is_ok() {
        session.say(done);
    }
    Ok(outcomes)
}

/// What options given with present apps change in their stored definitions.
///
/// # Errors
/// When a value does not fit its key.
pub(crate) fn patch(
    app: &AppOptions,
    file: &FileOptions,
    app_args: &[String],
    update_env: bool,
    session: &Session,
) -> Result<Patch, Failure> {
    let mut raw = app.given.clone();
    raw.extend(file.keys());
    if !app_args.is_empty() {
        raw.insert("args".into(), app_args.iter().map(|word| Value::from(word.as_str())).collect());
    }
    Ok(Patch { fields: apps::patch_fields(&raw, session)?, base_env: update_env.then(|| session.environment().into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("1500"), Some(Millis(1500)));
        assert_eq!(duration("10s"), Some(Millis(10_000)));
        assert_eq!(duration("2m"), Some(Millis(120_000)));
        assert_eq!(duration("s"), None);
        assert_eq!(duration("10 s"), None);
    }

    #[test]
    fn wait_is_off_unless_asked_and_has_a_default() {
        let wait = |words: &[&str]| {
            let command = <Args as clap::CommandFactory>::command().no_binary_name(true);
            let matches = command.try_get_matches_from(words).unwrap();
            <Args as clap::FromArgMatches>::from_arg_matches(&matches).unwrap().start.wait().unwrap()
        };
        assert_eq!(wait(&["a.js"]), Wait::Spawned);
        assert_eq!(wait(&["--wait", "a.js"]), Wait::Ready { timeout: DEFAULT_WAIT });
        assert_eq!(wait(&["a.js", "--wait=2s"]), Wait::Ready { timeout: Millis(2000) });
    }
}
