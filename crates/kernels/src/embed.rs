//! The sum of token, type and position embeddings.

#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;

use std::ops::Range;

use burn::{
    backend::{Flex, TensorMetadata},
    tensor::{Int, Shape, Tensor},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    indices::Indices,
    kernel::{self, Kernel},
    select_rows::{add_to_rows, row_indices},
    simd,
};

/// The tables that a token's embedding is the sum of.
#[derive(Debug, Clone)]
pub struct EmbeddingTables {
    /// `[vocab_size, hidden_size]`.
    pub words: Tensor<2>,
    /// `[type_vocab_size, hidden_size]`.
    pub token_types: Tensor<2>,
    /// `[position_offset + max_position_embeddings, hidden_size]`.
    pub positions: Tensor<2>,
    /// Row of `positions` of the first token.
    pub position_offset: usize,
    /// Row of `words` that gets no gradient.
    pub frozen: Option<usize>,
}

/// `words[id] + token_types[type] + positions[offset + place]` for every token.
///
/// # Shapes
/// - `input_ids`, `token_type_ids`: `[batch, seq_len]`, rows of their tables; types default to 0
/// - output: `[batch, seq_len, hidden_size]`
///
/// # Panics
/// If an id is no row of its table, or `seq_len` exceeds the positions.
pub fn embed(
    tables: EmbeddingTables,
    input_ids: Tensor<2, Int>,
    token_type_ids: Option<Tensor<2, Int>>,
) -> Tensor<3> {
    if !kernel::runs_on::<Embed, 3, 2>(&tables.words) {
        return composed(tables, input_ids, token_type_ids);
    }
    let [batch, seq_len] = input_ids.dims();
    let [vocab_size, _] = tables.words.dims();
    let [type_vocab_size, _] = tables.token_types.dims();
    let [positions, _] = tables.positions.dims();
    assert!(
        tables.position_offset + seq_len <= positions,
        "`{seq_len}` tokens are more than the table of positions holds"
    );
    if !kernel::is_flex(&input_ids.device()) {
        let rows = Rows::OnDevice {
            words: Indices::unread(input_ids),
            token_types: token_type_ids.map(Indices::unread),
            position_offset: tables.position_offset,
        };
        let kernel = Embed { batch, rows, frozen: tables.frozen };
        return kernel::run_3(kernel, (tables.words, tables.token_types, tables.positions));
    }
    let words = row_indices(input_ids, vocab_size);
    let token_types = match token_type_ids {
        Some(token_type_ids) => row_indices(token_type_ids, type_vocab_size),
        None => vec![0; batch * seq_len],
    };
    let places = tables.position_offset..tables.position_offset + seq_len;
    let positions = (0..batch).flat_map(|_| places.clone()).collect();
    let rows = Rows::InMemory([words, token_types, positions]);
    let kernel = Embed { batch, rows, frozen: tables.frozen };
    kernel::run_3(kernel, (tables.words, tables.token_types, tables.positions))
}

/// The same by Burn's elementary operations.
fn composed(
    tables: EmbeddingTables,
    input_ids: Tensor<2, Int>,
    token_type_ids: Option<Tensor<2, Int>>,
) -> Tensor<3> {
    let [_, seq_len] = input_ids.dims();
    let mut words = burn::tensor::module::embedding(tables.words, input_ids.clone());
    if let Some(frozen) = tables.frozen {
        let is_frozen = input_ids.equal_elem(frozen as i64).unsqueeze_dim::<3>(2);
        words = words.clone().mask_where(is_frozen.expand(words.dims()), words.detach());
    }
    let token_types = match token_type_ids {
        Some(ids) => burn::tensor::module::embedding(tables.token_types, ids),
        None => tables.token_types.narrow(0, 0, 1).unsqueeze_dim(0),
    };
    let positions = tables.positions.narrow(0, tables.position_offset, seq_len).unsqueeze_dim(0);
    words + token_types + positions
}

/// Words, types, positions, in this order throughout.
#[derive(Debug)]
struct Embed {
    batch: usize,
    rows: Rows,
    frozen: Option<usize>,
}

/// Each token's row in each table.
#[derive(Debug)]
enum Rows {
    /// For the CPU's kernel.
    InMemory([Vec<usize>; 3]),
    /// For the kernel in CubeCL. Types are all the first without any, and positions follow each other.
    #[cfg_attr(
        not(all(feature = "cube", not(feature = "fused"))),
        expect(dead_code, reason = "nobody reads it without that backend")
    )]
    OnDevice { words: Indices, token_types: Option<Indices>, position_offset: usize },
}

impl Embed {
    /// The rows of the CPU's kernel.
    fn in_memory(&self) -> &[Vec<usize>; 3] {
        match &self.rows {
            Rows::InMemory(rows) => rows,
            Rows::OnDevice { .. } => unreachable!("ids are where the tables are"),
        }
    }
}

impl Kernel<Flex, 3> for Embed {
    /// The shapes of the tables.
    type Saved = [Shape; 3];

    fn forward(&self, tables: [FlexTensor; 3]) -> (FlexTensor, [Shape; 3]) {
        let tables = tables.map(simd::contiguous);
        let columns = tables[0].shape()[1];
        let rows = self.in_memory();
        let tokens = rows[0].len();
        let [words, token_types, positions] = tables.each_ref().map(simd::values);
        let row = |table: usize, token: usize| -> Range<usize> {
            let first = rows[table][token] * columns;
            first..first + columns
        };
        let mut output = simd::room(tokens * columns);
        let task_tokens = (simd::TASK / columns.max(1)).max(1);
        output.par_chunks_mut(task_tokens * columns).enumerate().for_each(|(task, output)| {
            simd::vectorised(
                #[inline(always)]
                || {
                    for (offset, output) in output.chunks_exact_mut(columns).enumerate() {
                        let token = task * task_tokens + offset;
                        for (((output, word), token_type), position) in output
                            .iter_mut()
                            .zip(&words[row(0, token)])
                            .zip(&token_types[row(1, token)])
                            .zip(&positions[row(2, token)])
                        {
                            *output = word + token_type + position;
                        }
                    }
                },
            );
        });
        let shape = Shape::new([self.batch, tokens / self.batch.max(1), columns]);
        (simd::tensor(output, shape), tables.map(|table| table.shape()))
    }

    fn backward(
        &self,
        shapes: [Shape; 3],
        gradient: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let gradient = simd::contiguous(gradient);
        let gradient = simd::values(&gradient);
        std::array::from_fn(|table| {
            wanted[table].then(|| {
                let shape = &shapes[table];
                let frozen = self.frozen.filter(|_| table == 0);
                let sums = add_to_rows(gradient, &self.in_memory()[table], shape.dims(), frozen);
                simd::tensor(sums, shape.clone())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};
    use burn::tensor::Device;

    fn ids(batch: usize, seq_len: usize, count: usize) -> Tensor<2, Int> {
        let ids: Vec<i64> = (0..batch * seq_len).map(|i| (i * i * 7 % count) as i64).collect();
        Tensor::<1, Int>::from_ints(ids.as_slice(), &Device::flex().autodiff())
            .reshape([batch, seq_len])
    }

    #[test]
    fn equals_the_composed_path() {
        for (batch, seq_len, vocab_size, columns) in [(1, 1, 1, 1), (3, 5, 7, 9), (2, 300, 200, 33)]
        {
            for (types, frozen) in [(false, None), (true, Some(0))] {
                let tables = [vocab_size, 2, seq_len + 4].map(|rows| random([rows, columns]));
                let with = |function: fn(
                    EmbeddingTables,
                    Tensor<2, Int>,
                    Option<Tensor<2, Int>>,
                ) -> Tensor<3>| {
                    move |[words, token_types, positions]: [Tensor<2>; 3]| {
                        let tables = EmbeddingTables {
                            words,
                            token_types,
                            positions,
                            position_offset: 2,
                            frozen,
                        };
                        let token_type_ids = types.then(|| ids(batch, seq_len, 2));
                        function(tables, ids(batch, seq_len, vocab_size), token_type_ids)
                    }
                };
                testing::same(tables.clone(), with(embed), with(composed));
                testing::same_bits_for_any_threads(tables, with(embed));
            }
        }
    }

    #[test]
    #[should_panic(expected = "id `9` is no row of a table of 3")]
    fn an_id_out_of_range_is_named() {
        let device = Device::flex();
        let table = |rows| Tensor::zeros([rows, 2], &device);
        let tables = EmbeddingTables {
            words: table(3),
            token_types: table(1),
            positions: table(4),
            position_offset: 2,
            frozen: None,
        };
        let _ = embed(tables, Tensor::from_ints([[1, 9]], &device), None);
    }
}
