//! [`Architecture`]: which class a model is of.

use std::{fmt, str::FromStr};

/// A class of model, by transformers' name where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// The encoder without a head.
    Base,
    /// With the masked-language-modelling head.
    MaskedLm,
    /// With the heads of the authors' pretraining: masked tokens and sentence order.
    PreTraining,
    /// With a sequence classifier.
    SequenceClassification,
    /// With a classifier of pairs of sequences, each of which is encoded by itself.
    DualEncoder,
    /// With a multiple-choice head.
    MultipleChoice,
    /// With a token classifier.
    TokenClassification,
    /// With a question-answering head.
    QuestionAnswering,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Base,
        Self::MaskedLm,
        Self::PreTraining,
        Self::SequenceClassification,
        Self::DualEncoder,
        Self::MultipleChoice,
        Self::TokenClassification,
        Self::QuestionAnswering,
    ];

    /// The class's name, as in `architectures` of a `config.json`. transformers has no
    /// `NystromformerForPreTraining`, whose name follows its other models', and no `NystromformerDualEncoder`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "NystromformerModel",
            Self::MaskedLm => "NystromformerForMaskedLM",
            Self::PreTraining => "NystromformerForPreTraining",
            Self::SequenceClassification => "NystromformerForSequenceClassification",
            Self::DualEncoder => "NystromformerDualEncoder",
            Self::MultipleChoice => "NystromformerForMultipleChoice",
            Self::TokenClassification => "NystromformerForTokenClassification",
            Self::QuestionAnswering => "NystromformerForQuestionAnswering",
        }
    }

    /// transformers' class that loads such a model whatever its family, e.g. `AutoModelForMaskedLM`; it has none
    /// for a Nyströmformer with the heads of pretraining or for a dual encoder.
    pub fn auto_class(self) -> &'static str {
        match self {
            Self::Base => "AutoModel",
            Self::MaskedLm => "AutoModelForMaskedLM",
            Self::PreTraining => "AutoModelForPreTraining",
            Self::SequenceClassification | Self::DualEncoder => {
                "AutoModelForSequenceClassification"
            }
            Self::MultipleChoice => "AutoModelForMultipleChoice",
            Self::TokenClassification => "AutoModelForTokenClassification",
            Self::QuestionAnswering => "AutoModelForQuestionAnswering",
        }
    }

    /// What the Hugging Face Hub calls the task of such a model.
    pub fn pipeline_tag(self) -> &'static str {
        match self {
            Self::Base => "feature-extraction",
            Self::MaskedLm | Self::PreTraining => "fill-mask",
            Self::SequenceClassification | Self::DualEncoder => "text-classification",
            Self::MultipleChoice => "multiple-choice",
            Self::TokenClassification => "token-classification",
            Self::QuestionAnswering => "question-answering",
        }
    }

    /// Whether the configuration's `id2label` names what the head tells apart.
    pub fn has_labels(self) -> bool {
        matches!(self, Self::SequenceClassification | Self::DualEncoder | Self::TokenClassification)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Architecture {
    type Err = ();

    /// By [`Self::name`].
    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|architecture| architecture.name() == name).ok_or(())
    }
}
