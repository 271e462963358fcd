//! Which files below a path are process files: by their names, as those who wrote them chose them.

use std::path::{Path, PathBuf};

const EXTENSIONS: &[&str] =
    &["js", "cjs", "mjs", "ts", "mts", "cts", "json", "yaml", "yml", "toml", "edn", "clj", "cljs"];
/// Directories that hold other people's files, or none that are in use.
const CLOSED: &[&str] = &["node_modules", "target", "dist", "build", "vendor", "inactive"];
const DEPTH: usize = 12;

/// The process files that the paths name or hold, sorted, each once.
pub(super) fn process_files(paths: &[PathBuf], base: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in paths {
        let path = crate::target::resolve(base, path);
        if path.is_dir() {
            below(&path, DEPTH, &mut found).map_err(|wrong| format!("{}: {wrong}", path.display()))?;
        } else if path.is_file() {
            found.push(path);
        } else {
            return Err(format!("{} not found", path.display()));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn below(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A link may lead back up, or out of the project.
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 && !name.starts_with('.') && !CLOSED.contains(&name.as_str()) {
            match below(&entry.path(), depth - 1, found) {
                Err(wrong) if wrong.kind() != std::io::ErrorKind::PermissionDenied => return Err(wrong),
                _ => {}
            }
        } else if kind.is_file() && is_process_file(&name) {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Whether a name says that this is a process file. What stands beside one is no process file of its own.
fn is_process_file(name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let telling = stem.starts_with("ecosystem") || stem.ends_with("ecosystem") || stem.contains("ecosystem.");
    let named = telling || stem.ends_with(".pm2") || matches!(stem, "pm2.config" | "process" | "processes" | "pm2");
    named && !name.starts_with('.') && EXTENSIONS.contains(&extension) && !stem.starts_with("ecosystem.dependencies")
}
