//! Which boot of the machine this is.

use std::io;
use std::sync::OnceLock;

static BOOT_ID: OnceLock<String> = OnceLock::new();

/// The random id that the kernel gave this boot. Read once. Fails when `/proc` is not mounted.
pub fn boot_id() -> io::Result<String> {
    if let Some(id) = BOOT_ID.get() {
        return Ok(id.clone());
    }
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    Ok(BOOT_ID.get_or_init(|| id).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_kernels_and_stays() {
        let id = boot_id().unwrap();
        assert_eq!(id.len(), 36, "{id}");
        assert_eq!(id, boot_id().unwrap());
    }
}
