//! Linear layers, normalisation, activation: what looks at each token by itself.

use nystromformer::HiddenAct;

use crate::onnx::{
    element::Precision,
    graph::{Graph, Value},
    quantized,
    weights::Part,
};

/// `x W + b`.
pub(super) fn linear(graph: &mut Graph, part: &Part, x: &Value) -> Value {
    let product = match graph.precision() {
        Precision::Int8 => quantized::product(graph, part, x),
        Precision::F32 | Precision::F16 => {
            let weight = graph.weight(part, "weight");
            graph.matmul(x, &weight)
        }
    };
    let bias = graph.weight(part, "bias");
    graph.add(&product, &bias)
}

/// Over the last axis.
pub(super) fn layer_norm(graph: &mut Graph, part: &Part, x: &Value, epsilon: f64) -> Value {
    let (scale, shift) = (graph.weight(part, "weight"), graph.weight(part, "bias"));
    graph.layer_normalization(x, &scale, &shift, epsilon)
}

/// The activation of that name; both kinds of GELU as onnxruntime recognises them.
pub(super) fn activation(graph: &mut Graph, act: HiddenAct, x: &Value) -> Value {
    match act {
        HiddenAct::GeluNew => {
            let three = graph.scalar(3.0, x);
            let cube = graph.pow(x, &three);
            let cube = graph.times(&cube, 0.044_715);
            let inner = graph.add(x, &cube);
            let inner = graph.times(&inner, (2.0 / std::f64::consts::PI).sqrt());
            let inner = graph.tanh(&inner);
            let inner = graph.plus(&inner, 1.0);
            let half = graph.times(x, 0.5);
            graph.mul(&half, &inner)
        }
        HiddenAct::Gelu => {
            let inner = graph.over(x, std::f64::consts::SQRT_2);
            let inner = graph.erf(&inner);
            let inner = graph.plus(&inner, 1.0);
            let product = graph.mul(x, &inner);
            graph.times(&product, 0.5)
        }
        HiddenAct::Relu => graph.relu(x),
        HiddenAct::Silu => {
            let gate = graph.sigmoid(x);
            graph.mul(x, &gate)
        }
        HiddenAct::Tanh => graph.tanh(x),
    }
}
