//! The matrix unit of Intel's server CPUs (AMX): tile registers of 16 rows of 64 bytes, and an instruction that
//! multiplies two tiles of `bf16` onto one of `f32`.
//!
//! Stable Rust has no functions for the instructions and knows the registers as clobbers only, so what uses them is
//! assembly. No compiled code keeps anything in them, and the operating system saves them with the thread.

#![expect(unsafe_code, reason = "the instructions of the matrix unit have no safe form")]

use std::{
    arch::{asm, x86_64::__cpuid_count},
    marker::PhantomData,
    ops::Range,
    sync::LazyLock,
};

use super::{
    Matrix, split,
    unit::{BLOCK, MatrixUnit, Sizes, step_length},
};

/// Whether the CPU has the unit, with the vectors that [`split`](super::split) needs, and the system lets us use it.
fn is_available() -> bool {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        const BF16: u32 = 1 << 22;
        const TILES: u32 = 1 << 24;
        let has_tiles = __cpuid_count(7, 0).edx & (BF16 | TILES) == BF16 | TILES;
        has_tiles
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && may_use_tiles()
    });
    *AVAILABLE
}

/// Asks the kernel for the tile registers, whose 8 KiB it saves only for processes that ask.
fn may_use_tiles() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and changes what this process may use.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

/// Eight tiles of 16 × 64 bytes.
#[repr(C, align(64))]
struct Palette {
    id: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

static PALETTE: Palette = {
    let mut palette =
        Palette { id: 1, start_row: 0, reserved: [0; 14], bytes_per_row: [0; 16], rows: [0; 16] };
    let mut tile = 0;
    while tile < 8 {
        palette.bytes_per_row[tile] = 64;
        palette.rows[tile] = 16;
        tile += 1;
    }
    palette
};

/// The unit: one at a time on a thread, and no waiting for other threads meanwhile, which could bring along another.
#[derive(Debug)]
pub(super) struct Amx {
    /// Another thread's registers are not set up.
    this_thread: PhantomData<*const ()>,
}

impl Drop for Amx {
    fn drop(&mut self) {
        // SAFETY: `new` set the unit up on this thread. Released, the system need not save it any more.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

/// Loads the two tiles of one part of the left factor.
macro_rules! left {
    ($offset:literal) => {
        concat!(
            "tileloadd tmm4, [{left} + {row} + ",
            $offset,
            "]\n",
            "tileloadd tmm5, [{left} + {row} + ",
            $offset,
            " + 1024]"
        )
    };
}

/// Loads the two tiles of one part of the right factor.
macro_rules! right {
    ($offset:literal) => {
        concat!(
            "tileloadd tmm6, [{right} + {row} + ",
            $offset,
            "]\n",
            "tileloadd tmm7, [{right} + {row} + ",
            $offset,
            " + 1024]"
        )
    };
}

/// Adds the products of what is loaded to all four sums.
macro_rules! multiply {
    () => {
        "tdpbf16ps tmm0, tmm4, tmm6\ntdpbf16ps tmm1, tmm4, tmm7\ntdpbf16ps tmm2, tmm5, tmm6\ntdpbf16ps tmm3, tmm5, tmm7"
    };
}

/// Runs steps onto sums that start with a row of 32 values, and stores the sums.
macro_rules! steps {
    ($bytes:literal, $left:ident, $right:ident, $steps:ident, $start:ident, $target:ident, $stride:ident, $($line:expr),+) => {
        asm!(
            "tileloadd tmm0, [{start} + {same}]",
            "tileloadd tmm1, [{start} + {same} + 64]",
            "tileloadd tmm2, [{start} + {same}]",
            "tileloadd tmm3, [{start} + {same} + 64]",
            "2:",
            $($line,)+
            concat!("add {left}, ", $bytes),
            concat!("add {right}, ", $bytes),
            "dec {steps}",
            "jnz 2b",
            "tilestored [{target} + {stride}], tmm0",
            "tilestored [{target} + {stride} + 64], tmm1",
            "tilestored [{lower} + {stride}], tmm2",
            "tilestored [{lower} + {stride} + 64], tmm3",
            left = inout(reg) $left.as_ptr() => _,
            right = inout(reg) $right.as_ptr() => _,
            steps = inout(reg) $steps => _,
            row = in(reg) 64usize,
            start = in(reg) $start.as_ptr(),
            same = in(reg) 0usize,
            target = in(reg) $target,
            lower = in(reg) $target.wrapping_add(16 * $stride),
            stride = in(reg) $stride * size_of::<f32>(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

impl MatrixUnit for Amx {
    /// A block of both factors leaves room in a core's cache, and so does a task's part of the right one, 1 MiB. The calling
    /// thread keeps the memory of the left one, 24 MiB at most.
    const SIZES: Sizes = Sizes { depth: 1024, rows: 4096, right: 512 * 1024 };

    fn is_available() -> bool {
        is_available()
    }

    fn new() -> Self {
        assert!(is_available(), "this CPU has no matrix unit");
        // SAFETY: the unit is there, and `PALETTE` is 64 bytes that describe valid tiles.
        unsafe {
            asm!(
                "ldtilecfg [{}]", in(reg) &raw const PALETTE,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, readonly),
            );
        }
        Self { this_thread: PhantomData }
    }

    fn lay_out_left<const PARTS: usize>(
        target: &mut [u16],
        matrix: Matrix<'_>,
        row: usize,
        columns: Range<usize>,
    ) -> bool {
        assert!(is_available(), "this CPU has no matrix unit");
        // SAFETY: the unit is available, hence AVX-512.
        unsafe { split::left::<PARTS>(target, matrix, row, columns) }
    }

    fn lay_out_right<const PARTS: usize>(
        target: &mut [u16],
        matrix: Matrix<'_>,
        row: usize,
        end: usize,
        column: usize,
    ) -> bool {
        assert!(is_available(), "this CPU has no matrix unit");
        // SAFETY: the unit is available, hence AVX-512.
        unsafe { split::right::<PARTS>(target, matrix, row, end, column) }
    }

    unsafe fn block<const PARTS: usize>(
        &self,
        left: &[u16],
        right: &[u16],
        steps: usize,
        start: &[f32; BLOCK],
        target: *mut f32,
        stride: usize,
    ) {
        const { assert!(PARTS == 1 || PARTS == 3) };
        let length = steps * step_length(PARTS);
        debug_assert!(left.len() >= length && right.len() >= length && steps > 0);
        // SAFETY: the unit is set up; the loads stay within `length` values of both factors and the 32 of `start` (a row
        // stride of zero reads the same row 16 times), the stores within the target.
        unsafe {
            if PARTS == 1 {
                steps!(
                    2048,
                    left,
                    right,
                    steps,
                    start,
                    target,
                    stride,
                    left!(0),
                    right!(0),
                    multiply!()
                );
            } else {
                steps!(
                    6144,
                    left,
                    right,
                    steps,
                    start,
                    target,
                    stride,
                    left!(0),
                    right!(0),
                    multiply!(), // high · low
                    right!(2048),
                    multiply!(), // high · middle
                    left!(2048),
                    multiply!(), // middle · middle
                    right!(4096),
                    multiply!(), // middle · high
                    left!(4096),
                    multiply!(), // low · high
                    left!(0),
                    multiply!() // high · high
                );
            }
        }
    }
}
