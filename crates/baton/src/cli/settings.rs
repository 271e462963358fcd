//! What the verbs about settings share: the file, its keys, and telling the daemon.

use super::failure::Failure;
use super::session::{Session, list, unexpected};
use crate::client::Client;
use crate::logrotate::{MODULE, Settings};
use baton_core::proto::{Action, Command, List, Order, Patch, Reply, Request, Wait};
use baton_core::select::Selector;
use baton_os::files::write_atomic;
use baton_pm2::module_conf::{self, ModuleConf};
use baton_pm2::text;
use std::io;

/// The settings of the home; none before its first use.
///
/// # Errors
/// The file can't be read, or is broken.
pub(super) fn load(session: &Session) -> Result<ModuleConf, Failure> {
    let path = session.home.module_conf();
    let what = format!("could not read {}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(text) => ModuleConf::parse(&text).map_err(|error| Failure::Usage(format!("{what}: {error}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ModuleConf::default()),
        Err(error) => Err(Failure::System { what, error }),
    }
}

/// Writes the settings, and has a daemon that runs take them.
///
/// # Errors
/// The file can't be written, or the daemon does not answer.
pub(super) fn store(conf: &ModuleConf, session: &Session) -> Result<(), Failure> {
    session.home.create().map_err(Failure::system("could not use the home"))?;
    let path = session.home.module_conf();
    write_atomic(&path, conf.text().as_bytes(), 0o600)
        .map_err(Failure::system(format!("could not write {}", path.display())))?;
    match daemon(session)? {
        Some(mut client) => match client.call(Request::ReadSettings)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(other)),
        },
        None => Ok(()),
    }
}

/// The path that a key means.
///
/// # Errors
/// It is no key.
pub(super) fn key(text: &str) -> Result<Vec<String>, Failure> {
    module_conf::key(text).map_err(Failure::Usage)
}

/// Sets a key after a look at the value where it is one of ours; no value removes it.
///
/// # Errors
/// It is no key, or no value for it; nothing was changed.
pub(super) fn assign(conf: &mut ModuleConf, key: &[String], value: Option<&str>) -> Result<(), Failure> {
    if let ([module, name], Some(value)) = (key, value)
        && module == MODULE
    {
        Settings::default().set(name, value).map_err(|error| Failure::Usage(format!("{MODULE}:{name}: {error}")))?;
    }
    match value {
        Some(value) => conf.set(key, value),
        None => {
            conf.unset(key);
        }
    }
    Ok(())
}

/// Shows the settings of one module, or of all.
pub(super) fn show(conf: &ModuleConf, module: Option<&str>, session: &Session) {
    for line in conf.lines(module, session.called.program(), session.colour) {
        session.line(&line);
    }
}

/// Sets one key and says so; as PM2, an app of the module's name is started again.
///
/// # Errors
/// As for [`assign`] and [`store`].
pub(super) fn set(text: &str, value: Option<&str>, session: &Session) -> Result<(), Failure> {
    let mut conf = load(session)?;
    let key = key(text)?;
    assign(&mut conf, &key, value)?;
    store(&conf, session)?;
    let [module, _, ..] = &key[..] else {
        show(&conf, None, session);
        return Ok(());
    };
    if module != MODULE && restart(module, session)? {
        session.say(&format!("Module {module} restarted"));
    }
    session.say("Setting changed");
    show(&conf, Some(module), session);
    Ok(())
}

/// The daemon, if one runs: for settings alone none is started.
fn daemon(session: &Session) -> Result<Option<Client>, Failure> {
    Client::connect(&session.home).map_err(Failure::system("could not reach the daemon"))
}

/// Starts the app of this name again, if there is one.
fn restart(module: &str, session: &Session) -> Result<bool, Failure> {
    let Some(mut client) = daemon(session)? else { return Ok(false) };
    let slots = list(&mut client, List::default())?.instances;
    let ids = slots.iter().filter(|view| view.name == module).map(|view| view.id);
    let targets: Vec<Selector> = ids.map(Selector::of).collect();
    if targets.is_empty() {
        return Ok(false);
    }
    let act = Command::Act {
        action: Action::Restart,
        targets,
        patch: Patch::default(),
        order: Order::default(),
        wait: Wait::Spawned,
    };
    Ok(matches!(client.call(Request::Command(act))?, Reply::Outcomes(_)))
}

/// Shows one value, or what there is of a module. Unknown is told by the exit code alone, as PM2 does.
///
/// # Errors
/// It is no key, or nothing is set.
pub(super) fn get(text: &str, session: &Session) -> Result<(), Failure> {
    let conf = load(session)?;
    let key = key(text)?;
    match (&key[..], conf.get(&key)) {
        (_, None) => return Err(Failure::Told),
        ([module], Some(value)) if value.is_object() => {
            show(&conf, Some(module), session);
            session.line(module_conf::COPY_HINT);
        }
        ([_], Some(value)) => session.line(&module_conf::plain(value)),
        ([module, rest @ ..], Some(value)) => {
            session.line(&module_conf::value_line(module, &rest.join(":"), value, session.colour));
        }
        ([], Some(_)) => {}
    }
    Ok(())
}

/// The name of a module without version, branch, user and path.
pub(super) fn canonical(word: &str) -> &str {
    let base = word.rsplit('/').next().unwrap_or(word);
    let end = base.find(['@', '#']).unwrap_or(base.len());
    base[..end].trim_end_matches(".git")
}

/// A line about a module.
pub(super) fn about_module(session: &Session, line: &str) {
    session.line(&text::prefixed(session.colour, text::PREFIX_MODULE, line));
}
