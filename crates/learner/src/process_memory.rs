//! How much memory this process has used, for `summary.json` and the benchmarks.

/// The largest resident set of this process so far, in bytes; 0 where the system does not say.
pub fn peak_resident_bytes() -> u64 {
    #[cfg(target_os = "linux")]
    {
        // `VmHWM` can be reset between measurements, which `getrusage` cannot.
        std::fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| {
                status
                    .lines()
                    .find_map(|line| line.strip_prefix("VmHWM:"))
                    .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            })
            .map_or(0, |kibibytes| kibibytes * 1024)
    }
    #[cfg(all(unix, not(target_os = "linux")))]
    {
        getrusage_peak()
    }
    #[cfg(not(unix))]
    {
        0
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
#[expect(unsafe_code, reason = "getrusage has no safe wrapper in the standard library")]
fn getrusage_peak() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a live, properly aligned `rusage`, which all-zero bytes initialise
    // already.
    let (status, usage) = unsafe {
        let status = libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        (status, usage.assume_init())
    };
    if status != 0 {
        return 0;
    }
    let peak = u64::try_from(usage.ru_maxrss).unwrap_or(0);
    // Apple counts bytes, the other systems kibibytes.
    if cfg!(target_vendor = "apple") { peak } else { peak * 1024 }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn touching_memory_raises_the_peak() {
        let before = peak_resident_bytes();
        let block = vec![1_u8; 64 << 20];
        assert!(block.iter().map(|&byte| u64::from(byte)).sum::<u64>() > 0);
        assert!(peak_resident_bytes() >= before.max(32 << 20));
    }
}
