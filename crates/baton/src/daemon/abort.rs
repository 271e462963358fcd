//! A crash on demand, for tests in debug builds: the daemon ends itself with SIGKILL right before its k-th effect, or
//! panics in it.
//!
//! `BATON_ABORT_AT_EFFECT` is k, counted from 1; `BATON_ABORT_MARK` names a file that is made when it happens, so that
//! the successor does not do it again. With `BATON_ABORT_BY` it is a panic: `panic` once, `panic-again` at each k-th
//! effect of every daemon. Release builds have none of this.

/// Counts effects.
#[derive(Debug, Default)]
pub(super) struct AbortPoint {
    #[cfg(debug_assertions)]
    armed: Option<armed::Armed>,
}

impl AbortPoint {
    /// What the environment asks for.
    pub(super) fn from_env() -> AbortPoint {
        AbortPoint {
            #[cfg(debug_assertions)]
            armed: armed::Armed::from_env(),
        }
    }

    /// An effect is about to be carried out.
    #[cfg_attr(not(debug_assertions), expect(clippy::unused_self, reason = "release builds count nothing"))]
    pub(super) fn reached(&mut self) {
        #[cfg(debug_assertions)]
        if let Some(armed) = &mut self.armed {
            armed.reached();
        }
    }
}

#[cfg(debug_assertions)]
mod armed {
    use rustix::process::{Signal, getpid, kill_process};
    use std::path::PathBuf;

    #[derive(Debug, PartialEq, Eq)]
    enum By {
        Kill,
        Panic,
        PanicAgain,
    }

    #[derive(Debug)]
    pub(super) struct Armed {
        left: u64,
        every: u64,
        mark: PathBuf,
        by: By,
    }

    impl Armed {
        pub(super) fn from_env() -> Option<Armed> {
            let every = std::env::var("BATON_ABORT_AT_EFFECT").ok()?.parse().ok()?;
            let mark = PathBuf::from(std::env::var_os("BATON_ABORT_MARK")?);
            let by = match std::env::var("BATON_ABORT_BY").as_deref() {
                Ok("panic") => By::Panic,
                Ok("panic-again") => By::PanicAgain,
                _ => By::Kill,
            };
            (by == By::PanicAgain || !mark.exists()).then_some(Armed { left: every, every, mark, by })
        }

        pub(super) fn reached(&mut self) {
            self.left = self.left.saturating_sub(1);
            if self.left > 0 {
                return;
            }
            let first = std::fs::File::create_new(&self.mark).is_ok();
            match self.by {
                By::Kill if first => kill_process(getpid(), Signal::KILL).expect("one may always signal oneself"),
                By::Panic if first => panic!("a test wants this effect to fail"),
                By::PanicAgain => {
                    self.left = self.every;
                    panic!("a test wants every such effect to fail");
                }
                By::Kill | By::Panic => {}
            }
        }
    }
}
