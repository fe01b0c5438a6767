//! Keys of before: what a file says in them is said in today's, so that a run of before goes on.

use std::sync::Once;

use toml::Value;

use super::TrainerConfig;
use super::config_version::WITHOUT_NUMBER;
use super::merge::{Layers, Origin};
use crate::error::{LearnerError, Result};

const EVAL_BATCHES: &str = "trainer.eval_batches";
const EVAL_EXAMPLES: &str = "trainer.eval_examples";
const TRUNCATION: &str = "task.truncation";

/// Keys that runs have in their files, and what these are called today.
const RENAMED: [(&str, &str); 4] = [
    ("task.train", "task.train_file"),
    ("task.validation", "task.validation_file"),
    ("task.test", "task.test_file"),
    ("task.standardize", "task.standardize_features"),
];

/// Says as today what a run wrote in this [form](super::config_version): keys get their names of today, and what said nothing then and
/// would be a statement today is left out.
pub(super) fn settle_form(layers: &mut Layers, form: i64) {
    if form != WITHOUT_NUMBER {
        return;
    }
    if layers.get(TRUNCATION).and_then(Value::as_str) == Some("head") {
        layers.remove(TRUNCATION);
    }
    for (former, today) in RENAMED {
        let origin = layers.origin(former).cloned();
        if let (Some(value), Some(origin)) = (layers.remove(former), origin)
            && layers.get(today).is_none()
        {
            layers.insert(today, value, &origin);
        }
    }
}

/// Reads `trainer.eval_batches`, which counted batches of `trainer.micro_batch_size`, as `trainer.eval_examples`: what
/// was measured depended on how much memory there was. A file that a run wrote itself (`resolved`) is not warned of.
///
/// # Errors
/// [`LearnerError::Config`] if both keys are stated in files, or by `--set`, or if the value is no count.
pub(super) fn settle(layers: &mut Layers, resolved: bool) -> Result<()> {
    static TOLD: Once = Once::new();
    let Some(value) = layers.remove(EVAL_BATCHES) else { return Ok(()) };
    let origin = layers.origin(EVAL_BATCHES).cloned().unwrap_or(Origin::Override);
    let micro_batch_size = layers
        .get("trainer.micro_batch_size")
        .and_then(Value::as_integer)
        .unwrap_or(TrainerConfig::default().micro_batch_size as i64);
    let examples = value
        .as_integer()
        .filter(|batches| *batches >= 0)
        .and_then(|batches| batches.checked_mul(micro_batch_size));
    let Some(examples) = examples else {
        return Err(LearnerError::Config(format!(
            "{origin}: `{EVAL_BATCHES}` is `{value}`, which is no count; set `{EVAL_EXAMPLES}`, the number of examples, \
             in its place"
        )));
    };
    if layers.get(EVAL_EXAMPLES).is_some() {
        let is_override = |origin: Option<&Origin>| origin == Some(&Origin::Override);
        match (is_override(Some(&origin)), is_override(layers.origin(EVAL_EXAMPLES))) {
            // What the command line says is said last.
            (true, false) => {}
            (false, true) => return Ok(()),
            _ => {
                return Err(LearnerError::Config(format!(
                    "{origin}: `{EVAL_BATCHES}` stands beside `{EVAL_EXAMPLES}`, which has taken its place; leave it out, \
                     or set `{EVAL_EXAMPLES} = {examples}` to measure as many as it did"
                )));
            }
        }
    }
    // A file is read several times.
    if !resolved {
        TOLD.call_once(|| {
            tracing::warn!(
                "{origin}: `{EVAL_BATCHES} = {value}` is read as `{EVAL_EXAMPLES} = {examples}`, batches times \
                 `trainer.micro_batch_size`; name the examples, so that runs are measured alike"
            );
        });
    }
    layers.insert(EVAL_EXAMPLES, Value::Integer(examples), &origin);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Experiment;
    use crate::error::Result;

    #[test]
    fn what_a_run_wrote_in_its_form_is_said_as_today() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        let tasks = nystromformer_tasks::tasks();
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Experiment::load_resolved(&path, &tasks).map(|read| read.to_toml())
        };
        let same = |of_before: &str, of_today: &str| {
            let of_today = format!("config_version = 2\n{of_today}");
            assert_eq!(read(of_before).unwrap(), read(&of_today).unwrap(), "{of_before}");
        };
        same("[task]\nname = \"imdb\"\ntruncation = \"head\"\n", "[task]\nname = \"imdb\"\n");
        let tail = "[task]\nname = \"imdb\"\ntruncation = \"tail\"\n";
        same(tail, tail);
        same(
            "[task]\nname = \"ner\"\ntrain = \"a\"\nvalidation = []\ntest = [\"b\", \"c\"]\n",
            "[task]\nname = \"ner\"\ntrain_file = \"a\"\nvalidation_file = []\ntest_file = [\"b\", \"c\"]\n",
        );
        same(
            "[task]\nname = \"bags\"\nstandardize = true\n",
            "[task]\nname = \"bags\"\nstandardize_features = true\n",
        );
        // Today it is a statement, and a key of before is none.
        let head = "config_version = 2\n[task]\nname = \"imdb\"\ntruncation = \"head\"\n";
        assert!(read(head).unwrap().contains("truncation = \"head\""));
        assert!(read("config_version = 2\n[task]\nname = \"ner\"\ntrain = \"a\"\n").is_err());
    }

    fn eval_examples(text: &str, overrides: &[&str]) -> Result<usize> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tiny.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        let tasks = nystromformer_tasks::tasks();
        Ok(Experiment::load(&path, &overrides, &tasks)?.experiment.trainer.eval_examples)
    }

    #[test]
    fn batches_of_before_are_so_many_examples() {
        let batches = "[trainer]\nmicro_batch_size = 4\neval_batches = 50\n";
        assert_eq!(eval_examples(batches, &[]).unwrap(), 200);
        assert_eq!(eval_examples("[trainer]\neval_batches = 3\n", &[]).unwrap(), 24);
        assert_eq!(eval_examples("[trainer]\neval_batches = 0\n", &[]).unwrap(), 0);
        assert_eq!(eval_examples("", &[]).unwrap(), 800);
        // A run of before keeps its overrides, and a shipped configuration has today's key.
        let examples = "[trainer]\nmicro_batch_size = 4\neval_examples = 50\n";
        assert_eq!(eval_examples(examples, &["trainer.eval_batches=2"]).unwrap(), 8);
        assert_eq!(eval_examples(batches, &["trainer.eval_examples=7"]).unwrap(), 7);
    }

    #[test]
    fn both_keys_in_a_file_are_refused_with_the_number_to_write() {
        let both = "[trainer]\neval_examples = 9\neval_batches = 3\n";
        let message = eval_examples(both, &[]).unwrap_err().to_string();
        assert!(message.contains("tiny.toml:3: `trainer.eval_batches` stands beside"), "{message}");
        assert!(message.contains("set `trainer.eval_examples = 24`"), "{message}");
        let message = eval_examples("[trainer]\neval_batches = -1\n", &[]).unwrap_err();
        assert!(message.to_string().contains("`trainer.eval_batches` is `-1`"), "{message}");
    }
}
