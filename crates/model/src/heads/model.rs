//! [`Model`]: a model whose class is known when running.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::cross_entropy;

use super::{
    Architecture, Losses, ModelClass, NystromformerDualEncoder, NystromformerForMaskedLm,
    NystromformerForMultipleChoice, NystromformerForPreTraining, NystromformerForQuestionAnswering,
    NystromformerForSequenceClassification, NystromformerForTokenClassification, PreTrainedModel,
    Targets,
    targets::{binary_cross_entropy, span_cross_entropy, squared_error},
};
use crate::{
    attention::padding::bias as mask_bias,
    config::{NystromformerConfig, ProblemType, Semantics},
    error::ModelError,
    init::draw_weights,
    nystromformer::{Nystromformer, NystromformerInput},
};

/// A model of any class.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one such value, and all of them hold an encoder"
)]
#[derive(Module, Debug)]
pub enum Model {
    /// The encoder without a head.
    Base(Nystromformer),
    /// With the masked-language-modelling head.
    MaskedLm(NystromformerForMaskedLm),
    /// With the two heads of pretraining.
    PreTraining(NystromformerForPreTraining),
    /// With a sequence classifier.
    SequenceClassification(NystromformerForSequenceClassification),
    /// With a classifier of pairs of sequences.
    DualEncoder(NystromformerDualEncoder),
    /// With a multiple-choice head.
    MultipleChoice(NystromformerForMultipleChoice),
    /// With a token classifier.
    TokenClassification(NystromformerForTokenClassification),
    /// With a question-answering head.
    QuestionAnswering(NystromformerForQuestionAnswering),
}

/// `$body` with `$model` as the model of a class, whichever it is.
macro_rules! with_class {
    ($any:expr, $model:ident => $body:expr) => {
        match $any {
            Model::Base($model) => $body,
            Model::MaskedLm($model) => $body,
            Model::PreTraining($model) => $body,
            Model::SequenceClassification($model) => $body,
            Model::DualEncoder($model) => $body,
            Model::MultipleChoice($model) => $body,
            Model::TokenClassification($model) => $body,
            Model::QuestionAnswering($model) => $body,
        }
    };
}

impl Model {
    /// Fresh weights on `device`.
    ///
    /// # Errors
    /// See [`NystromformerConfig::validate`].
    pub fn init(
        architecture: Architecture,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let model = Self::build(architecture, config, device);
        draw_weights(&model);
        Ok(model)
    }

    /// As [`ModelClass::build`]: for weights that are read and not drawn.
    #[doc(hidden)]
    pub fn build(
        architecture: Architecture,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        match architecture {
            Architecture::Base => Self::Base(ModelClass::build(config, device)),
            Architecture::MaskedLm => Self::MaskedLm(ModelClass::build(config, device)),
            Architecture::PreTraining => Self::PreTraining(ModelClass::build(config, device)),
            Architecture::SequenceClassification => {
                Self::SequenceClassification(ModelClass::build(config, device))
            }
            Architecture::DualEncoder => Self::DualEncoder(ModelClass::build(config, device)),
            Architecture::MultipleChoice => Self::MultipleChoice(ModelClass::build(config, device)),
            Architecture::TokenClassification => {
                Self::TokenClassification(ModelClass::build(config, device))
            }
            Architecture::QuestionAnswering => {
                Self::QuestionAnswering(ModelClass::build(config, device))
            }
        }
    }

    /// Answers a batch and says how far off each answer is, by the loss that transformers' class has.
    ///
    /// In `paper` semantics padding is no possible answer to a question; in transformers it is.
    ///
    /// # Errors
    /// [`ModelError::Targets`] if the model's head gives other answers, [`ModelError::Answers`] if there are not as
    /// many as the batch has rows; as for [`Nystromformer::forward`].
    ///
    /// # Panics
    /// If a label is no class, or a position no token of the batch.
    pub fn losses(
        &self,
        input: NystromformerInput,
        targets: Targets,
    ) -> Result<Losses, ModelError> {
        self.require_fitting(input.tokens.dims(), &targets)?;
        let (problem, stated) = (self.config().problem_type(), self.config().problem_type);
        Ok(match (self, targets) {
            (Self::MaskedLm(model), Targets::Tokens { positions, labels }) => {
                classes(model.forward_at(input, positions)?, labels)
            }
            (Self::TokenClassification(model), Targets::Tokens { positions, labels }) => {
                classes(model.forward_at(input, positions)?, labels)
            }
            (Self::PreTraining(model), Targets::TokensAndOrder { positions, labels, order }) => {
                let (predictions, order_logits) = model.forward_at(input, positions)?;
                let of_tokens = cross_entropy(predictions.clone(), labels);
                let of_order = cross_entropy(order_logits.clone(), order);
                Losses::two(1.0, (of_tokens, predictions), (of_order, order_logits))
            }
            (Self::SequenceClassification(model), Targets::Class(labels))
                if problem == ProblemType::SingleLabelClassification =>
            {
                classes(model.forward(input)?, labels)
            }
            (Self::SequenceClassification(model), Targets::Values(values))
                if stated != Some(ProblemType::SingleLabelClassification) =>
            {
                let logits = model.forward(input)?;
                let losses = match problem {
                    ProblemType::Regression => squared_error(logits.clone(), values),
                    // By transformers' rule, numbers for several classes say of each whether it applies.
                    _ => binary_cross_entropy(logits.clone(), values),
                };
                Losses::one(losses, logits)
            }
            (Self::DualEncoder(model), Targets::Class(labels)) => {
                let ([rows, _], [pairs]) = (input.tokens.dims(), labels.dims());
                if 2 * pairs != rows {
                    return Err(ModelError::Choices { rows, num_choices: 2 });
                }
                classes(model.forward(input)?, labels)
            }
            (Self::MultipleChoice(model), Targets::Class(labels)) => {
                let ([rows, _], [questions]) = (input.tokens.dims(), labels.dims());
                let num_choices = rows / questions.max(1);
                if num_choices * questions != rows {
                    return Err(ModelError::Choices { rows, num_choices });
                }
                classes(model.forward(input, num_choices)?, labels)
            }
            (Self::QuestionAnswering(model), Targets::Span { start, end }) => {
                let mask = input.attention_mask.clone();
                let mut logits = model.forward(input)?;
                if let (Semantics::Paper, Some(mask)) = (self.config().semantics, mask) {
                    let bias = mask_bias(mask.float());
                    logits.start = logits.start + bias.clone();
                    logits.end = logits.end + bias;
                }
                let of_start = span_cross_entropy(logits.start.clone(), start);
                let of_end = span_cross_entropy(logits.end.clone(), end);
                Losses::two(0.5, (of_start, logits.start), (of_end, logits.end))
            }
            (_, targets) => {
                return Err(ModelError::Targets {
                    architecture: self.architecture().name(),
                    targets: targets.describe(),
                });
            }
        })
    }
}

impl Model {
    /// Refuses answers that are not one for each row, or each label of it. Only shapes are looked at: values are on
    /// the device.
    fn require_fitting(&self, [rows, _]: [usize; 2], targets: &Targets) -> Result<(), ModelError> {
        let expect = |name: &'static str, got: usize, expected: usize| {
            if got == expected { Ok(()) } else { Err(ModelError::Answers { name, got, expected }) }
        };
        match targets {
            Targets::Tokens { positions, labels }
            | Targets::TokensAndOrder { positions, labels, .. } => {
                expect("labels", labels.dims()[0], positions.dims()[0])?;
                match targets {
                    Targets::TokensAndOrder { order, .. } => expect("order", order.dims()[0], rows),
                    _ => Ok(()),
                }
            }
            // The rows of a question, or of a pair, share one.
            Targets::Class(labels) => match self {
                Self::MultipleChoice(_) | Self::DualEncoder(_) => Ok(()),
                _ => expect("labels", labels.dims()[0], rows),
            },
            Targets::Values(values) => {
                let [found, columns] = values.dims();
                expect("labels", found, rows)?;
                expect("labels of a row", columns, self.config().num_labels())
            }
            Targets::Span { start, end } => {
                expect("start_positions", start.dims()[0], rows)?;
                expect("end_positions", end.dims()[0], rows)
            }
        }
    }
}

impl PreTrainedModel for Model {
    fn architecture(&self) -> Architecture {
        with_class!(self, model => model.architecture())
    }

    fn nystromformer(&self) -> &Nystromformer {
        with_class!(self, model => model.nystromformer())
    }

    fn nystromformer_mut(&mut self) -> &mut Nystromformer {
        with_class!(self, model => model.nystromformer_mut())
    }
}

/// One class of several for each row of scores.
fn classes(logits: Tensor<2>, labels: Tensor<1, Int>) -> Losses {
    Losses::one(cross_entropy(logits.clone(), labels), logits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Labels;

    fn tiny() -> NystromformerConfig {
        NystromformerConfig {
            vocab_size: 20,
            hidden_size: 8,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 8,
            num_landmarks: 4,
            conv_kernel_size: 3,
            id2label: Labels::numbered(3),
            ..NystromformerConfig::default()
        }
    }

    fn ids(rows: usize) -> NystromformerInput {
        NystromformerInput::new(Tensor::<2, Int>::ones([rows, 9], &Device::flex()))
    }

    fn ints<const N: usize>(values: [i64; N]) -> Tensor<1, Int> {
        Tensor::from_ints(values, &Device::flex())
    }

    #[test]
    fn every_head_answers_in_its_shape() {
        let device = Device::flex();
        for architecture in Architecture::ALL {
            let model = Model::init(architecture, &tiny(), &device).unwrap();
            assert_eq!(model.architecture(), architecture);
            let (positions, labels) = (ints([0, 7, 11]), ints([1, 2, 0]));
            let (targets, shapes) = match architecture {
                Architecture::Base => continue,
                Architecture::MaskedLm => (Targets::Tokens { positions, labels }, vec![[3, 20]]),
                Architecture::TokenClassification => {
                    (Targets::Tokens { positions, labels }, vec![[3, 3]])
                }
                Architecture::PreTraining => {
                    let order = ints([0, 1, 0, 1]);
                    let targets = Targets::TokensAndOrder { positions, labels, order };
                    (targets, vec![[3, 20], [4, 3]])
                }
                Architecture::SequenceClassification => {
                    (Targets::Class(ints([0, 2, 1, 1])), vec![[4, 3]])
                }
                Architecture::DualEncoder => (Targets::Class(ints([2, 0])), vec![[2, 3]]),
                Architecture::MultipleChoice => (Targets::Class(ints([1, 0])), vec![[2, 2]]),
                Architecture::QuestionAnswering => {
                    let (start, end) = (ints([0, 1, 2, 3]), ints([8, 7, 6, 9]));
                    (Targets::Span { start, end }, vec![[4, 9], [4, 9]])
                }
            };
            let losses = model.losses(ids(4), targets).unwrap();
            let found: Vec<[usize; 2]> = losses.logits.iter().map(Tensor::dims).collect();
            assert_eq!(found, shapes, "{architecture}");
            assert_eq!(losses.terms.len(), shapes.len());
        }
    }

    #[test]
    fn answers_that_a_head_does_not_give_are_refused() {
        let model = Model::init(Architecture::MaskedLm, &tiny(), &Device::flex()).unwrap();
        let error = model.losses(ids(1), Targets::Class(ints([0]))).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("NystromformerForMaskedLM cannot be trained towards one class")
        );
    }

    /// transformers' rules: which loss a sequence classifier has follows from `problem_type`, or else from its labels.
    #[test]
    fn labels_must_be_of_the_problem() {
        let device = Device::flex();
        let values = |columns| Targets::Values(Tensor::zeros([2, columns], &device));
        let class = || Targets::Class(ints([0, 0]));
        let classifier = |num_labels, problem_type| {
            let id2label = Labels::numbered(num_labels);
            let config = NystromformerConfig { id2label, problem_type, ..tiny() };
            Model::init(Architecture::SequenceClassification, &config, &device).unwrap()
        };
        for (num_labels, problem_type, takes_class, takes_values) in [
            (1, None, false, true),
            (3, None, true, true),
            (3, Some(ProblemType::Regression), false, true),
            (3, Some(ProblemType::SingleLabelClassification), true, false),
            (3, Some(ProblemType::MultiLabelClassification), false, true),
        ] {
            let model = classifier(num_labels, problem_type);
            assert_eq!(model.losses(ids(2), class()).is_ok(), takes_class, "{problem_type:?}");
            let with_values = model.losses(ids(2), values(num_labels));
            assert_eq!(with_values.is_ok(), takes_values, "{problem_type:?}");
        }
    }

    /// The loss of pretraining is the sum of two means, each of cross-entropies of its own scores.
    #[test]
    fn pretraining_adds_the_means_of_both_heads() {
        let config = NystromformerConfig { initializer_range: 0.3, ..tiny() };
        let model = Model::init(Architecture::PreTraining, &config, &Device::flex()).unwrap();
        let (positions, labels) = (ints([2, 9, 17]), ints([4, 0, 19]));
        let order = ints([1, 0]);
        let targets = Targets::TokensAndOrder { positions, labels, order };
        let Losses { terms, logits } = model.losses(ids(2), targets).unwrap();
        for ((term, logits), answers) in
            terms.into_iter().zip(logits).zip([vec![4, 0, 19], vec![1, 0]])
        {
            assert_eq!(term.weight.to_bits(), 1.0f64.to_bits());
            let [_, classes] = logits.dims();
            let scores: Vec<f32> = logits.into_data().try_into_vec().unwrap();
            let losses: Vec<f32> = term.losses.into_data().try_into_vec().unwrap();
            assert_eq!(losses.len(), answers.len());
            for ((row, loss), answer) in scores.chunks(classes).zip(losses).zip(answers) {
                let sum: f64 = row.iter().map(|score| f64::from(*score).exp()).sum();
                let expected = sum.ln() - f64::from(row[answer]);
                assert!((f64::from(loss) - expected).abs() < 1e-5, "{loss} for {expected}");
            }
        }
    }

    #[test]
    fn answers_must_be_as_many_as_rows() {
        let model = Model::init(Architecture::SequenceClassification, &tiny(), &Device::flex());
        let model = model.unwrap();
        for targets in [
            Targets::Class(ints([0, 1, 2])),
            Targets::Values(Tensor::zeros([2, 1], &Device::flex())),
        ] {
            let error = model.losses(ids(2), targets).unwrap_err();
            assert!(matches!(error, ModelError::Answers { .. }), "{error}");
        }
    }

    #[test]
    fn choices_must_be_whole() {
        let model = Model::init(Architecture::MultipleChoice, &tiny(), &Device::flex()).unwrap();
        let error = model.losses(ids(3), Targets::Class(ints([0, 0]))).unwrap_err();
        assert_eq!(error, ModelError::Choices { rows: 3, num_choices: 1 });
    }

    /// A group's layers are one layer, used again and again.
    #[test]
    fn shared_layers_equal_copies() {
        let device = Device::flex();
        let config = NystromformerConfig {
            num_hidden_layers: 4,
            num_hidden_groups: 2,
            initializer_range: 0.3,
            ..tiny()
        };
        let shared = config.init(&device).unwrap();
        let own = NystromformerConfig { num_hidden_groups: 0, ..config };
        let mut copied = own.init(&device).unwrap();
        copied.embeddings = shared.embeddings.clone();
        copied.encoder.layer = shared.encoder.layers().cloned().collect();
        let bits = |model: &Nystromformer| model.forward(ids(2)).unwrap().into_data();
        assert_eq!(shared.encoder.layer.len(), 2);
        assert_eq!(bits(&shared), bits(&copied));
    }

    #[test]
    fn chunks_and_embeddings_change_nothing() {
        let device = Device::flex();
        let config = NystromformerConfig { initializer_range: 0.3, ..tiny() };
        let whole = config.init(&device).unwrap();
        let chunked = NystromformerConfig { chunk_size_feed_forward: 4, ..config };
        let mut chunked = chunked.init(&device).unwrap();
        let copy = |layer: &crate::layer::Layer, into: &mut crate::layer::Layer| {
            into.attention = layer.attention.clone();
            into.intermediate = layer.intermediate.clone();
            into.output = layer.output.clone();
        };
        chunked.embeddings = whole.embeddings.clone();
        for (from, into) in whole.encoder.layer.iter().zip(&mut chunked.encoder.layer) {
            copy(from, into);
        }
        let close = |left: Tensor<3>, right: Tensor<3>| {
            let tolerance = burn::tensor::Tolerance::absolute(1e-5);
            left.into_data().assert_approx_eq::<f32>(&right.into_data(), tolerance);
        };
        let expected = whole.forward(ids(2)).unwrap();
        close(chunked.forward(ids(2)).unwrap(), expected.clone());

        let table = &whole.embeddings.word_embeddings;
        let embeds = table.forward(Tensor::<2, Int>::ones([2, 9], &device));
        close(whole.forward(NystromformerInput::from_embeds(embeds)).unwrap(), expected);
    }
}
