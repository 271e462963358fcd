//! What is made around a pass: the source, by a command of the user's, and a compiled file for others.

use super::source::{Reading, SourceOptions};
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::cli::session::Session;
use baton_config::target::{is_pattern, resolve};
use baton_os::files::write_atomic;
use baton_os::probe;
use clap::Args;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Folders below what a command reads that hold nothing of its own.
const LEFT_ASIDE: &[&str] = &["node_modules", "target"];

/// What is made before a source is read, and after it was applied.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct MakeOptions {
    /// Run this command before the source is read, when something that it reads has changed since it last ran.
    #[arg(long, value_name = "COMMAND", requires = "generate_from", conflicts_with = "dry_run")]
    generate: Option<String>,
    /// What that command reads: files, directories with all that is in them, and patterns.
    #[arg(long, value_name = "PATH", requires = "generate")]
    generate_from: Vec<String>,
    /// Write the resolved apps to this file after each pass, as `render` does.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    emit: Option<PathBuf>,
}

/// What a command reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// Files, sorted.
    pub(super) files: Vec<PathBuf>,
    /// Directories that were listed for them.
    pub(super) directories: Vec<PathBuf>,
}

impl MakeOptions {
    /// The options as words of a command line.
    pub(super) fn words(&self) -> Vec<String> {
        let generate = self.generate.iter().map(|command| format!("--generate={command}"));
        let from = self.generate_from.iter().map(|path| format!("--generate-from={path}"));
        let emit = self.emit.iter().map(|path| format!("--emit={}", path.display()));
        generate.chain(from).chain(emit).collect()
    }

    /// What the command reads now.
    ///
    /// # Errors
    /// When the directory of the caller is gone.
    pub(super) fn sources(&self, session: &Session) -> Result<Sources, Failure> {
        let base = session.directory()?;
        let mut sources = Sources::default();
        for text in &self.generate_from {
            if is_pattern(text) {
                let listed = |directory: &Path| sources.directories.push(directory.to_owned());
                sources.files.extend(baton_config::files_matching(text, &base, listed));
            } else {
                gather(&resolve(&base, text), &mut sources);
            }
        }
        sources.files.sort();
        sources.files.dedup();
        Ok(sources)
    }

    /// Runs the command when what it reads has changed since it last ran for this source.
    ///
    /// # Errors
    /// When it fails.
    pub(super) fn generate(&self, source: &SourceOptions, session: &Session) -> Result<(), Failure> {
        let Some(command) = &self.generate else { return Ok(()) };
        let now = fingerprint(command, &self.sources(session)?);
        let folder = session.home.generated();
        let noted = folder.join(hex(source.name(session)?.as_bytes()));
        if fs::read_to_string(&noted).is_ok_and(|before| before == now) {
            return Ok(());
        }
        session.say(&format!("running `{command}`"));
        let status = probe::run(command, &session.directory()?, &session.environment());
        let status = status.map_err(Failure::system(format!("`{command}`")))?;
        if !status.success() {
            return Err(Failure::Usage(format!("`{command}` ended with {status}: nothing was changed")));
        }
        let failed = || Failure::system(noted.display().to_string());
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed())?;
        write_atomic(&noted, now.as_bytes(), 0o600).map_err(failed())
    }

    /// Writes the compiled file, when it is wanted and does not say so already.
    ///
    /// # Errors
    /// When there is a file that was not written so, or it can't be written.
    pub(super) fn emit(&self, reading: &Reading, session: &Session) -> Result<(), Failure> {
        let Some(output) = &self.emit else { return Ok(()) };
        let output = resolve(&session.directory()?, output);
        let apps: Vec<_> = reading.desired.apps.iter().map(|wish| wish.spec.clone()).collect();
        if render::emit(&output, &apps, &reading.desired.source, &reading.loaded.inputs)? {
            session.say(&format!("{} written: {} apps", output.display(), apps.len()));
        }
        Ok(())
    }
}

/// A file, or all files below a directory.
fn gather(path: &Path, sources: &mut Sources) {
    let Ok(entries) = fs::read_dir(path) else {
        sources.files.push(path.to_owned());
        return;
    };
    sources.directories.push(path.to_owned());
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && !name.ends_with('~') && !LEFT_ASIDE.contains(&&*name) {
            gather(&entry.path(), sources);
        }
    }
}

/// Fingerprint of a command and everything that it reads.
fn fingerprint(command: &str, sources: &Sources) -> String {
    let mut all = Sha256::new();
    all.update(hex(command.as_bytes()));
    for file in &sources.files {
        all.update(hex(file.as_os_str().as_encoded_bytes()));
        all.update(fs::read(file).map_or_else(|_| "missing".into(), |content| hex(&content)));
    }
    text(&all.finalize())
}

fn hex(bytes: &[u8]) -> String {
    text(&Sha256::digest(bytes))
}

fn text(digest: &[u8]) -> String {
    digest.iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing into a text can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
