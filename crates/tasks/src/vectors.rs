//! [`Vectors`]: a bag or sequence of feature vectors, in memory or in a file that is read when its turn comes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nystromformer_data::{DataError, Truncation};
use nystromformer_files::table::listed;
use nystromformer_files::tensors::{self, Element, StoredTensor};
use nystromformer_files::{FileError, say_once};

/// Name of the tensor that is taken where a file has several of two dimensions and none is named.
const USUAL_NAME: &str = "features";

/// Feature vectors of one example: how many there are, how many features each has, and where they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    len: usize,
    num_features: usize,
    /// What the features are called; none where nothing says it.
    feature_names: Arc<[String]>,
    source: Source,
}

/// Where the numbers are.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    Memory(Arc<VectorRows>),
    File(Arc<VectorFile>),
}

/// Feature vectors and what is known of their places.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorRows {
    /// Vector after vector.
    pub features: Vec<f32>,
    /// Row and column of each vector, if they are known.
    pub coordinates: Option<Vec<f32>>,
}

/// Tensors of a file.
#[derive(Debug, PartialEq)]
struct VectorFile {
    path: PathBuf,
    /// Bytes of the file when it was opened.
    bytes: u64,
    /// Name of the tensor `[n, features]`.
    features: String,
    /// Name of the tensor `[n, 2]`.
    coordinates: Option<String>,
}

impl Vectors {
    /// Vectors in memory, of `num_features` numbers each.
    ///
    /// # Panics
    ///
    /// If the numbers are no whole number of vectors, or coordinates no pair for each.
    pub fn new(num_features: usize, rows: VectorRows) -> Self {
        assert!(rows.features.len().is_multiple_of(num_features.max(1)), "vectors are whole");
        let len = rows.features.len() / num_features.max(1);
        let pairs = rows.coordinates.as_ref().map(Vec::len);
        assert!(
            pairs.is_none_or(|count| count == 2 * len),
            "a pair of coordinates for each vector"
        );
        let source = Source::Memory(Arc::new(rows));
        Self { len, num_features, feature_names: Arc::default(), source }
    }

    /// The same with a name for each feature.
    ///
    /// # Panics
    ///
    /// If there are not as many names as features.
    #[must_use]
    pub fn with_feature_names(self, feature_names: Arc<[String]>) -> Self {
        assert_eq!(feature_names.len(), self.num_features, "a name for each feature");
        Self { feature_names, ..self }
    }

    /// The vectors of a `.safetensors`, `.npy`, `.pt` or `.pth` file: the tensor of this name, or else the only one of two
    /// dimensions, or else the one called `features`. Only headers are read.
    ///
    /// # Errors
    ///
    /// [`DataError::File`] if the file is damaged or holds no such tensors, or no vector at all; [`DataError::Io`].
    pub fn in_file(
        path: &Path,
        tensor: Option<&str>,
        coordinates: Option<&str>,
    ) -> Result<Self, DataError> {
        let found = tensors::open(path)?;
        let refused = |problem: String, cure: &str| FileError::file(path, problem).with_cure(cure);
        let names = || listed(found.keys().map(String::as_str));
        let name = match tensor {
            Some(name) if found.contains_key(name) => name.to_owned(),
            // A tensor that stands alone has no name, whatever those of other files are called.
            Some(_) if found.len() == 1 && found.contains_key("") => String::new(),
            Some(name) => {
                let problem =
                    format!("it has no tensor `{name}` (`task.tensor`), only {}", names());
                return Err(refused(problem, "name one of these").into());
            }
            None => {
                let tables = || found.iter().filter(|(_, tensor)| tensor.shape().len() == 2);
                let tables = || tables().filter(|(name, _)| Some(name.as_str()) != coordinates);
                match (tables().count(), found.get(USUAL_NAME)) {
                    (1, _) => tables().map(|(name, _)| name.clone()).collect(),
                    (2.., Some(_)) => USUAL_NAME.to_owned(),
                    (0, _) => {
                        let shapes: Vec<String> =
                            found.values().map(|tensor| format!("{:?}", tensor.shape())).collect();
                        let problem = format!(
                            "it holds no tensor of shape [n, features], only {}",
                            listed(shapes.iter().map(String::as_str))
                        );
                        return Err(refused(problem, "save one vector a row").into());
                    }
                    _ => {
                        let problem =
                            format!("it holds several tensors of two dimensions: {}", names());
                        return Err(refused(
                            problem,
                            "name the one that is meant in `task.tensor`",
                        )
                        .into());
                    }
                }
            }
        };
        let [len, num_features] = *found[&name].shape() else {
            let problem = format!("`{name}` has the shape `{:?}`", found[&name].shape());
            return Err(refused(problem, "save vectors as [n, features]").into());
        };
        if len == 0 || num_features == 0 {
            let problem = format!("it holds no vectors: shape `[{len}, {num_features}]`");
            return Err(
                refused(problem, "drop this example, or give it at least one vector").into()
            );
        }
        tell_conversion(path, found[&name].element());
        if let Some(coordinates) = coordinates {
            let shape = found.get(coordinates).map(StoredTensor::shape);
            if shape != Some(&[len, 2]) {
                let found = shape.map_or("is not there".to_owned(), |shape| {
                    format!("has the shape `{shape:?}`")
                });
                let problem = format!("the tensor `{coordinates}` (`task.coordinates`) {found}");
                return Err(refused(
                    problem,
                    &format!("give row and column of each vector: [{len}, 2]"),
                )
                .into());
            }
        }
        let bytes = std::fs::metadata(path).map_err(DataError::io("read", path))?.len();
        let coordinates = coordinates.map(str::to_owned);
        let file = VectorFile { path: path.to_owned(), bytes, features: name, coordinates };
        let source = Source::File(Arc::new(file));
        Ok(Self { len, num_features, feature_names: Arc::default(), source })
    }

    /// Vectors; at least one of a file.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers of each vector.
    pub fn num_features(&self) -> usize {
        self.num_features
    }

    /// What the features are called, in their order; none where nothing says it.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// Refuses vectors that have not so many features. `others` says whose number it is, as in "the model reads `3`"; `source`
    /// is what they were read from, if they are in memory.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] with their file, and how many features they have.
    pub fn require_width(
        &self,
        num_features: usize,
        others: &str,
        source: &Path,
    ) -> Result<(), DataError> {
        if self.num_features == num_features {
            return Ok(());
        }
        let problem = format!("its vectors have `{}` features, and {others}", self.num_features);
        Err(DataError::dataset(self.path().unwrap_or(source), problem))
    }

    /// The file that they are read from; `None` if they are in memory.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::Memory(_) => None,
            Source::File(file) => Some(&file.path),
        }
    }

    /// The numbers of those that are kept.
    ///
    /// # Errors
    ///
    /// [`DataError::File`] if a number is not finite, or the file is not what it was; [`DataError::Io`].
    pub fn read(&self, truncation: Truncation) -> Result<VectorRows, DataError> {
        let kept = truncation.places(self.len);
        let cut = |numbers: &[f32], width: usize| -> Vec<f32> {
            let parts =
                kept.iter().map(|places| &numbers[places.start * width..places.end * width]);
            parts.flatten().copied().collect()
        };
        match &self.source {
            Source::Memory(rows) => Ok(VectorRows {
                features: cut(&rows.features, self.num_features),
                coordinates: rows.coordinates.as_ref().map(|places| cut(places, 2)),
            }),
            Source::File(file) => {
                // What follows the last vector that is kept is not read.
                let last =
                    kept.iter().filter(|places| !places.is_empty()).map(|places| places.end).max();
                let last = last.unwrap_or_default();
                let found = tensors::open(&file.path)?;
                let table = |name: &str, width: usize| -> Result<Vec<f32>, DataError> {
                    let tensor =
                        found.get(name).filter(|tensor| *tensor.shape() == [self.len, width]);
                    let Some(tensor) = tensor else {
                        let problem = "it was changed while it is in use";
                        return Err(FileError::file(&file.path, problem)
                            .with_cure("begin again")
                            .into());
                    };
                    let numbers = tensor.read_floats(last).map_err(|flaw| flaw.of(&file.path))?;
                    require_finite(&numbers, width, &file.path, name)?;
                    let is_all = last == kept[0].len();
                    Ok(if is_all { numbers } else { cut(&numbers, width) })
                };
                Ok(VectorRows {
                    features: table(&file.features, self.num_features)?,
                    coordinates: file
                        .coordinates
                        .as_ref()
                        .map(|name| table(name, 2))
                        .transpose()?,
                })
            }
        }
    }

    /// What tells these vectors from others, for a hash: all numbers of those in memory; of a file its name and size, and the
    /// tensors' names and shape. The folder that it lies in is no part of it.
    pub fn fingerprint(&self, mut update: impl FnMut(&[u8])) {
        for number in [self.len, self.num_features] {
            update(&(number as u64).to_le_bytes());
        }
        match &self.source {
            Source::Memory(rows) => {
                for number in rows.features.iter().chain(rows.coordinates.iter().flatten()) {
                    update(&number.to_le_bytes());
                }
            }
            Source::File(file) => {
                update(file.path.file_name().unwrap_or_default().as_encoded_bytes());
                update(&file.bytes.to_le_bytes());
                update(file.features.as_bytes());
                update(file.coordinates.as_deref().unwrap_or_default().as_bytes());
            }
        }
    }
}

/// Says once for all files of a folder that their numbers are read as another type.
fn tell_conversion(path: &Path, element: Element) {
    if element != Element::F32 {
        let folder = path.parent().unwrap_or(Path::new(""));
        say_once(format!(
            "`{}`: the vectors of some files are {}, and are read as float32",
            folder.display(),
            element.name()
        ));
    }
}

/// Refuses what no model can read.
fn require_finite(numbers: &[f32], width: usize, path: &Path, name: &str) -> Result<(), DataError> {
    let Some(place) = numbers.iter().position(|number| !number.is_finite()) else { return Ok(()) };
    let tensor = if name.is_empty() { String::new() } else { format!(" of `{name}`") };
    let problem = format!(
        "`{}` in row {}, column {}{tensor} (from 1)",
        numbers[place],
        place / width + 1,
        place % width + 1
    );
    Err(FileError::file(path, problem).with_cure("correct the vector or drop it").into())
}

#[cfg(test)]
mod tests {
    use nystromformer_data::Keep;

    use super::*;

    /// A file of safetensors with these tensors of 32-bit floats.
    fn write(path: &Path, tensors: &[(&str, &[usize], &[f32])]) {
        let mut header = serde_json::Map::new();
        let mut bytes = Vec::new();
        for (name, shape, numbers) in tensors {
            let start = bytes.len();
            bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            let entry = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, bytes.len()] });
            header.insert((*name).to_owned(), entry);
        }
        let header = serde_json::to_vec(&header).unwrap();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header);
        file.extend(bytes);
        std::fs::write(path, file).unwrap();
    }

    #[test]
    fn the_tensor_that_is_meant_is_found_or_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let open = |tensor, coordinates| {
            Vectors::in_file(&path, tensor, coordinates).map_err(|error| error.to_string())
        };
        write(
            &path,
            &[("x", &[2, 3], &[0.0; 6]), ("places", &[2, 2], &[0.0; 4]), ("id", &[1], &[7.0])],
        );
        assert_eq!(open(None, Some("places")).unwrap().num_features(), 3);
        assert_eq!(open(Some("places"), None).unwrap().num_features(), 2);
        for (tensor, coordinates, part) in [
            (None, None, "several tensors of two dimensions"),
            (Some("y"), None, "no tensor `y`"),
            (Some("id"), None, "has the shape `[1]`"),
            (Some("x"), Some("id"), "(`task.coordinates`) has the shape `[1]`"),
            (Some("x"), Some("where"), "is not there"),
        ] {
            let message = open(tensor, coordinates).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        write(&path, &[("features", &[2, 3], &[0.0; 6]), ("other", &[2, 2], &[0.0; 4])]);
        assert_eq!(open(None, None).unwrap().num_features(), 3);
        write(&path, &[("id", &[1], &[7.0])]);
        assert!(
            open(None, None).unwrap_err().contains("no tensor of shape [n, features], only `[1]`")
        );
        write(&path, &[("x", &[0, 3], &[])]);
        assert!(open(None, None).unwrap_err().contains("holds no vectors"));
    }

    #[test]
    fn what_is_kept_is_the_same_from_memory_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let numbers: Vec<f32> = (0..14u8).map(f32::from).collect();
        let places: Vec<f32> = (0..14u8).map(|i| f32::from(i) * 10.0).collect();
        write(&path, &[("x", &[7, 2], &numbers), ("at", &[7, 2], &places)]);
        let file = Vectors::in_file(&path, Some("x"), Some("at")).unwrap();
        let rows = VectorRows { features: numbers, coordinates: Some(places) };
        let memory = Vectors::new(2, rows);
        for keep in [Keep::Head, Keep::Tail, Keep::HeadTail] {
            for max_length in [1, 2, 3, 6, 7, 9] {
                let truncation = Truncation { max_length, keep };
                let found = file.read(truncation).unwrap();
                assert_eq!(found, memory.read(truncation).unwrap(), "{truncation:?}");
                assert_eq!(found.features.len(), 2 * max_length.min(7));
            }
        }
        assert_eq!(file.read(Truncation::tail(1)).unwrap().features, [12.0, 13.0]);
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_with_the_file_and_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        write(&path, &[("x", &[2, 2], &[0.0, 1.0, 2.0, f32::NAN])]);
        let file = Vectors::in_file(&path, None, None).unwrap();
        assert!(file.read(Truncation::head(1)).is_ok());
        let message = file.read(Truncation::head(2)).unwrap_err().to_string();
        assert!(message.contains("a.safetensors`: `NaN` in row 2, column 2 of `x`"), "{message}");
    }
}
