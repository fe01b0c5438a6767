//! The memory of the binaries: freed memory is kept, and refused memory is an error with an exit code.
//!
//! A training step allocates and frees the same large tensors again and again. By default glibc gives such
//! blocks back to the kernel, which then zeroes every page anew: several times slower on operations that stream
//! through memory. Other allocators are left alone.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::{self, Write},
};

/// Exit code for memory that the system refuses, see [`crate::failure`].
const OUT_OF_MEMORY: i32 = 6;

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

/// The system's allocator. Where it has no more memory to give, the process says so and exits; on its own, Rust
/// would abort as on a fault of the program.
struct ExitWhereRefused;

#[global_allocator]
static ALLOCATOR: ExitWhereRefused = ExitWhereRefused;

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one only passes calls on"
)]
// SAFETY: every call goes to `System` with the caller's own arguments, and what it returns is returned.
unsafe impl GlobalAlloc for ExitWhereRefused {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        granted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        granted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        granted(unsafe { System.realloc(pointer, layout, new_size) }, new_size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The pointer, if it is one.
#[inline]
fn granted(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() {
        refused(bytes)
    }
    pointer
}

#[cold]
#[expect(clippy::exit, reason = "there is no memory to unwind with; what is on disk is whole")]
fn refused(bytes: usize) -> ! {
    // Formatting to unbuffered stderr needs no memory.
    let _ = writeln!(
        io::stderr(),
        "error: the system refused `{bytes}` bytes of memory; make `trainer.micro_batch_size` or the inputs smaller \
         (`train --dry-run` estimates what a run needs)"
    );
    std::process::exit(OUT_OF_MEMORY);
}
