//! ONNX's operations as methods of a graph. What each computes is its page of the operators' list; only those are here
//! that onnxruntime's CPU provider has in operator set 17.

use super::{
    element::Element,
    graph::{Graph, Value, float, int, ints},
};

/// `$name` computes `$op` of two tensors of one type, broadcast against each other.
macro_rules! of_two {
    ($($name:ident: $op:literal,)*) => {
        $(pub(super) fn $name(&mut self, left: &Value, right: &Value) -> Value {
            debug_assert_eq!(left.element(), right.element(), "{} of {left:?}, {right:?}", $op);
            self.node($op, &[left, right], Vec::new(), left.element())
        })*
    };
}

/// `$name` computes `$op` of each number.
macro_rules! of_one {
    ($($name:ident: $op:literal,)*) => {
        $(pub(super) fn $name(&mut self, x: &Value) -> Value {
            self.node($op, &[x], Vec::new(), x.element())
        })*
    };
}

/// Numbers by numbers.
impl Graph {
    of_two! {
        add: "Add",
        sub: "Sub",
        mul: "Mul",
        div: "Div",
        pow: "Pow",
        max: "Max",
        min: "Min",
        matmul: "MatMul",
    }

    of_one! {
        ceil: "Ceil",
        cos: "Cos",
        erf: "Erf",
        floor: "Floor",
        relu: "Relu",
        sigmoid: "Sigmoid",
        sin: "Sin",
        sqrt: "Sqrt",
        tanh: "Tanh",
    }

    /// `x + number`.
    pub(super) fn plus(&mut self, x: &Value, number: f64) -> Value {
        let number = self.scalar(number, x);
        self.add(x, &number)
    }

    /// `x · factor`.
    pub(super) fn times(&mut self, x: &Value, factor: f64) -> Value {
        let factor = self.scalar(factor, x);
        self.mul(x, &factor)
    }

    /// `x / divisor`, rounded towards zero if they are integers.
    pub(super) fn over(&mut self, x: &Value, divisor: f64) -> Value {
        let divisor = self.scalar(divisor, x);
        self.div(x, &divisor)
    }

    /// The greater of each number and `least`.
    pub(super) fn at_least(&mut self, x: &Value, least: f64) -> Value {
        let least = self.scalar(least, x);
        self.max(x, &least)
    }

    /// The smaller of each number and `most`.
    pub(super) fn at_most(&mut self, x: &Value, most: f64) -> Value {
        let most = self.scalar(most, x);
        self.min(x, &most)
    }

    pub(super) fn less(&mut self, left: &Value, right: &Value) -> Value {
        self.node("Less", &[left, right], Vec::new(), Element::Bool)
    }

    pub(super) fn equal(&mut self, left: &Value, right: &Value) -> Value {
        self.node("Equal", &[left, right], Vec::new(), Element::Bool)
    }

    /// `yes` where `condition` holds, `no` elsewhere.
    pub(super) fn choose(&mut self, condition: &Value, yes: &Value, no: &Value) -> Value {
        self.node("Where", &[condition, yes, no], Vec::new(), yes.element())
    }

    /// The same numbers in another type.
    pub(super) fn cast(&mut self, x: &Value, element: Element) -> Value {
        if x.element() == element {
            return x.clone();
        }
        self.node("Cast", &[x], vec![int("to", element.data_type().into())], element)
    }
}

/// Along axes.
impl Graph {
    /// The sum over an axis, which stays with size 1.
    pub(super) fn sum(&mut self, x: &Value, axis: i64) -> Value {
        let axes = self.integers(&[axis]);
        self.node("ReduceSum", &[x, &axes], vec![int("keepdims", 1)], x.element())
    }

    /// The greatest number over axes, which stay with size 1.
    pub(super) fn greatest(&mut self, x: &Value, axes: &[i64]) -> Value {
        let attributes = vec![ints("axes", axes), int("keepdims", 1)];
        self.node("ReduceMax", &[x], attributes, x.element())
    }

    /// The mean over an axis, which is no more.
    pub(super) fn mean(&mut self, x: &Value, axis: i64) -> Value {
        let attributes = vec![ints("axes", &[axis]), int("keepdims", 0)];
        self.node("ReduceMean", &[x], attributes, x.element())
    }

    /// Sums from the beginning of an axis to each place.
    pub(super) fn cumulative_sum(&mut self, x: &Value, axis: i64) -> Value {
        let axis = self.integer(axis);
        self.node("CumSum", &[x, &axis], Vec::new(), x.element())
    }

    /// Over the last axis.
    pub(super) fn softmax(&mut self, x: &Value) -> Value {
        self.node("Softmax", &[x], vec![int("axis", -1)], x.element())
    }

    /// Over the last axis, its sums in 32 bits.
    pub(super) fn layer_normalization(
        &mut self,
        x: &Value,
        scale: &Value,
        shift: &Value,
        epsilon: f64,
    ) -> Value {
        let attributes = vec![int("axis", -1), float("epsilon", epsilon)];
        self.node("LayerNormalization", &[x, scale, shift], attributes, x.element())
    }
}

/// Shapes and places.
impl Graph {
    /// Axes in another order.
    pub(super) fn transpose(&mut self, x: &Value, order: &[i64]) -> Value {
        self.node("Transpose", &[x], vec![ints("perm", order)], x.element())
    }

    /// In another shape: 0 keeps the size of that axis, −1 takes what is left.
    pub(super) fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.integers(shape);
        self.reshape_to(x, &shape)
    }

    /// The same with a shape that is only known when running.
    pub(super) fn reshape_to(&mut self, x: &Value, shape: &Value) -> Value {
        self.node("Reshape", &[x, shape], Vec::new(), x.element())
    }

    /// With further axes of size 1.
    pub(super) fn unsqueeze(&mut self, x: &Value, axes: &[i64]) -> Value {
        let axes = self.integers(axes);
        self.node("Unsqueeze", &[x, &axes], Vec::new(), x.element())
    }

    /// Without an axis of size 1.
    pub(super) fn squeeze(&mut self, x: &Value, axis: i64) -> Value {
        let axes = self.integers(&[axis]);
        self.node("Squeeze", &[x, &axes], Vec::new(), x.element())
    }

    /// The sizes of the axes from `start` to `end`, a list of integers.
    pub(super) fn sizes(&mut self, x: &Value, start: i32, end: i32) -> Value {
        self.node("Shape", &[x], vec![int("start", start), int("end", end)], Element::I64)
    }

    pub(super) fn concat(&mut self, parts: &[&Value], axis: i32) -> Value {
        self.node("Concat", parts, vec![int("axis", axis)], parts[0].element())
    }

    /// Repeated along axes of size 1.
    pub(super) fn expand(&mut self, x: &Value, shape: &Value) -> Value {
        self.node("Expand", &[x, shape], Vec::new(), x.element())
    }

    /// The rows of `table` that `indices` name.
    pub(super) fn rows_at(&mut self, table: &Value, indices: &Value) -> Value {
        self.node("Gather", &[table, indices], vec![int("axis", 0)], table.element())
    }

    /// One place of an axis, which is then no more.
    pub(super) fn place(&mut self, x: &Value, axis: i32, index: i64) -> Value {
        let index = self.integer(index);
        self.node("Gather", &[x, &index], vec![int("axis", axis)], x.element())
    }

    /// The first places of the first axis, as many as `count` says, a list of one integer.
    pub(super) fn first_rows(&mut self, x: &Value, count: &Value) -> Value {
        let zero = self.integers(&[0]);
        self.node("Slice", &[x, &zero, count, &zero], Vec::new(), x.element())
    }
}
