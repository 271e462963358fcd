//! The options that every verb has.

use clap::Args;

/// Options of every verb.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Common {
    /// Say nothing but data that was asked for, and errors only by the exit code.
    #[arg(short = 's', long)]
    pub(crate) silent: bool,
    /// No colours.
    #[arg(long)]
    pub(crate) no_color: bool,
    /// When a PM2 daemon manages this home: import its apps, stop it and go on.
    #[arg(long)]
    pub(crate) take_over: bool,
}
