//! Keeping a process that lives for months small.

/// Has all threads share one heap, whose thresholds stay where they are: by default every thread gets a heap of its own,
/// none of which can use what another has freed. To be called before there is a second thread. A C library other than
/// glibc has one heap anyway.
pub fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    {
        const THRESHOLD: libc::c_int = 128 * 1024;
        let settings =
            [(libc::M_ARENA_MAX, 1), (libc::M_TRIM_THRESHOLD, THRESHOLD), (libc::M_MMAP_THRESHOLD, THRESHOLD)];
        for (name, value) in settings {
            // SAFETY: takes numbers. One that is refused leaves the default, which only costs memory.
            unsafe { libc::mallopt(name, value) };
        }
    }
}

/// Has the heaps grow by megabytes: a thread's grows by a page or two otherwise, each time by a call of the kernel. For a
/// process that lives for milliseconds; what it does not use costs nothing.
pub fn grow_in_large_steps() {
    #[cfg(target_env = "gnu")]
    {
        const STEP: libc::c_int = 4 << 20;
        // SAFETY: takes numbers. One that is refused leaves the default, which only costs time.
        unsafe { libc::mallopt(libc::M_TOP_PAD, STEP) };
    }
}

/// Gives back what much work has left behind: free pages of the heap, and pages of the program that only that work had
/// need of. It takes a tenth of a millisecond, and what is needed again comes back from the page cache.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: takes a number; gives back only what is free.
        unsafe { libc::malloc_trim(0) };
    }
    give_back_program();
}

/// Gives back the pages of the program itself. The kernel maps sixteen for each that is touched, so most of those that a
/// start has left are of no use to what comes after it.
pub fn give_back_program() {
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        use std::ptr::addr_of;

        // The linker's names for the first byte of the program and for the first one after its code. Constants may lie
        // between them, variables don't.
        unsafe extern "C" {
            static __executable_start: u8;
            static etext: u8;
        }
        let Some(page) = crate::metrics::system(libc::_SC_PAGESIZE).and_then(|size| usize::try_from(size).ok()) else {
            return;
        };
        let start = addr_of!(__executable_start);
        // The last page may be shared with what follows, and stays.
        let length = (addr_of!(etext).addr() / page * page).saturating_sub(start.addr());
        // SAFETY: the range is mapped from the executable and never written to, so that each page is read from there
        // again, the same, when it is next touched. A refusal leaves everything as it is.
        let _ = unsafe { madvise(start.cast_mut().cast(), length, Advice::LinuxDontNeed) };
    }
}

#[cfg(test)]
mod tests {
    use super::{give_back, share_one_heap};

    /// Kilobytes of the program's pages that are mapped.
    #[cfg(target_os = "linux")]
    fn mapped() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.split_ascii_whitespace().next().unwrap().parse().unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn pages_of_the_program_are_given_back_and_come_again() {
        share_one_heap();
        let before = mapped();
        give_back();
        let after = mapped();
        assert!(after < before, "{before} kB, then {after} kB");
        assert_eq!(format!("{:?}", [1.5, 2.5]), "[1.5, 2.5]");
    }
}
