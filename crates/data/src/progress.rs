//! How far a long preparation has come.

/// A kind of work that may take long: that of [`prepare`](crate::prepare), or a caller's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stage {
    /// What is done, as in `reading the corpus`.
    pub words: &'static str,
    /// What is counted.
    pub unit: Unit,
}

/// What the extent of work is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Bytes of files.
    Bytes,
    /// Things of this name, as in `examples`.
    Things(&'static str),
}

impl Stage {
    /// The corpus is read once to know its fingerprint.
    pub const READ_CORPUS: Self = Self::of_bytes("reading the corpus");
    /// The words of the corpus are counted to train a tokenizer.
    pub const COUNT_WORDS: Self = Self::of_bytes("counting words for the tokenizer");
    /// The vocabulary is chosen; its length cannot be foretold, so `total` is 0.
    pub const TRAIN_TOKENIZER: Self = Self::of_bytes("choosing the tokenizer's vocabulary");
    /// The corpus is turned into tokens.
    pub const TOKENIZE: Self = Self::of_bytes("tokenizing the corpus");
    /// A finished token cache is checked against its hashes.
    pub const VERIFY_CACHE: Self = Self::of_bytes("verifying the token cache");

    const fn of_bytes(words: &'static str) -> Self {
        Self { words, unit: Unit::Bytes }
    }
}

/// One report of progress, in the stage's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressReport {
    /// The stage under way.
    pub stage: Stage,
    /// What is done.
    pub done: u64,
    /// All there is to do, or 0 if that is unknown.
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
