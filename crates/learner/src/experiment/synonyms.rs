//! What other programs call the keys of an experiment, and their values.

use super::known_keys::{join, section_of};

/// Names that other programs have for a key of ours, the key first. Where two keys have a name, the one of the table that
/// the name was found in is meant, or else the first. A name with a table (`optimizer.name`) is of that table only, and goes
/// before all others.
const SYNONYMS: [(&str, &[&str]); 90] = [
    (
        "optimizer.learning_rate",
        &["lr", "max_lr", "peak_lr", "base_lr", "init_lr", "eta", "learn_rate"],
    ),
    ("optimizer.weight_decay", &["wd", "decay", "l2", "weight_decay_rate", "l2_reg"]),
    ("optimizer.beta_1", &["beta1", "adam_beta1", "adam_beta_1", "momentum"]),
    ("optimizer.beta_2", &["beta2", "adam_beta2", "adam_beta_2"]),
    ("optimizer.epsilon", &["eps", "adam_epsilon", "adam_eps"]),
    ("model.layer_norm_eps", &["eps", "layer_norm_epsilon", "norm_eps"]),
    (
        "trainer.max_epochs",
        &[
            "epoch",
            "epochs",
            "num_epochs",
            "n_epochs",
            "num_train_epochs",
            "max_epoch",
            "max_num_epochs",
        ],
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
            "num_training_steps",
            "max_update",
            "max_updates",
            "total_num_update",
            "t_max",
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
            "total_batch_size",
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
            "max_sentences",
            "micro_bs",
        ],
    ),
    (
        "schedule.warmup_steps",
        &[
            "warmup",
            "num_warmup_steps",
            "warmup_iters",
            "lr_warmup_steps",
            "warmup_updates",
            "warmup_iterations",
            "warm_up_steps",
        ],
    ),
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
            "schedule.type",
            "schedule.name",
            "optimizer.schedule",
        ],
    ),
    (
        "model.hidden_dropout_prob",
        &["dropout", "hidden_dropout", "dropout_prob", "dropout_rate", "p_dropout"],
    ),
    (
        "model.attention_probs_dropout_prob",
        &["attention_dropout", "attn_dropout", "attention_dropout_prob", "attn_pdrop"],
    ),
    (
        "model.num_hidden_layers",
        &["layers", "num_layers", "n_layers", "n_layer", "depth", "encoder_layers", "num_layer"],
    ),
    (
        "model.num_attention_heads",
        &[
            "heads",
            "num_heads",
            "n_heads",
            "n_head",
            "nhead",
            "attention_heads",
            "encoder_attention_heads",
            "num_head",
        ],
    ),
    (
        "model.hidden_size",
        &[
            "d_model",
            "dim",
            "hidden_dim",
            "embed_dim",
            "n_embd",
            "transformer_dim",
            "hidden",
            "encoder_embed_dim",
            "emb_dim",
            "embedding_dim",
            "model_dim",
        ],
    ),
    (
        "model.intermediate_size",
        &[
            "d_ff",
            "ffn_dim",
            "mlp_dim",
            "ff_dim",
            "dim_feedforward",
            "transformer_hidden_dim",
            "encoder_ffn_embed_dim",
            "ffn_hidden_size",
            "ff_size",
            "n_inner",
        ],
    ),
    ("model.num_landmarks", &["num_landmark"]),
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
            "model.name",
            "model.path",
        ],
    ),
    ("tokenizer.vocab_size", &["vocab", "n_vocab", "vocabulary_size"]),
    (
        "tokenizer.path",
        &[
            "tokenizer_name",
            "tokenizer_path",
            "tokenizer_file",
            "tokenizer_name_or_path",
            "tokenizer.file",
            "tokenizer.name",
            "data.tokenizer",
        ],
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
            "data.path",
            "data.file",
            "data.train",
            "data.train_path",
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
            "val_size",
            "valid_size",
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
            "validate_interval_updates",
            "val_interval",
            "check_val_every_n_epoch",
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
            "save_interval_updates",
            "checkpointing_steps",
            "every_n_train_steps",
        ],
    ),
    (
        "trainer.log_every",
        &[
            "logging_steps",
            "log_steps",
            "log_interval",
            "log_freq",
            "print_freq",
            "log_every_n_steps",
            "logging_interval",
        ],
    ),
    (
        "trainer.keep_last",
        &[
            "save_total_limit",
            "keep_checkpoints",
            "max_checkpoints",
            "keep_last_epochs",
            "keep_interval_updates",
            "save_top_k",
            "max_to_keep",
        ],
    ),
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
    ("trainer.early_stopping_threshold", &["min_delta", "early_stopping_delta"]),
    ("trainer.label_smoothing_factor", &["label_smoothing", "smoothing", "label_smooth"]),
    ("trainer.ema_decay", &["ema", "model_ema", "model_ema_decay", "use_ema"]),
    ("trainer.freeze_layers", &["num_frozen_layers", "frozen_layers"]),
    ("trainer.freeze_embeddings", &["freeze_embedding", "freeze_embed"]),
    (
        "trainer.gradient_checkpointing",
        &[
            "activation_checkpointing",
            "checkpoint_activations",
            "use_gradient_checkpointing",
            "recompute",
        ],
    ),
    (
        "optimizer.layer_decay",
        &["layerwise_lr_decay", "layer_wise_lr_decay", "llrd", "lr_layer_decay"],
    ),
    ("task.class_weights", &["class_weight", "pos_weight", "loss_weights", "label_weights"]),
    ("task.sampling", &["sampler", "balanced_sampling", "oversampling", "weighted_sampler"]),
    ("trainer.metric_for_best_model", &["metric", "monitor", "best_metric"]),
    ("seed", &["random_seed", "data_seed", "seed_value", "manual_seed"]),
    ("device", &["gpu", "cuda", "use_cuda", "no_cuda", "accelerator", "backend"]),
    ("trainer.eval_examples", &["limit_val_batches", "eval_iters", "max_eval_batches"]),
    ("model.vocab_size", &["model.vocab", "model.n_vocab"]),
    ("model.attention", &["attn", "attn_type", "attention_type", "attn_implementation"]),
    ("model.feed_forward", &["feed_forward_proj", "mlp_type", "glu", "geglu", "ffn_type"]),
    ("model.activation_dropout", &["relu_dropout", "act_dropout"]),
    ("model.conv_kernel_size", &["kernel_size", "conv_kernel"]),
    ("model.conv_per_channel", &["per_channel", "depthwise"]),
    (
        "model.position_embedding_type",
        &["positions", "position_encoding", "pos_emb", "pos_embed", "rope", "rotary"],
    ),
    ("model.stem_layers", &["stem", "conv_stem", "num_conv_layers"]),
    ("task.byte_dropout", &["word_dropout", "token_dropout", "input_dropout"]),
    ("task.horizontal_flip", &["flip", "hflip", "random_flip", "mirror"]),
    ("model.norm_first", &["pre_norm", "prenorm", "pre_layer_norm"]),
    ("model.initializer_range", &["init_std"]),
    ("model.pinv", &["pinv_method", "pseudo_inverse"]),
    ("model.pinv_ridge", &["ridge", "pinv_lambda", "tikhonov"]),
    ("model.pinv_iterations", &["inv_n_iter", "pinv_iter"]),
    ("model.pinv_init", &["inv_coeff_init_option", "inv_init_coeff_option"]),
    ("model.id2label", &["label2id"]),
    (
        "data.text_field",
        &["text_column", "text_column_name", "data.column", "data.field", "text_key"],
    ),
    ("data.whole_word_masking", &["wwm"]),
    ("data.cache_dir", &["data.cache"]),
    (
        "tokenizer.kind",
        &[
            "tokenizer_type",
            "tokenizer.type",
            "tokenizer.model_type",
            "tokenizer.algorithm",
            "tokenizer.model",
        ],
    ),
    ("tokenizer.lowercase", &["do_lower_case", "do_lower", "lower", "uncased"]),
    ("optimizer.no_decay_on_bias_and_norm", &["no_decay"]),
    ("schedule.end_learning_rate", &["min_lr", "eta_min", "lr_end", "end_lr", "min_learning_rate"]),
    ("name", &["run_name", "experiment_name", "experiment"]),
    ("task.name", &["task_name"]),
    (
        "task.path",
        &[
            "task.data",
            "task.file",
            "task.dataset",
            "task.data_dir",
            "task.train_file",
            "task.corpus",
        ],
    ),
    (
        "task.sentence1",
        &["task.text", "task.text_column", "task.text_field", "task.sentence", "task.text1"],
    ),
    ("task.sentence2", &["task.text_pair", "task.text2", "task.pair"]),
    ("task.label", &["task.label_column", "task.target", "task.label_field", "task.labels_column"]),
    ("task.train_file", &["task.train", "task.train_path", "task.training_file"]),
    (
        "task.validation_file",
        &["task.validation", "task.dev", "task.dev_file", "task.eval_file", "task.valid_file"],
    ),
    ("task.test_file", &["task.test", "task.test_path"]),
    ("task.separator", &["task.delimiter", "task.sep"]),
    ("task.quotes", &["task.quoting", "task.quotechar"]),
    ("task.truncation", &["truncation_side", "truncation_strategy"]),
    ("optimizer", &["optim", "adam", "adamw"]),
    ("schedule", &["scheduler", "lr_scheduler"]),
    ("trainer", &["train", "training", "training_args", "training_arguments"]),
    ("data", &["dataloader", "datasets"]),
];

/// Names of other programs for what is not one key here, and what to do instead.
const INSTEAD: [(&[&str], &str); 18] = [
    (
        &[
            "gradient_accumulation_steps",
            "grad_accum",
            "grad_accum_steps",
            "accumulation_steps",
            "accumulate_grad_batches",
            "accum_iter",
            "update_freq",
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
        &[
            "num_workers",
            "dataloader_num_workers",
            "num_proc",
            "preprocessing_num_workers",
            "threads",
            "num_threads",
        ],
        "leave it out: batches are made by as many threads as there are cores",
    ),
    (
        &["num_labels", "num_classes", "n_classes"],
        "leave it out: the classes are the data's, or name them in `model.id2label`",
    ),
    (
        &[
            "optimizer_name",
            "optimizer_type",
            "optim_name",
            "optimizer.name",
            "optimizer.type",
            "optimizer.kind",
        ],
        "leave it out: the optimizer is AdamW, with the constants of `[optimizer]`",
    ),
    (&["greater_is_better"], "leave it out: of each metric it is known"),
    (
        &["load_best_model_at_end"],
        "leave it out: a run stands for its best checkpoint, by `trainer.metric_for_best_model`",
    ),
    (
        &["devices", "gpus", "n_gpu", "num_gpus", "num_nodes", "strategy", "local_rank"],
        "leave it out: a run computes on one device, which `device` names",
    ),
    (
        &["report_to", "logger", "wandb", "use_wandb", "wandb_project", "project", "tensorboard"],
        "leave it out: all that is measured is in `metrics.jsonl` of the run's directory",
    ),
    (
        &["do_train", "do_eval", "do_predict"],
        "leave it out: training, `evaluate` and `predict` are commands of their own",
    ),
    (
        &["overwrite_output_dir"],
        "leave it out: what is in a run's directory is never overwritten; name another, or go on with `--resume`",
    ),
    (
        &["overwrite_cache"],
        "leave it out: tokens are cut anew where their text or tokenizer differs",
    ),
    (
        &["deterministic"],
        "leave it out: the same `seed`, configuration and CPU give the same numbers",
    ),
    (&["head_dim"], "leave it out: it is `model.hidden_size` by `model.num_attention_heads`"),
    (
        &["valid_file", "validation_file", "eval_file", "valid_path", "val_file"],
        "leave it out: `data.validation_fraction` of the corpus is held out",
    ),
    (&["gradient_checkpointing"], "leave it out: lower `trainer.micro_batch_size` to save memory"),
];

/// What to do about a key that other programs have, of the keys that are known here; `None` if it is none of theirs.
pub(super) fn advice(section: &str, name: &str, known: &[String]) -> Option<String> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let of_this_table = join(section, &name);
    let mut ours = SYNONYMS.iter().filter(|(key, _)| known.iter().any(|own| own == key));
    // Above all tables every name is one of any table.
    let exact = ours
        .clone()
        .find(|(_, theirs)| !section.is_empty() && theirs.contains(&of_this_table.as_str()));
    // What is a table here is one there too, and no key of another table.
    let is_table = |key: &str| known.iter().any(|own| section_of(own) == key);
    let mut named = ours.by_ref().filter(|(key, theirs)| {
        theirs.contains(&name.as_str()) && (section.is_empty() || !is_table(key))
    });
    let first = named.next();
    let of_section = first.into_iter().chain(named).find(|(key, _)| section_of(key) == section);
    let instead = |name: &str| INSTEAD.iter().find(|(theirs, _)| theirs.contains(&name));
    if let (None, Some((_, instead))) = (exact, instead(&of_this_table)) {
        return Some((*instead).to_owned());
    }
    if let Some((key, _)) = exact.or(of_section).or(first) {
        return Some(format!("it is called `{key}` here"));
    }
    instead(&name).map(|(_, instead)| (*instead).to_owned())
}

/// What other programs call the values of a key, our value first.
const VALUES: [(&str, &str, &[&str]); 16] = [
    ("device", "flex", &["cpu"]),
    ("device", "cuda", &["gpu", "cuda:0"]),
    ("device", "metal", &["mps", "mlx"]),
    ("trainer.precision", "f32", &["fp32", "float32", "32", "32_true", "no", "full"]),
    ("trainer.precision", "bf16", &["bfloat16", "bf16_mixed"]),
    ("trainer.precision", "f16", &["fp16", "float16", "16_mixed", "half"]),
    ("schedule.kind", "linear", &["linear_with_warmup", "warmup_linear", "linear_decay"]),
    (
        "schedule.kind",
        "cosine",
        &["cosine_with_warmup", "cos", "cosine_annealing", "cosineannealinglr"],
    ),
    ("schedule.kind", "constant", &["constant_with_warmup", "fixed", "none"]),
    ("schedule.kind", "polynomial", &["polynomial_decay", "poly"]),
    ("schedule.kind", "one_cycle", &["onecycle", "onecyclelr", "1cycle"]),
    ("tokenizer.kind", "wordpiece", &["bert", "word_piece"]),
    ("tokenizer.kind", "bpe", &["gpt2", "roberta", "byte_level", "bytelevelbpe", "byte_level_bpe"]),
    ("tokenizer.kind", "unigram", &["sentencepiece", "spm", "albert"]),
    ("model.attention", "nystrom", &["nystromformer", "nystroem"]),
    (
        "model.attention",
        "softmax",
        &["full", "vanilla", "exact", "sdpa", "eager", "self_attention"],
    ),
];

/// The value of `key` that another program calls `value`, or that differs from it in the case of letters only; of those that
/// are `known`.
pub(super) fn value<'a>(key: &str, value: &str, known: &'a [String]) -> Option<&'a str> {
    let value = value.to_ascii_lowercase().replace('-', "_");
    let theirs =
        VALUES.iter().find(|(of, _, theirs)| *of == key && theirs.contains(&value.as_str()));
    let ours = theirs.map_or(value.as_str(), |(_, ours, _)| *ours);
    known.iter().map(String::as_str).find(|known| *known == ours)
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
            let is_elsewhere = key == "model.init_from" || key.starts_with("task.");
            assert!(is_elsewhere || known.iter().any(|own| own == key), "{key}");
            for name in theirs {
                let own = if name.contains('.') {
                    (*name).to_owned()
                } else {
                    join(section_of(key), name)
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

    #[test]
    fn a_name_of_one_table_goes_before_a_name_of_any() {
        let known = known_keys::<Experiment>();
        for (section, name, expected) in [
            ("optimizer", "name", "the optimizer is AdamW"),
            ("schedule", "type", "`schedule.kind`"),
            ("tokenizer", "type", "`tokenizer.kind`"),
            ("data", "path", "`data.corpus`"),
            ("data", "train", "`data.corpus`"),
            ("model", "vocab", "`model.vocab_size`"),
            ("tokenizer", "vocab", "`tokenizer.vocab_size`"),
            ("trainer", "warmup_updates", "`schedule.warmup_steps`"),
            ("schedule", "eta_min", "`schedule.end_learning_rate`"),
            ("", "run_name", "`name`"),
            ("trainer", "update_freq", "`trainer.batch_size`"),
            ("", "training", "`trainer`"),
        ] {
            let found = advice(section, name, &known).unwrap_or_default();
            assert!(found.contains(expected), "{section}.{name}: {found}");
        }
        assert_eq!(advice("task", "train", &known), None, "a table is no key of another");
        let known: Vec<String> = known.into_iter().chain(["task.train_file".to_owned()]).collect();
        assert!(advice("task", "train", &known).unwrap().contains("`task.train_file`"));
    }

    #[test]
    fn values_of_other_programs_lead_to_ours() {
        let known = ["flex", "metal", "bf16", "f16"].map(str::to_owned);
        assert_eq!(value("device", "CPU", &known), Some("flex"));
        assert_eq!(value("device", "mps", &known), Some("metal"));
        assert_eq!(value("device", "Flex", &known), Some("flex"));
        assert_eq!(value("trainer.precision", "bf16-mixed", &known), Some("bf16"));
        assert_eq!(value("trainer.precision", "16-mixed", &known), Some("f16"));
        // What is not among the known values is no advice.
        assert_eq!(value("device", "gpu", &known), None);
    }
}
