//! What is made around a pass: the source, by a command of the user's, and a compiled file for others.

use super::source::{Reading, SourceOptions};
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::cli::session::Session;
use baton_config::target::{is_pattern, resolve};
use baton_config::{Generate, Made};
use baton_core::sync::DriftRule;
use baton_os::files::write_atomic;
use baton_os::probe;
use clap::Args;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Folders below what a command reads that hold nothing of its own.
const LEFT_ASIDE: &[&str] = &["node_modules", "target"];

/// What is made before a source is read, and after it was applied.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct MakeOptions {
    /// Run this command before the source is read, when something that it reads has changed since it last ran.
    #[arg(long, value_name = "COMMAND", requires = "generate_from")]
    generate: Option<String>,
    /// What that command reads: files, directories with all that is in them, and patterns.
    #[arg(long, value_name = "PATH", requires = "generate")]
    generate_from: Vec<String>,
    /// Write the resolved apps to this file after each pass, as `render` does.
    #[arg(long, value_name = "FILE")]
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

/// A source read, with what is made around that.
pub(super) struct Pass {
    /// What it says.
    pub(super) read: Result<Reading, Failure>,
    /// What the commands read that make it.
    pub(super) sources: Sources,
    /// Where the resolved apps are to be written.
    emit: Vec<PathBuf>,
}

impl MakeOptions {
    /// The options as words of a command line.
    pub(super) fn words(&self) -> Vec<String> {
        let generate = self.generate.iter().map(|command| format!("--generate={command}"));
        let from = self.generate_from.iter().map(|path| format!("--generate-from={path}"));
        let emit = self.emit.iter().map(|path| format!("--emit={}", path.display()));
        generate.chain(from).chain(emit).collect()
    }

    /// Reads a source. The commands that make it run first, when what they read has changed since they last ran for it.
    /// `mends`: they run also when the source can't be read without what they make.
    pub(super) fn read(&self, source: &SourceOptions, drift: DriftRule, mends: bool, session: &Session) -> Pass {
        let mut pass = Pass { read: Err(Failure::Told), sources: Sources::default(), emit: Vec::new() };
        pass.read = self.asked(session).and_then(|asked| {
            pass.emit = asked.emit;
            match asked.generate.as_slice() {
                [] => pass.read_with_its_own(source, drift, mends, session),
                commands => pass.read_with(commands, source, drift, mends, session),
            }
        });
        if let (true, Ok(reading)) = (self.emit.is_none(), &pass.read) {
            pass.emit = reading.loaded.made.emit.clone();
        }
        pass
    }

    /// Tells that `sync` would run the command of the options.
    ///
    /// # Errors
    /// As [`SourceOptions::name`].
    pub(super) fn tell_stale(&self, source: &SourceOptions, session: &Session) -> Result<(), Failure> {
        tell(&self.asked(session)?.generate, source, session)
    }

    /// What the options say.
    fn asked(&self, session: &Session) -> Result<Made, Failure> {
        let directory = session.directory()?;
        let generate = self.generate.iter().map(|command| Generate {
            command: command.clone(),
            from: self.generate_from.clone(),
            directory: directory.clone(),
        });
        let emit = self.emit.iter().map(|file| resolve(&directory, file)).collect();
        Ok(Made { generate: generate.collect(), emit })
    }
}

impl Pass {
    /// Reads a source that these commands make.
    fn read_with(
        &mut self,
        commands: &[Generate],
        source: &SourceOptions,
        drift: DriftRule,
        mends: bool,
        session: &Session,
    ) -> Result<Reading, Failure> {
        self.make(commands, false, source, session)?;
        let read = source.read(drift, session);
        if mends && matches!(read, Err(Failure::Config(_))) && self.make(commands, true, source, session)? {
            return source.read(drift, session);
        }
        read
    }

    /// Reads a source that says itself what makes it.
    fn read_with_its_own(
        &mut self,
        source: &SourceOptions,
        drift: DriftRule,
        mends: bool,
        session: &Session,
    ) -> Result<Reading, Failure> {
        let read = source.read(drift, session);
        let forced = mends && read.is_err();
        if self.make(&commands(&read, source, session)?, forced, source, session)? {
            source.read(drift, session)
        } else {
            read
        }
    }

    /// Runs the commands whose files have changed since they last ran for this source, or all of them; whether one has
    /// run.
    ///
    /// # Errors
    /// When one fails.
    fn make(
        &mut self,
        commands: &[Generate],
        all: bool,
        source: &SourceOptions,
        session: &Session,
    ) -> Result<bool, Failure> {
        let mut any = false;
        for generate in commands {
            let sources = sources(generate);
            let run = run_if(all, generate, &sources, source, session);
            self.sources.files.extend(sources.files);
            self.sources.directories.extend(sources.directories);
            any |= run?;
        }
        Ok(any)
    }

    /// Writes the compiled files that are wanted and do not say so already.
    ///
    /// # Errors
    /// When there is a file that was not written so, or it can't be written.
    pub(super) fn emit(&self, session: &Session) -> Result<(), Failure> {
        let Ok(reading) = &self.read else { return Ok(()) };
        let apps: Vec<_> = reading.desired.apps.iter().map(|wish| wish.spec.clone()).collect();
        for output in &self.emit {
            if render::emit(output, &apps, &reading.desired.source, &reading.loaded.inputs)? {
                session.say(&format!("{} written: {} apps", output.display(), apps.len()));
            }
        }
        Ok(())
    }
}

/// Tells which commands `sync` would run before it reads a source that was read as it is.
///
/// # Errors
/// As [`SourceOptions::name`].
pub(crate) fn tell_stale(
    read: &Result<Reading, Failure>,
    source: &SourceOptions,
    session: &Session,
) -> Result<(), Failure> {
    tell(&commands(read, source, session)?, source, session)
}

fn tell(commands: &[Generate], source: &SourceOptions, session: &Session) -> Result<(), Failure> {
    for generate in commands {
        if Note::of(generate, &sources(generate), source, session)?.is_stale() {
            let command = &generate.command;
            session.warn(&format!("`sync` runs `{command}` first, which may change this: what it reads has changed"));
        }
    }
    Ok(())
}

/// What a source says of what makes it, also when it can't be read: what is made may be missing, or broken.
fn commands(
    read: &Result<Reading, Failure>,
    source: &SourceOptions,
    session: &Session,
) -> Result<Vec<Generate>, Failure> {
    match read {
        Ok(reading) => Ok(reading.loaded.made.generate.clone()),
        Err(Failure::Config(_)) => Ok(source.made_without_modules(session)?.generate),
        Err(_) => Ok(Vec::new()),
    }
}

/// What a command reads now.
fn sources(generate: &Generate) -> Sources {
    let base = &generate.directory;
    let mut sources = Sources::default();
    for text in &generate.from {
        if is_pattern(text) {
            let listed = |directory: &Path| sources.directories.push(directory.to_owned());
            sources.files.extend(baton_config::files_matching(text, base, listed));
        } else {
            gather(&resolve(base, text), &mut sources);
        }
    }
    sources.files.sort();
    sources.files.dedup();
    sources
}

/// What is kept of a command that has run for a source.
struct Note {
    path: PathBuf,
    /// Fingerprint of what it reads.
    now: String,
}

impl Note {
    fn of(generate: &Generate, read: &Sources, source: &SourceOptions, session: &Session) -> Result<Note, Failure> {
        let whose = format!("{}\0{}\0{}", source.name(session)?, generate.directory.display(), generate.command);
        let path = session.home.generated().join(hex(whose.as_bytes()));
        Ok(Note { path, now: fingerprint(&generate.command, read) })
    }

    fn is_stale(&self) -> bool {
        fs::read_to_string(&self.path).ok().is_none_or(|before| before != self.now)
    }

    /// Keeps others from running the command, until what this returns is closed.
    fn lock(&self) -> Result<File, Failure> {
        let path = self.path.with_extension("lock");
        let failed = || Failure::system(path.display().to_string());
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed())?;
        }
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open.map_err(failed())?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| failed()(error.into()))?;
        Ok(file)
    }

    fn write(&self, session: &Session) -> Result<(), Failure> {
        let failed = || Failure::system(self.path.display().to_string());
        DirBuilder::new().recursive(true).mode(0o700).create(session.home.generated()).map_err(failed())?;
        write_atomic(&self.path, self.now.as_bytes(), 0o600).map_err(failed())
    }
}

/// Runs a command unless what it reads is as it was when it last ran for this source; whether it has run.
fn run_if(
    all: bool,
    generate: &Generate,
    read: &Sources,
    source: &SourceOptions,
    session: &Session,
) -> Result<bool, Failure> {
    let mut note = Note::of(generate, read, source, session)?;
    if !note.is_stale() && !all {
        return Ok(false);
    }
    // Somebody else may be at it, who leaves nothing to do.
    let _running = note.lock()?;
    note.now = fingerprint(&generate.command, &sources(generate));
    if !note.is_stale() && !all {
        return Ok(false);
    }
    let command = &generate.command;
    session.say(&format!("running `{command}`"));
    let status = probe::run(command, &generate.directory, &session.environment());
    let status = status.map_err(Failure::system(format!("`{command}`")))?;
    if !status.success() {
        return Err(Failure::Usage(format!("`{command}` ended with {status}: nothing was changed")));
    }
    // What it makes counts as made, not as edited: else it would run for ever.
    let after = fingerprint(command, &sources(generate));
    if after != note.now {
        session.warn(&format!("`{command}` changes what it reads (generate_from): name only what is edited there"));
        note.now = after;
    }
    note.write(session)?;
    Ok(true)
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
