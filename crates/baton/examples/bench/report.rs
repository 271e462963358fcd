//! The result as text.

use crate::bench::Bench;
use crate::contender::Contender;
use crate::row::{Row, Samples, Target, Unit};
use serde_json::json;
use std::fmt::Write;

/// A table in Markdown, with what it was measured on.
pub(crate) fn markdown(bench: &Bench, rows: &[Row]) -> String {
    let mut text = format!("{}\n\n", machine(bench));
    text.push_str("| | baton ÷ PM2 | target | met | baton | PM2 | none |\n|---|---|---|---|---|---|---|\n");
    for row in rows {
        let met = match row.met() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        let ratio = row.ratio().map(ratio).unwrap_or_default();
        let target = target(row.target);
        let [baton, other, floor] = [Some(&row.baton), row.other.as_ref(), row.floor.as_ref()]
            .map(|samples| samples.map(|samples| figures(samples, row.unit)).unwrap_or_default());
        let unit = row.unit.sign();
        // Writing to a String can't fail.
        let _ = writeln!(text, "| {}, {unit} | {ratio} | {target} | {met} | {baton} | {other} | {floor} |", row.what);
    }
    text.push_str("\nFigures are medians, with the least and the greatest in parentheses. The last column is the same work without any \
         manager.\n");
    text
}

/// Every sample, as JSON.
pub(crate) fn json(bench: &Bench, rows: &[Row]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "what": row.what, "unit": row.unit, "ratio": row.ratio(), "met": row.met(), "target": row.target,
                "baton": row.baton, "other": row.other, "floor": row.floor,
            })
        })
        .collect();
    json!({ "measured_on": machine(bench), "rounds": bench.runs, "rows": rows }).to_string()
}

/// What it was measured on, in a line.
fn machine(bench: &Bench) -> String {
    let contenders: Vec<String> = bench.contenders.iter().map(named).collect();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = first_after("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into());
    let memory = first_after("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".into());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_ascii_whitespace().take(3).collect();
    let build = if cfg!(debug_assertions) { ", **a debug build: the figures mean nothing**" } else { "" };
    format!(
        "{}; {} rounds; {processors} × {processor}, {memory} of memory, Linux {}; load at the end {}{build}.",
        contenders.join(", "),
        bench.runs,
        kernel.trim(),
        load.join(" "),
    )
}

fn named(contender: &Contender) -> String {
    format!("{} {}", contender.kind.name(), contender.version)
}

fn first_after(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.split_once(':')?.1.trim().to_owned()))
}

fn ratio(ratio: f64) -> String {
    if ratio == 0.0 {
        "0".into()
    } else if ratio < 1.0 {
        format!("1/{}", short(1.0 / ratio))
    } else {
        format!("{} ×", short(ratio))
    }
}

fn target(target: Target) -> String {
    match target {
        Target::Part(part) => format!("≤ 1/{}", short(part)),
        Target::Times(times) => format!("≥ {} ×", short(times)),
        Target::Most(most) => format!("≤ {}", short(most)),
        Target::Zero => "0".into(),
        Target::None => String::new(),
    }
}

fn figures(samples: &Samples, unit: Unit) -> String {
    let all = [samples.median(), samples.least(), samples.greatest()];
    let [Some(median), Some(least), Some(greatest)] = all else { return String::new() };
    let digits = |number: f64| if unit == Unit::WakeUps { format!("{number:.0}") } else { short(number) };
    if least == greatest {
        return digits(median);
    }
    format!("{} ({}–{})", digits(median), digits(least), digits(greatest))
}

/// Three digits that count, where there are so many.
fn short(number: f64) -> String {
    let digits = match number.abs() {
        size if size == 0.0 || size >= 100.0 || number.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.digits$}")
}
