//! Two sequences, one encoder, one answer.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use super::{
    ClassInfo, Head, Losses, ModelClass, Output, PreTrainedModel, RowsPerAnswer, TargetTensors,
    TermMetric, class::TOKEN_TABLE,
};
use crate::{
    classifier::{ClassificationHead, Pooler},
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
};

/// A Nyströmformer that reads two sequences one by one and classifies the pair: the authors' model for the retrieval
/// task of the Long Range Arena. transformers has no such class.
///
/// The head reads `[a, b, a·b, a − b]` of the pooled sequences a and b.
#[derive(Module, Debug)]
pub struct NystromformerDualEncoder {
    /// The encoder of both.
    pub nystromformer: Nystromformer,
    /// The head, over four times the features of a pooled sequence.
    pub pair_classifier: ClassificationHead,
    /// From a sequence's states to the one that the head reads.
    pub pooling: Pooler,
}

impl NystromformerDualEncoder {
    /// Scores of every class. Rows `2i` and `2i + 1` of the input are pair `i`.
    ///
    /// # Shapes
    /// - `input`: `[2 · pairs, seq_len]`
    /// - output: `[pairs, num_labels]`
    ///
    /// # Errors
    /// [`ModelError::Choices`] if a sequence has no partner; as for [`Nystromformer::forward`].
    pub fn forward(&self, input: NystromformerInput) -> Result<Tensor<2>, ModelError> {
        let [rows, _] = input.tokens.dims();
        if !rows.is_multiple_of(2) {
            return Err(ModelError::Choices { rows, num_choices: 2 });
        }
        let mask = self.nystromformer.mask_of_states(input.attention_mask.clone());
        let (shape, device) = (self.nystromformer.dims_of_states(&input), input.tokens.device());
        let wanted = self.pooling.wanted_tokens(shape, mask.as_ref(), &device);
        let states = self.nystromformer.forward_wanted(input, &wanted)?;
        let pooled = self.pooling.forward(states, mask);
        let [_, width] = pooled.dims();
        let pairs = pooled.reshape([rows / 2, 2, width]);
        let side = |index| pairs.clone().narrow(1, index, 1).squeeze_dim::<2>(1);
        let (first, second) = (side(0), side(1));
        let (product, difference) =
            (first.clone() * second.clone(), first.clone() - second.clone());
        Ok(self.pair_classifier.forward(Tensor::cat(vec![first, second, product, difference], 1)))
    }
}

encoder_in_field!(NystromformerDualEncoder);

impl ModelClass for NystromformerDualEncoder {
    const CLASS: ClassInfo = ClassInfo {
        // transformers has no such class.
        name: "NystromformerDualEncoder",
        auto_class: "AutoModelForSequenceClassification",
        pipeline_tag: "text-classification",
        label_layer: Some("pair_classifier.out_proj"),
        rows_per_answer: RowsPerAnswer::Always(2),
        token_table: Some(TOKEN_TABLE),
        metrics: &[TermMetric::accuracy("accuracy", 0)],
        scored: None,
    };

    fn from_encoder(
        nystromformer: Nystromformer,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        Self {
            nystromformer,
            pair_classifier: config.classifier.init(
                &config.shared,
                4 * config.classifier.pooling.width(config.shared.hidden_size),
                device,
            ),
            pooling: config.classifier.pooling.init(&config.shared, device),
        }
    }
}

impl Head for NystromformerDualEncoder {
    fn losses(
        &self,
        input: NystromformerInput,
        targets: TargetTensors,
    ) -> Result<Losses, ModelError> {
        let TargetTensors::Class(labels) = targets else {
            return Err(targets.refused_by(self.class()));
        };
        let ([rows, _], [pairs]) = (input.tokens.dims(), labels.dims());
        if 2 * pairs != rows {
            return Err(ModelError::Choices { rows, num_choices: 2 });
        }
        Ok(Losses::of_classes(self.forward(input)?, labels))
    }

    fn outputs(&self, input: NystromformerInput, _: usize) -> Result<Vec<Output>, ModelError> {
        Ok(vec![Output::new("logits", self.forward(input)?)])
    }

    fn label_layer_mut(&mut self) -> Option<&mut Linear> {
        Some(&mut self.pair_classifier.out_proj)
    }
}
