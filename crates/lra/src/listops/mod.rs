//! ListOps: the value of a nested expression of list operations, a digit (Nangia and Bowman 2018, "ListOps: A
//! Diagnostic Dataset for Latent Tree Learning"; in the long form of the Long Range Arena).
//!
//! ```text
//! [MAX 4 3 [MIN 2 3 ] 1 0 [MED 1 5 8 9 2 ] ]    is 5
//! ```
//!
//! ```
//! use nystromformer_lra::listops::{GeneratorConfig, evaluate, expressions, symbols};
//!
//! let parsed = symbols("( ( ( [SM 7 ) ( ( ( [MED 1 ) 6 ) ] ) ) ] )")?; // the median of 1 and 6 is 3
//! assert_eq!(evaluate(&parsed)?, 0);
//!
//! let mut generated = expressions(GeneratorConfig::default(), 7)?;
//! let expression = generated.next().ok_or("there are many")??;
//! assert!((501..2000).contains(&expression.tokens.len()));
//! assert_eq!(evaluate(&expression.tokens)?, expression.value);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `symbol` | the 15 symbols and their ids |
//! | `evaluate` | the value of an expression |
//! | `generate` | random expressions by the Arena's rules |
//! | `files` | splits written as the Arena's `basic_*.tsv` |
//! | `read` | those files, and `label TAB expression`, as examples |
//! | `task` | the task as configs know it |

mod evaluate;
mod files;
mod generate;
mod read;
mod symbol;
mod task;

pub use evaluate::{ExpressionError, evaluate};
pub use files::{Generated, LRA_SIZES, file_name, generate_files};
pub use generate::{Expression, Expressions, GeneratorConfig, expressions};
pub use read::open;
pub use symbol::{Operator, Symbol, UnknownSymbol, symbols, with_parentheses};
pub use task::Listops;

/// Ids of the vocabulary: padding (0) and the 15 symbols.
pub const VOCAB_SIZE: usize = 16;

/// Values that an expression can have: the digits.
pub const NUM_LABELS: usize = 10;
