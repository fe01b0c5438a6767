//! Keys that this experiment has and does not read: options of another kind of attention, `trainer.eval_examples` beside a
//! `[task]`, `tokenizer.lowercase` beside a tokenizer that decides itself.
//!
//! A sweep over such a key would have trials that are all the same, and is refused. Elsewhere one that is stated is told, but options of
//! attention only where a `--set` states them: a file that others extend may state those of all kinds.

use std::path::PathBuf;

use nystromformer::{AttentionConfig, AttentionKind};
use nystromformer_data::{TextTokenizer, TokenizerConfig};
use nystromformer_tasks::say_once;
use toml::Value;

use super::merge::{Layers, Origin};
use super::{Experiment, SweepConfig, explain, explain::render};
use crate::trainer::model_folder;

const EVAL_EXAMPLES: &str = "trainer.eval_examples";
const SEED: &str = "seed";
const LOWERCASE: &str = "tokenizer.lowercase";

/// The keys of its sweep that no trial would read, a sentence each.
pub(super) fn problems(layers: &Layers, experiment: &Experiment) -> Vec<String> {
    let Some(sweep) = &experiment.sweep else { return Vec::new() };
    let kinds = kinds_of(sweep, experiment);
    let problem = |key: String| {
        let reason = reason(&key, experiment, &kinds)?;
        let stated = format!("sweep.parameters.{key}");
        let origin = explain::origin(layers, &stated);
        Some(format!(
            "{origin}`{stated}`: {reason}, so that trials would differ in nothing; leave it out"
        ))
    };
    sweep.keys().into_iter().filter_map(problem).collect()
}

/// Tells what is stated and has no effect.
pub(super) fn tell(layers: &Layers, experiment: &Experiment) {
    let of_tokenizer = tokenizer_notice(layers, experiment);
    notices(layers, experiment).into_iter().chain(of_tokenizer).for_each(say_once);
}

fn notices(layers: &Layers, experiment: &Experiment) -> Vec<String> {
    let kinds = [experiment.model.attention.kind];
    let model = layers.get("model").and_then(Value::as_table);
    let of_model =
        model.into_iter().flatten().map(|(name, value)| (format!("model.{name}"), value));
    let is_meant = |key: &str| layers.origin(key) == Some(&Origin::Override);
    let of_model = of_model.filter(|(key, _)| is_meant(key));
    // Of a run's own configuration the default is nobody's statement, and 0 is what is done.
    let most = layers.get(EVAL_EXAMPLES).filter(|value| {
        let default = Experiment::default().trainer.eval_examples as i64;
        let is_usual = value.as_integer() == Some(default) && !is_meant(EVAL_EXAMPLES);
        value.as_integer() != Some(0) && !is_usual
    });
    let of_trainer = most.map(|value| (EVAL_EXAMPLES.to_owned(), value));
    let seed = layers.get(SEED).filter(|_| is_meant(SEED));
    of_model
        .chain(of_trainer)
        .chain(seed.map(|value| (SEED.to_owned(), value)))
        .filter_map(|(key, value)| {
            let reason = reason(&key, experiment, &kinds)?;
            let origin = explain::origin(layers, &key);
            Some(format!(
                "{origin}`{key}` = `{}` has no effect: {reason}; leave it out",
                render(value)
            ))
        })
        .collect()
}

/// Why the experiment does not read a key, if its models have attention of these kinds; `None` if it does.
fn reason(key: &str, experiment: &Experiment, kinds: &[AttentionKind]) -> Option<String> {
    if key == EVAL_EXAMPLES {
        let has_task = experiment.task.is_some();
        return has_task
            .then(|| "a task is measured whole, or by `task.max_eval_samples`".to_owned());
    }
    if key == SEED {
        let is_series = !experiment.seeds.is_empty();
        return is_series
            .then(|| format!("`seeds` = `{:?}` says which there are", experiment.seeds));
    }
    let name = key.strip_prefix("model.")?;
    let reads = |kind: &AttentionKind| AttentionConfig::keys_of(*kind).contains(&name);
    let readers: Vec<AttentionKind> = AttentionKind::ALL.iter().copied().filter(reads).collect();
    if readers.is_empty() || kinds.iter().any(|kind| readers.contains(kind)) {
        return unread_option(name, experiment, kinds);
    }
    let names = |kinds: &[AttentionKind]| {
        let names: Vec<String> = kinds.iter().map(|kind| format!("`{}`", kind.name())).collect();
        names.join(", ")
    };
    Some(format!(
        "it is read with `model.attention` = {}, which here is {}",
        names(&readers),
        names(kinds)
    ))
}

/// Why the one kind of attention there is does not read an option of its own. A sweep over other options may have trials that do.
fn unread_option(name: &str, experiment: &Experiment, kinds: &[AttentionKind]) -> Option<String> {
    let attention = &experiment.model.attention;
    let varied = experiment.sweep.iter().flat_map(SweepConfig::keys);
    let mut others = varied.filter(|key| key.strip_prefix("model.").is_some_and(|key| key != name));
    if kinds != [attention.kind] || others.next().is_some() {
        return None;
    }
    let unread = attention.options().unread_keys(&experiment.model.shared);
    let (_, reader) = unread.into_iter().find(|(key, _)| *key == name)?;
    Some(format!("it is read with model.{reader} alone"))
}

/// The kinds of attention that the trials of a sweep have.
fn kinds_of(sweep: &SweepConfig, experiment: &Experiment) -> Vec<AttentionKind> {
    let swept = sweep.parameters.get("model").and_then(|model| model.get("attention"));
    let Some(swept) = swept.and_then(Value::as_array) else {
        return vec![experiment.model.attention.kind];
    };
    let is_swept =
        |kind: &AttentionKind| swept.iter().any(|name| name.as_str() == Some(kind.name()));
    AttentionKind::ALL.iter().copied().filter(is_swept).collect()
}

/// That the tokenizer says itself whether text is lowercased, and not what the key says.
fn tokenizer_notice(layers: &Layers, experiment: &Experiment) -> Option<String> {
    let stated = layers.get(LOWERCASE)?.as_bool()?;
    // Of a run's own configuration the default is nobody's statement.
    let is_meant = layers.origin(LOWERCASE) == Some(&Origin::Override)
        || stated != TokenizerConfig::default().lowercase;
    let path = is_meant.then(|| tokenizer_of(experiment)).flatten()?;
    // What else is wrong with it is told by whoever loads it.
    let own = TextTokenizer::own_lowercase(&path).ok().flatten()?;
    (own != stated).then(|| {
        let does = if own { "lowercases" } else { "keeps capitals" };
        format!(
            "{}`{LOWERCASE}` = `{stated}` has no effect: the tokenizer `{}` says itself that it {does}; leave the key out, or name \
             a tokenizer that does otherwise with `tokenizer.path`",
            explain::origin(layers, LOWERCASE),
            path.display()
        )
    })
}

/// Where the tokenizer lies that is taken as it is.
fn tokenizer_of(experiment: &Experiment) -> Option<PathBuf> {
    let of_model = || {
        let source = experiment.init_from.as_deref().filter(|_| experiment.task.is_some())?;
        model_folder(source).ok()
    };
    experiment.tokenizer.path.clone().or_else(of_model)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is refused, or told, of an experiment with these assignments on top of a file that states `file`.
    fn found(file: &str, assignments: &[&str]) -> (Result<(), String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.toml");
        std::fs::write(&path, file).unwrap();
        let assignments: Vec<String> = assignments.iter().map(|&text| text.to_owned()).collect();
        let tasks = nystromformer_tasks::tasks();
        match Experiment::load(&path, &assignments, &tasks) {
            Ok(loaded) => (Ok(()), notices(&loaded.layers, &loaded.experiment)),
            Err(error) => (Err(error.to_string()), Vec::new()),
        }
    }

    #[test]
    fn a_sweep_over_a_key_of_another_attention_is_refused() {
        let softmax = "model.attention=softmax";
        let landmarks = "sweep.parameters.model.num_landmarks=[4, 8]";
        for (assignments, parts) in [
            (
                &[softmax, landmarks][..],
                &["`sweep.parameters.model.num_landmarks`", "`nystrom`", "here is `softmax`"][..],
            ),
            (
                &["sweep.parameters.model.attention=[\"softmax\", \"linear\"]", landmarks],
                &["here is `softmax`, `linear`"],
            ),
            (
                &[
                    "task.name=labelled",
                    "task.path=x",
                    "sweep.parameters.trainer.eval_examples=[4, 8]",
                ],
                &["`sweep.parameters.trainer.eval_examples`", "`task.max_eval_samples`"],
            ),
        ] {
            let error = found("", assignments).0.unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{assignments:?}: {error}");
            }
        }
        let steps = "sweep.parameters.model.k_means_steps=[1, 2]";
        let error = found("", &[steps]).0.unwrap_err();
        assert!(error.contains("read with model.landmarks = \"k_means\" alone"), "{error}");
        let rules = "sweep.parameters.model.landmarks=[\"k_means\", \"segment_means\"]";
        assert_eq!(found("", &[steps, rules]).0, Ok(()));
        // One of the trials reads it.
        let both = "sweep.parameters.model.attention=[\"softmax\", \"nystrom\"]";
        for assignments in [&[landmarks][..], &[both, landmarks]] {
            assert_eq!(found("", assignments).0, Ok(()), "{assignments:?}");
        }
    }

    #[test]
    fn a_key_that_is_set_and_not_read_is_told_and_one_of_a_file_is_not() {
        let file = "[model]\nattention = \"softmax\"\nnum_landmarks = 4\n";
        assert_eq!(found(file, &[]).1, [""; 0]);
        let told = found(file, &["model.num_landmarks=8", "model.num_hidden_layers=1"]).1;
        assert!(
            told.len() == 1 && told[0].contains("--set: `model.num_landmarks` = `8`"),
            "{told:?}"
        );
        let told = found("", &["model.k_means_steps=8", "model.pinv_ridge=0.1"]).1;
        assert!(told[0].contains("read with model.landmarks = \"k_means\" alone"), "{told:?}");
        assert!(told[1].contains("read with model.pinv = \"solve\" alone"), "{told:?}");
        let read = ["model.k_means_steps=8", "model.landmarks=k_means"];
        assert_eq!(found("", &read).1, [""; 0]);
        let task = ["task.name=labelled", "task.path=x"];
        for (most, is_told) in [("0", false), ("800", false), ("2", true)] {
            let file = format!("[trainer]\neval_examples = {most}\n");
            assert_eq!(found(&file, &task).1.len(), usize::from(is_told), "{most}");
            assert_eq!(found(&file, &[]).1, [""; 0]);
        }
        let told = found("", &[&task[..], &["trainer.eval_examples=800"]].concat()).1;
        assert!(told[0].contains("`trainer.eval_examples` = `800` has no effect"), "{told:?}");
    }

    #[test]
    fn a_tokenizer_that_decides_itself_is_told_where_the_key_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
        let mut experiment = Experiment::default();
        experiment.tokenizer.path = Some(folder.path().to_owned());
        let told = |stated: &str| {
            let mut layers = Layers::default();
            layers.set(&format!("tokenizer.lowercase={stated}")).unwrap();
            tokenizer_notice(&layers, &experiment)
        };
        assert_eq!(told("false"), None);
        write("tokenizer_config.json", "{\"do_lower_case\": true}");
        let notice = told("false").unwrap();
        assert!(notice.contains("`tokenizer.lowercase` = `false` has no effect"), "{notice}");
        assert_eq!(told("true"), None);
    }
}
