//! The methods of PM2's daemon that change something, by the daemon's own requests.
//!
//! Names, arguments, answers and errors are those of PM2. An error of the daemon's own, which PM2 has none for, is told in
//! its words.

use super::rpc::{Answer, ask, client, number, taken};
use crate::client::Client;
use crate::home::Home;
use baton_core::proto::{Action, Command, Done, List, Order, Outcome, Patch, Reply, Request, Roll, Scale, Wait, Wish};
use baton_core::select::Selector;
use baton_core::spec::ExecMode;
use baton_core::units::InstanceId;
use baton_core::world::{Detail, InstanceView, Signal, Status};
use baton_pm2::prepare::{patch, prepared};
use baton_pm2::record::{self, Host};
use baton_pm2::version::nearest;
use serde_json::{Map, Value, json};
use std::sync::mpsc::Sender;
use std::thread::available_parallelism;

/// What a daemon was asked on behalf of one of PM2's clients.
pub(super) struct Asked<'a> {
    home: &'a Home,
    daemon: Client,
    /// Goes when the command is on its way: commands of one client come to the daemon in its order.
    sent: Option<Sender<()>>,
}

/// What a method comes to, or PM2's words for why it does not.
type Answered = Result<Answer, String>;

fn with(value: Value) -> Answered {
    Ok(Answer::Value(value))
}

impl<'a> Asked<'a> {
    /// Connects to the daemon.
    ///
    /// # Errors
    /// When it is ending.
    pub(super) fn new(home: &'a Home, sent: Option<Sender<()>>) -> Result<Asked<'a>, String> {
        Ok(Asked { home, daemon: client(home)?, sent })
    }

    fn views(&mut self, targets: Vec<Selector>) -> Result<Vec<InstanceView>, String> {
        match ask(&mut self.daemon, Request::List(List { targets, detail: Detail::Definition }))? {
            Reply::List(listing) => Ok(listing.instances),
            _ => Err("the daemon answered something else".into()),
        }
    }

    /// The slot of this number, or nothing. `given` may be the number as text.
    fn view(&mut self, given: &Value) -> Option<InstanceView> {
        let id = number(given).ok()?;
        self.views(vec![Selector::of(id)]).ok()?.pop()
    }

    /// The slot of this number.
    ///
    /// # Errors
    /// PM2's words for one that is not there.
    fn known(&mut self, given: &Value, unknown: impl Fn(String) -> String) -> Result<InstanceView, String> {
        let shown = given.as_str().map_or_else(|| given.to_string(), str::to_owned);
        self.view(given).ok_or_else(|| unknown(shown))
    }

    /// Every process, as PM2 answers it.
    fn all(&mut self) -> Answered {
        let views = self.views(Vec::new())?;
        with(views.iter().map(|view| self.shown(view, record::process)).collect())
    }

    fn shown(&self, view: &InstanceView, show: fn(&InstanceView, Host<'_>) -> Value) -> Value {
        let version = |script: &str| nearest(script, |path| std::fs::read_to_string(path).ok());
        let root = self.home.root().to_string_lossy();
        show(view, Host { home: &root, version: &version })
    }

    fn command(&mut self, command: Command) -> Result<Vec<Outcome>, String> {
        let asked = self.daemon.ask(Request::Command(command)).map_err(|error| error.to_string())?;
        self.sent = None;
        let Reply::Outcomes(outcomes) = taken(self.daemon.answer(asked))? else {
            return Err("the daemon answered something else".into());
        };
        let failed = outcomes.iter().find_map(|outcome| match &outcome.done {
            Done::Failed(why) | Done::Left(why) => Some(format!("{}: {why}", outcome.name)),
            _ => None,
        });
        failed.map_or(Ok(outcomes), Err)
    }

    fn act(&mut self, action: Action, id: InstanceId, patch: Patch) -> Result<(), String> {
        let targets = vec![Selector::of(id)];
        self.command(Command::Act { action, targets, patch, order: Order::default(), wait: Wait::Spawned }).map(drop)
    }

    /// The processes that have come, as PM2 answers those that it started.
    fn launched(&mut self, outcomes: &[Outcome]) -> Result<Vec<Value>, String> {
        let new = outcomes.iter().filter(|outcome| outcome.done == Done::Launched);
        let targets: Vec<_> = new.map(|outcome| Selector::of(outcome.id)).collect();
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.views(targets)?.iter().map(|view| self.shown(view, record::started)).collect())
    }

    /// `prepare`: more processes of an app, whatever is in the list.
    pub(super) fn prepare(&mut self, record: &Value) -> Answered {
        let record = record.as_object().ok_or("the app is no map")?;
        let saved = prepared(record).map_err(|error| error.to_string())?;
        let processors = available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
        let up = saved.up && saved.spec.autostart;
        let app = Box::new(Wish { count: saved.spec.instances.count(processors), spec: saved.spec, brought: false });
        // A process of a dump comes by itself, and has its number.
        let counted = record.get("instances").is_some_and(|count| !count.is_null());
        let number = (!counted && record.contains_key(&app.spec.instance_var)).then_some(saved.number);
        let outcomes = self.command(Command::Add { app, up, number })?;
        with(self.launched(&outcomes)?.into())
    }

    /// `duplicateProcessId`: one more of the app.
    pub(super) fn duplicate(&mut self, id: &Value) -> Answered {
        let app = self.known(id, |id| format!("{id} id unknown"))?.name;
        let outcomes = self.command(Command::Scale { app, to: Scale::Up(1), wait: Wait::Spawned })?;
        with(self.launched(&outcomes)?.pop().unwrap_or(Value::Null))
    }

    /// `startProcessId`.
    pub(super) fn start(&mut self, id: &Value) -> Answered {
        let view = self.known(id, |id| format!("{id} id unknown"))?;
        match (view.status, view.pid) {
            (Status::Online, _) => return Err("process already online".into()),
            (Status::Launching, _) => return Err("process already started".into()),
            (_, Some(pid)) => return Err(format!("Process with pid {pid} already exists")),
            (_, None) => {}
        }
        self.act(Action::Start, view.id, Patch::default())?;
        self.answer(view.id, record::started)
    }

    /// `restartProcessId`; with `overlap` the two that reload.
    pub(super) fn restart(&mut self, opts: &Value, overlap: bool) -> Answered {
        let given = &opts["id"];
        if given.is_null() {
            let method = if overlap { "reloadProcessId" } else { "restartProcessId" };
            return Err(format!("opts.id not passed to {method}"));
        }
        let unknown = |_| if overlap { "PM2 ID unknown" } else { "God db process id unknown" }.into();
        let view = self.known(given, unknown)?;
        let nothing = Map::new();
        let env = opts["env"].as_object().unwrap_or(&nothing);
        let patch = match (view.spec.as_deref(), self.shown(&view, record::process)["pm2_env"].as_object()) {
            (Some(spec), Some(shown)) => patch(spec, shown, env).map_err(|error| error.to_string())?,
            _ => Patch::default(),
        };
        let action = if overlap { Action::Roll(Roll { parallel: 1, overlap }) } else { Action::Restart };
        self.act(action, view.id, patch)?;
        if !overlap || view.mode == ExecMode::Fork {
            return self.answer(view.id, record::started);
        }
        // PM2 answers with the worker that has gone, as it called it last.
        let mut gone = self.gone(view);
        let id = format!("_old_{}", gone["pm_id"]);
        gone["pm2_env"]["pm_id"] = id.as_str().into();
        gone["pm_id"] = id.into();
        with(gone)
    }

    /// A process that was ended, as it was.
    fn gone(&self, mut view: InstanceView) -> Value {
        (view.status, view.pid, view.uptime, view.told) = (Status::Stopped, None, None, None);
        self.shown(&view, record::process)
    }

    /// `stopProcessId`; `id` may stand in a map.
    pub(super) fn stop(&mut self, id: &Value) -> Answered {
        let id = if id.is_object() { &id["id"] } else { id };
        let view = self.known(id, |id| format!("{id} : id unknown"))?;
        self.act(Action::Stop, view.id, Patch::default())?;
        self.answer(view.id, record::process)
    }

    /// `deleteProcessId`.
    pub(super) fn delete(&mut self, id: &Value) -> Answered {
        let id = if id.is_object() { &id["id"] } else { id };
        let view = self.known(id, |id| format!("{id} : id unknown"))?;
        self.act(Action::Delete, view.id, Patch::default())?;
        with(self.gone(view))
    }

    /// `resetMetaProcessId`.
    pub(super) fn reset(&mut self, id: &Value) -> Answered {
        let view = self.known(id, |id| format!("{id} id unknown"))?;
        self.act(Action::Reset, view.id, Patch::default())?;
        self.all()
    }

    fn answer(&mut self, id: InstanceId, show: fn(&InstanceView, Host<'_>) -> Value) -> Answered {
        let view = self.known(&json!(id), |id| format!("{id} : id unknown"))?;
        with(self.shown(&view, show))
    }

    /// `sendSignalToProcessId`.
    pub(super) fn signal_id(&mut self, opts: &Value) -> Answered {
        let view = self.known(&opts["process_id"], |id| format!("{id} id unknown"))?;
        self.signal(&[view], &opts["signal"], |_| "Error when sending signal (signal unknown)".into())?;
        self.all()
    }

    /// `sendSignalToProcessName`.
    pub(super) fn signal_name(&mut self, opts: &Value) -> Answered {
        let name = opts["process_name"].as_str().unwrap_or_default();
        let views: Vec<_> = self.views(Vec::new())?.into_iter().filter(|view| view.name == name).collect();
        if views.is_empty() {
            return Err("Unknown process name".into());
        }
        self.signal(&views, &opts["signal"], |signal| format!("Unknown signal: {signal}"))?;
        self.all()
    }

    fn signal(
        &mut self,
        views: &[InstanceView],
        signal: &Value,
        unknown: impl Fn(&str) -> String,
    ) -> Result<(), String> {
        let word = signal.as_str().map_or_else(|| signal.to_string(), str::to_owned);
        let signal = Signal::parse(&word).ok_or_else(|| unknown(&word))?;
        // What does not run is passed over, as under PM2.
        let targets: Vec<_> =
            views.iter().filter(|view| view.pid.is_some()).map(|view| Selector::of(view.id)).collect();
        if targets.is_empty() {
            return Ok(());
        }
        ask(&mut self.daemon, Request::Signal { targets, signal }).map(drop)
    }

    /// `startWatch`, `stopWatch` and `toggleWatch`: what is not there is passed over.
    pub(super) fn watch(&mut self, args: &[Value], on: Option<bool>) -> Answered {
        let nothing = Value::Null;
        let (method, what) = (args.first().and_then(Value::as_str), args.get(1).unwrap_or(&nothing));
        let what = if what.is_object() { &what["id"] } else { what };
        let targets = match method {
            Some("stopAll" | "deleteAll") => vec![Selector::new("all")],
            Some(method) if method.contains("ProcessId") => {
                self.view(what).map(|view| Selector::of(view.id)).into_iter().collect()
            }
            _ => Vec::new(),
        };
        let some = !targets.is_empty() && !self.views(Vec::new())?.is_empty();
        if some {
            self.command(Command::Watch { targets, on })?;
        }
        with(json!({ "success": true }))
    }

    /// `monitor` and `unmonitor` mark a process for PM2's web service, which baton does not speak to: the process is only
    /// looked for.
    pub(super) fn monitor(&mut self, id: &Value) -> Answered {
        let view = self.known(id, |_| "Unknown pm_id".into())?;
        with(json!({ "success": true, "pm_id": view.id }))
    }

    /// `notifyByProcessId`: the client tells that it has done something. Whoever listens was told by the daemon.
    pub(super) fn notify(&mut self, opts: &Value) -> Answered {
        if opts["id"].is_null() {
            return Err("process id missing".into());
        }
        self.known(&opts["id"], |_| "process id doesnt exists".into())?;
        Ok(Answer::Done)
    }

    /// `reloadLogs`.
    pub(super) fn reload_logs(&mut self) -> Answered {
        ask(&mut self.daemon, Request::ReloadLogs)?;
        with(json!({}))
    }

    /// `getReport`.
    pub(super) fn report(&mut self, version: &str) -> Answered {
        let apps = self.views(Vec::new())?.len();
        let args: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let env: Map<String, Value> = std::env::vars_os()
            .map(|(key, value)| (key.to_string_lossy().into_owned(), value.to_string_lossy().into()))
            .collect();
        with(json!({
            "pm2_version": version,
            "node_version": "N/A",
            "node_path": env.get("_").cloned().unwrap_or_else(|| "not found".into()),
            "argv0": args.first(),
            "argv": args,
            "user": env.get("USER"),
            "uid": rustix::process::geteuid().as_raw(),
            "gid": rustix::process::getegid().as_raw(),
            "managed_apps": apps,
            "started_at": self.daemon.greeting().started_at,
            "env": env,
        }))
    }

    /// `killMe`: ends every app and the daemon.
    pub(super) fn kill(&mut self) -> Result<(), String> {
        self.command(Command::Kill).map(drop)
    }
}
