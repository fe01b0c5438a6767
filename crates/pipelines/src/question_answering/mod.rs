//! The part of a text that answers a question, as transformers' `QuestionAnsweringPipeline` gives it.
//!
//! | module | does |
//! |---|---|
//! | `spans` | the likeliest first and last tokens of a window |

mod spans;

use std::{
    collections::{HashMap, hash_map::Entry},
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
};

use burn::tensor::Device;
use nystromformer::{
    Nystromformer, NystromformerForQuestionAnswering, NystromformerInput, PreTrainedModel,
};
use nystromformer_data::{Characters, DataError, Encoding};
use serde::Serialize;
use serde_json::Value;

use crate::{
    error::PipelineError,
    layout::TokenRow,
    logits,
    pipeline::Pipeline,
    preprocessor::{Preprocessor, load_with_preprocessor},
    request::Question,
};
use spans::{Span, Window};

/// The most tokens of an answer, unless told otherwise.
const MAX_ANSWER_LEN: NonZeroUsize = NonZeroUsize::new(15).expect("15 is not 0");
/// The most tokens of a window, unless told otherwise.
const MAX_SEQ_LEN: usize = 384;
/// The most tokens that windows overlap by, unless told otherwise.
const DOC_STRIDE: usize = 128;

/// A question-answering model with its tokenizer.
#[derive(Debug)]
pub struct QuestionAnswering {
    model: NystromformerForQuestionAnswering,
    preprocessor: Arc<Preprocessor>,
    options: Options,
}

/// How answers are looked for; names are transformers'.
#[derive(Debug, Clone)]
pub struct Options {
    /// The likeliest answers to give, at most; more than one are given in a list. Default: 1.
    pub top_k: NonZeroUsize,
    /// The most tokens of an answer. Default: as the model was trained, if a run of ours trained it, or else 15.
    pub max_answer_len: Option<NonZeroUsize>,
    /// Whether "no answer" is one of the answers. Default: as the model was trained, if a run of ours trained it, or else false.
    pub handle_impossible_answer: Option<bool>,
    /// The most tokens of question and context together in one window. Default: 384, or what the model
    /// reads.
    pub max_seq_len: Option<usize>,
    /// Tokens that windows over a long context overlap by. Default: 128, or half a window.
    pub doc_stride: Option<usize>,
    /// The most windows of a context; one that takes more is refused. Default: no limit.
    pub max_windows: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            top_k: NonZeroUsize::MIN,
            max_answer_len: None,
            handle_impossible_answer: None,
            max_seq_len: None,
            doc_stride: None,
            max_windows: None,
        }
    }
}

/// A part of the context.
#[derive(Debug, Clone, Serialize)]
pub struct AnswerSpan {
    /// What names the question, if it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// Its probability, summed over all places and windows that give the same text.
    pub score: f64,
    /// Its first character in the context.
    pub start: usize,
    /// The character after its last.
    pub end: usize,
    /// Its text; empty for "no answer".
    pub answer: String,
}

/// Of every token of a row the outputs for being an answer's first and its last.
pub type SpanScores = (Vec<f32>, Vec<f32>);

/// The answers to a question, likeliest first.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Answered {
    /// The likeliest, if one was asked for or there is one only.
    Best(AnswerSpan),
    /// The likeliest of several asked for; fewer if the context has no more.
    Ranked(Vec<AnswerSpan>),
}

impl QuestionAnswering {
    /// Loads both from a model folder.
    ///
    /// # Errors
    /// If the model or its tokenizer cannot be read, if the model is no question-answering model, or if it
    /// reads no windows of `max_seq_len` tokens.
    pub fn load(folder: &Path, device: &Device, options: Options) -> Result<Self, PipelineError> {
        let (model, preprocessor) = load_with_preprocessor(folder, device)?;
        let pipeline = Self { model, preprocessor, options };
        let (max_seq_len, doc_stride) = pipeline.window_size();
        let (most, _) = pipeline.preprocessor.layout().max_length();
        let refused = |key, value: usize, problem| {
            Err(DataError::Config { key, value: value.to_string(), problem }.into())
        };
        if max_seq_len > most {
            let problem = format!("the model reads {most} tokens at most; take fewer");
            return refused("max_seq_len", max_seq_len, problem);
        }
        if doc_stride >= max_seq_len {
            let problem =
                format!("windows of {max_seq_len} tokens cannot overlap so far; take fewer");
            return refused("doc_stride", doc_stride, problem);
        }
        Ok(pipeline)
    }

    /// `max_seq_len` and `doc_stride`.
    fn window_size(&self) -> (usize, usize) {
        let most = self.preprocessor.limit_told().max_length();
        // A model that was trained here reads what it was trained on.
        let is_trained = self.preprocessor.tokenizer().trained_truncation().is_some();
        let usual = if is_trained { most } else { most.min(MAX_SEQ_LEN) };
        let max_seq_len = self.options.max_seq_len.unwrap_or(usual);
        (max_seq_len, self.options.doc_stride.unwrap_or((max_seq_len / 2).min(DOC_STRIDE)))
    }

    /// The tokens of a window that an answer can be of: those of the context, and `[CLS]`, which stands for
    /// "no answer".
    fn allowed(&self, encoding: &Encoding) -> Vec<bool> {
        let cls = self.preprocessor.tokenizer().special_ids().cls;
        let ids = encoding.input_ids.iter().zip(&encoding.sequence_ids);
        // Whoever types `[CLS]` in a question asks for nothing by it.
        ids.map(|(&id, &sequence)| sequence == Some(1) || id == cls && sequence.is_none()).collect()
    }
}

impl Pipeline for QuestionAnswering {
    type Request = Question;
    type Scores = SpanScores;
    type Answer = Answered;

    fn preprocessor(&self) -> &Arc<Preprocessor> {
        &self.preprocessor
    }

    fn encoder(&self) -> &Nystromformer {
        self.model.nystromformer()
    }

    fn preprocess(&self, request: &Question) -> Result<Vec<TokenRow>, PipelineError> {
        let (max_seq_len, doc_stride) = self.window_size();
        let Question { question, context, .. } = request;
        let tokenizer = self.preprocessor.tokenizer();
        let most = self.options.max_windows.unwrap_or(usize::MAX);
        let windows =
            tokenizer.encode_windows_up_to(question, context, max_seq_len, doc_stride, most)?;
        windows.into_iter().map(|window| self.preprocessor.layout().row(window, 0)).collect()
    }

    fn forward(
        &self,
        input: NystromformerInput,
        rows: &[&TokenRow],
    ) -> Result<Vec<Self::Scores>, PipelineError> {
        let logits = self.model.forward(input)?;
        let start = logits::of_tokens(logits.start, rows)?;
        let end = logits::of_tokens(logits.end, rows)?;
        Ok(start.into_iter().zip(end).collect())
    }

    fn postprocess(
        &self,
        request: Question,
        rows: Vec<(TokenRow, Self::Scores)>,
    ) -> Result<Answered, PipelineError> {
        let mut answers = self.answers(request, &rows, &self.options);
        // Like transformers, whose answer is an object wherever there is one only.
        Ok(match answers.len() {
            1 => Answered::Best(answers.swap_remove(0)),
            _ => Answered::Ranked(answers),
        })
    }
}

impl QuestionAnswering {
    /// The answers to a question, likeliest first, from the scores of its rows. Windows are not asked for again: of `options`
    /// their sizes are not read.
    pub fn answers(
        &self,
        request: Question,
        rows: &[(TokenRow, SpanScores)],
        options: &Options,
    ) -> Vec<AnswerSpan> {
        let top_k = options.top_k;
        let trained = self.preprocessor.tokenizer().trained_answers();
        let max_answer_len = options
            .max_answer_len
            .or(trained.map(|trained| trained.max_answer_length))
            .unwrap_or(MAX_ANSWER_LEN);
        let handle_impossible_answer = options
            .handle_impossible_answer
            .or(trained.map(|trained| trained.no_answer))
            .unwrap_or_default();
        let Question { context, id, .. } = request;
        let characters = Characters::new(&context);
        let mut answers: Vec<AnswerSpan> = Vec::new();
        // The place in `answers` of each text, whatever its case.
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut no_answer = f64::INFINITY;
        for (TokenRow { encoding, .. }, (start, end)) in rows {
            let window = Window::new(start, end, &self.allowed(encoding));
            no_answer = no_answer.min(window.no_answer());
            // Several spans can be of the same words, so more are taken than are asked for.
            let most = top_k.get().saturating_mul(2).saturating_add(10);
            for span in window.best_spans(most, max_answer_len.get()) {
                let (start, end) = words(encoding, &span);
                let answer = characters.slice(start, end).to_owned();
                match places.entry(answer.to_lowercase()) {
                    Entry::Occupied(place) => answers[*place.get()].score += span.score,
                    Entry::Vacant(place) => {
                        place.insert(answers.len());
                        let (id, score) = (id.clone(), span.score);
                        answers.push(AnswerSpan { id, score, start, end, answer });
                    }
                }
            }
        }
        let nothing =
            |score| AnswerSpan { id: id.clone(), score, start: 0, end: 0, answer: String::new() };
        if handle_impossible_answer {
            answers.push(nothing(no_answer));
        }
        answers.sort_by(|left, right| right.score.total_cmp(&left.score));
        answers.truncate(top_k.get());
        if answers.is_empty() && top_k == NonZeroUsize::MIN {
            answers.push(nothing(0.0));
        }
        answers
    }
}

/// The characters of the words that a span's first and last token belong to, as far as the window has them.
fn words(encoding: &Encoding, span: &Span) -> (usize, usize) {
    let of_word = |token: usize| {
        let word = (encoding.word_ids[token]?, encoding.sequence_ids[token]?);
        let same = move |&index: &usize| {
            encoding.word_ids[index] == Some(word.0) && encoding.sequence_ids[index] == Some(word.1)
        };
        let first = (0..=token).find(same)?;
        let last = (token..encoding.word_ids.len()).rev().find(same)?;
        Some((encoding.offsets[first].0, encoding.offsets[last].1))
    };
    match (of_word(span.first), of_word(span.last)) {
        (Some((start, _)), Some((_, end))) => (start, end),
        _ => (encoding.offsets[span.first].0, encoding.offsets[span.last].1),
    }
}
