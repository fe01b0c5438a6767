//! The folders of the Long Range Arena, written.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_tasks::{DataError, durable};

use super::config::{ContourLength, PathfinderConfig};
use super::drawing::draw;
use crate::picture;
use crate::writing::already_there;

/// Pictures of a folder `imgs/N`.
const PICTURES_PER_FOLDER: u64 = 1000;

/// Where the Long Range Arena keeps pictures of a size and difficulty: `pathfinder32/curv_contour_length_14`.
pub fn subset_folder(root: &Path, side: usize, contour: ContourLength) -> PathBuf {
    root.join(format!("pathfinder{side}")).join(contour.folder_name())
}

/// Draws `examples` pictures under `root` and returns their folder, [`subset_folder`]: `imgs/N/sample_M.png`, and
/// `metadata/N.npy`, which is text, a line for each picture: folder, file, number, label, dashes of the long curves, most
/// dashes of distractors, seed.
///
/// The folder appears when all of it is written; it is not replaced. Pictures are not synced to the disk one by one, which
/// would take longer than drawing them: after a power cut within the next minute, draw them again.
///
/// # Errors
///
/// [`DataError::Dataset`] if the folder is there already, [`DataError::Config`] for a size that is not drawn,
/// [`DataError::Io`].
pub fn generate_files(
    root: &Path,
    config: PathfinderConfig,
    examples: u64,
    seed: u64,
) -> Result<PathBuf, DataError> {
    config.validate()?;
    let folder = subset_folder(root, config.side, config.contour);
    if folder.exists() {
        return Err(already_there(&folder));
    }
    let scratch = durable::scratch_sibling(&folder);
    let written = write(&scratch, config, examples, seed);
    if let Err(error) = written {
        // What went wrong is worth more than a second error about the part that was written.
        let _ = fs::remove_dir_all(&scratch);
        return Err(error);
    }
    durable::rename(&scratch, &folder)?;
    Ok(folder)
}

fn write(
    folder: &Path,
    config: PathfinderConfig,
    examples: u64,
    seed: u64,
) -> Result<(), DataError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(DataError::io("remove", folder))?;
    }
    let metadata = folder.join("metadata");
    fs::create_dir_all(&metadata).map_err(DataError::io("make", &metadata))?;
    for group in 0..examples.div_ceil(PICTURES_PER_FOLDER) {
        let pictures = folder.join(format!("imgs/{group}"));
        fs::create_dir_all(&pictures).map_err(DataError::io("make", &pictures))?;
        let first = group * PICTURES_PER_FOLDER;
        let mut lines = String::new();
        for number in first..examples.min(first + PICTURES_PER_FOLDER) {
            let drawing = draw(config, seed, number);
            let name = format!("sample_{}.png", number - first);
            let path = pictures.join(&name);
            let side = config.side as u32;
            fs::write(&path, picture::encode(side, side, &drawing.pixels))
                .map_err(DataError::io("write", &path))?;
            let (label, dashes) = (u8::from(drawing.joined), config.contour.dashes());
            let most = config.distractor_dashes;
            writeln!(lines, "imgs/{group} {name} {number} {label} {dashes} {most} {seed}")
                .expect("memory takes any number of bytes");
        }
        let path = metadata.join(format!("{group}.npy"));
        fs::write(&path, lines).map_err(DataError::io("write", &path))?;
    }
    Ok(())
}
