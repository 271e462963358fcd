//! Process files in every format, read into app specifications without Node.

pub mod js;
