//! A part of a model of which nothing is kept for the derivative but what it reads: the backward pass computes it once more (Chen
//! et al. 2016, "Training deep nets with sublinear memory cost"; PyTorch's `torch.utils.checkpoint`).
//!
//! The second time draws the same dropout, in the same precision, so that losses and gradients are the same bits. It costs one
//! forward pass more, and of all parts together as much memory as the largest part.

use std::{cell::Cell, fmt, marker::PhantomData};

use burn::{
    backend::{
        Autodiff, Backend, DispatchDevice, DispatchKindConversion, DispatchTensor, Flex,
        autodiff::{
            NodeId,
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Tensor},
};

#[cfg(all(feature = "cube", not(feature = "fused")))]
use burn::backend::Cube;

use crate::{
    batch_invariance::{batch_invariant, is_batch_invariant},
    dropout::{is_without_dropout, without_dropout},
    gradient_watch,
    precision::Precision,
    random::Draws,
    trace,
};

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`, in which parts of a model that are called by [`recomputed`] on this thread keep nothing for the derivative, if
/// `is_on`.
pub fn gradient_checkpointing<R>(is_on: bool, body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IS_ON.set(self.0);
        }
    }
    let _restore = Restore(IS_ON.replace(is_on));
    body()
}

/// Whether parts of a model on `device` are recomputed here: gradients are recorded, it is the CPU (`flex`) or with the feature `cube` a GPU, and the
/// innermost [`gradient_checkpointing`] of this thread is on. With `fused` it is the CPU alone.
pub fn is_recomputed(device: &Device) -> bool {
    IS_ON.get()
        && device.is_autodiff()
        && match device.clone().inner().as_dispatch() {
            DispatchDevice::Flex(_) => true,
            #[cfg(all(feature = "cube", not(feature = "fused")))]
            DispatchDevice::Cube(_) => true,
            _ => false,
        }
}

/// `body(module, x)`. Where it [is recomputed](is_recomputed), nothing of it is kept for the derivative but `x`.
///
/// What else `body` reads than the weights of `module` and `x` gets no gradient. The weights have to be leaves of autodiff's graph, as
/// those of a model are.
pub fn recomputed<M, F, const D: usize>(module: &M, x: Tensor<D>, body: F) -> Tensor<D>
where
    M: Module + 'static,
    F: Fn(&M, Tensor<D>) -> Tensor<D> + Send + 'static,
{
    let device = x.device();
    if !is_recomputed(&device) {
        return body(module, x);
    }
    match device.clone().inner().as_dispatch() {
        #[cfg(all(feature = "cube", not(feature = "fused")))]
        DispatchDevice::Cube(_) => recomputed_on::<Cube, M, F, D>(module, x, body),
        _ => recomputed_on::<Flex, M, F, D>(module, x, body),
    }
}

/// The same on a backend.
fn recomputed_on<B, M, F, const D: usize>(module: &M, x: Tensor<D>, body: F) -> Tensor<D>
where
    B: Backend,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
    M: Module + 'static,
    F: Fn(&M, Tensor<D>) -> Tensor<D> + Send + 'static,
{
    let device = x.device();
    let mut weights = Weights::<B> { nodes: Vec::new(), backend: PhantomData };
    module.visit(&mut weights);
    if !x.is_tracked() && weights.nodes.iter().all(Option::is_none) {
        return body(module, x);
    }
    // The first part of a model may read what nothing is differentiated by.
    let x = if x.is_tracked() { x } else { x.require_grad() };
    let (circumstances, output) = Circumstances::of(&device, || {
        // Nothing of these is tracked, and so nothing is kept.
        body(&module.clone().no_grad(), x.clone().set_require_grad(false))
    });
    let part = Part {
        module: module.valid(),
        body,
        weights: weights.nodes,
        circumstances,
        name: trace::current_part(),
    };
    record::<B, D>(x, output, part)
}

/// Puts `output` into autodiff's graph, with what will compute the derivative.
fn record<B, const D: usize>(
    x: Tensor<D>,
    output: Tensor<D>,
    part: impl Backward<B, 1, State = FloatTensor<B>>,
) -> Tensor<D>
where
    B: Backend,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let x = x.try_into_primitive::<Autodiff<B>>().expect("`recomputed` looks at the device");
    let output = output.without_autodiff().try_into_primitive::<B>().expect("as its input");
    let nodes = [x.node()];
    let output = match part.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(x.into_primitive(), output),
        OpsKind::UnTracked(step) => step.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

/// All that a computation depends on beside its inputs.
#[derive(Debug, Clone)]
struct Circumstances {
    draws: Draws,
    precision: Precision,
    is_without_dropout: bool,
    is_batch_invariant: bool,
}

impl Circumstances {
    /// Runs `body`, and says in which circumstances.
    fn of<R>(device: &Device, body: impl FnOnce() -> R) -> (Self, R) {
        let (draws, found) = Draws::of(&device.clone().inner(), body);
        let circumstances = Self {
            draws,
            precision: Precision::current(),
            is_without_dropout: is_without_dropout(),
            is_batch_invariant: is_batch_invariant(),
        };
        (circumstances, found)
    }

    /// Runs `body` in the same ones.
    fn again<R>(self, body: impl FnOnce() -> R) -> R {
        let Self { draws, precision, is_without_dropout, is_batch_invariant } = self;
        let body = || draws.again(body);
        let body = || if is_without_dropout { without_dropout(body) } else { body() };
        let body = || if is_batch_invariant { batch_invariant(body) } else { body() };
        precision.scope(body)
    }
}

/// The recorded step.
struct Part<M, F, const D: usize> {
    /// With weights that are in no graph: the tape does not hold what holds the tape.
    module: M,
    body: F,
    /// The nodes of the weights in autodiff's graph, in the order of a visit; `None` for those without a gradient.
    weights: Vec<Option<NodeId>>,
    circumstances: Circumstances,
    /// For a trace.
    name: Option<std::sync::Arc<str>>,
}

impl<M: fmt::Debug, F, const D: usize> fmt::Debug for Part<M, F, D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Part").field("module", &self.module).finish_non_exhaustive()
    }
}

impl<B, M, F, const D: usize> Backward<B, 1> for Part<M, F, D>
where
    B: Backend,
    DispatchTensor: DispatchKindConversion<B>,
    M: Module + 'static,
    F: Fn(&M, Tensor<D>) -> Tensor<D> + Send + 'static,
{
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<FloatTensor<B>, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let gradient = Tensor::<D>::from_primitive::<B>(gradient);
        let Self { module, body, weights, circumstances, name } = self;
        let _span = trace::derivative("Recomputed", name.as_ref(), Vec::new);
        // Leaves of a graph of their own, which ends here.
        let module = module.train();
        let leaf = Tensor::<D>::from_primitive::<B>(ops.state).autodiff().require_grad();
        // What kernels add gradients up on is never a leaf.
        let x = leaf.clone().mul_scalar(1.0);
        let output = circumstances.again(|| body(&module, x));
        let mut found = (output * gradient.autodiff()).sum().backward();
        if let ([Some(parent)], Some(gradient)) = (&ops.parents, leaf.grad_remove(&mut found)) {
            gradients.register::<B>(parent.id, primitive::<B, D>(gradient));
        }
        let nodes = weights.into_iter();
        let mut weights = Registration::<B> { found, gradients, nodes, backend: PhantomData };
        module.visit(&mut weights);
    }
}

fn primitive<B: Backend, const D: usize>(gradient: Tensor<D>) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    gradient.try_into_primitive::<B>().expect("a gradient is where its tensor is")
}

/// Notes the nodes of weights.
struct Weights<B> {
    nodes: Vec<Option<NodeId>>,
    backend: PhantomData<B>,
}

impl<B: Backend> ModuleVisitor for Weights<B>
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<D>>) {
        let node = weight.is_require_grad().then(|| {
            let weight = weight.val().try_into_primitive::<Autodiff<B>>();
            weight.expect("a weight is where the input is").id()
        });
        self.nodes.push(node);
    }
}

/// Gives the gradients that were found to the weights that they are of.
struct Registration<'a, B> {
    found: burn::tensor::Gradients,
    gradients: &'a mut Gradients,
    nodes: std::vec::IntoIter<Option<NodeId>>,
    backend: PhantomData<B>,
}

impl<B: Backend> ModuleVisitor for Registration<'_, B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<D>>) {
        let node = self.nodes.next().expect("the same module is visited twice");
        let gradient = weight.val().grad_remove(&mut self.found);
        if let (Some(node), Some(gradient)) = (node, gradient) {
            self.gradients.register::<B>(node, primitive::<B, D>(gradient));
            gradient_watch::came(node, self.gradients);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        optim::GradientsParams,
        tensor::{Distribution, TensorData},
    };

    use super::*;
    use crate::{Gelu, Seed, WeightLayout, dropout, gelu, linear, random};

    /// Two layers that drop, around which the input is added.
    #[derive(Module, Debug)]
    struct Block {
        wide: Weight,
        narrow: Weight,
    }

    #[derive(Module, Debug)]
    struct Weight {
        weight: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
    }

    impl Weight {
        fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
            let normal = Distribution::Normal(0.0, 0.5);
            Self {
                weight: Param::from_tensor(random([inputs, outputs], normal, device)),
                bias: Param::from_tensor(random([outputs], normal, device)),
            }
        }

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            linear(x, self.weight.val(), Some(self.bias.val()), WeightLayout::InputsFirst)
        }
    }

    impl Block {
        fn new(device: &Device) -> Self {
            Self { wide: Weight::new(6, 20, device), narrow: Weight::new(20, 6, device) }
        }

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            let wide = dropout(gelu(self.wide.forward(x.clone()), Gelu::Exact), 0.3);
            dropout(self.narrow.forward(wide), 0.2) + x
        }
    }

    /// Loss, gradients of the input and of both blocks' weights, and the next draw of the scope.
    fn found(is_on: bool, frozen: bool, is_input_tracked: bool) -> Vec<TensorData> {
        found_on(&Device::flex().autodiff(), is_on, frozen, is_input_tracked)
    }

    fn found_on(
        device: &Device,
        is_on: bool,
        frozen: bool,
        is_input_tracked: bool,
    ) -> Vec<TensorData> {
        let mut blocks = Seed::new(3).scope(|| [0, 1].map(|_| Block::new(device)));
        if frozen {
            blocks[0].wide = blocks[0].wide.clone().no_grad();
        }
        Seed::new(5).scope(|| {
            let x = random([40, 6], Distribution::Normal(0.0, 1.0), device);
            let x = if is_input_tracked { x.require_grad() } else { x };
            let output = gradient_checkpointing(is_on, || {
                blocks.iter().fold(x.clone(), |x, block| recomputed(block, x, Block::forward))
            });
            let after = dropout(Tensor::<2>::ones([8, 8], device), 0.5).into_data();
            let loss = output.square().mean();
            let value = loss.clone().into_data();
            let mut gradients = loss.backward();
            let of_input = x.grad_remove(&mut gradients).map(Tensor::into_data);
            let mut all = vec![value, after];
            all.extend(of_input);
            for block in &blocks {
                let of_block = GradientsParams::from_module(&mut gradients, block);
                for Weight { weight, bias } in [&block.wide, &block.narrow] {
                    all.extend(of_block.get::<2>(weight.id).map(Tensor::into_data));
                    all.extend(of_block.get::<1>(bias.id).map(Tensor::into_data));
                }
            }
            all
        })
    }

    #[test]
    fn losses_and_gradients_are_the_same_bits() {
        for (frozen, is_input_tracked) in [(false, true), (true, true), (false, false)] {
            let kept = found(false, frozen, is_input_tracked);
            let recomputed = found(true, frozen, is_input_tracked);
            let expected = 10 + usize::from(is_input_tracked) - 2 * usize::from(frozen);
            assert_eq!(kept.len(), expected);
            assert_eq!(kept, recomputed, "{frozen} {is_input_tracked}");
        }
    }

    /// In a module of the name by which the tests on GPUs are run.
    #[cfg(feature = "wgpu")]
    mod cube {
        use super::*;
        use crate::testing::cube;

        #[test]
        fn losses_and_gradients_are_the_same_bits_on_a_gpu() {
            let Some(device) = cube::device() else { return };
            for (frozen, is_input_tracked) in [(false, true), (true, true), (false, false)] {
                let kept = found_on(&device, false, frozen, is_input_tracked);
                let recomputed = found_on(&device, true, frozen, is_input_tracked);
                assert_eq!(kept, recomputed, "{frozen} {is_input_tracked}");
                gradient_checkpointing(true, || assert!(is_recomputed(&device)));
            }
        }
    }

    #[test]
    fn nothing_is_recorded_where_nothing_is_trained() {
        let device = Device::flex().autodiff();
        let block = Block::new(&device).no_grad();
        let x = Tensor::ones([3, 6], &device);
        let output = gradient_checkpointing(true, || recomputed(&block, x, Block::forward));
        assert!(!output.is_tracked());
    }

    #[test]
    fn the_scope_ends_with_its_body() {
        let device = Device::flex().autodiff();
        assert!(!is_recomputed(&device));
        gradient_checkpointing(true, || {
            assert!(is_recomputed(&device) && !is_recomputed(&Device::flex()));
            gradient_checkpointing(false, || assert!(!is_recomputed(&device)));
        });
        assert!(!is_recomputed(&device));
    }

    /// Outside of all scopes dropout draws from the device's generator, which cannot be set back.
    #[test]
    fn dropout_outside_of_all_scopes_is_the_same_in_both_passes() {
        let device = Device::flex().autodiff();
        let block = Block::new(&device);
        let x = Tensor::<2>::ones([30, 6], &device).require_grad();
        let output = gradient_checkpointing(true, || recomputed(&block, x.clone(), Block::forward));
        let gradients = output.clone().sum().backward();
        // What is dropped after the last layer has a gradient of 0 at its bias, and the output is the input there.
        let kept = (output - x.clone()).not_equal_elem(0.0).float().sum_dim(0).mul_scalar(1.25);
        let bias = block.narrow.bias.grad(&gradients).unwrap().unsqueeze::<2>();
        assert!((kept.inner() - bias).abs().max().into_scalar::<f32>() < 1e-4);
    }
}
