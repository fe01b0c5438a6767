//! Writing a state dict as `torch.save` does: a zip archive of stored entries, with the structure in a pickle and
//! one entry of raw numbers for each storage.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::error::InteropError;

/// A tensor to write: shape, and numbers in 32 bits. Names with one storage share it, as tied weights do.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Index into the storages.
    pub(crate) storage: usize,
}

/// Writes `{key: OrderedDict(entries)}`; `storage` gives the numbers of each storage in turn, so that only one is
/// held at a time.
pub(crate) fn write(
    path: &Path,
    key: &str,
    entries: &[Entry],
    sizes: &[usize],
    mut storage: impl FnMut(usize) -> Result<Vec<u8>, InteropError>,
) -> Result<(), InteropError> {
    let unwritable = |source| InteropError::Write { path: path.to_owned(), source };
    let file = File::create(path).map_err(unwritable)?;
    let mut archive = Archive { out: BufWriter::new(file), written: 0, directory: Vec::new() };
    archive.store("archive/data.pkl", &pickle(key, entries, sizes)).map_err(unwritable)?;
    archive.store("archive/byteorder", b"little").map_err(unwritable)?;
    for index in 0..sizes.len() {
        let numbers = storage(index)?;
        archive.store(&format!("archive/data/{index}"), &numbers).map_err(unwritable)?;
    }
    archive.store("archive/version", b"3\n").map_err(unwritable)?;
    archive.finish().map_err(unwritable)
}

/// The structure, in the operations that every version of Python's `pickle` knows.
fn pickle(key: &str, entries: &[Entry], sizes: &[usize]) -> Vec<u8> {
    let mut code = b"\x80\x02}".to_vec();
    text(&mut code, key);
    code.extend(b"ccollections\nOrderedDict\n)R(");
    for Entry { name, shape, storage } in entries {
        text(&mut code, name);
        code.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut code, "storage");
        code.extend(b"ctorch\nFloatStorage\n");
        text(&mut code, &storage.to_string());
        text(&mut code, "cpu");
        integer(&mut code, sizes[*storage]);
        code.extend(b"tQ");
        integer(&mut code, 0);
        tuple(&mut code, shape);
        tuple(&mut code, &strides(shape));
        code.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    code.extend(b"us.");
    code
}

fn text(code: &mut Vec<u8>, text: &str) {
    code.push(b'X');
    code.extend((text.len() as u32).to_le_bytes());
    code.extend(text.as_bytes());
}

/// A little-endian number of as many bytes as it is long.
fn integer(code: &mut Vec<u8>, value: usize) {
    let bytes = (value as u64).to_le_bytes();
    // A ninth bit would be a sign.
    let length = 8 - (value as u64).leading_zeros() as usize / 8 + 1;
    code.extend([0x8a, length as u8]);
    code.extend(bytes.iter().chain([&0]).take(length));
}

fn tuple(code: &mut Vec<u8>, values: &[usize]) {
    code.push(b'(');
    for value in values {
        integer(code, *value);
    }
    code.push(b't');
}

/// Steps between neighbours along each axis, the last axis being contiguous.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// A zip archive in the making: entries are stored, not compressed, as torch requires.
struct Archive<W> {
    out: W,
    written: u64,
    /// Central directory records.
    directory: Vec<Vec<u8>>,
}

impl<W: Write> Archive<W> {
    fn store(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let too_large = |_| io::Error::other("an archive of 4 GiB or more is not supported");
        let size = u32::try_from(content.len()).map_err(too_large)?;
        let offset = u32::try_from(self.written).map_err(too_large)?;
        // Flags say that names are UTF-8; no time, no date beyond the first that there is.
        let mut common = Vec::new();
        for field in [20_u16, 0x800, 0, 0, 0x21] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc32fast::hash(content), size, size] {
            common.extend(field.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        // torch maps numbers into memory where they begin at a multiple of 64.
        let header = 30 + name.len() as u64;
        let padding = (64 - (self.written + header) % 64) % 64;
        let padding = if padding == 0 || padding >= 4 { padding } else { padding + 64 };

        let mut local = b"PK\x03\x04".to_vec();
        local.extend(&common);
        local.extend((padding as u16).to_le_bytes());
        local.extend(name.as_bytes());
        if padding > 0 {
            local.extend(b"FB");
            local.extend((padding as u16 - 4).to_le_bytes());
            local.resize(local.len() + padding as usize - 4, b'Z');
        }
        self.out.write_all(&local)?;
        self.out.write_all(content)?;
        self.written += local.len() as u64 + content.len() as u64;

        let mut record = b"PK\x01\x02\x14\x00".to_vec();
        record.extend(&common);
        // No extra field, comment, disk or attributes.
        record.extend([0; 12]);
        record.extend(offset.to_le_bytes());
        record.extend(name.as_bytes());
        self.directory.push(record);
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        let too_large = |_| io::Error::other("an archive of 4 GiB or more is not supported");
        let offset = u32::try_from(self.written).map_err(too_large)?;
        let size: usize = self.directory.iter().map(Vec::len).sum();
        for record in &self.directory {
            self.out.write_all(record)?;
        }
        let count = (self.directory.len() as u16).to_le_bytes();
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend(count.iter().chain(&count));
        end.extend((size as u32).to_le_bytes());
        end.extend(offset.to_le_bytes());
        end.extend([0; 2]);
        self.out.write_all(&end)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cp-0000.model");
        let entries = [("a", vec![2, 3], 0), ("b", vec![300], 1), ("again", vec![2, 3], 0)]
            .map(|(name, shape, storage)| Entry { name: name.to_owned(), shape, storage });
        let bytes =
            |count: usize| (0..count as u32).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let sizes = [6, 300];
        write(&path, "model_state_dict", &entries, &sizes, |index| Ok(bytes(sizes[index])))
            .unwrap();
        let read = crate::stored_tensors::open_torch(&path).unwrap();
        for (name, shape, count) in
            [("a", vec![2, 3], 6), ("b", vec![300], 300), ("again", vec![2, 3], 6)]
        {
            let tensor = &read[name];
            assert_eq!(tensor.shape[..], shape[..]);
            let expected: Vec<u8> = bytes(count);
            assert_eq!(tensor.to_bytes().unwrap()[..], expected[..]);
        }
    }
}
