//! The experiments that are shipped.

use std::{fs, path::PathBuf};

use nystromformer::{Architecture, NystromformerConfig, Pooling};
use nystromformer_interop::{StorageType, write_config};
use nystromformer_learner::Experiment;
use nystromformer_learner::experiment::TrainerConfig;

use crate::fixture::{Fixture, command, finish, repository};

fn shipped() -> Vec<PathBuf> {
    let mut folders = vec![repository().join("configs")];
    let mut configs = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                configs.push(path);
            }
        }
    }
    configs.sort();
    configs
}

#[test]
fn every_config_is_valid_and_says_how_to_run_it() {
    let configs = shipped();
    assert!(configs.len() >= 6 + 9 + 2 + 5 + 5, "{configs:?}");
    // Fine-tuning starts from a model, which has sizes of its own.
    let pretrained = tempfile::tempdir().unwrap();
    let sizes = NystromformerConfig::default()
        .with(|config| config.embeddings.max_position_embeddings = 4096);
    write_config(&sizes, Architecture::MaskedLm.class(), StorageType::F32, pretrained.path())
        .unwrap();
    let init_from = format!("model.init_from={}", pretrained.path().display());
    for path in configs {
        let relative = path.strip_prefix(repository()).unwrap().display().to_string();
        let folder = relative.split('/').nth(1).unwrap();
        let starts = ["choice", "convert", "glue", "imdb", "labelled", "long", "ner", "qa"]
            .contains(&folder);
        let overrides = if starts { vec![init_from.clone()] } else { Vec::new() };
        let loaded = Experiment::load(&path, &overrides, &crate::known_tasks())
            .unwrap_or_else(|error| panic!("{error}"));
        let resolved = loaded.experiment.to_toml();
        assert_eq!(toml_again(&resolved), loaded.experiment, "{relative}");
        let text = fs::read_to_string(&path).unwrap();
        let part = folder == "base" || relative.ends_with("/base.toml");
        assert!(part || text.contains(&format!("--bin train -- {relative}")), "{relative}");
    }
}

#[test]
fn configs_of_tasks_are_called_after_their_task() {
    let mut seen = Vec::new();
    for path in shipped() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        if let Some((_, task)) = text.split_once("[task]\nname = \"") {
            let (task, _) = task.split_once('"').unwrap();
            assert!(name.starts_with(task), "{}: {task}", path.display());
            seen.push(task.to_owned());
        }
    }
    seen.sort();
    seen.dedup();
    // AX has no training examples.
    let tasks = crate::known_tasks();
    let mut known: Vec<&str> = tasks.names().collect();
    known.retain(|name| *name != "ax");
    known.sort_unstable();
    assert_eq!(seen, known);
}

/// `configs/lra/paper`: what the authors' code does and one would not choose, each by its switch.
#[test]
fn the_paper_preset_turns_the_originals_quirks_on() {
    for name in ["listops", "text", "retrieval", "image", "pathfinder"] {
        let load = |folder: &str| {
            let path = repository().join(format!("configs/{folder}/{name}.toml"));
            Experiment::load(&path, &[], &crate::known_tasks()).unwrap().experiment
        };
        let (ours, paper) = (load("lra"), load("lra/paper"));
        let quirks = |experiment: &Experiment| {
            let task = experiment.task.as_ref().unwrap();
            (
                experiment.model.classifier.pooling == Pooling::MeanPadded,
                task.options.drop_last,
                task.task().masked_id().is_some(),
                task.options.validate_on_test,
                task.options.pad_to_multiple_of,
            )
        };
        assert_eq!(quirks(&ours), (false, false, false, false, 1), "{name}");
        let is_pixels = ["image", "pathfinder"].contains(&name);
        let padded = match name {
            "listops" => 2048,
            "text" | "retrieval" => 4096,
            _ => 1,
        };
        assert_eq!(quirks(&paper), (true, true, is_pixels, name == "text", padded), "{name}");
        // The recipe itself is one, but for how often the authors look.
        let trainer = TrainerConfig { eval_every: paper.trainer.eval_every, ..ours.trainer };
        assert_eq!(
            (ours.optimizer, ours.schedule, trainer),
            (paper.optimizer, paper.schedule, paper.trainer)
        );
    }
}

fn toml_again(text: &str) -> Experiment {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    Experiment::load(&path, &[], &crate::known_tasks()).unwrap().experiment
}

#[test]
fn the_papers_recipe_is_the_papers() {
    let path = repository().join("configs/mlm512.toml");
    let Experiment { model, trainer, optimizer, data, .. } =
        Experiment::load(&path, &[], &crate::known_tasks()).unwrap().experiment;
    assert_eq!(
        (
            model.shared.hidden_size,
            model.encoder.num_hidden_layers,
            model.attention.nystrom.num_landmarks
        ),
        (768, 12, 64)
    );
    assert_eq!((trainer.batch_size, trainer.max_steps, data.seq_len), (256, 500_000, 512));
    assert_eq!((optimizer.learning_rate, optimizer.epsilon), (1e-4, 1e-6));
}

#[test]
fn the_sample_stands_in_until_there_is_text_and_the_run_keeps_it() {
    let fixture = Fixture::new();
    let tiny = repository().canonicalize().unwrap().join("configs/tiny/mlm.toml");
    let (config, run, text) =
        (fixture.text("later.toml"), fixture.text("run"), fixture.text("later"));
    let content = format!(
        "extends = \"{}\"\n[data]\ncorpus = \"{text}\"\nsample_if_missing = true\ncache_dir = \"{}\"\n\
         [trainer]\nmax_steps = 2\n",
        tiny.display(),
        fixture.text("cache")
    );
    fs::write(&config, content).unwrap();
    let train = |config: &str, arguments: &[&str]| {
        let mut train = command("train");
        train.args([config, "--run-dir", &run]).args(arguments);
        finish(train)
    };
    let first = train(&config, &[]).succeeded();
    for part in
        [&format!("`{text}`"), "built-in sample", ".txt, .jsonl or .parquet", "data.corpus="]
    {
        assert!(first.stderr.contains(part), "{}", first.stderr);
    }
    let resolved = fs::read_to_string(fixture.path("run/config.toml")).unwrap();
    assert!(resolved.contains("corpus = \"sample\""), "{resolved}");
    let resumed = train(&config, &["--resume"]).succeeded();
    assert_eq!(resumed.stderr.matches("built-in sample").count(), 1, "{}", resumed.stderr);

    fs::create_dir(&text).unwrap();
    fs::copy(fixture.path("corpus.txt"), fixture.path("later/corpus.txt")).unwrap();
    let message = train(&config, &["--resume"]).refused(2);
    assert!(message.contains(&format!("data.corpus: was `sample`, now `{text}`")), "{message}");
    train(&fixture.text("run/config.toml"), &["--resume"]).succeeded();

    // A corpus named by hand is meant.
    train(&config, &["--dry-run", "--set", "data.corpus=nowhere"]).refused(3);
}
