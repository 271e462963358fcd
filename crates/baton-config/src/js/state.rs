//! What one evaluation shares between the engine, the module loader and the natives.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use baton_core::spec::Environment;
use indexmap::IndexSet;
use rquickjs::{Function, Persistent};

use super::JsOptions;
use super::resolve::Packages;
use super::{Exported, Texts, Trace, Undefined};

/// Why the engine refuses to run on. The interrupt handler looks at it, so no `catch` in the file can hold it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// `process.exit(code)`.
    Exit(i32),
    /// The time limit.
    Deadline,
}

/// The process group of the child that is running, for the watchdog.
pub(super) type RunningChild = Arc<Mutex<Option<u32>>>;

/// One evaluation: lives in the engine's thread only.
pub(super) struct State {
    pub(super) env: Environment,
    pub(super) argv: Vec<String>,
    /// Texts that are read instead of files.
    pub(super) texts: Texts,
    pub(super) deadline: Instant,
    pub(super) stop: Cell<Option<Stop>>,
    pub(super) child: RunningChild,
    pub(super) packages: Packages,
    pub(super) memory_limit: u64,
    cwd: RefCell<PathBuf>,
    /// Length of what we put before the first line of a file.
    prefixes: RefCell<HashMap<PathBuf, u32>>,
    console: RefCell<Vec<u8>>,
    inputs: RefCell<IndexSet<PathBuf>>,
    looked_for: RefCell<IndexSet<PathBuf>>,
    directories: RefCell<IndexSet<PathBuf>>,
    effects: RefCell<Vec<String>>,
    unsupported: RefCell<Option<String>>,
    undefined: RefCell<IndexSet<Undefined>>,
    exported: RefCell<Vec<Exported>>,
    env_traces: RefCell<Vec<Trace>>,
    /// The ES modules that were loaded, by the engine's names for them.
    es_modules: RefCell<IndexSet<String>>,
    /// `load(path)` of `bootstrap.js`: gives the exports of a CommonJS file. Emptied before the runtime ends.
    pub(super) load: RefCell<Option<Persistent<Function<'static>>>>,
}

/// What is left of a [`State`] when the evaluation is over.
pub(super) struct Traces {
    pub(super) console: Vec<u8>,
    pub(super) inputs: Vec<PathBuf>,
    pub(super) looked_for: Vec<PathBuf>,
    pub(super) directories: Vec<PathBuf>,
    pub(super) effects: Vec<String>,
    pub(super) undefined: Vec<Undefined>,
    pub(super) exported: Vec<Exported>,
    pub(super) traces: Vec<Trace>,
}

impl State {
    pub(super) fn new(options: JsOptions, texts: Texts, deadline: Instant, child: RunningChild) -> Self {
        Self {
            env: options.env,
            argv: options.argv,
            texts,
            deadline,
            stop: Cell::new(None),
            child,
            packages: Packages::default(),
            memory_limit: options.limits.memory,
            cwd: RefCell::new(options.cwd),
            prefixes: RefCell::default(),
            console: RefCell::default(),
            inputs: RefCell::default(),
            looked_for: RefCell::default(),
            directories: RefCell::default(),
            effects: RefCell::default(),
            unsupported: RefCell::default(),
            undefined: RefCell::default(),
            exported: RefCell::default(),
            env_traces: RefCell::default(),
            es_modules: RefCell::default(),
            load: RefCell::new(None),
        }
    }

    /// Says whether the engine must end now, and remembers why.
    pub(super) fn must_stop(&self) -> bool {
        if self.stop.get().is_none() && Instant::now() >= self.deadline {
            self.stop.set(Some(Stop::Deadline));
        }
        self.stop.get().is_some()
    }

    /// Time that is left; zero when there is none.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    pub(super) fn cwd(&self) -> PathBuf {
        self.cwd.borrow().clone()
    }

    /// `process.chdir`: within the evaluation only, the caller's directory stays as it is.
    pub(super) fn set_cwd(&self, cwd: PathBuf) {
        self.cwd.replace(cwd);
    }

    /// The absolute form of a path that the file gave.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        self.cwd.borrow().join(path)
    }

    pub(super) fn print(&self, text: &[u8]) {
        self.console.borrow_mut().extend_from_slice(text);
    }

    pub(super) fn note_input(&self, path: &Path) {
        self.inputs.borrow_mut().insert(super::resolve::normalise(path));
    }

    /// Notes a path whose coming or going matters.
    pub(super) fn note_looked_for(&self, path: &Path) {
        self.looked_for.borrow_mut().insert(super::resolve::normalise(path));
    }

    pub(super) fn note_traces(&self, traces: Vec<Trace>) {
        self.env_traces.replace(traces);
    }

    pub(super) fn note_undefined(&self, variable: Undefined) {
        self.undefined.borrow_mut().insert(variable);
    }

    pub(super) fn note_exported(&self, lists: Vec<Exported>) {
        self.exported.replace(lists);
    }

    pub(super) fn note_es_module(&self, name: &str) {
        self.es_modules.borrow_mut().insert(name.to_owned());
    }

    pub(super) fn es_modules(&self) -> Vec<String> {
        self.es_modules.borrow().iter().cloned().collect()
    }

    pub(super) fn note_directory(&self, path: &Path) {
        self.directories.borrow_mut().insert(super::resolve::normalise(path));
    }

    /// Adds to the journal of what cannot be undone: a file that has an entry here is never run a second time.
    pub(super) fn note_effect(&self, what: String) {
        self.effects.borrow_mut().push(what);
    }

    /// Remembers the first call of something that only the real Node has. It sticks, so that a file which swallows
    /// the error does not silently get another result than in Node.
    pub(super) fn note_unsupported(&self, api: &str) {
        self.unsupported.borrow_mut().get_or_insert_with(|| api.to_owned());
    }

    pub(super) fn unsupported(&self) -> Option<(String, Vec<String>)> {
        let api = self.unsupported.borrow().clone()?;
        Some((api, self.effects.borrow().clone()))
    }

    /// Remembers that the text of `file` was compiled behind `prefix`, on the same line.
    pub(super) fn note_prefix(&self, file: &Path, prefix: &str) {
        self.prefixes.borrow_mut().insert(file.to_path_buf(), prefix.len() as u32);
    }

    /// How far the columns of the first line of `file` are moved.
    pub(super) fn columns_before(&self, file: &Path) -> u32 {
        self.prefixes.borrow().get(file).copied().unwrap_or(0)
    }

    pub(super) fn traces(&self) -> Traces {
        let list = |set: &RefCell<IndexSet<PathBuf>>| set.take().into_iter().collect();
        Traces {
            console: self.console.take(),
            inputs: list(&self.inputs),
            looked_for: list(&self.looked_for),
            directories: list(&self.directories),
            effects: self.effects.take(),
            undefined: self.undefined.take().into_iter().collect(),
            exported: self.exported.take(),
            traces: self.env_traces.take(),
        }
    }
}
