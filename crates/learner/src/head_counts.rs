//! [`HeadCounts`]: what an evaluation counts of the answers of one of our heads.

use burn::tensor::{Device, Tensor};
use nystromformer::heads::TargetsData;

use crate::batch::Outputs;
use crate::device::floats;
use crate::error::Result;
use crate::objectives::criterion::Measured;
use crate::ranks::words::{WordReader, Words};

/// What is counted of the answers of one of our heads.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeadCounts {
    /// Of each term of the loss the answers that are right, where answers are classes.
    pub(crate) correct: Vec<Option<f64>>,
    /// The scores of each answer, if the data measures them itself.
    pub(crate) outputs: Option<Outputs>,
    /// What the criterion of the batches measures, if they have one.
    pub(crate) measured: Measured,
}

impl HeadCounts {
    /// Adds what was counted of further examples.
    pub(crate) fn add(&mut self, more: Self) {
        self.correct.resize(more.correct.len().max(self.correct.len()), None);
        for (correct, more) in self.correct.iter_mut().zip(more.correct) {
            if let Some(more) = more {
                *correct.get_or_insert(0.0) += more;
            }
        }
        if let Some(more) = more.outputs {
            self.outputs.get_or_insert_default().extend(more);
        }
        self.measured.merge(more.measured);
    }

    /// As words, for other processes.
    pub(crate) fn write(&self, words: &mut Words) {
        words.count(self.correct.len());
        for correct in &self.correct {
            words.count(usize::from(correct.is_some()));
            words.number(correct.unwrap_or_default());
        }
        words.count(usize::from(self.outputs.is_some()));
        if let Some(outputs) = &self.outputs {
            words.count(outputs.len());
            for output in outputs {
                words.floats(output);
            }
        }
        self.measured.write(words);
    }

    /// From such words; `None` if they are none.
    pub(crate) fn read(words: &mut WordReader<'_>) -> Option<Self> {
        let mut counts = Self::default();
        for _ in 0..words.count()? {
            let is_some = words.count()? > 0;
            let correct = words.number()?;
            counts.correct.push(is_some.then_some(correct));
        }
        if words.count()? > 0 {
            let mut outputs = Outputs::new();
            for _ in 0..words.count()? {
                outputs.push(words.floats()?);
            }
            counts.outputs = Some(outputs);
        }
        counts.measured = Measured::read(words)?;
        Some(counts)
    }
}

/// The scores of each answer: of a row's classes or numbers; of a question's choices; of each labelled token of a row its classes, token after token;
/// of each token of a row as an answer's first, then of each as its last.
pub(crate) fn split_logits(
    logits: &[Tensor<2>],
    targets: &TargetsData,
    lengths: &[usize],
    seq_len: usize,
    device: &Device,
) -> Result<Outputs> {
    let mut tables = Vec::with_capacity(logits.len());
    for logits in logits {
        let [rows, columns] = logits.dims();
        let scores = match rows * columns {
            // Of rows of which no token is asked for there is nothing to read.
            0 => Vec::new(),
            values => floats(logits.clone().reshape([values]), device)?,
        };
        tables.push((columns, scores));
    }
    let Some((columns, first)) = tables.first() else { return Ok(Outputs::new()) };
    Ok(match targets {
        TargetsData::Class(_) | TargetsData::Values(_) => {
            first.chunks(*columns).map(<[f32]>::to_vec).collect()
        }
        TargetsData::Choice { num_choices, .. } => {
            let questions = first.chunks(*columns).zip(num_choices);
            questions.map(|(scores, count)| scores[..*count].to_vec()).collect()
        }
        TargetsData::Tokens { positions, .. } | TargetsData::TokensAndOrder { positions, .. } => {
            let mut outputs = vec![Vec::new(); lengths.len()];
            for (position, scores) in positions.iter().zip(first.chunks(*columns)) {
                outputs[*position as usize / seq_len].extend(scores);
            }
            outputs
        }
        TargetsData::Span { .. } => {
            let row = |(row, length): (usize, &usize)| {
                let of = |(columns, scores): &(usize, Vec<f32>)| {
                    scores[row * columns..row * columns + length].to_vec()
                };
                tables.iter().flat_map(of).collect()
            };
            lengths.iter().enumerate().map(row).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_they_were_written_and_add_up() {
        let mut measured = Measured::default();
        measured.mean("cosine", 3.0, 4.0);
        measured.relative_error("error", 0.25, 30.0);
        let counts = HeadCounts {
            correct: vec![Some(3.0), None],
            outputs: Some(vec![vec![0.5, -0.0, 2.0], Vec::new()]),
            measured,
        };
        let mut words = Words::default();
        counts.write(&mut words);
        HeadCounts::default().write(&mut words);
        let words = words.into_vec();
        let mut reader = WordReader::new(&words);
        assert_eq!(HeadCounts::read(&mut reader), Some(counts.clone()));
        assert_eq!(HeadCounts::read(&mut reader), Some(HeadCounts::default()));
        assert!(reader.is_at_end() && HeadCounts::read(&mut reader).is_none());

        let mut sum = HeadCounts::default();
        sum.add(counts.clone());
        assert_eq!(sum, counts);
        sum.add(HeadCounts { outputs: Some(vec![vec![9.0]]), ..counts });
        assert_eq!(sum.correct, [Some(6.0), None]);
        assert_eq!(sum.outputs.unwrap()[2], [9.0]);
        let values = sum.measured.values();
        assert_eq!(values[0], ("cosine".to_owned(), 0.75));
    }

    #[test]
    fn rows_of_which_no_token_is_asked_for_have_no_scores() {
        let device = Device::flex();
        let none = TargetsData::Tokens { positions: Vec::new(), labels: Vec::new() };
        let logits = [Tensor::zeros([0, 3], &device)];
        let outputs = split_logits(&logits, &none, &[4, 2], 4, &device).unwrap();
        assert_eq!(outputs, [Vec::new(), Vec::new()] as [Vec<f32>; 2]);
    }
}
