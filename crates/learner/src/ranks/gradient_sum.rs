//! The sum of all ranks' gradients: read back from the device, sent in buckets, and given back to it.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::Ranks;
use crate::device::floats;
use crate::error::Result;

/// Floats that are sent at a time: 25 MB.
const BUCKET: usize = 25_000_000 / size_of::<f32>();

/// What is added to a number without changing any, zeros of either sign included: stands for a gradient that a rank does not have.
const NOTHING: f32 = -0.0;

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
    let own = own.unwrap_or_default();
    if ranks.is_alone() {
        return Ok(own);
    }
    let is_present = gathered_presence(ranks, presence(module, &own))?;
    let mut reader = Reader {
        ranks,
        own,
        device,
        is_present: is_present.iter().copied(),
        bucket: Vec::new(),
        summed: Vec::new(),
        result: Ok(()),
    };
    module.visit(&mut reader);
    reader.send();
    reader.result?;
    let mut writer = Writer {
        device,
        is_present: is_present.iter().copied(),
        summed: reader.summed.into_iter(),
        gradients: GradientsParams::new(),
    };
    module.visit(&mut writer);
    Ok(writer.gradients)
}

/// Which parameters have a gradient, in the order of the module's fields.
fn presence<M: Module>(module: &M, gradients: &GradientsParams) -> Vec<bool> {
    struct Presence<'a>(&'a GradientsParams, Vec<bool>);
    impl ModuleVisitor for Presence<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.1.push(self.0.get::<D>(parameter.id).is_some());
        }
    }
    let mut visitor = Presence(gradients, Vec::new());
    module.visit(&mut visitor);
    visitor.1
}

/// Which have one on any rank.
fn gathered_presence(ranks: &Ranks, own: Vec<bool>) -> Result<Vec<bool>> {
    let bits = |flags: &[bool]| {
        flags.iter().enumerate().fold(0, |bits, (place, flag)| bits | u64::from(*flag) << place)
    };
    let count = own.len();
    let all = ranks.gather("which gradients there are", own.chunks(64).map(bits).collect())?;
    let is_present = |place: usize| {
        all.iter()
            .any(|words| words.get(place / 64).is_some_and(|bits| bits >> (place % 64) & 1 == 1))
    };
    Ok((0..count).map(is_present).collect())
}

/// Reads gradients back, parameter by parameter, and sums them bucket by bucket.
struct Reader<'a, P> {
    ranks: &'a Ranks,
    own: GradientsParams,
    device: &'a Device,
    is_present: P,
    bucket: Vec<Vec<f32>>,
    /// Each parameter's sum.
    summed: Vec<Vec<f32>>,
    result: Result<()>,
}

impl<P: Iterator<Item = bool>> ModuleVisitor for Reader<'_, P> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if self.result.is_err() || self.is_present.next() != Some(true) {
            return;
        }
        let count: usize = parameter.lazy_shape().iter().product();
        let gradient = match self.own.remove::<D>(parameter.id) {
            Some(gradient) => floats(gradient.reshape([count]), self.device),
            None => Ok(vec![NOTHING; count]),
        };
        match gradient {
            Ok(gradient) => self.bucket.push(gradient),
            Err(error) => self.result = Err(error),
        }
        if self.bucket.iter().map(Vec::len).sum::<usize>() >= BUCKET {
            self.send();
        }
    }
}

impl<P> Reader<'_, P> {
    fn send(&mut self) {
        let mut parts = std::mem::take(&mut self.bucket);
        if self.result.is_err() || parts.is_empty() {
            return;
        }
        if let [part] = parts.as_mut_slice() {
            self.result = self.ranks.sum("gradients", part);
        } else {
            let mut bucket = parts.concat();
            self.result = self.ranks.sum("gradients", &mut bucket);
            let mut rest = bucket.as_slice();
            for part in &mut parts {
                let (sum, others) = rest.split_at(part.len());
                part.copy_from_slice(sum);
                rest = others;
            }
        }
        self.summed.append(&mut parts);
    }
}

/// Gives the sums back to the device, parameter by parameter.
struct Writer<'a, P, S> {
    device: &'a Device,
    is_present: P,
    summed: S,
    gradients: GradientsParams,
}

impl<P: Iterator<Item = bool>, S: Iterator<Item = Vec<f32>>> ModuleVisitor for Writer<'_, P, S> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if self.is_present.next() != Some(true) {
            return;
        }
        if let Some(sum) = self.summed.next() {
            let data = TensorData::new(sum, parameter.lazy_shape().to_vec());
            self.gradients.register(parameter.id, Tensor::<D>::from_data(data, self.device));
        }
    }
}
