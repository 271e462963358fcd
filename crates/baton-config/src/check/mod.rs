//! What can be known about the apps of a process file before they are started: is what they need there?
//!
//! * [`apps`] looks at everything and reports everything; nothing is started, written or asked of the daemon;
//! * `ports`: whether a port is free, and who has it;
//! * `wrapper`: whether the sockets of an app reach its program;
//! * `program`: whether what an app runs is there, which `sync` asks before it ends what runs;
//! * `paths`: whether files may be written, and which of them git tracks.
//!
//! To add a check, add a function to the list in [`apps`].

mod paths;
mod ports;
mod program;
mod wrapper;

pub use ports::holder as port_holder;
pub use program::{Unrunnable, unrunnable};

use crate::duplicates::file_of;
use crate::error::ConfigError;
use crate::{dotenv, glob};
use baton_core::spec::{AppSpec, Environment};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is there.
    Passed,
    /// Worth a look; starting will work.
    Doubtful,
    /// Starting will not work.
    Failed,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the app, or `external` and the name of what others run.
    pub app: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found, in a few words.
    pub text: String,
    /// The command of `on_missing` or the `hint` of what others run, where it may help.
    pub remedy: Option<String>,
    /// Whether what is missing is the script itself.
    pub missing_script: bool,
}

/// What the checks need to know beside the apps.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// Whether doubts count as failures.
    pub strict: bool,
    /// Where log files are by default.
    pub logs: PathBuf,
    /// `on_missing` of the file, for apps that have none themselves.
    pub on_missing: Option<&'a str>,
    /// Names of apps that run now: their ports are taken by themselves.
    pub running: &'a [String],
    /// Names of the apps and units in the list, on which apps may depend; `None`: nobody asked.
    pub listed: Option<&'a [String]>,
}

/// One app under the checks.
struct Case<'a> {
    app: &'a AppSpec,
    options: &'a Options<'a>,
    findings: Vec<Finding>,
}

/// Checks all apps; in the order of the apps, each check of each.
pub fn apps(apps: &[AppSpec], options: &Options<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for app in apps {
        let mut case = Case { app, options, findings: Vec::new() };
        case.script();
        case.interpreter();
        case.directory();
        case.artifacts();
        case.variables();
        case.env_files();
        case.dependencies(apps);
        case.written_files();
        case.ports(apps);
        case.sockets();
        findings.extend(case.findings);
    }
    findings
}

impl Case<'_> {
    fn tell(&mut self, verdict: Verdict, text: String) -> &mut Finding {
        let verdict = if verdict == Verdict::Doubtful && self.options.strict { Verdict::Failed } else { verdict };
        let finding = Finding { app: self.app.name.clone(), verdict, text, remedy: None, missing_script: false };
        self.findings.push(finding);
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    fn check(&mut self, good: bool, passed: impl Into<String>, failed: impl Into<String>) {
        if good {
            self.tell(Verdict::Passed, passed.into());
        } else {
            self.tell(Verdict::Failed, failed.into());
        }
    }

    /// The command that the file gives for a missing script.
    fn remedy(&self) -> Option<String> {
        let own = self.app.declared.get("on_missing").and_then(Value::as_str);
        own.or(self.options.on_missing).map(str::to_owned)
    }

    fn environment(&self) -> &Environment {
        &self.app.base_env
    }

    fn script(&mut self) {
        let script = &self.app.script;
        let path = Path::new(script);
        let found = if script.contains('/') {
            path.exists()
        } else {
            crate::paths::on_path(script, self.environment(), Path::new(&self.app.cwd)).is_some()
        };
        if !found {
            let (remedy, is_path) = (self.remedy(), script.contains('/'));
            let text = if is_path {
                format!("script {script} is missing")
            } else {
                format!("program {script} is not on PATH")
            };
            let finding = self.tell(Verdict::Failed, text);
            finding.missing_script = is_path;
            finding.remedy = if is_path { remedy } else { None };
            return;
        }
        let runs_itself = self.app.interpreter == "none" && script.contains('/');
        let good = !runs_itself || crate::paths::is_executable(path);
        self.check(
            good,
            format!("script {script}"),
            format!("script {script} is not executable, and has no interpreter"),
        );
    }

    fn interpreter(&mut self) {
        let interpreter = &self.app.interpreter;
        if interpreter == "none" {
            return;
        }
        let found = if interpreter.contains('/') {
            crate::paths::is_executable(Path::new(interpreter))
        } else {
            crate::paths::on_path(interpreter, self.environment(), Path::new(&self.app.cwd)).is_some()
        };
        self.check(found, format!("interpreter {interpreter}"), format!("interpreter {interpreter} is not found"));
    }

    fn directory(&mut self) {
        let cwd = &self.app.cwd;
        self.check(Path::new(cwd).is_dir(), format!("cwd {cwd}"), format!("cwd {cwd} is no directory"));
    }

    /// Whether the script was built after what it is built from (`artifacts: { inputs: [patterns] }`).
    fn artifacts(&mut self) {
        let Some(declared) = self.app.declared.get("artifacts") else { return };
        let inputs = match declared.get("inputs") {
            Some(Value::Array(list)) => list.iter().map(Value::as_str).collect(),
            Some(Value::String(one)) => Some(vec![one.as_str()]),
            _ => None,
        };
        let Some(patterns) = inputs else {
            self.tell(
                Verdict::Failed,
                "`artifacts` has no `inputs`, a list of patterns such as [\"src/**/*.ts\"]".into(),
            );
            return;
        };
        let changed = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
        let Some(built) = changed(Path::new(&self.app.script)) else { return };
        let mut newest: Option<(SystemTime, PathBuf)> = None;
        for pattern in &patterns {
            let files = glob::files(pattern, Path::new(&self.app.cwd), |_| {});
            if files.is_empty() {
                self.tell(Verdict::Doubtful, format!("artifacts: {pattern} matches no file in {}", self.app.cwd));
            }
            newest = files.into_iter().filter_map(|file| Some((changed(&file)?, file))).chain(newest).max();
        }
        match newest {
            Some((moment, file)) if moment > built => {
                let remedy = self.remedy();
                let text = format!("{} is newer than {}", file.display(), self.app.script);
                self.tell(Verdict::Doubtful, text).remedy = remedy;
            }
            Some(_) => {
                self.tell(Verdict::Passed, "the script is newer than what it is built from".into());
            }
            None => {}
        }
    }

    /// Whether the variables of `required_env` have a value.
    fn variables(&mut self) {
        for name in required(self.app) {
            let good = has_variable(self.app, &name);
            self.check(good, format!("variable {name}"), format!("variable {name} is required and not set"));
        }
    }

    /// Whether what the app depends on is in the file or in the list; conditions were looked at when the file was read.
    fn dependencies(&mut self, apps: &[AppSpec]) {
        let Some(listed) = self.options.listed else { return };
        let app = self.app;
        for dependency in app.depends_on.iter().filter(|dependency| dependency.external.is_none()) {
            let on = &dependency.on;
            let known = listed.contains(on) || apps.iter().any(|other| other.name == *on || other.namespace == *on);
            let failed = format!("depends_on {on}: there is no app or unit of that name, in the file or in the list");
            self.check(known, format!("depends_on {on}"), failed);
        }
    }

    fn env_files(&mut self) {
        for file in &self.app.env_file {
            self.check(Path::new(file).is_file(), format!("env_file {file}"), format!("env_file {file} is missing"));
        }
    }

    /// Whether log and pid files can be written, and whether one of them is in git.
    fn written_files(&mut self) {
        let app = self.app;
        let given = [&app.out_file, &app.error_file, &app.log_file, &app.pid_file];
        let files: Vec<PathBuf> =
            given.into_iter().flatten().map(PathBuf::from).filter(|file| file != Path::new("/dev/null")).collect();
        let by_default = (!app.disable_logs && (app.out_file.is_none() || app.error_file.is_none()))
            .then(|| self.options.logs.clone());
        let directories: BTreeSet<PathBuf> =
            files.iter().filter_map(|file| file.parent()).map(Path::to_owned).chain(by_default).collect();
        for directory in directories {
            match paths::directory_trouble(&directory) {
                None => self.tell(Verdict::Passed, format!("log directory {}", directory.display())),
                Some(trouble) => {
                    self.tell(Verdict::Failed, format!("log directory {}: {trouble}", directory.display()))
                }
            };
        }
        for file in files.iter().filter(|file| file.exists() && !paths::is_writable(file)) {
            self.tell(Verdict::Failed, format!("{} cannot be written", file.display()));
        }
        for file in paths::tracked(&files) {
            self.tell(Verdict::Doubtful, format!("{} is written by the app and tracked by git", file.display()));
        }
    }

    fn ports(&mut self, apps: &[AppSpec]) {
        for port in ports::of(self.app) {
            let same = |other: &&AppSpec| other.name != self.app.name && ports::of(other).contains(&port);
            if let Some(other) = apps.iter().find(same) {
                let text = format!("port {port} is also that of app {}", other.name);
                self.tell(Verdict::Doubtful, text);
            }
            if self.options.running.contains(&self.app.name) {
                self.tell(Verdict::Passed, format!("port {port}: the app runs already"));
                continue;
            }
            match ports::trouble(port) {
                None => self.tell(Verdict::Passed, format!("port {port} is free")),
                Some(trouble) => self.tell(Verdict::Failed, format!("port {port} {trouble}")),
            };
        }
    }

    /// Whether the sockets of `listen` reach the program, and whether a reload can tell a good version.
    fn sockets(&mut self) {
        let app = self.app;
        if app.listen.is_empty() {
            return;
        }
        match wrapper::trouble(app) {
            Some(trouble) => self.tell(Verdict::Doubtful, format!("listen: {trouble}")),
            None => self.tell(Verdict::Passed, "listen: the sockets reach the program".into()),
        };
        if app.ready.is_none() && !app.wait_ready {
            let text = "listen: without `ready` a reload takes a new version that is up for min_uptime for a good one";
            self.tell(Verdict::Doubtful, text.into());
        }
    }
}

/// The variables without which an app must not start.
fn required(app: &AppSpec) -> Vec<String> {
    match app.declared.get("required_env") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Refuses apps without the variables that they require: starting those is what `required_env` is to prevent.
///
/// # Errors
/// [`ConfigError::MissingVariables`] for the first such app.
pub fn refuse_missing_variables(apps: &[AppSpec]) -> Result<(), ConfigError> {
    for app in apps {
        let missing: Vec<String> = required(app).into_iter().filter(|name| !has_variable(app, name)).collect();
        if !missing.is_empty() {
            let (place, app) = (file_of(app), app.name.clone());
            return Err(ConfigError::MissingVariables { place, app, names: missing.join(", ") });
        }
    }
    Ok(())
}

fn has_variable(app: &AppSpec, name: &str) -> bool {
    let is_set = |variables: &Environment| variables.get(name).is_some_and(|value| !value.is_empty());
    let in_file = |file: &String| std::fs::read(file).is_ok_and(|content| is_set(&dotenv::parse(&content)));
    let filtered = app.filter_env.iter().any(|part| name.contains(part.as_str()));
    is_set(&app.env) || app.env_file.iter().any(in_file) || (!filtered && is_set(&app.base_env))
}
