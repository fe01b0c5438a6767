//! A question, and overlapping windows over the text that holds its answer.

use std::sync::Arc;

use nystromformer_data::{Characters, DataError, Encoding, TextTokenizer};
use nystromformer_tasks::qa::{AnswerSearch, WindowLogits};
use nystromformer_tasks::{GoldAnswer, Label, Prediction, say_once};

use super::{
    Anchors, EncodedExample, EncodedRow, EncodedUnit, Form, NOT_COUNTED, Target, UnitOutput,
};

/// A window over a context.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContextWindow {
    /// All of the context.
    pub(crate) context: Arc<str>,
    /// The token that stands for "no answer".
    cls: usize,
    /// The first token of the context that the window shows.
    first: usize,
    /// For each token of the context from `first` on: its first character, and the one after its last.
    offsets: Box<[(u32, u32)]>,
}

impl ContextWindow {
    /// Whether a target of the window says that it has no answer.
    pub(crate) fn is_no_answer(&self, span: [i32; 2]) -> bool {
        span == [self.cls as i32; 2]
    }
}

/// A unit for each window. The target of a window without the answer is its `[CLS]` token, as in transformers' `run_qa`.
pub(super) fn encode(
    form: &Form<'_>,
    search: &AnswerSearch,
    question: &str,
    context: &str,
    label: Option<&Label>,
) -> Result<EncodedExample, DataError> {
    let tokenizer = form.tokenizer()?;
    let (windows, is_cut) = windows(form, search, tokenizer, question, context)?;
    let answer = match label {
        Some(Label::Answers(answers)) => Answer::of(answers, context),
        _ => Answer::Unknown,
    };
    let context: Arc<str> = context.into();
    let cls_id = tokenizer.special_ids().cls;
    let unit = |encoding: Encoding| {
        let cls = encoding.input_ids.iter().position(|id| *id == cls_id).unwrap_or(0);
        let is_context = |sequence: &Option<usize>| *sequence == Some(1);
        let first = encoding.sequence_ids.iter().position(is_context).unwrap_or(0);
        let shown = encoding.sequence_ids.iter().filter(|sequence| is_context(sequence)).count();
        let offsets: Box<[(u32, u32)]> = encoding.offsets[first..first + shown]
            .iter()
            .map(|(start, end)| (*start as u32, *end as u32))
            .collect();
        let target = answer.target(cls, first, &offsets);
        let of_first_text = encoding.token_type_ids.iter().position(|kind| *kind == 1);
        let row = EncodedRow {
            of_first_text: of_first_text.unwrap_or(encoding.input_ids.len()),
            ids: encoding.input_ids,
        };
        let window = ContextWindow { context: Arc::clone(&context), cls, first, offsets };
        EncodedUnit { rows: vec![row], target, anchors: Anchors::Window(window) }
    };
    Ok(EncodedExample { units: windows.into_iter().map(unit).collect(), is_cut })
}

/// The windows of a question, and whether the question was cut: it may take half of a window.
fn windows(
    form: &Form<'_>,
    search: &AnswerSearch,
    tokenizer: &TextTokenizer,
    question: &str,
    context: &str,
) -> Result<(Vec<Encoding>, bool), DataError> {
    let max_length = form.truncation.max_length;
    let asked = tokenizer.encode_text(question, Some(""), None)?;
    let words: Vec<(usize, usize)> = asked
        .sequence_ids
        .iter()
        .zip(&asked.offsets)
        .filter_map(|(sequence, offsets)| (*sequence == Some(0)).then_some(*offsets))
        .collect();
    let added = asked.input_ids.len() - words.len();
    let room = max_length.saturating_sub(added);
    let (question, length, is_cut) = match words.get(room / 2) {
        Some((after, _)) => (Characters::new(question).slice(0, *after), room / 2, true),
        None => (question, words.len(), false),
    };
    // How much of the context a window holds. The next window begins at least a quarter of that later.
    let shown = room - length.min(room);
    let most = shown * 3 / 4;
    if search.doc_stride > most && room > 0 {
        say_once(format!(
            "`task.doc_stride` = `{}` is too large for some windows of `data.seq_len` = `{max_length}` tokens, where the question \
             leaves little room for the text; these windows overlap by three quarters of that room",
            search.doc_stride
        ));
    }
    let stride = search.doc_stride.min(most);
    Ok((tokenizer.encode_windows(question, context, max_length, stride)?, is_cut))
}

/// The answer that is trained towards: the first of the right ones, as in `run_qa`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    /// From a character of the context up to another.
    At(u32, u32),
    /// There is none.
    None,
    /// It is not known, or does not stand where the data says.
    Unknown,
}

impl Answer {
    fn of(answers: &[GoldAnswer], context: &str) -> Self {
        if answers.is_empty() {
            return Self::None;
        }
        let characters = Characters::new(context);
        let there = answers.iter().find(|answer| characters.has_at(answer.start, &answer.text));
        there.map_or(Self::Unknown, |GoldAnswer { text, start }| {
            Self::At(*start as u32, (*start + text.chars().count()) as u32)
        })
    }

    /// First and last token in a window.
    fn target(self, cls: usize, first: usize, offsets: &[(u32, u32)]) -> Target {
        let (start, end) = match self {
            Self::Unknown => return Target::Span([NOT_COUNTED; 2]),
            Self::None => return Target::Span([cls as i32; 2]),
            Self::At(start, end) => (start, end),
        };
        let is_inside = offsets.first().is_some_and(|(shown, _)| *shown <= start)
            && offsets.last().is_some_and(|(_, shown)| *shown >= end);
        if !is_inside {
            return Target::Span([cls as i32; 2]);
        }
        // The last token that begins at or before the answer does, and the first that ends at or after its end.
        let start = offsets.partition_point(|(from, _)| *from <= start) - 1;
        let end = offsets.partition_point(|(_, to)| *to < end);
        Target::Span([start, end].map(|token| (first + token) as i32))
    }
}

/// The likeliest answers in all windows that were read.
pub(super) fn decode(units: &[UnitOutput<'_>], search: &AnswerSearch) -> Prediction {
    let mut context: &str = "";
    let mut read = Vec::with_capacity(units.len());
    for UnitOutput { anchors, scores } in units {
        let Anchors::Window(window) = anchors else { continue };
        if scores.is_empty() {
            continue;
        }
        context = &window.context;
        let (start, end) = scores.split_at(scores.len() / 2);
        let mut offsets = vec![None; start.len()];
        for (token, (from, to)) in (window.first..).zip(window.offsets.iter()) {
            offsets[token] = Some((*from as usize, *to as usize));
        }
        read.push((start, end, offsets, window.cls));
    }
    let windows = read.iter().map(|(start, end, offsets, cls)| WindowLogits {
        start,
        end,
        offsets,
        cls: *cls,
    });
    Prediction::Answers(search.candidates(windows, context))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `the cat sat down`, of which a window shows `cat`, `s`, `at` as the tokens 4 to 6.
    const OFFSETS: [(u32, u32); 3] = [(4, 7), (8, 9), (9, 11)];

    fn target(answer: Answer) -> [i32; 2] {
        match answer.target(0, 4, &OFFSETS) {
            Target::Span(span) => span,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_become_tokens_and_those_outside_of_a_window_the_first() {
        assert_eq!(target(Answer::At(4, 7)), [4, 4]);
        assert_eq!(target(Answer::At(8, 11)), [5, 6]);
        assert_eq!(target(Answer::At(4, 11)), [4, 6]);
        // A part of a token is that token.
        assert_eq!(target(Answer::At(5, 6)), [4, 4]);
        assert_eq!(target(Answer::At(0, 3)), [0, 0]);
        assert_eq!(target(Answer::At(8, 16)), [0, 0]);
        assert_eq!(target(Answer::None), [0, 0]);
        assert_eq!(target(Answer::Unknown), [NOT_COUNTED; 2]);
        assert_eq!(Answer::At(0, 1).target(0, 4, &[]), Target::Span([0, 0]));
    }

    #[test]
    fn the_first_answer_that_is_there_is_trained_towards() {
        let answer = |text: &str, start| GoldAnswer { text: text.to_owned(), start };
        let of = |answers: &[GoldAnswer]| Answer::of(answers, "the é cat");
        assert_eq!(of(&[answer("dog", 4), answer("cat", 6)]), Answer::At(6, 9));
        assert_eq!(of(&[answer("dog", 4)]), Answer::Unknown);
        assert_eq!(of(&[]), Answer::None);
    }
}
