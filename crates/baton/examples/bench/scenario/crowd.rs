//! The share of a processor that a hundred apps' logs need when each writes a megabyte a second.

use crate::app::RATE;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::Manager;
use crate::proc::quiet;
use crate::rendezvous::Rendezvous;
use crate::row::{Row, Samples, Target, Unit};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Apps.
const APPS: usize = 100;
/// From the first line until the count begins: pipes are enlarged, files opened.
const SETTLE: Duration = Duration::from_secs(2);
/// What is counted.
const COUNTED: Duration = Duration::from_secs(10);

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let mut flows = vec![Samples::default(); bench.contenders.len()];
    let shares = bench.in_turn(bench.runs, |index, _| {
        // A manager that is there beside the one that is measured would take nothing but memory; its apps would.
        let manager = Manager::running(&bench.contenders[index], &bench.directory)?;
        let (share, flow) = measure(&manager)?;
        flows[index].add(flow);
        manager.end()?;
        Ok(share)
    })?;
    let what = "100 apps, each 1 MB/s in writes of 10 kB";
    Ok(vec![
        Row::new(format!("{what}: daemon's share of a processor"), Unit::Percent, shares, Target::None),
        Row::new(format!("{what}: arriving in the files"), Unit::MegabytesPerSecond, flows, Target::None),
    ])
}

/// Percent of one processor, and MB/s in all files.
fn measure(manager: &Manager) -> Result<(f64, f64), Failure> {
    let rendezvous = Rendezvous::in_directory(manager.home())?;
    let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    let logs: Vec<PathBuf> = (0..APPS).map(|number| manager.path(&format!("crowd{number}.log"))).collect();
    let app = |(number, log): (usize, &PathBuf)| {
        json!({
            "name": format!("writer{number}"), "script": program, "interpreter": "none", "merge_logs": true, "out_file": log,
            "args": ["app", "pace", rendezvous.path(), RATE.to_string()], "autorestart": false,
        })
    };
    let apps: Vec<Value> = logs.iter().enumerate().map(app).collect();
    let file = manager.file("ecosystem.json", json!({ "apps": apps }).to_string())?;
    manager.run(["start".as_ref(), file.as_os_str()])?;
    let mut writers = (0..APPS).map(|_| rendezvous.meet()).collect::<Result<Vec<_>, _>>()?;
    for writer in &mut writers {
        writer.go()?;
    }
    quiet(SETTLE)?;
    let (before, begin, bytes) = (manager.daemon()?.processor()?, Instant::now(), size(&logs)?);
    quiet(COUNTED)?;
    let used = manager.daemon()?.processor()?.saturating_sub(before);
    let (took, bytes) = (begin.elapsed(), size(&logs)? - bytes);
    // They end with their socket: then nothing is written any more, and stopping them is quick.
    drop(writers);
    manager.run(["delete", "all"])?;
    Ok((100.0 * used.as_secs_f64() / took.as_secs_f64(), bytes / 1e6 / took.as_secs_f64()))
}

/// Bytes in all of them.
fn size(logs: &[PathBuf]) -> Result<f64, Failure> {
    let mut sum = 0;
    for log in logs {
        sum += std::fs::metadata(log).map_err(Failure::system("measuring a log"))?.len();
    }
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    let sum = sum as f64;
    Ok(sum)
}
