//! Attention by the Nyström method: landmarks, three kernels, the iterative pseudo-inverse. Nothing is `n × n`.

use nystromformer::{NystromformerConfig, PinvInit, PinvMethod, Semantics};

use super::{
    padding::{Padding, Segments},
    self_attention::Projections,
    softmax,
};
use crate::onnx::{
    element::Element,
    graph::{Graph, Value},
};

/// The least divisor of the pseudo-inverse's start: a matrix of zeros must give zeros.
const LEAST_SCALE: f64 = 1e-12;

/// Attends every token to every valid token, approximately; exactly where transformers' rule says so.
pub(super) fn context(
    graph: &mut Graph,
    config: &NystromformerConfig,
    projections: &Projections,
    padding: &Padding,
) -> Value {
    if config.is_full_attention() {
        return softmax::context(graph, config, projections, padding);
    }
    let scale = (config.shared.head_dim() as f64).powf(-0.5);
    let segments = padding.segments.as_ref();
    let (query_landmarks, key_landmarks) = graph.scope("landmarks", |graph| {
        let query = landmarks(graph, config, &projections.query, segments);
        let key = landmarks(graph, config, &projections.key, segments);
        let query = projections.heads(graph, &query);
        (graph.times(&query, scale), projections.heads_transposed(graph, &key))
    });

    let pinv = graph.scope("kernel_2", |graph| {
        let scores = graph.matmul(&query_landmarks, &key_landmarks);
        let kernel = softmax_over_landmarks(graph, &scores, segments);
        let kernel = match segments {
            Some(segments) => graph.mul(&kernel, &segments.keep),
            None => kernel,
        };
        match config.attention.nystrom.pinv {
            PinvMethod::Iterative => iterative_pinv(graph, config, &kernel),
            PinvMethod::Solve => ridge_pinv(graph, config, &kernel),
        }
    });

    let summary = graph.scope("kernel_3", |graph| {
        let key = projections.heads_transposed(graph, &projections.key);
        let value = projections.heads(graph, &projections.value);
        let scores = graph.matmul(&query_landmarks, &key);
        let scores = graph.add(&scores, &padding.key_bias);
        let kernel = graph.softmax(&scores);
        graph.matmul(&kernel, &value)
    });
    graph.scope("kernel_1", |graph| {
        let query = projections.heads(graph, &projections.query);
        let key_landmarks = graph.times(&key_landmarks, scale);
        let scores = graph.matmul(&query, &key_landmarks);
        let kernel = softmax_over_landmarks(graph, &scores, segments);
        let inverted = graph.matmul(&pinv, &summary);
        graph.matmul(&kernel, &inverted)
    })
}

/// Probabilities of the landmarks in use.
fn softmax_over_landmarks(graph: &mut Graph, scores: &Value, segments: Option<&Segments>) -> Value {
    match segments {
        Some(segments) => {
            let scores = graph.add(scores, &segments.landmark_bias);
            graph.softmax(&scores)
        }
        None => graph.softmax(scores),
    }
}

/// Means over segments of the sequence.
///
/// # Shapes
/// - `tokens`: `[batch, seq_len, hidden_size]`
/// - output: `[batch, landmarks, hidden_size]`
fn landmarks(
    graph: &mut Graph,
    config: &NystromformerConfig,
    tokens: &Value,
    segments: Option<&Segments>,
) -> Value {
    if let Some(segments) = segments {
        return graph.matmul(&segments.pooling, tokens);
    }
    debug_assert_eq!(config.shared.semantics, Semantics::Hf, "there alone the length is known");
    let options = &config.attention.nystrom;
    let (count, width) = (options.num_landmarks, config.shared.hidden_size);
    let tokens_each = options.segment_means_seq_len / count;
    let tokens = graph.reshape(tokens, &[0, count as i64, tokens_each as i64, width as i64]);
    graph.mean(&tokens, 2)
}

/// `Z₀ = Aᵀ / s`, then `Z ← ¼ Z (13 I − A Z (15 I − A Z (7 I − A Z)))`.
///
/// # Shapes
/// - `kernel`, output: `[batch, heads, landmarks, landmarks]`
fn iterative_pinv(graph: &mut Graph, config: &NystromformerConfig, kernel: &Value) -> Value {
    let options = &config.attention.nystrom;
    let landmarks = options.num_landmarks;
    graph.scope("pinv", |graph| {
        let sums = graph.sum(kernel, -2); // [batch, heads, 1, landmarks]
        let scale = match options.pinv_init {
            PinvInit::Exact => graph.greatest(&sums, &[-1]),
            PinvInit::Original => graph.greatest(&sums, &[0, 1, 2, 3]),
        };
        let scale = graph.at_least(&scale, LEAST_SCALE);
        let transposed = graph.transpose(kernel, &[0, 1, 3, 2]);
        let mut inverse = graph.div(&transposed, &scale);

        let [seven, fifteen, thirteen] =
            [7.0, 15.0, 13.0].map(|factor| diagonal(graph, landmarks, factor));
        for _ in 0..options.pinv_iterations {
            let product = graph.matmul(kernel, &inverse);
            let inner = graph.sub(&seven, &product);
            let middle = graph.matmul(&product, &inner);
            let middle = graph.sub(&fifteen, &middle);
            let outer = graph.matmul(&product, &middle);
            let outer = graph.sub(&thirteen, &outer);
            let quarter = graph.times(&inverse, 0.25);
            inverse = graph.matmul(&quarter, &outer);
        }
        inverse
    })
}

/// `(AᵀA + λ I)⁻¹ Aᵀ`. ONNX has no solve: the inverse of `M = AᵀA + λ I` is iterated to its end by `X ← X (2 I − M X)`, and the
/// product with `Aᵀ` improved by one step of refinement.
///
/// # Shapes
/// - `kernel`, output: `[batch, heads, landmarks, landmarks]`
fn ridge_pinv(graph: &mut Graph, config: &NystromformerConfig, kernel: &Value) -> Value {
    let ridge = config.attention.nystrom.pinv_ridge;
    let identity = diagonal(graph, config.attention.nystrom.num_landmarks, 1.0);
    graph.scope("pinv", |graph| {
        let sums = graph.sum(kernel, -2); // [batch, heads, 1, landmarks]
        let scale = graph.greatest(&sums, &[-1]);
        let scale = graph.at_least(&scale, LEAST_SCALE);
        let transposed = graph.transpose(kernel, &[0, 1, 3, 2]);
        let lambda = graph.times(&scale, ridge);
        let lambda = graph.mul(&identity, &lambda);
        let gram = graph.matmul(&transposed, kernel);
        let gram = graph.add(&gram, &lambda);

        // Eigenvalues lie between λ and λ + scale. Begun at their middle, the residual is 1 / (1 + 2 ridge), and each
        // iteration squares it.
        let middle = graph.times(&scale, 0.5 + ridge);
        let mut inverse = graph.div(&identity, &middle);
        let iterations = (-f64::from(f32::EPSILON).ln() / (2.0 * ridge).ln_1p()).log2().ceil();
        for _ in 0..iterations.max(1.0) as usize {
            let product = graph.matmul(&gram, &inverse);
            let residual = graph.sub(&identity, &product);
            let step = graph.matmul(&inverse, &residual);
            inverse = graph.add(&inverse, &step);
        }
        let solved = graph.matmul(&inverse, &transposed);
        let product = graph.matmul(&gram, &solved);
        let residual = graph.sub(&transposed, &product);
        let step = graph.matmul(&inverse, &residual);
        graph.add(&solved, &step)
    })
}

/// `number` times the identity, `[size, size]`.
fn diagonal(graph: &mut Graph, size: usize, number: f32) -> Value {
    let mut matrix = vec![0.0; size * size];
    matrix.iter_mut().step_by(size + 1).for_each(|place| *place = number);
    graph.floats(Element::F32, &[size, size], &matrix)
}
