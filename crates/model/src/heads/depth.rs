//! Where in a model a parameter stands.

/// How far from the input a parameter is: what layer-wise learning rates and frozen layers go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// What makes vectors of the input.
    Embeddings,
    /// A layer of the encoder, from 0; where layers share weights, a group of them.
    Layer(usize),
    /// What comes after the layers: the last normalisation, and the head.
    Head,
}

impl Depth {
    /// The depth of the parameter at this path of one of our models, as in `nystromformer.encoder.layer.0.output.dense.weight`.
    pub fn of(path: &str) -> Self {
        let in_encoder = path.strip_prefix("nystromformer.").unwrap_or(path);
        let mut names = in_encoder.split('.');
        match (names.next(), names.next(), names.next()) {
            (Some("embeddings"), ..) => Self::Embeddings,
            (Some("encoder"), Some("layer"), Some(number)) => {
                number.parse().map_or(Self::Head, Self::Layer)
            }
            _ => Self::Head,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embeddings_come_before_layers_and_layers_before_the_head() {
        for (path, depth) in [
            ("nystromformer.embeddings.word_embeddings.weight", Depth::Embeddings),
            ("embeddings.layer_norm.gamma", Depth::Embeddings),
            ("nystromformer.encoder.layer.11.output.dense.bias", Depth::Layer(11)),
            ("encoder.layer.0.attention.output.dense.weight", Depth::Layer(0)),
            ("nystromformer.encoder.layer_norm.gamma", Depth::Head),
            ("classifier.out_proj.weight", Depth::Head),
            ("cls.predictions.bias", Depth::Head),
        ] {
            assert_eq!(Depth::of(path), depth, "{path}");
        }
        assert!(Depth::Embeddings < Depth::Layer(0) && Depth::Layer(3) < Depth::Head);
    }
}
