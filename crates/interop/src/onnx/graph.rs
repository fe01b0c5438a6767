//! A graph in the making: typed values, named nodes, weights and constants.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    element::{Element, Precision},
    proto::{
        AttributeProto, AttributeType, DimensionProto, DimensionValue, GraphProto, NodeProto,
        TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
    },
    weights::Part,
};

/// A tensor of the graph: its name, and the type of its numbers.
#[derive(Debug, Clone)]
pub(super) struct Value {
    name: Rc<str>,
    element: Element,
}

impl Value {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn element(&self) -> Element {
        self.element
    }
}

/// A dimension of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dim {
    /// Always as large.
    Fixed(usize),
    /// Of any size; dimensions of one name are of one size in a run.
    Free(&'static str),
}

/// A graph to which nodes are added one after the other.
pub(super) struct Graph {
    proto: GraphProto,
    precision: Precision,
    /// Where nodes are being added, from the outside inwards.
    scopes: Vec<String>,
    /// How many nodes have begun with a name.
    taken: BTreeMap<String, usize>,
    /// Initializers by name.
    weights: BTreeMap<String, Value>,
    /// Initializers by their content.
    constants: BTreeMap<(Element, Vec<i64>, Vec<u8>), Value>,
    /// What [`Self::once`] has made.
    made: BTreeMap<String, Vec<Value>>,
}

impl Graph {
    pub(super) fn new(name: &str, precision: Precision) -> Self {
        Self {
            proto: GraphProto { name: name.to_owned(), ..GraphProto::default() },
            precision,
            scopes: Vec::new(),
            taken: BTreeMap::new(),
            weights: BTreeMap::new(),
            constants: BTreeMap::new(),
            made: BTreeMap::new(),
        }
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// The type of the hidden states.
    pub(super) fn float(&self) -> Element {
        self.precision.float()
    }

    pub(super) fn into_proto(self) -> GraphProto {
        self.proto
    }

    /// Adds nodes under a name that theirs begin with.
    pub(super) fn scope<T>(&mut self, name: &str, add: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(name.to_owned());
        let added = add(self);
        self.scopes.pop();
        added
    }

    /// An input of the model.
    pub(super) fn input(&mut self, name: &str, element: Element, dims: &[Dim]) -> Value {
        self.proto.input.push(value_info(name, element, dims));
        Value { name: name.into(), element }
    }

    /// Makes `value` an output of the model, in 32 bits if it is of floats.
    pub(super) fn output(&mut self, name: &str, value: &Value, dims: &[Dim]) {
        let (op, attributes, element) = match value.element {
            Element::F16 => {
                ("Cast", vec![int("to", Element::F32.data_type().into())], Element::F32)
            }
            element => ("Identity", Vec::new(), element),
        };
        self.push(op, &[value], &[name.to_owned()], attributes);
        self.proto.output.push(value_info(name, element, dims));
    }

    /// Adds a node with one output.
    pub(super) fn node(
        &mut self,
        op: &str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
        element: Element,
    ) -> Value {
        let [output] = self.nodes(op, inputs, attributes, [element]);
        output
    }

    /// Adds a node with several outputs.
    pub(super) fn nodes<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
        elements: [Element; N],
    ) -> [Value; N] {
        let name = self.free_name(op);
        let mut index = 0;
        let outputs = elements.map(|element| {
            let name = if N == 1 { name.clone() } else { format!("{name}.{index}") };
            index += 1;
            Value { name: name.into(), element }
        });
        let names = outputs.each_ref().map(|output| output.name().to_owned());
        self.push(op, inputs, &names, attributes);
        outputs
    }

    fn push(
        &mut self,
        op: &str,
        inputs: &[&Value],
        outputs: &[String],
        attributes: Vec<AttributeProto>,
    ) {
        self.proto.node.push(NodeProto {
            name: format!("{}:{op}", outputs[0]),
            op_type: op.to_owned(),
            input: inputs.iter().map(|input| input.name().to_owned()).collect(),
            output: outputs.to_vec(),
            attribute: attributes,
        });
    }

    /// A name that nothing has yet, of the scope and `name`.
    fn free_name(&mut self, name: &str) -> String {
        let name =
            self.scopes.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("/");
        let count = self.taken.entry(name.clone()).or_insert(0);
        *count += 1;
        if *count == 1 { name } else { format!("{name}_{}", *count - 1) }
    }

    /// What `make` gives for `key`, made the first time only.
    pub(super) fn once(
        &mut self,
        key: String,
        make: impl FnOnce(&mut Self) -> Vec<Value>,
    ) -> Vec<Value> {
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        let made = make(self);
        self.made.insert(key, made.clone());
        made
    }

    /// A weight of the model in the type of the hidden states.
    pub(super) fn weight(&mut self, part: &Part, name: &str) -> Value {
        self.weight_as(part, name, self.float())
    }

    /// A weight of the model in a type of its own.
    pub(super) fn weight_as(&mut self, part: &Part, name: &str, element: Element) -> Value {
        let numbers = part.numbers(name);
        self.initializer(&part.name_of(name), element, &numbers.dims, || {
            element.bytes(&numbers.values)
        })
    }

    /// Numbers by a name of their own; those that are there under that name, if some are.
    pub(super) fn initializer(
        &mut self,
        name: &str,
        element: Element,
        dims: &[usize],
        bytes: impl FnOnce() -> Vec<u8>,
    ) -> Value {
        if let Some(value) = self.weights.get(name) {
            return value.clone();
        }
        let value = Value { name: name.into(), element };
        self.proto.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.iter().map(|size| *size as i64).collect(),
            data_type: element.data_type().into(),
            raw_data: bytes(),
            ..TensorProto::default()
        });
        self.weights.insert(name.to_owned(), value.clone());
        value
    }

    /// Numbers without a name; the same ones are stored once.
    fn constant(&mut self, element: Element, dims: &[usize], bytes: Vec<u8>) -> Value {
        let key = (element, dims.iter().map(|size| *size as i64).collect(), bytes);
        if let Some(value) = self.constants.get(&key) {
            return value.clone();
        }
        let name = format!("constant_{}", self.constants.len());
        let value = self.initializer(&name, element, dims, || key.2.clone());
        self.constants.insert(key, value.clone());
        value
    }

    /// Floats of any shape.
    pub(super) fn floats(&mut self, element: Element, dims: &[usize], values: &[f32]) -> Value {
        self.constant(element, dims, element.bytes(values))
    }

    /// One number, of the type of `like`, that goes with tensors of any shape.
    pub(super) fn scalar(&mut self, number: f64, like: &Value) -> Value {
        match like.element {
            Element::I64 => self.integer(number as i64),
            element => self.floats(element, &[], &[number as f32]),
        }
    }

    /// A list of integers: a shape, axes.
    pub(super) fn integers(&mut self, values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(Element::I64, &[values.len()], bytes)
    }

    /// One integer.
    pub(super) fn integer(&mut self, value: i64) -> Value {
        self.constant(Element::I64, &[], value.to_le_bytes().to_vec())
    }
}

/// An attribute that is an integer.
pub(super) fn int(name: &str, value: i32) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        i: Some(value.into()),
        r#type: AttributeType::Int.into(),
        ..AttributeProto::default()
    }
}

/// An attribute that is a float.
pub(super) fn float(name: &str, value: f64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        f: Some(value as f32),
        r#type: AttributeType::Float.into(),
        ..AttributeProto::default()
    }
}

/// An attribute that is a list of integers.
pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        ints: values.to_vec(),
        r#type: AttributeType::Ints.into(),
        ..AttributeProto::default()
    }
}

fn value_info(name: &str, element: Element, dims: &[Dim]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|dim| DimensionProto {
            value: Some(match dim {
                Dim::Fixed(size) => DimensionValue::DimValue(*size as i64),
                Dim::Free(name) => DimensionValue::DimParam((*name).to_owned()),
            }),
        })
        .collect();
    let tensor_type = TensorTypeProto {
        elem_type: element.data_type().into(),
        shape: Some(TensorShapeProto { dim }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type) }),
    }
}
