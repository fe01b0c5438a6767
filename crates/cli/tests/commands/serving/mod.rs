//! `serve`: the program on a port of its own, and clients that write bytes.
//!
//! | module | |
//! |---|---|
//! | `client` | a server that runs, and what it answers |
//! | `answers` | every route beside transformers; which model; the same bytes in every batch |
//! | `limits` | too much, too long, too slow |
//! | `hostile` | bytes that are no requests |
//! | `lifetime` | how a server starts and ends |

mod answers;
mod client;
mod hostile;
mod lifetime;
mod limits;
