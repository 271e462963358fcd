//! Which files are watched for which slots, and the thread that does it.
//!
//! The thread begins with the first app that wants it. It is told what is to be watched when a definition changes, or when
//! an app that is watched is stopped or started. Otherwise it sleeps until the kernel tells of a change, or until a look
//! is due where polling was asked for. Which changes lead to a restart, and when, is the core's to decide.

use super::driver::Driver;
use super::inbox::{Inbox, Message};
use super::journal;
use crate::watching::{Aim, AimId, Own, Rules, Sweep, Tree};
use baton_core::step::Event;
use baton_core::units::{InstanceId, Millis};
use baton_core::world::{Instance, State};
use baton_os::clock;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// The slots of each aim, and how people call the app.
type Aims = BTreeMap<Aim, (String, Vec<InstanceId>)>;

/// What is to be watched from now on.
#[derive(Debug)]
struct Order {
    aims: Aims,
    own: Own,
}

/// The thread, once there is one.
#[derive(Debug)]
struct Thread {
    orders: Sender<Order>,
    wake: OwnedFd,
}

/// What the thread was told last.
#[derive(Debug)]
pub(super) struct Watcher {
    inbox: Inbox,
    thread: Option<Thread>,
    /// For each slot what is watched for it.
    known: BTreeMap<InstanceId, Aim>,
}

impl Watcher {
    /// Nothing is watched yet.
    pub(super) fn new(inbox: Inbox) -> Watcher {
        Watcher { inbox, thread: None, known: BTreeMap::new() }
    }

    fn tell(&mut self, order: Order) -> io::Result<()> {
        if self.thread.is_none() && order.aims.is_empty() {
            return Ok(());
        }
        let thread = match &self.thread {
            Some(thread) => thread,
            None => self.thread.insert(start(self.inbox.clone())?),
        };
        // The thread ends with this sender.
        let _ = thread.orders.send(order);
        rustix::io::write(&thread.wake, &1_u64.to_ne_bytes())?;
        Ok(())
    }
}

fn aim_of(instance: &Instance) -> Option<Aim> {
    Aim::of(&instance.spec).filter(|_| instance.is_watched())
}

impl Driver {
    /// Has other files watched when what is watched for one of these slots is another.
    pub(super) fn follow_watching<'a>(&mut self, touched: impl IntoIterator<Item = &'a InstanceId>) {
        let differs = |id: &InstanceId| {
            let instance = self.world.instances.get(id).filter(|instance| instance.spec.watch.is_on());
            let known = self.watcher.known.get(id);
            (instance.is_some() || known.is_some()) && instance.and_then(aim_of).as_ref() != known
        };
        if touched.into_iter().any(differs) {
            self.watch_files();
        }
    }

    /// Has watched what is to be watched now.
    pub(super) fn watch_files(&mut self) {
        let aims = self.world.instances.values().filter_map(|instance| Some((instance.id, aim_of(instance)?)));
        self.watcher.known = aims.collect();
        let mut aims = Aims::new();
        for (id, aim) in &self.watcher.known {
            let name = self.world.instances.get(id).map(|instance| instance.spec.name.clone()).unwrap_or_default();
            aims.entry(aim.clone()).or_insert_with(|| (name, Vec::new())).1.push(*id);
        }
        let order = Order { aims, own: Own::of(&self.home, &self.world) };
        if let Err(error) = self.watcher.tell(order) {
            self.notice(format!("files can't be watched: {error}"));
        }
    }

    /// Files that are watched for slots have changed.
    pub(super) fn files_changed(&mut self, ids: &[InstanceId], path: &str, more: u32) {
        let slots = ids.iter().filter_map(|id| self.world.instances.get(id));
        // The first of several changes is told, and none that has no effect.
        let counts = |slot: &&Instance| slot.changed.is_none() && !matches!(slot.state, State::Stopping { .. });
        let apps: BTreeSet<&str> = slots.filter(counts).map(|slot| slot.spec.name.as_str()).collect();
        for app in apps {
            journal::log(format_args!("Change detected on path {path} for app {app} - restarting"));
        }
        for id in ids {
            self.queue.push_back(Event::Changed { id: *id, path: path.to_owned(), more });
        }
    }
}

fn start(inbox: Inbox) -> io::Result<Thread> {
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let (orders, received) = channel();
    let mut work = Work { inbox, wake: wake.try_clone()?, tree: Tree::new()?, aims: BTreeMap::new(), next: 0 };
    std::thread::Builder::new().name("watcher".into()).spawn(move || work.run(&received))?;
    Ok(Thread { orders, wake })
}

/// One aim at work.
#[derive(Debug)]
struct Watched {
    aim: Arc<Aim>,
    app: String,
    ids: Vec<InstanceId>,
    /// Where it is looked at again and again: what there was, by which rules, and when the next look is due.
    polled: Option<(Sweep, Rules, u64)>,
}

/// What the thread has in hand.
#[derive(Debug)]
struct Work {
    inbox: Inbox,
    wake: OwnedFd,
    tree: Tree,
    aims: BTreeMap<AimId, Watched>,
    next: AimId,
}

impl Work {
    /// Until nobody can send orders any more.
    fn run(&mut self, orders: &Receiver<Order>) {
        loop {
            match self.wait() {
                Ok(()) | Err(Errno::INTR) => {}
                Err(error) => {
                    return self.inbox.send(Message::NotWatching(format!("files are no longer watched: {error}")));
                }
            }
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.wake, &mut count);
            // Of several orders the last holds.
            if let Some(order) = orders.try_iter().last() {
                self.obey(order);
            }
            match self.tree.changes() {
                Ok(seen) => {
                    let mut changes: BTreeMap<AimId, Vec<PathBuf>> = BTreeMap::new();
                    for change in seen {
                        changes.entry(change.aim).or_default().push(change.path);
                    }
                    changes.iter().for_each(|(id, paths)| self.tell(*id, paths));
                }
                Err(error) => self.inbox.send(Message::NotWatching(cannot("some files", &error))),
            }
            self.poll_files();
        }
    }

    fn wait(&self) -> rustix::io::Result<()> {
        let now = clock::now().instant.0;
        let due = self.aims.values().filter_map(|watched| watched.polled.as_ref().map(|(_, _, due)| *due)).min();
        let timeout = due.map(|due| due.saturating_sub(now)).map(|wait| Timespec {
            tv_sec: i64::try_from(wait / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(wait % 1000 * 1_000_000).unwrap_or(0),
        });
        let mut fds =
            [PollFd::from_borrowed_fd(self.tree.as_fd(), PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
        poll(&mut fds, timeout.as_ref()).map(drop)
    }

    fn obey(&mut self, Order { mut aims, own }: Order) {
        let own = Arc::new(own);
        let gone: Vec<AimId> =
            self.aims.iter().filter(|(_, watched)| !aims.contains_key(&*watched.aim)).map(|(id, _)| *id).collect();
        for id in gone {
            self.tree.remove(id);
            if let Some(watched) = self.aims.remove(&id) {
                self.inbox.send(Message::Watching(format!("[Watch] Stop watching {}", watched.app)));
            }
        }
        for (id, watched) in &mut self.aims {
            if let Some((app, ids)) = aims.remove(&*watched.aim) {
                (watched.app, watched.ids) = (app, ids);
            }
            if let Some(rules) = self.tree.rules(*id) {
                rules.set_own(own.clone());
            }
            if let Some((_, rules, _)) = &mut watched.polled {
                rules.set_own(own.clone());
            }
        }
        for (aim, (app, ids)) in aims {
            self.begin(Arc::new(aim), app, ids, own.clone());
        }
    }

    fn begin(&mut self, aim: Arc<Aim>, app: String, ids: Vec<InstanceId>, own: Arc<Own>) {
        let id = self.next;
        self.next += 1;
        let mut rules = Rules::new(aim.clone(), own);
        for wrong in &rules.wrong {
            self.inbox.send(Message::NotWatching(format!("{app}: {wrong}; it is passed over")));
        }
        let mut polled = None;
        if aim.options.use_polling {
            let sweep = Sweep::new(aim.clone(), &mut rules);
            polled = Some((sweep, rules, clock::now().instant.0 + aim.options.interval.0));
        } else if let Err(error) = self.tree.add(id, aim.clone(), rules) {
            self.inbox.send(Message::NotWatching(cannot(&format!("some files of {app}"), &error)));
        }
        self.aims.insert(id, Watched { aim, app: app.clone(), ids, polled });
        self.inbox.send(Message::Watching(format!("[Watch] Start watching {app}")));
    }

    /// The looks that are due.
    fn poll_files(&mut self) {
        let now = clock::now().instant.0;
        let mut changes = Vec::new();
        for (id, watched) in &mut self.aims {
            let Millis(interval) = watched.aim.options.interval;
            if let Some((sweep, rules, due)) = &mut watched.polled
                && *due <= now
            {
                changes.push((*id, sweep.changes(rules)));
                // From its end: a look that takes long must not follow itself at once.
                *due = clock::now().instant.0 + interval.max(1);
            }
        }
        changes.iter().filter(|(_, paths)| !paths.is_empty()).for_each(|(id, paths)| self.tell(*id, paths));
    }

    fn tell(&self, id: AimId, paths: &[PathBuf]) {
        let (Some(watched), Some(first)) = (self.aims.get(&id), paths.first()) else { return };
        let more = u32::try_from(paths.len() - 1).unwrap_or(u32::MAX);
        self.inbox.send(Message::Changed { ids: watched.ids.clone(), path: watched.aim.shown(first), more });
    }
}

fn cannot(what: &str, error: &io::Error) -> String {
    if error.raw_os_error() != Some(Errno::NOSPC.raw_os_error()) {
        return format!("{what} can't be watched: {error}");
    }
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").unwrap_or_default();
    format!(
        "{what} can't be watched: the system watches at most {} folders for a user (fs.inotify.max_user_watches); raise \
         that, name folders in ignore_watch, or set `usePolling` in watch_options",
        limit.trim()
    )
}
