//! What the kernel knows of this process: proc(5). Elsewhere than on Linux nothing is known.

use std::fs;

/// Kibibytes in a field of `/proc/self/status`, such as `VmRSS`.
#[must_use]
pub fn memory_kib(field: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Processor time, of user and system, in seconds.
#[must_use]
pub fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may hold anything. After it come state and numbers; utime and stime are fields 14 and 15.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_SECOND)
}

/// Open file descriptors.
#[must_use]
pub fn open_files() -> Option<u64> {
    // One of them is the folder that is being read.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

/// The unit of `/proc/self/stat`: USER_HZ, which is 100 on all architectures in use.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_is_understood() {
        assert!((100..10_000_000).contains(&memory_kib("VmRSS").unwrap()));
        assert!(cpu_seconds().unwrap() < 1e6);
        let before = open_files().unwrap();
        let _file = fs::File::open("/proc/self/stat").unwrap();
        // Other tests open and close files at the same time.
        assert!(before > 2 && open_files().unwrap() > 2);
        assert!(crate::descriptors::most() >= before);
    }
}
