//! From texts to answers: what transformers' pipelines do, for every head of a Nyströmformer.
//!
//! A pipeline is a model with its tokenizer. It reads requests, batches them by length, and gives an answer for
//! each, in their order, with the fields and numbers of transformers 4.56.2. What the model reads of one
//! request never depends on the others: where padding or batch neighbours would change a result (as they do in
//! transformers' Nyström attention), rows are batched so that they cannot.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use nystromformer_pipelines::{Pipeline, TextClassification, TextPair};
//!
//! # fn main() -> Result<(), nystromformer_pipelines::PipelineError> {
//! let classifier = TextClassification::load("model".as_ref(), &Device::flex())?;
//! let answer = classifier.answer(TextPair::from("A film to remember."))?;
//! println!("{}: {}", answer.best().label, answer.best().score);
//! # Ok(())
//! # }
//! ```
//!
//! | pipeline | head | answers |
//! |---|---|---|
//! | [`FillMask`] | masked language model | the likeliest tokens at each mask |
//! | [`TextClassification`] | sequence classifier | a text's class, or numbers |
//! | [`TokenClassification`] | token classifier | what is named where in a text |
//! | [`QuestionAnswering`] | question answering | the part of a text that answers a question |
//! | [`MultipleChoice`] | multiple choice | the likeliest of some texts to follow another |
//! | [`FeatureExtraction`] | any | hidden states of a text, or one vector for it |
//! | [`AttentionMaps`] | any | what the first token takes of each, in every layer and head |
//!
//! | module | idea |
//! |---|---|
//! | [`request`] | what a pipeline is asked |
//! | [`requests`], `columns`, `placed` | requests from a file: lines of text, objects of JSON, rows of a table |
//! | `preprocessor`, `row_limit`, `layout` | from a text to rows of a length that the model reads, and to batches of them |
//! | [`pipeline`] | the three steps of every pipeline |
//! | [`answers`] | a stream of requests, answered in batches and in order |
//! | [`served`] | requests of many askers, answered in batches that none of them can tell |
#![recursion_limit = "256"]

pub mod answers;
pub mod attention_maps;
mod columns;
mod error;
pub mod feature_extraction;
pub mod fill_mask;
mod layout;
mod logits;
pub mod multiple_choice;
pub mod pipeline;
mod placed;
mod preprocessor;
pub mod question_answering;
pub mod request;
pub mod requests;
mod row_limit;
mod scores;
pub mod served;
pub mod text_classification;
pub mod token_classification;

pub use answers::{AnswerStream, Batching};
pub use attention_maps::{AttentionMap, AttentionMaps, LayerAttention};
pub use columns::RequestOptions;
pub use error::PipelineError;
pub use feature_extraction::{FeatureExtraction, FeaturePooling};
pub use fill_mask::FillMask;
pub use layout::{BatchLimits, TokenRow};
pub use multiple_choice::MultipleChoice;
pub use pipeline::Pipeline;
pub use placed::{Place, Placed};
pub use preprocessor::tokenizer_of_model;
pub use question_answering::QuestionAnswering;
pub use request::{Choices, Question, Request, Sentence, Text, TextPair};
pub use requests::{LineForm, Requests};
pub use served::Served;
pub use text_classification::TextClassification;
pub use token_classification::{Aggregation, TokenClassification};
