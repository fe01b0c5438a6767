//! Retrieval: do two documents belong together? In the Long Range Arena they are papers of the ACL Anthology Network
//! (AAN), one of which cites the other or not (Radev et al. 2013); each is read byte by byte.
//!
//! | module | idea |
//! |---|---|
//! | `read` | the Arena's `new_aan_pairs.*.tsv` as examples |
//! | `generate` | pairs of made-up documents in the same files, to run the task without the papers |

mod generate;
mod read;

use crate::SplitSizes;
use nystromformer_tasks::Part;

pub use generate::generate_files;
pub use read::open;

/// The Arena's own sizes.
pub const LRA_SIZES: SplitSizes = SplitSizes { train: 147_086, validation: 18_090, test: 17_437 };

/// The file of a split in a folder of the Long Range Arena.
pub fn file_name(split: Part) -> &'static str {
    match split {
        Part::Train => "new_aan_pairs.train.tsv",
        Part::Validation => "new_aan_pairs.eval.tsv",
        Part::Test => "new_aan_pairs.test.tsv",
    }
}
