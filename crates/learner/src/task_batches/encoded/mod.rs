//! The examples of a split as token ids, end to end in one table.
//!
//! | file | |
//! |---|---|
//! | `targets` | what a model is to answer to some units |
//! | `fingerprint` | a hash of all of it |
//! | `identity` | what an example is told by when it is read once more |

mod fingerprint;
mod identity;
mod targets;

use std::ops::Range;

use nystromformer_data::{DataError, ProgressListener, ProgressReport, UnknownTokens};
use nystromformer_tasks::{Example, ExampleReader, Input, Label, LabelCounts, Vectors};
use rayon::prelude::*;

use super::contexts::Contexts;
use super::forms::{Anchors, EncodedExample, EncodedUnit, Form, NOT_COUNTED, Target};
use crate::progress::stage;
pub(in crate::task_batches) use identity::identity;

/// Examples that are tokenised at a time, on all cores.
const AT_ONCE: usize = 1024;

/// The examples of a split: of each its units, of each unit its rows (see [`forms`](super::forms)).
#[derive(Debug)]
pub(in crate::task_batches) struct EncodedSplit {
    ids: Ids,
    /// Where each row ends in `ids`.
    ends: Vec<usize>,
    /// How many tokens of each row are of type 0; the others, of the second text of a pair, are of type 1.
    of_first_text: Vec<u32>,
    /// The rows of examples of feature vectors, which are read when their turn comes; `ends` counts their vectors.
    vectors: Vec<Vectors>,
    units: Vec<StoredUnit>,
    /// Where the units of each example end.
    unit_ends: Vec<usize>,
    labels: Vec<Option<Label>>,
    /// What each example is [told by](identity()).
    identities: Vec<u64>,
    contexts: Contexts,
    label_counts: LabelCounts,
    unknown: UnknownTokens,
    num_cut: usize,
    num_lost: usize,
}

/// What a step visits.
#[derive(Debug)]
struct StoredUnit {
    /// Where its rows end among all.
    row_end: usize,
    target: Target,
    anchors: Anchors,
    /// Its example.
    example: usize,
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

impl EncodedSplit {
    /// Reads all `examples`, and tells `progress` how many there are so far.
    ///
    /// # Errors
    /// Those of the reader, and of [`Form::encode`].
    pub(in crate::task_batches) fn read(
        examples: ExampleReader,
        form: Form<'_>,
        progress: &dyn ProgressListener,
    ) -> Result<Self, DataError> {
        let ids = if form.vocabulary.size <= 1 << 16 {
            Ids::Short(Vec::new())
        } else {
            Ids::Long(Vec::new())
        };
        let mut split = Self {
            ids,
            ends: Vec::new(),
            of_first_text: Vec::new(),
            vectors: Vec::new(),
            units: Vec::new(),
            unit_ends: Vec::new(),
            labels: Vec::new(),
            identities: Vec::new(),
            contexts: Contexts::default(),
            label_counts: LabelCounts::default(),
            unknown: UnknownTokens::default(),
            num_cut: 0,
            num_lost: 0,
        };
        let unk = form.tokenizer.map(|tokenizer| tokenizer.special_ids().unk);
        let mut examples = examples.peekable();
        while examples.peek().is_some() {
            let some = examples.by_ref().take(AT_ONCE).collect::<Result<Vec<Example>, _>>()?;
            let encoded: Vec<EncodedExample> =
                some.par_iter().map(|example| form.encode(example)).collect::<Result<_, _>>()?;
            split.identities.par_extend(some.par_iter().map(identity));
            for (example, encoded) in some.into_iter().zip(encoded) {
                if let Input::Vectors(vectors) = example.input {
                    split.push_vectors(vectors, form)?;
                }
                split.push(example.label, encoded, unk);
            }
            // How many there will be, no reader knows.
            let done = split.labels.len() as u64;
            progress.report(ProgressReport { stage: stage::READ_EXAMPLES, done, total: 0 });
        }
        Ok(split)
    }

    /// Whether an example has a target: of a question whose answers are not found in its context there is none.
    pub(in crate::task_batches) fn is_learned(&self, place: usize) -> bool {
        let is_unknown = |unit: usize| self.units[unit].target == Target::Span([NOT_COUNTED; 2]);
        !self.units_of(place).all(is_unknown)
    }

    fn push(&mut self, label: Option<Label>, encoded: EncodedExample, unk: Option<u32>) {
        self.num_cut += usize::from(encoded.is_cut);
        let has_answer = matches!(&label, Some(Label::Answers(answers)) if !answers.is_empty());
        let lacks_it = |unit: &EncodedUnit| {
            matches!((&unit.anchors, &unit.target), (Anchors::Window(window), Target::Span(span))
                if window.is_no_answer(*span))
        };
        self.num_lost += usize::from(has_answer && encoded.units.iter().all(lacks_it));
        for mut unit in encoded.units {
            if let Anchors::Window(window) = &mut unit.anchors {
                self.contexts.share(window, self.labels.len());
            }
            for row in unit.rows {
                if let Some(unk) = unk {
                    self.unknown.count(row.ids.iter().copied(), unk);
                }
                self.ids.extend(&row.ids);
                self.ends.push(self.ends.last().unwrap_or(&0) + row.ids.len());
                self.of_first_text.push(row.of_first_text as u32);
            }
            self.units.push(StoredUnit {
                row_end: self.ends.len(),
                target: unit.target,
                anchors: unit.anchors,
                example: self.labels.len(),
            });
        }
        self.unit_ends.push(self.units.len());
        self.label_counts.add(label.as_ref());
        self.labels.push(label);
    }

    /// The row of an example of feature vectors.
    fn push_vectors(&mut self, vectors: Vectors, form: Form<'_>) -> Result<(), DataError> {
        form.width.require(&vectors, self.vectors.first(), form.source)?;
        let kept = vectors.len().min(form.truncation.max_length);
        self.ends.push(self.ends.last().unwrap_or(&0) + kept);
        self.of_first_text.push(0);
        self.vectors.push(vectors);
        Ok(())
    }

    /// The feature vectors of each row, if rows are such.
    pub(in crate::task_batches) fn vectors(&self) -> &[Vectors] {
        &self.vectors
    }

    /// The number of the context that each example is a question about; `None` of other examples.
    pub(in crate::task_batches) fn contexts(&self) -> Option<&[usize]> {
        self.contexts.of_examples()
    }

    /// How many questions have an answer that none of their windows holds.
    pub(in crate::task_batches) fn num_lost(&self) -> usize {
        self.num_lost
    }

    /// Number of examples.
    pub(in crate::task_batches) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The right answers, `None` where they are kept back.
    pub(in crate::task_batches) fn labels(&self) -> &[Option<Label>] {
        &self.labels
    }

    /// What each example is [told by](identity()).
    pub(in crate::task_batches) fn identities(&self) -> &[u64] {
        &self.identities
    }

    /// How often each class is the label.
    pub(in crate::task_batches) fn label_counts(&self) -> &LabelCounts {
        &self.label_counts
    }

    /// How many tokens of texts are unknown to the vocabulary, special tokens counted among all.
    pub(in crate::task_batches) fn unknown(&self) -> UnknownTokens {
        self.unknown
    }

    /// How many examples were too long.
    pub(in crate::task_batches) fn num_cut(&self) -> usize {
        self.num_cut
    }

    /// How many units there are of all examples.
    pub(in crate::task_batches) fn num_units(&self) -> usize {
        self.units.len()
    }

    /// How many examples have more units than one.
    pub(in crate::task_batches) fn num_in_windows(&self) -> usize {
        (0..self.len()).filter(|example| self.units_of(*example).len() > 1).count()
    }

    /// How many words the tokenizer makes no token of, such as a control character.
    pub(in crate::task_batches) fn num_words_without_tokens(&self) -> usize {
        let of_example = |example: usize| {
            let (mut words, mut with_tokens) = (0, 0);
            for unit in self.units_of(example) {
                if let Anchors::Words { count, of_outputs } = self.anchors(unit) {
                    words = *count;
                    with_tokens +=
                        of_outputs.iter().filter(|word| (**word as usize) < words).count();
                }
            }
            words - with_tokens
        };
        (0..self.len()).map(of_example).sum()
    }

    /// The units of an example, by their numbers.
    pub(in crate::task_batches) fn units_of(&self, example: usize) -> Range<usize> {
        let start = if example == 0 { 0 } else { self.unit_ends[example - 1] };
        start..self.unit_ends[example]
    }

    /// The example that a unit is of.
    pub(in crate::task_batches) fn example_of(&self, unit: usize) -> usize {
        self.units[unit].example
    }

    /// Which parts of its example a unit is about.
    pub(in crate::task_batches) fn anchors(&self, unit: usize) -> &Anchors {
        &self.units[unit].anchors
    }

    /// The rows of a unit, by their numbers.
    pub(in crate::task_batches) fn rows_of(&self, unit: usize) -> Range<usize> {
        let start = if unit == 0 { 0 } else { self.units[unit - 1].row_end };
        start..self.units[unit].row_end
    }

    /// Tokens of a row.
    pub(in crate::task_batches) fn row_len(&self, row: usize) -> usize {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        self.ends[row] - start
    }

    /// Tokens of a unit's longest row.
    pub(in crate::task_batches) fn unit_len(&self, unit: usize) -> usize {
        self.rows_of(unit).map(|row| self.row_len(row)).max().unwrap_or(0)
    }

    /// Appends a row's ids to `ids`, and their types to `types`.
    pub(in crate::task_batches) fn append(
        &self,
        row: usize,
        ids: &mut Vec<i32>,
        types: &mut Vec<i32>,
    ) {
        let end = self.ends[row];
        let span = end - self.row_len(row)..end;
        let of_first_text = self.of_first_text[row] as usize;
        types.extend((0..span.len()).map(|column| i32::from(column >= of_first_text)));
        match &self.ids {
            Ids::Short(table) => ids.extend(table[span].iter().map(|id| i32::from(*id))),
            Ids::Long(table) => ids.extend(table[span].iter().map(|id| *id as i32)),
        }
    }
}
