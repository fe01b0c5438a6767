//! How far a long preparation has come.

/// A stage of [`prepare`](crate::prepare).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The corpus is read once to know its fingerprint.
    ReadCorpus,
    /// The words of the corpus are counted to train a tokenizer.
    CountWords,
    /// The vocabulary is chosen; its length cannot be foretold, so `total` is 0.
    TrainTokenizer,
    /// The corpus is turned into tokens.
    Tokenize,
    /// A finished token cache is checked against its hashes.
    VerifyCache,
}

/// One report of progress, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressReport {
    /// The stage under way.
    pub stage: Stage,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, or 0 if that is unknown.
    pub total: u64,
}

/// Receives reports; any `Fn(ProgressReport) + Sync` is one, `&|_| {}` a silent one.
///
/// Reports may come from several threads. Within a stage `done` never falls, and a stage that does
/// not fail ends with `done == total`.
pub trait ProgressListener: Sync {
    /// Called a few times a second at most per megabyte of work; should return at once.
    fn report(&self, report: ProgressReport);
}

impl<F: Fn(ProgressReport) + Sync> ProgressListener for F {
    fn report(&self, report: ProgressReport) {
        self(report);
    }
}
