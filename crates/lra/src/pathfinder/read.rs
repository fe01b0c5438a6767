//! Folders of the Long Range Arena as examples.

use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_tasks::{
    DataError, Example, ExampleReader, Input, Label, Split, random, say_once,
};

use crate::picture;
use crate::reading::{NumberedLines, reader};

/// Bytes of a line of metadata that is still read.
const MAX_LINE_BYTES: usize = 1 << 12;

/// A picture that is there, and its label.
struct Listed {
    /// What the metadata calls it, `imgs/N/sample_M.png`.
    name: String,
    path: PathBuf,
    label: u16,
}

/// Opens a split (`None` if the Arena has no such) of a folder such as `pathfinder32/curv_contour_length_14` ([`subset_folder`](super::subset_folder)),
/// whose pictures have `side` × `side` pixels. An input id is the grey of a pixel, 0 to 255, row by row; class 1 is joined. A prediction
/// names a picture as the metadata does, `imgs/N/sample_M.png`.
///
/// As in the Long Range Arena, empty files are passed over, and the rest is shuffled and cut into 80 % to train, 10 % to
/// validate and 10 % to test; what goes where is a function of `seed` here. Pictures are decoded when they are read.
///
/// # Errors
///
/// [`DataError::Dataset`] if the folder is not of this layout, [`DataError::Line`] for metadata that names no picture or
/// no label; the reader gives [`DataError::Dataset`] for a file that is no such picture.
pub fn open(
    folder: &Path,
    side: usize,
    split: Split,
    seed: u64,
) -> Result<Option<ExampleReader>, DataError> {
    let mut pictures = list(folder)?;
    random::shuffle(&mut pictures, &mut random::stream(seed, "pathfinder splits", 0));
    let [train, validation] = [pictures.len() * 8 / 10, pictures.len() * 9 / 10];
    let range = match split {
        Split::Train => 0..train,
        Split::Validation => train..validation,
        Split::Test => validation..pictures.len(),
        Split::ValidationMismatched | Split::TestMismatched => return Ok(None),
    };
    let pictures: Vec<Listed> = pictures.drain(range).collect();
    let examples = pictures.into_iter().map(move |picture| {
        let pixels = picture::read_grayscale(&picture.path, side)?;
        let first = pixels.into_iter().map(u16::from).collect();
        Ok(Example {
            id: Some(picture.name),
            row: None,
            input: Input::Ids { first, second: None },
            label: Some(Label::Class(picture.label)),
        })
    });
    Ok(Some(reader(folder, examples)))
}

/// The pictures that the metadata of a folder names, in the order of its numbers.
fn list(folder: &Path) -> Result<Vec<Listed>, DataError> {
    let metadata = folder.join("metadata");
    let mut files: Vec<(u64, PathBuf)> = Vec::new();
    let absent = "expected `metadata/N.npy` and `imgs/N/sample_M.png`, as in `pathfinder32/curv_contour_length_14` of the \
                  Long Range Arena; `generate pathfinder --output DIR` draws such pictures";
    if !metadata.is_dir() {
        return Err(DataError::dataset(folder, format!("there is no folder `metadata`; {absent}")));
    }
    for entry in fs::read_dir(&metadata).map_err(DataError::io("list", &metadata))? {
        let path = entry.map_err(DataError::io("list", &metadata))?.path();
        let number =
            path.file_name().and_then(|name| name.to_str()?.strip_suffix(".npy")?.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    files.sort();
    let (mut pictures, mut empty) = (Vec::new(), 0_u64);
    for (_, file) in files {
        for line in NumberedLines::open(&file, MAX_LINE_BYTES)? {
            let (number, line) = line?;
            if line.trim().is_empty() {
                continue;
            }
            let listed =
                parse(folder, &line).map_err(|problem| DataError::line(&file, number, problem))?;
            empty += u64::from(listed.is_none());
            pictures.extend(listed);
        }
    }
    if pictures.is_empty() {
        return Err(DataError::dataset(folder, format!("it holds no pictures; {absent}")));
    }
    if empty > 0 {
        say_once(format!(
            "`{}`: {empty} of {} pictures are empty files and left out",
            folder.display(),
            pictures.len() as u64 + empty
        ));
    }
    Ok(pictures)
}

/// The picture of a line of metadata; `None` if its file is empty, as some of the Arena's are.
fn parse(folder: &Path, line: &str) -> Result<Option<Listed>, String> {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    let [directory, file, _, label, ..] = columns.as_slice() else {
        return Err(format!(
            "expected folder, file, number and label with blanks between them, found {} columns",
            columns.len()
        ));
    };
    let label = match *label {
        "0" => 0,
        "1" => 1,
        other => return Err(format!("label `{other}` is neither `0` nor `1`")),
    };
    let path = folder.join(directory).join(file);
    let bytes = fs::metadata(&path)
        .map_err(|error| format!("cannot read the picture `{}`: {error}", path.display()))?
        .len();
    let name = format!("{directory}/{file}");
    Ok((bytes > 0).then_some(Listed { name, path, label }))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::config::{ContourLength, PathfinderConfig};
    use super::super::drawing::draw;
    use super::super::files::generate_files;
    use super::*;

    fn pixels(example: Example) -> (Vec<u16>, u16) {
        match example {
            Example {
                id: Some(name),
                row: None,
                input: Input::Ids { first, second: None },
                label: Some(Label::Class(label)),
            } if name.starts_with("imgs/") => (first, label),
            other => panic!("{other:?}"),
        }
    }

    fn read(folder: &Path, split: Split, seed: u64) -> Result<Vec<(Vec<u16>, u16)>, DataError> {
        open(folder, 32, split, seed)?.unwrap().map(|example| example.map(pixels)).collect()
    }

    fn generated() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let config =
            PathfinderConfig { contour: ContourLength::Six, ..PathfinderConfig::default() };
        let folder = generate_files(root.path(), config, 30, 8).unwrap();
        assert!(folder.ends_with("pathfinder32/curv_baseline"));
        assert!(generate_files(root.path(), config, 30, 8).is_err());
        (root, folder)
    }

    #[test]
    fn what_is_drawn_is_read_back_once_over_all_splits() {
        let (_root, folder) = generated();
        let splits = Split::USUAL.map(|split| read(&folder, split, 1).unwrap());
        assert_eq!(splits.each_ref().map(Vec::len), [24, 3, 3]);
        let config =
            PathfinderConfig { contour: ContourLength::Six, ..PathfinderConfig::default() };
        let drawn: HashSet<(Vec<u16>, u16)> = (0..30)
            .map(|number| {
                let drawing = draw(config, 8, number);
                (drawing.pixels.into_iter().map(u16::from).collect(), u16::from(drawing.joined))
            })
            .collect();
        let read_back: HashSet<_> = splits.iter().flatten().cloned().collect();
        assert_eq!(read_back, drawn);
        assert_eq!(read(&folder, Split::Test, 1).unwrap(), splits[2]);
        assert_ne!(read(&folder, Split::Test, 2).unwrap(), splits[2]);
    }

    #[test]
    fn empty_pictures_are_passed_over() {
        let (_root, folder) = generated();
        for number in 0..10 {
            fs::write(folder.join(format!("imgs/0/sample_{number}.png")), "").unwrap();
        }
        let splits = Split::USUAL.map(|split| read(&folder, split, 1).unwrap().len());
        assert_eq!(splits, [16, 2, 2]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let (_root, folder) = generated();
        let metadata = folder.join("metadata/0.npy");
        for (line, message) in [
            ("imgs/0 sample_0.png 0 2\n", "0.npy:1: label `2`"),
            ("imgs/0 sample_0.png 0 1\nimgs/0\n", "0.npy:2: expected folder"),
            ("imgs/0 absent.png 0 1\n", "0.npy:1: cannot read the picture"),
            ("\n", "holds no pictures"),
            ("imgs/0 sample_0.png 0 1\n", "holds no examples"),
        ] {
            fs::write(&metadata, line).unwrap();
            let error = read(&folder, Split::Train, 0).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        fs::write(folder.join("imgs/0/sample_0.png"), "no picture").unwrap();
        let error = read(&folder, Split::Test, 0).unwrap_err().to_string();
        assert!(
            error.contains("sample_0.png") && error.contains("neither PNG nor JPEG"),
            "{error}"
        );
        let error = read(Path::new("absent"), Split::Test, 0).unwrap_err().to_string();
        assert!(error.contains("generate pathfinder"), "{error}");
    }
}
