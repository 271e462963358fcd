//! A first process file for a folder, made from what lies in it.
//!
//! * [`Draft::of`] looks around: `procfile`, `node`, `python` and `compose` each know one way in which people say what
//!   runs; nothing is run and nothing is written;
//! * [`Notation`] writes a draft in the format of choice, with comments;
//! * `services` knows the usual databases and how one sees that they answer;
//! * [`scripts`] adds lines to a `package.json` and leaves the rest of it as it is;
//! * [`template`] is what PM2's `init` gives.
//!
//! To look at one more kind of project, add a module with a function that adds to the draft, and call it in [`Draft::of`].

mod compose;
mod node;
mod notation;
mod procfile;
mod python;
pub mod scripts;
mod services;
pub mod template;
#[cfg(test)]
mod tests;

pub use notation::Notation;
pub use services::Service;

use crate::paths;
use baton_core::spec::Environment;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// A folder to look at.
#[derive(Clone, Copy, Debug)]
pub struct Folder<'a> {
    /// Its absolute path.
    pub path: &'a Path,
    /// The caller's environment: its PATH says which tools there are.
    pub environment: &'a Environment,
}

/// What a process file for the folder should say, and where that comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Sentences for the top of the file.
    pub header: Vec<String>,
    /// What is started.
    pub apps: Vec<App>,
    /// What somebody else runs and the apps need.
    pub externals: Vec<External>,
    /// What was found, a line each.
    pub found: Vec<String>,
    /// What was found and left out, with the reason, a line each.
    pub left_out: Vec<String>,
}

/// An app of a draft.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Where it comes from.
    pub comment: String,
    /// Its directory, relative to the folder; empty for the folder itself.
    pub directory: String,
    /// Its keys, `name` first; `cwd` follows from the directory.
    pub keys: Map<String, Value>,
}

/// Something that an app needs and that is not started by it.
#[derive(Clone, Debug, PartialEq)]
pub struct External {
    /// Where it comes from.
    pub comment: String,
    /// Its name.
    pub name: String,
    /// Its keys.
    pub keys: Map<String, Value>,
}

impl Folder<'_> {
    fn has_program(&self, name: &str) -> bool {
        paths::on_path(name, self.environment, self.path).is_some()
    }

    fn has(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }

    fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path.join(name)).ok()
    }

    /// The same for a directory in it.
    fn inside(&self, directory: &str) -> PathBuf {
        self.path.join(directory)
    }
}

impl App {
    fn new(name: &str, comment: impl Into<String>, command: Command) -> App {
        let mut keys = Map::new();
        keys.insert("name".into(), name.into());
        keys.insert("script".into(), command.script.into());
        if !command.args.is_empty() {
            keys.insert("args".into(), json!(command.args));
        }
        if let Some(interpreter) = command.interpreter {
            keys.insert("interpreter".into(), interpreter.into());
        }
        App { comment: comment.into(), directory: String::new(), keys }
    }

    fn name(&self) -> &str {
        self.keys.get("name").and_then(Value::as_str).unwrap_or_default()
    }
}

/// What an app runs.
#[derive(Clone, Debug, Default, PartialEq)]
struct Command {
    script: String,
    args: Vec<String>,
    interpreter: Option<&'static str>,
}

impl Command {
    fn of<'w>(words: impl IntoIterator<Item = &'w str>) -> Command {
        let mut words = words.into_iter().map(str::to_owned);
        Command { script: words.next().unwrap_or_default(), args: words.collect(), interpreter: None }
    }

    /// A line as people write it for a shell: without one where it needs none.
    fn line(line: &str) -> Command {
        let words = crate::words::split(line);
        let plain = !line.contains(['$', '&', '|', ';', '<', '>', '`', '*', '?', '~', '(', ')', '#', '{', '\n']);
        let assigns = words.first().is_some_and(|word| word.contains('='));
        match words.split_first() {
            Some((first, [script, rest @ ..])) if plain && first == "node" && !script.starts_with('-') => Command {
                script: script.clone(),
                args: rest.to_vec(),
                interpreter: is_unusual(script).then_some("node"),
            },
            Some((first, rest)) if plain && !assigns => {
                Command { script: first.clone(), args: rest.to_vec(), interpreter: None }
            }
            // A line with blanks that is no file is one for the shell; a single word is not.
            _ if words.len() > 1 => Command { script: line.trim().into(), ..Command::default() },
            _ => Command { script: "sh".into(), args: vec!["-c".into(), line.trim().into()], interpreter: None },
        }
    }
}

/// Whether a script's name does not say that node runs it.
fn is_unusual(script: &str) -> bool {
    !Path::new(script).extension().is_some_and(|extension| ["js", "cjs", "mjs"].iter().any(|known| extension == *known))
}

impl Draft {
    /// Looks at a folder.
    pub fn of(folder: &Folder<'_>) -> Draft {
        let mut draft = Draft::default();
        // A Procfile is the author's own list: what else could be started is in it, or left out on purpose.
        if !procfile::look(folder, &mut draft) {
            node::look(folder, &mut draft);
            python::look(folder, &mut draft);
        }
        compose::look(folder, &mut draft);
        draft.finish(folder);
        draft
    }

    /// A file of dependencies that holds these services.
    pub fn of_services(folder: &Folder<'_>, services: &[Service]) -> Draft {
        let mut draft = Draft {
            header: vec![
                "What the apps of this directory need and somebody else runs.".into(),
                "A process file beside this one takes it in when that is the one that is started; `--no-deps` skips it.".into(),
                "An app waits for it with depends_on: [\"name\"].".into(),
            ],
            ..Draft::default()
        };
        let published = compose::published(folder);
        draft.externals = services.iter().map(|service| service.external(&published)).collect();
        draft
    }

    /// Gives what all apps have in common, and names that differ.
    fn finish(&mut self, folder: &Folder<'_>) {
        self.header.push(
            "Start with `baton start`, look with `baton ls` and `baton logs`, end with `baton delete all`.".into(),
        );
        let needed: Vec<&str> = self.externals.iter().map(|external| external.name.as_str()).collect();
        let mut names: Vec<String> = Vec::new();
        for app in &mut self.apps {
            let mut name = app.name().to_owned();
            if names.contains(&name) && !app.directory.is_empty() {
                name = app.directory.replace('/', "-");
            }
            let base = name.clone();
            let mut number = 2;
            while names.contains(&name) || needed.contains(&name.as_str()) {
                name = format!("{base}-{number}");
                number += 1;
            }
            app.keys.insert("name".into(), name.clone().into());
            names.push(name);
            if folder.inside(&app.directory).join(".env").is_file() {
                app.keys.insert("env_file".into(), ".env".into());
            }
            if !needed.is_empty() {
                let list = match app.keys.get("depends_on") {
                    Some(Value::Object(map)) => {
                        let mut map = map.clone();
                        map.extend(needed.iter().map(|name| ((*name).to_owned(), Value::from("ready"))));
                        Value::Object(map)
                    }
                    _ => json!(needed),
                };
                app.keys.insert("depends_on".into(), list);
            }
        }
    }
}
