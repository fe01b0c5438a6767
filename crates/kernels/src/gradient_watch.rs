//! Gradients of a module's parameters as they come, while a backward pass goes on.
//!
//! A parameter is a leaf of autodiff's graph. A kernel that reads one adds to its gradient once its derivative is computed, and says so here (`kernel.rs`,
//! `recompute.rs`). That changes nothing of the graph, so a pass that is watched gives the same bits. What Burn's own operations add nobody says: whoever
//! listens compares what came with what there is in the end ([`is_same`]).

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use burn::{
    backend::{
        Autodiff, Flex,
        autodiff::{NodeId, grads::Gradients},
        tensor::FloatTensor,
    },
    module::{Module, ModuleVisitor, Param},
    tensor::{Shape, Tensor},
};

/// Gets the number of a parameter, in the order of the module's fields from 0, and the sum of the gradients that it has so far, as one vector. It runs inside
/// of the backward pass, so it must not begin another one, nor wait.
pub type GradientListener = Box<dyn FnMut(usize, Tensor<1>)>;

/// Parameters of the CPU by their nodes in autodiff's graph.
type Leaves = HashMap<u64, (usize, FloatTensor<Autodiff<Flex>>)>;

struct Watch {
    leaves: Leaves,
    listener: GradientListener,
}

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// Runs `pass`, a backward pass on this thread. `listener` is told each time a kernel has added to the gradient of a parameter of `module`: never, where that is on
/// another device than the CPU (`flex`).
pub fn watch_gradients<M: Module, R>(
    module: &M,
    listener: GradientListener,
    pass: impl FnOnce() -> R,
) -> R {
    struct Restore(Option<Watch>);
    impl Drop for Restore {
        fn drop(&mut self) {
            WATCH.set(self.0.take());
        }
    }
    let mut visitor = Parameters::default();
    module.visit(&mut visitor);
    let watch = Watch { leaves: visitor.leaves, listener };
    let _restore = Restore(WATCH.replace(Some(watch)));
    pass()
}

/// A kernel has added to the gradient of this leaf.
pub(crate) fn came(leaf: NodeId, gradients: &Gradients) {
    WATCH.with_borrow_mut(|watch| {
        let Some(Watch { leaves, listener }) = watch else { return };
        let Some((number, leaf)) = leaves.get(&leaf.value) else { return };
        if let Some(gradient) = gradients.get::<Flex>(leaf) {
            let count = gradient.layout().num_elements();
            let gradient = gradient.reshape(Shape::new([count]));
            listener(*number, Tensor::from_primitive::<Flex>(gradient));
        }
    });
}

/// Whether two vectors of the CPU are the same bits. Where they lie in the same memory, none is read. Of other devices the answer is no.
pub fn is_same(left: &Tensor<1>, right: &Tensor<1>) -> bool {
    let [left, right] = [left, right].map(|tensor| tensor.clone().try_into_primitive::<Flex>());
    let (Ok(left), Ok(right)) = (left, right) else { return false };
    left.layout() == right.layout() && Arc::ptr_eq(&left.data_arc(), &right.data_arc())
        || left.into_data() == right.into_data()
}

/// Finds the parameters that gradients are asked for.
#[derive(Default)]
struct Parameters {
    number: usize,
    leaves: Leaves,
}

impl ModuleVisitor for Parameters {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if parameter.is_require_grad()
            && let Ok(leaf) = parameter.val().try_into_primitive::<Autodiff<Flex>>()
        {
            self.leaves.insert(leaf.id().value, (self.number, leaf));
        }
        self.number += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use burn::{
        optim::GradientsParams,
        tensor::{Device, TensorData},
    };

    use super::*;
    use crate::{WeightLayout, gradient_checkpointing, linear, recomputed, testing::random};

    #[derive(Module, Debug)]
    struct Layer {
        weight: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
    }

    impl Layer {
        fn new(device: &Device) -> Self {
            let weight = random([4, 4]).inner().to_data();
            Self {
                weight: Param::from_tensor(Tensor::from_data(weight, device)),
                bias: Param::from_tensor(Tensor::zeros([4], device)),
            }
        }

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            linear(x, self.weight.val(), Some(self.bias.val()), WeightLayout::InputsFirst)
        }
    }

    /// Two layers, of which the first one's weight is read once more after the second.
    #[derive(Module, Debug)]
    struct Tied {
        first: Layer,
        second: Layer,
    }

    impl Tied {
        fn new() -> Self {
            let device = Device::flex().autodiff();
            Self { first: Layer::new(&device), second: Layer::new(&device) }
        }

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            let x = recomputed(&self.first, x, Layer::forward);
            let x = recomputed(&self.second, x, Layer::forward);
            linear(x, self.first.weight.val(), None, WeightLayout::OutputsFirst)
        }
    }

    /// What came, in its order, and what there was in the end of each parameter.
    fn watched(module: &Tied, loss: &Tensor<1>) -> (Vec<(usize, Tensor<1>)>, [Tensor<1>; 4]) {
        let all = Rc::new(RefCell::new(Vec::new()));
        let listener: GradientListener = {
            let all = all.clone();
            Box::new(move |number, gradient| all.borrow_mut().push((number, gradient)))
        };
        let gradients = watch_gradients(module, listener, || loss.backward());
        let gradients = GradientsParams::from_grads(gradients, module);
        let weight = |layer: &Layer| gradients.get::<2>(layer.weight.id).unwrap().reshape([16]);
        let bias = |layer: &Layer| gradients.get::<1>(layer.bias.id).unwrap();
        let Tied { first, second } = module;
        (all.take(), [weight(first), bias(first), weight(second), bias(second)])
    }

    #[test]
    fn gradients_are_told_of_as_they_come_and_a_weight_of_two_uses_twice() {
        for is_recomputed in [false, true] {
            gradient_checkpointing(is_recomputed, || {
                let module = Tied::new();
                let loss = module.forward(random([3, 4])).square().sum();
                let (came, last) = watched(&module, &loss);
                let order: Vec<usize> = came.iter().map(|(number, _)| *number).collect();
                assert_eq!(order, [0, 2, 3, 0, 1], "the last use's derivative is the first");
                assert!(!is_same(&came[0].1, &last[0]), "it is not complete yet");
                for (number, gradient) in &came[1..] {
                    assert!(is_same(gradient, &last[*number]), "{number}");
                }
            });
        }
    }

    #[test]
    fn what_burns_own_operations_add_shows_in_the_end_alone() {
        let module = Tied::new();
        let weight = module.second.weight.val().square().sum();
        let loss = module.forward(random([3, 4])).square().sum() + weight;
        let (came, last) = watched(&module, &loss);
        let second = came.iter().filter(|(number, _)| *number == 2);
        let second: Vec<bool> = second.map(|(_, gradient)| is_same(gradient, &last[2])).collect();
        assert_eq!(second, [false]);
    }

    #[test]
    fn a_watched_pass_gives_the_bits_of_one_that_is_not_and_the_watch_ends_with_it() {
        let module = Tied::new();
        let x = random([3, 4]);
        let loss = || module.forward(x.clone()).square().sum();
        let (_, watched) = watched(&module, &loss());
        assert!(WATCH.with_borrow(Option::is_none));
        let gradients = GradientsParams::from_grads(loss().backward(), &module);
        let weight = gradients.get::<2>(module.first.weight.id).unwrap().reshape([16]);
        assert_eq!(watched[0].to_data(), weight.into_data());
    }

    #[test]
    fn the_same_bits_are_the_same_wherever_they_lie() {
        let vector =
            |values: [f32; 3]| Tensor::<1>::from_data(TensorData::from(values), &Device::flex());
        let nan = vector([1.0, f32::NAN, 0.0]);
        assert!(is_same(&nan, &nan.clone()) && is_same(&nan, &vector([1.0, f32::NAN, 0.0])));
        assert!(!is_same(&nan, &vector([1.0, f32::NAN, -0.0])));
    }
}
