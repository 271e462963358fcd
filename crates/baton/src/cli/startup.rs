//! `startup`: have the saved apps, or a process file, started with the machine.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use crate::startup::{Plan, Platform, Service};
use baton_config::target::resolve;
use baton_os::probe;
use baton_os::user::{User, lookup_user};
use clap::{Args as ClapArgs, Parser};
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for when nobody has logged in.
const STANDARD_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Start the apps that `save` kept with the machine.
///
/// As another user than root it changes nothing and prints the command that does it.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    which: WhichService,
    /// Start this process file with the machine, instead of what `save` kept.
    #[arg(long, value_name = "FILE")]
    start: Option<String>,
    /// Wait until the network has an address.
    #[arg(long)]
    wait_ip: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options that say which service is meant.
#[derive(Debug, ClapArgs)]
pub(crate) struct WhichService {
    /// systemd, openrc, upstart, systemv, launchd, rcd or rcd-openbsd. Default: the one that is found.
    #[arg(value_name = "platform")]
    pub(super) platform: Option<String>,
    /// Whose apps. Default: those of the caller.
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// That user's folder. Default: as the system has it.
    #[arg(long, value_name = "DIR")]
    hp: Option<String>,
    /// Name of the service. Default: made of the program's and the user's.
    #[arg(long, value_name = "NAME")]
    service_name: Option<String>,
    /// Write below this folder (of an image, say), and only show the commands that belong to it.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let platform = platform(args.which.platform.as_deref(), session)?;
    let file = args.start.as_deref().map(|file| process_file(file, session)).transpose()?;
    let mut rest: Vec<String> = Vec::new();
    rest.extend(file.iter().flat_map(|file| ["--start".to_owned(), file.clone()]));
    rest.extend(args.wait_ip.then(|| "--wait-ip".to_owned()));
    let asked = Asked { verb: "startup", doing: "setup", platform, which: &args.which, rest };
    let mut service = asked.service(session)?;
    service.wait_ip = args.wait_ip;
    if file.is_some() {
        // The apps of a process file inherit it; those that were saved have the one that they were started with.
        let here = env::var("PATH").unwrap_or_default();
        let more = STANDARD_PATH.split(':').filter(|folder| here.split(':').all(|other| other != *folder));
        service.path =
            here.split(':').filter(|folder| folder.starts_with('/')).chain(more).collect::<Vec<_>>().join(":");
    }
    service.file = file;
    let plan = platform.plan(&service);
    let path = asked.below_root(&plan.path);
    session.say(&format!("Writing init configuration in {}", path.display()));
    write(&path, &plan)?;
    session.say("Making script booting at startup...");
    asked.carry_out(&plan.enable, session, true)?;
    session.line("+---------------------------------------+");
    if service.file.is_none() {
        session.say("Freeze a process list on reboot via:");
        session.line(&format!("$ {} save\n", session.called.program()));
    }
    session.say("Remove init script via:");
    session.line(&format!("$ {} unstartup {}", session.called.program(), platform.name()));
    Ok(())
}

/// What was asked of which init system.
pub(super) struct Asked<'a> {
    /// The verb.
    pub(super) verb: &'static str,
    /// What it does, in PM2's words.
    pub(super) doing: &'static str,
    /// The init system.
    pub(super) platform: Platform,
    /// The service.
    pub(super) which: &'a WhichService,
    /// Further options, for who has to ask again as root.
    pub(super) rest: Vec<String>,
}

impl Asked<'_> {
    /// The service that is meant.
    ///
    /// # Errors
    /// When the user is not known, or is not allowed to do this (told: the command that is).
    pub(super) fn service(&self, session: &Session) -> Result<Service, Failure> {
        let own = rustix::process::geteuid();
        let name = self.which.user.clone().unwrap_or_else(|| own.as_raw().to_string());
        let user = lookup_user(&name).map_err(Failure::system("/etc/passwd"))?;
        let user = user.ok_or_else(|| Failure::Usage(format!("there is no user {name}")))?;
        let program = own_path();
        if !own.is_root() && self.which.root.is_none() {
            return Err(self.ask_root(&user, &program, session));
        }
        let folder = self.which.hp.clone().unwrap_or_else(|| user.home.display().to_string());
        let home = if self.which.hp.is_none() && user.uid == own.as_raw() {
            session.home.root().to_owned()
        } else {
            Path::new(&folder).join(session.called.usual_home())
        };
        let called = session.called.program();
        let name = self.which.service_name.clone().unwrap_or_else(|| self.platform.service_name(called, &user.name));
        if name.is_empty() || name.contains(['/', ' ', '\'', '"', '$', '\n']) {
            return Err(Failure::Usage(format!("--service-name {name:?}: write a name without blanks and slashes")));
        }
        Ok(Service {
            name,
            user: user.name,
            user_home: folder,
            program: program.display().to_string(),
            home: (session.called.home_variable(), home.display().to_string()),
            path: STANDARD_PATH.to_owned(),
            file: None,
            wait_ip: false,
        })
    }

    /// Prints the one command that does this as root.
    fn ask_root(&self, user: &User, program: &Path, session: &Session) -> Failure {
        // As the caller has it: the session may know better than the list of users.
        let own = self.which.user.is_none().then(|| env::var("HOME").ok()).flatten();
        let folder = self.which.hp.clone().or(own).unwrap_or_else(|| user.home.display().to_string());
        let mut words = vec!["sudo".to_owned(), "env".to_owned(), "PATH=$PATH".to_owned()];
        let usual = Path::new(&folder).join(session.called.usual_home());
        let has_other = self.which.hp.is_none() && self.which.user.is_none() && session.home.root() != usual;
        let quoted = crate::startup::quoted;
        if has_other {
            let (variable, home) = (session.called.home_variable(), session.home.root().display());
            words.push(quoted(&format!("{variable}={home}")));
        }
        words.push(quoted(&program.display().to_string()));
        words.extend([self.verb.to_owned(), self.platform.name().to_owned(), "-u".to_owned(), quoted(&user.name)]);
        if !has_other {
            words.extend(["--hp".to_owned(), quoted(&folder)]);
        }
        if let Some(name) = &self.which.service_name {
            words.extend(["--service-name".to_owned(), quoted(name)]);
        }
        words.extend(self.rest.iter().map(|word| quoted(word)));
        session.say(&format!("To {} the Startup Script, copy/paste the following command:", self.doing));
        session.data(format!("{}\n", words.join(" ")).as_bytes());
        Failure::Told
    }

    /// The path below the folder that was asked for.
    pub(super) fn below_root(&self, path: &Path) -> PathBuf {
        match &self.which.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    /// Runs the commands, or shows them when only files below another root are meant.
    ///
    /// # Errors
    /// For the first that fails, when all of them matter.
    pub(super) fn carry_out(&self, commands: &[String], session: &Session, all_matter: bool) -> Result<(), Failure> {
        for command in commands {
            if self.which.root.is_some() {
                session.say(&format!("left to do on the machine itself: {command}"));
                continue;
            }
            session.say(&format!("[-] Executing: {command}..."));
            let variables = env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
            let status = probe::run(command, Path::new("/"), &variables.collect());
            let status = status.map_err(Failure::system(format!("`{command}`")))?;
            if status.success() {
                session.say("[v] Command successfully executed.");
            } else if all_matter {
                session.error(&format!("`{command}` ended with {status}"));
                return Err(Failure::Told);
            } else {
                session.warn(&format!("`{command}` ended with {status}"));
            }
        }
        Ok(())
    }
}

/// The init system that is meant, said aloud when it was found.
///
/// # Errors
/// When there is none, or none of that name.
pub(super) fn platform(word: Option<&str>, session: &Session) -> Result<Platform, Failure> {
    let path = env::var("PATH").unwrap_or_default();
    let is_there = |program: &str| path.split(':').any(|folder| Path::new(folder).join(program).is_file());
    let found = Platform::found(is_there);
    let Some(word) = word else {
        let found = found.ok_or_else(|| Failure::Usage("Init system not found: name one, such as systemd".into()))?;
        session.say(&format!("Init System found: {}", found.name()));
        return Ok(found);
    };
    let known = "systemd, openrc, upstart, systemv, launchd, rcd or rcd-openbsd";
    let asked = Platform::named(word).ok_or_else(|| match word {
        "smf" | "sunos" | "solaris" => {
            Failure::Unavailable(format!("{word} is not supported, because baton does not run there"))
        }
        _ => Failure::Usage(format!("{word} is no init system that is known here: write {known}")),
    })?;
    if let Some(found) = found.filter(|found| *found != asked) {
        session.caution(&format!(
            "{} was found, and {} was asked for: make sure that it is what starts this machine",
            found.name(),
            asked.name()
        ));
    }
    Ok(asked)
}

/// An absolute path to this program, through the link that it was called by: that one stays when a new version comes.
fn own_path() -> PathBuf {
    let own = env::current_exe().unwrap_or_else(|_| "baton".into());
    let Some(called) = env::args_os().next().map(PathBuf::from) else { return own };
    let is_own = |path: &PathBuf| match (fs::metadata(path), fs::metadata(&own)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    };
    let path = env::var("PATH").unwrap_or_default();
    let found = if called.components().count() > 1 {
        std::path::absolute(&called).ok().filter(is_own)
    } else {
        path.split(':')
            .filter(|folder| folder.starts_with('/'))
            .map(|folder| Path::new(folder).join(&called))
            .find(is_own)
    };
    found.unwrap_or(own)
}

fn process_file(file: &str, session: &Session) -> Result<String, Failure> {
    let path = resolve(&session.directory()?, Path::new(file));
    let path = fs::canonicalize(&path).map_err(Failure::system(path.display().to_string()))?;
    path.into_os_string().into_string().map_err(|path| Failure::Usage(format!("{} is not UTF-8", path.display())))
}

fn write(path: &Path, plan: &Plan) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Failure::system(folder.display().to_string()))?;
    }
    baton_os::files::write_atomic(path, plan.text.as_bytes(), plan.mode)
        .map_err(Failure::system(path.display().to_string()))
}
