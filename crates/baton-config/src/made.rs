//! What a source says of how it is made and of what is made of it: `generate`, `generate_from` and `emit` beside its apps.

use crate::declare;
use crate::error::ConfigError;
use crate::load::export;
use crate::options::LoadOptions;
use crate::position::Document;
use crate::sources;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Put before a program that can't load what a command makes, on its first line: such modules, and files that it reads
/// itself, are something then that is empty, whatever is done with it.
const WITHOUT_MODULES: &str = "typeof require === 'function' && (require = (real => { const nothing = new Proxy(() => {}, { \
     apply: () => nothing, get: (_, key) => key === 'then' ? undefined : key === 'toJSON' ? () => null \
     : key === Symbol.iterator ? () => [].values() : key === Symbol.toPrimitive ? () => '' : nothing }); \
     const parse = JSON.parse; JSON.parse = (text, ...more) => text === nothing ? nothing : parse(text, ...more); \
     const files = fs => Object.create(fs, { readFileSync: { value: (...given) => { \
     try { return fs.readFileSync(...given); } catch { return nothing; } } } }); \
     return Object.assign(name => { try { const found = real(name); \
     return name === 'fs' || name === 'node:fs' ? files(found) : found; } catch { return nothing; } }, real); })(require)); ";

/// A command that makes what a source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generate {
    /// For the shell.
    pub command: String,
    /// What it reads: files, directories with all that is in them, and patterns.
    pub from: Vec<String>,
    /// Where it runs, and where relative paths in `from` start. Absolute.
    pub directory: PathBuf,
}

/// What is made around the reading of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Before it, in this order.
    pub generate: Vec<Generate>,
    /// After it: files for the resolved apps. Absolute.
    pub emit: Vec<PathBuf>,
}

impl Made {
    /// What a process file says. Paths start from its directory.
    ///
    /// # Errors
    /// [`ConfigError::Declaration`].
    pub(crate) fn of(path: &Path, root: &Value, document: Option<&Document<'_>>) -> Result<Made, ConfigError> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        let texts = |key: &str, help: &str| match declare::level(root, key) {
            None => Ok(None),
            Some((way, value)) => match texts(value) {
                Some(texts) => Ok(Some(texts)),
                None => Err(declare::wrong(path, document, &way, format!("`{key}: {value}` says nothing to do"), help)),
            },
        };
        let command_help = "write a command, such as \"npx shadow-cljs release clobber\"";
        let from_help = "write the files, directories and patterns that the command reads";
        let commands = texts("generate", command_help)?.unwrap_or_default();
        let from = texts("generate_from", from_help)?;
        let emit = texts("emit", "write the name of a file, such as \"ecosystem.compiled.cjs\"")?.unwrap_or_default();
        let missing = |key: &str, what: &str, help: &str| {
            let way = declare::level(root, key).map(|(way, _)| way).unwrap_or_default();
            Err(declare::wrong(path, document, &way, what.into(), help))
        };
        match (commands.is_empty(), &from) {
            (false, None) => return missing("generate", "`generate` without `generate_from`", from_help),
            (true, Some(_)) => return missing("generate_from", "`generate_from` without `generate`", command_help),
            _ => {}
        }
        let from = from.unwrap_or_default();
        let generate =
            commands.into_iter().map(|command| Generate { command, from: from.clone(), directory: directory.into() });
        Ok(Made { generate: generate.collect(), emit: emit.iter().map(|file| directory.join(file)).collect() })
    }

    /// What several files of a source say together.
    pub(crate) fn extend(&mut self, other: Made) {
        self.generate.extend(other.generate);
        self.emit.extend(other.emit);
    }
}

/// What the files of a source say of how they are made when they can't be read as they are: mostly since what a command
/// makes is not there yet, or broken. Files that can't be read without it either say nothing.
pub fn made_without_modules(targets: &[PathBuf], options: &LoadOptions) -> Made {
    let files = sources::files(targets, options).unwrap_or_default();
    let mut texts = BTreeMap::clone(&options.texts);
    for file in &files {
        if let Ok(text) = std::fs::read_to_string(file)
            && is_program(file)
            && !text.starts_with("#!")
        {
            texts.entry(file.clone()).or_insert_with(|| format!("{WITHOUT_MODULES}{text}"));
        }
    }
    let options = LoadOptions { texts: Arc::new(texts), ..options.clone() };
    let mut all = Made::default();
    for file in &files {
        let said = export(file, &options).and_then(|read| Made::of(file, &read.root, None));
        all.extend(said.unwrap_or_default());
    }
    all
}

fn is_program(file: &Path) -> bool {
    file.extension().is_some_and(|extension| ["js", "cjs", "ts", "cts"].iter().any(|known| extension == *known))
}

/// One text or several, none of them empty.
fn texts(value: &Value) -> Option<Vec<String>> {
    let all = match value {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let texts: Option<Vec<String>> = all.iter().map(|one| Some(one.as_str()?.trim().to_owned())).collect();
    texts.filter(|texts| !texts.is_empty() && texts.iter().all(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_source_says_of_its_making_is_known_before_that_is_there() {
        let root = tempfile::tempdir().expect("a directory");
        let file = root.path().join("ecosystem.config.cjs");
        for apps in [
            "require('./made').apps.map(app => ({ ...app }))",
            "[...require('./made.json').apps]",
            "JSON.parse(require('fs').readFileSync(__dirname + '/made.json', 'utf8')).apps",
            "[{ script: 'a.js', env: { L: require('node:fs').readFileSync('made').toString().trim() } }]",
        ] {
            let source = format!(
                "module.exports = {{ generate: 'make', generate_from: 'src', emit: 'out.json', apps: {apps} }}"
            );
            std::fs::write(&file, source).expect("a file");
            let options = LoadOptions { caller_cwd: root.path().into(), ..LoadOptions::default() };
            let made = made_without_modules(std::slice::from_ref(&file), &options);
            assert_eq!(made.generate.iter().map(|one| &*one.command).collect::<Vec<_>>(), ["make"], "{apps}");
            assert_eq!(made.emit, [root.path().join("out.json")]);
        }
    }
}
