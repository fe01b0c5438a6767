//! The seam between a kernel and Burn: a [`Kernel`] is an operation on one backend's tensors with its derivative, and
//! [`run_1`], [`run_2`] … make it an operation on [`Tensor`]s.
//!
//! Burn 0.22's [`Tensor`] does not name its backend; [`Dispatch`] finds it when an operation runs. So each function of
//! this crate asks [`runs_on`] whether its tensors' backend has the kernel. If so, the kernel runs, else the composed
//! twin. Two backends have kernels: `Flex`, the CPU's, and with the cargo feature `cube` `Cube`, that of all GPUs. A kernel for
//! `Cube` is a file, say `gelu/cube.rs`, with `impl Kernel<Cube, 1> for Gelu`, in the place of the line [`lacking!`](lacking). What it
//! saves for the derivative is its own choice ([`Kernel::Saved`]). What it takes at all says [`Kernel::supports`], and of which sizes
//! and on which device [`Kernel::fits`].
//!
//! With the feature `fused` Burn records operations on `Cube` to fuse them itself, and there are no kernels for it.
//!
//! A test at the foot runs one kernel on two backends.

mod lacking;
mod refusals;
mod tensors;

use std::{
    cell::RefCell,
    collections::HashSet,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, DispatchDevice, Flex, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        ops::FloatTensorOps,
        tensor::FloatTensor,
    },
    tensor::{DType, Device, Tensor},
};

#[cfg(all(feature = "cube", not(feature = "fused")))]
use burn::backend::Cube;

#[cfg(all(feature = "cube", not(feature = "fused")))]
use crate::cube::OnCube;
use crate::{
    gradient_watch, simd,
    trace::{self, Pass},
};

pub(crate) use lacking::lacking;
pub use refusals::hear_refusals;
#[cfg(all(feature = "cube", not(feature = "fused")))]
pub(crate) use refusals::refuse;
pub(crate) use tensors::Tensors;

/// An operation on `N` tensors of backend `B`, and its derivative. What is not differentiated (sizes, masks, labels) is
/// part of the kernel itself.
pub(crate) trait Kernel<B: Backend, const N: usize>: Debug + Send + Sync + 'static {
    /// What the derivative needs of inputs and output.
    type Saved: Clone + Debug + Send + 'static;

    /// Whether the kernel takes tensors of this type.
    fn supports(dtype: DType) -> bool {
        dtype == DType::F32
    }

    /// Whether the kernel computes this of inputs of these shapes on this device.
    fn fits(&self, _shapes: [&[usize]; N], _device: &B::Device) -> bool {
        true
    }

    /// The output, and what the derivative will need.
    fn forward(&self, inputs: [FloatTensor<B>; N]) -> (FloatTensor<B>, Self::Saved);

    /// The output alone, for where there will be no derivative.
    fn infer(&self, inputs: [FloatTensor<B>; N]) -> FloatTensor<B> {
        self.forward(inputs).0
    }

    /// The gradient of each input, from that of the output. Inputs that are not `wanted` may get `None`.
    fn backward(
        &self,
        saved: Self::Saved,
        gradient: FloatTensor<B>,
        wanted: [bool; N],
    ) -> [Option<FloatTensor<B>>; N];

    /// The same, each gradient on top of the sum of those that other operations gave for its input so far, if they did.
    fn backward_onto(
        &self,
        saved: Self::Saved,
        gradient: FloatTensor<B>,
        wanted: [bool; N],
        mut sums: [Option<FloatTensor<B>>; N],
    ) -> [Option<FloatTensor<B>>; N]
    where
        B: AddGradients,
    {
        let mut found = self.backward(saved, gradient, wanted);
        std::array::from_fn(|input| on_top_of::<B>(sums[input].take(), found[input].take()))
    }
}

/// A gradient on top of a sum of others, as far as there are such.
pub(crate) fn on_top_of<B: AddGradients>(
    sum: Option<FloatTensor<B>>,
    gradient: Option<FloatTensor<B>>,
) -> Option<FloatTensor<B>> {
    match (sum, gradient) {
        (Some(sum), Some(gradient)) => Some(B::add_gradients(sum, gradient)),
        (sum, gradient) => sum.or(gradient),
    }
}

/// A kernel on every backend of [`KernelBackend`].
pub(crate) trait Fused<const N: usize>: Kernel<Flex, N> + OnCube<N> {}

impl<K: Kernel<Flex, N> + OnCube<N>, const N: usize> Fused<N> for K {}

/// Without that backend, nothing more is asked of a kernel.
#[cfg(not(all(feature = "cube", not(feature = "fused"))))]
pub(crate) trait OnCube<const N: usize> {}

#[cfg(not(all(feature = "cube", not(feature = "fused"))))]
impl<K, const N: usize> OnCube<N> for K {}

static ENABLED: AtomicBool = AtomicBool::new(true);

/// Turns all kernels off, so that Burn's own operations run everywhere, or on again. For comparing the two; what a
/// forward pass recorded keeps the side it was recorded on.
#[doc(hidden)]
pub fn set_enabled(enabled: bool) {
    ENABLED.store(enabled, Ordering::Relaxed);
}

/// Whether kernel `K` runs on the backend and the type of `tensor`.
pub(crate) fn runs_on<K: Fused<N>, const N: usize, const D: usize>(tensor: &Tensor<D>) -> bool {
    are_enabled()
        && match tensor.device().inner().as_dispatch() {
            DispatchDevice::Flex(_) => <K as Kernel<Flex, N>>::supports(tensor.dtype()),
            #[cfg(all(feature = "cube", not(feature = "fused")))]
            DispatchDevice::Cube(_) => {
                is_countable(tensor) && <K as Kernel<Cube, N>>::supports(tensor.dtype())
            }
            _ => false,
        }
}

/// Whether the optimizer's operations run on the backend and the type of `tensor`: they record no derivative, and so are no [`Kernel`].
pub(crate) fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    are_enabled()
        && tensor.dtype() == DType::F32
        && match tensor.device().inner().as_dispatch() {
            DispatchDevice::Flex(_) => true,
            #[cfg(all(feature = "cube", not(feature = "fused")))]
            DispatchDevice::Cube(_) => is_countable(tensor),
            _ => false,
        }
}

/// Places are counted in 32 bits on such devices, and of nothing there is nothing to compute.
#[cfg(all(feature = "cube", not(feature = "fused")))]
fn is_countable<const D: usize>(tensor: &Tensor<D>) -> bool {
    (1..=u32::MAX as usize).contains(&tensor.shape().num_elements())
}

/// Whether this `kernel` runs on inputs of these shapes where `tensor` is, which is one of them.
pub(crate) fn runs<K: Fused<N>, const N: usize, const D: usize>(
    kernel: &K,
    tensor: &Tensor<D>,
    shapes: [&[usize]; N],
) -> bool {
    runs_on::<K, N, D>(tensor)
        && match tensor.device().inner().as_dispatch() {
            DispatchDevice::Flex(device) => Kernel::<Flex, N>::fits(kernel, shapes, device),
            #[cfg(all(feature = "cube", not(feature = "fused")))]
            DispatchDevice::Cube(device) => Kernel::<Cube, N>::fits(kernel, shapes, device),
            _ => false,
        }
}

/// Whether kernels may run at all.
pub(crate) fn are_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Whether `device` is Burn's CPU backend `flex`, with autodiff or without. Its tensors lie in this program's memory: nobody waits
/// who reads one.
pub fn is_flex(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Runs `kernel` on one input.
pub(crate) fn run_1<const A: usize, const OUT: usize>(
    kernel: impl Fused<1>,
    input: Tensor<A>,
) -> Tensor<OUT> {
    Tensor::from_dispatch(Dispatch::run_1(input.into_dispatch(), kernel))
}

/// Runs `kernel` on two inputs.
pub(crate) fn run_2<const A: usize, const B: usize, const OUT: usize>(
    kernel: impl Fused<2>,
    inputs: (Tensor<A>, Tensor<B>),
) -> Tensor<OUT> {
    Tensor::from_dispatch(Dispatch::run_2(
        inputs.0.into_dispatch(),
        inputs.1.into_dispatch(),
        kernel,
    ))
}

/// Runs `kernel` on three inputs.
pub(crate) fn run_3<const A: usize, const B: usize, const C: usize, const OUT: usize>(
    kernel: impl Fused<3>,
    inputs: (Tensor<A>, Tensor<B>, Tensor<C>),
) -> Tensor<OUT> {
    Tensor::from_dispatch(Dispatch::run_3(
        inputs.0.into_dispatch(),
        inputs.1.into_dispatch(),
        inputs.2.into_dispatch(),
        kernel,
    ))
}

/// Runs `kernel` on four inputs.
pub(crate) fn run_4<
    const A: usize,
    const B: usize,
    const C: usize,
    const D: usize,
    const OUT: usize,
>(
    kernel: impl Fused<4>,
    inputs: (Tensor<A>, Tensor<B>, Tensor<C>, Tensor<D>),
) -> Tensor<OUT> {
    Tensor::from_dispatch(Dispatch::run_4(
        inputs.0.into_dispatch(),
        inputs.1.into_dispatch(),
        inputs.2.into_dispatch(),
        inputs.3.into_dispatch(),
        kernel,
    ))
}

/// One method for each number of inputs: Burn finds the backend by the tensors in a method's signature.
#[backend_extension(Autodiff, Flex, Cube: cfg(all(feature = "cube", not(feature = "fused"))))]
pub(crate) trait KernelBackend: Backend {
    /// Runs a kernel of one input.
    fn run_1<K: Fused<1>>(input_1: FloatTensor<Self>, kernel: K) -> FloatTensor<Self>;

    /// Runs a kernel of two inputs.
    fn run_2<K: Fused<2>>(
        input_1: FloatTensor<Self>,
        input_2: FloatTensor<Self>,
        kernel: K,
    ) -> FloatTensor<Self>;

    /// Runs a kernel of three inputs.
    fn run_3<K: Fused<3>>(
        input_1: FloatTensor<Self>,
        input_2: FloatTensor<Self>,
        input_3: FloatTensor<Self>,
        kernel: K,
    ) -> FloatTensor<Self>;

    /// Runs a kernel of four inputs.
    fn run_4<K: Fused<4>>(
        input_1: FloatTensor<Self>,
        input_2: FloatTensor<Self>,
        input_3: FloatTensor<Self>,
        input_4: FloatTensor<Self>,
        kernel: K,
    ) -> FloatTensor<Self>;
}

/// Runs kernels on a backend: without autodiff they just run, with it they are recorded.
macro_rules! backend {
    ($backend:ident) => {
        backend! {
            $backend:
            run_1<1>(input_1);
            run_2<2>(input_1, input_2);
            run_3<3>(input_1, input_2, input_3);
            run_4<4>(input_1, input_2, input_3, input_4);
        }
    };
    ($backend:ident: $($name:ident<$n:literal>($($input:ident),+);)+) => {
        impl KernelBackend for $backend {
            $(fn $name<K: Fused<$n>>($($input: FloatTensor<Self>),+, kernel: K) -> FloatTensor<Self> {
                let inputs = [$($input),+];
                let _span = trace::kernel(name_of::<K>(), Pass::Inference, || shapes(&inputs));
                Kernel::<Self, _>::infer(&kernel, inputs)
            })+
        }

        impl<C: CheckpointStrategy> KernelBackend for Autodiff<$backend, C> {
            $(fn $name<K: Fused<$n>>($($input: FloatTensor<Self>),+, kernel: K) -> FloatTensor<Self> {
                record::<$backend, C, K, _>([$($input),+], kernel)
            })+
        }
    };
}

backend!(Flex);
#[cfg(all(feature = "cube", not(feature = "fused")))]
backend!(Cube);

/// A backend on which gradients meet.
pub(crate) trait AddGradients: Backend {
    /// The sum of two gradients of one tensor.
    fn add_gradients(sum: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl AddGradients for Flex {
    /// Burn's own addition runs on one core.
    fn add_gradients(sum: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let is_single = |tensor: &FloatTensor<Self>| tensor.dtype() == DType::F32;
        if is_single(&sum) && is_single(&gradient) {
            simd::add(sum, gradient)
        } else {
            Self::float_add(gradient, sum)
        }
    }
}

#[cfg(all(feature = "cube", not(feature = "fused")))]
impl AddGradients for Cube {
    fn add_gradients(sum: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_add(gradient, sum)
    }
}

/// Runs a kernel and records its derivative.
fn record<B: AddGradients, C: CheckpointStrategy, K: Kernel<B, N>, const N: usize>(
    inputs: [FloatTensor<Autodiff<B, C>>; N],
    kernel: K,
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = inputs.each_ref().map(FloatTensor::<Autodiff<B, C>>::node);
    let inputs = inputs.map(FloatTensor::<Autodiff<B, C>>::into_primitive);
    let kernel = Arc::new(kernel);
    let span =
        |pass, inputs: &[FloatTensor<B>; N]| trace::kernel(name_of::<K>(), pass, || shapes(inputs));
    let recorded = Recorded { kernel: kernel.clone(), part: trace::current_part() };
    match recorded.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let span = span(Pass::Forward, &inputs);
            let (output, saved) = kernel.forward(inputs);
            drop(span);
            step.finish(saved, output)
        }
        OpsKind::UnTracked(step) => {
            let span = span(Pass::Inference, &inputs);
            let output = kernel.infer(inputs);
            drop(span);
            step.finish(output)
        }
    }
}

/// What a kernel is called in a trace: as its type is.
fn name_of<K>() -> &'static str {
    let path = std::any::type_name::<K>();
    path.rsplit("::").next().unwrap_or(path)
}

fn shapes<T: TensorMetadata>(tensors: &[T]) -> Vec<Vec<usize>> {
    tensors.iter().map(|tensor| tensor.shape().to_vec()).collect()
}

/// The recorded step.
#[derive(Debug)]
struct Recorded<K> {
    kernel: Arc<K>,
    /// For a trace, the part of the model that it is of.
    part: Option<Arc<str>>,
}

thread_local! {
    /// The tensors whose gradient so far came from kernels of a backward pass on this thread, by their nodes in autodiff's
    /// graph, which no other pass has. Those that another operation took the gradient of stay here, until there are many.
    static GIVEN: RefCell<HashSet<u64>> = RefCell::default();
}

/// Entries of [`GIVEN`] after which it is begun anew; the sums that it would have known of are then Burn's.
const MANY: usize = 10_000;

impl<B: AddGradients, K: Kernel<B, N>, const N: usize> Backward<B, N> for Recorded<K> {
    type State = K::Saved;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let given = |id: u64| GIVEN.with_borrow_mut(|given| given.remove(&id));
        given(ops.node.id.value);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        // A tensor that several operations read gets a gradient from each, and autodiff adds them on one core. So the sum so
        // far is taken back, if it is there. That of a leaf (of order 0) cannot be taken.
        let sums = ops.parents.each_ref().map(|parent| {
            let parent = parent.as_ref().filter(|parent| parent.order > 0)?;
            given(parent.id.value).then(|| gradients.consume::<B>(parent))
        });
        let span = trace::derivative(name_of::<K>(), self.part.as_ref(), || {
            shapes(std::slice::from_ref(&gradient))
        });
        let found = self.kernel.backward_onto(ops.state, gradient, wanted, sums);
        drop(span);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            let (Some(parent), Some(mut gradient)) = (parent, gradient) else { continue };
            if parent.order > 0 {
                // One tensor may be several inputs.
                if given(parent.id.value) {
                    gradient = B::add_gradients(gradients.consume::<B>(&parent), gradient);
                }
                GIVEN.with_borrow_mut(|given| {
                    if given.len() > MANY {
                        given.clear();
                    }
                    given.insert(parent.id.value);
                });
            }
            gradients.register::<B>(parent.id, gradient);
            if parent.order == 0 {
                gradient_watch::came(parent.id, gradients);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        backend::{AutodiffBackend, autodiff::checkpoint::strategy::NoCheckpointing},
        tensor::TensorData,
    };
    use burn_flex::FlexTensor;

    use super::*;

    /// `x³`.
    #[derive(Debug)]
    struct Cubed;

    lacking!(Cubed: 1);

    impl AddGradients for Second {
        fn add_gradients(sum: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
            Self::float_add(sum, gradient)
        }
    }

    impl Kernel<Flex, 1> for Cubed {
        type Saved = FlexTensor;

        fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, FlexTensor) {
            (simd::map(x.clone(), |x| x * x * x), x)
        }

        fn backward(
            &self,
            x: FlexTensor,
            gradient: FlexTensor,
            _wanted: [bool; 1],
        ) -> [Option<FlexTensor>; 1] {
            [Some(simd::zip(x, gradient, |x, gradient| 3.0 * x * x * gradient))]
        }
    }

    /// A second backend, here one whose tensors know their derivative already.
    type Second = Autodiff<Flex>;

    /// It saves something else than the first.
    impl Kernel<Second, 1> for Cubed {
        type Saved = Slope;

        fn supports(dtype: DType) -> bool {
            matches!(dtype, DType::F32 | DType::F64)
        }

        fn forward(&self, [x]: [FloatTensor<Second>; 1]) -> (FloatTensor<Second>, Slope) {
            let square = Second::float_mul(x.clone(), x.clone());
            let slope = Slope(Second::float_mul_scalar(square.clone(), 3.0.into()));
            (Second::float_mul(square, x), slope)
        }

        fn backward(
            &self,
            Slope(slope): Slope,
            gradient: FloatTensor<Second>,
            _wanted: [bool; 1],
        ) -> [Option<FloatTensor<Second>>; 1] {
            [Some(Second::float_mul(slope, gradient))]
        }
    }

    type Tracked = Autodiff<Second, NoCheckpointing>;

    #[derive(Debug, Clone)]
    struct Slope(FloatTensor<Second>);

    const X: [f32; 3] = [1.0, -2.0, 0.5];

    #[test]
    fn one_kernel_runs_and_is_differentiated_on_two_backends() {
        let x = Tensor::<1>::from_floats(X, &Device::flex().autodiff()).require_grad();
        assert!(runs_on::<Cubed, 1, 1>(&x));
        let output: Tensor<1> = run_1(Cubed, x.clone());
        let gradients = output.clone().sum().backward();
        let on_flex = [output.into_data(), x.grad(&gradients).unwrap().into_data()];

        let x = Second::from_inner(simd::tensor(X.to_vec(), [3].into()));
        let x = Tracked::float_set_require_grad(Tracked::from_inner(x), true);
        let output = record::<Second, NoCheckpointing, _, 1>([x.clone()], Cubed);
        let gradients = Tracked::backward(Tracked::float_sum(output.clone()));
        let gradient = Tracked::grad(&x, &gradients).unwrap();
        let on_second =
            [output.into_primitive(), gradient].map(|tensor| tensor.into_primitive().into_data());

        assert_eq!(on_flex, on_second);
        assert_eq!(on_flex, [[1.0f32, -8.0, 0.125], [3.0, 12.0, 0.75]].map(TensorData::from));
    }

    /// A tensor that kernels and other operations read, in any order, and one that several kernels read twice over.
    #[test]
    fn gradients_that_meet_are_added() {
        let cube = |x: &Tensor<1>| run_1::<1, 1>(Cubed, x.clone());
        let slope = |function: &dyn Fn(&Tensor<1>) -> Tensor<1>| {
            let leaf = Tensor::<1>::from_floats(X, &Device::flex().autodiff()).require_grad();
            let gradients = function(&leaf.clone().mul_scalar(1.0)).sum().backward();
            leaf.grad(&gradients).unwrap().into_data()
        };
        let of = |slope: fn(f32) -> f32| TensorData::from(X.map(slope));
        assert_eq!(slope(&|x| cube(x) + cube(x)), of(|x| 6.0 * x * x));
        assert_eq!(slope(&|x| cube(x) + x.clone() + cube(x)), of(|x| 6.0 * x * x + 1.0));
        assert_eq!(slope(&|x| x.clone() + cube(x)), of(|x| 3.0 * x * x + 1.0));
        assert_eq!(slope(&|x| cube(x) + x.clone()), of(|x| 3.0 * x * x + 1.0));
        assert_eq!(slope(&|x| cube(&(cube(x) + x.clone())) * 0.0 + cube(x)), of(|x| 3.0 * x * x));
        // A leaf that kernels read.
        let leaf = Tensor::<1>::from_floats(X, &Device::flex().autodiff()).require_grad();
        let gradients = (cube(&leaf) + cube(&leaf)).sum().backward();
        assert_eq!(leaf.grad(&gradients).unwrap().into_data(), of(|x| 6.0 * x * x));
    }

    #[test]
    fn a_kernel_runs_where_it_supports_the_type() {
        let x = Tensor::<1>::from_data([1.0], (&Device::flex(), DType::F64));
        assert!(!runs_on::<Cubed, 1, 1>(&x));
        assert!(<Cubed as Kernel<Second, 1>>::supports(x.dtype()));
    }
}
