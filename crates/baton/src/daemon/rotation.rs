//! Which log files are rotated, and how: the definitions of the apps over the settings that all of them share.
//!
//! The log thread gets a new set of rules when a definition or the settings change, and does the rest itself.

use super::driver::Driver;
use super::journal;
use crate::home::Home;
use crate::logrotate::Settings;
use baton_core::spec::{AppSpec, LogCompression};
use baton_core::units::InstanceId;
use baton_core::world::World;
use baton_os::logs::parts::Compression;
use baton_os::logs::{Rotation, Rule, own};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Without a setting all logs together may take this part of the file system that holds the home …
const OF_DISK: u64 = 10;
/// … but no more than this (bytes).
const MOST: u64 = 10 << 30;

/// The daemon's own log among the groups of logs that have a quota.
const OWN: &str = "PM2";

/// What the rules that hold were made of.
#[derive(Debug, Default)]
pub(super) struct Known {
    settings: Settings,
    specs: BTreeMap<InstanceId, Arc<AppSpec>>,
}

impl Known {
    /// Reads the settings, with what an operator should know about them, and makes the rules of what is in the list.
    pub(super) fn begin(home: &Home, world: &World) -> (Known, Rotation, Vec<String>) {
        let (settings, complaints) = Settings::read(home);
        let known = Known { settings, specs: specs(world) };
        let rotation = known.rotation(home, world);
        (known, rotation, complaints)
    }

    fn rotation(&self, home: &Home, world: &World) -> Rotation {
        let settings = &self.settings;
        let mut rules = BTreeMap::new();
        for instance in world.instances.values() {
            let files = [&instance.files.out, &instance.files.error, &instance.files.combined];
            for path in files.into_iter().flatten() {
                // Of several apps that share a file the first one's definition holds.
                rules.entry(PathBuf::from(path)).or_insert_with(|| rule(&instance.spec, settings));
            }
        }
        let own = home.daemon_log();
        // Nothing of an app holds for it.
        rules.insert(own.clone(), rule(&AppSpec { name: OWN.into(), ..AppSpec::default() }, settings));
        let quota = match settings.max_total_size {
            Some(0) => None,
            Some(size) => Some(size),
            None => rustix::fs::statvfs(home.logs())
                .ok()
                .map(|disk| (disk.f_blocks.saturating_mul(disk.f_frsize) / OF_DISK).min(MOST)),
        };
        Rotation { rules, date: settings.date.clone(), zone: settings.zone.clone(), quota, own: Some(own) }
    }
}

fn specs(world: &World) -> BTreeMap<InstanceId, Arc<AppSpec>> {
    world.instances.iter().map(|(id, instance)| (*id, Arc::clone(&instance.spec))).collect()
}

/// The rule of an app's files.
fn rule(spec: &AppSpec, settings: &Settings) -> Rule {
    Rule {
        max_size: spec.max_size.or(settings.max_size).filter(|size| *size > 0),
        retain: spec.retain.or(settings.retain),
        compression: match spec.compress.unwrap_or(settings.compress) {
            LogCompression::None => Compression::None,
            LogCompression::Gzip => Compression::Gzip,
            LogCompression::Zstd => Compression::Zstd,
        },
        max_age: spec.max_age.map(|age| age.0).or(settings.max_age).filter(|age| *age > 0),
        times: spec.rotate_interval.clone().or_else(|| settings.times.clone()),
        group: spec.name.clone(),
        quota: spec.max_total_size.filter(|size| *size > 0),
    }
}

impl Driver {
    /// Has the daemon's own log rotated when it is large enough.
    pub(super) fn look_at_own_log(&self) {
        let limit = self.rotation.settings.max_size.filter(|size| *size > 0);
        if limit.is_some_and(|limit| own::size().is_ok_and(|size| size >= limit)) {
            self.logs.own_has_grown();
        }
    }

    /// Gives the log thread new rules when a definition among these slots is new, or gone.
    pub(super) fn follow_definitions<'a>(&mut self, touched: impl IntoIterator<Item = &'a InstanceId>) {
        let (known, world) = (&self.rotation.specs, &self.world);
        let is_new = |id: &InstanceId| match (known.get(id), world.instances.get(id)) {
            (Some(known), Some(instance)) => !Arc::ptr_eq(known, &instance.spec),
            (known, now) => known.is_some() != now.is_some(),
        };
        if touched.into_iter().any(is_new) {
            self.follow_times();
            self.rotation.specs = specs(&self.world);
            self.logs.rotate_by(self.rotation.rotation(&self.home, &self.world));
        }
    }

    /// Opens all log files anew, and reads the settings too: they may have been written by hand.
    pub(super) fn reload_logs(&mut self) {
        self.read_settings();
        self.logs.reopen_all();
    }

    /// Reads the settings again.
    pub(super) fn read_settings(&mut self) {
        let (settings, complaints) = Settings::read(&self.home);
        for complaint in complaints {
            journal::warn(complaint);
        }
        if settings != self.rotation.settings {
            self.rotation.settings = settings;
            self.logs.rotate_by(self.rotation.rotation(&self.home, &self.world));
        }
    }
}
