//! Processes, process trees, log pumps and the guard: the only part of baton that talks to the kernel, and the only
//! one with `unsafe`. It decides nothing.

#[cfg(target_os = "linux")]
pub mod alarm;
pub mod boot;
#[cfg(target_os = "linux")]
pub mod cgroup;
pub mod clock;
pub mod errand;
pub mod fifo;
pub mod files;
pub mod foreground;
#[cfg(target_os = "linux")]
pub mod guard;
#[cfg(target_os = "linux")]
pub mod hook;
pub mod interrupt;
#[cfg(target_os = "linux")]
pub mod kin;
pub mod limits;
#[cfg(target_os = "linux")]
pub mod logs;
pub mod memory;
pub mod metrics;
#[cfg(target_os = "linux")]
pub mod moments;
pub mod notify;
#[cfg(target_os = "linux")]
pub mod probe;
pub mod process;
mod procfs;
#[cfg(target_os = "linux")]
pub mod sockets;
pub mod spawn;
pub mod stub;
pub mod tree;
pub mod user;
