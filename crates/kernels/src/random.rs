//! Random numbers that follow from a seed of one's own.
//!
//! A Burn device has one generator for all threads of a process: whatever else draws from it in between changes what
//! comes next. Inside of [`Seed::scope`] this crate draws from a generator that belongs to the thread instead.

use std::cell::RefCell;

use burn::tensor::{DType, Device, Distribution, Int, Tensor, TensorData};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

use crate::kernel;

/// What random numbers follow from.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use nystromformer_kernels::{Seed, random};
///
/// let draw = || -> Tensor<1> { random([3], Distribution::Normal(0.0, 1.0), &Device::flex()) };
/// assert_eq!(Seed::new(7).scope(draw).into_data(), Seed::new(7).scope(draw).into_data());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

/// Where a scope stands.
#[derive(Debug, Clone)]
struct Generator {
    seed: u64,
    /// The algorithm of Burn's CPU device, so that both draw the same numbers from the same seed.
    numbers: ChaCha12Rng,
    /// Other devices that this scope has drawn on.
    seeded: Vec<Device>,
}

thread_local! {
    /// That of the innermost scope.
    static GENERATOR: RefCell<Option<Generator>> = const { RefCell::new(None) };
}

impl Seed {
    /// The seed with this number.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Runs `body`, in which [`random()`] and [`dropout`](crate::dropout()), if they are called on this thread, give what
    /// is a function of the seed and of the order of the calls.
    ///
    /// Their numbers come from a generator of this scope, the same for every device, and no other thread can change them; but for dropout
    /// on a device that has no kernel for it. That draws its masks itself, seeded before the scope's first draw on it: there, nobody
    /// else may draw meanwhile.
    ///
    /// Outside of all scopes both draw from the device's generator, wherever it stands.
    pub fn scope<R>(self, body: impl FnOnce() -> R) -> R {
        self.enter(Vec::new(), body)
    }

    /// The same, for modules that draw from the generator of `device` itself, as Burn's own do: that starts with this seed
    /// too. On the CPU it is shared with every other thread that draws from it.
    pub fn scope_on<R>(self, device: &Device, body: impl FnOnce() -> R) -> R {
        device.seed(self.0);
        self.enter(vec![device.clone()], body)
    }

    fn enter<R>(self, seeded: Vec<Device>, body: impl FnOnce() -> R) -> R {
        self.generator(seeded).run(body)
    }

    fn generator(self, seeded: Vec<Device>) -> Generator {
        Generator { seed: self.0, numbers: ChaCha12Rng::seed_from_u64(self.0), seeded }
    }
}

impl Generator {
    /// Runs `body` as a scope.
    fn run<R>(self, body: impl FnOnce() -> R) -> R {
        struct Restore(Option<Generator>);
        impl Drop for Restore {
            fn drop(&mut self) {
                GENERATOR.set(self.0.take());
            }
        }
        let _restore = Restore(GENERATOR.replace(Some(self)));
        body()
    }
}

/// Where the innermost scope of a thread stood, to draw the same once more.
#[derive(Debug, Clone)]
pub(crate) struct Draws(Generator);

impl Draws {
    /// Runs `body`, and says where the innermost scope stood before. Outside of all scopes `body` has one of its own, whose seed is
    /// drawn from `device`: the generator of a device cannot be set back.
    pub(crate) fn of<R>(device: &Device, body: impl FnOnce() -> R) -> (Self, R) {
        if let Some(here) = GENERATOR.with_borrow(Clone::clone) {
            return (Self(here), body());
        }
        let [low, high] = key(device).map(u64::from);
        let generator = Seed((high << 32) | low).generator(Vec::new());
        let found = generator.clone().run(body);
        (Self(generator), found)
    }

    /// Runs `body`, which draws the same. The innermost scope stays where it is.
    pub(crate) fn again<R>(self, body: impl FnOnce() -> R) -> R {
        self.0.run(body)
    }
}

/// A tensor of independent numbers, in the device's float type. Inside of a [`Seed::scope`] they are the same on every device.
pub fn random<const D: usize>(
    shape: [usize; D],
    distribution: Distribution,
    device: &Device,
) -> Tensor<D> {
    let dtype = device.settings().float_dtype.into();
    let drawn = GENERATOR.with_borrow_mut(|generator| {
        let numbers = &mut generator.as_mut()?.numbers;
        Some(drawn(shape, distribution, numbers, dtype))
    });
    match drawn {
        Some(data) => Tensor::from_data(data, (device, dtype)),
        None => Tensor::random(shape, distribution, (device, dtype)),
    }
}

/// The same for numbers of which there are many in every step: devices other than the CPU (`flex`) draw them themselves.
pub(crate) fn random_on_device<const D: usize>(
    shape: [usize; D],
    distribution: Distribution,
    device: &Device,
    dtype: DType,
) -> Tensor<D> {
    let of_scope = GENERATOR.with_borrow_mut(|generator| {
        let Generator { seed, numbers, seeded } = generator.as_mut()?;
        if kernel::is_flex(device) {
            return Some(drawn(shape, distribution, numbers, dtype));
        }
        if !seeded.contains(device) {
            device.seed(*seed);
            seeded.push(device.clone());
        }
        None
    });
    match of_scope {
        Some(data) => Tensor::from_data(data, (device, dtype)),
        None => Tensor::random(shape, distribution, (device, dtype)),
    }
}

/// What the CPU device draws from `numbers`: in 64 bits for that type, and in 32 for all others.
fn drawn<const D: usize>(
    shape: [usize; D],
    distribution: Distribution,
    numbers: &mut ChaCha12Rng,
    dtype: DType,
) -> TensorData {
    match dtype {
        DType::F64 => TensorData::random::<f64, _, _>(shape, distribution, numbers),
        _ => TensorData::random::<f32, _, _>(shape, distribution, numbers),
    }
}

/// The key of one call of a kernel: two numbers of 31 bits.
pub(crate) fn key(device: &Device) -> [u32; 2] {
    const NUMBERS: Distribution = Distribution::Uniform(0.0, 2_147_483_647.0);
    let of_scope = GENERATOR.with_borrow_mut(|generator| {
        let generator = &mut generator.as_mut()?.numbers;
        Some(TensorData::random::<i32, _, _>([2], NUMBERS, generator))
    });
    let key = match of_scope {
        Some(key) => key,
        None => Tensor::<1, Int>::random([2], NUMBERS, (device, DType::I32)).into_data(),
    };
    let key: Vec<i32> = key.try_into_vec().expect("drawn as such");
    [key[0] as u32, key[1] as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORMAL: Distribution = Distribution::Normal(0.0, 0.02);
    const UNIFORM: Distribution = Distribution::Uniform(-0.3, 0.3);

    /// Weights, then keys, as a seeded device draws them: a generator of Burn's or of this crate that changed would
    /// change every run.
    #[test]
    fn a_scope_draws_what_a_seeded_device_would() {
        let device = Device::flex();
        // The only test of this crate that reads the device's generator.
        let burns = || Tensor::<1>::random([9], UNIFORM, &device).into_data();
        Seed::new(11).scope_on(&device, || random::<1>([5], NORMAL, &device));
        let after_ours = burns();
        device.seed(11);
        burns().assert_eq(&after_ours, true);

        device.seed(11);
        let weights = Tensor::<2>::random([30, 7], NORMAL, &device).into_data();
        let biases = burns();
        let keys = [key(&device), key(&device)];
        Seed::new(11).scope(|| {
            random([30, 7], NORMAL, &device).into_data().assert_eq(&weights, true);
            random([9], UNIFORM, &device).into_data().assert_eq(&biases, true);
            assert_eq!([key(&device), key(&device)], keys);
        });
    }

    #[test]
    fn other_types_keep_theirs() {
        let device = Device::flex();
        let draw = || random_on_device([40], UNIFORM, &device, DType::F64);
        let [first, second] = [0, 1].map(|_| Seed::new(3).scope(draw).into_data());
        assert_eq!(first.dtype(), DType::F64);
        first.assert_eq(&second, true);
    }

    #[test]
    fn what_was_drawn_is_drawn_once_more_and_the_scope_stays_where_it_is() {
        let device = Device::flex();
        let draw = || key(&device);
        Seed::new(4).scope(|| {
            let (draws, first) = Draws::of(&device, || [draw(), draw()]);
            let second = draw();
            assert_eq!(draws.clone().again(|| [draw(), draw()]), first);
            assert_eq!(draws.again(|| [draw(), draw(), draw()])[2], second);
            let third = draw();
            let all = Seed::new(4).scope(|| [draw(), draw(), draw(), draw()]);
            assert_eq!(all[2..], [second, third]);
        });
        let (draws, first) = Draws::of(&device, draw);
        assert_eq!(draws.again(draw), first);
    }

    #[test]
    fn scopes_nest_and_belong_to_their_thread() {
        let device = Device::flex();
        let key = || key(&device);
        Seed::new(1).scope(|| {
            let first = key();
            assert_eq!(Seed::new(1).scope(key), first);
            let second = key();
            assert_ne!(second, first, "the outer scope goes on where it was");
            let on_another = std::thread::spawn(|| GENERATOR.with_borrow(Option::is_none));
            assert!(on_another.join().unwrap(), "that thread has no scope");
        });
        assert!(GENERATOR.with_borrow(Option::is_none));
    }
}
