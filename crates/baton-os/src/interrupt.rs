//! Ctrl-C for verbs that run until they are interrupted.

use std::io;

/// From now on SIGINT and SIGTERM end this process at once with exit code 0: what a verb that follows something was
/// asked to do is done then. Nothing is unwound or flushed.
///
/// # Errors
/// When the kernel refuses to change the disposition.
pub fn is_success() -> io::Result<()> {
    extern "C" fn leave(_: libc::c_int) {
        // SAFETY: _exit is async-signal-safe and does not return.
        unsafe { libc::_exit(0) }
    }
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: `leave` has the signature of a handler and calls only _exit.
        let before = unsafe { libc::signal(signal, leave as extern "C" fn(libc::c_int) as libc::sighandler_t) };
        if before == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
