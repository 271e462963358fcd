//! Looks for what others run, while a slot waits for it, and whether an app is ready, while it is not: a thread for each
//! such thing, which rests between its looks and tells the loop of what is new. Whether an app is well is looked at by a
//! thread for each look, for when that is due the core knows.

use super::inbox::{Inbox, Message};
use super::life::Key;
use super::spawner::variables;
use crate::home::Home;
use baton_core::spec::{AppSpec, Environment, External, Probe};
use baton_core::units::Millis;
use baton_core::world::{Identity, InstanceView};
use baton_os::probe::{look, look_at, look_while};
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first pause between two looks; each is half as long again as the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The threads: each ends when what holds it here is dropped.
#[derive(Debug)]
pub(super) struct Prober {
    inbox: Inbox,
    looking: BTreeMap<External, Sender<()>>,
}

impl Prober {
    /// Nothing is looked for yet.
    pub(super) fn new(inbox: Inbox) -> Prober {
        Prober { inbox, looking: BTreeMap::new() }
    }

    /// Looks until it is there; command lines run with these variables.
    pub(super) fn begin(&mut self, external: External, env: Arc<Environment>) {
        let (held, end) = channel();
        let (inbox, what) = (self.inbox.clone(), external.clone());
        let thread = std::thread::Builder::new().name("prober".into());
        match thread.spawn(move || keep_looking(&what, &env, &end, &inbox)) {
            Ok(_) => {
                self.looking.insert(external, held);
            }
            Err(error) => {
                let result = Err(format!("no thread to look for it: {error}"));
                self.inbox.send(Message::Probed { external, result });
            }
        }
    }

    /// Looks no longer.
    pub(super) fn end(&mut self, external: &External) {
        self.looking.remove(external);
    }
}

/// What is looked at of a life. A command runs in the app's directory and environment. At a socket that the life shares
/// with others only its own answer counts.
#[derive(Debug)]
pub(super) struct Look {
    probe: Probe,
    view: InstanceView,
    leader: Option<Identity>,
    home: Home,
}

impl Look {
    /// The view must be whole.
    pub(super) fn new(probe: Probe, view: InstanceView, leader: Option<Identity>, home: &Home) -> Look {
        let leader = view.spec.as_deref().filter(|spec| is_shared(&probe, spec)).and(leader);
        Look { probe, view, leader, home: home.clone() }
    }

    /// What a command runs with. What is wrong with its files of variables was told when the app was started.
    fn variables(&self) -> Environment {
        match &self.probe {
            Probe::Exec(_) => variables(&self.view, &self.home, |_| ()).unwrap_or_default(),
            Probe::Tcp(_) | Probe::Http(_) => Environment::new(),
        }
    }

    fn once(&self, env: &Environment, patience: Duration, wanted: Option<BorrowedFd<'_>>) -> Result<(), String> {
        let cwd = self.view.spec.as_deref().map_or("/", |spec| &spec.cwd);
        match &self.leader {
            Some(leader) => look_at(&self.probe, leader, patience),
            None => look_while(&self.probe, Path::new(cwd), env, patience, wanted),
        }
    }
}

/// Looks until a life is ready, or until what is returned is dropped.
///
/// # Errors
/// When there is no thread to be had.
pub(super) fn look_until_ready(key: Key, look: Look, interval: Millis, inbox: Inbox) -> std::io::Result<Sender<()>> {
    let (held, end) = channel();
    let look_on = move || {
        let env = look.variables();
        while look.once(&env, PATIENCE, None).is_err() {
            if !matches!(end.recv_timeout(Duration::from_millis(interval.0)), Err(RecvTimeoutError::Timeout)) {
                return;
            }
        }
        inbox.send(Message::Ready(key));
    };
    std::thread::Builder::new().name("prober".into()).spawn(look_on)?;
    Ok(held)
}

/// Looks once whether a life is well, for at most this long, and tells; sooner when what is returned is dropped.
///
/// # Errors
/// When there is no thread or no pipe to be had.
pub(super) fn examine(key: Key, look: Look, patience: Millis, inbox: Inbox) -> std::io::Result<OwnedFd> {
    let (wanted, held) = pipe_with(PipeFlags::CLOEXEC)?;
    let examine = move || {
        let patience = Duration::from_millis(patience.0);
        let result = look.once(&look.variables(), patience, Some(wanted.as_fd()));
        inbox.send(Message::Examined(key, result));
    };
    std::thread::Builder::new().name("prober".into()).spawn(examine)?;
    Ok(held)
}

/// Whether a probe is at the port of a socket that we have opened for the app: connections are taken there before it runs,
/// and by its other lives.
fn is_shared(probe: &Probe, spec: &AppSpec) -> bool {
    let port = |at: &str| at.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let asked = match probe {
        Probe::Tcp(at) => port(at),
        Probe::Http(url) => {
            let host = url.strip_prefix("http://").unwrap_or(url).split(['/', '?', '#']).next();
            host.map(|host| port(host).unwrap_or(80))
        }
        Probe::Exec(_) => None,
    };
    asked.is_some() && spec.listen.iter().any(|socket| !socket.at.starts_with('/') && port(&socket.at) == asked)
}

fn keep_looking(external: &External, env: &Environment, end: &Receiver<()>, inbox: &Inbox) {
    let mut pause = FIRST_PAUSE;
    let mut told = None;
    loop {
        let result = look(&external.probe, Path::new(&external.cwd), env, PATIENCE);
        let found = result.is_ok();
        if told.as_ref() != Some(&result) {
            told = Some(result.clone());
            inbox.send(Message::Probed { external: external.clone(), result });
        }
        if found || !matches!(end.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
            return;
        }
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::spec::Listen;

    #[test]
    fn a_probe_at_a_socket_of_ours_is_known() {
        let listen = |at: &str| Listen { name: "s".into(), at: at.into(), reuseport: false };
        let spec =
            AppSpec { listen: ["[::]:3000", "/run/a.sock", "localhost:80"].map(listen).into(), ..AppSpec::default() };
        for at in ["http://127.0.0.1:3000/health?a=1:2", "http://localhost", "http://localhost/:9"] {
            assert!(is_shared(&Probe::Http(at.into()), &spec), "{at}");
        }
        assert!(is_shared(&Probe::Tcp("[::1]:3000".into()), &spec));
        assert!(!is_shared(&Probe::Tcp("127.0.0.1:3001".into()), &spec));
        assert!(!is_shared(&Probe::Http("http://localhost:3001/".into()), &spec));
        assert!(!is_shared(&Probe::Exec("true".into()), &spec));
    }
}
