use super::*;
use crate::testing::random;

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
        self.size.iter().all(|&size| size >= 32) && Precision::Bf16.is_available()
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
                        on_vectors(&mut output, left, right, bias, threads);
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
    for size in SIZES {
        let factors = Factors::new(size);
        let exact = factors.exact();
        factors.for_all_layouts(|output, bias| {
            let rounding = f64::from(f32::EPSILON) * (1.0 + (size[1] as f64).sqrt());
            for (index, (value, (exact, magnitude))) in output.iter().zip(&exact).enumerate() {
                let bias = bias.map_or(0.0, |bias| f64::from(bias[index % size[2]]));
                let error = (f64::from(*value) - exact - bias).abs();
                let magnitude = magnitude + bias.abs();
                assert!(error <= rounding * magnitude, "{size:?}: {error:e} of {magnitude}");
            }
        });
    }
}

/// The root mean square error is that of the same product on vectors, or less: no part was left out.
#[test]
fn is_no_less_exact_than_vectors() {
    for size in SIZES {
        let factors = Factors::new(size);
        if !factors.fits_the_unit() {
            continue;
        }
        let exact = factors.exact();
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
        factors.for_all_layouts(|output, bias| {
            let error = error(output, bias);
            assert!(error <= 1.5 * on_vectors, "{size:?}: {error:e}, on vectors {on_vectors:e}");
        });
    }
}

#[test]
fn what_fits_the_unit_runs_there() {
    for size in SIZES {
        let factors = Factors::new(size);
        let (left, right) = (factors.left(), factors.right());
        let mut output = factors.output();
        for precision in [Precision::F32, Precision::Bf16] {
            let ran_there = on_the_unit(&mut output, left, right, None, precision, Threads::One);
            assert_eq!(ran_there, factors.fits_the_unit(), "{size:?}");
        }
    }
}

#[test]
fn what_is_not_finite_spreads_as_on_vectors() {
    // In the last rows of several laid out one after the other, and in the last run of the inner dimension.
    for size in [[70, 96, 50], [4130, 1100, 40]] {
        let [rows, inner, columns] = size;
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -3.39e38, 1e-40, -0.0]
        {
            for side in 0..2 {
                let mut factors = Factors::new(size);
                if side == 0 {
                    factors.left[(rows - 10) * inner + inner - 10] = special;
                } else {
                    factors.right[(inner - 10) * columns + 3] = special;
                }
                let (left, right) = (factors.left(), factors.right());
                let bias = Some(&factors.bias[..]);
                let (mut ours, mut theirs) = (factors.output(), factors.output());
                product(&mut ours, left, right, bias, Precision::F32, Threads::All);
                on_vectors(&mut theirs, left, right, bias, Threads::All);
                for (ours, theirs) in ours.into_iter().zip(theirs) {
                    let close = (ours - theirs).abs() <= 1e-4 * (1.0 + theirs.abs());
                    assert!(
                        ours == theirs || close || ours.is_nan() && theirs.is_nan(),
                        "{special}: {ours} {theirs}"
                    );
                }
            }
        }
    }
}

#[test]
fn half_precision_is_the_product_of_rounded_factors() {
    for size in SIZES {
        let mut factors = Factors::new(size);
        if !factors.fits_the_unit() {
            continue;
        }
        let (mut half, mut single) = (factors.output(), factors.output());
        let (left, right) = (factors.left(), factors.right());
        product(&mut half, left, right, None, Precision::Bf16, Threads::All);
        product(&mut single, left, right, None, Precision::F32, Threads::All);
        assert_ne!(half, single);
        for value in factors.left.iter_mut().chain(&mut factors.right) {
            *value = f32::from_bits((value.to_bits() + 0x8000) & 0xffff_0000);
        }
        let rounding = f64::from(f32::EPSILON) * (1.0 + (size[1] as f64).sqrt());
        for (value, (exact, magnitude)) in half.iter().zip(factors.exact()) {
            let error = (f64::from(*value) - exact).abs();
            assert!(error <= rounding * magnitude, "{size:?}: {error:e} of {magnitude}");
        }
    }
}

#[test]
fn a_scope_ends_where_its_body_does() {
    Precision::Bf16.scope(|| {
        assert_eq!(Precision::current(), Precision::Bf16);
        Precision::F32.scope(|| assert_eq!(Precision::current(), Precision::F32));
        assert_eq!(Precision::current(), Precision::Bf16);
    });
    assert_eq!(Precision::current(), Precision::F32);
}

#[test]
fn keeps_the_scale_of_its_factors() {
    let factors = Factors::new([32, 64, 32]);
    let run = |factor: f32| {
        let left: Vec<f32> = factors.left.iter().map(|value| value * factor).collect();
        let mut output = factors.output();
        let left = Matrix::new(&left, 32, 64);
        product(&mut output, left, factors.right(), None, Precision::F32, Threads::One);
        output
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

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for size in SIZES {
        let factors = Factors::new(size);
        for precision in [Precision::F32, Precision::Bf16] {
            let on = |count: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
                let mut output = factors.output();
                let (left, right) = (factors.left(), factors.right());
                let bias = Some(&factors.bias[..]);
                pool.install(|| {
                    product(&mut output, left, right, bias, precision, Threads::All);
                });
                output.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let one = on(1);
            assert_eq!(one, on(3));
            assert_eq!(one, on(8));
        }
    }
}
