//! Attention in CubeCL, without ever holding all scores.
//!
//! | module | holds |
//! |---|---|
//! | `problem` | what is computed, and how it is split into parts |
//! | `tile` | rows that the units of a cube share |
//! | `forward`, `backward` | the passes |
//!
//! A unit has a query, in the backward pass of keys and values a key, and goes through all keys, or queries, in tiles that its cube
//! reads together. Where there are few of the former and many of the latter, several cubes go through a part each, and what they
//! find is joined in a fixed order. The derivative computes all scores again, from the largest of each query and its sum of
//! exponentials.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod problem;
#[cfg(all(test, feature = "wgpu"))]
mod tests;
mod tile;

use burn::{
    backend::{Cube, TensorMetadata},
    tensor::Shape,
};
use burn_cubecl::{CubeDevice, tensor::CubeTensor};

use self::problem::{Problem, Rows, Sizes};
use super::Attention;
use crate::{
    cube::{
        contiguous,
        place::{Distances, readable, room_of_tokens},
        room,
        sums::{sum_of_parts, sums_of_parts},
    },
    kernel::Kernel,
};

/// The most queries or keys where there are more of the other. Beyond it, products of whole matrices are faster.
const MOST_OF_THE_FEWER: usize = 256;

/// Query, key, value, and the bias of the keys if there is one.
#[derive(Debug, Clone)]
struct Inputs {
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    key_bias: Option<CubeTensor>,
}

/// What the derivative needs.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    inputs: Inputs,
    output: CubeTensor,
    /// Of each query.
    statistics: CubeTensor,
}

impl Attention {
    fn problem_on_cube<'a>(&self, inputs: &'a Inputs) -> Problem<'a> {
        let [batch, heads, queries, width] = inputs.query.shape().dims();
        let [_, _, keys, _] = inputs.key.shape().dims();
        Problem {
            query: Rows::of(&inputs.query),
            key: Rows::of(&inputs.key),
            value: Rows::of(&inputs.value),
            key_bias: inputs.key_bias.as_ref(),
            sizes: Sizes { batch, heads, queries, keys, width },
            scale: self.scale as f32,
        }
    }

    fn apply_on_cube(
        &self,
        inputs: [CubeTensor; 3],
        key_bias: Option<CubeTensor>,
    ) -> (CubeTensor, Saved) {
        let [query, key, value] = inputs.map(readable);
        let key_bias = key_bias.map(contiguous);
        let inputs = Inputs { query, key, value, key_bias };
        let problem = self.problem_on_cube(&inputs);
        let output = room_of_tokens(&inputs.query, inputs.query.shape());
        let statistics = if problem.parts_of_keys().count == 1 {
            forward::forward(&problem, Rows::of(&output))
        } else {
            let parts = forward::forward_in_parts(&problem);
            forward::join(&problem, &parts, Rows::of(&output))
        };
        (output.clone(), Saved { inputs, output, statistics })
    }

    fn gradients_on_cube(&self, saved: Saved, gradient: CubeTensor) -> [CubeTensor; 3] {
        let Saved { inputs, output, statistics } = saved;
        let gradient = readable(gradient);
        let problem = self.problem_on_cube(&inputs);
        let known = Rows::of(&gradient);
        backward::dots(&problem, known, Rows::of(&output), &statistics);

        let Sizes { batch, heads, queries, keys, width } = problem.sizes;
        let parts = problem.parts_of_keys();
        let mut query = room(&gradient, [parts.count * batch, queries, heads, width]);
        let place = Distances::of_tokens(queries, heads, width);
        let target = Rows { tensor: &query, place };
        backward::query_gradient(&problem, known, &statistics, target, parts, true);
        if parts.count > 1 {
            query = sum_of_parts(query, parts.count, [batch, queries, heads, width].into());
        }

        let parts = problem.parts_of_queries();
        let both = room(&gradient, [parts.count, 2, batch, keys, heads, width]);
        let target = Rows { tensor: &both, place: Distances::of_tokens(keys, heads, width) };
        backward::key_gradients(&problem, known, &statistics, target, parts);
        let shapes = [(); 2].map(|()| Shape::new([batch, keys, heads, width]));
        let [key, value] = sums_of_parts(both, parts.count, shapes);
        [query, key, value].map(|mut gradient| {
            gradient.meta.swap(1, 2);
            gradient
        })
    }

    fn fits_on_cube(query: &[usize], key: &[usize], value: &[usize]) -> bool {
        let fewer = query[2].min(key[2]);
        (1..=MOST_OF_THE_FEWER).contains(&fewer)
            && query[3] == value[3]
            && problem::fits(query[0] * query[1], query[3])
    }
}

/// With a bias.
impl Kernel<Cube, 4> for Attention {
    type Saved = Saved;

    fn fits(&self, [query, key, value, _]: [&[usize]; 4], _device: &CubeDevice) -> bool {
        Self::fits_on_cube(query, key, value)
    }

    fn forward(&self, [query, key, value, key_bias]: [CubeTensor; 4]) -> (CubeTensor, Saved) {
        self.apply_on_cube([query, key, value], Some(key_bias))
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: CubeTensor,
        _wanted: [bool; 4],
    ) -> [Option<CubeTensor>; 4] {
        let [query, key, value] = self.gradients_on_cube(saved, gradient);
        [Some(query), Some(key), Some(value), None]
    }
}

/// Without a bias.
impl Kernel<Cube, 3> for Attention {
    type Saved = Saved;

    fn fits(&self, [query, key, value]: [&[usize]; 3], _device: &CubeDevice) -> bool {
        Self::fits_on_cube(query, key, value)
    }

    fn forward(&self, inputs: [CubeTensor; 3]) -> (CubeTensor, Saved) {
        self.apply_on_cube(inputs, None)
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: CubeTensor,
        _wanted: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        self.gradients_on_cube(saved, gradient).map(Some)
    }
}
