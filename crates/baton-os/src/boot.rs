//! Which boot of the machine, or of the container, this is.

use crate::procfs;
use std::io;
use std::sync::OnceLock;

static BOOT_ID: OnceLock<String> = OnceLock::new();

/// What the namespace of the machine's own processes is called.
const OF_THE_MACHINE: &str = "pid:[4026531836]";

/// The random id that the kernel gave this boot; in a namespace of processes, as a container has, with the time at which
/// its first process started: a container that is started again has other processes under the same numbers. Read once.
/// Fails when `/proc` is not mounted.
pub fn boot_id() -> io::Result<String> {
    if let Some(id) = BOOT_ID.get() {
        return Ok(id.clone());
    }
    let mut id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    if !namespace.as_os_str().is_empty() && namespace.as_os_str() != OF_THE_MACHINE {
        // Where the first process can't be looked at, the boot must do.
        if let Ok(Some(first)) = procfs::stat(1, &mut Vec::new()) {
            id = format!("{id}+{}", first.start_time);
        }
    }
    Ok(BOOT_ID.get_or_init(|| id).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_kernels_and_stays() {
        let id = boot_id().unwrap();
        let kernels = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert!(id.starts_with(kernels.trim()), "{id}");
        assert_eq!(id, boot_id().unwrap());
    }
}
