//! A fixture's batch: inputs, answers, and what was computed.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::{NystromformerInput, heads::TargetTensors};
use safetensors::{Dtype, SafeTensors};

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The tensors of one batch, `padded.*` or `unpadded.*`.
pub(crate) struct Batch<'file> {
    file: SafeTensors<'file>,
    prefix: &'static str,
}

impl<'file> Batch<'file> {
    pub(crate) fn read(bytes: &'file [u8], prefix: &'static str) -> Self {
        Self { file: SafeTensors::deserialize(bytes).unwrap(), prefix }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.tensor(&format!("{}.{name}", self.prefix)).is_ok()
    }

    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        self.file.tensor(&format!("{}.{name}", self.prefix)).unwrap().shape().to_vec()
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        let view = self.file.tensor(&format!("{}.{name}", self.prefix)).unwrap();
        assert_eq!(view.dtype(), Dtype::F32, "{name}");
        let (values, _) = view.data().as_chunks();
        values.iter().map(|value| f32::from_le_bytes(*value)).collect()
    }

    pub(crate) fn ints(&self, name: &str) -> Vec<i64> {
        let view = self.file.tensor(&format!("{}.{name}", self.prefix)).unwrap();
        assert_eq!(view.dtype(), Dtype::I64, "{name}");
        let (values, _) = view.data().as_chunks();
        values.iter().map(|value| i64::from_le_bytes(*value)).collect()
    }

    /// `[…, seq_len]` as rows.
    fn rows(&self, name: &str) -> Tensor<2, Int> {
        let shape = self.shape(name);
        let (seq_len, rows) = shape.split_last().unwrap();
        let data = TensorData::new(self.ints(name), [rows.iter().product(), *seq_len]);
        Tensor::from_data(data, &Device::flex())
    }

    fn vector(&self, name: &str) -> Tensor<1, Int> {
        vector(self.ints(name))
    }

    pub(crate) fn input(&self) -> NystromformerInput {
        NystromformerInput::new(self.rows("input_ids"))
            .with_attention_mask(self.rows("attention_mask"))
            .with_token_type_ids(self.rows("token_type_ids"))
    }

    /// Valid places of the batch, flat.
    pub(crate) fn valid(&self) -> Vec<usize> {
        let mask = self.ints("attention_mask");
        (0..mask.len()).filter(|&place| mask[place] == 1).collect()
    }

    /// The answers, by their form.
    pub(crate) fn targets(&self) -> TargetTensors {
        if self.has("start_positions") {
            return TargetTensors::Span {
                start: self.vector("start_positions"),
                end: self.vector("end_positions"),
            };
        }
        let name = format!("{}.labels", self.prefix);
        let view = self.file.tensor(&name).unwrap();
        if view.dtype() == Dtype::F32 {
            let values = self.floats("labels");
            let rows = view.shape()[0];
            let data = TensorData::new(values.clone(), [rows, values.len() / rows]);
            return TargetTensors::Values(Tensor::from_data(data, &Device::flex()));
        }
        if view.shape().len() == 1 {
            return TargetTensors::Class(self.vector("labels"));
        }
        let (positions, labels) =
            (0..).zip(self.ints("labels")).filter(|(_, label)| *label >= 0).unzip();
        TargetTensors::Tokens { positions: vector(positions), labels: vector(labels) }
    }
}

fn vector(values: Vec<i64>) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), &Device::flex())
}

/// The largest difference at `places` (all, if empty) over the largest expected magnitude. A place has
/// `width` numbers.
pub(crate) fn relative_error(found: &[f32], expected: &[f32], places: &[usize]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0f32, |scale, value| scale.max(value.abs()));
    let difference = |index: usize| {
        let difference = (found[index] - expected[index]).abs();
        if difference.is_nan() { f32::INFINITY } else { difference }
    };
    let worst = if places.is_empty() {
        (0..found.len()).map(difference).fold(0.0, f32::max)
    } else {
        let count = places.iter().max().unwrap() + 1;
        assert!(found.len() >= count);
        places.iter().map(|&place| difference(place)).fold(0.0, f32::max)
    };
    worst / scale
}

/// Every number of the places, where a place has `width` of them.
pub(crate) fn widened(places: &[usize], width: usize) -> Vec<usize> {
    places.iter().flat_map(|place| place * width..(place + 1) * width).collect()
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}
