//! The objective `mlm_sop` from a config to batches, through the public interface.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use nystromformer_data::{
    CorpusSplit, DataConfig, ErrorKind, ExampleOrder, MaskedLmBatcher, MaskedLmData, MaskedRows,
    Objective, PassageDataset, PretrainingExamples, SegmentUnit, SentenceOrderRows, TextTokenizer,
    TokenizerConfig, Visit, prepare, prepare_aside, unigram_baseline,
};

fn tokenizer() -> TokenizerConfig {
    TokenizerConfig { vocab_size: 2_000, ..TokenizerConfig::default() }
}

fn sample(cache: &Path) -> DataConfig {
    DataConfig {
        objective: Objective::MlmSop,
        seq_len: 48,
        cross_documents: false,
        cache_dir: cache.to_owned(),
        ..DataConfig::default()
    }
}

fn prepared(config: &DataConfig) -> MaskedLmData {
    prepare(config, &tokenizer(), 1, &|_| {}).expect("the sample can be prepared")
}

fn passages(examples: &PretrainingExamples) -> &PassageDataset {
    match examples {
        PretrainingExamples::Passages(passages) => passages,
        PretrainingExamples::Blocks(_) => panic!("the objective `mlm_sop` has passages"),
    }
}

/// The rows of some examples in an epoch.
fn rows(
    batcher: &MaskedLmBatcher,
    data: &MaskedLmData,
    epoch: u64,
    indices: impl IntoIterator<Item = usize>,
) -> MaskedRows {
    let visits: Vec<Visit> = indices.into_iter().map(|index| Visit { epoch, index }).collect();
    batcher.rows(&data.train, CorpusSplit::Train, &visits).expect("the batch is small enough")
}

fn order(rows: &MaskedRows) -> &SentenceOrderRows {
    rows.sentence_order.as_ref().expect("`mlm_sop` has order labels")
}

/// The two parts of a row, masks taken back.
fn parts(rows: &MaskedRows, row: usize, tokenizer: &TextTokenizer) -> [Vec<u32>; 2] {
    let cells = row * rows.seq_len..(row + 1) * rows.seq_len;
    let mut ids: Vec<u32> = rows.input_ids[cells.clone()].iter().map(|id| *id as u32).collect();
    for (position, label) in rows.masked_positions.iter().zip(&rows.masked_labels) {
        if cells.contains(&(*position as usize)) {
            ids[*position as usize - cells.start] = *label as u32;
        }
    }
    let length = rows.lengths[row];
    let specials = tokenizer.special_ids();
    assert!(ids[length..].iter().all(|id| *id == specials.pad));
    assert_eq!((ids[0], ids[length - 1]), (specials.cls, specials.sep));
    let types = &order(rows).token_type_ids[cells];
    let second = types.iter().position(|kind| *kind == 1).expect("there is a second part");
    assert!(types[second..length].iter().all(|kind| *kind == 1));
    assert!(types[length..].iter().all(|kind| *kind == 0));
    assert_eq!(ids[second - 1], specials.sep);
    [ids[1..second - 1].to_vec(), ids[second..length - 1].to_vec()]
}

#[test]
fn rows_are_pairs_of_a_passage_with_an_exact_number_of_masks() {
    let cache = tempfile::tempdir().unwrap();
    let config = sample(cache.path());
    let data = prepared(&config);
    let train = passages(&data.train);
    let batcher = MaskedLmBatcher::new(&data.tokenizer, &config, 1);
    let rows = rows(&batcher, &data, 0, 0..train.len());
    assert_eq!(rows.lengths.len(), train.len());
    let (mut split, mut swapped, mut masks) = (0usize, 0usize, 0);
    for index in 0..train.len() {
        let parts = parts(&rows, index, &data.tokenizer);
        let label = order(&rows).order_labels[index];
        let segments = train.segments(index);
        let text_len = parts[0].len() + parts[1].len();
        assert!(text_len <= 45);
        let cells = index * 48..(index + 1) * 48;
        let positions = rows.masked_positions.iter().map(|position| *position as usize);
        let masked = positions.filter(|position| cells.contains(position)).count();
        let unknown = data.tokenizer.special_ids().unk;
        let maskable = parts.concat().iter().filter(|id| **id != unknown).count();
        assert_eq!(masked, (maskable as f64 * 0.15) as usize);
        masks += masked;
        if segments.len() == 1 {
            assert_eq!(label, 1);
            continue;
        }
        split += 1;
        swapped += label as usize;
        if segments.concat().len() > 45 {
            assert_eq!(text_len, 45);
            continue;
        }
        let in_order = if label == 1 { [&parts[1], &parts[0]] } else { [&parts[0], &parts[1]] };
        assert_eq!(in_order.into_iter().flatten().copied().collect::<Vec<_>>(), segments.concat());
        let mut end = 0;
        assert!(segments.iter().any(|segment| {
            end += segment.len();
            end == in_order[0].len()
        }));
    }
    assert!(split > 5_000, "{split}");
    let deviation = (split as f64 / 4.0).sqrt();
    assert!((swapped as f64 - split as f64 / 2.0).abs() < 4.0 * deviation, "{swapped} of {split}");
    assert_eq!(rows.masked_positions.len(), masks);
    assert!(rows.masked_positions.is_sorted());
}

#[test]
fn passages_hold_every_token_once_and_cross_documents_only_if_told_to() {
    let cache = tempfile::tempdir().unwrap();
    for cross_documents in [false, true] {
        let config = DataConfig { cross_documents, ..sample(cache.path()) };
        let data = prepared(&config);
        let mut tokens = 0;
        for examples in [&data.train, &data.validation] {
            let text: u64 =
                (0..examples.len()).map(|index| examples.tokens(index).len() as u64).sum();
            assert_eq!(text, examples.num_tokens());
            tokens += text;
        }
        assert_eq!(tokens, data.facts.tokens);
        let train = passages(&data.train);
        let documents = train.num_documents();
        if cross_documents {
            assert!(train.len() < documents, "{} of {documents}", train.len());
        } else {
            assert!(train.len() >= documents);
        }
    }
}

#[test]
fn every_visit_gives_the_same_row_whatever_came_before() {
    let cache = tempfile::tempdir().unwrap();
    let config = sample(cache.path());
    let first = prepared(&config);
    let batcher = MaskedLmBatcher::new(&first.tokenizer, &config, 1);
    let batch = rows(&batcher, &first, 3, [11, 4, 900]);

    // A resumed run: everything opened anew, asked in another order and for other epochs between.
    let second = prepared(&config);
    assert!(second.facts.reused);
    assert_eq!(first.fingerprint, second.fingerprint);
    let again = MaskedLmBatcher::new(&second.tokenizer, &config, 1);
    rows(&again, &second, 4, [4]);
    for (row, index) in [(1, 4), (2, 900), (0, 11)] {
        let alone = rows(&again, &second, 3, [index]);
        let cells = row * 48..(row + 1) * 48;
        assert_eq!(alone.input_ids, batch.input_ids[cells.clone()]);
        assert_eq!(order(&alone).token_type_ids, order(&batch).token_type_ids[cells]);
        assert_eq!(order(&alone).order_labels[0], order(&batch).order_labels[row]);
    }

    // Other epochs and seeds pair anew; validation does not know of epochs.
    let many = |batcher: &MaskedLmBatcher, epoch| {
        order(&rows(batcher, &first, epoch, 0..500)).order_labels.clone()
    };
    assert_ne!(many(&batcher, 0), many(&batcher, 1));
    assert_ne!(many(&batcher, 0), many(&MaskedLmBatcher::new(&first.tokenizer, &config, 2), 0));
    let validation = |epoch| {
        let visit = Visit { epoch, index: 2 };
        batcher.rows(&first.validation, CorpusSplit::Validation, &[visit]).unwrap()
    };
    assert_eq!(validation(0), validation(9));
}

#[test]
fn the_fingerprint_tells_every_option_and_the_cache_is_shared() {
    let cache = tempfile::tempdir().unwrap();
    let config = sample(cache.path());
    let first = prepared(&config);
    let others = [
        DataConfig { seq_len: 64, ..config.clone() },
        DataConfig { short_seq_prob: 0.2, ..config.clone() },
        DataConfig { max_predictions: 0, ..config.clone() },
        DataConfig { mlm_probability: 0.2, ..config.clone() },
        DataConfig { cross_documents: true, ..config.clone() },
        DataConfig { validation_fraction: 0.02, ..config.clone() },
        DataConfig { shuffle: false, ..config.clone() },
    ];
    let mut fingerprints = HashSet::from([first.fingerprint.clone()]);
    for other in &others {
        let other = prepared(other);
        assert!(other.facts.reused);
        assert!(fingerprints.insert(other.fingerprint));
    }
    let lines = prepared(&DataConfig { segment: SegmentUnit::Line, ..config.clone() });
    assert!(!lines.facts.reused, "other segments are another cache");
    assert!(fingerprints.insert(lines.fingerprint));
    // The documents of the sample are a line each.
    let train = passages(&lines.train);
    assert!((0..train.len()).all(|index| train.segments(index).len() == 1));
    assert_eq!(train.len(), train.num_documents());

    let masked_lm = prepared(&DataConfig { objective: Objective::Mlm, ..config.clone() });
    assert!(!masked_lm.facts.reused, "blocks have a cache of their own");
    assert!(fingerprints.insert(masked_lm.fingerprint));
    assert!(matches!(masked_lm.train, PretrainingExamples::Blocks(_)));

    let scratch = tempfile::tempdir().unwrap();
    let aside = prepare_aside(&config, &tokenizer(), 1, scratch.path(), &|_| {}).unwrap();
    assert!(aside.facts.reused);
    assert_eq!(aside.fingerprint, first.fingerprint);

    let segments = first.facts.cache.join("segments-00000.bin");
    drop((first, aside));
    let mut damaged = fs::read(&segments).unwrap();
    damaged[100] ^= 1;
    fs::write(&segments, damaged).unwrap();
    assert!(!prepared(&config).facts.reused, "a damaged cache must be rebuilt");
}

#[test]
fn a_step_becomes_rows() {
    let cache = tempfile::tempdir().unwrap();
    let config = sample(cache.path());
    let data = prepared(&config);
    let batcher = MaskedLmBatcher::new(&data.tokenizer, &config, 1);
    let visits = ExampleOrder::new(data.train.len(), 1, true).batch(5, 6);
    let rows = batcher.rows(&data.train, CorpusSplit::Train, &visits).unwrap();
    assert_eq!(rows.input_ids.len(), 6 * 48);
    assert_eq!(order(&rows).token_type_ids.len(), 6 * 48);
    assert_eq!(order(&rows).order_labels.len(), 6);
    assert!(rows.lengths.iter().any(|length| *length < 48));

    let empty = batcher.rows(&data.train, CorpusSplit::Train, &[]).unwrap();
    assert_eq!(empty.sentence_order, Some(SentenceOrderRows::default()));

    let baseline =
        unigram_baseline(&data.tokenizer, &batcher, &data.train, &data.validation, 50).unwrap();
    assert!(baseline.loss > 1.0 && baseline.num_masked > 50, "{baseline:?}");
}

#[test]
fn keys_that_contradict_the_objective_are_told() {
    let config = DataConfig { whole_word_masking: true, ..sample(Path::new("unused")) };
    let error = prepare(&config, &tokenizer(), 1, &|_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("data.whole_word_masking"), "{error}");
}
