//! Log throughput: an app writes lines as fast as it can; the clock runs until its file holds the last of them.
//! Beside it, the processor time that the daemon needs for a gigabyte, and how fast the app alone fills a file.

use crate::app::LINE;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::files;
use crate::manager::{Manager, tool};
use crate::rendezvous::Rendezvous;
use crate::row::{Row, Samples, Target, Unit};
use serde_json::json;
use std::fs::File;

/// One way to write.
struct Load {
    what: &'static str,
    /// Bytes in one write of the app.
    write: usize,
    /// Bytes in all: whole lines.
    total: usize,
    /// Whether each line gets a stamp.
    stamped: bool,
    target: Target,
}

const LOADS: [Load; 4] = [
    Load {
        what: "raw log, 100-byte writes",
        write: LINE,
        total: 2_000_000 * LINE,
        stamped: false,
        target: Target::Times(5.0),
    },
    Load {
        what: "raw log, 64 KiB writes",
        write: 64 * 1024,
        total: 10_000_000 * LINE,
        stamped: false,
        target: Target::Times(5.0),
    },
    Load {
        what: "stamped log, 100-byte writes",
        write: LINE,
        total: 1_000_000 * LINE,
        stamped: true,
        target: Target::Times(15.0),
    },
    Load {
        what: "stamped log, 64 KiB writes",
        write: 64 * 1024,
        total: 1_000_000 * LINE,
        stamped: true,
        target: Target::Times(15.0),
    },
];

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let mut meetings = Vec::new();
    for manager in &managers {
        meetings.push(Rendezvous::in_directory(manager.home())?);
    }
    let mut rows = Vec::new();
    for load in &LOADS {
        let mut costs = vec![Samples::default(); managers.len()];
        let mut alone = Samples::default();
        let speeds = bench.in_turn(bench.runs, |index, round| {
            if index == 0 {
                alone.add(write_alone(bench, load)?);
            }
            let (speed, cost) = write(&managers[index], &meetings[index], load, round)?;
            costs[index].add(cost);
            Ok(speed)
        })?;
        rows.push(Row::new(load.what, Unit::MegabytesPerSecond, speeds, load.target).above(alone));
        rows.push(Row::new(format!("{}: daemon", load.what), Unit::ProcessorPerGigabyte, costs, Target::Part(10.0)));
    }
    for manager in managers {
        manager.end()?;
    }
    Ok(rows)
}

/// Lets one app write once. The result is MB/s and seconds of the daemon's processor time for a GB.
fn write(manager: &Manager, rendezvous: &Rendezvous, load: &Load, round: u32) -> Result<(f64, f64), Failure> {
    let log = manager.path(&format!("{}-{}-{round}.log", load.write, load.stamped));
    let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    let mut app = json!({
        "name": "writer", "script": program, "interpreter": "none", "merge_logs": true, "out_file": log,
        "args": ["app", "write", rendezvous.path(), load.write.to_string(), load.total.to_string()],
    });
    if load.stamped {
        app["log_date_format"] = "YYYY-MM-DD HH:mm:ss.SSS".into();
    }
    let file = manager.file("ecosystem.json", json!({ "apps": [app] }).to_string())?;
    manager.run(["start".as_ref(), file.as_os_str()])?;
    let mut writer = rendezvous.meet()?;
    let daemon = manager.daemon()?;
    let before = daemon.processor()?;
    let begin = writer.go()?;
    // Nothing watches the file while the app writes: that would cost what we measure.
    writer.done()?;
    let took = files::complete(&log)? - begin;
    let used = daemon.processor()?.saturating_sub(before);
    let length = std::fs::metadata(&log).map_err(Failure::system("measuring the log"))?.len();
    let total = u64::try_from(load.total).unwrap_or(u64::MAX);
    if length < total || (length > total && !load.stamped) {
        return Err(manager.unexpected(format!("the log has {length} bytes of {total}")));
    }
    manager.run(["delete", "writer"])?;
    std::fs::remove_file(&log).map_err(Failure::system("removing the log"))?;
    Ok((load.megabytes() / took.as_secs_f64(), used.as_secs_f64() / (load.megabytes() / 1e3)))
}

/// The bound: the app's standard output is a file, with no manager. The result is MB/s.
fn write_alone(bench: &Bench, load: &Load) -> Result<f64, Failure> {
    let folder = tempfile::tempdir_in(&bench.directory).map_err(Failure::system("making a directory"))?;
    let rendezvous = Rendezvous::in_directory(folder.path())?;
    let log = File::create(folder.path().join("alone.log")).map_err(Failure::system("making a file"))?;
    let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    let mut command = tool(&program);
    command.args(["app", "write"]).arg(rendezvous.path()).stdout(log);
    command.args([load.write.to_string(), load.total.to_string()]);
    let mut child = command.spawn().map_err(Failure::system("starting a bare process"))?;
    let took = (|| {
        let mut writer = rendezvous.meet()?;
        let begin = writer.go()?;
        writer.done()?;
        Ok::<_, Failure>(begin.elapsed())
    })();
    child.kill().and_then(|()| child.wait()).map_err(Failure::system("ending a bare process"))?;
    Ok(load.megabytes() / took?.as_secs_f64())
}

impl Load {
    /// All that is written, in megabytes.
    fn megabytes(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let bytes = self.total as f64;
        bytes / 1e6
    }
}
