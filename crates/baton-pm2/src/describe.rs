//! One process in full, as `describe` prints it: PM2's rows in PM2's order, then ours.

use crate::environment;
use crate::mask;
use crate::record::{Host, exec_mode};
use crate::style::{Colour, Style, width};
use crate::table::{Grid, bytes, duration, online_uptime, share, status_style, unit_style, unit_word};
use baton_core::spec::{AppSpec, Dependency, Environment};
use baton_core::units::{Bytes, WallTime};
use baton_core::world::{Cause, InstanceView, JobView, Telling, UnitView, Well, Wellness};
use serde_json::Value;

/// How to describe.
#[derive(Clone, Copy)]
pub struct DescribeOptions<'a> {
    /// With or without colours.
    pub colour: Colour,
    /// What only the file system knows.
    pub host: Host<'a>,
    /// The environment to compare the app's with.
    pub local: Option<&'a Environment>,
    /// How the program was called: `pm2` or `baton`.
    pub program: &'a str,
}

/// A key, its value and how that is painted.
type Row = (&'static str, String, Option<Style>);

/// The whole text, with a newline at its end. The view must be whole.
pub fn render(view: &InstanceView, options: &DescribeOptions<'_>) -> String {
    let title = format!(" Describing process with id {} - name {} ", view.id, view.name);
    let mut text = options.colour.paint(Style::BoldInverse, &title);
    text.push('\n');
    let default = AppSpec::default();
    let spec = view.spec.as_deref().unwrap_or(&default);
    let mut rows = pm2_rows(view, spec, options);
    rows.extend(our_rows(view, spec));
    text.push_str(&two_columns(options.colour, rows));
    if let Some(telling) = view.told.as_deref() {
        text.push_str(&told(telling, &view.name, options));
    }
    if let Some(rows) = options.local.map(|local| divergent(spec, local)) {
        // PM2 prints its heading over nothing, too.
        if !rows.is_empty() || options.program == "pm2" {
            text.push_str(&heading(options.colour, " Divergent env variables from local env "));
        }
        if !rows.is_empty() {
            let shown = rows.iter().map(|(key, value)| (key.as_str(), mask::value(key, value).into_owned(), None));
            text.push_str(&two_columns(options.colour, shown));
        }
    }
    let (program, name, id) = (options.program, &view.name, view.id);
    text.push_str(&format!("\n Use `{program} logs {name} [--lines 1000]` to display logs\n"));
    text.push_str(&format!(" Use `{program} env {id}` to display environment variables\n"));
    // Only PM2's users look for this line, and only they know that command.
    if program == "pm2" {
        text.push_str(&format!(" Use `{program} monit` to monitor CPU and Memory usage {name}\n"));
    }
    text
}

/// The actions and metrics that the program tells of.
fn told(telling: &Telling, name: &str, options: &DescribeOptions<'_>) -> String {
    let mut text = String::new();
    if !telling.actions.is_empty() {
        text.push_str(&heading(options.colour, " Actions available "));
        let names: Vec<&str> = telling.actions.iter().filter_map(|action| action["action_name"].as_str()).collect();
        let widths = [names.iter().map(|name| width(name)).max().unwrap_or(0) + 2];
        let mut grid = Grid::new(options.colour, &widths);
        for name in names {
            grid.row(std::iter::once((name.to_owned(), None)));
        }
        text.push_str(&grid.finish());
        text.push_str(&format!(" Trigger via: {} trigger {name} <action_name>\n\n", options.program));
    }
    if !telling.metrics.is_empty() {
        text.push_str(&heading(options.colour, " Code metrics value "));
        let rows = telling.metrics.iter().map(|(name, metric)| (name.as_str(), metric_text(metric), None));
        text.push_str(&two_columns(options.colour, rows));
    }
    text
}

/// A metric's value with its unit.
fn metric_text(metric: &Value) -> String {
    let value = plain(metric.get("value").unwrap_or(metric));
    match metric.get("unit").map(plain) {
        Some(unit) if !unit.is_empty() => format!("{value} {unit}"),
        Some(_) | None => value,
    }
}

/// What is said of a unit before its slots, with a newline at its end.
pub fn unit(unit: &UnitView, colour: Colour) -> String {
    let mut text = heading(colour, &format!(" Describing unit {} ", unit.name));
    let rows: [Row; 6] = [
        ("status", unit_word(unit).into(), Some(unit_style(unit))),
        ("online", format!("{}/{}", unit.online, unit.total), None),
        ("restarts", unit.restarts.to_string(), None),
        ("cpu", share(unit.cpu), None),
        ("memory", bytes(unit.memory.unwrap_or(Bytes(0))), None),
        ("apps", unit.apps.join(", "), None),
    ];
    text.push_str(&two_columns(colour, rows));
    text
}

fn heading(colour: Colour, title: &str) -> String {
    format!("{}\n", colour.paint(Style::BoldInverse, title))
}

fn pm2_rows(view: &InstanceView, spec: &AppSpec, options: &DescribeOptions<'_>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut put = |key, value: String| rows.push((key, value, None));
    let path = |path: &Option<String>| path.clone().unwrap_or_else(|| "/dev/null".into());
    put("name", view.name.clone());
    put("namespace", view.namespace.clone());
    put("version", or_na((options.host.version)(&view.script)));
    put("restarts", view.restarts.to_string());
    if let Some(limit) = spec.max_memory_restart {
        put("max memory restart", limit.to_string());
    }
    if let Some(pattern) = &spec.cron_restart {
        put("cron restart", pattern.clone());
    }
    put("uptime", online_uptime(view));
    if let Some(combined) = &view.files.combined {
        put("entire log path", combined.clone());
    }
    put("script path", view.script.clone());
    put("script args", or_na(joined(&spec.args)));
    put("error log path", path(&view.files.error));
    put("out log path", path(&view.files.out));
    put("pid path", view.files.pid.clone());
    put("interpreter", spec.interpreter.clone());
    put("interpreter args", or_na(joined(&spec.node_args)));
    put("script id", view.id.to_string());
    put("exec cwd", spec.cwd.clone());
    put("exec mode", exec_mode(view.mode).into());
    put("node.js version", or_na(view.told.as_deref().and_then(|telling| telling.node_version.clone())));
    put("node env", or_na(environment::value(spec, "NODE_ENV").cloned()));
    put("watch & reload", if view.watching { "✔" } else { "✘" }.into());
    put("unstable restarts", view.unstable.to_string());
    put("created at", iso(view.created_at));
    // PM2 has no word for a job between two runs.
    let style = if view.is_idle() { Style::BoldGreen } else { status_style(view.status) };
    let status = if options.program == "pm2" { view.status.as_str() } else { view.word() };
    rows.insert(0, ("status", status.into(), Some(style)));
    rows
}

/// What PM2 does not tell: why the app is in its state, how it last ended, and what of its definition waits.
fn our_rows(view: &InstanceView, spec: &AppSpec) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    // That the program runs is no cause: what led to its start is.
    let telling = |cause: &Cause| !matches!(cause, Cause::Spawned | Cause::Stable) && !cause.is_of_a_hook();
    let last = view.transitions.iter().rev().chain(&view.last).find(|transition| telling(&transition.cause));
    if let Some(last) = last {
        rows.push(("last cause", format!("{}: {}", last.to, last.cause), None));
    }
    if let Some(job) = &view.job {
        rows.extend(job_rows(job));
    }
    if let Some(health) = &view.health {
        rows.push(health_row(health));
    }
    if let Some(hook) = &view.hook {
        rows.push(("hook", format!("{} at {}", hook.cause, iso(hook.at)), Some(Style::Yellow)));
    }
    match (view.deaths.last(), view.last_exit) {
        (Some(death), _) => {
            let text = format!("{} after {} at {}", death.exit, duration(death.uptime), iso(death.at));
            rows.push(("last exit", text, None));
        }
        (None, Some(exit)) => rows.push(("last exit", exit.to_string(), None)),
        (None, None) => {}
    }
    if !spec.listen.is_empty() {
        let sockets: Vec<String> =
            spec.listen.iter().map(|socket| format!("{} ({})", socket.at, socket.name)).collect();
        rows.push(("listens on", sockets.join(", "), None));
    }
    if let Some(pause) = view.starts_in {
        rows.push(("next start", format!("in {} ms", pause.0), None));
    }
    let listed = |all: &[Dependency]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if !spec.depends_on.is_empty() {
        rows.push(("depends on", listed(&spec.depends_on), None));
    }
    if !view.waits_for.is_empty() {
        rows.push(("waits for", listed(&view.waits_for), Some(Style::Yellow)));
    }
    if spec.oneshot {
        rows.push(("oneshot", "true".into(), None));
    }
    if view.dropped > 0 {
        rows.push(("output dropped", format!("{} bytes", view.dropped), Some(Style::Yellow)));
    }
    if !spec.env_file.is_empty() {
        rows.push(("env file", spec.env_file.join(", "), None));
    }
    if !spec.source.file.is_empty() {
        rows.push(("process file", spec.source.file.clone(), None));
    }
    if let Some(owner) = &view.owner {
        rows.push(("source", owner.clone(), None));
    }
    if view.orphan {
        rows.push(("orphan", "its source does not have it any more".into(), Some(Style::Yellow)));
    }
    if !view.drift.is_empty() {
        let drift: Vec<String> = view.drift.iter().map(ToString::to_string).collect();
        rows.push(("drift", drift.join("; "), Some(Style::Yellow)));
    }
    let later: Vec<String> = spec.declared.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    if !later.is_empty() {
        rows.push(("not acted on yet", later.join(", "), Some(Style::Yellow)));
    }
    rows
}

fn job_rows(job: &JobView) -> Vec<Row> {
    let mut rows: Vec<Row> = vec![("schedule", job.schedule.pattern(), None)];
    let next = match (job.next, job.armed) {
        (_, false) => "none: it is stopped".into(),
        (Some(next), true) => iso(next),
        (None, true) => "none".into(),
    };
    rows.push(("next run", next, None));
    if let Some(run) = &job.last {
        let (outcome, style) = (run.outcome(), job.has_failed().then_some(Style::Yellow));
        let why = run.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        let at = run.began.map(|at| format!(", began at {}", iso(at))).unwrap_or_default();
        rows.push(("last run", format!("{}{why}{at}", outcome.as_str()), style));
    }
    rows
}

fn health_row(health: &Wellness) -> Row {
    let found = health.found.as_ref().map(|found| format!(": {found}")).unwrap_or_default();
    match (health.state, health.failures) {
        (Well::Starting, _) => ("health", format!("no probe has passed yet{found}"), Some(Style::Yellow)),
        (Well::Healthy, 0) => ("health", "healthy".into(), Some(Style::BoldGreen)),
        (Well::Healthy, 1) => ("health", format!("the last probe failed{found}"), Some(Style::Yellow)),
        (state, failures) => {
            let word = if state == Well::Degraded { "degraded, " } else { "" };
            ("health", format!("{word}the last {failures} probes failed{found}"), Some(Style::Yellow))
        }
    }
}

/// Variables that have another value here than in the app, as the app has them.
fn divergent(spec: &AppSpec, local: &Environment) -> Vec<(String, String)> {
    let differs = |key: &String, here: &String| environment::value(spec, key).filter(|ours| *ours != here).cloned();
    local.iter().filter_map(|(key, here)| Some((key.clone(), differs(key, here)?))).collect()
}

/// A box of keys and values, as wide as they are.
fn two_columns<'a>(colour: Colour, rows: impl IntoIterator<Item = (&'a str, String, Option<Style>)>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0) + 2;
    let keys = widest(&mut rows.iter().map(|(key, _, _)| width(key)));
    let values = widest(&mut rows.iter().map(|(_, value, _)| width(value)));
    let widths = [keys, values];
    let mut grid = Grid::new(colour, &widths);
    for (key, value, style) in rows {
        grid.row([(key.to_owned(), None), (value, style)].into_iter());
    }
    grid.finish()
}

fn or_na(value: Option<String>) -> String {
    value.unwrap_or_else(|| "N/A".into())
}

fn joined(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(" "))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A moment as `2026-11-21T04:31:31.280Z`.
pub fn iso(at: WallTime) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| at.0.to_string(), |moment| moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}
