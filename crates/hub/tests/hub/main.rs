//! Downloads and pushes against a Hub on this machine; nothing leaves it.
//!
//! | module | |
//! |---|---|
//! | `local_hub` | a server that answers as the Hub does, and what was asked of it |
//! | `downloads` | what comes, where it lies, how it goes on after a break |
//! | `refusals` | what the Hub refuses, what comes damaged, and what no redirect gets |
//! | `pushes` | repositories, branches, commits, Git LFS in one piece and in parts |
//! | `official` | Hugging Face's own client beside ours, where there is one |
//! | `program` | the program built with the feature `hub`, where there is one |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

mod downloads;
mod local_hub;
mod official;
mod program;
mod pushes;
mod refusals;
