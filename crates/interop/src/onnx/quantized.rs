//! Weights of 8 bits, as onnxruntime's `quantize_dynamic` makes them with `reduce_range`: integers from −64 to 64 with a scale for each output
//! of a linear layer, and for each row of a table. What a layer reads is quantised while it runs, by one scale for the
//! whole tensor.

use super::{
    element::Element,
    graph::{Graph, Value},
    weights::{Numbers, Part},
};

/// The largest integer that stands for a weight; the smallest is its negative, so that 0 is 0.
///
/// On x86-64 without VNNI onnxruntime adds two products in 16 bits, which hold 2 · 255 · 64 and not 2 · 255 · 127: larger weights give wrong
/// sums there.
const LARGEST: f32 = 64.0;

/// Which numbers of a matrix share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shared {
    Rows,
    Columns,
}

/// A matrix of integers in the graph.
struct Matrix {
    integers: Value,
    /// A float for each row or column.
    scale: Value,
    /// How many scales there are.
    count: usize,
}

/// `x W`, of a weight `[inputs, outputs]`.
pub(super) fn product(graph: &mut Graph, part: &Part, x: &Value) -> Value {
    let weight = matrix(graph, part, Shared::Columns);
    product_with(graph, part, x, &weight.integers, &weight)
}

/// `x Tᵀ`, of a table `[outputs, inputs]` that is also read by [`rows`].
pub(super) fn product_with_table(graph: &mut Graph, table: &Part, x: &Value) -> Value {
    let weight = matrix(graph, table, Shared::Rows);
    let transposed = graph.transpose(&weight.integers, &[1, 0]);
    product_with(graph, table, x, &transposed, &weight)
}

/// The rows of a table that `indices` name.
pub(super) fn rows(graph: &mut Graph, table: &Part, indices: &Value) -> Value {
    let weight = matrix(graph, table, Shared::Rows);
    let integers = graph.rows_at(&weight.integers, indices);
    let scale = graph.rows_at(&weight.scale, indices);
    let (integers, scale) = (graph.cast(&integers, Element::F32), graph.unsqueeze(&scale, &[-1]));
    graph.mul(&integers, &scale)
}

/// The pattern of nodes that onnxruntime joins into one.
fn product_with(
    graph: &mut Graph,
    part: &Part,
    x: &Value,
    integers: &Value,
    weight: &Matrix,
) -> Value {
    let quantised = graph.once(format!("quantised {}", x.name()), |graph| {
        let elements = [Element::U8, Element::F32, Element::U8];
        graph.nodes("DynamicQuantizeLinear", &[x], Vec::new(), elements).to_vec()
    });
    let [x, x_scale, x_zero] = &quantised[..] else { unreachable!("it has three outputs") };
    // The integer that stands for 0 in every column is 0.
    let zero = part.name_of("weight_zero_point");
    let zero = graph.initializer(&zero, Element::I8, &[weight.count], || vec![0; weight.count]);
    let inputs = [x, integers, x_zero, &zero];
    let product = graph.node("MatMulInteger", &inputs, Vec::new(), Element::I32);
    let product = graph.cast(&product, Element::F32);
    let scale = graph.mul(x_scale, &weight.scale);
    graph.mul(&product, &scale)
}

fn matrix(graph: &mut Graph, part: &Part, shared: Shared) -> Matrix {
    let numbers = part.numbers("weight");
    let width = numbers.dims[1];
    let count = match shared {
        Shared::Rows => numbers.dims[0],
        Shared::Columns => width,
    };
    let scales = scales(numbers, shared, count);
    let name = |end: &str| part.name_of(format_args!("weight_{end}"));
    let integers = graph.initializer(&name("quantized"), Element::I8, &numbers.dims, || {
        let quantise = |(index, value): (usize, &f32)| {
            let scale = scales[shared.of(index, width)];
            let integer = (value / scale).round_ties_even().clamp(-LARGEST, LARGEST) as i8;
            integer.to_le_bytes()[0]
        };
        numbers.values.iter().enumerate().map(quantise).collect()
    });
    let scale =
        graph.initializer(&name("scale"), Element::F32, &[count], || Element::F32.bytes(&scales));
    Matrix { integers, scale, count }
}

/// The scale by which the largest number of a row or column becomes [`LARGEST`].
fn scales(numbers: &Numbers, shared: Shared, count: usize) -> Vec<f32> {
    let mut largest = vec![0.0f32; count];
    for (index, value) in numbers.values.iter().enumerate() {
        let largest = &mut largest[shared.of(index, numbers.dims[1])];
        *largest = largest.max(value.abs());
    }
    // Zeros are zeros by any scale; numbers too small to be divided by count as zeros.
    largest
        .iter()
        .map(|value| if *value < f32::MIN_POSITIVE * LARGEST { 1.0 } else { value / LARGEST })
        .collect()
}

impl Shared {
    /// Which of the scales a number has, by its place in a matrix of `width` columns.
    fn of(self, index: usize, width: usize) -> usize {
        match self {
            Self::Rows => index / width,
            Self::Columns => index % width,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_of_rows_or_columns() {
        let numbers = Numbers { dims: vec![2, 3], values: vec![1.0, -128.0, 0.0, 6.4, 0.5, 0.0] };
        assert_eq!(scales(&numbers, Shared::Rows, 2), [2.0, 0.1]);
        assert_eq!(scales(&numbers, Shared::Columns, 3), [0.1, 2.0, 1.0]);
    }
}
