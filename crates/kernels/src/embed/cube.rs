//! Embeddings in CubeCL: one launch forward, five backward.

use burn::{
    backend::{Cube, TensorMetadata},
    tensor::Shape,
};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::{Embed, Rows};
use crate::{
    cube::{contiguous, cubes, room, sums::sum_of_parts, unit_for_each, units_for},
    indices::Indices,
    kernel::Kernel,
    select_rows::cube::add_to_rows,
};

/// Tokens of a part that the gradients of types are summed up in, at least; and parts at most.
const TOKENS: usize = 128;
const PARTS: usize = 64;

impl Embed {
    /// The tokens' words, and their types if they are not all the first.
    fn ids(&self) -> (&CubeTensor, Option<&CubeTensor>, usize) {
        let Rows::OnDevice { words, token_types, position_offset } = &self.rows else {
            unreachable!("ids are where the tables are")
        };
        (words.on_device(), token_types.as_ref().map(Indices::on_device), *position_offset)
    }
}

impl Kernel<Cube, 3> for Embed {
    /// The shapes of the tables.
    type Saved = [Shape; 3];

    fn forward(&self, tables: [CubeTensor; 3]) -> (CubeTensor, [Shape; 3]) {
        let tables = tables.map(contiguous);
        let shapes = tables.each_ref().map(TensorMetadata::shape);
        let (words, token_types, position_offset) = self.ids();
        let (tokens, columns) = (words.shape().num_elements(), shapes[0][1]);
        let seq_len = tokens / self.batch.max(1);
        let output = room(&tables[0], [self.batch, seq_len, columns]);
        let (count, dim) = unit_for_each(&output);
        let [table_of_words, table_of_types, table_of_positions] = tables;
        embed_forward::launch(
            &output.client,
            count,
            dim,
            table_of_words.into_buffer_arg(),
            table_of_types.into_buffer_arg(),
            table_of_positions.into_buffer_arg(),
            words.clone().into_buffer_arg(),
            token_types.unwrap_or(words).clone().into_buffer_arg(),
            output.clone().into_buffer_arg(),
            position_offset,
            seq_len,
            columns,
            token_types.is_some(),
        );
        (output, shapes)
    }

    fn backward(
        &self,
        shapes: [Shape; 3],
        gradient: CubeTensor,
        wanted: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        let gradient = contiguous(gradient);
        let (words, token_types, position_offset) = self.ids();
        let of_words = || add_to_rows(gradient.clone(), words, shapes[0].dims(), self.frozen);
        let of_types = || type_gradients(&gradient, token_types, &shapes[1]);
        let of_positions = || {
            let [rows, columns] = shapes[2].dims();
            let output = room(&gradient, [rows, columns]);
            let (count, dim) = unit_for_each(&output);
            embed_position_gradients::launch(
                &gradient.client,
                count,
                dim,
                gradient.clone().into_buffer_arg(),
                output.clone().into_buffer_arg(),
                position_offset,
                self.batch,
                words.shape().num_elements() / self.batch.max(1),
                columns,
            );
            output
        };
        [wanted[0].then(of_words), wanted[1].then(of_types), wanted[2].then(of_positions)]
    }
}

/// A unit has a value.
#[cube(launch)]
fn embed_forward(
    words: &[f32],
    token_types: &[f32],
    positions: &[f32],
    word_ids: &[i32],
    type_ids: &[i32],
    output: &mut [f32],
    position_offset: usize,
    seq_len: usize,
    columns: usize,
    #[comptime] has_types: bool,
) {
    if ABSOLUTE_POS < output.len() {
        let token = ABSOLUTE_POS / columns;
        let column = ABSOLUTE_POS % columns;
        let word = word_ids[token] as usize;
        let mut token_type = 0usize;
        if has_types {
            token_type = type_ids[token] as usize;
        }
        let position = position_offset + token % seq_len;
        output[ABSOLUTE_POS] = words[word * columns + column]
            + token_types[token_type * columns + column]
            + positions[position * columns + column];
    }
}

/// The gradient of the few types, in parts of the tokens.
fn type_gradients(
    gradient: &CubeTensor,
    type_ids: Option<&CubeTensor>,
    shape: &Shape,
) -> CubeTensor {
    let [rows, columns] = shape.dims();
    let tokens = gradient.shape().num_elements() / columns.max(1);
    let parts = tokens.div_ceil(TOKENS).clamp(1, PARTS);
    let sums = room(gradient, [parts, rows, columns]);
    let units = units_for(columns);
    embed_type_parts::launch(
        &gradient.client,
        cubes(&gradient.client, parts * rows),
        CubeDim::new_1d(units as u32),
        gradient.clone().into_buffer_arg(),
        type_ids.unwrap_or(gradient).clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        tokens,
        tokens.div_ceil(parts),
        parts,
        rows,
        columns,
        units,
        type_ids.is_some(),
    );
    sum_of_parts(sums, parts, shape.clone())
}

/// A cube has a type and a part of the tokens.
#[cube(launch)]
fn embed_type_parts(
    gradient: &[f32],
    type_ids: &[i32],
    sums: &mut [f32],
    tokens: usize,
    tokens_of_part: usize,
    parts: usize,
    rows: usize,
    columns: usize,
    #[comptime] units: usize,
    #[comptime] has_types: bool,
) {
    let part = CUBE_POS / rows;
    let row = CUBE_POS % rows;
    if part < parts {
        let mut column = UNIT_POS as usize;
        while column < columns {
            let mut sum = 0.0f32;
            for token in part * tokens_of_part..min((part + 1usize) * tokens_of_part, tokens) {
                let mut token_type = 0usize;
                if has_types {
                    token_type = type_ids[token] as usize;
                }
                if token_type == row {
                    sum += gradient[token * columns + column];
                }
            }
            sums[(part * rows + row) * columns + column] = sum;
            column += units;
        }
    }
}

/// A unit has a value of the table.
#[cube(launch)]
fn embed_position_gradients(
    gradient: &[f32],
    output: &mut [f32],
    position_offset: usize,
    batch: usize,
    seq_len: usize,
    columns: usize,
) {
    if ABSOLUTE_POS < output.len() {
        let row = ABSOLUTE_POS / columns;
        let mut sum = 0.0f32;
        if row >= position_offset && row < position_offset + seq_len {
            let first = (row - position_offset) * columns + ABSOLUTE_POS % columns;
            for text in 0..batch {
                sum += gradient[text * seq_len * columns + first];
            }
        }
        output[ABSOLUTE_POS] = sum;
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::{Device, Int, Tensor};

    use super::super::{EmbeddingTables, composed, embed};
    use crate::testing::{cube, random};

    fn ids(batch: usize, seq_len: usize, count: usize, device: &Device) -> Tensor<2, Int> {
        let ids: Vec<i64> = (0..batch * seq_len).map(|i| (i * i * 7 % count) as i64).collect();
        Tensor::<1, Int>::from_ints(ids.as_slice(), device).reshape([batch, seq_len])
    }

    #[test]
    fn equals_the_composed_path() {
        for (batch, seq_len, vocab_size, columns) in
            [(1, 1, 1, 1), (3, 5, 7, 9), (2, 300, 200, 33), (1, 4, 9, 300)]
        {
            for (types, frozen) in [(false, None), (true, Some(0))] {
                let tables = [vocab_size, 2, seq_len + 4].map(|rows| random([rows, columns]));
                let with = |function: fn(
                    EmbeddingTables,
                    Tensor<2, Int>,
                    Option<Tensor<2, Int>>,
                ) -> Tensor<3>| {
                    move |[words, token_types, positions]: [Tensor<2>; 3]| {
                        let device = words.device();
                        let tables = EmbeddingTables {
                            words,
                            token_types,
                            positions,
                            position_offset: 2,
                            frozen,
                        };
                        let token_type_ids = types.then(|| ids(batch, seq_len, 2, &device));
                        function(tables, ids(batch, seq_len, vocab_size, &device), token_type_ids)
                    }
                };
                cube::same(tables, with(embed), with(composed));
            }
        }
    }
}
