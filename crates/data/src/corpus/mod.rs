//! A corpus: files of text, or the built-in sample, read as a stream of chunks.
//!
//! Reading is bounded in memory whatever the size of files, documents and lines: a document comes as
//! chunks of about 64 KiB, cut where every supported tokenizer starts a new word anyway.
//!
//! | module | reads |
//! |---|---|
//! | `chunk` | nothing: cuts documents into chunks |
//! | `batch` | nothing: reads ahead while chunks are worked on |
//! | `segments` | nothing: cuts texts into sentences or lines, and chunks where one ends |
//! | `lines` | lines of UTF-8 of any length, piece by piece |
//! | `text`, `jsonl`, `parquet` | the three file formats |

mod batch;
mod chunk;
mod jsonl;
mod parquet;
mod segments;
mod text;

pub(crate) use batch::for_each_batch;
pub(crate) use chunk::Chunk;
pub(crate) use segments::{SegmentRule, WholeSegments};

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::config::{DataConfig, DocumentUnit, SAMPLE_CORPUS};
use crate::error::DataError;
use crate::progress::{Progress, ProgressReport, Stage};
use crate::sample;
use chunk::ChunkQueue;

/// The file formats, told by extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    JsonLines,
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "txt" => Some(Self::Text),
            "jsonl" => Some(Self::JsonLines),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

#[derive(Debug, Clone)]
struct CorpusFile {
    path: PathBuf,
    format: Format,
    bytes: u64,
}

/// How the files of a corpus are read; part of the corpus' fingerprint.
#[derive(Debug, Clone)]
struct ReadOptions {
    text_field: String,
    document: DocumentUnit,
    max_line_bytes: usize,
}

/// An opened corpus. Nothing but the list of files is held in memory.
#[derive(Debug)]
pub(crate) struct Corpus {
    name: PathBuf,
    /// Empty for the built-in sample.
    files: Vec<CorpusFile>,
    options: ReadOptions,
}

/// What a format's reader does: reads a little more into the queue, or says that it is at the end.
trait Source: Send {
    fn read(&mut self, queue: &mut ChunkQueue) -> Result<bool, DataError>;
}

impl Corpus {
    /// Finds the files of the corpus named in `config`.
    pub(crate) fn open(config: &DataConfig) -> Result<Self, DataError> {
        let options = ReadOptions {
            text_field: config.text_field.clone(),
            document: config.document,
            max_line_bytes: config.max_line_bytes,
        };
        let name = PathBuf::from(&config.corpus);
        if config.corpus == SAMPLE_CORPUS {
            return Ok(Self { name, files: Vec::new(), options });
        }
        let metadata = match fs::metadata(&name) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(DataError::corpus(
                    &name,
                    "there is no such file or folder; `data.corpus` names a file or folder of .txt, \
                     .jsonl or .parquet, or is \"sample\"",
                ));
            }
            Err(error) => return Err(DataError::io("open the corpus", &name)(error)),
        };
        let mut files = Vec::new();
        if metadata.is_dir() {
            collect_files(&name, &mut files)?;
            files.sort_by(|left, right| left.path.cmp(&right.path));
            if files.is_empty() {
                return Err(DataError::corpus(
                    &name,
                    "the folder holds no .txt, .jsonl or .parquet file",
                ));
            }
        } else {
            let format = Format::of(&name).ok_or_else(|| {
                DataError::corpus(&name, "unknown extension; use a .txt, .jsonl or .parquet file")
            })?;
            files.push(CorpusFile { path: name.clone(), format, bytes: metadata.len() });
        }
        Ok(Self { name, files, options })
    }

    /// What the config calls the corpus.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Whether it is plain before reading that there is only one document.
    pub(crate) fn is_one_document(&self) -> bool {
        let whole_file = self.options.document == DocumentUnit::File;
        whole_file && matches!(self.files[..], [CorpusFile { format: Format::Text, .. }])
    }

    fn is_sample(&self) -> bool {
        self.files.is_empty()
    }

    /// A hash of everything that the stream of chunks depends on: the files' contents in their
    /// order, not their names, and how they are read.
    pub(crate) fn fingerprint(&self, progress: &dyn Progress) -> Result<blake3::Hash, DataError> {
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
                    progress.report(ProgressReport { stage: Stage::ReadCorpus, done, total });
                })
            })
            .collect::<Result<_, _>>()?;
        let options = &self.options;
        hasher.update(format!("{:?} {}", options.document, options.text_field).as_bytes());
        for (file, hash) in self.files.iter().zip(hashes) {
            hasher.update(format!("{:?}", file.format).as_bytes());
            hasher.update(hash.as_bytes());
        }
        Ok(hasher.finalize())
    }

    /// The chunks of all documents, in a fixed order.
    pub(crate) fn chunks(&self) -> Chunks {
        let queue = ChunkQueue::default();
        if self.is_sample() {
            let mut chunks = VecDeque::new();
            for document in sample::documents() {
                chunks.push_back(Chunk {
                    source_bytes: document.text.len() as u64,
                    text: document.text,
                    ends_document: true,
                    held_out: document.held_out,
                });
            }
            return Chunks {
                files: VecDeque::new(),
                options: self.options.clone(),
                source: None,
                queue: ChunkQueue::of(chunks),
            };
        }
        Chunks {
            files: self.files.clone().into(),
            options: self.options.clone(),
            source: None,
            queue,
        }
    }

    /// Size of the corpus in bytes, as counted by [`Chunk::source_bytes`] (for Parquet, whose text is
    /// compressed, only an estimate).
    pub(crate) fn bytes(&self) -> u64 {
        if self.is_sample() {
            sample::documents().iter().map(|document| document.text.len() as u64).sum()
        } else {
            self.files.iter().map(|file| file.bytes).sum()
        }
    }
}

/// Iterator over the chunks of a corpus; ends after the first error.
pub(crate) struct Chunks {
    files: VecDeque<CorpusFile>,
    options: ReadOptions,
    source: Option<Box<dyn Source>>,
    queue: ChunkQueue,
}

impl Chunks {
    fn advance(&mut self) -> Result<Option<Chunk>, DataError> {
        loop {
            if let Some(chunk) = self.queue.pop() {
                return Ok(Some(chunk));
            }
            if let Some(source) = &mut self.source {
                if !source.read(&mut self.queue)? {
                    self.source = None;
                }
            } else if let Some(file) = self.files.pop_front() {
                self.source = Some(open_source(&file, &self.options)?);
            } else {
                return Ok(None);
            }
        }
    }
}

impl Iterator for Chunks {
    type Item = Result<Chunk, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if matches!(item, Some(Err(_))) {
            self.files.clear();
            self.source = None;
        }
        item
    }
}

fn open_source(file: &CorpusFile, options: &ReadOptions) -> Result<Box<dyn Source>, DataError> {
    Ok(match file.format {
        Format::Text => Box::new(text::TextSource::open(&file.path, options.document)?),
        Format::JsonLines => Box::new(jsonl::JsonLinesSource::open(
            &file.path,
            &options.text_field,
            options.max_line_bytes,
        )?),
        Format::Parquet => Box::new(parquet::ParquetSource::open(
            &file.path,
            &options.text_field,
            options.max_line_bytes,
        )?),
    })
}

/// Whether there is anything to read at `path`: a file, or a folder with a file of text in it.
pub(crate) fn holds_text(path: &Path) -> Result<bool, DataError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut files = Vec::new();
            collect_files(path, &mut files)?;
            Ok(!files.is_empty())
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(DataError::io("open the corpus", path)(error)),
    }
}

/// Adds the corpus files under `folder`, passing over hidden entries, other extensions and linked
/// folders (which could form a loop).
fn collect_files(folder: &Path, files: &mut Vec<CorpusFile>) -> Result<(), DataError> {
    let entries = fs::read_dir(folder).map_err(DataError::io("list", folder))?;
    for entry in entries {
        let entry = entry.map_err(DataError::io("list", folder))?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(DataError::io("look at", &path))?;
        if kind.is_dir() {
            collect_files(&path, files)?;
        } else if let Some(format) = Format::of(&path) {
            let metadata = fs::metadata(&path).map_err(DataError::io("look at", &path))?;
            if metadata.is_file() {
                files.push(CorpusFile { path, format, bytes: metadata.len() });
            }
        }
    }
    Ok(())
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
