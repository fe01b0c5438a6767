//! Splits values into `bf16` numbers and lays them out as the matrix unit reads them.
//!
//! `bf16` is the upper half of an `f32`: 8 significant bits. Rounded to 8 bits, a value leaves a rest of 16, and that
//! rounded leaves a rest of 8: three parts add up to the value exactly, from 2⁻¹⁰³ on. One part is the value in half
//! precision.

#![expect(unsafe_code, reason = "vector instructions, masked at the edges of a matrix")]

use std::{
    arch::x86_64::{
        __m512, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi32, _mm512_and_si512,
        _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps_si512, _mm512_castsi512_ps,
        _mm512_cmpgt_epu32_mask, _mm512_loadu_si512, _mm512_maskz_loadu_ps, _mm512_max_epu32,
        _mm512_or_si512, _mm512_permutex2var_epi16, _mm512_set1_epi32, _mm512_setzero_ps,
        _mm512_setzero_si512, _mm512_shuffle_f32x4, _mm512_srli_epi32, _mm512_storeu_si512,
        _mm512_sub_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
        _mm512_unpacklo_ps,
    },
    ops::Range,
};

use super::{
    Matrix,
    unit::{BLOCK, DEPTH, TILE, step_length},
};

/// Rows and columns of a square of values in registers.
const SQUARE: usize = 16;

/// Sign, exponent and the bits of the upper half.
const UPPER: i32 = 0xffff_0000_u32 as i32;

/// [`MatrixUnit::lay_out_left`].
///
/// # Safety
/// The CPU has AVX-512 F and BW.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn left<const PARTS: usize>(
    target: &mut [u16],
    matrix: Matrix<'_>,
    row: usize,
    columns: Range<usize>,
) -> bool {
    // Takes the upper half of every value of two vectors.
    let halves: [u16; 32] = std::array::from_fn(|index| 2 * index as u16 + 1);
    // SAFETY: 64 bytes are read.
    let halves = unsafe { _mm512_loadu_si512(halves.as_ptr().cast()) };
    let mut largest = _mm512_setzero_si512();
    for (step, target) in target.chunks_exact_mut(step_length(PARTS)).enumerate() {
        let column = columns.start + step * DEPTH;
        for half in 0..2 {
            let row = row + half * SQUARE;
            let near = square(matrix, row..matrix.rows, column..columns.end);
            let far = square(matrix, row..matrix.rows, column + SQUARE..columns.end);
            for (index, (near, far)) in near.into_iter().zip(far).enumerate() {
                largest = magnitude(magnitude(largest, near), far);
                for (part, (near, far)) in
                    parts::<PARTS>(near).into_iter().zip(parts::<PARTS>(far)).enumerate()
                {
                    let words = _mm512_permutex2var_epi16(
                        _mm512_castps_si512(near),
                        halves,
                        _mm512_castps_si512(far),
                    );
                    put(target, part, half, index, words);
                }
            }
        }
    }
    can_be_split(largest)
}

/// [`MatrixUnit::lay_out_right`].
///
/// # Safety
/// The CPU has AVX-512 F and BW.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn right<const PARTS: usize>(
    target: &mut [u16],
    matrix: Matrix<'_>,
    row: usize,
    end: usize,
    column: usize,
) -> bool {
    prefetch(matrix, row + DEPTH, column);
    let mut largest = _mm512_setzero_si512();
    for half in 0..2 {
        let column = column + half * SQUARE;
        for depth in [0, SQUARE] {
            let square = square(matrix, row + depth..end, column..matrix.columns);
            for (index, &[even, odd]) in square.as_chunks::<2>().0.iter().enumerate() {
                largest = magnitude(magnitude(largest, even), odd);
                for (part, (even, odd)) in
                    parts::<PARTS>(even).into_iter().zip(parts::<PARTS>(odd)).enumerate()
                {
                    let words = _mm512_or_si512(
                        _mm512_srli_epi32::<16>(_mm512_castps_si512(even)),
                        _mm512_and_si512(_mm512_castps_si512(odd), _mm512_set1_epi32(UPPER)),
                    );
                    put(target, PARTS - 1 - part, half, depth / 2 + index, words);
                }
            }
        }
    }
    can_be_split(largest)
}

/// Asks for the block of 32 rows and columns from there on. Its lines lie far apart, in more pages than the CPU follows by
/// itself, and a weight usually comes from memory.
#[inline]
#[target_feature(enable = "avx512f")]
fn prefetch(matrix: Matrix<'_>, row: usize, column: usize) {
    let (line, place, stride) = if matrix.is_transposed() {
        (column, row, matrix.rows)
    } else {
        (row, column, matrix.columns)
    };
    for line in line..line + DEPTH {
        let first = matrix.values.as_ptr().wrapping_add(line * stride + place);
        for values in [first, first.wrapping_add(SQUARE)] {
            _mm_prefetch::<_MM_HINT_T0>(values.cast());
        }
    }
}

/// Writes one row of a tile.
#[inline]
#[target_feature(enable = "avx512f")]
fn put(step: &mut [u16], part: usize, half: usize, row: usize, words: __m512i) {
    let target = &mut step[(part * 2 + half) * TILE + row * 32..][..32];
    // SAFETY: 64 bytes are written, which is what `target` holds.
    unsafe { _mm512_storeu_si512(target.as_mut_ptr().cast(), words) };
}

/// The value's parts, high to low, each in the upper halves. Three add up to the value.
#[inline]
#[target_feature(enable = "avx512f")]
fn parts<const PARTS: usize>(value: __m512) -> [__m512; PARTS] {
    let mut parts = [_mm512_setzero_ps(); PARTS];
    let mut rest = value;
    for part in &mut parts {
        *part = upper(rest);
        rest = _mm512_sub_ps(rest, *part);
    }
    parts
}

/// The value rounded to 8 significant bits, halves away from zero.
#[inline]
#[target_feature(enable = "avx512f")]
fn upper(value: __m512) -> __m512 {
    let half = _mm512_set1_epi32(0x8000);
    let bits = _mm512_add_epi32(_mm512_castps_si512(value), half);
    _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(UPPER)))
}

/// The larger magnitudes, as integers.
#[inline]
#[target_feature(enable = "avx512f")]
fn magnitude(largest: __m512i, value: __m512) -> __m512i {
    let magnitude = _mm512_and_si512(_mm512_castps_si512(value), _mm512_set1_epi32(i32::MAX));
    _mm512_max_epu32(largest, magnitude)
}

/// Whether values up to these magnitudes can be split.
#[inline]
#[target_feature(enable = "avx512f")]
fn can_be_split(largest: __m512i) -> bool {
    let limit = _mm512_set1_epi32(2.0f32.powi(127).to_bits() as i32 - 1);
    _mm512_cmpgt_epu32_mask(largest, limit) == 0
}

/// The first 16 of `rows` and of `columns`; zero beyond their ends.
#[inline]
#[target_feature(enable = "avx512f")]
fn square(matrix: Matrix<'_>, rows: Range<usize>, columns: Range<usize>) -> [__m512; SQUARE] {
    if matrix.is_transposed() {
        transpose(lines(matrix.values, matrix.rows, columns, rows))
    } else {
        lines(matrix.values, matrix.columns, rows, columns)
    }
}

/// The first 16 of `lines`, each with the first 16 of `places`, as they lie in memory `stride` apart; zero beyond the
/// ends.
#[inline]
#[target_feature(enable = "avx512f")]
fn lines(
    values: &[f32],
    stride: usize,
    lines: Range<usize>,
    places: Range<usize>,
) -> [__m512; SQUARE] {
    let width = places.len().min(SQUARE);
    let mask = ((1u32 << width) - 1) as u16;
    let count = lines.len().min(SQUARE);
    let mut square = [_mm512_setzero_ps(); SQUARE];
    if width == 0 || count == 0 {
        return square;
    }
    let first = lines.start * stride + places.start;
    assert!(
        first + (count - 1) * stride + width <= values.len(),
        "the square reaches beyond the matrix"
    );
    for (index, line) in square[..count].iter_mut().enumerate() {
        // SAFETY: `width` values are read from an index that the assertion bounds.
        *line = unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr().add(first + index * stride)) };
    }
    square
}

/// Rows become columns: pairs, fours, eights, and then both halves change places.
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(clippy::large_types_passed_by_value, reason = "inlined, it stays in registers")]
fn transpose(square: [__m512; SQUARE]) -> [__m512; SQUARE] {
    let mut pairs = square;
    for row in (0..SQUARE).step_by(2) {
        pairs[row] = _mm512_unpacklo_ps(square[row], square[row + 1]);
        pairs[row + 1] = _mm512_unpackhi_ps(square[row], square[row + 1]);
    }
    let mut fours = pairs;
    for row in (0..SQUARE).step_by(4) {
        for low in 0..2 {
            let (upper, lower) =
                (_mm512_castps_pd(pairs[row + low]), _mm512_castps_pd(pairs[row + low + 2]));
            fours[row + 2 * low] = _mm512_castpd_ps(_mm512_unpacklo_pd(upper, lower));
            fours[row + 2 * low + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(upper, lower));
        }
    }
    let mut eights = fours;
    for row in [0, 1, 2, 3] {
        for group in [0, 8] {
            let (upper, lower) = (fours[group + row], fours[group + row + 4]);
            eights[group + row] = _mm512_shuffle_f32x4::<0b10_00_10_00>(upper, lower);
            eights[group + row + 4] = _mm512_shuffle_f32x4::<0b11_01_11_01>(upper, lower);
        }
    }
    let mut columns = eights;
    for row in 0..SQUARE / 2 {
        columns[row] = _mm512_shuffle_f32x4::<0b10_00_10_00>(eights[row], eights[row + 8]);
        columns[row + 8] = _mm512_shuffle_f32x4::<0b11_01_11_01>(eights[row], eights[row + 8]);
    }
    columns
}

const _: () = assert!(BLOCK == 2 * SQUARE && DEPTH == 2 * SQUARE);
