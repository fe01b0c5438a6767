//! The way from a config to batches, through the public interface.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use burn_dataset::Dataset;
use nystromformer_data::{
    Block, CorpusSplit, DataConfig, DataError, DocumentUnit, ErrorKind, MaskedLmBatcher,
    MaskedLmData, PretrainingExamples, TokenizerConfig, Visit, prepare, prepare_aside, sample,
    unigram_baseline,
};
use proptest::prelude::*;

fn quiet(
    data: &DataConfig,
    tokenizer: &TokenizerConfig,
    seed: u64,
) -> Result<MaskedLmData, DataError> {
    prepare(data, tokenizer, seed, &|_| {})
}

fn small_tokenizer() -> TokenizerConfig {
    TokenizerConfig { vocab_size: 2_000, ..TokenizerConfig::default() }
}

/// A corpus of `documents`, one a line.
fn lines_corpus(folder: &Path, documents: &[String]) -> DataConfig {
    let path = folder.join("corpus.txt");
    fs::write(&path, documents.join("\n")).expect("the temporary folder can be written to");
    DataConfig {
        corpus: path.to_string_lossy().into_owned(),
        document: DocumentUnit::Line,
        seq_len: 16,
        cache_dir: folder.join("cache"),
        ..DataConfig::default()
    }
}

/// The blocks of a split.
fn blocks(data: &MaskedLmData, split: CorpusSplit) -> Vec<Vec<u32>> {
    let dataset = if split == CorpusSplit::Train { &data.train } else { &data.validation };
    (0..dataset.len()).map(|index| dataset.tokens(index)).collect()
}

#[test]
fn the_sample_corpus_becomes_batches() {
    let cache = tempfile::tempdir().unwrap();
    let config =
        DataConfig { seq_len: 64, cache_dir: cache.path().to_owned(), ..DataConfig::default() };
    let data = quiet(&config, &small_tokenizer(), 1).unwrap();
    let batcher = MaskedLmBatcher::new(&data.tokenizer, &config, 1);
    let batch_of = |indices: &[usize]| {
        let visits: Vec<Visit> = indices.iter().map(|&index| Visit { epoch: 0, index }).collect();
        batcher.rows(&data.train, CorpusSplit::Train, &visits).unwrap()
    };
    let batch = batch_of(&[0, 1, 2]);
    assert_eq!((batch.input_ids.len(), batch.seq_len), (3 * 64, 64));
    assert_eq!(batch.lengths, [64; 3], "rows of a stream are full");
    assert_eq!(batch.masked_positions.len(), batch.masked_labels.len());

    let last = data.train.len() - 1;
    let length = data.train.tokens(last).len();
    assert!(length < 64);
    let partial = batch_of(&[0, last]);
    assert_eq!(partial.lengths, [64, length]);
    assert_eq!(partial.input_ids.len(), 2 * 64);

    assert!(batch_of(&[]).masked_positions.is_empty());
}

#[test]
fn the_probes_encode_to_one_mask_and_a_single_answer() {
    let cache = tempfile::tempdir().unwrap();
    let config = DataConfig { cache_dir: cache.path().to_owned(), ..DataConfig::default() };
    let tokenizer = TokenizerConfig { vocab_size: 4_096, ..TokenizerConfig::default() };
    let data = quiet(&config, &tokenizer, 1).unwrap();
    for probe in sample::probes() {
        let ids = data.tokenizer.encode(&probe.text, true).unwrap();
        let mask = data.tokenizer.special_ids().mask;
        assert_eq!(ids.iter().filter(|id| **id == mask).count(), 1, "{probe:?}");
        assert!(data.tokenizer.token_to_id(&probe.answer).is_some(), "{probe:?}");
    }
}

#[test]
fn no_training_block_tells_a_held_out_capital() {
    let cache = tempfile::tempdir().unwrap();
    let config = DataConfig {
        cache_dir: cache.path().to_owned(),
        seq_len: 128,
        cross_documents: false,
        ..DataConfig::default()
    };
    let tokenizer = TokenizerConfig { vocab_size: 4_096, ..TokenizerConfig::default() };
    let data = quiet(&config, &tokenizer, 1).unwrap();
    let word = |text: &str| format!(" {text} ");
    let held_out = sample::held_out_countries();
    let mut capital_blocks = 0;
    for ids in blocks(&data, CorpusSplit::Train) {
        let text = data.tokenizer.decode(&ids, true).unwrap().replace('.', " ");
        let text = word(&text);
        if text.contains(" capital ") {
            capital_blocks += 1;
            for country in &held_out {
                assert!(!text.contains(&word(country.name)), "{text}");
                assert!(!text.contains(&word(country.capital)), "{text}");
            }
        }
    }
    assert!(capital_blocks > 1_000, "{capital_blocks}");
}

#[test]
fn unknown_tokens_are_counted_and_kept_with_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let documents: Vec<String> = (0..20)
        .map(|number| format!("a b a b {}", if number % 2 == 0 { "ж" } else { "b" }))
        .collect();
    let config = lines_corpus(folder.path(), &documents);
    let tokenizer = TokenizerConfig { max_alphabet: 2, ..TokenizerConfig::default() };
    for reused in [false, true] {
        let facts = quiet(&config, &tokenizer, 1).unwrap().facts;
        assert_eq!((facts.unknown_tokens, facts.tokens, facts.reused), (10, 100, reused));
    }
}

#[test]
fn a_second_run_takes_the_cache_and_a_damaged_cache_is_rebuilt() {
    let cache = tempfile::tempdir().unwrap();
    let config = DataConfig { cache_dir: cache.path().to_owned(), ..DataConfig::default() };
    let first = quiet(&config, &small_tokenizer(), 1).unwrap();
    assert!(!first.facts.reused);
    let second = quiet(&config, &small_tokenizer(), 1).unwrap();
    assert!(second.facts.reused);
    assert_eq!(first.fingerprint, second.fingerprint);
    assert_eq!(blocks(&first, CorpusSplit::Validation), blocks(&second, CorpusSplit::Validation));

    // Another block length is another view of the same tokens.
    let longer =
        quiet(&DataConfig { seq_len: 256, ..config.clone() }, &small_tokenizer(), 1).unwrap();
    assert!(longer.facts.reused);
    assert_ne!(longer.fingerprint, first.fingerprint);

    let tokens = first.facts.cache.join("tokens-00000.bin");
    let expected = blocks(&first, CorpusSplit::Validation);
    drop((first, second, longer));
    let mut damaged = fs::read(&tokens).unwrap();
    damaged[100] ^= 1;
    fs::write(&tokens, damaged).unwrap();
    let rebuilt = quiet(&config, &small_tokenizer(), 1).unwrap();
    assert!(!rebuilt.facts.reused);
    assert_eq!(blocks(&rebuilt, CorpusSplit::Validation), expected);
}

#[test]
fn prepared_aside_the_cache_is_read_if_it_is_there_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let [cache, scratch] = ["cache", "scratch"].map(|name| folder.path().join(name));
    fs::create_dir(&scratch).unwrap();
    let config = DataConfig { cache_dir: cache.clone(), ..DataConfig::default() };
    let names = |folder: &Path| -> Vec<_> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let aside = || prepare_aside(&config, &small_tokenizer(), 1, &scratch, &|_| {}).unwrap();
    let without_cache = aside();
    assert!(!without_cache.facts.reused && !cache.exists());
    drop(without_cache);
    fs::remove_dir_all(&scratch).unwrap();

    let prepared = quiet(&config, &small_tokenizer(), 1).unwrap();
    let before = names(&cache);
    let with_cache = aside();
    assert!(with_cache.facts.reused && !scratch.exists());
    assert_eq!(names(&cache), before);
    assert_eq!(with_cache.fingerprint, prepared.fingerprint);
    assert_eq!(with_cache.tokenizer.hash(), prepared.tokenizer.hash());
    assert_eq!(blocks(&with_cache, CorpusSplit::Train), blocks(&prepared, CorpusSplit::Train));
}

#[test]
fn two_builders_at_once_agree() {
    let cache = tempfile::tempdir().unwrap();
    let config = DataConfig { cache_dir: cache.path().to_owned(), ..DataConfig::default() };
    let built: Vec<MaskedLmData> = std::thread::scope(|scope| {
        let builders: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| quiet(&config, &small_tokenizer(), 1).unwrap()))
            .collect();
        builders.into_iter().map(|builder| builder.join().unwrap()).collect()
    });
    assert_eq!(built.iter().filter(|data| data.facts.reused).count(), 2);
    assert!(built.iter().all(|data| data.fingerprint == built[0].fingerprint));
}

#[test]
fn masks_depend_on_seed_split_epoch_and_example_only() {
    let cache = tempfile::tempdir().unwrap();
    let config =
        DataConfig { seq_len: 64, cache_dir: cache.path().to_owned(), ..DataConfig::default() };
    let data = quiet(&config, &small_tokenizer(), 1).unwrap();
    let batcher = MaskedLmBatcher::new(&data.tokenizer, &config, 1);
    let rows = |batcher: &MaskedLmBatcher, split, visits: &[Visit]| {
        batcher.rows(&data.train, split, visits).unwrap()
    };
    let visit = |epoch, index| Visit { epoch, index };
    let alone = rows(&batcher, CorpusSplit::Train, &[visit(0, 5)]);
    let among = rows(&batcher, CorpusSplit::Train, &[visit(0, 9), visit(0, 5), visit(3, 5)]);
    assert_eq!(alone.input_ids, among.input_ids[64..128]);
    assert_ne!(alone.input_ids, among.input_ids[128..192], "another epoch is masked anew");
    assert!(among.masked_positions.is_sorted());
    let other_seed = MaskedLmBatcher::new(&data.tokenizer, &config, 2);
    assert_ne!(alone, rows(&other_seed, CorpusSplit::Train, &[visit(0, 5)]));
    let validation = rows(&batcher, CorpusSplit::Validation, &[visit(0, 5)]);
    assert_ne!(alone, validation);
    assert_eq!(validation, rows(&batcher, CorpusSplit::Validation, &[visit(8, 5)]));
}

/// The share goes in a straight line from the first step to the last, and evaluations keep theirs.
#[test]
fn the_share_of_masked_tokens_follows_the_step_alone() {
    let cache = tempfile::tempdir().unwrap();
    let constant =
        DataConfig { seq_len: 64, cache_dir: cache.path().to_owned(), ..DataConfig::default() };
    let ramp =
        DataConfig { mlm_probability: 0.4, mlm_probability_end: Some(0.1), ..constant.clone() };
    let data = quiet(&constant, &small_tokenizer(), 1).unwrap();
    let batcher = MaskedLmBatcher::new(&data.tokenizer, &ramp, 1);
    let visits: Vec<Visit> = (0..data.train.len()).map(|index| Visit { epoch: 0, index }).collect();
    let rows = |progress| batcher.training_rows(&data.train, &visits, progress).unwrap();
    let at_share = |mlm_probability| {
        let config = DataConfig { mlm_probability, ..constant.clone() };
        let fixed = MaskedLmBatcher::new(&data.tokenizer, &config, 1);
        fixed.rows(&data.train, CorpusSplit::Train, &visits).unwrap()
    };
    for (progress, share) in [(0.0, 0.4), (0.5, 0.25), (1.0, 0.1)] {
        assert_eq!(rows(progress), at_share(share), "{progress}");
        let found = rows(progress).masked_labels.len() as f64;
        let tokens: usize = rows(progress).lengths.iter().map(|length| length - 2).sum();
        assert!((found / tokens as f64 - share).abs() < 0.03, "{progress}: {found} of {tokens}");
    }
    let fixed = MaskedLmBatcher::new(&data.tokenizer, &constant, 1);
    let evaluated = |batcher: &MaskedLmBatcher| {
        let visits = &visits[..data.validation.len().min(visits.len())];
        batcher.rows(&data.validation, CorpusSplit::Validation, visits).unwrap()
    };
    assert_eq!(evaluated(&batcher), evaluated(&fixed));
    assert_eq!(fixed.training_rows(&data.train, &visits, 0.7).unwrap(), at_share(0.15));
}

#[test]
fn the_unigram_baseline_of_a_known_corpus() {
    let folder = tempfile::tempdir().unwrap();
    // Three of four words are `aa`: a share of 0.75, with one added to each of the counts.
    let documents: Vec<String> = (0..400).map(|_| "aa aa aa bb".to_owned()).collect();
    let config = DataConfig {
        validation_fraction: 0.5,
        mlm_probability: 0.5,
        ..lines_corpus(folder.path(), &documents)
    };
    let tokenizer = TokenizerConfig { vocab_size: 64, ..TokenizerConfig::default() };
    let data = quiet(&config, &tokenizer, 1).unwrap();
    let batcher = MaskedLmBatcher::new(&data.tokenizer, &config, 1);
    let baseline =
        unigram_baseline(&data.tokenizer, &batcher, &data.train, &data.validation, usize::MAX)
            .unwrap();
    let total = 800.0 + data.tokenizer.vocab_size() as f64;
    let accuracy = baseline.accuracy;
    let expected = -(accuracy * (601.0 / total).ln() + (1.0 - accuracy) * (201.0 / total).ln());
    assert!((accuracy - 0.75).abs() < 0.08, "{baseline:?}");
    assert!((baseline.loss - expected).abs() < 1e-9, "{baseline:?} instead of {expected}");
    assert!(baseline.num_masked > 300);
}

#[test]
fn unusable_input_is_an_error_of_the_right_kind() {
    let folder = tempfile::tempdir().unwrap();
    let one = lines_corpus(folder.path(), &["only one document".to_owned()]);
    let error = quiet(&one, &TokenizerConfig { vocab_size: 64, ..TokenizerConfig::default() }, 1)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("only one document"), "{error}");

    let one_file = DataConfig { document: DocumentUnit::File, ..one.clone() };
    let error = quiet(&one_file, &small_tokenizer(), 1).unwrap_err();
    assert!(error.to_string().contains("only one document"), "{error}");

    let blank = folder.path().join("blank.txt");
    fs::write(&blank, " \n\t\n\n").unwrap();
    let blank = DataConfig { corpus: blank.to_str().unwrap().to_owned(), ..one_file.clone() };
    let error = quiet(&blank, &small_tokenizer(), 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("no words in it"), "{error}");

    // What is no text is told before that it is one document only.
    let pointer = folder.path().join("pointer.txt");
    fs::write(&pointer, "version https://git-lfs.github.com/spec/v1\n").unwrap();
    let corpus = pointer.to_str().unwrap().to_owned();
    let error = quiet(&DataConfig { corpus, ..one_file }, &small_tokenizer(), 1).unwrap_err();
    assert!(error.to_string().contains("git lfs pull"), "{error}");

    let blank = lines_corpus(folder.path(), &[" ".to_owned(), String::new()]);
    assert!(quiet(&blank, &small_tokenizer(), 1).unwrap_err().to_string().contains("no words"));

    for broken in [
        DataConfig { seq_len: 2, ..one.clone() },
        DataConfig { validation_fraction: f64::NAN, ..one.clone() },
        DataConfig { mlm_probability: 0.0, ..one.clone() },
        DataConfig { corpus: String::new(), ..one.clone() },
    ] {
        assert_eq!(quiet(&broken, &small_tokenizer(), 1).unwrap_err().kind(), ErrorKind::Config);
    }
}

#[test]
fn a_cache_folder_that_is_a_file_is_an_io_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let config = DataConfig { cache_dir: file.join("cache"), ..DataConfig::default() };
    let error = quiet(&config, &small_tokenizer(), 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
}

#[test]
fn progress_never_falls_within_a_stage_and_ends_full() {
    let cache = tempfile::tempdir().unwrap();
    let config = DataConfig { cache_dir: cache.path().to_owned(), ..DataConfig::default() };
    let last = std::sync::Mutex::new(HashMap::new());
    prepare(&config, &small_tokenizer(), 1, &|report: nystromformer_data::ProgressReport| {
        let mut last = last.lock().unwrap();
        let earlier = last.insert(report.stage, (report.done, report.total));
        assert!(earlier.is_none_or(|(done, _)| done <= report.done), "{report:?}");
    })
    .unwrap();
    let last = last.into_inner().unwrap();
    assert!(last.len() >= 4, "{last:?}");
    assert!(last.values().all(|(done, total)| done == total), "{last:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Nothing is lost or added: the blocks of both splits hold the tokens of all documents.
    #[test]
    fn blocks_hold_every_token_once(
        lengths in prop::collection::vec(1usize..40, 2..30),
        seq_len in 8usize..24,
        cross_documents: bool,
        seed: u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let documents: Vec<String> = lengths.iter().enumerate()
            .map(|(number, length)| vec![["aa", "bb", "cc"][number % 3]; *length].join(" "))
            .collect();
        let config = DataConfig {
            seq_len,
            cross_documents,
            validation_fraction: 0.3,
            ..lines_corpus(folder.path(), &documents)
        };
        let tokenizer = TokenizerConfig { vocab_size: 64, ..TokenizerConfig::default() };
        let data = quiet(&config, &tokenizer, seed).unwrap();
        let specials = data.tokenizer.special_ids().clone();
        let mut counts: HashMap<u32, usize> = HashMap::new();
        let mut separators = 0;
        for split in [CorpusSplit::Train, CorpusSplit::Validation] {
            let blocks = blocks(&data, split);
            for (number, ids) in blocks.iter().enumerate() {
                prop_assert_eq!(ids[0], specials.cls);
                prop_assert_eq!(ids[ids.len() - 1], specials.sep);
                prop_assert!(ids.len() >= 3 && ids.len() <= seq_len);
                if cross_documents && number + 1 < blocks.len() {
                    prop_assert_eq!(ids.len(), seq_len);
                }
                for id in &ids[1..ids.len() - 1] {
                    if *id == specials.sep {
                        separators += 1;
                    } else {
                        *counts.entry(*id).or_default() += 1;
                    }
                }
            }
        }
        let expected_separators = if cross_documents { lengths.len() - 2 } else { 0 };
        prop_assert_eq!(separators, expected_separators);
        for (class, name) in ["aa", "bb", "cc"].into_iter().enumerate() {
            let expected: usize = lengths.iter().skip(class).step_by(3).sum();
            if expected > 0 {
                let pieces = data.tokenizer.encode(name, false).unwrap();
                let found: usize = pieces.iter().map(|piece| counts[piece]).sum();
                prop_assert_eq!(found, expected * pieces.len());
            }
        }
        prop_assert_eq!(data.train.num_documents() + data.validation.num_documents(), lengths.len());
        prop_assert_eq!(data.train.num_tokens() + data.validation.num_tokens(), data.facts.tokens);
    }
}

#[test]
fn the_dataset_trait_of_burn_reads_the_same_blocks() {
    let cache = tempfile::tempdir().unwrap();
    let config = DataConfig { cache_dir: cache.path().to_owned(), ..DataConfig::default() };
    let data = quiet(&config, &small_tokenizer(), 1).unwrap();
    let PretrainingExamples::Blocks(validation) = &data.validation else {
        panic!("the objective `mlm` has blocks");
    };
    let dataset: &dyn Dataset<Block> = validation;
    assert_eq!(dataset.len(), data.validation.len());
    assert_eq!(dataset.get(0).unwrap().input_ids, data.validation.tokens(0));
    assert_eq!(dataset.get(0).unwrap(), validation.block(0));
}

/// The examples of a seed are part of every run that is to be resumed or repeated.
#[test]
fn masked_lm_batches_are_those_of_earlier_versions() {
    let cache = tempfile::tempdir().unwrap();
    let config =
        DataConfig { seq_len: 64, cache_dir: cache.path().to_owned(), ..DataConfig::default() };
    let data = quiet(&config, &small_tokenizer(), 1).unwrap();
    let batcher = MaskedLmBatcher::new(&data.tokenizer, &config, 1);
    let visits: Vec<Visit> = (0..16).map(|index| Visit { epoch: 2, index: 7 * index }).collect();
    let rows = batcher.rows(&data.train, CorpusSplit::Train, &visits).unwrap();
    let sum = |values: &[i32]| {
        values.iter().fold(0u64, |sum, value| sum.wrapping_mul(31).wrapping_add(*value as u64))
    };
    assert_eq!(sum(&rows.input_ids), 6_010_839_017_118_256_502);
    assert_eq!(sum(&rows.masked_positions), 15_204_340_597_088_908_135);
    assert_eq!(sum(&rows.masked_labels), 13_483_269_180_405_889_785);
    assert_eq!(
        data.fingerprint,
        "4b3169042fd616d1f5b7dd6f06227d7e134fc243d7e177ae5194a9f753bf2651"
    );
    // The corpus's own hash; what follows it is another with each version of the cache.
    let cache = data.facts.cache.file_name().unwrap().to_str().unwrap();
    assert!(cache.starts_with("tokens-1d8b5d1a0d15dd39-"), "{cache}");
    assert_eq!(rows.sentence_order, None);
}
