//! Says on stderr what the preparation of the data is doing.

use std::sync::Mutex;

use nystromformer_data::{ProgressReport, Stage};

use crate::output;

/// Prints a line when a stage starts that takes more than one report.
#[derive(Debug, Default)]
pub struct PreparationNotes {
    current: Mutex<Option<Stage>>,
}

impl PreparationNotes {
    /// Takes one report; may be called from several threads.
    pub fn report(&self, report: ProgressReport) {
        let Ok(mut current) = self.current.lock() else {
            return; // another thread panicked, which is reported there
        };
        if *current == Some(report.stage) || report.done == report.total {
            return;
        }
        *current = Some(report.stage);
        let megabytes = report.total as f64 / 1e6;
        let size = if report.total > 0 { format!(" ({megabytes:.1} MB)") } else { String::new() };
        output::note(&format!("{}{size}", describe(report.stage)));
    }
}

fn describe(stage: Stage) -> &'static str {
    match stage {
        Stage::ReadCorpus => "reading the corpus",
        Stage::CountWords => "counting words for the tokenizer",
        Stage::TrainTokenizer => "choosing the tokenizer's vocabulary",
        Stage::Tokenize => "tokenizing the corpus",
        Stage::VerifyCache => "verifying the token cache",
    }
}
