//! What each life has told of itself. The thread of the channels writes, the loop reads; a life's part goes with its
//! channel.
//!
//! What is told only once is also in `run/told/LIFE`, written before the message is taken out of its socket: a
//! successor of this daemon knows it too.

use crate::daemon::journal;
use crate::daemon::life::Key;
use baton_core::units::Incarnation;
use baton_node::told::{Heard, Teller, Told};
use baton_os::files::write_quick;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known, for whoever reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<Mutex<BTreeMap<Incarnation, Told>>>);

impl Known {
    /// Looks at what a life has told; `None` when it has told nothing.
    pub(super) fn of<T>(&self, life: Incarnation, look: impl FnOnce(&Told) -> T) -> Option<T> {
        self.all().get(&life).map(look)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Incarnation, Told>> {
        // Each change is whole, so what a panic left is still true.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one who writes it.
pub(super) struct Shelf {
    known: Known,
    folder: PathBuf,
    /// Lives whose file is to be written.
    stale: BTreeSet<Incarnation>,
    /// Lives of which it was said that they tell too much.
    warned: BTreeSet<Incarnation>,
}

impl Shelf {
    /// With nothing known yet; files are in this folder.
    pub(super) fn new(folder: PathBuf, known: Known) -> Shelf {
        Shelf { known, folder, stale: BTreeSet::new(), warned: BTreeSet::new() }
    }

    /// A life that a predecessor knew, or a new one. Says whether our module is to tell everything again.
    pub(super) fn begin(&self, life: Incarnation) -> bool {
        let Ok(bytes) = fs::read(self.file(life)) else { return false };
        let told: Told = serde_json::from_slice(&bytes).unwrap_or_default();
        let has_module = told.has_module();
        self.known.all().insert(life, told);
        has_module
    }

    /// Takes in what was said.
    pub(super) fn hear(&mut self, (slot, life): Key, message: &Value, teller: Teller) -> Heard {
        let (heard, overflows) = {
            let mut all = self.known.all();
            let told = all.entry(life).or_default();
            (told.hear(message, teller), told.take_overflow())
        };
        if heard == Heard::Lasting {
            self.stale.insert(life);
        }
        if overflows && self.warned.insert(life) {
            let text = "tells more metrics, actions or options than are kept of one, or larger ones";
            journal::warn(format_args!("the program of slot {slot} {text}"));
        }
        heard
    }

    /// Writes what a successor must know of a life, if that has changed.
    pub(super) fn keep(&mut self, life: Incarnation) {
        if !self.stale.remove(&life) {
            return;
        }
        let Some(Ok(bytes)) = self.known.of(life, serde_json::to_vec) else { return };
        let path = self.file(life);
        let written = match write_quick(&path, &bytes, 0o600) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.folder).and_then(|()| write_quick(&path, &bytes, 0o600))
            }
            result => result,
        };
        if let Err(error) = written {
            journal::warn(format_args!("could not write {}: {error}", path.display()));
        }
    }

    /// A life has no channel any more.
    pub(super) fn end(&mut self, life: Incarnation) {
        self.stale.remove(&life);
        self.warned.remove(&life);
        if self.known.all().remove(&life).is_some() {
            let _ = fs::remove_file(self.file(life));
        }
    }

    /// Forgets what is written of lives that are none of these.
    pub(super) fn only(&self, lives: &BTreeSet<Incarnation>) {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for path in files.map(|entry| entry.path()) {
            if life_of(&path).is_none_or(|life| !lives.contains(&life)) {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn file(&self, life: Incarnation) -> PathBuf {
        self.folder.join(life.to_string())
    }
}

fn life_of(path: &Path) -> Option<Incarnation> {
    path.file_name()?.to_str()?.parse().ok().map(Incarnation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::units::InstanceId;
    use serde_json::json;

    #[test]
    fn what_is_told_once_is_known_to_a_successor_and_goes_with_the_life() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("told");
        let (one, two) = (Incarnation(1), Incarnation(2));
        let mut shelf = Shelf::new(at.clone(), Known::default());
        assert!(!shelf.begin(one));
        let action = json!({ "type": "axm:action", "data": { "action_name": "hello" } });
        shelf.hear((InstanceId(0), one), &action, Teller::Module);
        shelf.hear((InstanceId(1), two), &action, Teller::Program);
        shelf.keep(one);
        shelf.keep(two);

        let known = Known::default();
        let mut successor = Shelf::new(at.clone(), known.clone());
        assert!(successor.begin(one));
        successor.only(&BTreeSet::from([one]));
        assert_eq!(known.of(one, |told| told.actions().len()), Some(1));
        assert!(!at.join("2").exists());
        successor.end(one);
        assert!(known.of(one, |_| ()).is_none() && !at.join("1").exists());
    }
}
