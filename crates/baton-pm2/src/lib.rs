//! The face that scripts and tools written for PM2 see: its records, tables, texts, environment and files. It decides
//! nothing.
//!
//! * [`environment`], [`record`], [`version`]: what an app finds in its environment, and what `jlist` tells about it.
//! * [`table`], [`describe`], [`inspect`], [`text`], [`style`], [`mask`]: how things look and read.
//! * [`module_conf`]: the settings that `set` writes.
//! * [`dump`], [`prepare`]: the file that `save` writes, and records of a real PM2 as definitions.
//! * [`commands`], [`options`]: what of PM2's command line works here. A new verb or option begins with its row there.
//! * [`client`], [`amp`]: a real PM2 daemon, asked over its socket.
//!
//! Everything but [`client`] is pure: what only the file system knows comes in as an argument.

#![forbid(unsafe_code)]

pub mod amp;
pub mod bus;
pub mod client;
pub mod commands;
pub mod describe;
pub mod dump;
pub mod environment;
pub mod inspect;
pub mod mask;
pub mod module_conf;
pub mod options;
pub mod prepare;
pub mod record;
pub mod style;
pub mod table;
pub mod text;
pub mod version;
