//! How rows are laid into batches, such that no row's result depends on its neighbours or its padding.

use std::cmp::Reverse;

use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::{AttentionKind, NystromformerConfig, NystromformerInput, Semantics};
use nystromformer_data::Encoding;

use crate::error::PipelineError;

/// A row of a batch.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// Its tokens.
    pub encoding: Encoding,
    /// Tokens that it takes up, padding included.
    pub length: usize,
}

/// Which rows may be computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    /// Any: padding is masked out of all that the model computes, or is the same for every row.
    Any,
    /// Rows of one length: in transformers' exact attention the convolution still sees padding.
    OfEqualLength,
    /// None: the pseudo-inverse is scaled by the whole batch.
    None,
}

/// What a model's configuration says about its rows.
#[derive(Debug)]
pub(crate) struct RowLayout {
    /// The longest row that the model reads.
    max_positions: usize,
    /// The length of every row, if the model reads no other.
    fixed_length: Option<usize>,
    company: Company,
    /// Whether a row's bits depend on its batch unless it is computed by itself.
    is_rounded_by_batch: bool,
    /// Whether the encoder runs on tokens alone, padding left out, so that rows of other lengths change no bit.
    is_packed: bool,
    type_vocab_size: usize,
    pad: u32,
    device: Device,
}

/// How much is computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Rows, at most.
    pub rows: usize,
    /// Rows times the longest of them, at most; a row that is longer is a batch by itself.
    pub tokens: usize,
}

impl RowLayout {
    pub(crate) fn new(config: &NystromformerConfig, pad: u32, device: &Device) -> Self {
        let company = if config.attention.options().mixes_rows(&config.shared) {
            Company::None
        } else if config.shared.semantics == Semantics::Hf
            && config.is_full_attention()
            && config.attention.convolution.conv_kernel_size > 0
        {
            Company::OfEqualLength
        } else {
            Company::Any
        };
        Self {
            max_positions: config.embeddings.max_position_embeddings,
            fixed_length: config.required_seq_len(),
            company,
            is_rounded_by_batch: !config.attention.options().is_of_kernels(),
            // With more landmarks, or chunks, the encoder computes with padding.
            is_packed: config.shared.semantics == Semantics::Paper
                && config.attention.kind == AttentionKind::Nystrom
                && config.attention.options().is_of_kernels()
                && config.feed_forward.chunk_size_feed_forward == 0,
            type_vocab_size: config.embeddings.type_vocab_size,
            pad,
            device: device.clone(),
        }
    }

    /// The most tokens of a row, and the key of the model's configuration that says so.
    pub(crate) fn max_length(&self) -> (usize, &'static str) {
        match self.fixed_length {
            Some(length) => (length, "segment_means_seq_len"),
            None => (self.max_positions, "max_position_embeddings"),
        }
    }

    /// Whether what a row's padding does to it must be as transformers has it.
    pub(crate) fn feels_padding(&self) -> bool {
        self.company == Company::OfEqualLength
    }

    /// A row of at least `min_length` tokens, padding included.
    pub(crate) fn row(
        &self,
        encoding: Encoding,
        min_length: usize,
    ) -> Result<TokenRow, PipelineError> {
        let type_vocab_size = self.type_vocab_size;
        let kinds = encoding.token_type_ids.iter().filter(|_| type_vocab_size > 1);
        if let Some(&id) = kinds.into_iter().find(|&&id| id as usize >= type_vocab_size) {
            return Err(PipelineError::TokenType { id, type_vocab_size });
        }
        let length =
            encoding.input_ids.len().max(min_length).max(self.fixed_length.unwrap_or_default());
        Ok(TokenRow { encoding, length })
    }

    /// Batches of at most `batch_size` rows, as indices into `rows`: longest rows first, and such together as
    /// need little padding.
    pub(crate) fn batches(&self, rows: &[TokenRow], batch_size: usize) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&index| Reverse(rows[index].length));
        let together = |left: &usize, right: &usize| match self.company {
            Company::Any => true,
            Company::OfEqualLength => rows[*left].length == rows[*right].length,
            Company::None => false,
        };
        let groups = order.chunk_by(together);
        groups.flat_map(|group| group.chunks(batch_size)).map(<[usize]>::to_vec).collect()
    }

    /// Batches of which no row can be told, in any bit, from what else is in its batch: the same as [`Self::batches`], and where
    /// padding is computed with, only rows of one length that are padded or not alike; rows by themselves where Burn computes the
    /// attention.
    pub(crate) fn independent_batches(
        &self,
        rows: &[&TokenRow],
        limits: BatchLimits,
        is_read_alone: bool,
    ) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        // Of one length, those without padding first.
        let place = |row: &TokenRow| (row.length, row.encoding.input_ids.len());
        order.sort_by_key(|&index| Reverse(place(rows[index])));
        let is_padded = |row: &TokenRow| row.encoding.input_ids.len() < row.length;
        let together = |left: &TokenRow, right: &TokenRow| match self.company {
            Company::None => false,
            Company::Any if self.is_packed => true,
            _ => left.length == right.length && is_padded(left) == is_padded(right),
        };
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for index in order {
            let fits = |batch: &&mut Vec<usize>| {
                let longest = rows[batch[0]];
                !(is_read_alone || self.is_rounded_by_batch)
                    && batch.len() < limits.rows
                    && (batch.len() + 1) * longest.length <= limits.tokens
                    && together(longest, rows[index])
            };
            match batches.last_mut().filter(fits) {
                Some(batch) => batch.push(index),
                None => batches.push(vec![index]),
            }
        }
        batches
    }

    /// Rows as the model reads them, padded to the longest.
    pub(crate) fn collate(&self, rows: &[&TokenRow]) -> NystromformerInput {
        let seq_len = rows.iter().map(|row| row.length).max().unwrap_or_default();
        let tensor = |values: &dyn Fn(&Encoding) -> Vec<i64>, padding: u32| -> Tensor<2, Int> {
            let mut flat = Vec::with_capacity(rows.len() * seq_len);
            for (number, row) in rows.iter().enumerate() {
                flat.extend(values(&row.encoding));
                flat.resize((number + 1) * seq_len, i64::from(padding));
            }
            Tensor::from_data(TensorData::new(flat, [rows.len(), seq_len]), &self.device)
        };
        let wide = |ids: &[u32]| ids.iter().map(|&id| i64::from(id)).collect();
        let mut input =
            NystromformerInput::new(tensor(&|encoding| wide(&encoding.input_ids), self.pad));
        if rows.iter().any(|row| row.encoding.input_ids.len() < seq_len) {
            let mask = tensor(&|encoding| vec![1; encoding.input_ids.len()], 0);
            input = input.with_attention_mask(mask);
        }
        let has_second =
            |row: &&TokenRow| row.encoding.token_type_ids.iter().any(|&kind| kind != 0);
        if self.type_vocab_size > 1 && rows.iter().any(has_second) {
            let types = tensor(&|encoding| wide(&encoding.token_type_ids), 0);
            input = input.with_token_type_ids(types);
        }
        input
    }
}

#[cfg(test)]
mod tests {
    use nystromformer::PinvInit;

    use super::*;

    fn layout(config: &NystromformerConfig) -> RowLayout {
        RowLayout::new(config, 9, &Device::flex())
    }

    fn rows_of(layout: &RowLayout, lengths: &[usize]) -> Vec<TokenRow> {
        let of = |&length: &usize| Encoding {
            input_ids: (0..length as u32).collect(),
            token_type_ids: vec![0; length],
            ..Encoding::default()
        };
        lengths.iter().map(|length| layout.row(of(length), 0).unwrap()).collect()
    }

    #[test]
    fn rows_meet_only_whom_they_may() {
        let lengths = [3, 5, 3, 4, 3];
        let batches = |config: NystromformerConfig| {
            let layout = layout(&config);
            layout.batches(&rows_of(&layout, &lengths), 2)
        };
        let paper = NystromformerConfig::default();
        assert_eq!(batches(paper.clone()), [vec![1, 3], vec![0, 2], vec![4]]);
        let original =
            paper.clone().with(|config| config.attention.nystrom.pinv_init = PinvInit::Original);
        assert_eq!(batches(original), [[1], [3], [0], [2], [4]]);
        let full = paper.clone().with(|config| config.shared.semantics = Semantics::Hf);
        assert!(full.is_full_attention());
        assert_eq!(batches(full.clone()), [vec![1], vec![3], vec![0, 2], vec![4]]);
        let without = full.with(|config| config.attention.convolution.conv_kernel_size = 0);
        assert_eq!(batches(without), [vec![1, 3], vec![0, 2], vec![4]]);
    }

    #[test]
    fn independent_rows_meet_only_whom_they_cannot_feel() {
        let lengths = [3, 5, 3, 4, 3];
        let batches = |config: NystromformerConfig, rows: usize, tokens: usize| {
            let layout = layout(&config);
            let all = rows_of(&layout, &lengths);
            let all: Vec<&TokenRow> = all.iter().collect();
            layout.independent_batches(&all, BatchLimits { rows, tokens }, false)
        };
        let paper = NystromformerConfig::default();
        assert_eq!(batches(paper.clone(), 9, 99), [[1, 3, 0, 2, 4]]);
        assert_eq!(batches(paper.clone(), 2, 99), [vec![1, 3], vec![0, 2], vec![4]]);
        assert_eq!(batches(paper.clone(), 9, 10), [vec![1, 3], vec![0, 2, 4]]);
        assert_eq!(batches(paper.clone(), 9, 1), [[1], [3], [0], [2], [4]]);
        let softmax = paper.clone().with(|config| config.attention.kind = AttentionKind::Softmax);
        assert_eq!(batches(softmax, 9, 99), [vec![1], vec![3], vec![0, 2, 4]]);
        let alone: [fn(&mut NystromformerConfig); 4] = [
            |config| config.attention.nystrom.pinv_init = PinvInit::Original,
            |config| config.attention.nystrom.keep_ends = true,
            |config| config.attention.nystrom.local_window = 4,
            |config| config.attention.kind = AttentionKind::Performer,
        ];
        for change in alone {
            let config = paper.clone().with(change);
            assert_eq!(batches(config, 9, 99), [[1], [3], [0], [2], [4]]);
        }
        let fixed = paper.with(|config| {
            config.shared.semantics = Semantics::Hf;
            config.attention.nystrom.num_landmarks = 4;
            config.attention.nystrom.segment_means_seq_len = 8;
            config.attention.nystrom.pinv_init = PinvInit::Exact;
        });
        let layout = layout(&fixed);
        let rows = rows_of(&layout, &[8, 3, 8]);
        let rows: Vec<&TokenRow> = rows.iter().collect();
        let limits = BatchLimits { rows: 9, tokens: 99 };
        assert_eq!(layout.independent_batches(&rows, limits, false), [vec![0, 2], vec![1]]);
        assert_eq!(layout.independent_batches(&rows, limits, true), [[0], [2], [1]]);
    }

    #[test]
    fn padding_and_masks_by_hand() {
        let layout = layout(&NystromformerConfig::default());
        let rows = rows_of(&layout, &[2, 3]);
        let values = |tensor: Tensor<2, Int>| tensor.try_into_vec_as::<i64>().unwrap();
        let input = layout.collate(&[&rows[0], &rows[1]]);
        assert_eq!(values(input.attention_mask.unwrap()), [1, 1, 0, 1, 1, 1]);
        assert!(input.token_type_ids.is_none());
        let nystromformer::InputTokens::Ids(ids) = input.tokens else {
            panic!("rows are ids");
        };
        assert_eq!(values(ids), [0, 1, 9, 0, 1, 2]);
        assert!(layout.collate(&[&rows[1]]).attention_mask.is_none());
    }

    #[test]
    fn a_length_that_transformers_fixes_is_every_rows() {
        let config = NystromformerConfig::default().with(|config| {
            config.shared.semantics = Semantics::Hf;
            config.attention.nystrom.num_landmarks = 4;
            config.attention.nystrom.segment_means_seq_len = 8;
        });
        let layout = layout(&config);
        assert_eq!(layout.max_length(), (8, "segment_means_seq_len"));
        assert_eq!(rows_of(&layout, &[3])[0].length, 8);
    }
}
