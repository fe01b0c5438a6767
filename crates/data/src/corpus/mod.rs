//! A corpus: files of text, or the built-in sample, read as a stream of chunks.
//!
//! Reading is bounded in memory whatever the size of files, documents and lines: a document comes as
//! chunks of about 64 KiB, cut where every supported tokenizer starts a new word anyway.
//!
//! | module | idea |
//! |---|---|
//! | `file` | a file of a corpus: what it is, and how it is read |
//! | `files`, `found` | which files are read, and what of a folder is left out |
//! | `chunk` | cuts documents into chunks |
//! | `text` | a file, a paragraph or a line is a document |
//! | `rows` | a row of a table is a document |
//! | `chunks` | from files to chunks |
//! | `batch` | reads ahead while chunks are worked on |
//! | `segments` | cuts texts into sentences or lines, and chunks where one ends |

mod batch;
mod chunk;
mod chunks;
mod file;
mod files;
mod found;
mod rows;
mod segments;
mod text;

pub(crate) use batch::for_each_batch;
pub(crate) use chunk::Chunk;
pub(crate) use chunks::Chunks;
pub use files::settle_corpus;
pub(crate) use segments::{SegmentRule, WholeSegments};

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nystromformer_files::LineReader;
use nystromformer_files::table::Quotes;
use rayon::prelude::*;

use crate::config::{DataConfig, DocumentUnit, SAMPLE_CORPUS};
use crate::error::DataError;
use crate::progress::{ProgressListener, ProgressReport, Stage};
use crate::sample;
use file::{CorpusFile, FileKind};
use files::corpus_files;

/// Bytes of a file that are read to see that it is text.
const BEGINNING_BYTES: usize = 4096;

/// How the files of a corpus are read; all but the limits are part of the corpus' fingerprint.
#[derive(Debug, Clone)]
struct ReadOptions {
    text_field: String,
    document: DocumentUnit,
    separator: Option<char>,
    quotes: Option<Quotes>,
    max_line_bytes: usize,
    max_null_texts: u64,
}

/// An opened corpus. Nothing but the list of files is held in memory.
#[derive(Debug)]
pub(crate) struct Corpus {
    name: PathBuf,
    /// Empty for the built-in sample.
    files: Vec<CorpusFile>,
    options: ReadOptions,
}

impl Corpus {
    /// Finds the files of the corpus named in `config`.
    pub(crate) fn open(config: &DataConfig) -> Result<Self, DataError> {
        let options = ReadOptions {
            text_field: config.text_field.clone(),
            document: config.document,
            separator: config.separator,
            quotes: config.quotes,
            max_line_bytes: config.max_line_bytes,
            max_null_texts: config.max_null_texts,
        };
        let name = PathBuf::from(&config.corpus);
        let is_sample = config.corpus == SAMPLE_CORPUS;
        let files = if is_sample { Vec::new() } else { corpus_files(&name, &options)? };
        Ok(Self { name, files, options })
    }

    /// What the config calls the corpus.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Whether it is plain before reading more than the beginning that there is only one document; blanks alone are none.
    ///
    /// # Errors
    ///
    /// What is wrong with the beginning: it may be no text at all, and then splitting it up is no cure.
    pub(crate) fn is_one_document(&self) -> Result<bool, DataError> {
        let [CorpusFile { form: FileKind::Text, path, .. }] = &self.files[..] else {
            return Ok(false);
        };
        if self.options.document != DocumentUnit::File {
            return Ok(false);
        }
        let mut lines = LineReader::open(path)?;
        while let Some(piece) = lines.next_piece(BEGINNING_BYTES)? {
            if !piece.text.trim().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What makes more and shorter documents of these files, as they are read.
    pub(crate) fn cure_of_long_documents(&self) -> &'static str {
        let has_text = self.files.iter().any(|file| file.form == FileKind::Text);
        let has_table = self.files.iter().any(|file| file.form != FileKind::Text);
        match self.options.document {
            DocumentUnit::File if has_text => {
                "set `data.document = \"paragraph\"` or `\"line\"` to split .txt files up"
            }
            DocumentUnit::Paragraph if has_text => {
                "set `data.document = \"line\"` to split .txt files up"
            }
            _ if has_table => "cut the texts of rows, which are documents, into several rows",
            _ => "cut the lines, which are documents, into shorter ones",
        }
    }

    fn is_sample(&self) -> bool {
        self.files.is_empty()
    }

    /// A hash of everything that the stream of chunks depends on: the files' contents in their
    /// order, not their names, and how they are read.
    pub(crate) fn fingerprint(
        &self,
        progress: &dyn ProgressListener,
    ) -> Result<blake3::Hash, DataError> {
        let mut hasher = blake3::Hasher::new_derive_key("nystromformer-data 2026 corpus");
        if self.is_sample() {
            for document in sample::documents() {
                hasher.update(&(document.text.len() as u64).to_le_bytes());
                hasher.update(document.text.as_bytes());
                hasher.update(&[u8::from(document.held_out)]);
            }
            return Ok(hasher.finalize());
        }
        let total = self.files.iter().map(|file| file.bytes).sum();
        let done = AtomicU64::new(0);
        let hashes: Vec<blake3::Hash> = self
            .files
            .par_iter()
            .map(|file| {
                hash_file(&file.path, |bytes| {
                    let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
                    progress.report(ProgressReport { stage: Stage::READ_CORPUS, done, total });
                })
            })
            .collect::<Result<_, _>>()?;
        let options = &self.options;
        hasher.update(format!("{:?} {}", options.document, options.text_field).as_bytes());
        // Left out where they are found: such a corpus keeps the fingerprint that it had before there were these keys.
        if options.separator.is_some() || options.quotes.is_some() {
            hasher.update(format!("{:?} {:?}", options.separator, options.quotes).as_bytes());
        }
        for (file, hash) in self.files.iter().zip(hashes) {
            hasher.update(file.form.tag().as_bytes());
            hasher.update(hash.as_bytes());
        }
        Ok(hasher.finalize())
    }

    /// The chunks of all documents, in a fixed order.
    pub(crate) fn chunks(&self) -> Chunks {
        if self.is_sample() {
            return Chunks::of_sample(&self.options);
        }
        Chunks::of_files(&self.files, &self.options)
    }

    /// Size of the corpus in bytes, as counted by [`Chunk::source_bytes`] (for compressed files and Parquet only an
    /// estimate).
    pub(crate) fn bytes(&self) -> u64 {
        if self.is_sample() {
            sample::documents().iter().map(|document| document.text.len() as u64).sum()
        } else {
            self.files.iter().map(|file| file.bytes).sum()
        }
    }
}

/// The hash of a file's contents; `advance` is told the bytes of each read.
pub(crate) fn hash_file(path: &Path, advance: impl Fn(u64)) -> Result<blake3::Hash, DataError> {
    let mut file = File::open(path).map_err(DataError::io("open", path))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut buffer).map_err(DataError::io("read", path))?;
        if length == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(&buffer[..length]);
        advance(length as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn config(path: &Path) -> DataConfig {
        DataConfig { corpus: path.to_str().unwrap().to_owned(), ..DataConfig::default() }
    }

    /// The documents of a corpus, chunks joined.
    fn documents(config: &DataConfig) -> Result<Vec<String>, DataError> {
        let mut documents = vec![String::new()];
        for chunk in Corpus::open(config)?.chunks() {
            let chunk = chunk?;
            documents.last_mut().unwrap().push_str(&chunk.text);
            if chunk.ends_document {
                documents.push(String::new());
            }
        }
        assert_eq!(documents.pop().unwrap(), "", "the last document must be closed");
        Ok(documents)
    }

    fn fails(path: &Path) -> String {
        documents(&config(path)).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_paths() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::create_dir(folder.path().join(".hidden")).unwrap();
        fs::write(folder.path().join("b/two.txt"), "two").unwrap();
        fs::write(folder.path().join("a.txt"), "one").unwrap();
        fs::write(folder.path().join("c.jsonl"), "{\"text\": \"three\"}\n").unwrap();
        fs::write(folder.path().join(".hidden/x.txt"), "hidden").unwrap();
        fs::write(folder.path().join("README.md"), "not text").unwrap();
        assert_eq!(documents(&config(folder.path())).unwrap(), ["one", "two", "three"]);
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_form_of_text_in_a_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let row = |text: &str| format!("{{\"text\": \"{text}\"}}");
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        for (name, content) in [
            ("a.txt.gz", gzip("one")),
            ("b.txt.zst", zstd("two")),
            ("c.jsonl.gz", gzip(&row("three"))),
            ("d.json", format!("[{}, {}]", row("four"), row("five")).into_bytes()),
            ("e.json", format!("{{\"data\": [\n{}\n]}}", row("six")).into_bytes()),
            ("f.ndjson", row("seven").into_bytes()),
            ("g.csv", b"id,text\n1,\"eight, \"\"8\"\"\"\n".to_vec()),
            ("h.tsv.zst", zstd("text\tid\nnine\t9\n")),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let expected =
            ["one", "two", "three", "four", "five", "six", "seven", "eight, \"8\"", "nine"];
        assert_eq!(documents(&config(folder.path())).unwrap(), expected);
    }

    #[test]
    fn separators_and_quotes_of_tables_can_be_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "id~text\n1~\"a\"\n2~b\n").unwrap();
        assert!(fails(&path).contains("no column `text`"));
        let separated = DataConfig { separator: Some('~'), ..config(&path) };
        assert_eq!(documents(&separated).unwrap(), ["a", "b"]);
        let raw = DataConfig { quotes: Some(Quotes::None), ..separated.clone() };
        assert_eq!(documents(&raw).unwrap(), ["\"a\"", "b"]);
        // Other texts come of it, so the tokens of one are not those of another.
        let fingerprint =
            |config: &DataConfig| Corpus::open(config).unwrap().fingerprint(&|_| {}).unwrap();
        let all = [config(&path), separated, raw].map(|config| fingerprint(&config));
        assert!(all[0] != all[1] && all[1] != all[2]);
    }

    #[test]
    fn rows_without_a_text_are_skipped_up_to_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        fs::write(&path, "{\"text\": \"a\"}\n{\"text\": null}\n{\"id\": 3}\n{\"text\": \"b\"}\n")
            .unwrap();
        assert_eq!(documents(&config(&path)).unwrap(), ["a", "b"]);
        let strict = DataConfig { max_null_texts: 1, ..config(&path) };
        let message = documents(&strict).unwrap_err().to_string();
        assert!(message.contains("a.jsonl:3: `text` is null"), "{message}");
        assert!(message.contains("`data.max_null_texts = 1`"), "{message}");
    }

    #[test]
    fn byte_order_marks_and_carriage_returns_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "\u{feff}one\r\ntwo\r\n").unwrap();
        assert_eq!(documents(&config(&path)).unwrap(), ["one\ntwo"]);
    }

    #[test]
    fn text_can_be_split_at_paragraphs_or_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "\n\none\nstill one\n \n\ntwo\n\n").unwrap();
        let read = |document| documents(&DataConfig { document, ..config(&path) }).unwrap();
        assert_eq!(read(DocumentUnit::Paragraph), ["one\nstill one", "two"]);
        assert_eq!(read(DocumentUnit::Line), ["one", "still one", "two"]);
    }

    #[test]
    fn errors_name_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let latin = fails(&write("latin.txt", b"fine\ncaf\xe9 au lait\n"));
        assert!(latin.contains("latin.txt:2: ") && latin.contains("UTF-8"), "{latin}");
        let broken = fails(&write("broken.jsonl", b"{\"text\": \"a\"}\n\n{\"text\": \n"));
        assert!(broken.contains("broken.jsonl:3: "), "{broken}");
        let missing = fails(&write("missing.jsonl", b"{\"body\": \"a\"}\n"));
        assert!(missing.contains("missing.jsonl:1: ") && missing.contains("`body`"), "{missing}");
        let number = fails(&write("number.jsonl", b"{\"text\": 3}\n"));
        assert!(number.contains("number.jsonl:1: ") && number.contains("string"), "{number}");
        let array = fails(&write("array.jsonl", b"[1]\n"));
        assert!(array.contains("array.jsonl:1: ") && array.contains("object"), "{array}");
        let parquet = fails(&write("bad.parquet", b"PAR1 this is not one PAR1"));
        assert!(parquet.contains("bad.parquet"), "{parquet}");
        let unknown = fails(&write("a.doc", b"x"));
        assert!(unknown.contains("unknown extension"), "{unknown}");
        let capitals = fails(&write("capitals.csv", b"Id,Text\n1,a\n"));
        assert!(capitals.contains("set `data.text_field = \"Text\"`"), "{capitals}");
        let wide = fails(&write("wide.txt", b"\xff\xfea\0b\0"));
        assert!(wide.contains("wide.txt`") && wide.contains("UTF-16"), "{wide}");
        let pointer =
            fails(&write("p.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:4\n"));
        assert!(pointer.contains("p.txt`") && pointer.contains("git lfs pull"), "{pointer}");
        let saved = folder.path().join("saved");
        fs::create_dir_all(saved.join("train")).unwrap();
        fs::write(saved.join("train/state.json"), "{}").unwrap();
        fs::write(saved.join("train/dataset_info.json"), "{}").unwrap();
        assert!(fails(&saved).contains("to_parquet"));
        assert!(fails(&folder.path().join("nowhere")).contains("no such file"));
        let empty = tempfile::tempdir().unwrap();
        assert!(fails(empty.path()).contains("holds no"));
    }

    #[test]
    fn a_jsonl_line_over_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.jsonl");
        fs::write(&path, format!("{{\"text\": \"a\"}}\n{{\"text\": \"{}\"}}\n", "a".repeat(500)))
            .unwrap();
        let limited = DataConfig { max_line_bytes: 100, ..config(&path) };
        let message = documents(&limited).unwrap_err().to_string();
        assert!(
            message.contains("long.jsonl:2: ") && message.contains("max_line_bytes"),
            "{message}"
        );
        assert_eq!(documents(&config(&path)).unwrap().len(), 2);
    }

    #[test]
    fn a_long_line_of_text_is_read_in_chunks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.txt");
        let text = "word ".repeat(200_000) + &"é".repeat(300_000);
        fs::write(&path, &text).unwrap();
        let corpus = Corpus::open(&config(&path)).unwrap();
        let chunks: Vec<Chunk> = corpus.chunks().collect::<Result<_, _>>().unwrap();
        assert!(chunks.iter().all(|chunk| chunk.text.len() < 600_000));
        assert!(chunks.len() > 10);
        assert_eq!(documents(&config(&path)).unwrap(), [text]);
    }

    #[test]
    fn what_makes_more_documents_is_told_by_the_form_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let cure = |name: &str, document| {
            let path = folder.path().join(name);
            fs::write(&path, "{\"text\": \"a\"}\n").unwrap();
            let corpus = path.display().to_string();
            let config = DataConfig { corpus, document, ..DataConfig::default() };
            Corpus::open(&config).unwrap().cure_of_long_documents()
        };
        for (name, document, part) in [
            ("a.txt", DocumentUnit::File, "`data.document = \"paragraph\"` or `\"line\"`"),
            ("a.txt", DocumentUnit::Paragraph, "set `data.document = \"line\"`"),
            ("a.txt", DocumentUnit::Line, "cut the lines"),
            ("a.jsonl", DocumentUnit::File, "into several rows"),
            ("a.jsonl", DocumentUnit::Line, "into several rows"),
        ] {
            assert!(cure(name, document).contains(part), "{name} {document:?}");
        }
    }

    #[test]
    fn the_fingerprint_follows_contents_and_options_but_not_names() {
        let folder = tempfile::tempdir().unwrap();
        let fingerprint = |name: &str, content: &str, document| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            let config = DataConfig { document, ..config(&path) };
            Corpus::open(&config).unwrap().fingerprint(&|_| {}).unwrap()
        };
        let base = fingerprint("a.txt", "one", DocumentUnit::File);
        assert_eq!(base, fingerprint("b.txt", "one", DocumentUnit::File));
        assert_ne!(base, fingerprint("a.txt", "two", DocumentUnit::File));
        assert_ne!(base, fingerprint("a.txt", "one", DocumentUnit::Line));
    }
}
