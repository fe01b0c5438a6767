//! What can be wrong with a configuration or with an input, in words for the person who wrote it.

/// Errors of the model crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Occurs when a configuration value is outside its range or contradicts another one.
    #[error("{key} = `{value}`: {reason}")]
    Config {
        /// Key as written in a configuration file, e.g. `num_attention_heads`.
        key: &'static str,
        /// The value found.
        value: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// Occurs when a sequence is longer than the position table.
    #[error(
        "sequence of `{seq_len}` tokens: the model has positions for max_position_embeddings = \
         {max_position_embeddings}; truncate the input or raise max_position_embeddings"
    )]
    SequenceTooLong {
        /// Tokens per row of the input.
        seq_len: usize,
        /// Positions that the model has.
        max_position_embeddings: usize,
    },
    /// Occurs under `semantics = "hf"` when the input has another length than
    /// `segment_means_seq_len`: transformers would raise, or silently mix rows of the batch.
    #[error(
        "sequence of `{seq_len}` tokens: with semantics = \"hf\" and Nyström attention every input \
         must have segment_means_seq_len = {segment_means_seq_len} tokens; pad the input to that \
         length, or use semantics = \"paper\", which takes any length"
    )]
    SegmentMeansLength {
        /// Tokens per row of the input.
        seq_len: usize,
        /// Length that the configuration fixes.
        segment_means_seq_len: usize,
    },
    /// Occurs when two inputs that must have the same shape do not.
    #[error(
        "{name} has shape `{got:?}` but input_ids has `{expected:?}`: give both the same shape"
    )]
    ShapeMismatch {
        /// Name of the input, e.g. `attention_mask`.
        name: &'static str,
        /// Its shape.
        got: [usize; 2],
        /// Shape of `input_ids`.
        expected: [usize; 2],
    },
    /// Occurs when an input has no rows or no columns.
    #[error("input_ids has shape `{shape:?}`: give at least one row and one token")]
    EmptyInput {
        /// Shape of `input_ids`.
        shape: [usize; 2],
    },
    /// Occurs when input embeddings are not as wide as the model.
    #[error(
        "inputs_embeds has shape `{got:?}`: its last size must be the model's hidden_size = {hidden_size}"
    )]
    EmbedsWidth {
        /// Shape of the embeddings.
        got: [usize; 3],
        /// Width of the model.
        hidden_size: usize,
    },
    /// Occurs when feature vectors have another number of features than the model reads.
    #[error(
        "input_features has shape `{got:?}`: its last size must be the model's num_features = {num_features}"
    )]
    VectorWidth {
        /// Shape of the vectors.
        got: [usize; 3],
        /// Features that the model reads.
        num_features: usize,
    },
    /// Occurs when coordinates do not belong to the vectors.
    #[error(
        "coordinates has shape `{got:?}` for vectors of shape `{expected:?}`: give a row and a column for each"
    )]
    Coordinates {
        /// Shape of the coordinates.
        got: [usize; 3],
        /// Rows and vectors of the input.
        expected: [usize; 2],
    },
    /// Occurs when a model that reads one kind of input is given another.
    #[error(
        "the model reads {reads}, and the input is {got}: give what it reads, or choose another model"
    )]
    Inputs {
        /// What the model reads.
        reads: &'static str,
        /// What it was given, or asked for.
        got: &'static str,
    },
    /// Occurs when a row of attention is asked for that is not there.
    #[error("position `{position}` of a sequence of `{seq_len}`: choose one below that")]
    Position {
        /// The query asked for.
        position: usize,
        /// Tokens of the sequence.
        seq_len: usize,
    },
    /// Occurs when a row of attention is asked for of a kind that has no attention matrix.
    #[error(
        "attention = `{attention}` has no attention matrix, so there is no row of it to show: choose a model of another kind"
    )]
    NoAttentionRow {
        /// The kind's name.
        attention: &'static str,
    },
    /// Occurs when a sequence is longer than a kind of attention has weights for.
    #[error(
        "sequence of `{seq_len}` tokens: attention = \"{attention}\" has weights for {key} = {longest}; truncate the input, or \
         train with a larger {key}"
    )]
    AttentionLength {
        /// Tokens per row of the input, a class token counted.
        seq_len: usize,
        /// The kind's name.
        attention: &'static str,
        /// Key of the length.
        key: &'static str,
        /// Its value.
        longest: usize,
    },
    /// Occurs when the rows of a batch cannot be grouped into questions.
    #[error(
        "a batch of `{rows}` rows cannot be groups of {num_choices}: give one row for each choice of a question, and \
         as many for every question; two for a pair of sequences"
    )]
    Choices {
        /// Rows of the batch.
        rows: usize,
        /// Choices of each question, or 2 for pairs.
        num_choices: usize,
    },
    /// Occurs when a model is trained towards answers that its head does not give.
    #[error(
        "{architecture} cannot be trained towards {targets}: choose the head that gives such answers"
    )]
    Targets {
        /// The model's class.
        architecture: &'static str,
        /// What was asked of it.
        targets: &'static str,
    },
    /// Occurs when there are not as many answers as questions.
    #[error("{got} {name} for {expected}: give one for each")]
    Answers {
        /// What is counted.
        name: &'static str,
        /// How many there are.
        got: usize,
        /// How many there must be.
        expected: usize,
    },
}
