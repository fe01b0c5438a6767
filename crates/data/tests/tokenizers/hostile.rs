//! Damaged files are refused, or what is read of them is sound.

use std::fs;

use nystromformer_data::{TextTokenizer, Truncation};
use proptest::prelude::*;

use crate::{fixture, load};

/// Loads `bytes` as a file of this name. An error names the file; a tokenizer spells every text in ids of its
/// vocabulary, at places of the text, and is the same once it has been saved.
fn is_read_soundly(name: &str, bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let tokenizer = match TextTokenizer::load(&path, true) {
        Ok(tokenizer) => tokenizer,
        Err(error) => {
            assert!(error.to_string().contains(name), "{error}");
            return false;
        }
    };
    let saved = folder.path().join("tokenizer.json");
    fs::write(&saved, tokenizer.to_json()).unwrap();
    let again = TextTokenizer::load(&saved, true).unwrap();
    let texts =
        ["the river\tﬁ ①é", "[MASK] (日本) 9,9", "ＡＢ\u{7}c ™", "\u{ff}\u{7ff}\u{ffff}", ""];
    for text in texts {
        let row = tokenizer.encode_text(text, None, None).unwrap();
        let characters = text.chars().count();
        assert!(row.input_ids.iter().all(|id| (*id as usize) < tokenizer.vocab_size()), "{text:?}");
        assert!(
            row.offsets.iter().all(|(start, end)| start <= end && *end <= characters),
            "{text:?}"
        );
        assert_eq!(row.input_ids.len(), row.offsets.len(), "{text:?}");
        assert_eq!(again.encode_text(text, None, None).unwrap(), row, "{text:?}");
        let cut = Truncation::head(9);
        let pair = tokenizer.encode_text(text, Some("[MASK]"), Some(cut)).unwrap();
        assert!(pair.input_ids.len() <= 9, "{text:?}");
    }
    true
}

/// The fixtures in the forms that can be damaged, as names and contents.
fn sound_files() -> [(&'static str, Vec<u8>); 4] {
    let json = |name| ("tokenizer.json", load(name).to_json().as_bytes().to_vec());
    let pieces = ("spiece.model", fs::read(fixture("albert/spiece.model")).unwrap());
    [pieces, json("albert"), json("bert"), json("roberta")]
}

#[test]
fn what_is_whole_is_read() {
    for (name, bytes) in sound_files() {
        assert!(is_read_soundly(name, &bytes), "{name}");
    }
}

#[test]
fn a_tokenizer_json_cut_short_is_refused() {
    for (name, bytes) in sound_files().into_iter().filter(|(name, _)| *name == "tokenizer.json") {
        for part in 0..32 {
            assert!(!is_read_soundly(name, &bytes[..bytes.len() * part / 32]), "{part} of 32");
        }
        assert!(!is_read_soundly(name, &bytes[..bytes.len() - 1]));
    }
}

#[test]
fn a_model_that_has_no_unknown_piece_is_refused() {
    let json = load("bert").to_json().replace("\"unk_token\":\"[UNK]\"", "\"unk_token\":\"[UNJ]\"");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, json).unwrap();
    let message = TextTokenizer::load(&path, true).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json") && message.contains("unknown"), "{message}");
}

#[test]
fn two_entries_of_one_id_are_refused() {
    let tokenizer = load("roberta");
    let json = tokenizer.to_json();
    // A mutant of the tests below: `tokenizers` reads it, and loses one of the two when it writes it.
    let (_, id) = json.split_once("\"f\":").unwrap();
    let id = id.split([',', '}']).next().unwrap().trim();
    let twice = json.replacen("\"g\":", &format!("\"g\":{id},\"unheard\":"), 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, twice).unwrap();
    let message = TextTokenizer::load(&path, true).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json"), "{message}");
    assert!(message.contains(&format!("the id `{id}`")), "{message}");
}

#[test]
fn an_id_far_out_is_refused() {
    let json = load("roberta").to_json().replacen("\"g\":", "\"far\":4000000000,\"g\":", 1);
    assert!(json.contains("4000000000"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, json).unwrap();
    let message = TextTokenizer::load(&path, true).unwrap_err().to_string();
    assert!(message.contains("`4000000000`"), "{message}");
}

#[test]
fn hostile_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spiece.model");
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        TextTokenizer::load(&path, true).unwrap_err().to_string()
    };
    let message = refused(b"");
    assert!(message.contains("none of its 0 pieces"), "{message}");
    let message = refused(b"\x80\x02}q\x00(X\x03\x00\x00\x00");
    assert!(message.contains("not a usable SentencePiece model"), "{message}");
    // A piece that claims to be 2^63 bytes long.
    let message = refused(&[&[0x0a][..], &[0xff; 8], &[0x7f, b'a']].concat());
    assert!(message.contains("byte 0"), "{message}");
    let message = refused(&vec![0; (16 << 20) + 1]);
    assert!(message.contains("larger than"), "{message}");
}

#[test]
fn a_pointer_of_git_lfs_is_known_under_every_name() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 438\n";
    let folder = tempfile::tempdir().unwrap();
    for name in
        ["tokenizer.json", "spiece.model", "vocab.txt", "merges.txt", "tokenizer_config.json"]
    {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        let whole = if name == "merges.txt" { "roberta/vocab.json" } else { "bert/vocab.txt" };
        let beside = fixture(whole);
        fs::copy(&beside, folder.join(beside.file_name().unwrap())).unwrap();
        fs::write(folder.join(name), pointer).unwrap();
        let message = TextTokenizer::load(&folder, true).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("git lfs pull"), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_truncated_tokenizer_is_refused_or_sound(share in 0.0..1.0) {
        for (name, bytes) in sound_files() {
            is_read_soundly(name, &bytes[..(bytes.len() as f64 * share) as usize]);
        }
    }

    #[test]
    fn a_damaged_tokenizer_is_refused_or_sound(
        changes in prop::collection::vec((0.0..1.0, prop_oneof![any::<u8>(), b' '..b'~']), 1..4),
    ) {
        for (name, mut bytes) in sound_files() {
            for (share, byte) in &changes {
                let place = (bytes.len() as f64 * share) as usize;
                bytes[place] = *byte;
            }
            is_read_soundly(name, &bytes);
        }
    }
}
