//! What clients and the daemon say to each other: length-prefixed JSON of [`ClientMessage`] and [`ServerMessage`] on
//! the socket `baton.sock`.
//!
//! A frame is a 4-byte big-endian length and that many bytes of JSON. A client sends requests with a number of its
//! own; replies carry the number and may come in any order.

mod refusal;
pub(crate) mod shared;

pub use refusal::{ActionRefusal, Refusal};

use crate::select::Selector;
use crate::spec::{AppSpec, Environment, External};
use crate::sync::{Baseline, Desired, Plan, Sync, Synced};
use crate::units::{Bytes, InstanceId, Millis, WallTime};
use crate::world::{Detail, InstanceView, Signal};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Version of this protocol. A daemon refuses another major version by name.
pub const PROTOCOL: u32 = 2;
/// Longest frame either side accepts, in bytes.
pub const MAX_FRAME: u32 = 256 * 1024 * 1024;

/// A frame from a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientMessage {
    /// The client's number for this request.
    pub id: u64,
    /// What it wants.
    pub request: Request,
}

/// A frame from the daemon.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerMessage {
    /// The answer to the request of this number.
    Reply {
        /// The client's number.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// Something changed; only for clients that subscribed.
    Update(Update),
    /// New lines of logs; only for clients that listen.
    Lines(LogLines),
    /// A program has said something over its channel; only for clients that hear.
    Message(ProgramMessage),
}

/// What a client can ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Are you there, and who are you?
    Hello {
        /// The protocol the client speaks.
        protocol: u32,
    },
    /// The process list.
    List(List),
    /// What everything that runs uses, measured now. It takes longer than the list, and is best asked for before that.
    Usage,
    /// A change of the world; answered when it is done and on disk.
    Command(Command),
    /// What [`Command::Sync`] would do now.
    Plan(Box<Desired>),
    /// What it would do once those that are under way or wait are done.
    PlanInTurn(Box<Desired>),
    /// The sources, and what the last pass made of the apps of each.
    Sources,
    /// How reading a source went, for everybody who looks at the list.
    Report {
        /// The source.
        source: String,
        /// What is wrong with it; nothing when it could be read.
        error: Option<String>,
        /// Whether the one who asks follows the source: what is wrong is told until the connection ends.
        #[serde(default)]
        follows: bool,
    },
    /// Send a signal to the first process of the chosen slots.
    Signal {
        /// Which slots.
        targets: Vec<Selector>,
        /// Which signal.
        signal: Signal,
    },
    /// Have programs carry out one of their actions. Answered by [`Reply::Triggered`], then as often as that says by
    /// [`Reply::Answered`].
    Trigger {
        /// Whose action.
        target: Selector,
        /// Its name.
        action: String,
        /// Goes with it.
        parameter: Option<Value>,
    },
    /// Send a program a message over its channel.
    Send {
        /// Number of its slot.
        id: InstanceId,
        /// The message.
        message: Value,
    },
    /// Where the standard input of a program is written to.
    Input {
        /// Number of its slot.
        id: InstanceId,
    },
    /// Every message of programs from now on that is no metric, action or option.
    Hear,
    /// Empty the log files of the chosen slots (all when none are named), and the daemon's own when all.
    Flush {
        /// Which slots.
        targets: Vec<Selector>,
    },
    /// Close and open all log files again.
    ReloadLogs,
    /// Read the settings that all apps share again: they were changed.
    ReadSettings,
    /// Write the process list to the dump file.
    Save {
        /// Write it even when it is empty.
        force: bool,
    },
    /// A snapshot now, then every update.
    Subscribe,
    /// Every new line of the logs of the chosen slots from now on, also of slots that come later.
    Listen {
        /// Names, numbers, units or a /pattern/; all when there are none.
        targets: Vec<String>,
        /// Only this stream; both without.
        stream: Option<LineStream>,
    },
    /// Replace the daemon and the guard by this executable; no app is touched.
    Update {
        /// Absolute path of the new executable.
        executable: String,
    },
}

/// What of the process list is wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct List {
    /// Only these slots; all when empty. An unknown one is an error.
    pub targets: Vec<Selector>,
    /// How much of each.
    pub detail: Detail,
}

/// A change of the world.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Make these apps run as defined: new ones are made, present ones get the whole new definition and are started
    /// again; surplus instances go, missing ones come.
    Define {
        /// The apps.
        #[serde(with = "shared")]
        apps: Vec<Wish>,
        /// Whether what they depend on matters.
        #[serde(default)]
        order: Order,
        /// Until when to wait.
        wait: Wait,
    },
    /// Start one script. An app of the same name and script that is down is started with the new definition; one
    /// that is up is refused.
    Launch {
        /// The app.
        #[serde(with = "shared::single")]
        app: Box<Wish>,
        /// Start a second copy beside one that is up.
        force: bool,
        /// Until when to wait.
        wait: Wait,
    },
    /// Put more slots into the list, whether there are some of that name or not, as PM2's `prepare` does.
    Add {
        /// The app.
        #[serde(with = "shared::single")]
        app: Box<Wish>,
        /// Start them; they are only listed otherwise.
        up: bool,
        /// Number among the instances of the app; the lowest free ones without it.
        number: Option<u32>,
    },
    /// Switch the watching of files on, off or over.
    Watch {
        /// For which slots.
        targets: Vec<Selector>,
        /// To what; over, when nothing is said.
        on: Option<bool>,
    },
    /// Do something with slots that exist.
    Act {
        /// What.
        action: Action,
        /// With which slots.
        targets: Vec<Selector>,
        /// New values of the definition, applied before the action.
        patch: Patch,
        /// Whether what they depend on matters to a start.
        #[serde(default)]
        order: Order,
        /// Until when to wait.
        wait: Wait,
    },
    /// Make these apps run as defined, as `Define`, but slot by slot.
    Replace {
        /// The apps.
        #[serde(with = "shared")]
        apps: Vec<Wish>,
        /// How.
        roll: Roll,
        /// Whether dependencies count.
        order: Order,
        /// Until when to wait for what is started.
        wait: Wait,
    },
    /// Change the number of instances of an app.
    Scale {
        /// Its name.
        app: String,
        /// To how many.
        to: Scale,
        /// Until when to wait.
        wait: Wait,
    },
    /// Make the list what a source says. One after the other: a second request waits for the first.
    Sync(Box<Sync>),
    /// Slots from a dump: those whose name is not in the list yet are made.
    Restore {
        /// The slots.
        #[serde(with = "shared")]
        slots: Vec<Saved>,
    },
    /// End every app, forget the list, and end the daemon and the guard.
    Kill,
}

/// A number of instances, as PM2's `scale` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// This many.
    To(u32),
    /// This many more.
    Up(u32),
    /// This many fewer.
    Down(u32),
}

/// One app to define.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// Its definition.
    #[serde(serialize_with = "shared::definition")]
    pub spec: AppSpec,
    /// How many instances that means on this machine.
    pub count: u32,
    /// Brought along because others need it: left as it is where it runs already.
    #[serde(default)]
    pub brought: bool,
}

/// Whether a start heeds `depends_on`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// What an app needs is started too, and waited for.
    #[default]
    Dependencies,
    /// The app starts at once and alone (`--no-deps`).
    Alone,
}

/// One slot of a dump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Its definition.
    #[serde(serialize_with = "shared::definition")]
    pub spec: AppSpec,
    /// Its number among the instances of its app.
    pub number: u32,
    /// Value of its `increment_var`.
    pub increment: Option<i64>,
    /// Whether it ran when the dump was written.
    pub up: bool,
    /// The source that it belonged to.
    #[serde(default)]
    pub owner: Option<String>,
}

/// What to do with slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Run those that do not run; those that do are started again, as PM2 does.
    Start,
    /// End and keep.
    Stop,
    /// End and run again.
    Restart,
    /// End and forget.
    Delete,
    /// Set the restart counters to 0.
    Reset,
    /// Run a job now, whatever its times are.
    Run,
    /// Run again slot by slot, each when the one before is ready.
    Roll(Roll),
}

/// How slots are run again one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Roll {
    /// How many may be under way at once; at least one.
    pub parallel: u32,
    /// Put a new life in the place of the running one without a gap where the app allows it (`reload`). A new life that
    /// fails leaves the old one.
    pub overlap: bool,
}

/// New values for present slots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patch {
    /// Normalised keys and values; `null` sets the key back to its default.
    pub fields: BTreeMap<String, Value>,
    /// Replaces the shell environment (`--update-env`); a variable that is gone goes away.
    pub base_env: Option<Arc<Environment>>,
}

/// Until when a command waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// The program runs, or could not be started.
    #[default]
    Spawned,
    /// It is ready, has failed before it was, or this time is over.
    Ready {
        /// How long (ms).
        timeout: Millis,
    },
}

/// What became of one slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its number.
    pub id: InstanceId,
    /// Name of its app.
    pub name: String,
    /// What was done.
    pub done: Done,
}

/// What was done with a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// A new slot, and its program runs (or it is listed as stopped, with `autostart: false`).
    Launched,
    /// A present slot was started or started again.
    Restarted,
    /// It is down.
    Stopped,
    /// It is gone.
    Deleted,
    /// Its counters are 0.
    Reset,
    /// A run of it was begun by hand.
    Ran,
    /// A new life has its place, without a gap.
    Reloaded,
    /// It was to be reloaded, but can't run twice at a time: it was started again.
    RestartedInstead,
    /// It was not done, and why.
    Failed(String),
    /// It is as it was, because something before it failed: its turn has not come.
    Left(String),
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To `Hello`.
    Hello(Greeting),
    /// To `List`.
    List(Box<Listing>),
    /// To `Usage`: of each slot that runs.
    Usage(Vec<Usage>),
    /// To a command.
    Outcomes(Vec<Outcome>),
    /// To a request that has nothing to say but that it is done.
    Done,
    /// To `Plan`.
    Plan(Plan),
    /// To `Sources`.
    Sources(BTreeMap<String, Baseline>),
    /// To `Sync`.
    Synced(Box<Synced>),
    /// To `Trigger`: so many programs were told to carry the action out.
    Triggered(usize),
    /// To `Trigger`: one of them has answered.
    Answered(ActionAnswer),
    /// To `Input`: the path of a FIFO, good until the program ends.
    Input(String),
    /// To `Flush`: the files that were emptied.
    Files(Vec<String>),
    /// To `Save`: how many slots were written, and where.
    Saved {
        /// The dump file.
        path: String,
        /// Slots in it; `None` when nothing was written because the list is empty.
        slots: Option<usize>,
    },
    /// It was refused; nothing was changed.
    Refused(Refusal),
}

/// Something that a program has said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgramMessage {
    /// Number of the slot.
    pub id: InstanceId,
    /// Name of its app.
    pub name: String,
    /// Name of its unit.
    pub namespace: String,
    /// When it was read.
    pub at: WallTime,
    /// What it was.
    pub message: Value,
}

/// What a program answered to an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionAnswer {
    /// Number of the slot.
    pub id: InstanceId,
    /// Name of its app.
    pub name: String,
    /// Name of its unit.
    pub namespace: String,
    /// What the action returned; nothing when the program ended, or closed its channel, before it answered.
    pub value: Option<Value>,
}

/// Who the daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// Protocol it speaks.
    pub protocol: u32,
    /// Version of the program.
    pub version: String,
    /// Process id of the daemon.
    pub pid: u32,
    /// Process id of the guard, when there is one.
    pub guard: Option<u32>,
    /// When this daemon began.
    pub started_at: WallTime,
    /// Things an operator should know, such as a full disk.
    pub notices: Vec<String>,
}

/// The process list at one revision.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Listing {
    /// Revision of the world.
    pub revision: u64,
    /// The slots in ascending order.
    #[serde(with = "shared")]
    pub instances: Vec<InstanceView>,
    /// Things an operator should know, such as a full disk.
    pub notices: Vec<String>,
    /// What others run and apps of the list depend on, each once.
    pub externals: Vec<External>,
}

impl Listing {
    /// Puts in what its slots use.
    pub fn fill_in(&mut self, usages: Vec<Usage>) {
        let usages: BTreeMap<InstanceId, Usage> = usages.into_iter().map(|usage| (usage.id, usage)).collect();
        for view in &mut self.instances {
            let usage = usages.get(&view.id);
            (view.memory, view.cpu) = (usage.map(|usage| usage.memory), usage.map(|usage| usage.cpu));
        }
    }
}

/// What the process tree of one slot uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Which slot.
    pub id: InstanceId,
    /// Resident memory.
    pub memory: Bytes,
    /// Percent of one processor since the last time that somebody asked, with one decimal.
    pub cpu: f64,
}

/// A change that the outside can see.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Update {
    /// Revision after the change.
    pub revision: u64,
    /// What changed.
    pub change: Change,
}

/// What changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The whole list; the first update of every subscription.
    Snapshot(Listing),
    /// A slot is as shown now.
    Slot(Box<InstanceView>),
    /// A slot is gone.
    Gone(InstanceId),
    /// The daemon is ending.
    Ending,
}

/// One of an app's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineStream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// New lines, in the order in which they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLines {
    /// So many lines were left out before these, because the client did not read.
    pub missed: u64,
    /// The lines.
    pub lines: Vec<LogLine>,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The slot; of several that share the file, the first.
    pub id: InstanceId,
    /// Name of the app.
    pub app: String,
    /// Which stream.
    pub stream: LineStream,
    /// When it was read.
    pub at: WallTime,
    /// Its text, without the newline. Bytes that are no UTF-8 are replaced.
    pub text: String,
    /// The exact bytes, when `text` could not hold them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_base64: Option<String>,
    /// Whether the line has its end; what follows goes on in it otherwise.
    pub whole: bool,
}
