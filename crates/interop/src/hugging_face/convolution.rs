//! Models whose convolution, or whose rule for landmarks, is not the file's.

use std::path::Path;

use burn::{
    module::Param,
    tensor::{Device, Tensor},
};
use nystromformer::{Model, NystromformerConfig, PreTrainedModel, Seed};

use super::{
    load::Matched,
    names::{CONVOLUTION, architecture_of, is_landmark_score, parameters},
    weights::WeightFiles,
};
use crate::error::InteropError;

/// The filters of a convolution that the source does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FreshConvolution {
    /// Zeros: at first the model computes what it would without.
    #[default]
    Zero,
    /// Drawn from the normal distribution of fresh weights, from this seed.
    Normal(u64),
}

/// A model of `config` on the CPU with the weights of `files`, but for scores of landmarks that these lack, which are zero, and for
/// the convolution, if another is asked for whatever the files hold. `dir` is the folder of `config`.
pub(crate) fn load_with_fresh_parts(
    files: WeightFiles,
    config: &NystromformerConfig,
    dir: &Path,
    convolution: Option<FreshConvolution>,
) -> Result<Model, InteropError> {
    let architecture = architecture_of(files.tensors.keys().map(String::as_str));
    let mut matched = Matched::new(files, || parameters(architecture, config), config)?;
    matched.keep_own(is_landmark_score);
    if convolution.is_some() {
        matched.keep_own(|name| name.ends_with(CONVOLUTION));
    }
    let device = Device::flex();
    match convolution {
        None | Some(FreshConvolution::Zero) => {
            let build = |device: &Device| Ok(Model::build(architecture, config, device));
            let mut model = matched.into_model(dir, &device, build)?;
            if convolution.is_some() {
                clear(&mut model);
            }
            Ok(model)
        }
        Some(FreshConvolution::Normal(seed)) => {
            let init = |device: &Device| {
                Seed::new(seed).scope(|| Model::init(architecture, config, device))
            };
            matched.into_model(dir, &device, init)
        }
    }
}

/// Sets every convolution to zero.
fn clear(model: &mut Model) {
    for layer in &mut model.nystromformer_mut().encoder.layer {
        if let Some(conv) = &mut layer.attention.self_attention.conv {
            let (shape, device) = (conv.weight.dims(), conv.weight.val().device());
            conv.weight = Param::from_tensor(Tensor::zeros(shape, &device));
        }
    }
}
