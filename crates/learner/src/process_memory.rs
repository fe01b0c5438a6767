//! How much memory this process has used, for `summary.json` and the benchmarks.

/// The resident set of this process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResidentBytes {
    /// Now; `None` where the system does not say.
    pub now: Option<u64>,
    /// The largest so far; 0 where the system does not say.
    pub peak: u64,
}

/// What the process holds, and has held.
pub fn resident_bytes() -> ResidentBytes {
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kibibytes: u64 = rest.split_whitespace().next()?.parse().ok()?;
            Some(kibibytes * 1024)
        };
        // `VmHWM` can be reset between measurements, which `getrusage` cannot.
        ResidentBytes { now: bytes("VmRSS:"), peak: bytes("VmHWM:").unwrap_or(0) }
    }
    #[cfg(not(target_os = "linux"))]
    {
        ResidentBytes { now: None, peak: peak_resident_bytes() }
    }
}

/// The largest resident set of this process so far, in bytes; 0 where the system does not say.
pub fn peak_resident_bytes() -> u64 {
    #[cfg(target_os = "linux")]
    {
        resident_bytes().peak
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
        let ResidentBytes { now, peak } = resident_bytes();
        assert!(now.is_some_and(|now| now >= 64 << 20 && now <= peak), "{now:?} of {peak}");
        drop(block);
    }
}
