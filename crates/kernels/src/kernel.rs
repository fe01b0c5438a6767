//! The seam between a kernel and Burn: a [`Kernel`] is an operation on raw CPU tensors with its derivative, and
//! `run_1`, `run_2` … make it an operation on [`Tensor`]s.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, DispatchDevice, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{DType, Device, Tensor},
};
use burn_flex::FlexTensor;

/// An operation on the CPU and its derivative. What is not differentiated (sizes, masks, labels) is part of the
/// kernel itself.
pub(crate) trait Kernel: Debug + Send + Sync + 'static {
    /// Computes the output, and what the derivative will need of inputs and output. `tracked` is false if there
    /// will be no derivative; what is returned for it is then dropped.
    fn forward(&self, inputs: Vec<FlexTensor>, tracked: bool) -> (FlexTensor, Vec<FlexTensor>);

    /// The gradient of each input, from that of the output. Inputs that are not `wanted` may get `None`.
    fn backward(
        &self,
        saved: Vec<FlexTensor>,
        gradient: FlexTensor,
        wanted: &[bool],
    ) -> Vec<Option<FlexTensor>>;
}

static ENABLED: AtomicBool = AtomicBool::new(true);

/// Turns all kernels off, so that Burn's own operations run everywhere, or on again. For comparing the two; what a
/// forward pass recorded keeps the side it was recorded on.
#[doc(hidden)]
pub fn set_enabled(enabled: bool) {
    ENABLED.store(enabled, Ordering::Relaxed);
}

/// Whether kernels run on `tensor`: it lives on the CPU backend, in `f32`.
pub(crate) fn runs_on<const D: usize>(tensor: &Tensor<D>) -> bool {
    ENABLED.load(Ordering::Relaxed) && tensor.dtype() == DType::F32 && is_cpu(&tensor.device())
}

/// Whether `device` is Burn's CPU backend `flex`, with autodiff or without.
pub(crate) fn is_cpu(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// The tensors of a kernel by name.
pub(crate) fn take<const N: usize>(tensors: Vec<FlexTensor>) -> [FlexTensor; N] {
    tensors.try_into().expect("a kernel gets the tensors that it asked for")
}

/// Runs `kernel` on one input.
pub(crate) fn run_1<const A: usize, const OUT: usize>(
    kernel: impl Kernel,
    input: Tensor<A>,
) -> Tensor<OUT> {
    Tensor::from_dispatch(Dispatch::run_1(input.into_dispatch(), Arc::new(kernel)))
}

/// Runs `kernel` on two inputs.
pub(crate) fn run_2<const A: usize, const B: usize, const OUT: usize>(
    kernel: impl Kernel,
    inputs: (Tensor<A>, Tensor<B>),
) -> Tensor<OUT> {
    Tensor::from_dispatch(Dispatch::run_2(
        inputs.0.into_dispatch(),
        inputs.1.into_dispatch(),
        Arc::new(kernel),
    ))
}

/// Runs `kernel` on three inputs.
pub(crate) fn run_3<const A: usize, const B: usize, const C: usize, const OUT: usize>(
    kernel: impl Kernel,
    inputs: (Tensor<A>, Tensor<B>, Tensor<C>),
) -> Tensor<OUT> {
    Tensor::from_dispatch(Dispatch::run_3(
        inputs.0.into_dispatch(),
        inputs.1.into_dispatch(),
        inputs.2.into_dispatch(),
        Arc::new(kernel),
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
    kernel: impl Kernel,
    inputs: (Tensor<A>, Tensor<B>, Tensor<C>, Tensor<D>),
) -> Tensor<OUT> {
    Tensor::from_dispatch(Dispatch::run_4(
        inputs.0.into_dispatch(),
        inputs.1.into_dispatch(),
        inputs.2.into_dispatch(),
        inputs.3.into_dispatch(),
        Arc::new(kernel),
    ))
}

/// A kernel whose type is forgotten.
type AnyKernel = Arc<dyn Kernel>;

/// One method for each number of inputs: Burn routes an operation by the tensors in its signature.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait KernelBackend: Backend {
    /// Runs a kernel of one input.
    fn run_1(input_1: FloatTensor<Self>, kernel: AnyKernel) -> FloatTensor<Self>;

    /// Runs a kernel of two inputs.
    fn run_2(
        input_1: FloatTensor<Self>,
        input_2: FloatTensor<Self>,
        kernel: AnyKernel,
    ) -> FloatTensor<Self>;

    /// Runs a kernel of three inputs.
    fn run_3(
        input_1: FloatTensor<Self>,
        input_2: FloatTensor<Self>,
        input_3: FloatTensor<Self>,
        kernel: AnyKernel,
    ) -> FloatTensor<Self>;

    /// Runs a kernel of four inputs.
    fn run_4(
        input_1: FloatTensor<Self>,
        input_2: FloatTensor<Self>,
        input_3: FloatTensor<Self>,
        input_4: FloatTensor<Self>,
        kernel: AnyKernel,
    ) -> FloatTensor<Self>;
}

/// Without autodiff a kernel just runs; with it, it is recorded.
macro_rules! run_and_record {
    ($($name:ident($($input:ident),+);)+) => {
        impl KernelBackend for Flex {
            $(fn $name($($input: FlexTensor),+, kernel: AnyKernel) -> FlexTensor {
                kernel.forward(vec![$($input),+], false).0
            })+
        }

        impl<C: CheckpointStrategy> KernelBackend for Autodiff<Flex, C> {
            $(fn $name($($input: FloatTensor<Self>),+, kernel: AnyKernel) -> FloatTensor<Self> {
                record::<C, _>([$($input),+], kernel)
            })+
        }
    };
}

run_and_record! {
    run_1(input_1);
    run_2(input_1, input_2);
    run_3(input_1, input_2, input_3);
    run_4(input_1, input_2, input_3, input_4);
}

/// Runs a kernel and records its derivative.
fn record<C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    kernel: AnyKernel,
) -> FloatTensor<Autodiff<Flex, C>> {
    let nodes = inputs.each_ref().map(FloatTensor::<Autodiff<Flex, C>>::node);
    let primitives =
        inputs.into_iter().map(FloatTensor::<Autodiff<Flex, C>>::into_primitive).collect();
    match (KernelBackward { kernel: kernel.clone() }).prepare::<C>(nodes).compute_bound().stateful()
    {
        OpsKind::Tracked(prep) => {
            let (output, saved) = kernel.forward(primitives, true);
            prep.finish(saved, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(kernel.forward(primitives, false).0),
    }
}

/// The recorded step.
#[derive(Debug)]
struct KernelBackward {
    kernel: AnyKernel,
}

impl<const N: usize> Backward<Flex, N> for KernelBackward {
    type State = Vec<FlexTensor>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = self.kernel.backward(ops.state, gradient, &wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}
