//! Weights: safetensors, and torch's files in both forms.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use burn::tensor::Device;
use nystromformer_interop::load_model;
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::{fixture_file, read_mutants};

/// Loads the folder in which the file lies.
fn load(weights: &Path) -> Result<(), String> {
    match load_model(weights.parent().unwrap(), &Device::flex()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn in_folder_of(form: &str, name: &str, seeds: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let config = fixture_file(&format!("interop/tests/fixtures/{form}/config.json"));
    fs::write(folder.path().join("config.json"), config).unwrap();
    let seeds: Vec<_> = seeds.iter().map(|seed| fixture_file(seed)).collect();
    read_mutants(&seeds, &folder.path().join(name), load);
}

#[test]
fn safetensors() {
    let seed = "interop/tests/fixtures/safetensors/model.safetensors";
    in_folder_of("safetensors", "model.safetensors", &[seed]);
}

#[test]
fn archives_with_pickles() {
    in_folder_of("bin", "pytorch_model.bin", &["interop/tests/fixtures/bin/pytorch_model.bin"]);
}

/// An archive's checksums refuse nearly every alteration: here the pickle is altered, and its checksum is right.
#[test]
fn pickles() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "pytorch_model.bin"] {
        let bytes = fixture_file(&format!("interop/tests/fixtures/bin/{name}"));
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let archive = folder.path().join("pytorch_model.bin");
    let mut entries = entries(&archive);
    let pickle = entries.iter().position(|(name, _)| name.ends_with("/data.pkl")).unwrap();
    let (pickle, seed) = entries.swap_remove(pickle);
    read_mutants(&[seed], &folder.path().join("data.pkl"), |path| {
        let mut writer = ZipWriter::new(fs::File::create(&archive).unwrap());
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let pickle = [(pickle.clone(), fs::read(path).unwrap())];
        for (name, bytes) in pickle.iter().chain(&entries) {
            writer.start_file(name.as_str(), stored).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap();
        load(&archive)
    });
}

/// Names and contents of an archive's files.
fn entries(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(fs::File::open(archive).unwrap()).unwrap();
    let count = archive.len();
    let entry = |index| {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.name().unwrap().to_string(), bytes)
    };
    (0..count).map(entry).collect()
}
