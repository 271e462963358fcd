//! `init`: a first process file for this directory, a file of dependencies, scripts for `package.json`, PM2's template.

use super::apps;
use super::common::Common;
use super::failure::Failure;
use super::session::{CalledAs, Session};
use baton_config::starter::{Draft, Folder, Notation, Service, scripts, template};
use baton_config::target::find_default;
use clap::{Parser, ValueEnum};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A process file is a source file as any other in the project.
const MODE: u32 = 0o644;

/// Write a first process file from what lies in this directory.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// `simple`: PM2's template of one app instead.
    #[arg(value_name = "simple")]
    mode: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Format of the file. Default: js, or cjs in a package of ES modules.
    #[arg(short, long, value_enum)]
    format: Option<FormatName>,
    /// Write ecosystem.dependencies.* with this instead: a database that the apps wait for. May be repeated.
    #[arg(long, value_enum, value_name = "NAME")]
    dependency: Vec<ServiceName>,
    /// Add scripts to package.json that call baton; none that is there is changed.
    #[arg(long)]
    scripts: bool,
    /// Write the file even if there is one; the old one is kept as a .bak file.
    #[arg(long)]
    force: bool,
}

/// Format of a process file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// JavaScript: CommonJS, or an ES module in a package of those.
    Js,
    /// CommonJS.
    Cjs,
    /// An ES module.
    Mjs,
    /// TypeScript.
    Ts,
    /// JSON with comments.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
    /// EDN.
    Edn,
    /// ClojureScript.
    Cljs,
}

/// A database.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ServiceName {
    /// MongoDB.
    Mongodb,
    /// Chroma.
    Chromadb,
    /// Redis.
    Redis,
    /// PostgreSQL.
    Postgres,
}

impl From<ServiceName> for Service {
    fn from(name: ServiceName) -> Service {
        match name {
            ServiceName::Mongodb => Service::Mongodb,
            ServiceName::Chromadb => Service::Chromadb,
            ServiceName::Redis => Service::Redis,
            ServiceName::Postgres => Service::Postgres,
        }
    }
}

/// Runs the verb. Nothing is asked of the daemon, and nothing is run.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let directory = session.directory()?;
    let plain = args.format.is_none() && args.dependency.is_empty() && !args.scripts;
    if plain && (session.called == CalledAs::Pm2 || args.mode.is_some()) {
        return pm2(&args, &directory, session);
    }
    if let Some(mode) = &args.mode {
        return Err(Failure::Usage(format!("init {mode}: PM2's templates have no options; leave {mode} out")));
    }
    let environment = session.environment();
    let folder = Folder { path: &directory, environment: &environment };
    if !args.dependency.is_empty() {
        let services: Vec<Service> = args.dependency.iter().map(|name| Service::from(*name)).collect();
        let notation = notation(args.format, &directory);
        let path = directory.join(format!("ecosystem.dependencies.{}", notation.extension()));
        free(&path, args.force)?;
        let draft = Draft::of_services(&folder, &services);
        let moved = place(&path, &notation.write(&draft), args.force)?;
        written(&path, moved.as_deref(), "waited for by the process file beside it", session);
        return if args.scripts { add_scripts(&directory, session) } else { Ok(()) };
    }
    // Scripts may be wanted for a file that is there.
    let present = find_default(&directory);
    if !args.scripts || present.is_none() || args.force || args.format.is_some() {
        starter(&args, &folder, present, session)?;
    }
    if args.scripts { add_scripts(&directory, session) } else { Ok(()) }
}

/// Writes the process file that the directory suggests.
fn starter(args: &Args, folder: &Folder<'_>, present: Option<PathBuf>, session: &Session) -> Result<(), Failure> {
    let notation = notation(args.format, folder.path);
    let path = folder.path.join(format!("ecosystem.config.{}", notation.extension()));
    // One in another format would be taken instead of the new one, or never again.
    if let Some(present) = present.filter(|present| *present != path || !args.force) {
        return Err(Failure::Usage(format!(
            "{} is here already and is left as it is: `{} migrate` shortens it; or move it away first",
            present.display(),
            session.called.program()
        )));
    }
    let draft = Draft::of(folder);
    for line in &draft.found {
        session.line(&format!("found     {line}"));
    }
    for line in &draft.left_out {
        session.line(&format!("left out  {line}"));
    }
    if draft.apps.is_empty() {
        return Err(Failure::Usage(
            "nothing to start was found here (package.json, pyproject.toml, Pipfile, Procfile, index.js, app.py …); `init simple` \
             writes a template"
                .into(),
        ));
    }
    let text = notation.write(&draft);
    let moved = place_checked(&path, &text, args.force, draft.apps.len(), session)?;
    let names: Vec<&str> = draft.apps.iter().filter_map(|app| app.keys.get("name")?.as_str()).collect();
    written(&path, moved.as_deref(), &format!("{} apps: {}", names.len(), names.join(", ")), session);
    let program = session.called.program();
    session.line(&format!("next: `{program} check` looks whether all is there, `{program} start` starts the apps"));
    Ok(())
}

/// The format that was asked for, or the one that every reader of the directory takes.
fn notation(format: Option<FormatName>, directory: &Path) -> Notation {
    let package = fs::read(directory.join("package.json")).ok();
    let package: Option<serde_json::Value> = package.and_then(|text| serde_json::from_slice(&text).ok());
    let is_module = package.is_some_and(|package| package.get("type").is_some_and(|kind| kind == "module"));
    match format {
        None if is_module => Notation::Cjs,
        Some(FormatName::Js) if is_module => Notation::EsModule,
        None | Some(FormatName::Js) => Notation::Js,
        Some(FormatName::Cjs) => Notation::Cjs,
        Some(FormatName::Mjs) => Notation::Mjs,
        Some(FormatName::Ts) => Notation::Ts,
        Some(FormatName::Json) => Notation::Json,
        Some(FormatName::Yaml) => Notation::Yaml,
        Some(FormatName::Toml) => Notation::Toml,
        Some(FormatName::Edn) => Notation::Edn,
        Some(FormatName::Cljs) => Notation::Cljs,
    }
}

fn free(path: &Path, force: bool) -> Result<(), Failure> {
    if force || fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{} is here already and is left as it is: move it away first, or give --force, which keeps it as a .bak file",
        path.display()
    )))
}

/// Writes a file that is not there, or moves the present one aside; gives where that is now.
fn place(path: &Path, text: &str, force: bool) -> Result<Option<PathBuf>, Failure> {
    free(path, force)?;
    let moved = if fs::symlink_metadata(path).is_ok() { Some(keep(path)?) } else { None };
    baton_os::files::write_atomic(path, text.as_bytes(), MODE).map_err(Failure::system(path.display().to_string()))?;
    Ok(moved)
}

/// Copies a file to a name beside it that is free.
pub(super) fn keep(path: &Path) -> Result<PathBuf, Failure> {
    let backup = backup_name(path);
    let bytes = fs::read(path).map_err(Failure::system(path.display().to_string()))?;
    let mode = fs::metadata(path).map_or(MODE, |found| found.permissions().mode() & 0o777);
    baton_os::files::write_atomic(&backup, &bytes, mode).map_err(Failure::system(backup.display().to_string()))?;
    Ok(backup)
}

/// The first name of a copy that is free: `FILE.bak`, `FILE.2.bak` and so on.
pub(super) fn backup_name(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let names = std::iter::once(format!("{name}.bak")).chain((2..).map(|number| format!("{name}.{number}.bak")));
    let mut free = names.map(|name| path.with_file_name(name)).filter(|path| fs::symlink_metadata(path).is_err());
    free.next().unwrap_or_else(|| path.with_extension("bak"))
}

/// As [`place`], after the text was read as a process file, which must give so many apps.
fn place_checked(
    path: &Path,
    text: &str,
    force: bool,
    apps: usize,
    session: &Session,
) -> Result<Option<PathBuf>, Failure> {
    // Beside the file, so that it means what it will mean there.
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let trial = path.with_file_name(format!(".init-{}-{name}", std::process::id()));
    baton_os::files::write_quick(&trial, text.as_bytes(), MODE).map_err(Failure::system(path.display().to_string()))?;
    let loaded = baton_config::load(&trial, &apps::load_options(session)?);
    // What could not be removed is told by nobody else, but hides nothing that was asked for.
    let _ = fs::remove_file(&trial);
    let loaded = loaded?;
    let shown = |text: &str| text.replace(&*trial.to_string_lossy(), &path.to_string_lossy());
    for warning in &loaded.warnings {
        session.warn(&shown(&warning.message));
    }
    if loaded.apps.len() != apps {
        return Err(Failure::Usage(format!("{} apps were found, but the file would give {}", apps, loaded.apps.len())));
    }
    place(path, text, force)
}

fn written(path: &Path, moved: Option<&Path>, what: &str, session: &Session) {
    if let Some(moved) = moved {
        session.say(&format!("the file that was there is now {}", moved.display()));
    }
    session.say(&format!("{} written: {what}", path.display()));
}

/// PM2's template under its name. A file of one's own is not overwritten; one of these templates is.
fn pm2(args: &Args, directory: &Path, session: &Session) -> Result<(), Failure> {
    let text = if args.mode.as_deref() == Some("simple") { template::SIMPLE } else { template::FULL };
    if args.mode.as_deref().is_some_and(|mode| mode != "simple") && session.called == CalledAs::Baton {
        return Err(Failure::Usage("init takes no word but `simple`".into()));
    }
    let path = directory.join(template::NAME);
    let own =
        fs::read(&path).is_ok_and(|old| [template::SIMPLE, template::FULL].iter().any(|one| old == one.as_bytes()));
    if own {
        baton_os::files::write_atomic(&path, text.as_bytes(), MODE)
            .map_err(Failure::system(path.display().to_string()))?;
    } else {
        place(&path, text, args.force)?;
    }
    session.line(&format!("File {} generated", path.display()));
    Ok(())
}

/// Adds the scripts to the directory's `package.json`.
fn add_scripts(directory: &Path, session: &Session) -> Result<(), Failure> {
    let path = directory.join("package.json");
    let file = find_default(directory).and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let file = file.unwrap_or_else(|| template::NAME.into());
    let text = fs::read_to_string(&path).map_err(Failure::system(path.display().to_string()))?;
    let edit = scripts::add(&text, &file)
        .map_err(|wrong| Failure::Usage(format!("{}: {wrong}; it is left as it is", path.display())))?;
    if edit.added.is_empty() {
        session.say(&format!("{} has its scripts already: {}", path.display(), edit.names.join(", ")));
        return Ok(());
    }
    let mode = fs::metadata(&path).map_or(MODE, |found| found.permissions().mode() & 0o777);
    // Where the name is a link, the file behind it is what is meant.
    let target = path.canonicalize().unwrap_or_else(|_| path.clone());
    baton_os::files::write_atomic(&target, edit.text.as_bytes(), mode)
        .map_err(Failure::system(path.display().to_string()))?;
    session.say(&format!("{}: scripts added: {}", path.display(), edit.added.join(", ")));
    Ok(())
}
