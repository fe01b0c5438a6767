//! A file or stdin as bytes, decompressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::GzDecoder;

use crate::error::{FileError, Result};
use crate::signature::{self, Compression};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// An open file. Gzip and Zstandard are told by their first bytes, not by the name, and decompressed as they are read.
pub(crate) struct Input {
    path: Arc<Path>,
    reader: Box<dyn BufRead + Send>,
    compression: Option<Compression>,
}

impl Input {
    /// Opens a file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(FileError::io("open", path))?;
        if path.is_dir() {
            let error = FileError::file(path, "it is a folder, not a file");
            return Err(error.with_cure("name a file in it"));
        }
        let mut first = Vec::with_capacity(signature::LOOKED_AT);
        (&mut file)
            .take(signature::LOOKED_AT as u64)
            .read_to_end(&mut first)
            .map_err(FileError::io("read", path))?;
        let compression = Compression::of(&first);
        let raw = BufReader::with_capacity(BUFFER, Cursor::new(first).chain(file));
        let reader: Box<dyn BufRead + Send> = match compression {
            None => Box::new(raw),
            Some(Compression::Gzip) => {
                Box::new(BufReader::with_capacity(BUFFER, GzipMembers::new(raw)))
            }
            Some(Compression::Zstd) => {
                let decoder = zstd::stream::read::Decoder::with_buffer(raw);
                let decoder = decoder.map_err(FileError::io("open", path))?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
        };
        Ok(Self { path: path.into(), reader, compression })
    }

    /// Stdin, as it is.
    pub(crate) fn stdin() -> Self {
        Self {
            path: Path::new("stdin").into(),
            reader: Box::new(BufReader::new(io::stdin())),
            compression: None,
        }
    }

    /// The file, or `stdin`.
    pub(crate) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Bytes that are there; none at the end of the file.
    pub(crate) fn fill(&mut self) -> Result<&[u8]> {
        // Asked twice, for the borrow of a first answer would last to the end; the second costs nothing.
        if let Err(error) = self.reader.fill_buf() {
            return Err(self.unreadable(error));
        }
        Ok(self.reader.fill_buf().unwrap_or_default())
    }

    /// Says that so many of the bytes that were there are used up.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
    }

    /// What the system refuses is its error; what a decompressor does, is in the file.
    fn unreadable(&self, error: io::Error) -> FileError {
        match self.compression {
            Some(compression) if error.raw_os_error().is_none() => FileError::file(
                &self.path,
                format!("its {} data is damaged or cut short ({error})", compression.name()),
            )
            .with_cure("get the file again from where it came, or compress it anew"),
            _ => FileError::io("read", &self.path)(error),
        }
    }
}

/// The members of a gzip file, one after the other. Zeros behind a member fill a block of a tape or of a store of objects, and are
/// passed over, as gzip and Python do.
struct GzipMembers<R: BufRead> {
    /// `None` after the last member.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> GzipMembers<R> {
    fn new(raw: R) -> Self {
        Self { member: Some(GzDecoder::new(raw)) }
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let length = member.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            let Some(mut raw) = self.member.take().map(GzDecoder::into_inner) else { break };
            if has_more(&mut raw)? {
                self.member = Some(GzDecoder::new(raw));
            }
        }
        Ok(0)
    }
}

/// Whether anything but zeros follows; the zeros before it are used up.
fn has_more(raw: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = raw.fill_buf()?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let is_over = zeros < bytes.len();
        raw.consume(zeros);
        if is_over {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(path: &Path) -> Result<Vec<u8>> {
        let mut input = Input::open(path)?;
        let mut all = Vec::new();
        loop {
            let bytes = input.fill()?;
            if bytes.is_empty() {
                return Ok(all);
            }
            let length = bytes.len();
            all.extend_from_slice(bytes);
            input.consume(length);
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compressed_files_are_read_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let text: Vec<u8> = b"some text\n".repeat(50_000);
        // Compressors that work in parallel write several members or frames.
        let halves = text.split_at(70_007);
        let zstd = |bytes: &[u8]| zstd::stream::encode_all(bytes, 1).unwrap();
        for stored in [
            text.clone(),
            gzip(&text),
            [gzip(halves.0), gzip(halves.1)].concat(),
            // More zeros than are read at once.
            [gzip(halves.0), vec![0; 300_000], gzip(halves.1), vec![0; 512]].concat(),
            zstd(&text),
            [zstd(halves.0), zstd(halves.1)].concat(),
        ] {
            std::fs::write(&path, stored).unwrap();
            assert!(read(&path).unwrap() == text);
        }
    }

    #[test]
    fn a_compressed_file_that_is_cut_short_is_damaged_data() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt.gz");
        let text: Vec<u8> = (0..60_000u32).flat_map(u32::to_le_bytes).collect();
        for stored in [gzip(&text), zstd::stream::encode_all(text.as_slice(), 1).unwrap()] {
            std::fs::write(&path, &stored[..stored.len() / 2]).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, FileError::Content { .. }), "{error}");
            assert!(error.to_string().contains("cut short"), "{error}");
        }
        // Behind the zeros stands something else.
        std::fs::write(&path, [gzip(&text), b"\0\0more".to_vec()].concat()).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("gzip data is damaged"));
    }
}
