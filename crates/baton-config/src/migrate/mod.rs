//! Process files turned into their short form, with a proof that the apps stay what they are.
//!
//! * `find` lists the process files below a path;
//! * `source` evaluates one and says which of its values come from the environment and from where it lies;
//! * `fold` takes out what is said several times: defaults, common keys and variables, near-equal copies as profiles;
//! * `text` writes the result, in the format of the original;
//! * `profiles`, `edn`, `helpers` and `single` each know one thing that can become shorter;
//! * `proof` resolves before and after, under each environment, and compares the definitions.
//!
//! Nothing is written here: [`plan`] gives texts, and every step of a plan has been proven.

mod edn;
mod find;
mod fold;
mod helpers;
mod profiles;
mod proof;
mod single;
mod source;
#[cfg(test)]
mod tests;
mod text;

use crate::options::LoadOptions;
use std::path::{Path, PathBuf};

/// What can be done with the process files below a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Every process file that was found.
    pub files: Vec<PathBuf>,
    /// What would be done, in order. Each is proven.
    pub steps: Vec<Step>,
    /// What stays as it is, and why; reads after the file's name.
    pub left: Vec<(PathBuf, String)>,
}

/// One change that leaves every app what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What becomes what, and what is folded; a line each.
    pub lines: Vec<String>,
    /// Files with their new texts.
    pub writes: Vec<(PathBuf, String)>,
    /// Files that are not needed any more.
    pub removes: Vec<PathBuf>,
    /// What has been compared, in words.
    pub proof: String,
}

/// Why a file stays as it is.
type Left = String;

/// Looks at the process files below these paths.
///
/// # Errors
/// When a path is not there or can't be listed; the text says which.
pub fn plan(paths: &[PathBuf], options: &LoadOptions) -> Result<Plan, String> {
    let files = find::process_files(paths, &options.caller_cwd)?;
    let mut plan = Plan { files: files.clone(), ..Plan::default() };
    let mut open = files;
    // Each takes what it turned, or can say why not, out of the files that are open.
    helpers::look(&mut open, options, &mut plan);
    profiles::look(&mut open, options, &mut plan);
    edn::look(&mut open, options, &mut plan);
    single::look(&mut open, options, &mut plan);
    plan.left.sort();
    Ok(plan)
}

/// The path as it is shown: relative to where the caller is.
fn shown(path: &Path, options: &LoadOptions) -> String {
    path.strip_prefix(&options.caller_cwd).unwrap_or(path).display().to_string()
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(std::ffi::OsStr::to_str).unwrap_or_default()
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default()
}

/// Whether a file is evaluated as JavaScript.
fn is_js(path: &Path) -> bool {
    ["js", "cjs", "mjs", "ts", "mts", "cts"].contains(&extension(path))
}
