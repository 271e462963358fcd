//! A source as `plan` and `sync` take it: its files evaluated here, in the caller, into what the daemon compares.

use super::again::baselines;
use crate::cli::apps::{self, FileOptions, Loaded};
use crate::cli::failure::Failure;
use crate::cli::options::AppOptions;
use crate::cli::session::{Session, list};
use crate::cli::target::Meant;
use crate::client::Client;
use baton_config::check::{self, Unrunnable, refuse_missing_variables};
use baton_config::target::resolve;
use baton_config::{ConfigError, Dependencies, Made};
use baton_core::proto::{List, Wish};
use baton_core::spec::AppSpec;
use baton_core::sync::{Baseline, Desired, DriftRule, Origin, Scope};
use clap::Args;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which source is meant, and how far the list may be changed for it.
#[derive(Clone, Debug, Args)]
pub(crate) struct SourceOptions {
    /// Process files, directories and patterns of them, which are one source. Default: ecosystem.config.* of the
    /// directory.
    #[arg(value_name = "source")]
    pub(crate) targets: Vec<String>,
    #[command(flatten)]
    pub(crate) file: FileOptions,
    /// Remove apps that came from this source and that it does not have any more.
    #[arg(long)]
    pub(crate) prune: bool,
    /// Remove them even when they are more than half, and take apps over that belong to another source.
    #[arg(long)]
    pub(crate) force: bool,
    /// Undo what was changed by hand: apps that were stopped, scaled or changed become what the source says.
    #[arg(long)]
    pub(crate) reset_drift: bool,
}

/// A source that was read.
pub(crate) struct Reading {
    /// What it says.
    pub(crate) desired: Desired,
    /// The files behind it.
    pub(crate) loaded: Loaded,
}

impl SourceOptions {
    /// The files of the source.
    ///
    /// # Errors
    /// When there are none, or standard input is meant.
    pub(crate) fn files(&self, session: &Session) -> Result<Vec<PathBuf>, Failure> {
        match apps::source(&self.targets, &self.file, session)? {
            Meant::Files(paths) => Ok(paths),
            Meant::Stdin | Meant::Slots(_) | Meant::Either(_) => {
                Err(Failure::Usage("standard input can't be a source: it is gone once it is read".into()))
            }
        }
    }

    /// The name of the source: the absolute paths of its files, or another spelling of the same that the list knows.
    ///
    /// # Errors
    /// As [`SourceOptions::files`], and when the daemon does not answer.
    pub(crate) fn name(&self, session: &Session) -> Result<String, Failure> {
        Ok(self.known(session)?.0)
    }

    /// The same, with what the list knows of the source.
    fn known(&self, session: &Session) -> Result<(String, Option<Baseline>), Failure> {
        let spelled = self.spelled(session)?;
        let Some(mut client) = known_client(session)? else { return Ok((spelled, None)) };
        let mut known = baselines(&mut client)?;
        if let Some(baseline) = known.remove(&spelled) {
            return Ok((spelled, Some(baseline)));
        }
        // Links may lead to it. The list goes on under the name that it has: links are moved, as `current` is with each
        // release, and its apps are still those of the same source.
        let owners = list(&mut client, List::default())?.instances.into_iter().filter_map(|view| view.owner);
        let names: BTreeSet<String> = known.keys().cloned().chain(owners).collect();
        let name = if names.contains(&spelled) { None } else { names.into_iter().find(|name| is_same(name, &spelled)) };
        let name = name.unwrap_or(spelled);
        let baseline = known.remove(&name);
        Ok((name, baseline))
    }

    /// The absolute paths of the files of the source, as they are called.
    fn spelled(&self, session: &Session) -> Result<String, Failure> {
        let directory = session.directory()?;
        let mut paths: Vec<String> =
            self.files(session)?.iter().map(|path| resolve(&directory, path).display().to_string()).collect();
        paths.sort();
        paths.dedup();
        Ok(paths.join(", "))
    }

    /// The words that say what is read, and how.
    pub(crate) fn words(&self) -> Vec<String> {
        self.targets.iter().cloned().chain(self.file.words()).collect()
    }

    /// What the files say of how they are made, when they can't be read.
    ///
    /// # Errors
    /// As [`SourceOptions::files`].
    pub(crate) fn made_without_modules(&self, session: &Session) -> Result<Made, Failure> {
        let options = apps::file_options(&self.file, session)?;
        Ok(baton_config::made_without_modules(&self.files(session)?, &options))
    }

    /// Reads the source, from the directory that it was first synced from: what its apps inherit of that does not
    /// depend on where the next pass is called.
    ///
    /// # Errors
    /// When a file is missing or wrong, or a variable that an app needs has no value.
    pub(crate) fn read(&self, drift: DriftRule, session: &Session) -> Result<Reading, Failure> {
        let here = session.directory()?;
        match self.known_directory(session)?.filter(|there| *there != here && there.is_dir()) {
            Some(there) => {
                let paths = self.files(session)?;
                let targets = paths.iter().map(|path| resolve(&here, path).display().to_string());
                let file = self.file.without_files();
                SourceOptions { targets: targets.collect(), file, ..self.clone() }
                    .read_in(drift, &session.within(there))
            }
            None => self.read_in(drift, session),
        }
    }

    /// The directory that the source was read from when it was last applied, when the list knows it.
    fn known_directory(&self, session: &Session) -> Result<Option<PathBuf>, Failure> {
        let directory = self.known(session)?.1.map(|baseline| baseline.origin.directory);
        Ok(directory.filter(|directory| !directory.is_empty()).map(PathBuf::from))
    }

    /// Says what is easily mistaken in these options.
    pub(crate) fn warn(&self, session: &Session) {
        if self.prune && !self.file.only.is_empty() {
            session.warn(
                "--prune with --only removes those of the named apps that the source does not have any more, and no others",
            );
        }
    }

    fn read_in(&self, drift: DriftRule, session: &Session) -> Result<Reading, Failure> {
        let source = Meant::Files(self.files(session)?);
        let mut loaded = match apps::load(&source, &self.file, &AppOptions::default(), Dependencies::Bring, session) {
            // A source that is gone has no apps, for whoever insists on it.
            Err(Failure::Config(
                ConfigError::FileNotFound(_) | ConfigError::NoneInDirectory { .. } | ConfigError::NoMatch { .. },
            )) if self.prune && self.force => Loaded::default(),
            loaded => loaded?,
        };
        refuse_missing_variables(&loaded.apps)?;
        let apps: Vec<Wish> = std::mem::take(&mut loaded.apps)
            .into_iter()
            .map(|spec| Wish { brought: loaded.brought.contains(&spec.name), ..apps::wish(spec) })
            .collect();
        let missing = unrunnable(&apps);
        // Its coming makes the source good.
        loaded.looked_for.extend(missing.values().flat_map(|missing| missing.looked_for.iter().cloned()));
        let desired = Desired {
            unrunnable: missing.into_iter().map(|(app, missing)| (app, missing.what)).collect(),
            empty: loaded.is_empty,
            origin: Origin { directory: session.directory()?.display().to_string(), words: self.words() },
            source: self.name(session)?,
            variables: fingerprints(&apps),
            apps,
            gone: std::mem::take(&mut loaded.unknown_only),
            scope: if self.file.only.is_empty() { Scope::Whole } else { Scope::Some },
            prune: self.prune || loaded.prune,
            force: self.force,
            drift: if self.reset_drift { DriftRule::Reset } else { drift },
        };
        Ok(Reading { desired, loaded })
    }
}

/// A daemon that knows sources: one that runs, or is to know what an earlier one has left.
fn known_client(session: &Session) -> Result<Option<Client>, Failure> {
    match session.present_client()? {
        None if session.home.state().exists() => session.quiet_client().map(Some),
        present => Ok(present),
    }
}

/// Whether two names of sources mean the same files, whichever links lead there.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let real = |name: &str| -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = name.split(", ").map(|path| real(Path::new(path))).collect();
        paths.sort();
        paths.dedup();
        paths
    };
    one == other || real(one) == real(other)
}

/// A path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
    there
        .map_or_else(|| path.to_owned(), |(there, found)| found.join(path.strip_prefix(there).unwrap_or(Path::new(""))))
}

/// What is wrong with the programs of apps, by name.
pub(super) fn unrunnable(apps: &[Wish]) -> BTreeMap<String, Unrunnable> {
    apps.iter().filter_map(|wish| Some((wish.spec.name.clone(), check::unrunnable(&wish.spec)?))).collect()
}

/// Fingerprints of what the files of variables of apps hold, by name.
pub(super) fn fingerprints(apps: &[Wish]) -> BTreeMap<String, String> {
    apps.iter().filter_map(|wish| Some((wish.spec.name.clone(), variables(&wish.spec)?))).collect()
}

/// A fingerprint of what the files of variables of an app hold; nothing for an app without them.
fn variables(spec: &AppSpec) -> Option<String> {
    if spec.env_file.is_empty() {
        return None;
    }
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for file in &spec.env_file {
        // One that is missing says nothing, as at the start of the app.
        let content = std::fs::read(file).unwrap_or_default();
        all.extend(baton_config::dotenv::parse(&content));
    }
    // Those that the definition sets itself do not reach the app.
    all.retain(|name, _| !spec.env.contains_key(name));
    let mut hasher = Sha256::new();
    for text in all.iter().flat_map(|(name, value)| [name, value]) {
        hasher.update(text.len().to_le_bytes());
        hasher.update(text);
    }
    Some(hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
