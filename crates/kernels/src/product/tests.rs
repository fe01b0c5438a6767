use super::rounding::tests::{Rounding, nearest_bf16, nearest_f16};
use super::*;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::{emulation::Emulated, unit::MatrixUnit};
use crate::testing::{instructions::Instructions, random};

/// Rows, inner dimension, columns: whole blocks, all kinds of edges, more than one run of the inner dimension, and
/// more rows than are laid out at a time.
const SIZES: [[usize; 3]; 11] = [
    [1, 1, 1],
    [5, 3, 7],
    [32, 32, 32],
    [33, 31, 65],
    [64, 100, 33],
    [257, 64, 48],
    [100, 1100, 70],
    [1030, 70, 40],
    [40, 2500, 300],
    [4100, 40, 48],
    [4130, 1100, 33],
];

/// The same for the emulated unit, which takes smaller steps.
const SMALL_SIZES: [[usize; 3]; 8] = [
    [1, 1, 1],
    [5, 3, 7],
    [32, 32, 32],
    [33, 31, 65],
    [64, 100, 33],
    [257, 64, 48],
    [100, 300, 70],
    [130, 70, 200],
];

impl Instructions {
    /// What products are tested with.
    fn sizes(self) -> &'static [[usize; 3]] {
        if self.products == Products::Emulation { &SMALL_SIZES } else { &SIZES }
    }

    /// Whether products run on a matrix unit, if they are large enough.
    fn have_unit(self) -> bool {
        self.products != Products::Vectors
    }
}

fn values(length: usize) -> Vec<f32> {
    random([length]).into_data().try_into_vec().unwrap()
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}

/// Factors and bias of one size.
struct Factors {
    size: [usize; 3],
    left: Vec<f32>,
    right: Vec<f32>,
    bias: Vec<f32>,
}

impl Factors {
    fn new(size: [usize; 3]) -> Self {
        let [rows, inner, columns] = size;
        let (left, right) = (values(rows * inner), values(inner * columns));
        Self { size, left, right, bias: values(columns) }
    }

    fn left(&self) -> Matrix<'_> {
        Matrix::new(&self.left, self.size[0], self.size[1])
    }

    fn right(&self) -> Matrix<'_> {
        Matrix::new(&self.right, self.size[1], self.size[2])
    }

    fn output(&self) -> Vec<f32> {
        vec![f32::NAN; self.size[0] * self.size[2]]
    }

    /// Whether a matrix unit computes this product, if there is one.
    fn fits_the_unit(&self) -> bool {
        self.size.iter().all(|&size| size >= 32)
    }

    /// Both orders of both factors, with and without a bias, on one thread and on all.
    fn for_all_layouts(&self, check: impl Fn(&[f32], Option<&[f32]>)) {
        let [rows, inner, columns] = self.size;
        let left = transposed(&self.left, rows, inner);
        let right = transposed(&self.right, inner, columns);
        let lefts = [self.left(), Matrix::new(&left, inner, rows).transpose()];
        let rights = [self.right(), Matrix::new(&right, columns, inner).transpose()];
        for threads in [Threads::One, Threads::All] {
            for bias in [None, Some(&self.bias[..])] {
                for left in lefts {
                    for right in rights {
                        let mut output = self.output();
                        product(&mut output, left, right, bias, Precision::F32, threads);
                        check(&output, bias);
                    }
                }
            }
        }
    }

    /// The product in `f64` without the bias, and the sum of the magnitudes of its terms.
    fn exact(&self) -> Vec<(f64, f64)> {
        let [rows, inner, columns] = self.size;
        let mut exact = vec![(0.0, 0.0); rows * columns];
        for row in 0..rows {
            let sums = &mut exact[row * columns..(row + 1) * columns];
            for depth in 0..inner {
                let left = f64::from(self.left[row * inner + depth]);
                let right = &self.right[depth * columns..(depth + 1) * columns];
                for ((sum, magnitude), &right) in sums.iter_mut().zip(right) {
                    let term = left * f64::from(right);
                    *sum += term;
                    *magnitude += term.abs();
                }
            }
        }
        exact
    }
}

#[test]
fn is_as_exact_as_single_precision() {
    for set in Instructions::all_products() {
        for &size in set.sizes() {
            let factors = Factors::new(size);
            let exact = factors.exact();
            let check = |output: &[f32], bias: Option<&[f32]>| {
                let rounding = f64::from(f32::EPSILON) * (1.0 + (size[1] as f64).sqrt());
                for (index, (value, (exact, magnitude))) in output.iter().zip(&exact).enumerate() {
                    let bias = bias.map_or(0.0, |bias| f64::from(bias[index % size[2]]));
                    let error = (f64::from(*value) - exact - bias).abs();
                    let magnitude = magnitude + bias.abs();
                    assert!(error <= rounding * magnitude, "{size:?}: {error:e} of {magnitude}");
                }
            };
            set.run(2, || factors.for_all_layouts(check));
        }
    }
}

/// The root mean square error is that of the same product on vectors, or less: no part was left out.
#[test]
fn is_no_less_exact_than_vectors() {
    for set in Instructions::all_products().into_iter().filter(|set| set.have_unit()) {
        for factors in set.sizes().iter().map(|&size| Factors::new(size)) {
            if !factors.fits_the_unit() {
                continue;
            }
            let (size, exact) = (factors.size, factors.exact());
            let error = |output: &[f32], bias: Option<&[f32]>| -> f64 {
                let bias = |index: usize| bias.map_or(0.0, |bias| f64::from(bias[index % size[2]]));
                let squares = output
                    .iter()
                    .zip(&exact)
                    .enumerate()
                    .map(|(index, (&value, (exact, _)))| f64::from(value) - exact - bias(index))
                    .map(|error| error * error);
                (squares.sum::<f64>() / output.len() as f64).sqrt()
            };
            let mut output = factors.output();
            on_vectors(&mut output, factors.left(), factors.right(), None, Threads::All);
            let on_vectors = error(&output, None);
            let check = |output: &[f32], bias: Option<&[f32]>| {
                let error = error(output, bias);
                assert!(error <= 1.5 * on_vectors, "{size:?}: {error:e}, vectors {on_vectors:e}");
            };
            set.run(2, || factors.for_all_layouts(check));
        }
    }
}

#[test]
fn what_fits_the_unit_runs_there() {
    for set in Instructions::all_products() {
        for factors in set.sizes().iter().map(|&size| Factors::new(size)) {
            let (left, right) = (factors.left(), factors.right());
            for precision in [Precision::F32, Precision::Bf16] {
                let ran_there = set.run(2, || {
                    let mut output = factors.output();
                    on_the_unit(&mut output, left, right, None, precision, Threads::One)
                });
                assert_eq!(ran_there, set.have_unit() && factors.fits_the_unit());
            }
        }
    }
    if !has_matrix_unit() {
        instructions::say(
            "skipped: products on amx, which this CPU lacks (its emulation is tested)",
        );
    }
}

/// In the last place, in the last rows of several laid out one after the other, and in the last run of the inner
/// dimension.
#[test]
fn what_is_not_finite_spreads_as_on_vectors() {
    const SPECIAL: [f32; 7] =
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -3.39e38, 1e-40, -0.0];
    for set in Instructions::all_products() {
        let sizes = match set.products {
            Products::Emulation => [[70, 96, 50], [130, 300, 40]],
            _ => [[70, 96, 50], [4130, 1100, 40]],
        };
        for size in sizes {
            let [rows, inner, columns] = size;
            let places = [
                (0, (rows - 10) * inner + inner - 10),
                (0, rows * inner - 1),
                (1, (inner - 10) * columns + 3),
                (1, inner * columns - 1),
            ];
            for (special, (side, place)) in
                SPECIAL.into_iter().flat_map(|special| places.map(|place| (special, place)))
            {
                let mut factors = Factors::new(size);
                let factor = if side == 0 { &mut factors.left } else { &mut factors.right };
                factor[place] = special;
                let (left, right) = (factors.left(), factors.right());
                let bias = Some(&factors.bias[..]);
                let ours = set.run(2, || {
                    let mut ours = factors.output();
                    product(&mut ours, left, right, bias, Precision::F32, Threads::All);
                    ours
                });
                let mut theirs = factors.output();
                on_vectors(&mut theirs, left, right, bias, Threads::All);
                for (ours, theirs) in ours.into_iter().zip(theirs) {
                    let close = (ours - theirs).abs() <= 1e-4 * (1.0 + theirs.abs());
                    assert!(
                        ours == theirs || close || ours.is_nan() && theirs.is_nan(),
                        "{special} at {place} of factor {side}: {ours} {theirs}"
                    );
                }
            }
        }
    }
}

/// Of every size, on the unit and beside it, whose sums round otherwise: the terms are those of the rounded factors.
#[test]
fn half_precision_is_the_product_of_rounded_factors() {
    let roundings: [Rounding; 2] = [(Precision::Bf16, nearest_bf16), (Precision::F16, nearest_f16)];
    for set in Instructions::all_products() {
        for (size, (precision, nearest)) in
            set.sizes().iter().flat_map(|&size| roundings.map(|rounding| (size, rounding)))
        {
            let mut factors = Factors::new(size);
            let (left, right) = (factors.left(), factors.right());
            let [half, single] = [precision, Precision::F32].map(|precision| {
                let bias = Some(&factors.bias[..]);
                [Threads::All, Threads::One].map(|threads| {
                    set.run(2, || {
                        let mut output = factors.output();
                        product(&mut output, left, right, bias, precision, threads);
                        output
                    })
                })
            });
            assert_eq!(half[0], half[1]);
            assert_ne!(half, single, "{size:?} in {precision:?}");
            for value in factors.left.iter_mut().chain(&mut factors.right) {
                *value = nearest(*value) as f32;
            }
            let rounding = f64::from(f32::EPSILON) * (1.0 + (size[1] as f64).sqrt());
            for (index, (value, (exact, magnitude))) in
                half[0].iter().zip(factors.exact()).enumerate()
            {
                let bias = f64::from(factors.bias[index % size[2]]);
                let error = (f64::from(*value) - exact - bias).abs();
                let magnitude = magnitude + bias.abs();
                assert!(
                    error <= rounding * magnitude,
                    "{size:?} in {precision:?}: {error:e} of {magnitude}"
                );
            }
        }
    }
}

/// What `bf16` may not hold is multiplied as it is, and what `f16` cannot becomes infinite.
#[test]
fn what_is_too_large_for_half_precision_does_what_is_said_of_it() {
    for set in Instructions::all_products() {
        for size in [[3, 5, 4], [70, 96, 50]] {
            let factors = Factors::new(size);
            let of = |precision: Precision, special: f32| {
                let (mut left, mut right) = (factors.left.clone(), factors.right.clone());
                left[0] = special;
                // The terms of what is that large are not.
                right[..size[2]].fill(1e-3);
                set.run(2, || {
                    let mut output = factors.output();
                    let left = Matrix::new(&left, size[0], size[1]);
                    let right = Matrix::new(&right, size[1], size[2]);
                    product(&mut output, left, right, None, precision, Threads::All);
                    output.into_iter().map(f32::to_bits).collect::<Vec<_>>()
                })
            };
            for special in [2f32.powi(127), f32::MIN, f32::INFINITY, f32::NAN] {
                assert_eq!(
                    of(Precision::Bf16, special),
                    of(Precision::F32, special),
                    "{special:e}"
                );
            }
            assert_ne!(of(Precision::Bf16, 1e38), of(Precision::F32, 1e38));
            let at_the_edge = of(Precision::F16, 65_519.0);
            assert_eq!(at_the_edge, of(Precision::F16, 65_504.0));
            let beyond = of(Precision::F16, 65_520.0);
            let (first_row, others) = beyond.split_at(size[2]);
            assert!(first_row.iter().all(|bits| f32::from_bits(*bits) == f32::INFINITY));
            // The unit does not take what is infinite, and sums up in another order.
            for (beyond, edge) in others.iter().zip(&at_the_edge[size[2]..]) {
                let [beyond, edge] = [*beyond, *edge].map(f32::from_bits);
                assert!((beyond - edge).abs() <= 1e-5 * (1.0 + edge.abs()), "{beyond} {edge}");
            }
            let of_nan = of(Precision::F16, f32::NAN);
            assert!(of_nan[..size[2]].iter().all(|bits| f32::from_bits(*bits).is_nan()));
        }
    }
}

/// Vectors and plain code lay factors out alike, wherever there are such vectors.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn vectors_lay_factors_out_as_plain_code_does() {
    if !is_x86_feature_detected!("avx512f") || !is_x86_feature_detected!("avx512bw") {
        instructions::say("skipped: layout for amx, whose vectors this CPU lacks");
        return;
    }
    for [rows, columns] in [[32, 32], [1, 40], [45, 97], [70, 16]] {
        let mut values = values(rows * columns);
        values[rows * columns - 1] = -1e-40;
        values[rows * columns / 2] = 2.0f32.powi(-110);
        for special in [1.0, -0.0, 1.7e38, 1.8e38, f32::NEG_INFINITY, f32::NAN] {
            values[rows * columns / 3] = special;
            let matrix = Matrix::new(&values, rows, columns);
            for matrix in [matrix, matrix.transpose()] {
                layouts_agree::<1>(matrix);
                layouts_agree::<3>(matrix);
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[expect(unsafe_code, reason = "needs the CPU's vectors")]
fn layouts_agree<const PARTS: usize>(matrix: Matrix<'_>) {
    let step = unit::step_length(PARTS);
    for row in (0..matrix.rows).step_by(unit::BLOCK) {
        let length = matrix.columns.div_ceil(unit::DEPTH) * step;
        let [mut ours, mut plain] = [(); 2].map(|()| vec![1; length]);
        // SAFETY: the caller looked for AVX-512 F and BW.
        let split = unsafe { split::left::<PARTS>(&mut ours, matrix, row, 0..matrix.columns) };
        let expected = Emulated::lay_out_left::<PARTS>(&mut plain, matrix, row, 0..matrix.columns);
        assert_eq!(split, expected, "{matrix:?}");
        assert!(!split || ours == plain, "left factor {matrix:?}");
        for column in (0..matrix.columns).step_by(unit::BLOCK) {
            let [mut ours, mut plain] = [(); 2].map(|()| vec![1; step]);
            // SAFETY: as above.
            let split =
                unsafe { split::right::<PARTS>(&mut ours, matrix, row, matrix.rows, column) };
            let expected =
                Emulated::lay_out_right::<PARTS>(&mut plain, matrix, row, matrix.rows, column);
            assert_eq!(split, expected, "{matrix:?}");
            assert!(!split || ours == plain, "right factor {matrix:?}");
        }
    }
}

#[test]
fn keeps_the_scale_of_its_factors() {
    let factors = Factors::new([32, 64, 32]);
    for set in Instructions::all_products() {
        let run = |factor: f32| {
            let left: Vec<f32> = factors.left.iter().map(|value| value * factor).collect();
            set.run(2, || {
                let mut output = factors.output();
                let left = Matrix::new(&left, 32, 64);
                product(&mut output, left, factors.right(), None, Precision::F32, Threads::One);
                output
            })
        };
        let plain = run(1.0);
        // Powers of two change no digit, as long as the last of them stays a normal number.
        for power in [-60, 60, 90] {
            let factor = 2.0f32.powi(power);
            for (value, plain) in run(factor).into_iter().zip(&plain) {
                assert_eq!(value, plain * factor, "2^{power}");
            }
        }
        // Further down digits are lost, but no more than of 8.
        let factor = 2.0f32.powi(-110);
        let magnitude = 64.0 * factor;
        for (value, plain) in run(factor).into_iter().zip(&plain) {
            assert!((value - plain * factor).abs() < magnitude / 128.0);
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for set in Instructions::all_products() {
        for factors in set.sizes().iter().map(|&size| Factors::new(size)) {
            for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
                let on = |threads| {
                    set.run(threads, || {
                        let mut output = factors.output();
                        let (left, right) = (factors.left(), factors.right());
                        let bias = Some(&factors.bias[..]);
                        product(&mut output, left, right, bias, precision, Threads::All);
                        output.into_iter().map(f32::to_bits).collect::<Vec<_>>()
                    })
                };
                let one = on(1);
                assert_eq!(one, on(3));
                assert_eq!(one, on(8));
            }
        }
    }
}
