//! The sum of all ranks' gradients: read back from the device, sent in buckets, and given back to it.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::Ranks;
use crate::device::floats;
use crate::error::Result;

/// Floats that are sent at a time: 25 MB.
pub(super) const BUCKET: usize = 25_000_000 / size_of::<f32>();

/// What is added to a number without changing any, zeros of either sign included: stands for a gradient that a rank does not have.
const NOTHING: f32 = -0.0;

/// The gradients of a module as vectors, in the order of its fields; `None` for a parameter without.
pub(super) type Vectors = Vec<Option<Tensor<1>>>;

/// The sum of the gradients of `module` over all ranks, by a balanced tree. `own` are this rank's, if any of its micro-batches had a target. What no
/// rank has stays absent, so that it keeps its weight.
///
/// # Errors
/// [`LearnerError::Rank`](crate::LearnerError::Rank) if a rank does not answer, and those of the device.
pub(crate) fn sum_gradients<M: Module>(
    ranks: &Ranks,
    module: &M,
    own: Option<GradientsParams>,
    device: &Device,
) -> Result<GradientsParams> {
    let gradients = own.unwrap_or_default();
    if ranks.is_alone() {
        return Ok(gradients);
    }
    let own = Own { last: vectors(module, gradients), ..Own::waiting(module, Vec::new()) };
    let is_present = ranks.any("which gradients there are", &own.presence())?;
    let sums = vec![None; own.sizes.len()];
    sum_rest(ranks, module, own, &is_present, sums, device)
}

/// What a rank has of a step's gradient: that of its last micro-batch, and what waits for that to be added to it.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// How many numbers each parameter has.
    pub(super) sizes: Vec<usize>,
    /// Sums over earlier micro-batches. The gradient is the first and (the second and (… and the last micro-batch's)).
    waiting: Vec<Vectors>,
    /// The last micro-batch's.
    pub(super) last: Vectors,
}

impl Own {
    /// Before there is a gradient of the last micro-batch.
    pub(super) fn waiting<M: Module>(module: &M, waiting: Vec<GradientsParams>) -> Self {
        let sizes = sizes(module);
        let waiting = waiting.into_iter().map(|sum| vectors(module, sum)).collect();
        Self { waiting, last: vec![None; sizes.len()], sizes }
    }

    /// Which parameters have a gradient.
    pub(super) fn presence(&self) -> Vec<bool> {
        let has = |all: &Vectors, parameter: usize| all[parameter].is_some();
        let any = |parameter| {
            has(&self.last, parameter) || self.waiting.iter().any(|all| has(all, parameter))
        };
        (0..self.sizes.len()).map(any).collect()
    }

    /// A parameter's gradient, where the last micro-batch's is this.
    pub(super) fn share_with(&self, parameter: usize, last: Option<Tensor<1>>) -> Share {
        let earlier = self.waiting.iter().rev().filter_map(|all| all[parameter].clone());
        Share {
            parameter,
            size: self.sizes[parameter],
            parts: last.into_iter().chain(earlier).collect(),
        }
    }

    /// A parameter's gradient, which is held here no longer.
    fn take(&mut self, parameter: usize) -> Share {
        let earlier = self.waiting.iter_mut().rev().filter_map(|all| all[parameter].take());
        Share {
            parameter,
            size: self.sizes[parameter],
            parts: self.last[parameter].take().into_iter().chain(earlier).collect(),
        }
    }
}

/// A parameter's gradient on a rank.
#[derive(Debug)]
pub(super) struct Share {
    parameter: usize,
    size: usize,
    /// What it is the sum of, in the order in which it is added up: the last micro-batch's first.
    parts: Vec<Tensor<1>>,
}

impl Share {
    fn read(self, device: &Device) -> Result<Vec<f32>> {
        let mut parts = self.parts.into_iter();
        let Some(last) = parts.next() else { return Ok(vec![NOTHING; self.size]) };
        let mut sum = floats(last, device)?;
        for earlier in parts {
            for (sum, earlier) in sum.iter_mut().zip(floats(earlier, device)?) {
                *sum += earlier;
            }
        }
        Ok(sum)
    }
}

/// Parameters in groups of at least `most` numbers, in this order; the last one may have fewer.
pub(super) fn buckets(
    sizes: &[usize],
    parameters: impl IntoIterator<Item = usize>,
    most: usize,
) -> Vec<Vec<usize>> {
    let mut buckets = Vec::new();
    let (mut bucket, mut numbers) = (Vec::new(), 0);
    for parameter in parameters {
        bucket.push(parameter);
        numbers += sizes[parameter];
        if numbers >= most {
            buckets.push(std::mem::take(&mut bucket));
            numbers = 0;
        }
    }
    if !bucket.is_empty() {
        buckets.push(bucket);
    }
    buckets
}

/// The sums of some parameters' gradients over all ranks, with their numbers.
pub(super) fn sum_bucket(
    ranks: &Ranks,
    shares: Vec<Share>,
    device: &Device,
) -> Result<Vec<(usize, Vec<f32>)>> {
    let read = |share: Share| Ok((share.parameter, share.read(device)?));
    let mut parts = shares.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    if let [(_, part)] = parts.as_mut_slice() {
        ranks.sum("gradients", part)?;
        return Ok(parts);
    }
    let mut bucket: Vec<f32> = parts.iter().flat_map(|(_, part)| part).copied().collect();
    ranks.sum("gradients", &mut bucket)?;
    let mut rest = bucket.as_slice();
    for (_, part) in &mut parts {
        let (sum, others) = rest.split_at(part.len());
        part.copy_from_slice(sum);
        rest = others;
    }
    Ok(parts)
}

/// Sums what is present on any rank and has no sum yet, and gives all back to the device.
pub(super) fn sum_rest<M: Module>(
    ranks: &Ranks,
    module: &M,
    mut own: Own,
    is_present: &[bool],
    mut sums: Vec<Option<Vec<f32>>>,
    device: &Device,
) -> Result<GradientsParams> {
    let rest: Vec<usize> = (0..own.sizes.len())
        .filter(|parameter| is_present[*parameter] && sums[*parameter].is_none())
        .collect();
    for bucket in buckets(&own.sizes, rest, ranks.bucket) {
        let shares = bucket.into_iter().map(|parameter| own.take(parameter)).collect();
        for (parameter, sum) in sum_bucket(ranks, shares, device)? {
            sums[parameter] = Some(sum);
        }
    }
    let present =
        sums.into_iter().zip(is_present).map(|(sum, is_present)| sum.filter(|_| *is_present));
    let mut writer = Writer { device, sums: present, gradients: GradientsParams::new() };
    module.visit(&mut writer);
    Ok(writer.gradients)
}

/// How many numbers each parameter has.
fn sizes<M: Module>(module: &M) -> Vec<usize> {
    struct Sizes(Vec<usize>);
    impl ModuleVisitor for Sizes {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.0.push(parameter.lazy_shape().iter().product());
        }
    }
    let mut visitor = Sizes(Vec::new());
    module.visit(&mut visitor);
    visitor.0
}

/// The same gradients as vectors.
pub(super) fn vectors<M: Module>(module: &M, gradients: GradientsParams) -> Vectors {
    struct Flatten(GradientsParams, Vectors);
    impl ModuleVisitor for Flatten {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let gradient = self.0.remove::<D>(parameter.id);
            self.1.push(gradient.map(|gradient| {
                let count: usize = gradient.dims().iter().product();
                gradient.reshape([count])
            }));
        }
    }
    let mut visitor = Flatten(gradients, Vec::new());
    module.visit(&mut visitor);
    visitor.1
}

/// Gives the sums back to the device, parameter by parameter.
struct Writer<'a, S> {
    device: &'a Device,
    sums: S,
    gradients: GradientsParams,
}

impl<S: Iterator<Item = Option<Vec<f32>>>> ModuleVisitor for Writer<'_, S> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(sum) = self.sums.next().flatten() {
            let data = TensorData::new(sum, parameter.lazy_shape().to_vec());
            self.gradients.register(parameter.id, Tensor::<D>::from_data(data, self.device));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_keep_the_order_and_are_full_but_for_the_last() {
        let sizes = [5, 1, 3, 20, 2];
        assert_eq!(buckets(&sizes, [4, 0, 3, 1, 2], 6), [vec![4, 0], vec![3], vec![1, 2]]);
        assert_eq!(buckets(&sizes, [0, 1], 100), [[0, 1]]);
        assert!(buckets(&sizes, [], 6).is_empty());
    }
}
