//! What the daemon prints: one line an event, in the form of PM2's daemon log, which people grep.

use baton_core::units::WallTime;
use baton_core::world::{Exit, Instance, Signal};
use baton_os::clock;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

static WRITTEN: AtomicBool = AtomicBool::new(false);
/// Who hears what is written.
static EAR: Mutex<Option<Ear>> = Mutex::new(None);

/// Is given the text of each line, and when it was written. It must not block, nor write a line itself.
pub(super) type Ear = Box<dyn Fn(WallTime, &str) + Send>;

/// From now on this one hears what is written, and nobody else; or nobody.
pub(super) fn overhear(ear: Option<Ear>) {
    *EAR.lock().unwrap_or_else(PoisonError::into_inner) = ear;
}

/// Whether anything was written since this was last asked.
pub(super) fn has_written() -> bool {
    WRITTEN.swap(false, Ordering::Relaxed)
}

/// A line of this kind (`log`, `warn`, `error`).
fn line(kind: &str, text: impl Display) {
    let now = clock::now().wall;
    let text = text.to_string();
    let wall = i64::try_from(now.0).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(wall).unwrap_or_default().to_zoned(TimeZone::system());
    // In one piece: standard error has no buffer, and the guard writes to the same file.
    let line = format!("{}: PM2 {kind}: {text}\n", time.strftime("%Y-%m-%dT%H:%M:%S"));
    // Without a log there is nobody to tell.
    let _ = io::stderr().write_all(line.as_bytes());
    WRITTEN.store(true, Ordering::Relaxed);
    if let Some(ear) = &*EAR.lock().unwrap_or_else(PoisonError::into_inner) {
        ear(now, &text);
    }
}

/// Something happened.
pub(super) fn log(text: impl Display) {
    line("log", text);
}

/// Something is not as it should be.
pub(super) fn warn(text: impl Display) {
    line("warn", text);
}

/// Something failed.
pub(super) fn error(text: impl Display) {
    line("error", text);
}

/// The app and number of a slot, as PM2 writes them.
pub(super) fn app(instance: &Instance) -> String {
    format!("App [{}:{}]", instance.spec.name, instance.id)
}

/// The end of a process, as PM2 writes it: a code always, and a signal always.
pub(super) fn exited(instance: &Instance, exit: Exit) {
    let signal = match exit {
        Exit::Signal(signal) => signal.to_string(),
        Exit::OutOfMemory(_) => Signal::KILL.to_string(),
        Exit::Code(_) | Exit::Unknown => "SIGINT".into(),
    };
    log(format_args!("{} exited with code [{}] via signal [{signal}]", app(instance), exit.code()));
}
