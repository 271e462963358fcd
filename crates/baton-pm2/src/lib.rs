//! The face that scripts and tools written for PM2 see: its records, tables, texts, environment and files. It decides
//! nothing.
//!
//! * [`environment`], [`record`]: what an app finds in its environment, and what `jlist` tells about it.
//! * [`table`], [`inspect`], [`style`], [`text`]: how things look and read.

#![forbid(unsafe_code)]

pub mod amp;
pub mod client;
pub mod commands;
pub mod describe;
pub mod dump;
pub mod environment;
pub mod inspect;
pub mod mask;
pub mod options;
pub mod prepare;
pub mod record;
pub mod style;
pub mod table;
pub mod text;
pub mod version;
