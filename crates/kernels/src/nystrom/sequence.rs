//! The attention of one sequence, all heads, on plain slices; and its derivative.
//!
//! Both passes are in two halves, because the inverses of all sequences may share one divisor.

use std::ops::Range;

use rayon::prelude::*;

use super::landmarks::{Kernel2, Kernel2Gradient, Product, ProductGradient};
use crate::{
    attention::{
        backward::{self, Known},
        forward::{self, STATISTICS},
        problem::Problem,
        sight::Sight,
    },
    convolution::{self, Filters, Onto, chosen},
    patches::Patches,
    pinv::{KnownMatrices, Pinv, Scale},
    scratch::Scratch,
    segment_means::{self, Parts, Segments},
    simd,
    view::{Head, HeadIndex, View},
};

/// What is computed of one sequence. Views hold its rows, all heads.
#[derive(Debug)]
pub(super) struct Attended<'a> {
    pub(super) query: View<'a>,
    pub(super) key: View<'a>,
    pub(super) value: View<'a>,
    /// The rows that are attended to.
    pub(super) keys: Range<usize>,
    /// The rows that attend, ascending; `None`: all.
    pub(super) attending: Option<Vec<usize>>,
    /// Of the convolution.
    pub(super) filters: Option<Filters<'a>>,
    /// At most.
    pub(super) num_landmarks: usize,
    /// Of a picture, which the sequence then is: what landmarks average over in the place of segments.
    pub(super) patches: Option<Patches>,
    pub(super) pinv: Pinv,
    /// As in [`Problem`].
    pub(super) alongside: usize,
}

/// What the first half of the forward pass finds. Landmarks and summary lie as tokens do, `[landmarks, heads, head_dim]`.
#[derive(Debug)]
pub(super) struct Landmarks {
    query: Vec<f32>,
    key: Vec<f32>,
    /// `[heads, landmarks, landmarks]`.
    kernel_2: Vec<f32>,
    /// The divisor of each head's inverse.
    pub(super) scales: Vec<Scale>,
    /// Kernel 3 times the values.
    summary: Vec<f32>,
    /// Of kernel 3.
    statistics: Vec<f32>,
}

impl Landmarks {
    pub(super) fn num_landmarks(&self) -> usize {
        self.kernel_2.len().checked_div(self.scales.len()).unwrap_or(0).isqrt()
    }

    /// What is inverted.
    fn known(&self) -> KnownMatrices<'_> {
        let Self { kernel_2: matrices, scales, .. } = self;
        KnownMatrices { matrices, size: self.num_landmarks(), scales }
    }
}

/// What the second half finds, beside the context.
#[derive(Debug)]
pub(super) struct Approximation {
    /// `[heads, landmarks, landmarks]`.
    inverse: Vec<f32>,
    /// What was found on the way to it.
    way: Vec<f32>,
    /// The inverse times the summary, `[heads, landmarks, head_dim]`.
    product: Vec<f32>,
    /// The context without the convolution, `[attending, heads, head_dim]`.
    attended: Vec<f32>,
    /// Of kernel 1.
    statistics: Vec<f32>,
}

/// What the first half of the backward pass finds. All but the last are `[heads, landmarks, …]`.
#[derive(Debug)]
pub(super) struct Gradients {
    /// Those of kernel 2, at constant divisors.
    pub(super) kernel_2: Vec<f32>,
    /// Those of the divisors.
    pub(super) scales: Vec<f32>,
    summary: Vec<f32>,
    /// Those that kernel 1 gives the landmarks' keys, `[landmarks, heads, head_dim]`.
    key_landmarks: Vec<f32>,
}

impl<'a> Attended<'a> {
    /// What landmarks average over.
    fn parts(&self) -> Parts {
        let seq_len = self.query.rows;
        match self.patches {
            Some(patches) => Parts::Patches(patches),
            None => Parts::Segments(Segments { seq_len, count: self.num_landmarks.min(seq_len) }),
        }
    }

    /// `[heads, landmarks, head_dim]`.
    fn landmark_shape(&self) -> [usize; 3] {
        [self.query.heads, self.parts().count(), self.query.width]
    }

    /// The factor of all scores.
    fn scale(&self) -> f32 {
        (self.query.width as f64).powf(-0.5) as f32
    }

    /// Landmarks that lie as tokens do.
    fn as_tokens<'b>(&self, landmarks: &'b [f32]) -> View<'b> {
        View::of_tokens(landmarks, self.query.hidden_size(), self.landmark_shape())
    }

    /// The queries of the rows that attend, if not all.
    fn gathered(&self) -> Option<Vec<f32>> {
        let attending = self.attending.as_ref()?;
        let width = self.query.width;
        let mut gathered = simd::room(attending.len() * self.query.hidden_size());
        gathered.chunks_exact_mut(self.query.hidden_size()).zip(attending).for_each(
            |(target, &row)| {
                for (head, target) in target.chunks_exact_mut(width).enumerate() {
                    target.copy_from_slice(one(self.query, head).row(row));
                }
            },
        );
        Some(gathered)
    }

    /// The queries that attend.
    fn queries<'b>(&self, gathered: Option<&'b [f32]>) -> View<'b>
    where
        'a: 'b,
    {
        let Some(gathered) = gathered else {
            return self.query;
        };
        let hidden_size = self.query.hidden_size();
        let rows = gathered.len() / hidden_size;
        View::of_tokens(gathered, hidden_size, [self.query.heads, rows, self.query.width])
    }

    /// Kernel 1 and what it is multiplied with.
    fn tokens_over_landmarks<'b>(
        &self,
        query: View<'b>,
        landmarks: &'b Landmarks,
        product: &'b [f32],
    ) -> Problem<'b> {
        Problem {
            query,
            key: self.as_tokens(&landmarks.key),
            value: View::of_heads(product, self.landmark_shape()),
            key_bias: None,
            scale: self.scale(),
            sight: Sight::All,
            alongside: self.alongside,
        }
    }

    /// Kernel 3 and the values.
    fn landmarks_over_tokens<'b>(&self, query_landmarks: &'b [f32]) -> Problem<'b>
    where
        'a: 'b,
    {
        Problem {
            query: self.as_tokens(query_landmarks),
            key: self.key.narrow(self.keys.clone()),
            value: self.value.narrow(self.keys.clone()),
            key_bias: None,
            scale: self.scale(),
            sight: Sight::All,
            alongside: self.alongside,
        }
    }

    /// Landmarks, kernel 2, and what kernel 3 gathers.
    pub(super) fn landmarks(&self) -> Landmarks {
        let parts = self.parts();
        let [heads, count, width] = self.landmark_shape();
        let query = segment_means::means(self.query, parts);
        let key = segment_means::means(self.key, parts);

        let mut kernel_2 = simd::room(heads * count * count);
        let (queries, keys) = (self.as_tokens(&query), self.as_tokens(&key));
        kernel_2.par_chunks_exact_mut(count * count).enumerate().for_each(|(head, output)| {
            Scratch::kept(|scratch| {
                simd::dispatch(Kernel2 {
                    query: one(queries, head),
                    key: one(keys, head),
                    scale: self.scale(),
                    output,
                    scratch,
                });
            });
        });
        let scales = Pinv::own_scales(&kernel_2, count);

        let mut summary = simd::room(count * heads * width);
        let mut statistics = simd::room(heads * count * STATISTICS);
        forward::forward(&self.landmarks_over_tokens(&query), &mut summary, &mut statistics);
        Landmarks { query, key, kernel_2, scales, summary, statistics }
    }

    /// Writes the context, `[attending, heads, head_dim]`. What is found on the way is `kept` for the backward pass or not.
    pub(super) fn context(
        &self,
        landmarks: &Landmarks,
        is_kept: bool,
        output: &mut [f32],
    ) -> Option<Approximation> {
        let [heads, count, width] = self.landmark_shape();
        let (inverse, way) = self.pinv.invert_each(landmarks.known(), is_kept);
        let mut product = simd::room(heads * count * width);
        let summary = self.as_tokens(&landmarks.summary);
        product
            .par_chunks_exact_mut(count * width)
            .zip(inverse.par_chunks_exact(count * count))
            .enumerate()
            .for_each(|(head, (output, inverse))| {
                Scratch::kept(|scratch| {
                    let summary = one(summary, head);
                    simd::dispatch(Product { inverse, summary, output, scratch });
                });
            });

        let gathered = self.gathered();
        let query = self.queries(gathered.as_deref());
        let problem = self.tokens_over_landmarks(query, landmarks, &product);
        let mut statistics = simd::room(heads * query.rows * STATISTICS);
        let mut attended = Vec::new();
        if self.filters.is_some() && self.attending.is_none() && is_kept {
            attended = simd::room(output.len());
            forward::forward(&problem, &mut attended, &mut statistics);
        } else {
            forward::forward(&problem, output, &mut statistics);
            if is_kept {
                attended = output.to_vec();
            }
        }
        let attended_rows = View::of_tokens(&attended, heads * width, [heads, query.rows, width]);
        match (self.filters, &self.attending) {
            (Some(filters), Some(rows)) => chosen::add_at(self.value, rows, filters, output),
            (Some(filters), None) => {
                let onto = if is_kept { Onto::Rows(attended_rows) } else { Onto::Output };
                convolution::slide_sequence(self.value, 0, filters, onto, output);
            }
            (None, _) => {}
        }
        is_kept.then_some(Approximation { inverse, way, product, attended, statistics })
    }

    /// From the `gradient` of the context to those of kernel 2 and the summary; writes kernel 1's share of the queries'
    /// gradient.
    pub(super) fn gradients(
        &self,
        landmarks: &Landmarks,
        approximation: &Approximation,
        gradient: View<'_>,
        query_gradient: &mut [f32],
    ) -> Gradients {
        let [heads, count, width] = self.landmark_shape();
        let Approximation { inverse, way, product, attended, statistics } = approximation;
        let gathered = self.gathered();
        let query = self.queries(gathered.as_deref());
        let shape = [heads, query.rows, width];
        let known = Known {
            output: View::of_tokens(attended, heads * width, shape),
            statistics: View::of_heads(statistics, [heads, query.rows, STATISTICS]),
            gradient,
        };
        let mut key_landmarks = simd::room(count * heads * width);
        let mut product_gradient = simd::room(count * heads * width);
        let problem = self.tokens_over_landmarks(query, landmarks, product);
        let mut backward = |query_gradient: &mut [f32]| {
            let targets = [query_gradient, &mut key_landmarks, &mut product_gradient];
            if query.rows > 0 {
                backward::backward(&problem, known, targets.map(Some));
            } else {
                for target in targets {
                    target.fill(0.0);
                }
            }
        };
        match &self.attending {
            None => backward(query_gradient),
            Some(rows) => {
                let mut gradients = simd::room(query.rows * heads * width);
                backward(&mut gradients);
                query_gradient.fill(0.0);
                for (row, gradient) in rows.iter().zip(gradients.chunks_exact(heads * width)) {
                    query_gradient[row * heads * width..][..heads * width]
                        .copy_from_slice(gradient);
                }
            }
        }

        let mut inverse_gradient = simd::room(heads * count * count);
        let mut summary_gradient = simd::room(heads * count * width);
        let (summary, gradient) =
            (self.as_tokens(&landmarks.summary), self.as_tokens(&product_gradient));
        inverse_gradient
            .par_chunks_exact_mut(count * count)
            .zip(summary_gradient.par_chunks_exact_mut(count * width))
            .zip(inverse.par_chunks_exact(count * count))
            .enumerate()
            .for_each(|(head, ((inverse_gradient, summary_gradient), inverse))| {
                Scratch::kept(|scratch| {
                    simd::dispatch(ProductGradient {
                        inverse,
                        summary: one(summary, head),
                        gradient: one(gradient, head),
                        inverse_gradient,
                        summary_gradient,
                        scratch,
                    });
                });
            });
        let (kernel_2, scales) =
            self.pinv.differentiate(landmarks.known(), way, inverse, &inverse_gradient);
        Gradients { kernel_2, scales, summary: summary_gradient, key_landmarks }
    }

    /// Adds the landmarks' share to the queries' gradient and writes those of keys and values, `[tokens, heads, head_dim]`;
    /// returns that of the filters in parts.
    pub(super) fn finish_gradients(
        &self,
        landmarks: &Landmarks,
        found: Gradients,
        gradient: View<'_>,
        [query_gradient, key_gradient, value_gradient]: [&mut [f32]; 3],
    ) -> Vec<Vec<f32>> {
        let parts = self.parts();
        let shape @ [heads, count, width] = self.landmark_shape();
        let Gradients { mut kernel_2, summary, key_landmarks, .. } = found;

        // Kernel 2's shares of the landmarks' gradients.
        let mut queries = simd::room(heads * count * width);
        let mut keys = simd::room(heads * count * width);
        let views = [&landmarks.query, &landmarks.key].map(|landmarks| self.as_tokens(landmarks));
        kernel_2
            .par_chunks_exact_mut(count * count)
            .zip(landmarks.kernel_2.par_chunks_exact(count * count))
            .zip(queries.par_chunks_exact_mut(count * width))
            .zip(keys.par_chunks_exact_mut(count * width))
            .enumerate()
            .for_each(|(head, (((gradient, kernel), query_gradient), key_gradient))| {
                Scratch::kept(|scratch| {
                    simd::dispatch(Kernel2Gradient {
                        query: one(views[0], head),
                        key: one(views[1], head),
                        scale: self.scale(),
                        kernel,
                        gradient,
                        query_gradient,
                        key_gradient,
                        scratch,
                    });
                });
            });

        // Kernel 3's.
        let mut query_landmarks = simd::room(count * heads * width);
        let known = Known {
            output: self.as_tokens(&landmarks.summary),
            statistics: View::of_heads(&landmarks.statistics, [heads, count, STATISTICS]),
            gradient: View::of_heads(&summary, shape),
        };
        let hidden_size = heads * width;
        let attended_to = self.keys.start * hidden_size..self.keys.end * hidden_size;
        for gradient in [&mut *key_gradient, &mut *value_gradient] {
            gradient[..attended_to.start].fill(0.0);
            gradient[attended_to.end..].fill(0.0);
        }
        backward::backward(
            &self.landmarks_over_tokens(&landmarks.query),
            known,
            [
                Some(&mut query_landmarks),
                Some(&mut key_gradient[attended_to.clone()]),
                Some(&mut value_gradient[attended_to]),
            ],
        );

        segment_means::add_spread(
            parts,
            [self.as_tokens(&query_landmarks), View::of_heads(&queries, shape)],
            query_gradient,
        );
        segment_means::add_spread(
            parts,
            [self.as_tokens(&key_landmarks), View::of_heads(&keys, shape)],
            key_gradient,
        );
        let Some(filters) = self.filters else {
            return Vec::new();
        };
        if let Some(rows) = &self.attending {
            chosen::add_value_gradient(gradient, rows, filters, value_gradient);
            return chosen::filter_gradients(self.value, gradient, rows, filters);
        }
        let mirrored = filters.mirrored();
        let back = filters.with(&mirrored);
        convolution::slide_sequence(gradient, 0, back, Onto::Output, value_gradient);
        convolution::filter_gradients(self.value, gradient, 0, filters)
    }
}

/// One head of one sequence.
fn one(view: View<'_>, head: usize) -> Head<'_> {
    view.head(HeadIndex { batch: 0, head })
}
