//! `deploy`: what the `deploy` section of a process file says, done over ssh and git. The folders on a host are PM2's:
//! `source` is the repository, `shared` stays, `current` is a link to `source`, `.deploys` has the commits.
//!
//! | file | what it does |
//! |---|---|
//! | `site` | what an environment of the section says |
//! | `script` | the command lines for a host |

mod script;
mod site;

use super::apps::{self, FileOptions};
use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::target::Meant;
use baton_config::target::{Target, classify, find_default, resolve};
use baton_config::words::{quote, split};
use baton_os::errand::{self, Input};
use clap::Parser;
use serde_json::Value;
use site::{Host, Site};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Where else the section is looked for.
const OTHERS: &[&str] = &["ecosystem.json", "ecosystem.yml", "ecosystem.yaml", "ecosystem.json5", "package.json"];
/// What can be done, as PM2 calls it.
const COMMANDS: &[&str] =
    &["setup", "update", "revert", "current", "curr", "previous", "prev", "exec", "run", "list", "ref"];

/// Bring a git repository onto hosts over ssh, as the `deploy` section of a process file says.
///
/// Commands: setup (once), update (or none of them: deploy), revert N, current, previous, exec COMMAND, list, ref REF.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The process file, the environment of its `deploy` section, and a command with its words.
    #[arg(value_name = "file|environment|command", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
    /// Deploy although there are changes here that are not committed and pushed.
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What is to be done on each host.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Setup,
    /// Deploy what the section says, or this.
    Deploy(Option<String>),
    Revert(u32),
    Current,
    Previous,
    Exec(String),
    List,
}

/// Runs the verb.
pub(crate) fn run(mut args: Args, session: &Session) -> Result<(), Failure> {
    let directory = session.directory()?;
    let (file, shown) = source(&mut args.words, &directory)?;
    let environment = if args.words.is_empty() { None } else { Some(args.words.remove(0)) };
    let Some(environment) = environment.filter(|word| word != "help") else {
        return super::help::tell(Some("deploy"), session);
    };
    let text = apps::evaluate(&Meant::Files(vec![file]), &FileOptions::default(), session)?;
    let exported: Value = serde_json::from_str(&text).map_err(|error| Failure::Usage(format!("{shown}: {error}")))?;
    let section = section(&exported);
    let Some(given) = section.and_then(|section| section.get(&environment)) else {
        let known: Vec<&str> =
            section.and_then(Value::as_object).into_iter().flat_map(|map| map.keys().map(String::as_str)).collect();
        let help = if known.is_empty() { String::new() } else { format!("\n  help: there are {}", known.join(", ")) };
        return Err(Failure::Usage(format!("{environment} environment is not defined in {shown} file{help}")));
    };
    let mut unknown = Vec::new();
    let site = Site::read(given, &mut unknown)
        .map_err(|what| Failure::Usage(format!("deploy.{environment} of {shown}: {what}")))?;
    for key in unknown {
        session.warn(&format!("deploy.{environment} of {shown}: unknown key `{key}` is ignored"));
    }
    let (order, force) = order(&args.words).map_err(Failure::Usage)?;
    session.line(&format!("--> Deploying to {environment} environment"));
    let program = session.called.program();
    let start = format!("{program} startOrRestart {} --env {}", quote(&shown), quote(&environment));
    if matches!(order, Order::Deploy(_)) && !force && !args.force {
        refuse_local_changes(&directory).map_err(Failure::Usage)?;
    }
    for host in &site.hosts {
        session.line(&format!("--> on host {}", host.name));
        let work =
            Work { site: &site, host, root: script::place(&site.path), start: &start, directory: &directory, session };
        if let Err(what) = work.carry_out(&order) {
            session.error("Deploy failed");
            return Err(Failure::Usage(format!("{}: {what}", host.name)));
        }
    }
    session.line("--> Success");
    Ok(())
}

/// The process file, taken out of the words when it is the first of them, and how it is called there.
fn source(words: &mut Vec<String>, directory: &Path) -> Result<(PathBuf, String), Failure> {
    if let Some(first) = words.first() {
        let path = resolve(directory, first);
        let is_named = matches!(classify(first, directory, false), Target::ProcessFile(_)) && !path.is_dir();
        if path.is_file() || is_named {
            return Ok((path, words.remove(0)));
        }
    }
    let others = || OTHERS.iter().map(|name| directory.join(name)).find(|path| path.is_file());
    let found = find_default(directory).or_else(others).ok_or_else(|| {
        let names = OTHERS.join(", ");
        Failure::Usage(format!(
            "Not any default deployment file exists. Allowed default config file names are: ecosystem.config.*, {names}"
        ))
    })?;
    let shown = found.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((found, shown))
}

/// The section, at the top or where PM2 files have their apps.
fn section(exported: &Value) -> Option<&Value> {
    ["", "/default", "/pm2"].iter().find_map(|level| exported.pointer(&format!("{level}/deploy")))
}

/// What the words behind the environment mean, and whether they force it.
fn order(words: &[String]) -> Result<(Order, bool), String> {
    let Some((first, rest)) = words.split_first() else { return Ok((Order::Deploy(None), false)) };
    if matches!(first.as_str(), "exec" | "run") {
        return match rest {
            [] => Err(format!("{first} needs a command")),
            _ => Ok((Order::Exec(rest.join(" ")), false)),
        };
    }
    let forces = |word: &&String| matches!(word.as_str(), "--force" | "-f" | "-F");
    let plain: Vec<&String> = words.iter().filter(|word| !forces(word)).collect();
    let force = plain.len() < words.len();
    let order = match plain.iter().map(|word| word.as_str()).collect::<Vec<_>>()[..] {
        [] | ["update"] => Order::Deploy(None),
        ["setup"] => Order::Setup,
        ["revert"] => Order::Revert(1),
        ["revert", count] => Order::Revert(count.parse().map_err(|_| format!("revert {count}: write a number"))?),
        ["current" | "curr"] => Order::Current,
        ["previous" | "prev"] => Order::Previous,
        ["list"] => Order::List,
        // Git would take it for one of its own, and do something else.
        ["ref", word] | [word, ..] if word.starts_with('-') => return Err(format!("unknown option {word}")),
        ["ref", reference] => Order::Deploy(Some(reference.into())),
        [word] => match COMMANDS.iter().find(|known| strsim::jaro_winkler(known, word) > 0.85) {
            Some(known) => return Err(format!("unknown command {word}: did you mean `{known}`, or `ref {word}`?")),
            None => Order::Deploy(Some(word.into())),
        },
        [word, ..] => return Err(format!("{word} takes no more words")),
    };
    Ok((order, force))
}

/// As PM2: what is deployed is what the repository has, so what is only here would be missed.
fn refuse_local_changes(directory: &Path) -> Result<(), String> {
    let git = |words: &str| {
        let words: Vec<String> = ["git", "--no-pager"].into_iter().chain(words.split(' ')).map(str::to_owned).collect();
        errand::look(&words, directory)
    };
    // Without git, or elsewhere than in a repository, there is nothing to compare.
    if !git("rev-parse --is-inside-work-tree").is_ok_and(|(status, _)| status.success()) {
        return Ok(());
    }
    let fails = |words: &str| git(words).is_ok_and(|(status, _)| !status.success());
    let help = "\n  help: or use --force";
    if fails("diff --exit-code --quiet") {
        return Err(format!("commit or stash your changes before deploying{help}"));
    }
    if fails("diff --exit-code --quiet --cached") {
        return Err(format!("commit your staged changes before deploying{help}"));
    }
    if git("rev-list @{upstream}.. -n 1").is_ok_and(|(status, commits)| status.success() && !commits.is_empty()) {
        return Err(format!("push your changes before deploying{help}"));
    }
    Ok(())
}

/// The work on one host.
struct Work<'a> {
    site: &'a Site,
    host: &'a Host,
    root: String,
    /// What is done after a deploy where the section says nothing.
    start: &'a str,
    directory: &'a Path,
    session: &'a Session,
}

impl Work<'_> {
    fn carry_out(&self, order: &Order) -> Result<(), String> {
        let Work { site, root, .. } = self;
        match order {
            Order::Setup => self.set_up(),
            Order::Deploy(reference) => self.deploy(reference.as_ref().unwrap_or(&site.reference)),
            Order::Revert(count) => {
                self.tell(&format!("reverting {count} deploy(s)"));
                let (status, commit) = self.there(&script::before(root, *count), errand::ask)?;
                let commit = String::from_utf8_lossy(&commit).trim().to_owned();
                ended(status, "there is nothing to revert to")?;
                self.deploy(&commit)
            }
            Order::Current => self.step(&script::current(root), "there is no current commit"),
            Order::Previous => self.step(&script::before(root, 1), "there is no previous deploy"),
            Order::Exec(command) => self.step(&script::hook(root, &[], command), "the command failed"),
            Order::List => self.step(&script::list(root), "there are no deploys"),
        }
    }

    fn set_up(&self) -> Result<(), String> {
        let Work { site, root, .. } = self;
        if let Some(command) = &site.pre_setup {
            self.pre_setup(command)?;
        }
        self.step(&script::folders(root), "the folders could not be made")?;
        self.tell(&format!("cloning {}", site.repo));
        self.step(&script::clone(root, &site.repo, &site.reference, site.fast), "the repository could not be cloned")?;
        self.step(&script::link(root), "the link `current` could not be made")?;
        self.hook("post-setup", site.post_setup.as_deref(), &[])?;
        self.tell("setup complete");
        Ok(())
    }

    fn deploy(&self, reference: &str) -> Result<(), String> {
        let Work { site, root, .. } = self;
        self.tell(&format!("deploying {reference}"));
        if let Some(command) = &site.pre_deploy_local {
            self.tell(&format!("executing pre-deploy-local `{command}`"));
            let status = errand::run(&local(command), &Input::Terminal, self.directory);
            ended(status.map_err(|error| error.to_string())?, "the hook pre-deploy-local failed")?;
        }
        self.hook("pre-deploy", site.pre_deploy.as_deref(), &[])?;
        self.tell("fetching updates");
        self.step(&script::fetch(root, site.fast), "the repository could not be fetched (was setup run?)")?;
        self.tell(&format!("resetting HEAD to {reference}"));
        self.step(&script::reset(root, reference), "there is no such commit")?;
        self.step(&script::link(root), "the link `current` could not be made")?;
        self.step(&script::remember(root), "the deploy could not be written down")?;
        self.hook("post-deploy", Some(site.post_deploy.as_deref().unwrap_or(self.start)), &site.env)?;
        self.tell(&format!("successfully deployed {reference}"));
        Ok(())
    }

    /// A script that lies here is sent there; anything else is a command line for there.
    fn pre_setup(&self, command: &str) -> Result<(), String> {
        let words = split(command);
        let file = words.first().map(|word| resolve(self.directory, word)).filter(|path| path.is_file());
        self.tell(&format!("executing pre-setup `{command}`"));
        let failed = "the hook pre-setup failed";
        let Some(file) = file else { return self.step(command, failed) };
        let others: Vec<String> = words[1..].iter().map(|word| quote(word)).collect();
        let line = format!("bash -s -- {}", others.join(" "));
        let run = |words: &[String], directory: &Path| errand::run(words, &Input::File(&file), directory);
        ended(self.there(&line, run)?, failed)
    }

    fn hook(&self, name: &str, command: Option<&str>, env: &[(String, String)]) -> Result<(), String> {
        let Some(command) = command else { return Ok(()) };
        self.tell(&format!("executing {name} `{command}`"));
        self.step(&script::hook(&self.root, env, command), &format!("the hook {name} failed"))
    }

    fn step(&self, line: &str, failed: &str) -> Result<(), String> {
        let run = |words: &[String], directory: &Path| errand::run(words, &Input::Terminal, directory);
        ended(self.there(line, run)?, failed)
    }

    /// Runs a command line on the host.
    fn there<T>(&self, line: &str, run: impl Fn(&[String], &Path) -> std::io::Result<T>) -> Result<T, String> {
        let words = if self.host.is_here() {
            local(line)
        } else {
            let home = std::env::var("HOME").ok();
            let mut words = self.host.ssh(home.as_deref());
            words.push(line.to_owned());
            words
        };
        run(&words, self.directory).map_err(|error| format!("{}: {error}", words[0]))
    }

    fn tell(&self, text: &str) {
        self.session.line(&format!("  ○ {text}"));
    }
}

/// A command line for this machine, in the shell that hooks are written for.
fn local(line: &str) -> Vec<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let has_bash = std::env::split_paths(&path).any(|folder| folder.join("bash").is_file());
    vec![if has_bash { "bash" } else { "sh" }.into(), "-c".into(), line.into()]
}

fn ended(status: ExitStatus, failed: &str) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("{failed} ({status})")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Result<(Order, bool), String> {
        super::order(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_pm2s() {
        let is = |line: &str, expected: Order, force: bool| assert_eq!(order(line), Ok((expected, force)), "{line}");
        is("", Order::Deploy(None), false);
        is("update --force", Order::Deploy(None), true);
        is("--force", Order::Deploy(None), true);
        is("setup", Order::Setup, false);
        is("revert", Order::Revert(1), false);
        is("revert 3", Order::Revert(3), false);
        is("curr", Order::Current, false);
        is("previous", Order::Previous, false);
        is("exec ls -la --force", Order::Exec("ls -la --force".into()), false);
        is("run uptime", Order::Exec("uptime".into()), false);
        is("ref v1.2", Order::Deploy(Some("v1.2".into())), false);
        is("origin/next", Order::Deploy(Some("origin/next".into())), false);
    }

    #[test]
    fn a_slip_of_the_keyboard_deploys_nothing() {
        for line in
            ["udpate", "setpu", "revret", "--frce", "revert x", "setup now", "exec", "list all", "ref -q", "ref"]
        {
            assert!(order(line).is_err(), "{line}");
        }
    }
}
