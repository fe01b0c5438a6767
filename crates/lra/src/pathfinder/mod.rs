//! Pathfinder: are two discs joined by one dashed curve? (Linsley et al. 2018, "Learning long-range spatial dependencies
//! with horizontal gated recurrent units"; in the form of the Long Range Arena.)
//!
//! Every picture shows two long curves, shorter distractors, and two discs. Both labels draw the same scenes: a scene is
//! drawn first, and the label then says where the second disc goes, to the other end of its curve or to an end of the
//! other long curve. A scene is kept only if both places are about equally far from the first disc, and lie about
//! equally in the direction that the curves take there. So neither the number of bright pixels nor where the discs lie
//! tells the label, and a curve has to be followed.
//!
//! | module | idea |
//! |---|---|
//! | `config` | size and difficulty |
//! | `curve` | a curve as a random walk |
//! | `scene` | curves, distractors and discs in the unit square |
//! | `drawing` | scenes as grey pixels |
//! | `files` | the folders of the Long Range Arena, written |
//! | `read` | those folders as examples |
//! | `task` | the task as configs know it |

mod config;
mod curve;
mod drawing;
mod files;
mod read;
mod scene;
mod task;

pub use config::{ContourLength, PathfinderConfig};
pub use drawing::{Drawing, draw};
pub use files::{generate_files, subset_folder};
pub use read::open;
pub use task::Pathfinder;
