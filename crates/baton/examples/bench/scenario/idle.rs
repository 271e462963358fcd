//! Quiet: how often the manager's threads wake while a hundred apps do nothing.

use super::{fleet, watch};
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::Manager;
use crate::proc::{Held, quiet};
use crate::row::{Row, Samples, Target, Unit};
use std::time::Duration;

/// After the start, until the count begins: timers of the start may run out.
const SETTLE: Duration = Duration::from_secs(10);
/// What is counted.
const QUIET: Duration = Duration::from_secs(30);

/// What the apps have beside, and what is to be hoped for.
const KINDS: [(&str, &str, Target); 3] = [
    ("", "", Target::Zero),
    (", watched and with a time", "    watch: true, cron_restart: '0 0 1 1 *',\n", Target::Zero),
    // Who has a limit is looked at: how often is the manager's own choice.
    (", with a memory limit", "    max_memory_restart: '1G',\n", Target::None),
];

/// Counts.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    KINDS.into_iter().map(|(with, keys, target)| quiet_apps(bench, with, keys, target)).collect()
}

/// Once, and for all managers at the same time: nothing competes.
fn quiet_apps(bench: &Bench, with: &str, keys: &str, target: Target) -> Result<Row, Failure> {
    // A home holds what changes by itself; what is watched must be quiet.
    let parent = watch::folder(bench)?;
    // What happens beside a watched folder is looked at: it may be replaced.
    let folder = parent.path().join("quiet");
    std::fs::create_dir(&folder).map_err(Failure::system("making a directory"))?;
    let cwd = format!("    cwd: {},\n", serde_json::Value::from(folder.to_string_lossy()));
    let mut managers = bench.managers()?;
    for manager in &mut managers {
        fleet::start_with(manager, &format!("{cwd}{keys}"))?;
        manager.online(fleet::APPS)?;
        manager.meet()?;
    }
    quiet(SETTLE)?;
    let before = counts(&managers)?;
    quiet(QUIET)?;
    let after = counts(&managers)?;
    for manager in &managers {
        manager.online(fleet::APPS)?;
    }
    for manager in managers {
        manager.end()?;
    }
    let pairs = before.iter().zip(&after);
    let samples = pairs.map(|(before, after)| Samples::from_iter([f64::from(after - before)])).collect();
    Ok(Row::new(format!("30 quiet seconds with 100 apps{with}"), Unit::WakeUps, samples, target))
}

fn counts(managers: &[Manager]) -> Result<Vec<u32>, Failure> {
    let of = |manager: &Manager| -> Result<u32, Failure> {
        let all = manager.processes().iter().map(Held::naps).collect::<Result<Vec<_>, _>>()?;
        u32::try_from(all.iter().sum::<u64>()).map_err(|_| manager.unexpected("it never sleeps"))
    };
    managers.iter().map(of).collect()
}
