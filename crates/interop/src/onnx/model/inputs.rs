//! The inputs of a model, by transformers' names.

use nystromformer::{NystromformerConfig, RowsPerAnswer};

use crate::onnx::{
    element::Element,
    graph::{Dim, Graph, Value},
};

pub(super) const BATCH: &str = "batch";
pub(super) const NUM_CHOICES: &str = "num_choices";
const SEQUENCE: &str = "sequence";

/// What a model reads, a row for each sequence.
pub(super) struct Inputs {
    pub(super) tokens: Tokens,
    /// `[rows, sequence]`.
    pub(super) mask: Value,
    /// The first input as it is given.
    pub(super) given: Value,
    pub(super) sequence: Dim,
}

/// What stands at each place.
pub(super) enum Tokens {
    /// Both `[rows, sequence]`.
    Ids { input_ids: Value, token_type_ids: Value },
    /// `[rows, sequence, num_features]`.
    Vectors(Value),
}

impl Inputs {
    /// Adds the inputs of a model. The rows of all choices are one after the other, as the encoder reads them.
    pub(super) fn new(
        graph: &mut Graph,
        config: &NystromformerConfig,
        rows_per_answer: RowsPerAnswer,
    ) -> Self {
        let batch = Dim::Free(BATCH);
        let sequence = config.required_seq_len().map_or(Dim::Free(SEQUENCE), Dim::Fixed);
        if config.vectors.is_used() {
            let width = Dim::Fixed(config.vectors.num_features);
            let vectors = graph.input("input_features", Element::F32, &[batch, sequence, width]);
            let mask = graph.input("attention_mask", Element::I64, &[batch, sequence]);
            return Self {
                tokens: Tokens::Vectors(vectors.clone()),
                mask,
                given: vectors,
                sequence,
            };
        }
        let names = ["input_ids", "attention_mask", "token_type_ids"];
        let given = names.map(|name| match rows_per_answer {
            RowsPerAnswer::Always(_) => graph.input(name, Element::I64, &[batch, sequence]),
            RowsPerAnswer::Choices => {
                graph.input(name, Element::I64, &[batch, Dim::Free(NUM_CHOICES), sequence])
            }
        });
        let [input_ids, mask, token_type_ids] = match rows_per_answer {
            RowsPerAnswer::Always(_) => given.clone(),
            RowsPerAnswer::Choices => {
                let (rows, width) = (graph.integers(&[-1]), graph.sizes(&given[0], 2, 3));
                let shape = graph.concat(&[&rows, &width], 0);
                given.each_ref().map(|input| graph.reshape_to(input, &shape))
            }
        };
        let [given, ..] = given;
        Self { tokens: Tokens::Ids { input_ids, token_type_ids }, mask, given, sequence }
    }
}
