//! Attention by the Nyström method with the convolution beside it, as one operation with one derivative.
//!
//! | module | holds |
//! |---|---|
//! | `sequences` | where the sequences of a batch lie |
//! | `sequence` | the passes for one sequence |
//! | `landmarks` | what one head computes of its landmarks alone |
//! | `composed` | the same of this crate's other operations, and of Burn's |
//! | `cube` | the same in CubeCL |
//!
//! Queries, keys and values come as a projection writes them, heads side by side, and so go context and gradients: nothing
//! is permuted, and what several uses of a tensor give its gradient is added where it is written. Each sequence is computed by
//! itself, with as many landmarks as it has tokens if these are fewer: padding costs nothing, and a short sequence has a small
//! inverse.

mod composed;
#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;
mod landmarks;
mod sequence;
mod sequences;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

use burn::{backend::Flex, tensor::Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use self::{
    sequence::{Approximation, Attended, Landmarks},
    sequences::{Rows, split},
};
use crate::{
    batch_invariance::is_batch_invariant,
    convolution::{Filters, require_filters},
    kernel::{self, Kernel},
    patches::Patches,
    pinv::{self, Pinv, PinvScale, Scale},
    simd,
};

pub use sequences::{Sequence, Sequences};

/// Sizes and options of attention by the Nyström method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NystromParameters {
    /// Heads, side by side in each row.
    pub heads: usize,
    /// Landmarks of a sequence; one of fewer tokens has a landmark for each.
    pub num_landmarks: usize,
    /// Every sequence is a picture, and landmarks average over these patches of it, as many as there are landmarks. `None`: over
    /// segments.
    pub patches: Option<Patches>,
    /// The pseudo-inverse.
    pub pinv: Pinv,
}

/// `K1 · (Z · (K3 · V)) + conv(V)` for every sequence and head, with landmarks Q̃ and K̃ that average over segments
/// ([`segment_means`](crate::segment_means())) or patches ([`patch_means`](crate::patch_means())), `K1 = softmax(Q K̃ᵀ/√d)`,
/// `A = softmax(Q̃ K̃ᵀ/√d)`, `K3 = softmax(Q̃ Kᵀ/√d)` and `Z` the [inverse](Pinv) of `A` (Xiong et al. 2021, equation 13).
///
/// | tensor | shape |
/// |---|---|
/// | `query`, `key`, `value`, output | `[batch, seq_len, hidden_size]`, heads side by side |
/// | output where only some rows [attend](Sequences::with_attending) | `[1, attending, hidden_size]` |
/// | `filter` | `[heads, taps]` or `[hidden_size, taps]`, an odd number; `None`: no convolution |
///
/// # Panics
/// If shapes disagree, `sequences` are of another number of rows than `batch · seq_len`, or there are patches and a sequence has
/// not a token for each pixel, or not a landmark for each patch.
pub fn nystrom_attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    filter: Option<Tensor<2>>,
    sequences: &Sequences,
    parameters: NystromParameters,
) -> Tensor<3> {
    let [batch, seq_len, hidden_size] = query.dims();
    assert_eq!(key.dims(), query.dims(), "one key for each query");
    assert_eq!(value.dims(), query.dims(), "one value for each query");
    assert_eq!(sequences.rows(), batch * seq_len, "sequences of these rows");
    assert_eq!(hidden_size % parameters.heads, 0, "heads of equal size");
    if let Some(patches) = parameters.patches {
        let are_pictures =
            sequences.list().iter().all(|sequence| sequence.tokens.len() == patches.num_pixels());
        assert!(are_pictures, "a token for each pixel");
        assert_eq!(parameters.num_landmarks, patches.count(), "a landmark for each patch");
    }
    if let Some(filter) = &filter {
        require_filters(filter.dims(), parameters.heads, hidden_size / parameters.heads);
    }
    if let Some(attending) = sequences.attending()
        && !kernel::is_flex(&query.device())
    {
        // Elsewhere than on the CPU nobody leaves out the others.
        let (device, all) = (query.device(), sequences.with_all_attending());
        let context = nystrom_attention(query, key, value, filter, &all, parameters);
        let attending: Vec<i64> = attending.iter().map(|&row| row as i64).collect();
        let attending = Tensor::from_ints(attending.as_slice(), &device);
        return context.reshape([1, batch * seq_len, hidden_size]).select(1, attending);
    }
    let longest = sequences.list().iter().map(|sequence| sequence.tokens.len()).max();
    let is_small =
        longest.is_some_and(|tokens| parameters.num_landmarks.min(tokens) <= pinv::MOST_LANDMARKS);
    let kernel = NystromAttention { sequences: sequences.clone(), parameters };
    let shape = query.dims();
    match filter {
        Some(filter)
            if is_small
                && kernel::runs(&kernel, &query, [&shape, &shape, &shape, &filter.dims()]) =>
        {
            kernel::run_4(kernel, (query, key, value, filter))
        }
        None if is_small && kernel::runs(&kernel, &query, [&shape, &shape, &shape]) => {
            kernel::run_3(kernel, (query, key, value))
        }
        filter => composed::nystrom_attention(query, key, value, filter, sequences, parameters),
    }
}

#[derive(Debug)]
struct NystromAttention {
    sequences: Sequences,
    parameters: NystromParameters,
}

#[derive(Debug, Clone)]
struct Inputs {
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    filter: Option<FlexTensor>,
}

impl Inputs {
    fn new([query, key, value]: [FlexTensor; 3], filter: Option<FlexTensor>) -> Self {
        let [query, key, value] = [query, key, value].map(Rows::readable);
        Self { query, key, value, filter: filter.map(simd::contiguous) }
    }
}

/// What the derivative needs, for each sequence.
#[derive(Debug, Clone)]
struct Saved {
    inputs: Inputs,
    found: Arc<[(Landmarks, Approximation)]>,
    /// The sequence that the divisor of all inverses comes from, if they share one.
    owner: Option<usize>,
}

impl NystromAttention {
    /// What is to be computed of each sequence.
    fn attended<'a>(&self, inputs: &'a Inputs) -> Vec<Attended<'a>> {
        let NystromParameters { heads, num_landmarks, patches, pinv } = self.parameters;
        let [query, key, value] = [&inputs.query, &inputs.key, &inputs.value].map(Rows::new);
        let list = self.sequences.list();
        let alongside = if is_batch_invariant() { heads } else { list.len() * heads };
        let attending = |tokens: &Range<usize>, result: Range<usize>| {
            let attending = &self.sequences.attending()?[result];
            Some(attending.iter().map(|row| row - tokens.start).collect())
        };
        let one = |(Sequence { tokens, keys }, result): (&Sequence, Range<usize>)| Attended {
            query: query.view(tokens, heads),
            key: key.view(tokens, heads),
            value: value.view(tokens, heads),
            keys: keys.start - tokens.start..keys.end - tokens.start,
            attending: attending(tokens, result),
            filters: inputs.filter.as_ref().map(|filters| Filters::new(filters, heads)),
            num_landmarks,
            patches,
            pinv,
            alongside,
        };
        list.iter().zip(self.sequences.results()).map(one).collect()
    }

    /// Of the sequences whose inverses share one divisor, the one that it comes from.
    fn owner(&self, landmarks: &[Landmarks]) -> Option<(usize, Scale)> {
        if self.parameters.pinv.scale() == PinvScale::OfEachMatrix {
            return None;
        }
        landmarks
            .iter()
            .enumerate()
            .flat_map(|(sequence, landmarks)| {
                landmarks.scales.iter().map(move |scale| (sequence, *scale))
            })
            .reduce(|left, right| if right.1.is_larger(&left.1) { right } else { left })
    }

    /// The output, and what is found on the way, if it is to be kept.
    fn run(&self, inputs: Inputs, is_kept: bool) -> (FlexTensor, Saved) {
        let attended = self.attended(&inputs);
        let mut landmarks: Vec<Landmarks> =
            attended.par_iter().with_max_len(1).map(Attended::landmarks).collect();
        let owner = self.owner(&landmarks);
        if let Some((_, scale)) = owner {
            for landmarks in &mut landmarks {
                landmarks.scales.fill(scale);
            }
        }
        let mut shape = inputs.query.layout().shape().clone();
        let hidden_size = shape[2];
        if let Some(attending) = self.sequences.attending() {
            shape = [1, attending.len(), hidden_size].into();
        }
        let mut output = simd::room(shape.iter().product());
        let found = attended
            .into_par_iter()
            .zip(landmarks)
            .zip(split(&mut output, hidden_size, self.sequences.results().into_iter()))
            .with_max_len(1)
            .map(|((attended, landmarks), output)| {
                let approximation = attended.context(&landmarks, is_kept, output);
                approximation.map(|approximation| (landmarks, approximation))
            })
            .collect::<Vec<_>>();
        let found = found.into_iter().flatten().collect();
        let owner = owner.map(|(sequence, _)| sequence);
        (simd::tensor(output, shape), Saved { inputs, found, owner })
    }

    /// The gradients of query, key and value, and of the filter.
    fn gradients(
        &self,
        Saved { inputs, found, owner }: &Saved,
        gradient: FlexTensor,
    ) -> ([FlexTensor; 3], Option<FlexTensor>) {
        let gradient = Rows::readable(gradient);
        let gradient = Rows::new(&gradient);
        let attended = self.attended(inputs);
        let heads = self.parameters.heads;
        let shape = inputs.query.layout().shape().clone();
        let mut gradients: [Vec<f32>; 3] =
            std::array::from_fn(|_| simd::room(shape.iter().product()));
        let [queries, keys, values] = gradients.each_mut().map(|gradient| {
            let tokens = self.sequences.list().iter().map(|sequence| sequence.tokens.clone());
            split(gradient, shape[2], tokens)
        });

        let mut halves: Vec<_> = attended
            .into_par_iter()
            .zip(&found[..])
            .zip(self.sequences.results())
            .zip(queries)
            .with_max_len(1)
            .map(|(((attended, (landmarks, approximation)), result), query)| {
                let gradient = gradient.view(&result, heads);
                let found = attended.gradients(landmarks, approximation, gradient, query);
                (attended, found, gradient, query)
            })
            .collect();
        differentiate_scales(found, *owner, halves.iter_mut().map(|half| &mut half.1).collect());

        let filter_parts: Vec<Vec<f32>> = halves
            .into_par_iter()
            .zip(&found[..])
            .zip(keys.into_par_iter().zip(values))
            .with_max_len(1)
            .flat_map(|(((attended, half, gradient, query), (landmarks, _)), (key, value))| {
                attended.finish_gradients(landmarks, half, gradient, [query, key, value])
            })
            .collect();
        let filter = inputs.filter.as_ref().map(|filter| {
            let shape = filter.layout().shape().clone();
            simd::tensor(simd::sum_in_order(&filter_parts, shape.iter().product()), shape)
        });
        (gradients.map(|gradient| simd::tensor(gradient, shape.clone())), filter)
    }
}

/// Adds to the gradients of kernel 2 what follows from those of the divisors, which come from `owner` if they are all one.
fn differentiate_scales(
    found: &[(Landmarks, Approximation)],
    owner: Option<usize>,
    mut halves: Vec<&mut sequence::Gradients>,
) {
    for (index, (landmarks, _)) in found.iter().enumerate() {
        let gradients = std::mem::take(&mut halves[index].scales);
        let to = owner.unwrap_or(index);
        let size = found[to].0.num_landmarks();
        for (scale, gradient) in landmarks.scales.iter().zip(gradients) {
            scale.add_gradient(&mut halves[to].kernel_2, size, gradient);
        }
    }
}

/// With a filter.
impl Kernel<Flex, 4> for NystromAttention {
    type Saved = Saved;

    fn forward(&self, [query, key, value, filter]: [FlexTensor; 4]) -> (FlexTensor, Saved) {
        self.run(Inputs::new([query, key, value], Some(filter)), true)
    }

    fn infer(&self, [query, key, value, filter]: [FlexTensor; 4]) -> FlexTensor {
        self.run(Inputs::new([query, key, value], Some(filter)), false).0
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        _wanted: [bool; 4],
    ) -> [Option<FlexTensor>; 4] {
        let ([query, key, value], filter) = self.gradients(&saved, gradient);
        [Some(query), Some(key), Some(value), filter]
    }
}

/// Without a filter.
impl Kernel<Flex, 3> for NystromAttention {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 3]) -> (FlexTensor, Saved) {
        self.run(Inputs::new(inputs, None), true)
    }

    fn infer(&self, inputs: [FlexTensor; 3]) -> FlexTensor {
        self.run(Inputs::new(inputs, None), false).0
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        self.gradients(&saved, gradient).0.map(Some)
    }
}
