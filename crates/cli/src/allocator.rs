//! Tells the C allocator to keep freed memory.
//!
//! A training step allocates and frees the same large tensors again and again. By default glibc gives such
//! blocks back to the kernel, which then zeroes every page anew: several times slower on operations that stream
//! through memory. Other allocators are left alone.

/// Keeps freed memory in the process from here on. Called first thing in `main`.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "mallopt is a plain C call that only sets three integers")]
    // SAFETY: `mallopt` may be called at any time, takes no pointers, and refuses bad values by returning 0.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 256 << 20);
    }
}
