//! A classifier of sequences: its classes or numbers, what it reads, and the head itself.

mod labels;
mod pooling;
mod standardization;

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::{dropout, trace};

pub use labels::{Labels, ProblemType};
pub(crate) use pooling::first_tokens;
pub use pooling::{GatedAttention, Pooler, Pooling};
pub use standardization::Standardization;

use crate::{
    activation::HiddenAct,
    component::{Problems, component},
    linear::Linear,
    shared::SharedConfig,
};

component! {
    /// Options of classifiers.
    pub struct ClassifierConfig {
        /// Names of the classes of a classification head; their number is that of the head's outputs, and of the
        /// sentence-order head's (multiple choice and question answering have a fixed number and ignore it).
        /// Default: `LABEL_0`, `LABEL_1`.
        id2label: Labels = Labels::default(),
        /// What a sequence classifier answers. Default: numbers if it has one class, else one of its classes.
        problem_type: Option<ProblemType> = None,
        /// Mean of each number that a sequence classifier was trained towards, if it was trained towards numbers less their mean, over
        /// their deviation; its answers are the numbers themselves. Default: none.
        label_mean: Option<Vec<f32>> = None,
        /// Deviation of each of these numbers. Default: none.
        label_std: Option<Vec<f32>> = None,
        /// What a sequence classifier reads of a sequence. Default: `first`.
        pooling: Pooling = Pooling::default(),
        /// Width inside a sequence classifier; 0 means `hidden_size`. Default: 0.
        classifier_hidden_size: usize = 0,
        /// Activation of a sequence classifier. Default: `hidden_act`.
        classifier_act: Option<HiddenAct> = None,
        /// Both dropouts of a sequence classifier, in [0, 1). Default: `hidden_dropout_prob`.
        classifier_dropout_prob: Option<f64> = None,
    }
}

impl ClassifierConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check(
            !self.id2label.is_empty(),
            "id2label",
            &self.id2label.len(),
            "a classifier needs at least one class",
        );
        for (key, values) in [("label_mean", &self.label_mean), ("label_std", &self.label_std)] {
            let Some(values) = values else { continue };
            let is_deviation = key == "label_std";
            let fits = values.len() == self.num_labels()
                && self.problem_type() == ProblemType::Regression
                && self.label_mean.is_some() == self.label_std.is_some()
                && values.iter().all(|value| value.is_finite() && (!is_deviation || *value > 0.0));
            let reason = "a regression has one finite number for each of its outputs, in `label_mean` and in `label_std`, where \
                          they are above 0";
            problems.check(fits, key, &format!("{values:?}"), reason);
        }
        problems.check_size("classifier_hidden_size", self.classifier_hidden_size, 0);
        problems.check_dropout(
            "classifier_dropout_prob",
            self.classifier_dropout_prob.unwrap_or_default(),
        );
    }

    /// Outputs of a classification head.
    pub fn num_labels(&self) -> usize {
        self.id2label.len()
    }

    /// What a sequence classifier answers: as stated, or else by transformers' rule for integer labels.
    pub fn problem_type(&self) -> ProblemType {
        self.problem_type.unwrap_or(match self.num_labels() {
            1 => ProblemType::Regression,
            _ => ProblemType::SingleLabelClassification,
        })
    }

    /// How numbers were standardized to train towards them; `None` if they were not.
    pub fn standardization(&self) -> Option<Standardization> {
        let (mean, std) = (self.label_mean.clone()?, self.label_std.clone()?);
        Some(Standardization { mean, std })
    }

    /// Width inside a sequence classifier.
    pub fn width(&self, shared: &SharedConfig) -> usize {
        match self.classifier_hidden_size {
            0 => shared.hidden_size,
            width => width,
        }
    }

    /// A fresh head that reads `inputs` features, on `device`.
    pub fn init(
        &self,
        shared: &SharedConfig,
        inputs: usize,
        device: &Device,
    ) -> ClassificationHead {
        let width = self.width(shared);
        ClassificationHead {
            dense: shared.linear(inputs, width).init(device),
            out_proj: shared.linear(width, self.num_labels()).init(device),
            dropout_prob: self.classifier_dropout_prob.unwrap_or(shared.hidden_dropout_prob),
            activation: self.classifier_act.unwrap_or(shared.hidden_act),
        }
    }
}

/// `out_proj(dropout(act(dense(dropout(x)))))`, transformers' `NystromformerClassificationHead`.
///
/// The authors' head uses tanh where transformers uses `hidden_act`; `classifier_act` is to choose. Theirs for the Long
/// Range Arena has `relu`, a width of its own and no dropout.
#[derive(Module, Debug)]
pub struct ClassificationHead {
    /// From the features to `classifier_hidden_size`.
    pub dense: Linear,
    /// To `num_labels`.
    pub out_proj: Linear,
    dropout_prob: f64,
    #[module(skip)]
    activation: HiddenAct,
}

impl ClassificationHead {
    /// Scores of every class.
    ///
    /// # Shapes
    /// - `features`: `[batch, inputs]`
    /// - output: `[batch, num_labels]`
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let _part = trace::part("classifier");
        let dropout = |hidden| dropout(hidden, self.dropout_prob);
        let hidden = self.activation.forward(self.dense.forward(dropout(features)));
        self.out_proj.forward(dropout(hidden))
    }
}
