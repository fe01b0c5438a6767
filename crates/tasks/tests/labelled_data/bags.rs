//! Bags of feature vectors: tables of labels beside files, and tables of vectors.

use std::fs;
use std::path::Path;

use nystromformer_tasks::{Example, Input, Label, Split, TaskConfig, Truncation};

/// A file as NumPy writes vectors of two features.
fn npy(path: &Path, vectors: &[[f32; 2]]) {
    let shape = format!("({}, 2)", vectors.len());
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(vectors.iter().flatten().flat_map(|number| number.to_le_bytes()));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// The task `bags` on a folder or file, with further lines of `[task]`, for a model that calls its features so.
fn task(path: &Path, further: &str, feature_names: &[&str]) -> TaskConfig {
    let table = format!(
        "name = \"bags\"\npath = \"{}\"\nlabels = [\"0\", \"1\"]\n{further}",
        path.display()
    );
    let names: Vec<String> = feature_names.iter().map(|name| (*name).to_owned()).collect();
    let task = nystromformer_tasks::tasks().read(&table.parse().unwrap()).unwrap();
    task.with_feature_names(&names)
}

fn read(task: &TaskConfig, split: Split) -> Result<Vec<Example>, String> {
    let told = |error: nystromformer_tasks::DataError| error.to_string();
    let targets = task.targets(128).map_err(told)?;
    let examples = task.examples(split, &targets, 128).map_err(told)?;
    examples.into_iter().flatten().collect::<Result<_, _>>().map_err(told)
}

fn read_file(task: &TaskConfig, file: &Path) -> Result<Vec<Example>, String> {
    let told = |error: nystromformer_tasks::DataError| error.to_string();
    let targets = task.targets(128).map_err(told)?;
    let examples = task.file_examples(file, &targets, 128).map_err(told)?;
    examples.collect::<Result<_, _>>().map_err(told)
}

/// Each bag's name, and its vectors end to end.
fn vectors(examples: &[Example]) -> Vec<(&str, Vec<f32>)> {
    examples.iter().map(named_vectors).collect()
}

fn named_vectors(example: &Example) -> (&str, Vec<f32>) {
    let (Some(id), Input::Vectors(vectors)) = (&example.id, &example.input) else {
        panic!("bags of vectors are read, and not {example:?}")
    };
    (id, vectors.read(Truncation::head(100)).unwrap().features)
}

const TABLE: &str = "bag,a,b,label\nM,1,2,0\nM,3,4,0\nN,5,6,1\n";

#[test]
fn columns_of_a_table_of_vectors_are_told_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.csv", TABLE);
    let path = folder.path().join("train.csv");
    let trained = read(&task(&path, "", &[]), Split::Train).unwrap();
    let expected = [("M", vec![1.0, 2.0, 3.0, 4.0]), ("N", vec![5.0, 6.0])];
    assert_eq!(vectors(&trained), expected);
    let Input::Vectors(first) = &trained[0].input else { panic!("vectors are read") };
    assert_eq!(first.feature_names(), ["a", "b"]);

    let names = ["a", "b"];
    let other = folder.path().join("other.csv");
    write(folder.path(), "other.csv", "b,label,a,bag\n2,0,1,M\n4,0,3,M\n6,1,5,N\n");
    assert_eq!(vectors(&read_file(&task(&path, "", &names), &other).unwrap()), expected);
    assert_eq!(vectors(&read(&task(&other, "", &names), Split::Train).unwrap()), expected);
    // A model may have another order than its data had.
    let swapped = read_file(&task(&path, "", &["b", "a"]), &path).unwrap();
    assert_eq!(vectors(&swapped)[1], ("N", vec![6.0, 5.0]));

    for (content, further, problem) in [
        ("bag,a\nM,1\n", "", Some("lacks features of the model: `b`; add them")),
        ("bag,a,b,c\nM,1,2,9\n", "", Some("that are no features of the model: `c`; correct")),
        ("bag,a,B\nM,1,2\n", "", Some("model: `b`; and has columns that are none: `B`")),
        ("bag,a,b,c\nM,1,2,9\n", "remove_columns = [\"c\"]", None),
        ("bag,b,a\nM,2,1\n", "remove_columns = [\"c\"]", None),
        // What is to be predicted needs no label.
        ("bag,b,a,label\nM,2,1,unknown\n", "", None),
    ] {
        write(folder.path(), "other.csv", content);
        let found = read_file(&task(&path, further, &names), &other);
        match problem {
            None => assert_eq!(vectors(&found.unwrap()), [("M", vec![1.0, 2.0])], "{content}"),
            Some(problem) => {
                let message = found.unwrap_err();
                assert!(message.contains("other.csv:1: it "), "{message}");
                assert!(message.contains(problem), "{message}");
            }
        }
    }
}

#[test]
fn columns_without_names_are_told_by_their_places() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.csv", "M,x,1,2,0\nN,y,5,6,1\n");
    let path = folder.path().join("train.csv");
    let further = "header = false\nlabel = 4\nremove_columns = [1]";
    let trained = read(&task(&path, further, &[]), Split::Train).unwrap();
    let Input::Vectors(first) = &trained[0].input else { panic!("vectors are read") };
    assert_eq!(first.feature_names(), ["2", "3"]);
    let gone = task(&folder.path().join("gone"), further, &["2", "3"]);
    write(folder.path(), "new.csv", "M,x,1,2\n");
    let new = folder.path().join("new.csv");
    assert_eq!(vectors(&read_file(&gone, &new).unwrap()), [("M", vec![1.0, 2.0])]);
    write(folder.path(), "new.csv", "M,x,1,2,0,7\n");
    assert!(read_file(&gone, &new).unwrap_err().contains("no features of the model: `5`"));
}

/// What a table at hand holds does not hang on what the model was trained on being there still.
#[test]
fn a_table_of_vectors_and_one_of_labels_are_told_apart_where_the_data_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "vectors.csv", TABLE);
    npy(&folder.path().join("M.npy"), &[[1.0, 2.0]]);
    let gone = folder.path().join("gone");
    let by_file = |name: &str, names: &[&str]| {
        read_file(&task(&gone, "id = \"bag\"", names), &folder.path().join(name))
    };
    let expected = [("M", vec![1.0, 2.0, 3.0, 4.0]), ("N", vec![5.0, 6.0])];
    assert_eq!(vectors(&by_file("vectors.csv", &["a", "b"]).unwrap()), expected);
    fs::rename(folder.path().join("M.npy"), folder.path().join("O.npy")).unwrap();
    assert_eq!(vectors(&by_file("vectors.csv", &[]).unwrap()), expected);
    write(folder.path(), "labels.csv", "bag,label,hospital\nO,0,x\n");
    for names in [&[][..], &["a", "b"]] {
        assert_eq!(vectors(&by_file("labels.csv", names).unwrap()), [("O", vec![1.0, 2.0])]);
    }
}

#[test]
fn a_bag_is_of_one_split_by_whatever_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c", "d"] {
        npy(&folder.path().join(format!("files/{name}.npy")), &[[1.0, 2.0]]);
    }
    let task = task(folder.path(), "", &[]);
    write(folder.path(), "train.csv", "id,label\nfiles/a,0\nfiles/b,1\n");
    write(folder.path(), "validation.csv", "id,label\nfiles/c,1\n");
    write(folder.path(), "test.csv", "id,label\nfiles/d,1\n");
    for (split, count) in [(Split::Train, 2), (Split::Validation, 1), (Split::Test, 1)] {
        assert_eq!(read(&task, split).unwrap().len(), count, "{split:?}");
    }
    for (file, split, id, place) in [
        ("validation.csv", Split::Validation, "files/b", "train.csv:3` too"),
        ("test.csv", Split::Test, "files/c.npy", "validation.csv:2` too"),
        ("test.csv", Split::Test, "files/../files/a", "train.csv:2` too"),
    ] {
        let intact = fs::read_to_string(folder.path().join(file)).unwrap();
        write(folder.path(), file, &format!("{intact}{id},0\n"));
        let message = read(&task, split).unwrap_err();
        for part in [&format!("{file}:3: the bag `{id}` is in `"), place] {
            assert!(message.contains(part), "{message}");
        }
        write(folder.path(), file, &intact);
    }
    write(folder.path(), "train.csv", "id,label\nfiles/a,0\nfiles/a.npy,1\n");
    let message = read(&task, Split::Train).unwrap_err();
    assert!(message.contains("train.csv:3: the bag `files/a.npy` is in line 2 too"), "{message}");

    // Folders of splits have files of their own, which may be called alike.
    let folder = tempfile::tempdir().unwrap();
    for split in ["train", "test"] {
        npy(&folder.path().join(split).join("a.npy"), &[[1.0, 2.0]]);
        write(folder.path(), &format!("{split}/labels.csv"), "id,label\na,1\n");
    }
    let task = self::task(folder.path(), "", &[]);
    let test = read(&task, Split::Test).unwrap();
    assert_eq!((test.len(), &test[0].label), (1, &Some(Label::Class(1))));
}
