//! The heads that have a graph. A head is a file beside this one, and a line here.

mod base;
mod dual_encoder;
mod masked_lm;
mod multiple_choice;
mod pre_training;
mod question_answering;
mod sequence_classification;
mod token_classification;

use nystromformer::{Architecture, NystromformerConfig};

use crate::onnx::{
    graph::{Dim, Graph, Value},
    weights::Part,
};

/// What a head reads.
pub(super) struct Encoded<'a> {
    pub(super) config: &'a NystromformerConfig,
    /// The whole model, of which the head is a part.
    pub(super) root: Part<'a>,
    /// The last hidden states, `[rows, sequence, hidden_size]`.
    pub(super) states: Value,
    /// Their mask, `[rows, sequence]`.
    pub(super) mask: Value,
    /// The first input of the model as it is given.
    pub(super) given: Value,
    pub(super) batch: Dim,
    /// Of the states.
    pub(super) sequence: Dim,
}

/// One of the answers, by transformers' name.
pub(super) struct Answer {
    pub(super) name: &'static str,
    pub(super) value: Value,
    pub(super) dims: Vec<Dim>,
}

impl Answer {
    fn new<const D: usize>(name: &'static str, value: Value, dims: [Dim; D]) -> Self {
        Self { name, value, dims: dims.to_vec() }
    }
}

/// Adds a head's answers.
pub(super) type Answers = fn(&mut Graph, &Encoded) -> Vec<Answer>;

const HEADS: &[(Architecture, Answers)] = &[
    (Architecture::Base, base::answers),
    (Architecture::MaskedLm, masked_lm::answers),
    (Architecture::PreTraining, pre_training::answers),
    (Architecture::SequenceClassification, sequence_classification::answers),
    (Architecture::DualEncoder, dual_encoder::answers),
    (Architecture::MultipleChoice, multiple_choice::answers),
    (Architecture::TokenClassification, token_classification::answers),
    (Architecture::QuestionAnswering, question_answering::answers),
];

/// The graph of a head, if it has one.
pub(super) fn answers_of(architecture: Architecture) -> Option<Answers> {
    HEADS.iter().find(|(known, _)| *known == architecture).map(|(_, answers)| *answers)
}
