//! The Long Range Arena: five tasks of long sequences (Tay et al. 2020, "Long Range Arena: A Benchmark for Efficient
//! Transformers"). Readers of its files, and generators of what can be generated.
//!
//! Each task reads symbols, bytes or pixels, so an [`Example`](nystromformer_tasks::Example) comes as ids of the task's own
//! vocabulary. In those of symbols and bytes 0 is padding; pictures have no padding, and their 0 is black.
//!
//! | module | idea |
//! |---|---|
//! | [`listops`] | nested operations on digits: grammar, generator, files |
//! | [`pathfinder`] | curves to be followed: pictures drawn, and read |
//! | [`image`] | CIFAR-10 in its three forms |
//! | [`retrieval`] | pairs of documents: the Arena's, and made-up ones |
//! | `text` | film reviews byte by byte |
//! | [`bytes`] | text as bytes, for the tasks of text and retrieval |
//! | `keys` | keys of `[task]` that several of them have |
//! | `sizes` | how large generated data sets are |
//! | `reading` | lines of bounded length; readers that stop after an error |
//! | `writing` | files of generated lines, whole or not at all |
//! | `picture` | picture files as grey pixels |

pub mod bytes;
pub mod image;
mod keys;
pub mod listops;
pub mod pathfinder;
mod picture;
mod reading;
pub mod retrieval;
mod sizes;
mod text;
mod writing;

pub use keys::{ByteDropout, HorizontalFlip, MaskBlackPixels, PrependCls};
pub use sizes::SplitSizes;
pub use text::ByteLevelText;

use nystromformer_tasks::TaskRegistry;

/// These tasks with the Arena's five: `listops`, `text`, `retrieval`, `image` and `pathfinder`.
#[must_use]
pub fn with_tasks(tasks: TaskRegistry) -> TaskRegistry {
    tasks
        .with::<listops::Listops>("listops")
        .with::<ByteLevelText>("text")
        .with::<retrieval::Retrieval>("retrieval")
        .with::<image::Image>("image")
        .with::<pathfinder::Pathfinder>("pathfinder")
}
