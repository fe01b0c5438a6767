//! Writing a model's file, and beside it a file of its weights where they are too large for one message.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint},
};

use super::proto::{DataLocation, ModelProto, StringStringEntryProto};
use crate::error::InteropError;

/// Bytes of the largest message that readers of protocol buffers take; a little less than 2 GiB leaves room for names.
pub(super) const LARGEST_MESSAGE: usize = (1 << 31) - (1 << 20);

/// Weights of fewer bytes stay in the model's file.
const LEAST_EXTERNAL: usize = 1024;

/// Where a tensor begins in the file of weights: at a page, so that it can be mapped.
const ALIGNMENT: u64 = 4096;

/// Field numbers of `ModelProto.graph` and `GraphProto.initializer`.
const GRAPH: u32 = 7;
const INITIALIZER: u32 = 5;

/// Writes `model` to `path`. If its message would have more than `largest` bytes, its weights go to a file beside it, whose
/// name has `_data` at its end.
///
/// # Errors
/// [`InteropError::Write`].
pub(super) fn write(
    mut model: ModelProto,
    path: &Path,
    largest: usize,
) -> Result<(), InteropError> {
    if model.encoded_len() > largest {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push("_data");
        let weights = path.with_file_name(&name);
        write_weights(&mut model, &weights, &name.to_string_lossy())
            .map_err(|source| InteropError::Write { path: weights, source })?;
    }
    write_message(model, path)
        .map_err(|source| InteropError::Write { path: path.to_owned(), source })
}

/// Moves the weights into a file of their own.
fn write_weights(model: &mut ModelProto, path: &Path, name: &str) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut written: u64 = 0;
    for tensor in model.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
        if tensor.raw_data.len() < LEAST_EXTERNAL {
            continue;
        }
        let offset = written.next_multiple_of(ALIGNMENT);
        io::copy(&mut io::Read::take(io::repeat(0), offset - written), &mut file)?;
        let bytes = std::mem::take(&mut tensor.raw_data);
        file.write_all(&bytes)?;
        written = offset + bytes.len() as u64;
        let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
        tensor.external_data = vec![
            entry("location", name.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", bytes.len().to_string()),
        ];
        tensor.data_location = DataLocation::External.into();
    }
    file.flush()
}

/// Writes the message with its weights one after the other, so that no second copy of them all is made.
fn write_message(mut model: ModelProto, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut graph = model.graph.take().unwrap_or_default();
    let weights = std::mem::take(&mut graph.initializer);
    file.write_all(&model.encode_to_vec())?;

    let mut head = Vec::new();
    let framed = |length: usize| 1 + encoded_len_varint(length as u64) + length;
    let of_weights: usize = weights.iter().map(|tensor| framed(tensor.encoded_len())).sum();
    encode_key(GRAPH, WireType::LengthDelimited, &mut head);
    encode_varint((graph.encoded_len() + of_weights) as u64, &mut head);
    file.write_all(&head)?;
    file.write_all(&graph.encode_to_vec())?;
    for tensor in weights {
        head.clear();
        encode_key(INITIALIZER, WireType::LengthDelimited, &mut head);
        file.write_all(&head)?;
        file.write_all(&tensor.encode_length_delimited_to_vec())?;
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};

    fn model() -> ModelProto {
        let tensor = |name: &str, bytes: usize| TensorProto {
            name: name.to_owned(),
            dims: vec![bytes as i64],
            raw_data: (0..bytes).map(|byte| byte as u8).collect(),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            name: "graph".to_owned(),
            node: vec![NodeProto { op_type: "Identity".to_owned(), ..NodeProto::default() }],
            initializer: vec![tensor("small", 3), tensor("large", 5000), tensor("last", 2000)],
            ..GraphProto::default()
        };
        ModelProto { ir_version: 8, graph: Some(graph), ..ModelProto::default() }
    }

    #[test]
    fn a_message_written_in_parts_is_the_message() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        write(model(), &path, LARGEST_MESSAGE).unwrap();
        assert_eq!(ModelProto::decode(&*fs::read(&path).unwrap()).unwrap(), model());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn weights_beyond_a_message_stand_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        write(model(), &path, 6000).unwrap();
        let weights = fs::read(folder.path().join("model.onnx_data")).unwrap();
        let read = ModelProto::decode(&*fs::read(&path).unwrap()).unwrap().graph.unwrap();
        let original = model().graph.unwrap();
        assert_eq!(read.initializer[0], original.initializer[0]);
        for (tensor, original) in read.initializer.iter().zip(&original.initializer).skip(1) {
            let value = |key: &str| {
                let entry = tensor.external_data.iter().find(|entry| entry.key == key).unwrap();
                entry.value.clone()
            };
            assert_eq!(value("location"), "model.onnx_data");
            assert_eq!(tensor.data_location(), DataLocation::External);
            let (offset, length): (usize, usize) =
                (value("offset").parse().unwrap(), value("length").parse().unwrap());
            assert_eq!(offset % 4096, 0);
            assert_eq!(weights[offset..offset + length], original.raw_data);
            assert!(tensor.raw_data.is_empty());
        }
    }
}
