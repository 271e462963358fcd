//! `render`: a process file as it was resolved, written out in a format of choice; or its export as it is.

use super::apps::{self, FileOptions};
use super::common::Common;
use super::failure::Failure;
use super::options::AppOptions;
use super::session::Session;
use baton_config::Dependencies;
use baton_config::render::{self, Format};
use baton_config::schema;
use baton_core::spec::AppSpec;
use clap::{Parser, ValueEnum};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// The resolved environment may hold secrets.
const OWNER_ONLY: u32 = 0o600;

/// Print the apps of a process file as they were resolved.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Process files, directories and patterns of them, which are one source, or `-` for JSON on standard input.
    /// Default: ecosystem.config.* of the directory.
    #[arg(value_name = "file|-")]
    targets: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    file: FileOptions,
    /// Notation of the result. Default: what the name of the output file says, else JSON.
    #[arg(short, long, value_enum)]
    format: Option<Notation>,
    /// Write to this file, whole or not at all. A file that `render` did not write is left alone.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the export as it is, as `JSON.stringify` would in Node.
    #[arg(long, conflicts_with_all = ["format", "only", "env", "profile"])]
    raw: bool,
    /// Print the JSON Schema of process files, for editors.
    #[arg(long, conflicts_with_all = ["raw", "format", "output", "targets"])]
    schema: bool,
}

/// Notation of the result.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Notation {
    /// Strict JSON.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
    /// A plain `ecosystem.config.cjs`.
    #[value(alias = "js")]
    Cjs,
}

/// Runs the verb. Nothing is asked of the daemon.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    if args.schema {
        session.data(format!("{:#}\n", schema::process_file()).as_bytes());
        return Ok(());
    }
    let source = apps::source(&args.targets, &args.file, session)?;
    if args.raw {
        let mut text = apps::evaluate(&source, &args.file, session)?;
        text.push('\n');
        return match &args.output {
            None => {
                session.data(text.as_bytes());
                Ok(())
            }
            // JSON has no place for a mark in somebody else's data, so only a new file is written.
            Some(output) => write(output, &text, fs::symlink_metadata(output).is_err()),
        };
    }
    let format = format(&args)?;
    let loaded = apps::load(&source, &args.file, &AppOptions::default(), Dependencies::Leave, session)?;
    let document = render::document(&loaded.apps);
    // JSON on standard output is data for programs; a file says where it comes from.
    let header = (format != Format::Json || args.output.is_some()).then(|| header(&source.to_string(), &loaded.inputs));
    let text = render::text(format, &document, header.as_deref())
        .map_err(|wrong| Failure::Usage(format!("this cannot be written as {format:?}: {wrong}")))?;
    match &args.output {
        None => session.data(text.as_bytes()),
        Some(output) => {
            write(output, &text, is_free(output))?;
            session.say(&format!("{} written: {} apps", output.display(), loaded.apps.len()));
        }
    }
    Ok(())
}

/// Whether a file may be written: it is not there, or was written here.
fn is_free(output: &Path) -> bool {
    fs::read(output).map_or(true, |old| render::is_generated(&old))
}

/// Writes apps to a file in the notation that its name asks for; false when it holds exactly that already.
///
/// # Errors
/// When there is another file of that name, or it can't be written.
pub(super) fn emit(output: &Path, apps: &[AppSpec], source: &str, inputs: &[PathBuf]) -> Result<bool, Failure> {
    let format = Format::of(output)
        .ok_or_else(|| Failure::Usage(format!("{}: name it .json, .yaml, .toml or .cjs", output.display())))?;
    let text = render::text(format, &render::document(apps), Some(&header(source, inputs)))
        .map_err(|wrong| Failure::Usage(format!("this cannot be written as {format:?}: {wrong}")))?;
    if fs::read(output).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(false);
    }
    write(output, &text, is_free(output)).map(|()| true)
}

fn format(args: &Args) -> Result<Format, Failure> {
    match (args.format, &args.output) {
        (Some(Notation::Json), _) | (None, None) => Ok(Format::Json),
        (Some(Notation::Yaml), _) => Ok(Format::Yaml),
        (Some(Notation::Toml), _) => Ok(Format::Toml),
        (Some(Notation::Cjs), _) => Ok(Format::Cjs),
        (None, Some(output)) => Format::of(output).ok_or_else(|| {
            Failure::Usage(format!("{}: name it .json, .yaml, .toml or .cjs, or give --format", output.display()))
        }),
    }
}

/// Where a file comes from, with a fingerprint of everything that was read for it.
fn header(source: &str, inputs: &[PathBuf]) -> String {
    let mut hasher = Sha256::new();
    for input in inputs {
        // What has just been read and is gone now changes the fingerprint as well.
        hasher.update(fs::read(input).unwrap_or_default());
    }
    let digest: String = hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{} from {source} (sha256 {digest}): change that, not this.", render::MARK)
}

fn write(output: &Path, text: &str, free: bool) -> Result<(), Failure> {
    if !free {
        return Err(Failure::Usage(format!(
            "{} was not written by `render` and is left as it is: remove it, or choose another name",
            output.display()
        )));
    }
    baton_os::files::write_atomic(output, text.as_bytes(), OWNER_ONLY)
        .map_err(Failure::system(output.display().to_string()))
}
