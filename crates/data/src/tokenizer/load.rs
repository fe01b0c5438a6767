//! Reads tokenizers in the forms Hugging Face has published them in.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Tokenizer};

use super::sentencepiece::{self, TextCleaning};
use super::{SpecialTokens, TextTokenizer, json_file};
use crate::error::DataError;

/// Names of the special tokens in BERT's and in RoBERTa's families.
const BERT_TOKENS: SpecialTokens<&str> =
    SpecialTokens { pad: "[PAD]", unk: "[UNK]", cls: "[CLS]", sep: "[SEP]", mask: "[MASK]" };
const ROBERTA_TOKENS: SpecialTokens<&str> =
    SpecialTokens { pad: "<pad>", unk: "<unk>", cls: "<s>", sep: "</s>", mask: "<mask>" };

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The files of a tokenizer.
enum Files {
    Json(PathBuf),
    Pieces(PathBuf),
    Vocabulary(PathBuf),
    Merges { vocabulary: PathBuf, merges: PathBuf },
}

/// Loads the tokenizer at `path`; see [`TextTokenizer::load`].
pub(super) fn load(path: &Path, lowercase: bool) -> Result<TextTokenizer, DataError> {
    let files = find(path)?;
    let folder = match &files {
        Files::Json(file)
        | Files::Pieces(file)
        | Files::Vocabulary(file)
        | Files::Merges { vocabulary: file, .. } => file.parent().unwrap_or(Path::new(".")),
    };
    let settings = Settings::read(folder)?;
    let failed = |error: Failure| DataError::tokenizer_at(path, error);
    let tokenizer = match &files {
        Files::Json(file) => json_file::read(file).map_err(failed)?,
        Files::Pieces(file) => pieces(file, &settings, lowercase).map_err(failed)?,
        Files::Vocabulary(file) => bert(file, &settings, lowercase).map_err(failed)?,
        Files::Merges { vocabulary, merges } => {
            roberta(vocabulary, merges, settings.flag("add_prefix_space").unwrap_or(false))
                .map_err(failed)?
        }
    };
    let tokens = settings
        .special_tokens(&tokenizer)
        .map_err(|problem| DataError::tokenizer_at(path, problem))?;
    let mut tokenizer = TextTokenizer::new(tokenizer, tokens)
        .map_err(|problem| DataError::tokenizer_at(path, problem))?;
    tokenizer.cleans_up = settings.flag("clean_up_tokenization_spaces").unwrap_or(false);
    Ok(tokenizer)
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

/// ALBERT's tokenizer from a SentencePiece model.
fn pieces(file: &Path, settings: &Settings, lowercase: bool) -> Result<Tokenizer, Failure> {
    // Others put tokens of their own before the pieces or join pairs in other ways.
    if let Some(class) = settings.text("tokenizer_class")
        && !class.starts_with("Albert")
    {
        return Err(format!(
            "its tokenizer_class is `{class}`, and of SentencePiece models only ALBERT's are read; \
             save its tokenizer.json with transformers and use that"
        )
        .into());
    }
    let cleaning = TextCleaning {
        lowercase: settings.flag("do_lower_case").unwrap_or(lowercase),
        remove_space: settings.flag("remove_space").unwrap_or(true),
        keep_accents: settings.flag("keep_accents").unwrap_or(false),
    };
    sentencepiece::read(file, cleaning)
}

/// BERT's tokenizer from the lines of a `vocab.txt`.
fn bert(file: &Path, settings: &Settings, lowercase: bool) -> Result<Tokenizer, Failure> {
    let SpecialTokens { unk, cls, sep, .. } = BERT_TOKENS;
    let vocabulary = WordPiece::read_bytes(&fs::read(file)?)?;
    let model = WordPiece::builder().vocab(vocabulary).unk_token(unk.to_owned()).build()?;
    let mut tokenizer = Tokenizer::new(model);
    let ids = ids_in(&tokenizer, &BERT_TOKENS)?;
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(
            true,
            settings.flag("tokenize_chinese_chars").unwrap_or(true),
            settings.flag("strip_accents"),
            settings.flag("do_lower_case").unwrap_or(lowercase),
        )))?
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(BertProcessing::new(
            (sep.to_owned(), ids.sep),
            (cls.to_owned(), ids.cls),
        )))
        .with_decoder(Some(WordPieceDecoder::new("##".to_owned(), true)));
    let SpecialTokens { pad, unk, cls, sep, mask } = BERT_TOKENS;
    tokenizer.add_special_tokens(
        [pad, unk, cls, sep, mask].map(|token| AddedToken::from(token, true)),
    )?;
    Ok(tokenizer)
}

/// RoBERTa's tokenizer from a `vocab.json` and a `merges.txt`.
fn roberta(vocabulary: &Path, merges: &Path, add_prefix_space: bool) -> Result<Tokenizer, Failure> {
    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("the path is not UTF-8");
    let (pieces, merges) = BPE::read_file(&text(vocabulary)?, &text(merges)?)?;
    let longest = pieces.keys().map(String::len).max().unwrap_or(0);
    let pairs = merges.iter().map(|(left, right)| (left.as_str(), right.as_str()));
    json_file::check_merges(longest, "", pairs)?;
    let model = BPE::builder().vocab_and_merges(pieces, merges).build()?;
    let SpecialTokens { pad, unk, cls, sep, mask } = ROBERTA_TOKENS;
    let mut tokenizer = Tokenizer::new(model);
    let ids = ids_in(&tokenizer, &ROBERTA_TOKENS)?;
    tokenizer
        .with_pre_tokenizer(Some(ByteLevel::new(add_prefix_space, true, true)))
        .with_post_processor(Some(
            RobertaProcessing::new((sep.to_owned(), ids.sep), (cls.to_owned(), ids.cls))
                .trim_offsets(true)
                .add_prefix_space(add_prefix_space),
        ))
        .with_decoder(Some(ByteLevel::new(true, true, true)));
    tokenizer
        .add_special_tokens([cls, pad, sep, unk].map(|token| AddedToken::from(token, true)))?;
    tokenizer.add_special_tokens([AddedToken::from(mask, true).lstrip(true)])?;
    Ok(tokenizer)
}

/// The ids of all special tokens. Adding a token that is missing would give it an id beyond those
/// that the vocabulary's model was trained with, so it is an error.
fn ids_in(
    tokenizer: &Tokenizer,
    tokens: &SpecialTokens<&'static str>,
) -> Result<SpecialTokens<u32>, Failure> {
    tokens.try_map(|role, token| {
        let missing = || format!("its {role} token `{token}` is not in the vocabulary").into();
        tokenizer.token_to_id(token).ok_or_else(missing)
    })
}

/// What the JSON files beside a tokenizer say about it: `special_tokens_map.json` and
/// `tokenizer_config.json`, whichever are there.
struct Settings(Vec<Value>);

impl Settings {
    fn read(folder: &Path) -> Result<Self, DataError> {
        let mut files = Vec::new();
        for name in ["special_tokens_map.json", "tokenizer_config.json"] {
            let path = folder.join(name);
            if !path.is_file() {
                continue;
            }
            let text = fs::read(&path).map_err(DataError::io("read", &path))?;
            let value = serde_json::from_slice(&text)
                .map_err(|error| DataError::tokenizer_at(&path, format!("not JSON: {error}")))?;
            files.push(value);
        }
        Ok(Self(files))
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.0.iter().find_map(|file| file.get(key)?.as_bool())
    }

    /// The text at `key` (`mask_token` …), which is a string or an object with `content`.
    fn text(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|file| {
            let value = file.get(key)?;
            value.as_str().or_else(|| value.get("content")?.as_str())
        })
    }

    /// The special tokens by the settings, or else by the names that the two families give them.
    fn special_tokens(&self, tokenizer: &Tokenizer) -> Result<SpecialTokens<String>, String> {
        let known = |token: &str| tokenizer.token_to_id(token).is_some();
        // ALBERT has names of both families, `[CLS]` beside `<pad>`.
        let families = if known(BERT_TOKENS.mask) {
            [BERT_TOKENS, ROBERTA_TOKENS]
        } else {
            [ROBERTA_TOKENS, BERT_TOKENS]
        };
        let usual = SpecialTokens {
            pad: families.each_ref().map(|family| family.pad),
            unk: families.each_ref().map(|family| family.unk),
            cls: families.each_ref().map(|family| family.cls),
            sep: families.each_ref().map(|family| family.sep),
            mask: families.each_ref().map(|family| family.mask),
        };
        usual.try_map(|role, usual| {
            let named = self.text(&format!("{role}_token"));
            let mut candidates = named.into_iter().chain(usual.iter().copied());
            candidates.find(|token| known(token)).map(str::to_owned).ok_or_else(|| {
                format!(
                    "it has no {role} token; name one as `{role}_token` in special_tokens_map.json"
                )
            })
        })
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
        assert!(missing.contains("mask"), "{missing}");
        fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
        assert!(message(folder.path()).contains(folder.path().to_str().unwrap()));
    }
}
