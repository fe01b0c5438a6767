//! Tokenizers of BERT, RoBERTa and ALBERT from the files that they were published as.

use std::collections::HashMap;
use std::path::Path;

use nystromformer_files::{git_lfs, say_once};
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Tokenizer};

use super::super::sentencepiece::{self, TextCleaning};
use super::super::{SpecialTokens, json_file, special_tokens};
use super::settings::Settings;
use super::{added_tokens, file};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Names of the special tokens in BERT's and in RoBERTa's families.
pub(super) const BERT_TOKENS: SpecialTokens<&str> =
    SpecialTokens { pad: "[PAD]", unk: "[UNK]", cls: "[CLS]", sep: "[SEP]", mask: "[MASK]" };
pub(super) const ROBERTA_TOKENS: SpecialTokens<&str> =
    SpecialTokens { pad: "<pad>", unk: "<unk>", cls: "<s>", sep: "</s>", mask: "<mask>" };

/// Classes whose `vocab.txt` makes the same tokenizer as BERT's.
const LIKE_BERT: [&str; 9] = [
    "BertTokenizer",
    "ConvBertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
    "MobileBertTokenizer",
    "PreTrainedTokenizer",
    "SqueezeBertTokenizer",
];
/// Classes whose `vocab.json` and `merges.txt` make the same tokenizer as RoBERTa's.
const LIKE_ROBERTA: [&str; 6] = [
    "BartTokenizer",
    "LEDTokenizer",
    "LongformerTokenizer",
    "MvpTokenizer",
    "PreTrainedTokenizer",
    "RobertaTokenizer",
];

/// ALBERT's tokenizer from a SentencePiece model.
pub(super) fn pieces(
    path: &Path,
    settings: &Settings,
    lowercase: bool,
) -> Result<Tokenizer, Failure> {
    // Others put tokens of their own before the pieces or join pairs in other ways.
    if let Some(class) = settings.class()
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
    git_lfs::check(path)?;
    let mut tokenizer = sentencepiece::read(path, cleaning)?;
    added_tokens::add(&mut tokenizer, settings)?;
    Ok(tokenizer)
}

/// BERT's tokenizer from the lines of a `vocab.txt`.
pub(super) fn bert(
    path: &Path,
    settings: &Settings,
    lowercase: bool,
) -> Result<Tokenizer, Failure> {
    tell_other_class(settings, &LIKE_BERT, "BERT's");
    let names = named(settings, &BERT_TOKENS);
    // The library's own reader would cut blanks off the entries. Its map is of a type that only it names.
    let mut entries = WordPiece::read_bytes(&[])?;
    let (listed, doubled) = lines(path, &file::read_text(path)?)?;
    if let Some(doubled) = doubled {
        say_once(doubled);
    }
    entries.extend(listed);
    let model = WordPiece::builder().vocab(entries).unk_token(names.unk.clone()).build()?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(
            true,
            settings.flag("tokenize_chinese_chars").unwrap_or(true),
            settings.flag("strip_accents"),
            settings.flag("do_lower_case").unwrap_or(lowercase),
        )))?
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_decoder(Some(WordPieceDecoder::new("##".to_owned(), true)));
    let ids = add_special_tokens(&mut tokenizer, settings, &BERT_TOKENS, &names)?;
    tokenizer
        .with_post_processor(Some(BertProcessing::new((names.sep, ids.sep), (names.cls, ids.cls))));
    Ok(tokenizer)
}

/// RoBERTa's tokenizer from a `vocab.json` and a `merges.txt`.
pub(super) fn roberta(
    vocabulary: &Path,
    merges: &Path,
    settings: &Settings,
) -> Result<Tokenizer, Failure> {
    tell_other_class(settings, &LIKE_ROBERTA, "RoBERTa's");
    let entries: HashMap<String, u32> = serde_json::from_slice(&file::read_text(vocabulary)?)
        .map_err(|error| format!("`{}`: {error}", vocabulary.display()))?;
    let merges = merges_of(&file::read_text(merges)?)
        .map_err(|problem| format!("`{}`: {problem}", merges.display()))?;
    let longest = entries.keys().map(String::len).max().unwrap_or(0);
    let pairs = merges.iter().map(|(left, right)| (left.as_str(), right.as_str()));
    json_file::check_merges(longest, "", pairs)?;
    // A map of a type that only the library names.
    let mut pieces = WordPiece::read_bytes(&[])?;
    pieces.extend(entries);
    let mut tokenizer = Tokenizer::new(BPE::builder().vocab_and_merges(pieces, merges).build()?);
    let add_prefix_space = settings.flag("add_prefix_space").unwrap_or(false);
    tokenizer
        .with_pre_tokenizer(Some(ByteLevel::new(add_prefix_space, true, true)))
        .with_decoder(Some(ByteLevel::new(true, true, true)));
    let names = named(settings, &ROBERTA_TOKENS);
    let ids = add_special_tokens(&mut tokenizer, settings, &ROBERTA_TOKENS, &names)?;
    tokenizer.with_post_processor(Some(
        RobertaProcessing::new((names.sep, ids.sep), (names.cls, ids.cls))
            .trim_offsets(settings.flag("trim_offsets").unwrap_or(true))
            .add_prefix_space(add_prefix_space),
    ));
    Ok(tokenizer)
}

/// The special tokens of a family, by the names that the settings give them.
fn named(settings: &Settings, usual: &SpecialTokens<&'static str>) -> SpecialTokens<String> {
    let name = |role: &str, usual: &str| {
        settings.text(&format!("{role}_token")).unwrap_or(usual).to_owned()
    };
    SpecialTokens {
        pad: name("pad", usual.pad),
        unk: name("unk", usual.unk),
        cls: name("cls", usual.cls),
        sep: name("sep", usual.sep),
        mask: name("mask", usual.mask),
    }
}

/// Marks the special tokens, adds what the settings have, and gives the ids of the special tokens.
///
/// Adding one under its usual name that is missing would give it an id beyond those that the vocabulary's
/// model was trained with, so it is an error.
fn add_special_tokens(
    tokenizer: &mut Tokenizer,
    settings: &Settings,
    usual: &SpecialTokens<&'static str>,
    names: &SpecialTokens<String>,
) -> Result<SpecialTokens<u32>, Failure> {
    let is_roberta = usual.mask == ROBERTA_TOKENS.mask;
    let SpecialTokens { pad, unk, cls, sep, mask } = names;
    let there: Vec<AddedToken> = [cls, pad, sep, unk, mask]
        .into_iter()
        .filter(|token| tokenizer.token_to_id(token).is_some())
        .map(|token| AddedToken::from(token.clone(), true).lstrip(is_roberta && token == mask))
        .collect();
    tokenizer.add_special_tokens(there)?;
    added_tokens::add(tokenizer, settings)?;
    names.try_map(|role, token| {
        let missing = || special_tokens::missing(role, token).into();
        tokenizer.token_to_id(token).ok_or_else(missing)
    })
}

/// The entries of a `vocab.txt`, numbered; as in Python a line ends with `\n`, `\r\n` or `\r`, and of two that are the same the later
/// one counts. That is then to be told.
fn lines(
    path: &Path,
    content: &[u8],
) -> Result<(HashMap<String, u32>, Option<String>), std::str::Utf8Error> {
    let text = std::str::from_utf8(content)?.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let mut entries = HashMap::new();
    let mut first = None;
    let mut doubled = 0;
    for (id, line) in (0_u32..).zip(text.split('\n')) {
        if let Some(earlier) = entries.insert(line.to_owned(), id) {
            doubled += 1;
            first.get_or_insert((line, id + 1, earlier + 1));
        }
    }
    let told = first.map(|(line, later, earlier)| {
        format!(
            "{}:{later}: `{line}` stands in line {earlier} too, and of such lines there are `{doubled}`: the later one counts, and no \
             text has the id of the earlier; write a word of its own there, as `[unused1]`, and take no line out, which would \
             number all that follow anew",
            path.display()
        )
    });
    Ok((entries, told))
}

/// The pairs of a `merges.txt`, one a line, in the order of their merging.
fn merges_of(content: &[u8]) -> Result<Vec<(String, String)>, String> {
    let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
    let lines = (1..).zip(text.lines());
    lines
        .filter(|(_, line)| !line.starts_with("#version") && !line.is_empty())
        .map(|(number, line)| {
            let mut parts = line.split(' ');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(left), Some(right), None) => Ok((left.to_owned(), right.to_owned())),
                _ => Err(format!(
                    "line {number} is `{line}`, not two pieces with a blank between them"
                )),
            }
        })
        .collect()
}

/// Says so if the settings name a class of another form.
fn tell_other_class(settings: &Settings, alike: &[&str], family: &str) {
    if let Some(class) = settings.text("tokenizer_class") {
        let class = class.strip_suffix("Fast").unwrap_or(class);
        if !alike.contains(&class) {
            tracing::warn!(
                "`tokenizer_class = {class}` of `{}` is not followed: its files are read as {family}; save its \
                 tokenizer.json with transformers if it splits texts otherwise",
                settings.config_path().display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_stands_in_two_lines_is_told_with_both() {
        let read = |content: &str| lines(Path::new("vocab.txt"), content.as_bytes()).unwrap();
        let (entries, told) = read("[PAD]\na\nb\na\r\nb\n");
        assert_eq!((entries["[PAD]"], entries["a"], entries["b"]), (0, 3, 4));
        let told = told.unwrap();
        for part in ["vocab.txt:4: `a` stands in line 2 too", "there are `2`", "`[unused1]`"] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(read("[PAD]\na\nb\n").1, None);
    }
}
