//! What the pipelines answer, beside transformers' and beside each other.
//!
//! | module | |
//! |---|---|
//! | `fixtures` | tiny models with their tokenizers, and what transformers' pipelines answer |
//! | `lengths` | what the files of a folder say of lengths and ids |
//! | `transformers` | the same fields, strings and numbers |
//! | `streams` | order, batches, errors within a stream |
//! | `served` | the same bits in every batch |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixtures;
mod lengths;
mod served;
mod streams;
mod transformers;
