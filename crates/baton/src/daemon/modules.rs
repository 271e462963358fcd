//! Modules of ours that Node loads before a program.
//!
//! * `log_blocking`: standard output that waits, as a file would. Node makes the pipes it is given non-blocking, keeps in
//!   its heap what a full pipe does not take, and drops that at `process.exit()`. Making both handles blocking again before
//!   the program runs is the only way that also holds for what Node writes while it ends.
//! * `pmx`: what [`baton_node::preload`] tells and does.

use crate::home::Home;
use baton_core::spec::Environment;
use baton_node::preload;
use std::fs;
use std::io;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Module {
    /// Of `log_blocking`.
    LogBlocking,
    /// Of `pmx`. It takes itself out of what the program sees, and must be the last to be enabled.
    Preload,
}

impl Module {
    fn name(self) -> &'static str {
        match self {
            Module::LogBlocking => "log-blocking.cjs",
            Module::Preload => "preload.cjs",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Module::LogBlocking => {
                "'use strict';
for (const stream of [process.stdout, process.stderr]) stream?._handle?.setBlocking?.(true);
"
            }
            Module::Preload => preload::SOURCE,
        }
    }
}

/// Has Node load a module, beside what the app's own options say.
///
/// # Errors
/// The module can't be written to the home.
pub(super) fn enable(module: Module, home: &Home, env: &mut Environment) -> io::Result<()> {
    let path = home.run().join(module.name());
    if fs::read(&path).ok().as_deref() != Some(module.source().as_bytes()) {
        // Another daemon's thread would write the same; a program never sees half of it.
        let new = path.with_extension("new");
        fs::write(&new, module.source())?;
        fs::rename(&new, &path)?;
    }
    // Node could not find it, and the program would not start.
    let Some(path) = path.to_str() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path of the home is no UTF-8"));
    };
    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
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
        enable(Module::LogBlocking, &home, &mut env).expect("enabled");
        let expected =
            format!("--no-warnings --require \"{}/a \\\"home\\\"/run/log-blocking.cjs\"", folder.path().display());
        assert_eq!(env["NODE_OPTIONS"], expected);
        let written = fs::read(home.run().join("log-blocking.cjs")).expect("written");
        assert_eq!(written, Module::LogBlocking.source().as_bytes());
        enable(Module::Preload, &home, &mut env).expect("enabled");
        assert!(env["NODE_OPTIONS"].starts_with(&expected) && env["NODE_OPTIONS"].ends_with("run/preload.cjs\""));
    }
}
