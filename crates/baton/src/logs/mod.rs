//! Reading logs: any number of them, with what rotation has set aside, by time, and on as they grow. The command line,
//! the bus and whoever shows logs read the files with this; the log thread that writes them has no part in it.
//!
//! * [`source`]: which files are meant. [`stream`]: one log as one run of bytes, and [`place`]: how places in it are found.
//! * [`cursor`]: one log, line by line, only what is wanted: [`pattern`], [`record`] (levels), [`time`].
//! * [`query`]: several logs by time. [`follow`]: as they grow. [`render`], [`pretty`]: how a line is shown.
//!
//! Lines are bytes. A cursor shows them where they were read; nothing is copied or allocated for each.

pub(crate) mod cursor;
pub(crate) mod follow;
pub(crate) mod pattern;
pub(crate) mod place;
pub(crate) mod pretty;
pub(crate) mod query;
pub(crate) mod record;
pub(crate) mod render;
pub(crate) mod source;
pub(crate) mod stream;
pub(crate) mod time;

#[cfg(test)]
mod tests;
