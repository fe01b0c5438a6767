//! Reads tokenizers in the forms Hugging Face has published them in.
//!
//! | module | does |
//! |---|---|
//! | `file` | reads one file |
//! | `named_token` | tokens as those files name them |
//! | `settings` | puts together what the JSON files beside a tokenizer say |
//! | `keys` | every key of those files, and what becomes of it here |
//! | `families` | makes BERT's, RoBERTa's and ALBERT's tokenizers of the files that they were published as |
//! | `overrides` | lets settings win over a tokenizer.json |
//! | `added_tokens` | words and special tokens beyond the vocabulary's own file |

mod added_tokens;
mod families;
mod file;
mod keys;
mod named_token;
mod overrides;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};

use tokenizers::{NormalizedString, Normalizer, Tokenizer};

use super::lengths::LengthRule;
use super::{SpecialTokens, TextTokenizer, json_file};
use crate::error::DataError;
use families::{BERT_TOKENS, ROBERTA_TOKENS, bert, pieces, roberta};
use settings::Settings;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The files of a tokenizer.
enum Files {
    Json(PathBuf),
    Pieces(PathBuf),
    Vocabulary(PathBuf),
    Merges { vocabulary: PathBuf, merges: PathBuf },
}

impl Files {
    /// Where they lie, and the settings beside them.
    fn folder(&self) -> &Path {
        match self {
            Self::Json(file)
            | Self::Pieces(file)
            | Self::Vocabulary(file)
            | Self::Merges { vocabulary: file, .. } => file.parent().unwrap_or(Path::new(".")),
        }
    }
}

/// See [`TextTokenizer::own_lowercase`].
pub(super) fn own_lowercase(path: &Path) -> Result<Option<bool>, DataError> {
    let files = find(path)?;
    let settings = Settings::read(files.folder())?;
    match &files {
        Files::Pieces(_) | Files::Vocabulary(_) => Ok(settings.flag("do_lower_case")),
        Files::Merges { .. } => Ok(Some(false)),
        Files::Json(file) => {
            let tokenizer =
                json(file, &settings).map_err(|error| DataError::tokenizer_at(path, error))?;
            let mut letter = NormalizedString::from("A");
            if let Some(normalizer) = tokenizer.get_normalizer() {
                let failed = |error: Failure| DataError::tokenizer_at(path, error);
                normalizer.normalize(&mut letter).map_err(failed)?;
            }
            Ok(Some(letter.get().contains('a')))
        }
    }
}

/// Loads the tokenizer at `path`; see [`TextTokenizer::load`].
pub(super) fn load(path: &Path, lowercase: bool) -> Result<TextTokenizer, DataError> {
    let files = find(path)?;
    let settings = Settings::read(files.folder())?;
    let failed = |error: Failure| DataError::tokenizer_at(path, error);
    let tokenizer = match &files {
        Files::Json(file) => json(file, &settings).map_err(failed)?,
        Files::Pieces(file) => pieces(file, &settings, lowercase).map_err(failed)?,
        Files::Vocabulary(file) => bert(file, &settings, lowercase).map_err(failed)?,
        Files::Merges { vocabulary, merges } => {
            roberta(vocabulary, merges, &settings).map_err(failed)?
        }
    };
    keys::tell_unfollowed(&settings);
    let tokens = settings
        .special_tokens(&tokenizer, families_of(&tokenizer))
        .map_err(|problem| DataError::tokenizer_at(path, problem))?;
    let mut tokenizer = TextTokenizer::new(tokenizer, tokens)
        .map_err(|problem| DataError::tokenizer_at(path, problem))?;
    tokenizer.cleans_up = settings.flag("clean_up_tokenization_spaces").unwrap_or(false);
    tokenizer.lacks_types = settings.lacks_types();
    tokenizer.lengths = LengthRule {
        model_max_length: settings.model_max_length(),
        keep: settings.keep()?,
        trained: settings.trained()?,
    };
    Ok(tokenizer)
}

/// The tokenizer of a tokenizer.json, as its settings have it.
fn json(path: &Path, settings: &Settings) -> Result<Tokenizer, Failure> {
    let mut tokenizer = json_file::read(&file::read_text(path)?)?;
    overrides::apply(&mut tokenizer, settings)?;
    added_tokens::add(&mut tokenizer, settings)?;
    Ok(tokenizer)
}

/// The names to look for special tokens by; ALBERT has some of both families, `[CLS]` beside `<pad>`.
fn families_of(tokenizer: &Tokenizer) -> [SpecialTokens<&'static str>; 2] {
    if tokenizer.token_to_id(BERT_TOKENS.mask).is_some() {
        [BERT_TOKENS, ROBERTA_TOKENS]
    } else {
        [ROBERTA_TOKENS, BERT_TOKENS]
    }
}

/// Whether a folder holds a tokenizer; see [`TextTokenizer::is_in`].
pub(super) fn is_in(folder: &Path) -> bool {
    folder.is_dir() && find(folder).is_ok()
}

/// Which files `path` means.
fn find(path: &Path) -> Result<Files, DataError> {
    let metadata = fs::metadata(path).map_err(DataError::io("open the tokenizer", path))?;
    if metadata.is_dir() {
        let [json, pieces, text, vocabulary, merges] =
            ["tokenizer.json", "spiece.model", "vocab.txt", "vocab.json", "merges.txt"]
                .map(|name| path.join(name));
        return match () {
            () if json.is_file() => Ok(Files::Json(json)),
            () if pieces.is_file() => Ok(Files::Pieces(pieces)),
            () if text.is_file() => Ok(Files::Vocabulary(text)),
            () if vocabulary.is_file() && merges.is_file() => {
                Ok(Files::Merges { vocabulary, merges })
            }
            () => Err(DataError::tokenizer_at(
                path,
                "the folder holds neither tokenizer.json, nor spiece.model, nor vocab.txt, nor vocab.json with merges.txt",
            )),
        };
    }
    if path.file_name().is_some_and(|name| name == "vocab.json") {
        let merges = path.with_file_name("merges.txt");
        return if merges.is_file() {
            Ok(Files::Merges { vocabulary: path.to_owned(), merges })
        } else {
            Err(DataError::tokenizer_at(path, "there is no merges.txt beside it"))
        };
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Ok(Files::Json(path.to_owned())),
        Some("model") => Ok(Files::Pieces(path.to_owned())),
        Some("txt") => Ok(Files::Vocabulary(path.to_owned())),
        _ => Err(DataError::tokenizer_at(
            path,
            "unknown form; use a tokenizer.json, a spiece.model, a vocab.txt or a folder",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TokenizerKind;
    use crate::tokenizer::tests::sample_tokenizer;

    #[test]
    fn a_saved_tokenizer_loads_and_encodes_alike() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!TextTokenizer::is_in(folder.path()));
        for kind in [TokenizerKind::WordPiece, TokenizerKind::Bpe, TokenizerKind::Unigram] {
            let tokenizer = sample_tokenizer(kind, 600);
            fs::write(folder.path().join("tokenizer.json"), tokenizer.to_json()).unwrap();
            assert!(TextTokenizer::is_in(folder.path()));
            for path in [folder.path().to_owned(), folder.path().join("tokenizer.json")] {
                let loaded = TextTokenizer::load(&path, true).unwrap();
                assert_eq!(loaded.hash(), tokenizer.hash());
                assert_eq!(loaded.vocabulary_difference(&tokenizer), None);
                let text = "Paris is the [MASK] of France, naturally.";
                assert_eq!(
                    loaded.encode(text, true).unwrap(),
                    tokenizer.encode(text, true).unwrap()
                );
            }
        }
    }

    #[test]
    fn bert_vocabulary_splits_as_bert_does() {
        let folder = tempfile::tempdir().unwrap();
        let words =
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", ",", "cafe"];
        let path = folder.path().join("vocab.txt");
        fs::write(&path, words.join("\n")).unwrap();
        let tokenizer = TextTokenizer::load(&path, true).unwrap();
        assert_eq!(
            tokenizer.encode("UNaffable,[MASK] Café x", true).unwrap(),
            [2, 5, 6, 7, 8, 4, 9, 1, 3]
        );
        assert_eq!(tokenizer.vocab_size(), 10);
        let cased = TextTokenizer::load(&path, false).unwrap();
        assert_eq!(tokenizer.vocabulary_difference(&cased), None);
        let other = folder.path().join("other.txt");
        fs::write(&other, words.join("\n").replace("##aff", "##eff")).unwrap();
        let other = TextTokenizer::load(&other, true).unwrap();
        assert_eq!(
            tokenizer.vocabulary_difference(&other),
            Some((6, Some("##aff".to_owned()), Some("##eff".to_owned())))
        );
        assert_eq!(cased.encode("Café", false).unwrap(), [1]);
        fs::write(folder.path().join("tokenizer_config.json"), "{\"do_lower_case\": true}")
            .unwrap();
        let told = TextTokenizer::load(folder.path(), false).unwrap();
        assert_eq!(told.encode("Café", false).unwrap(), [9]);
        // Who stores a tokenizer with its settings decides; a bare vocabulary leaves it open.
        let own = |path: &Path| TextTokenizer::own_lowercase(path).unwrap();
        assert_eq!(own(folder.path()), Some(true));
        fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
        assert_eq!(own(folder.path()), None);
        for (tokenizer, lowercases) in [(tokenizer, true), (cased, false)] {
            let file = folder.path().join("tokenizer.json");
            fs::write(&file, tokenizer.to_json()).unwrap();
            assert_eq!(own(&file), Some(lowercases));
        }
    }

    #[test]
    fn roberta_files_split_as_roberta_does() {
        let folder = tempfile::tempdir().unwrap();
        let vocabulary =
            r#"{"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"a":4,"b":5,"Ġ":6,"ab":7,"Ġab":8,"<mask>":9}"#;
        fs::write(folder.path().join("vocab.json"), vocabulary).unwrap();
        fs::write(folder.path().join("merges.txt"), "#version: 0.2\na b\nĠ ab\n").unwrap();
        let tokenizer = TextTokenizer::load(folder.path(), true).unwrap();
        assert_eq!(tokenizer.encode("ab ab <mask> b", true).unwrap(), [0, 7, 8, 9, 6, 5, 2]);
        assert_eq!((tokenizer.prefix(), tokenizer.suffix()), (&[0][..], &[2][..]));
        assert_eq!(tokenizer.mask_token(), "<mask>");
        assert_eq!(tokenizer.decode(&[7, 8], true).unwrap(), "ab ab");
    }

    #[test]
    fn unusable_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| TextTokenizer::load(path, true).unwrap_err().to_string();
        assert!(message(folder.path()).contains("holds neither"));
        assert!(message(&folder.path().join("none.json")).contains("none.json"));
        let path = folder.path().join("vocab.txt");
        fs::write(&path, "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n").unwrap();
        let missing = message(&path);
        for part in
            ["its mask token `[MASK]`", "`special_tokens_map.json` (`mask_token`)", "at its end"]
        {
            assert!(missing.contains(part), "{missing}");
        }
        fs::write(&path, "[PAD]\n[UNKNOWN]\n[CLS]\n[SEP]\n[MASK]\na\n").unwrap();
        let missing = message(&path);
        assert!(missing.contains("`special_tokens_map.json` (`unk_token`)"), "{missing}");
        fs::write(folder.path().join("special_tokens_map.json"), "{\"unk_token\": \"[UNKNOWN]\"}")
            .unwrap();
        TextTokenizer::load(&path, true).unwrap();
        fs::remove_file(folder.path().join("special_tokens_map.json")).unwrap();
        fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
        assert!(message(folder.path()).contains(folder.path().to_str().unwrap()));
    }
}
