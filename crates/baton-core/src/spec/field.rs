//! What is known about a key of a process file.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a change of this key needs to take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeClass {
    /// Applied to the running process: policies, limits, delays.
    Live,
    /// Needs a new process: what is run, and with what.
    Restart,
    /// Adds or removes instances.
    Scale,
    /// Not part of the definition: where it came from and the shell it was started in. Never compared nor hashed.
    Context,
}

/// The shape of a value in a process file, before it is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text; a number is turned into its text.
    Text,
    /// A file path: resolved against the app's `cwd`, `~` is the home directory.
    Path,
    /// `true` or `false`, also as text.
    Bool,
    /// A whole number from the first to the second value; numeric text is accepted.
    Integer(i64, i64),
    /// A number of instances: a number, numeric text or `max`.
    Instances,
    /// Bytes: a number, or text with K, M, G or KB, MB, GB (1024-based).
    Size,
    /// Milliseconds: a number, or text such as `500ms`, `10s`, `5m`, `1h`.
    Duration,
    /// A list of texts; one text is split as a shell would.
    Words,
    /// A list of texts; one text is a list of one.
    Texts,
    /// A list of whole numbers; one number is a list of one.
    Integers,
    /// A map of variables to values.
    Environment,
    /// A signal by its name, with or without `SIG`, or its number.
    Signal,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true`, `false`, a text or a list of texts.
    Switch,
    /// What must be up first: a name, a list of names, or a map of names to conditions.
    Dependencies,
    /// How an app tells that it is ready: a word, or a map with one probe.
    Readiness,
    /// How to tell that an app is well: a map with one probe.
    Health,
    /// Where processes say that they are well: `true`, `false` or a map.
    Heartbeat,
    /// Who is told of events: a command, an address, a map with one, or a list of these.
    Hooks,
    /// When a job is run: a cron pattern, or a map with one.
    Schedule,
    /// Sockets: a port, `host:port` or path, a list of them, or a map of names to them.
    Listen,
    /// Limits of a process: a map of resources to numbers, `unlimited`, or maps of `soft` and `hard`.
    Rlimits,
    /// A share of the processors: a number of them, or percent of one as text.
    Cpus,
    /// A map whose members are checked by the feature that reads it.
    Map,
    /// Anything; checked by the feature that reads it.
    Any,
}

/// Short description of a value for an error message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape(pub &'static str);

/// One key of a process file.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Canonical name, in snake case. Camel case and kebab case of it are accepted as well.
    pub name: &'static str,
    /// Other names, as PM2 and its ecosystem use them.
    pub aliases: &'static [&'static str],
    /// What a value looks like.
    pub kind: Kind,
    /// What a change needs.
    pub class: ChangeClass,
    /// What the key means, with units, for the reference page.
    pub doc: &'static str,
}

impl Field {
    /// The row for a canonical name or an alias in snake case.
    pub fn find(key: &str) -> Option<&'static Field> {
        super::FIELDS.iter().chain(super::LATER).find(|field| field.name == key || field.aliases.contains(&key))
    }

    /// Whether the key is read, checked and kept, but not acted on by this version.
    pub fn is_later(&self) -> bool {
        super::LATER.iter().any(|later| later.name == self.name)
    }
}

/// One key that differs between two definitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Canonical name of the key.
    pub field: String,
    /// What the change needs.
    pub class: ChangeClass,
    /// The value now.
    pub old: serde_json::Value,
    /// The value wished.
    pub new: serde_json::Value,
}

/// Whether a value counts as true, as JavaScript decides in a condition.
pub fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}
