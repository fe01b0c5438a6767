//! The graph of a model, part by part as the model's own modules are: `crates/model/src` has a file of the same name for
//! each.

mod attention;
mod classifier;
mod embeddings;
mod encoder;
mod heads;
mod inputs;
mod linear;
mod stem;
mod vector_embeddings;

use nystromformer::{Architecture, AttentionKind, NystromformerConfig};

use self::{
    attention::{
        kinds::{Context, context_of},
        padding::Padding,
    },
    embeddings::embeddings,
    encoder::encoder,
    heads::{Answers, Encoded, answers_of},
    inputs::{BATCH, Inputs, Tokens},
    vector_embeddings::vector_embeddings,
};
use super::{
    element::Precision,
    graph::{Dim, Graph, Value},
    weights::Weights,
};

/// How the graph of a model is made.
pub(super) struct ModelGraph<'a> {
    architecture: Architecture,
    config: &'a NystromformerConfig,
    context: Context,
    answers: Answers,
}

/// A part that has no graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoGraph {
    Attention(AttentionKind),
    /// An option of attention, by its key and value.
    Option(&'static str, String),
    Head(Architecture),
}

impl<'a> ModelGraph<'a> {
    /// # Errors
    /// The part that has no graph.
    pub(super) fn of(
        architecture: Architecture,
        config: &'a NystromformerConfig,
    ) -> Result<Self, NoGraph> {
        let kind = config.attention.kind;
        let context = context_of(kind).ok_or(NoGraph::Attention(kind))?;
        if let (AttentionKind::Nystrom, Some((key, value))) =
            (kind, config.attention.nystrom.own_option())
        {
            return Err(NoGraph::Option(key, value));
        }
        let answers = answers_of(architecture).ok_or(NoGraph::Head(architecture))?;
        Ok(Self { architecture, config, context, answers })
    }

    /// Adds all nodes and weights.
    pub(super) fn build(&self, weights: &Weights, precision: Precision) -> Graph {
        let mut graph = Graph::new(self.architecture.name(), precision);
        let config = self.config;
        let inputs = Inputs::new(&mut graph, config, self.architecture.class().rows_per_answer);
        let root = weights.root();
        let part = root.child("nystromformer");
        let (states, mask) = graph.scope("embeddings", |graph| {
            let part = part.child("embeddings");
            match &inputs.tokens {
                Tokens::Ids { input_ids, token_type_ids } => {
                    let given = [input_ids, token_type_ids, &inputs.mask];
                    let states = embeddings(graph, config, &part, given);
                    (states, inputs.mask.clone())
                }
                Tokens::Vectors(vectors) => {
                    let states = vector_embeddings(graph, config, &part, vectors, &inputs.mask);
                    (states, mask_of_states(graph, config, &inputs.mask))
                }
            }
        });
        let states = graph.scope("encoder", |graph| {
            if config.encoder.num_hidden_layers == 0 && !config.shared.norm_first {
                return states;
            }
            let segments = config.attention.options().num_segments(&config.shared);
            let padding = Padding::new(graph, &mask, segments);
            encoder(graph, config, &part.child("encoder"), states, &padding, self.context)
        });
        let sequence = match (inputs.sequence, config.vectors.tokens_before()) {
            (sequence, 0) => sequence,
            (Dim::Fixed(length), before) => Dim::Fixed(length + before),
            (Dim::Free(_), _) => Dim::Free("sequence + 1"),
        };
        let encoded = Encoded {
            config,
            root,
            states,
            mask,
            given: inputs.given,
            batch: Dim::Free(BATCH),
            sequence,
        };
        let answers = graph.scope("head", |graph| (self.answers)(graph, &encoded));
        for answer in answers {
            graph.output(answer.name, &answer.value, &answer.dims);
        }
        graph
    }
}

/// The mask with a 1 before it where vectors begin with a class token.
fn mask_of_states(graph: &mut Graph, config: &NystromformerConfig, mask: &Value) -> Value {
    let before = config.vectors.tokens_before();
    if before == 0 {
        return mask.clone();
    }
    let batch = graph.sizes(mask, 0, 1);
    let count = graph.integers(&[before as i64]);
    let shape = graph.concat(&[&batch, &count], 0);
    let one = graph.integers(&[1]);
    let ones = graph.expand(&one, &shape);
    graph.concat(&[&ones, mask], 1)
}
