//! What `os` and `process` report about the machine.

use std::collections::BTreeMap;

use rquickjs::{Ctx, Function, Object, Result};

use super::interfaces;

/// Node's name for the processor architecture.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        "x86" => "ia32",
        other => other,
    }
}

/// Resident memory of this process, in bytes; 0 where /proc has no answer.
pub(super) fn resident_bytes() -> f64 {
    kilobytes("/proc/self/status", "VmRSS")
}

pub(super) fn define<'js>(ctx: &Ctx<'js>, group: &Object<'js>) -> Result<()> {
    let system = rustix::system::uname();
    let text = |field: &std::ffi::CStr| field.to_string_lossy().into_owned();
    group.set("hostname", text(system.nodename()))?;
    group.set("release", text(system.release()))?;
    group.set("version", text(system.version()))?;
    group.set("type", text(system.sysname()))?;
    group.set("machine", text(system.machine()))?;
    group.set("arch", architecture())?;
    group.set(
        "availableParallelism",
        Function::new(ctx.clone(), || std::thread::available_parallelism().map_or(1, |count| count.get() as u32)),
    )?;
    group.set("memory", Function::new(ctx.clone(), |name: String| kilobytes("/proc/meminfo", &name)))?;
    group
        .set("uptime", Function::new(ctx.clone(), || first_numbers("/proc/uptime").first().copied().unwrap_or(0.0)))?;
    group.set(
        "loadavg",
        Function::new(ctx.clone(), || {
            let mut numbers = first_numbers("/proc/loadavg");
            numbers.resize(3, 0.0);
            numbers
        }),
    )?;
    group.set(
        "cpus",
        Function::new(ctx.clone(), |ctx: Ctx<'js>| -> Result<Vec<Object<'js>>> {
            cpus()
                .into_iter()
                .map(|(model, speed)| {
                    let cpu = Object::new(ctx.clone())?;
                    cpu.set("model", model)?;
                    cpu.set("speed", speed)?;
                    Ok(cpu)
                })
                .collect()
        }),
    )?;
    group.set("account", Function::new(ctx.clone(), |uid: u32| account(uid)))?;
    group.set("addresses", Function::new(ctx.clone(), interfaces::addresses))?;
    // Where the link of the time zone leads: null without one, an empty text where it is a file.
    let localtime = || match std::fs::read_link("/etc/localtime") {
        Ok(target) => Some(target.to_string_lossy().into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(_) => Some(String::new()),
    };
    group.set("localtime", Function::new(ctx.clone(), localtime))?;
    Ok(())
}

/// A figure that a file of /proc gives in kB, in bytes; 0 where there is none.
fn kilobytes(file: &str, name: &str) -> f64 {
    let Ok(text) = std::fs::read_to_string(file) else { return 0.0 };
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    number.unwrap_or(0.0) * 1024.0
}

fn first_numbers(file: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map_while(|word| word.parse().ok()).take(3).collect()
}

/// Model and MHz of each processor that is online.
fn cpus() -> Vec<(String, u32)> {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut found: BTreeMap<u32, (String, u32)> = BTreeMap::new();
    let mut current = 0;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.trim() {
            "processor" => {
                if let Ok(number) = value.parse() {
                    current = number;
                    found.insert(number, ("unknown".to_owned(), 0));
                }
            }
            "model name" => {
                if let Some(cpu) = found.get_mut(&current) {
                    cpu.0 = value.to_owned();
                }
            }
            "cpu MHz" => {
                if let Some(cpu) = found.get_mut(&current) {
                    cpu.1 = value.parse::<f64>().unwrap_or(0.0) as u32;
                }
            }
            _ => {}
        }
    }
    if found.is_empty() {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        return vec![("unknown".to_owned(), 0); count];
    }
    found.into_values().collect()
}

/// Name, home and shell of an account, from /etc/passwd.
fn account(uid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, number, _, _, home, shell] = fields.as_slice() else { return None };
        (number.parse() == Ok(uid)).then(|| vec![(*name).to_owned(), (*home).to_owned(), (*shell).to_owned()])
    })
}
