//! Where the sequences of a batch lie.

use std::{ops::Range, sync::Arc};

use burn_flex::FlexTensor;

use crate::view::View;

/// One sequence among the rows of a tensor whose last axis is `hidden_size`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Its tokens, over which segments and convolution go.
    pub tokens: Range<usize>,
    /// Those of them that are attended to, at least one.
    pub keys: Range<usize>,
}

/// The sequences of a batch, in order. Rows between them belong to none: their result is 0, and so is their gradient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences {
    rows: usize,
    list: Arc<[Sequence]>,
    /// The rows that attend, ascending; `None`: all.
    attending: Option<Arc<[usize]>>,
}

impl Sequences {
    /// `batch` sequences of `seq_len` tokens, one after the other.
    pub fn even(batch: usize, seq_len: usize) -> Self {
        let tokens = (0..batch).map(|row| row * seq_len..(row + 1) * seq_len);
        Self::new(
            batch * seq_len,
            tokens.map(|tokens| Sequence { keys: tokens.clone(), tokens }).collect(),
        )
    }

    /// Sequences among `rows` rows; empty ones are left out.
    ///
    /// # Panics
    /// If they do not follow each other within the rows, or one has tokens of which none is attended to.
    pub fn new(rows: usize, list: Vec<Sequence>) -> Self {
        let list: Arc<[Sequence]> =
            list.into_iter().filter(|sequence| !sequence.tokens.is_empty()).collect();
        let mut next = 0;
        for Sequence { tokens, keys } in list.iter() {
            assert!(next <= tokens.start && tokens.end <= rows, "sequences follow each other");
            assert!(
                tokens.start <= keys.start && keys.start < keys.end && keys.end <= tokens.end,
                "some tokens of every sequence are attended to"
            );
            next = tokens.end;
        }
        Self { rows, list, attending: None }
    }

    /// The same where only some rows attend, to which the result then belongs: the queries of the others serve the landmarks.
    ///
    /// # Panics
    /// If `attending` does not ascend, or goes beyond the rows.
    #[must_use]
    pub fn with_attending(self, attending: Vec<usize>) -> Self {
        assert!(attending.is_sorted_by(|left, right| left < right), "rows that attend ascend");
        assert!(attending.last().is_none_or(|&last| last < self.rows), "rows that attend exist");
        Self { attending: Some(attending.into()), ..self }
    }

    /// The same where all rows attend.
    pub(super) fn with_all_attending(&self) -> Self {
        Self { attending: None, ..self.clone() }
    }

    /// The rows that attend, if not all.
    pub fn attending(&self) -> Option<&[usize]> {
        self.attending.as_deref()
    }

    /// The number of rows, those of no sequence included.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Every sequence that has tokens.
    pub fn list(&self) -> &[Sequence] {
        &self.list
    }

    /// The number of tokens of all sequences.
    pub fn num_tokens(&self) -> usize {
        self.list.iter().map(|sequence| sequence.tokens.len()).sum()
    }

    /// The same sequences without the rows between them, all of them attending.
    #[must_use]
    pub fn packed(&self) -> Self {
        let mut end = 0;
        let list = self.list.iter().map(|Sequence { tokens, keys }| {
            let start = end;
            end += tokens.len();
            Sequence {
                tokens: start..end,
                keys: start + keys.start - tokens.start..start + keys.end - tokens.start,
            }
        });
        let list = list.collect();
        Self { rows: end, list, attending: None }
    }

    /// Whether these are `batch` sequences of `seq_len` tokens without padding.
    pub(super) fn are_even(&self, batch: usize, seq_len: usize) -> bool {
        let even = Self::even(batch, seq_len);
        self.rows == even.rows && self.list == even.list
    }

    /// The rows of the result.
    pub(super) fn num_results(&self) -> usize {
        self.attending.as_ref().map_or(self.rows, |attending| attending.len())
    }

    /// For each sequence, the rows of the result that belong to it.
    pub(super) fn results(&self) -> Vec<Range<usize>> {
        let of = |Sequence { tokens, .. }: &Sequence| match &self.attending {
            Some(attending) => {
                let place = |row: usize| attending.partition_point(|&attending| attending < row);
                place(tokens.start)..place(tokens.end)
            }
            None => tokens.clone(),
        };
        self.list.iter().map(of).collect()
    }
}

/// The parts of `values`, rows of `width` values, at these `places`, which ascend; the rest becomes 0.
pub(super) fn split(
    mut values: &mut [f32],
    width: usize,
    places: impl Iterator<Item = Range<usize>>,
) -> Vec<&mut [f32]> {
    let mut next = 0;
    let mut parts = Vec::new();
    for place in places {
        let (between, rest) = values.split_at_mut((place.start - next) * width);
        between.fill(0.0);
        let (part, rest) = rest.split_at_mut(place.len() * width);
        parts.push(part);
        values = rest;
        next = place.end;
    }
    values.fill(0.0);
    parts
}

/// A tensor `[batch, seq_len, hidden_size]` as rows at equal distances.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    values: &'a [f32],
    stride: usize,
    hidden_size: usize,
}

impl<'a> Rows<'a> {
    /// The tensor, copied only if its rows do not lie at equal distances.
    pub(super) fn readable(tensor: FlexTensor) -> FlexTensor {
        if Self::stride(&tensor).is_some() { tensor } else { tensor.to_contiguous() }
    }

    /// Reads a [`Self::readable`] tensor.
    pub(super) fn new(tensor: &'a FlexTensor) -> Self {
        let layout = tensor.layout();
        Self {
            values: &tensor.storage()[layout.start_offset()..],
            stride: Self::stride(tensor).expect("the tensor was made readable"),
            hidden_size: layout.shape()[2],
        }
    }

    fn stride(tensor: &FlexTensor) -> Option<usize> {
        let layout = tensor.layout();
        let (shape, strides) = (layout.shape(), layout.strides());
        if strides.iter().any(|&stride| stride < 0) || strides[2] != 1 && shape[2] != 1 {
            return None;
        }
        let [batch, row] = [strides[0], strides[1]].map(isize::unsigned_abs);
        if shape[1] == 1 {
            Some(batch)
        } else {
            (shape[0] == 1 || batch == shape[1] * row).then_some(row)
        }
    }

    /// Some rows, cut into heads.
    pub(super) fn view(self, rows: &Range<usize>, heads: usize) -> View<'a> {
        let shape = [heads, rows.len(), self.hidden_size / heads];
        View::of_tokens(&self.values[rows.start * self.stride..], self.stride, shape)
    }
}
