//! Retrieval: do two documents belong together? In the Long Range Arena they are papers of the ACL Anthology Network
//! (AAN), one of which cites the other or not (Radev et al. 2013); each is read byte by byte.
//!
//! | module | idea |
//! |---|---|
//! | `read` | the Arena's `new_aan_pairs.*.tsv` as examples |
//! | `generate` | pairs of made-up documents in the same files, to run the task without the papers |
//! | `task` | the task as configs know it |

mod generate;
mod read;
mod task;

use crate::SplitSizes;
use nystromformer_tasks::Split;

pub use generate::generate_files;
pub use read::open;
pub use task::Retrieval;

/// The Arena's own sizes.
pub const LRA_SIZES: SplitSizes = SplitSizes { train: 147_086, validation: 18_090, test: 17_437 };

/// The files in a folder of the Long Range Arena.
const FILES: [(Split, &str); 3] = [
    (Split::Train, "new_aan_pairs.train.tsv"),
    (Split::Validation, "new_aan_pairs.eval.tsv"),
    (Split::Test, "new_aan_pairs.test.tsv"),
];

/// The file of a split in a folder of the Long Range Arena; `None` for a split that it does not have.
pub fn file_name(split: Split) -> Option<&'static str> {
    FILES.into_iter().find(|(of, _)| *of == split).map(|(_, name)| name)
}
