//! The examples of a split as token ids, end to end in one table.

use nystromformer_data::{DataError, TextTokenizer, UnknownTokens};
use nystromformer_tasks::{Example, ExampleReader, Input, Label, LabelCounts, Truncation};
use rayon::prelude::*;

use crate::experiment::Vocabulary;

/// Examples that are tokenised at a time, on all cores.
const AT_ONCE: usize = 1024;

/// The examples of a split.
#[derive(Debug)]
pub(super) struct EncodedSplit {
    ids: Ids,
    /// Where each sequence ends in `ids`.
    ends: Vec<usize>,
    /// How many tokens of each sequence are of type 0; the others, of the second text of a pair, are of type 1.
    of_first_text: Vec<u32>,
    labels: Vec<Option<Label>>,
    label_counts: LabelCounts,
    unknown: UnknownTokens,
    num_cut: usize,
}

/// Token ids in as few bytes as the vocabulary allows: a data set of bytes or pixels is large.
#[derive(Debug)]
enum Ids {
    Short(Vec<u16>),
    Long(Vec<u32>),
}

impl Ids {
    fn extend(&mut self, ids: &[u32]) {
        match self {
            Self::Short(table) => table.extend(ids.iter().map(|id| *id as u16)),
            Self::Long(table) => table.extend(ids),
        }
    }
}

/// How examples become sequences.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'a> {
    /// For examples of text.
    pub(super) tokenizer: Option<&'a TextTokenizer>,
    /// What ids there are. Sequences of a task's own ids begin with `cls`, if there is one.
    pub(super) vocabulary: Vocabulary,
    /// Longest sequence, and what is kept of a longer one.
    pub(super) truncation: Truncation,
}

/// A sequence before it is in the table.
struct Sequence {
    ids: Vec<u32>,
    /// How many of them are of the first text.
    of_first_text: usize,
    /// Whether it was too long.
    is_cut: bool,
}

impl EncodedSplit {
    /// Reads all `examples`.
    ///
    /// # Errors
    /// Those of the reader; [`DataError::Tokenizer`] for a text that cannot be spelt, or if there is text and no
    /// tokenizer.
    pub(super) fn read(examples: ExampleReader, form: Form<'_>) -> Result<Self, DataError> {
        let ids = if form.vocabulary.size <= 1 << 16 {
            Ids::Short(Vec::new())
        } else {
            Ids::Long(Vec::new())
        };
        let mut split = Self {
            ids,
            ends: Vec::new(),
            of_first_text: Vec::new(),
            labels: Vec::new(),
            label_counts: LabelCounts::default(),
            unknown: UnknownTokens::default(),
            num_cut: 0,
        };
        let unk = form.tokenizer.map(|tokenizer| tokenizer.special_ids().unk);
        let mut examples = examples.peekable();
        while examples.peek().is_some() {
            let some = examples.by_ref().take(AT_ONCE).collect::<Result<Vec<Example>, _>>()?;
            let encoded: Vec<Vec<Sequence>> = some
                .par_iter()
                .map(|example| form.sequences(&example.input))
                .collect::<Result<_, _>>()?;
            for (example, sequences) in some.into_iter().zip(encoded) {
                split.label_counts.add(example.label);
                split.labels.push(example.label);
                split.num_cut += usize::from(sequences.iter().any(|sequence| sequence.is_cut));
                for Sequence { ids, of_first_text, .. } in sequences {
                    if let Some(unk) = unk {
                        split.unknown.count(ids.iter().copied(), unk);
                    }
                    split.ids.extend(&ids);
                    split.ends.push(split.ends.last().unwrap_or(&0) + ids.len());
                    split.of_first_text.push(of_first_text as u32);
                }
            }
        }
        Ok(split)
    }

    /// Number of examples.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The right answers, `None` where they are kept back.
    pub(super) fn labels(&self) -> &[Option<Label>] {
        &self.labels
    }

    /// How often each class is the label.
    pub(super) fn label_counts(&self) -> &LabelCounts {
        &self.label_counts
    }

    /// How many tokens of texts are unknown to the vocabulary, special tokens counted among all.
    pub(super) fn unknown(&self) -> UnknownTokens {
        self.unknown
    }

    /// How many examples were too long.
    pub(super) fn num_cut(&self) -> usize {
        self.num_cut
    }

    /// Sequences of an example.
    fn parts(&self) -> usize {
        self.ends.len() / self.labels.len().max(1)
    }

    /// The sequences of an example, by their numbers.
    pub(super) fn sequences(&self, example: usize) -> std::ops::Range<usize> {
        let parts = self.parts();
        example * parts..(example + 1) * parts
    }

    /// Tokens of a sequence.
    pub(super) fn sequence_len(&self, sequence: usize) -> usize {
        let start = if sequence == 0 { 0 } else { self.ends[sequence - 1] };
        self.ends[sequence] - start
    }

    /// Tokens of an example's longest sequence.
    pub(super) fn example_len(&self, example: usize) -> usize {
        self.sequences(example).map(|sequence| self.sequence_len(sequence)).max().unwrap_or(0)
    }

    /// Appends a sequence's ids to `row`, and their types to `types`.
    pub(super) fn append(&self, sequence: usize, row: &mut Vec<i32>, types: &mut Vec<i32>) {
        let end = self.ends[sequence];
        let span = end - self.sequence_len(sequence)..end;
        let of_first_text = self.of_first_text[sequence] as usize;
        types.extend((0..span.len()).map(|column| i32::from(column >= of_first_text)));
        match &self.ids {
            Ids::Short(ids) => row.extend(ids[span].iter().map(|id| i32::from(*id))),
            Ids::Long(ids) => row.extend(ids[span].iter().map(|id| *id as i32)),
        }
    }

    /// Hash of all of it.
    pub(super) fn fingerprint(&self, hasher: &mut blake3::Hasher) {
        let (mut row, mut types) = (Vec::new(), Vec::new());
        for example in 0..self.len() {
            row.clear();
            types.clear();
            for sequence in self.sequences(example) {
                hasher.update(&(self.sequence_len(sequence) as u64).to_le_bytes());
                self.append(sequence, &mut row, &mut types);
            }
            for value in row.iter().chain(&types) {
                hasher.update(&value.to_le_bytes());
            }
            let label = match self.labels[example] {
                None => -1.0,
                Some(Label::Class(class)) => f64::from(class),
                Some(Label::Value(value)) => f64::from(value),
            };
            hasher.update(&label.to_le_bytes());
        }
    }
}

impl Form<'_> {
    /// The sequences that an example is encoded as.
    fn sequences(self, input: &Input) -> Result<Vec<Sequence>, DataError> {
        match input {
            Input::Ids { first, second } => {
                let begun = |ids: &Vec<u16>| {
                    let cls = self.vocabulary.cls.map(|id| id as u32);
                    let truncation = self.truncation.less(usize::from(cls.is_some()));
                    let is_cut = ids.len() > truncation.max_length;
                    let ids = truncation.kept(ids).map(|id| u32::from(*id));
                    let ids: Vec<u32> = cls.into_iter().chain(ids).collect();
                    Sequence { of_first_text: ids.len(), ids, is_cut }
                };
                Ok(std::iter::once(first).chain(second).map(begun).collect())
            }
            Input::Text { first, second } => {
                let tokenizer = self.tokenizer.ok_or_else(|| DataError::Tokenizer {
                    origin: "of the task".to_owned(),
                    problem: "texts need one; set `tokenizer.path` or `model.init_from`".to_owned(),
                })?;
                // An empty second text is none, as in `predict classify`, and in transformers where one text is encoded by
                // itself: in a batch it would be a pair there.
                let second = second.as_deref().filter(|second| !second.is_empty());
                let mut encoding = tokenizer.encode_text(first, second, None)?;
                let is_cut = encoding.input_ids.len() > self.truncation.max_length;
                if is_cut {
                    encoding = tokenizer.encode_text(first, second, Some(self.truncation))?;
                }
                let types = &encoding.token_type_ids;
                let of_first_text = types.iter().position(|kind| *kind == 1).unwrap_or(types.len());
                Ok(vec![Sequence { ids: encoding.input_ids, of_first_text, is_cut }])
            }
        }
    }
}
