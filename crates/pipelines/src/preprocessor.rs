//! From texts to rows that a model reads.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use burn::tensor::Device;
use nystromformer::{ModelClass, NystromformerConfig};
use nystromformer_data::{DataError, Encoding, Keep, TextTokenizer, Truncation, Windows};
use nystromformer_files::say_once;
use nystromformer_interop::load;

use crate::{
    error::PipelineError,
    layout::{RowLayout, TokenRow},
    row_limit::RowLimit,
};

/// A tokenizer, and what its model makes of rows.
#[derive(Debug)]
pub struct Preprocessor {
    tokenizer: TextTokenizer,
    layout: RowLayout,
    limit: RowLimit,
    limit_told: RowLimit,
    /// Texts that were cut.
    truncated: AtomicUsize,
    /// Whether whoever asks counts them, and says so.
    is_silent: AtomicBool,
}

/// A model of class `M` and its preprocessor from a folder.
pub(crate) fn load_with_preprocessor<M: ModelClass + Send>(
    folder: &Path,
    device: &Device,
) -> Result<(M, Arc<Preprocessor>), PipelineError> {
    // A large vocabulary takes about as long to read as a small model's weights.
    let (model, tokenizer) =
        rayon::join(|| load::<M>(folder, device), || tokenizer_of_model(folder));
    let model = model?;
    let preprocessor = Preprocessor::new(tokenizer?, folder, model.config(), device)?;
    Ok((model, Arc::new(preprocessor)))
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
    /// Refuses a tokenizer that has ids for which the model has no embedding.
    fn new(
        tokenizer: TextTokenizer,
        folder: &Path,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Result<Self, PipelineError> {
        let vocab_size = config.embeddings.vocab_size;
        if let Some((id, token)) = tokenizer.first_id_beyond(vocab_size) {
            return Err(PipelineError::Vocabulary { id, token, vocab_size });
        }
        if tokenizer.lacks_types() && config.embeddings.type_vocab_size > 1 {
            say_once(format!(
                "`{}`: `model_input_names` of `tokenizer_config.json` names no `token_type_ids`, so that transformers gives second texts \
                 the type 0; here they have type 1, as the model's `type_vocab_size` lets them",
                folder.display()
            ));
        }
        let layout = RowLayout::new(config, tokenizer.special_ids().pad, device);
        let limit = RowLimit::of_model(&layout, &tokenizer, folder);
        let limit_told = limit.clone().or_model_max_length(&tokenizer, folder);
        let (truncated, is_silent) = Default::default();
        Ok(Self { tokenizer, layout, limit, limit_told, truncated, is_silent })
    }

    pub(crate) fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    pub(crate) fn layout(&self) -> &RowLayout {
        &self.layout
    }

    /// How long a row may be for what the model reads and was trained on.
    pub(crate) fn limit(&self) -> &RowLimit {
        &self.limit
    }

    /// The same for the pipelines whose like in transformers cut to `model_max_length` of the tokenizer.
    pub(crate) fn limit_told(&self) -> &RowLimit {
        &self.limit_told
    }

    /// A row of what `encode` makes, no longer than `limit`.
    pub(crate) fn row(
        &self,
        limit: &RowLimit,
        encode: impl FnOnce(Option<Truncation>) -> Result<Encoding, DataError>,
    ) -> Result<TokenRow, PipelineError> {
        let encoding = encode(Some(limit.truncation()))?;
        if encoding.num_truncated_tokens > 0 {
            let length = encoding.input_ids.len() + encoding.num_truncated_tokens;
            self.note_cut(|| limit.note(length));
        }
        self.layout.row(encoding, 0)
    }

    /// Counts a text that is cut, and says so of the first: in a file of long texts each of them would be told otherwise.
    fn note_cut(&self, note: impl FnOnce() -> String) {
        if !self.is_silent.load(Ordering::Relaxed)
            && self.truncated.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!("{}", note());
        }
    }

    /// In which windows the model was trained to read texts that are too long, if it was.
    pub(crate) fn trained_windows(&self) -> Option<Windows> {
        self.tokenizer.trained_windows()
    }

    /// The rows of a text as the model was trained on them: one, or its windows.
    pub(crate) fn trained_rows(
        &self,
        windows: Windows,
        text: &str,
    ) -> Result<Vec<TokenRow>, PipelineError> {
        let encoding = self.tokenizer.encode_text(text, None, None)?;
        let length = encoding.num_own_tokens();
        let rows = windows.rows(encoding, self.limit.max_length());
        let cut: usize = rows.iter().map(|row| row.num_truncated_tokens).sum();
        if cut > 0 {
            self.note_cut(|| {
                format!(
                    "the last `{cut}` tokens of a text of `{length}` are not read, and so it is with every longer one: a text has at most \
                     `{}` windows of {} tokens (`max_windows` of `trained_windows` in the model's `tokenizer_config.json`)",
                    windows.max_windows,
                    self.limit.max_length()
                )
            });
        }
        rows.into_iter().map(|row| self.layout.row(row, 0)).collect()
    }

    /// Rows over all of an encoding, each of which repeats the last `stride` tokens of the one before.
    pub(crate) fn windows(
        &self,
        encoding: &Encoding,
        stride: usize,
    ) -> Result<Vec<TokenRow>, PipelineError> {
        let windows = windows(encoding, self.limit_told.truncation(), stride);
        // transformers pads all windows of a text to the longest.
        let longest = windows.iter().map(|window| window.input_ids.len()).max().unwrap_or_default();
        let min_length = if self.layout.feels_padding() { longest } else { 0 };
        windows.into_iter().map(|window| self.layout.row(window, min_length)).collect()
    }

    /// The most tokens that windows can overlap by.
    pub(crate) fn max_stride(&self) -> usize {
        let special = self.tokenizer.prefix().len() + self.tokenizer.suffix().len();
        self.limit_told.max_length().saturating_sub(special + 1)
    }

    /// Says no more of texts that are cut: whoever asks sees it in their rows.
    pub(crate) fn be_silent(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
    }

    /// Says how many texts were cut in all, if it was more than the one that was told of.
    pub(crate) fn tell_truncated(&self) {
        let truncated = self.truncated.swap(0, Ordering::Relaxed);
        if truncated > 1 {
            tracing::warn!("{truncated} texts were cut");
        }
    }
}

/// The windows over an encoding of one text: special tokens around at most `max_length` less of its own, each
/// window from `stride` tokens before the end of the last. Where the ends of texts are kept they are counted from the end.
fn windows(encoding: &Encoding, truncation: Truncation, stride: usize) -> Vec<Encoding> {
    let own = encoding.num_own_tokens();
    let special = encoding.sequence_ids.len() - own;
    let room = truncation.max_length.saturating_sub(special).max(1);
    let step = room.saturating_sub(stride).max(1);
    let mut starts = vec![0];
    while let Some(&last) = starts.last()
        && last + room < own
    {
        starts.push(last + step);
    }
    let ranges = starts.into_iter().map(|start| start..own.min(start + room));
    let ranges = ranges.map(|range| match truncation.keep {
        Keep::Tail => own - range.end..own - range.start,
        Keep::Head | Keep::HeadTail => range,
    });
    ranges.map(|range| encoding.window(&range)).collect()
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
            num_truncated_tokens: 0,
        }
    }

    #[test]
    fn windows_by_hand() {
        let ids = |length, max_length, stride| -> Vec<Vec<u32>> {
            let windows = windows(&encoding(length), Truncation::head(max_length), stride);
            windows.into_iter().map(|window| window.input_ids).collect()
        };
        assert_eq!(ids(3, 5, 1), [[1000, 0, 1, 2, 1001]]);
        assert_eq!(ids(5, 5, 1), [[1000, 0, 1, 2, 1001], [1000, 2, 3, 4, 1001]]);
        assert_eq!(
            ids(6, 5, 1),
            [vec![1000, 0, 1, 2, 1001], vec![1000, 2, 3, 4, 1001], vec![1000, 4, 5, 1001]]
        );
        assert_eq!(ids(0, 5, 1), [[1000, 1001]]);
        let from_the_end = windows(&encoding(6), Truncation::tail(5), 1);
        let found: Vec<_> = from_the_end.into_iter().map(|window| window.input_ids).collect();
        assert_eq!(
            found,
            [vec![1000, 3, 4, 5, 1001], vec![1000, 1, 2, 3, 1001], vec![1000, 0, 1, 1001]]
        );
    }

    proptest! {
        #[test]
        fn windows_cover_all_tokens_and_overlap_by_the_stride(
            length in 0usize..60, room in 1usize..12, overlap in 0usize..12
        ) {
            let stride = overlap.min(room - 1);
            let windows = windows(&encoding(length), Truncation::head(room + 2), stride);
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
