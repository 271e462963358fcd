//! `slist`: figures of this machine, in PM2's names. They are of this moment; what needs two looks (processor share,
//! traffic) is left out, because nothing here looks at the machine all the time.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use baton_pm2::inspect;
use clap::Parser;
use rustix::fs::statvfs;
use serde_json::{Map, Value, json};
use std::fs::read_to_string;

/// Show figures of this machine.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// As a tree.
    #[arg(short, long)]
    tree: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. It is data, so it is written under `--silent` too.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let figures = figures()?;
    let text = if args.tree { tree(&figures) } else { inspect::render(&Value::Object(figures)) };
    session.data(format!("{}\n", text.trim_end()).as_bytes());
    Ok(())
}

fn figures() -> Result<Map<String, Value>, Failure> {
    let read = |path: &str| read_to_string(path).map_err(Failure::system(path));
    let mut figures = Map::new();
    let mut put = |name: &str, value: f64, unit: &str| {
        figures
            .insert(name.into(), json!({ "value": number(value), "type": "metric", "unit": unit, "historic": false }));
    };
    let load = read("/proc/loadavg")?;
    for (minutes, average) in ["1", "5", "15"].iter().zip(load.split_whitespace()) {
        put(&format!("Load Average {minutes}m"), average.parse().unwrap_or(0.0), "");
    }
    let memory = read("/proc/meminfo")?;
    let (total, available) = (kibibytes(&memory, "MemTotal:"), kibibytes(&memory, "MemAvailable:"));
    let used = (total - available).max(0.0);
    put("RAM Usage", if total > 0.0 { used / total * 100.0 } else { 0.0 }, "%");
    put("RAM Total", total * 1024.0, "b");
    put("RAM Available", available * 1024.0, "b");
    put("RAM Active", used * 1024.0, "b");
    let disk = statvfs("/").map_err(|error| Failure::system("/")(error.into()))?;
    let bytes = |blocks: u64| blocks as f64 * disk.f_frsize as f64;
    let (size, free) = (bytes(disk.f_blocks), bytes(disk.f_bfree));
    put("fs:use:/", if size > 0.0 { (size - free) / size * 100.0 } else { 0.0 }, "%");
    put("fs:size:/", size / f64::from(1 << 30), "gb");
    Ok(figures)
}

/// A figure of `/proc/meminfo` in KiB; 0 when the kernel does not tell it.
fn kibibytes(memory: &str, name: &str) -> f64 {
    let line = memory.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

/// A number with at most two digits behind the point, and none where it is whole.
fn number(value: f64) -> Value {
    let rounded = (value * 100.0).round() / 100.0;
    if rounded.fract() == 0.0 { json!(rounded as i64) } else { json!(rounded) }
}

/// Two levels as a tree of lines.
fn tree(figures: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (position, (name, members)) in figures.iter().enumerate() {
        let last = position + 1 == figures.len();
        text.push_str(&format!("{} {name}\n", if last { "└─" } else { "├─" }));
        let members: Vec<(&String, &Value)> = members.as_object().into_iter().flatten().collect();
        for (position, (key, value)) in members.iter().enumerate() {
            let bar = if last { " " } else { "│" };
            let branch = if position + 1 == members.len() { "└─" } else { "├─" };
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("{bar}  {branch} {key}: {value}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_pm2s_names_and_are_plausible() {
        let figures = figures().unwrap();
        assert!(figures["RAM Total"]["value"].as_i64().unwrap() > 1 << 20);
        let share = figures["fs:use:/"]["value"].as_f64().unwrap();
        assert!((0.0..=100.0).contains(&share), "{share}");
    }

    #[test]
    fn a_tree_has_its_branches() {
        let figures = json!({"a": {"value": 1, "unit": "%"}, "b": {"value": 2}});
        let text = tree(figures.as_object().unwrap());
        assert_eq!(text, "├─ a\n│  ├─ value: 1\n│  └─ unit: %\n└─ b\n   └─ value: 2\n");
    }
}
