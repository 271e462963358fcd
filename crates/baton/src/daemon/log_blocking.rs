//! `log_blocking`: standard output of Node programs that waits, as a file would.
//!
//! Node makes the pipes it is given non-blocking, keeps in its heap what a full pipe does not take, and drops that at
//! `process.exit()`. A module that is loaded before the program makes both handles blocking again, the only way that
//! also holds for what Node writes while it ends.

use crate::home::Home;
use baton_core::spec::Environment;
use std::fs;
use std::io;

const MODULE: &str = "'use strict';
for (const stream of [process.stdout, process.stderr]) stream?._handle?.setBlocking?.(true);
";

/// Has Node load the module, beside what the app's own options say.
///
/// # Errors
/// The module can't be written to the home.
pub(super) fn enable(home: &Home, env: &mut Environment) -> io::Result<()> {
    let path = home.run().join("log-blocking.cjs");
    if fs::read(&path).ok().as_deref() != Some(MODULE.as_bytes()) {
        // Another daemon's thread would write the same; a program never sees half of it.
        let new = path.with_extension("new");
        fs::write(&new, MODULE)?;
        fs::rename(&new, &path)?;
    }
    let path = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    let before = env.get("NODE_OPTIONS").map(|given| format!("{given} ")).unwrap_or_default();
    env.insert("NODE_OPTIONS".into(), format!("{before}--require \"{path}\""));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_app_are_kept_and_any_path_is_quoted() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path().join("a \"home\""));
        fs::create_dir_all(home.run()).expect("a folder");
        let mut env = Environment::from([("NODE_OPTIONS".into(), "--no-warnings".into())]);
        enable(&home, &mut env).expect("enabled");
        let expected =
            format!("--no-warnings --require \"{}/a \\\"home\\\"/run/log-blocking.cjs\"", folder.path().display());
        assert_eq!(env["NODE_OPTIONS"], expected);
        assert_eq!(fs::read(home.run().join("log-blocking.cjs")).expect("written"), MODULE.as_bytes());
    }
}
