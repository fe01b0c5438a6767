//! From texts to rows that a model reads.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use burn::tensor::Device;
use nystromformer::{ModelClass, NystromformerConfig};
use nystromformer_data::{Encoding, TextTokenizer};
use nystromformer_interop::load;
use serde_json::Value;

use crate::{
    error::PipelineError,
    layout::{Row, RowLayout},
};

/// A tokenizer, and what its model makes of rows.
#[derive(Debug)]
pub struct Preprocessor {
    tokenizer: TextTokenizer,
    layout: RowLayout,
    max_length: usize,
    has_truncated: AtomicBool,
}

/// A model of class `M` and its preprocessor from a folder.
pub(crate) fn load_with_preprocessor<M: ModelClass + Send>(
    folder: &Path,
    device: &Device,
) -> Result<(M, Preprocessor), PipelineError> {
    // A large vocabulary takes about as long to read as a small model's weights.
    let (model, tokenizer) =
        rayon::join(|| load::<M>(folder, device), || tokenizer_of_model(folder));
    let model = model?;
    let preprocessor = Preprocessor::new(tokenizer?, folder, model.config(), device);
    Ok((model, preprocessor))
}

/// The tokenizer in a model's folder.
///
/// # Errors
/// [`PipelineError::Tokenizer`] if there is none, or if it is damaged.
pub fn tokenizer_of_model(folder: &Path) -> Result<TextTokenizer, PipelineError> {
    TextTokenizer::load(folder, true)
        .map_err(|source| PipelineError::Tokenizer { path: folder.to_owned(), source })
}

impl Preprocessor {
    fn new(
        tokenizer: TextTokenizer,
        folder: &Path,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        let layout = RowLayout::new(config, tokenizer.special_ids().pad, device);
        let max_length = layout.max_length();
        let max_length = model_max_length(folder).map_or(max_length, |told| told.min(max_length));
        Self { tokenizer, layout, max_length, has_truncated: AtomicBool::new(false) }
    }

    pub(crate) fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    pub(crate) fn layout(&self) -> &RowLayout {
        &self.layout
    }

    /// The most tokens of a row: what the model reads, or what its tokenizer is told to give at most
    /// (`model_max_length`).
    pub(crate) fn max_length(&self) -> usize {
        self.max_length
    }

    /// A text, or two, cut to the longest row.
    pub(crate) fn row(&self, text: &str, pair: Option<&str>) -> Result<Row, PipelineError> {
        let encoding = self.tokenizer.encode_text(text, pair, None)?;
        if encoding.input_ids.len() <= self.max_length {
            return self.layout.row(encoding, 0);
        }
        self.note_truncation(encoding.input_ids.len());
        self.layout.row(self.tokenizer.encode_text(text, pair, Some(self.max_length))?, 0)
    }

    /// An encoding cut to the longest row.
    pub(crate) fn cut_row(&self, encoding: Encoding) -> Result<Row, PipelineError> {
        if encoding.input_ids.len() <= self.max_length {
            return self.layout.row(encoding, 0);
        }
        self.note_truncation(encoding.input_ids.len());
        self.layout.row(window(&encoding, 0, self.max_length), 0)
    }

    /// Rows over all of an encoding, each of which repeats the last `stride` tokens of the one before.
    pub(crate) fn windows(
        &self,
        encoding: &Encoding,
        stride: usize,
    ) -> Result<Vec<Row>, PipelineError> {
        let windows = windows(encoding, self.max_length, stride);
        // transformers pads all windows of a text to the longest.
        let longest = windows.iter().map(|window| window.input_ids.len()).max().unwrap_or_default();
        let min_length = if self.layout.feels_padding() { longest } else { 0 };
        windows.into_iter().map(|window| self.layout.row(window, min_length)).collect()
    }

    /// The most tokens that windows can overlap by.
    pub(crate) fn max_stride(&self) -> usize {
        let special = self.tokenizer.prefix().len() + self.tokenizer.suffix().len();
        self.max_length.saturating_sub(special + 1)
    }

    /// Says so once: in a file of long texts each of them would be told otherwise.
    fn note_truncation(&self, length: usize) {
        if !self.has_truncated.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a text of {length} tokens is cut to the {} that the model reads, as are all that are longer",
                self.max_length
            );
        }
    }
}

/// `model_max_length` of a folder's tokenizer, which transformers cuts texts to. Without a limit it is a number
/// beyond all integers.
fn model_max_length(folder: &Path) -> Option<usize> {
    let settings = fs::read(folder.join("tokenizer_config.json")).ok()?;
    let settings: Value = serde_json::from_slice(&settings).ok()?;
    let length = usize::try_from(settings.get("model_max_length")?.as_u64()?).ok()?;
    (length > 0).then_some(length)
}

/// The windows over an encoding of one text: special tokens around at most `max_length` less of its own, each
/// window from `stride` tokens before the end of the last.
fn windows(encoding: &Encoding, max_length: usize, stride: usize) -> Vec<Encoding> {
    let own = encoding.sequence_ids.iter().flatten().count();
    let special = encoding.sequence_ids.len() - own;
    let room = max_length.saturating_sub(special).max(1);
    let step = room.saturating_sub(stride).max(1);
    let mut starts = vec![0];
    while let Some(&last) = starts.last()
        && last + room < own
    {
        starts.push(last + step);
    }
    starts.into_iter().map(|start| window(encoding, start, max_length)).collect()
}

/// The special tokens of a text's encoding around those of its own from the `start`-th on, `max_length` at
/// most.
fn window(encoding: &Encoding, start: usize, max_length: usize) -> Encoding {
    let special = encoding.sequence_ids.iter().filter(|sequence| sequence.is_none()).count();
    let kept = start..start + max_length.saturating_sub(special);
    let mut window = Encoding::default();
    let mut own = 0;
    for (index, sequence) in encoding.sequence_ids.iter().enumerate() {
        let is_kept = sequence.is_none() || kept.contains(&own);
        own += usize::from(sequence.is_some());
        if is_kept {
            window.input_ids.push(encoding.input_ids[index]);
            window.token_type_ids.push(encoding.token_type_ids[index]);
            window.offsets.push(encoding.offsets[index]);
            window.word_ids.push(encoding.word_ids[index]);
            window.sequence_ids.push(*sequence);
        }
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `[CLS]`, `length` tokens numbered from 0, `[SEP]`.
    fn encoding(length: usize) -> Encoding {
        let mut sequence_ids = vec![Some(0); length + 2];
        sequence_ids[0] = None;
        sequence_ids[length + 1] = None;
        let own = 0..length as u32;
        Encoding {
            input_ids: [1000].into_iter().chain(own.clone()).chain([1001]).collect(),
            token_type_ids: vec![0; length + 2],
            offsets: vec![(0, 0); length + 2],
            word_ids: [None].into_iter().chain(own.map(Some)).chain([None]).collect(),
            sequence_ids,
        }
    }

    #[test]
    fn windows_by_hand() {
        let ids = |length, max_length, stride| -> Vec<Vec<u32>> {
            let windows = windows(&encoding(length), max_length, stride);
            windows.into_iter().map(|window| window.input_ids).collect()
        };
        assert_eq!(ids(3, 5, 1), [[1000, 0, 1, 2, 1001]]);
        assert_eq!(ids(5, 5, 1), [[1000, 0, 1, 2, 1001], [1000, 2, 3, 4, 1001]]);
        assert_eq!(
            ids(6, 5, 1),
            [vec![1000, 0, 1, 2, 1001], vec![1000, 2, 3, 4, 1001], vec![1000, 4, 5, 1001]]
        );
        assert_eq!(ids(0, 5, 1), [[1000, 1001]]);
    }

    proptest! {
        #[test]
        fn windows_cover_all_tokens_and_overlap_by_the_stride(
            length in 0usize..60, room in 1usize..12, overlap in 0usize..12
        ) {
            let stride = overlap.min(room - 1);
            let windows = windows(&encoding(length), room + 2, stride);
            let own: Vec<Vec<u32>> = windows
                .iter()
                .map(|window| window.input_ids[1..window.input_ids.len() - 1].to_vec())
                .collect();
            let mut covered = own[0].clone();
            for (before, after) in own.iter().zip(&own[1..]) {
                prop_assert_eq!(&before[before.len() - stride..], &after[..stride]);
                covered.extend(&after[stride..]);
            }
            prop_assert_eq!(covered, (0..length as u32).collect::<Vec<_>>());
            prop_assert!(own.iter().all(|window| window.len() <= room));
        }
    }
}
