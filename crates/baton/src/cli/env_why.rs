//! `env --why`: for each variable of an app who gives its value, and what that stands above.
//!
//! The sources are those that a start merges (`baton_pm2::environment::layers`), so what is told is what happens.

use super::failure::Failure;
use super::session::Session;
use baton_config::dotenv;
use baton_core::spec::{AppSpec, Environment, Origin};
use baton_core::world::InstanceView;
use baton_pm2::environment::{self, ChildFacts, Source};
use baton_pm2::mask;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Width of the column before the sources (characters).
const COLUMN: usize = 40;

/// The lines for one slot. Files of variables are read now, as the next start will.
///
/// # Errors
/// When a file of variables can't be read.
pub(crate) fn lines(view: &InstanceView, home: &str, masked: bool, session: &Session) -> Result<Vec<String>, Failure> {
    let Some(spec) = view.spec.as_deref() else { return Ok(Vec::new()) };
    let files = files(spec, session)?;
    let mut all: BTreeMap<String, Vec<(Source, String)>> = BTreeMap::new();
    for (source, env) in environment::layers(spec, &ChildFacts::of(view, home), &files) {
        for (name, value) in env {
            all.entry(name).or_default().push((source.clone(), value));
        }
    }
    let mut lines = Vec::new();
    for (name, given) in all {
        let shown = |value: &str| if masked { mask::value(&name, value).into_owned() } else { value.to_owned() };
        for (depth, (source, value)) in given.iter().rev().enumerate() {
            let value = one_line(&shown(value));
            let what = if depth == 0 { format!("{name}={value}") } else { format!("  over {value}") };
            lines.push(format!("{what:<COLUMN$}  {}", words(source, spec)));
        }
    }
    Ok(lines)
}

/// The files of variables with what they say.
fn files(spec: &AppSpec, session: &Session) -> Result<Vec<(String, Environment)>, Failure> {
    let mut files = Vec::new();
    for name in &spec.env_file {
        let path = Path::new(&spec.cwd).join(name);
        let shown = path.display().to_string();
        match fs::read(&path) {
            Ok(bytes) => files.push((shown, dotenv::parse(&bytes))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                session.warn(&format!("env_file {shown} does not exist"));
            }
            Err(error) => return Err(Failure::system(shown)(error)),
        }
    }
    Ok(files)
}

/// How a source is called.
fn words(source: &Source, spec: &AppSpec) -> String {
    let file = || match spec.source.file.as_str() {
        "" => "the definition".to_owned(),
        file => file.to_owned(),
    };
    match source {
        Source::Shell => "shell".into(),
        Source::ShellFirst => "shell (env_priority: shell)".into(),
        Source::Record => "baton, as PM2 does".into(),
        Source::Baton => "baton".into(),
        Source::File(path) => format!("env_file {path}"),
        Source::Definition(Origin::App) => format!("env in {}", file()),
        Source::Definition(Origin::Helper) => format!("helper in {}", file()),
        Source::Definition(Origin::Unit(unit)) => format!("unit {unit} in {}", file()),
        Source::Definition(Origin::Profile(name)) => format!("profile {name} in {}", file()),
        Source::Definition(Origin::Env(name)) => format!("env_{name} in {}", file()),
        Source::Definition(Origin::Deploy(name)) => format!("deploy.{name}.env in {}", file()),
        Source::Definition(Origin::Setting) => "--set".into(),
    }
}

/// A value on one line.
fn one_line(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}
