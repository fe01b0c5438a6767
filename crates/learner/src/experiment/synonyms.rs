//! What other programs call the keys of an experiment.

/// Names that other programs have for a key of ours, the key first. Where two keys have a name, the one of the table that
/// the name was found in is meant, or else the first.
const SYNONYMS: [(&str, &[&str]); 44] = [
    ("optimizer.learning_rate", &["lr", "max_lr", "peak_lr", "base_lr", "init_lr", "eta"]),
    ("optimizer.weight_decay", &["wd", "decay", "l2", "weight_decay_rate"]),
    ("optimizer.beta_1", &["beta1", "adam_beta1", "adam_beta_1", "momentum"]),
    ("optimizer.beta_2", &["beta2", "adam_beta2", "adam_beta_2"]),
    ("optimizer.epsilon", &["eps", "adam_epsilon", "adam_eps"]),
    ("model.layer_norm_eps", &["eps", "layer_norm_epsilon", "norm_eps"]),
    (
        "trainer.max_epochs",
        &["epoch", "epochs", "num_epochs", "n_epochs", "num_train_epochs", "max_epoch"],
    ),
    (
        "trainer.max_steps",
        &[
            "steps",
            "num_steps",
            "num_train_steps",
            "max_train_steps",
            "total_steps",
            "training_steps",
            "train_steps",
            "max_iters",
            "iterations",
            "num_iterations",
        ],
    ),
    (
        "trainer.batch_size",
        &[
            "bs",
            "batch",
            "batchsize",
            "train_batch_size",
            "global_batch_size",
            "effective_batch_size",
        ],
    ),
    (
        "trainer.micro_batch_size",
        &[
            "per_device_train_batch_size",
            "per_gpu_train_batch_size",
            "micro_batch",
            "per_device_eval_batch_size",
            "per_gpu_eval_batch_size",
            "eval_batch_size",
            "device_batch_size",
        ],
    ),
    ("schedule.warmup_steps", &["warmup", "num_warmup_steps", "warmup_iters", "lr_warmup_steps"]),
    ("schedule.warmup_fraction", &["warmup_ratio", "warmup_proportion", "warmup_pct"]),
    (
        "schedule.kind",
        &[
            "scheduler_type",
            "lr_scheduler_type",
            "lr_schedule",
            "schedule_type",
            "decay_type",
            "scheduler",
            "lr_scheduler",
        ],
    ),
    ("model.hidden_dropout_prob", &["dropout", "hidden_dropout", "dropout_prob", "dropout_rate"]),
    (
        "model.attention_probs_dropout_prob",
        &["attention_dropout", "attn_dropout", "attention_dropout_prob", "attn_pdrop"],
    ),
    (
        "model.num_hidden_layers",
        &["layers", "num_layers", "n_layers", "n_layer", "depth", "encoder_layers"],
    ),
    (
        "model.num_attention_heads",
        &["heads", "num_heads", "n_heads", "n_head", "nhead", "attention_heads"],
    ),
    (
        "model.hidden_size",
        &["d_model", "dim", "hidden_dim", "embed_dim", "n_embd", "transformer_dim", "hidden"],
    ),
    (
        "model.intermediate_size",
        &["d_ff", "ffn_dim", "mlp_dim", "ff_dim", "dim_feedforward", "transformer_hidden_dim"],
    ),
    ("model.num_landmarks", &["landmarks", "num_landmark"]),
    ("model.max_position_embeddings", &["max_positions", "n_positions", "max_position"]),
    ("model.hidden_act", &["activation", "act", "act_fn"]),
    (
        "model.init_from",
        &[
            "model_name",
            "model_name_or_path",
            "pretrained",
            "pretrained_model_name_or_path",
            "from_pretrained",
            "checkpoint",
            "init_checkpoint",
            "model_path",
        ],
    ),
    ("tokenizer.vocab_size", &["vocab", "n_vocab", "vocabulary_size"]),
    (
        "tokenizer.path",
        &["tokenizer_name", "tokenizer_path", "tokenizer_file", "tokenizer_name_or_path"],
    ),
    (
        "data.seq_len",
        &[
            "max_length",
            "max_len",
            "max_seq_length",
            "max_seq_len",
            "seq_length",
            "sequence_length",
            "block_size",
            "context_length",
            "model_max_length",
        ],
    ),
    (
        "data.corpus",
        &[
            "dataset",
            "dataset_name",
            "dataset_path",
            "data_dir",
            "data_path",
            "train_file",
            "train_data",
            "corpus_path",
        ],
    ),
    ("data.mlm_probability", &["mlm_prob", "mask_prob", "masking_probability", "mask_probability"]),
    (
        "data.validation_fraction",
        &[
            "val_fraction",
            "validation_split",
            "val_split",
            "test_size",
            "validation_split_percentage",
        ],
    ),
    ("data.shuffle", &["shuffle_data", "shuffle_train"]),
    ("trainer.precision", &["fp16", "bf16", "amp", "mixed_precision", "dtype", "torch_dtype"]),
    (
        "trainer.eval_every",
        &[
            "eval_steps",
            "evaluation_steps",
            "eval_interval",
            "eval_freq",
            "val_check_interval",
            "eval_strategy",
            "evaluation_strategy",
        ],
    ),
    (
        "trainer.checkpoint_every",
        &[
            "save_steps",
            "save_every",
            "save_interval",
            "save_freq",
            "checkpoint_steps",
            "save_strategy",
            "checkpoint_interval",
        ],
    ),
    (
        "trainer.log_every",
        &["logging_steps", "log_steps", "log_interval", "log_freq", "print_freq"],
    ),
    ("trainer.keep_last", &["save_total_limit", "keep_checkpoints", "max_checkpoints"]),
    (
        "trainer.max_grad_norm",
        &[
            "clip",
            "grad_clip",
            "gradient_clip",
            "gradient_clip_val",
            "clip_grad_norm",
            "clip_norm",
            "max_norm",
        ],
    ),
    ("trainer.early_stopping_patience", &["patience", "early_stopping"]),
    ("trainer.metric_for_best_model", &["metric", "monitor", "best_metric"]),
    ("seed", &["random_seed", "data_seed", "seed_value", "manual_seed"]),
    ("device", &["gpu", "cuda", "use_cuda", "no_cuda", "accelerator", "backend"]),
    ("optimizer", &["optim", "adam", "adamw"]),
    ("schedule", &["scheduler", "lr_scheduler"]),
    ("trainer", &["train", "training", "training_args", "training_arguments"]),
    ("data", &["dataloader", "datasets"]),
];

/// Names of other programs for what is not one key here, and what to do instead.
const INSTEAD: [(&[&str], &str); 10] = [
    (
        &[
            "gradient_accumulation_steps",
            "grad_accum",
            "grad_accum_steps",
            "accumulation_steps",
            "accumulate_grad_batches",
            "accum_iter",
        ],
        "set `trainer.batch_size`, the sequences of a step, and `trainer.micro_batch_size`, those of one pass: a step \
         accumulates as many passes as it needs",
    ),
    (&["betas", "adam_betas"], "set `optimizer.beta_1` and `optimizer.beta_2`"),
    (
        &[
            "output_dir",
            "out_dir",
            "save_dir",
            "run_dir",
            "logging_dir",
            "log_dir",
            "checkpoint_dir",
        ],
        "name the run's directory on the command line: `--run-dir DIR`",
    ),
    (
        &["resume", "resume_from", "resume_from_checkpoint"],
        "resume on the command line: `--resume`, with `--run-dir DIR`",
    ),
    (
        &["num_workers", "dataloader_num_workers"],
        "leave it out: batches are made by as many threads as there are cores",
    ),
    (
        &["num_labels", "num_classes"],
        "leave it out: the classes are the data's, or name them in `model.id2label`",
    ),
    (
        &["optimizer_name", "optimizer_type", "optim_name"],
        "leave it out: the optimizer is AdamW, with the constants of `[optimizer]`",
    ),
    (&["greater_is_better"], "leave it out: of each metric it is known"),
    (
        &["load_best_model_at_end"],
        "leave it out: a run stands for its best checkpoint, by `trainer.metric_for_best_model`",
    ),
    (&["gradient_checkpointing"], "leave it out: lower `trainer.micro_batch_size` to save memory"),
];

/// What to do about a key that other programs have, of the keys that are known here; `None` if it is none of theirs.
pub(super) fn advice(section: &str, name: &str, known: &[String]) -> Option<String> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let ours: Vec<&str> = SYNONYMS
        .iter()
        .filter(|(key, theirs)| {
            theirs.contains(&name.as_str()) && known.iter().any(|own| own == key)
        })
        .map(|(key, _)| *key)
        .collect();
    let of_section =
        ours.iter().find(|key| key.rsplit_once('.').map_or("", |(table, _)| table) == section);
    if let Some(key) = of_section.or(ours.first()) {
        return Some(format!("it is called `{key}` here"));
    }
    let (_, instead) = INSTEAD.iter().find(|(theirs, _)| theirs.contains(&name.as_str()))?;
    Some((*instead).to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Experiment;
    use crate::experiment::known_keys::known_keys;

    #[test]
    fn every_synonym_leads_to_a_key_that_exists_and_is_none_itself() {
        let known = known_keys::<Experiment>();
        for (key, theirs) in SYNONYMS {
            assert!(key == "model.init_from" || known.iter().any(|own| own == key), "{key}");
            let section = key.split_once('.').map_or("", |(section, _)| section);
            for name in theirs {
                let own = if section.is_empty() {
                    (*name).to_owned()
                } else {
                    format!("{section}.{name}")
                };
                assert!(!known.contains(&own), "`{own}` is a key of ours");
            }
        }
        let distinct: BTreeSet<&str> = SYNONYMS.iter().map(|(key, _)| *key).collect();
        assert_eq!(distinct.len(), SYNONYMS.len());
    }

    #[test]
    fn the_table_in_which_a_name_was_found_decides_between_two_meanings() {
        let known = known_keys::<Experiment>();
        let key = |section: &str| advice(section, "eps", &known).unwrap();
        assert_eq!(key("model"), "it is called `model.layer_norm_eps` here");
        assert_eq!(key("optimizer"), "it is called `optimizer.epsilon` here");
        assert_eq!(key("trainer"), "it is called `optimizer.epsilon` here");
        assert!(
            advice("trainer", "Gradient-Accumulation-Steps", &known)
                .unwrap()
                .contains("`trainer.batch_size`")
        );
        assert_eq!(advice("trainer", "max_step", &known), None);
    }
}
