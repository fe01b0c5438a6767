//! The three forms of the data, each made here from the same pictures.

use std::fs;

use super::batch::PICTURE_BYTES;
use super::*;
use crate::picture::{encode, luminance};

/// Pictures of a training batch; a test batch has as many.
const PICTURES: usize = 4;

fn record(number: usize) -> (u8, Vec<u8>) {
    let bytes = (0..PICTURE_BYTES).map(|byte| (byte * (number + 1) + byte / 7) as u8).collect();
    ((number % 10) as u8, bytes)
}

fn write(folder: &Path, format: BatchForm) {
    let names = format.train_names().into_iter().chain([match format {
        BatchForm::Binary => "test_batch.bin".to_owned(),
        BatchForm::Python => "test_batch".to_owned(),
    }]);
    for (batch, name) in names.enumerate() {
        let records: Vec<(u8, Vec<u8>)> =
            (0..PICTURES).map(|picture| record(batch * PICTURES + picture)).collect();
        let (labels, pictures): (Vec<u8>, Vec<Vec<u8>>) = records.iter().cloned().unzip();
        let bytes = match format {
            BatchForm::Python => pickle::tests::pickled(&labels, &pictures.concat()),
            BatchForm::Binary => records
                .into_iter()
                .flat_map(|(label, picture)| std::iter::once(label).chain(picture))
                .collect(),
        };
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn read(folder: &Path, split: Split) -> Result<Vec<Example>, DataError> {
    open(folder, split, 1)?.unwrap().collect()
}

fn expected(number: usize) -> Example {
    let (label, bytes) = record(number);
    let pixel = |at| luminance([bytes[at], bytes[1024 + at], bytes[2048 + at]]);
    example((0..1024).map(pixel), label.into())
}

#[test]
fn both_official_forms_give_the_same_pictures_in_their_order() {
    for format in [BatchForm::Binary, BatchForm::Python] {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join(format.folder_name());
        fs::create_dir(&inner).unwrap();
        write(&inner, format);
        // 20 pictures: the last tenth validates.
        let numbers = [(Split::Train, 0..18), (Split::Validation, 18..20), (Split::Test, 20..24)];
        for (split, numbers) in numbers {
            // Rows are those of the training files.
            let row = |number| (split == Split::Validation).then_some(number);
            let expected: Vec<Example> =
                numbers.map(|number| Example { row: row(number), ..expected(number) }).collect();
            assert_eq!(read(folder.path(), split).unwrap(), expected, "{format:?} {split:?}");
            assert_eq!(read(&inner, split).unwrap(), expected);
        }
        assert_eq!(class_names(folder.path()).unwrap()[3], "cat");
    }
}

#[test]
fn damaged_batches_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), BatchForm::Binary);
    let batch = folder.path().join("data_batch_2.bin");
    let whole = fs::read(&batch).unwrap();
    for (bytes, message) in [
        (whole[..whole.len() - 1].to_vec(), "not a whole number of pictures"),
        (Vec::new(), "0 bytes are not"),
        ([&[10], &whole[1..]].concat(), "the label of picture 0 is `10`"),
    ] {
        fs::write(&batch, bytes).unwrap();
        for split in [Split::Train, Split::Validation] {
            let error = read(folder.path(), split).unwrap_err().to_string();
            assert!(error.contains("data_batch_2.bin") && error.contains(message), "{error}");
        }
    }
    fs::remove_file(&batch).unwrap();
    let error = read(folder.path(), Split::Train).unwrap_err().to_string();
    assert!(error.contains("data_batch_2.bin") && error.contains("missing"), "{error}");
}

fn write_folders(folder: &Path) {
    for (split, pictures) in [("train", 10), ("test", 2)] {
        for (class, grey) in [("cat", 10), ("ant", 90)] {
            let class_folder = folder.join(split).join(class);
            fs::create_dir_all(&class_folder).unwrap();
            for picture in 0..pictures {
                let file = encode(32, 32, &[grey + picture; 1024]);
                fs::write(class_folder.join(format!("{picture}.PNG")), file).unwrap();
            }
            fs::write(class_folder.join("notes.txt"), "no picture").unwrap();
        }
        fs::create_dir(folder.join(split).join(".hidden")).unwrap();
    }
}

/// Label and grey of each picture, which is of one grey.
fn greys(folder: &Path, split: Split) -> Vec<(u16, u16)> {
    let examples = read(folder, split).unwrap().into_iter();
    examples
        .map(|example| match (example.input, example.label) {
            (Input::Ids { first, second: None }, Some(Label::Class(class))) => (class, first[0]),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn class_folders_are_labelled_by_name_and_shuffled_before_they_are_split() {
    let folder = tempfile::tempdir().unwrap();
    write_folders(folder.path());
    assert_eq!(class_names(folder.path()).unwrap(), ["ant", "cat"]);
    assert_eq!(greys(folder.path(), Split::Test), [(0, 90), (0, 91), (1, 10), (1, 11)]);
    let mut all = greys(folder.path(), Split::Train);
    assert_eq!(all.len(), 18);
    assert!(!all.is_sorted());
    all.extend(greys(folder.path(), Split::Validation));
    all.sort_unstable();
    let expected: Vec<(u16, u16)> =
        (90..100).map(|grey| (0, grey)).chain((10..20).map(|grey| (1, grey))).collect();
    assert_eq!(all, expected);
}

#[test]
fn folders_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path(), Split::Train).unwrap_err().to_string();
    assert!(error.contains("there is no CIFAR-10"), "{error}");
    write_folders(folder.path());
    fs::create_dir(folder.path().join("test/dog")).unwrap();
    let error = read(folder.path(), Split::Test).unwrap_err().to_string();
    assert!(error.contains("no training pictures of class `dog`"), "{error}");
    let picture = folder.path().join("train/ant/3.PNG");
    fs::write(&picture, encode(8, 8, &[0; 64])).unwrap();
    let error = read(folder.path(), Split::Train).unwrap_err().to_string();
    assert!(error.contains("3.PNG") && error.contains("8 × 8 pixels"), "{error}");
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        let nameless = std::ffi::OsStr::from_bytes(b"train/caf\xe9");
        fs::create_dir(folder.path().join(nameless)).unwrap();
        let error = read(folder.path(), Split::Train).unwrap_err().to_string();
        assert!(error.contains("caf") && error.contains("not UTF-8"), "{error}");
        fs::remove_dir(folder.path().join(nameless)).unwrap();
    }
    fs::remove_dir_all(folder.path().join("train/ant")).unwrap();
    let error = read(folder.path(), Split::Train).unwrap_err().to_string();
    assert!(error.contains("several classes, found 1"), "{error}");
}
