//! Bags and sequences of feature vectors with one label each: slides cut into patches, conformations of a molecule, series of a
//! sensor.
//!
//! A data set is a folder with a table of labels, which names a file of vectors for each example, or one table with a vector in
//! each row.
//!
//! | module | idea |
//! |---|---|
//! | `task` | [`Bags`]: the task and its keys |
//! | `label_table`, `named_bags` | a table of labels beside files of vectors |
//! | `instance_table`, `instance_columns` | a table of vectors, each with the name of its bag |

mod instance_columns;
mod instance_table;
mod label_table;
mod named_bags;
mod task;

pub use task::Bags;
