//! Attention by the Nyström method, composed of this crate's other operations, and with these of Burn's.

use burn::tensor::Tensor;

use super::{NystromParameters, Sequence, Sequences};
use crate::{attention, depthwise_convolution, patch_means, segment_means, softmax};

/// As the kernel of the same name.
pub(super) fn nystrom_attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    filter: Option<Tensor<2>>,
    sequences: &Sequences,
    parameters: NystromParameters,
) -> Tensor<3> {
    let [batch, seq_len, hidden_size] = query.dims();
    let rows = batch * seq_len;
    let is_even = sequences.are_even(batch, seq_len);
    let groups = if is_even {
        let keys = 0..seq_len;
        vec![Group::new([query.clone(), key, value], keys, filter, parameters)]
    } else {
        let inputs = [query.clone(), key, value].map(|x| x.reshape([1, rows, hidden_size]));
        let of = |Sequence { tokens, keys }: &Sequence| {
            let inputs = inputs.clone().map(|x| x.narrow(1, tokens.start, tokens.len()));
            let keys = keys.start - tokens.start..keys.end - tokens.start;
            Group::new(inputs, keys, filter.clone(), parameters)
        };
        sequences.list().iter().map(of).collect()
    };
    if groups.is_empty() {
        return query.zeros_like().reshape([1, rows, hidden_size]).narrow(
            1,
            0,
            sequences.num_results(),
        );
    }

    // Of one size, that they may share a divisor: rows and columns of zeros change nothing.
    let size = groups.iter().map(Group::num_landmarks).max().unwrap_or(1);
    let kernels = groups.iter().map(|group| group.kernel_2(size)).collect();
    let inverses = parameters.pinv.invert(Tensor::cat(kernels, 0));

    let device = inverses.device();
    let zeros =
        |rows: usize| Tensor::<3>::zeros([1, rows, hidden_size], (&device, inverses.dtype()));
    let (mut end, mut first) = (0, 0);
    let mut parts = Vec::new();
    for (group, place) in groups.into_iter().zip(sequences.list()) {
        let [sequences, heads, _, _] = group.query.dims();
        let count = group.num_landmarks();
        let inverse =
            inverses.clone().slice([first..first + sequences, 0..heads, 0..count, 0..count]);
        first += sequences;
        let context = group.context(inverse);
        if is_even {
            parts.push(context.reshape([1, rows, hidden_size]));
            end = rows;
            break;
        }
        if place.tokens.start > end {
            parts.push(zeros(place.tokens.start - end));
        }
        parts.push(context);
        end = place.tokens.end;
    }
    if rows > end {
        parts.push(zeros(rows - end));
    }
    let context = Tensor::cat(parts, 1);
    match sequences.attending() {
        Some(attending) => {
            let attending: Vec<i64> = attending.iter().map(|&row| row as i64).collect();
            context.select(1, Tensor::from_ints(attending.as_slice(), &device))
        }
        None => context.reshape([batch, seq_len, hidden_size]),
    }
}

/// Sequences of the same length.
struct Group {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    keys: std::ops::Range<usize>,
    filter: Option<Tensor<2>>,
    query_landmarks: Tensor<4>,
    key_landmarks: Tensor<4>,
    scale: f64,
}

impl Group {
    fn new(
        inputs: [Tensor<3>; 3],
        keys: std::ops::Range<usize>,
        filter: Option<Tensor<2>>,
        parameters: NystromParameters,
    ) -> Self {
        let [query, key, value] = inputs.map(|x| {
            let [batch, seq_len, hidden_size] = x.dims();
            let heads = parameters.heads;
            x.reshape([batch, seq_len, heads, hidden_size / heads]).swap_dims(1, 2)
        });
        let [_, _, _, head_dim] = query.dims();
        let landmarks = |tokens: &Tensor<4>| match parameters.patches {
            Some(patches) => patch_means(tokens.clone(), patches),
            None => segment_means(tokens.clone(), parameters.num_landmarks),
        };
        Self {
            query_landmarks: landmarks(&query),
            key_landmarks: landmarks(&key),
            query,
            key,
            value,
            keys,
            filter,
            scale: (head_dim as f64).powf(-0.5),
        }
    }

    fn num_landmarks(&self) -> usize {
        self.query_landmarks.dims()[2]
    }

    /// Kernel 2, with rows and columns of zeros up to `size`.
    fn kernel_2(&self, size: usize) -> Tensor<4> {
        let query = self.query_landmarks.clone().mul_scalar(self.scale);
        let kernel = softmax(query.matmul(self.key_landmarks.clone().swap_dims(2, 3)));
        let [batch, heads, count, _] = kernel.dims();
        if count == size {
            return kernel;
        }
        let options = (&kernel.device(), kernel.dtype());
        let right = Tensor::zeros([batch, heads, count, size - count], options);
        let below = Tensor::zeros([batch, heads, size - count, size], options);
        Tensor::cat(vec![Tensor::cat(vec![kernel, right], 3), below], 2)
    }

    fn context(self, inverse: Tensor<4>) -> Tensor<3> {
        let [batch, heads, seq_len, head_dim] = self.query.dims();
        let (start, length) = (self.keys.start, self.keys.len());
        let key = self.key.narrow(2, start, length);
        let value = self.value.clone().narrow(2, start, length);
        let summary = attention(self.query_landmarks, key, value, None, self.scale);
        let product = inverse.matmul(summary);
        let context = attention(self.query, self.key_landmarks, product, None, self.scale);
        let context = match self.filter {
            Some(filter) => depthwise_convolution(self.value, filter, Some(context)),
            None => context,
        };
        context.swap_dims(1, 2).reshape([batch, seq_len, heads * head_dim])
    }
}
