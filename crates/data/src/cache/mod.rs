//! The token cache: the corpus as one long, memory-mapped sequence of token ids.
//!
//! A finished cache is a folder named by its key, a hash of corpus, tokenizer and the version of this code. It holds, for each
//! shard of the corpus, the tokens of its documents one after the other, each document closed by the
//! separator token, and a table of the documents' lengths; and a `manifest.json`, written last, with
//! the length and hash of each file. Block length, packing and the validation split are not part of
//! it: they are views on the same cache.
//!
//! A cache of segments, which sentence order prediction reads, has no separators but a third file for
//! each shard, a table of where segments end. Its segments were tokenised one by one, so its tokens may
//! differ from those of the documents.
//!
//! A cache being built is a folder `….partial`. Its finished shards survive an interruption; the next
//! build takes them over. A lock file lets one process build while others wait.
//!
//! | module | does |
//! |---|---|
//! | `layout` | names and formats of the files |
//! | `build` | tokenises the corpus, going on where an earlier build stopped |
//! | `shard` | writes the files of a shard |
//! | `store` | opens, checks and reads a finished cache |
//! | `segments` | where segments end |
//! | `map` | files as memory |
//! | `lock` | one builder at a time |

mod build;
mod layout;
mod lock;
mod map;
mod segments;
mod shard;
mod store;

pub(crate) use build::build;
pub(crate) use layout::{Contents, Document, FORMAT_VERSION};
pub(crate) use lock::CacheLock;
pub(crate) use store::TokenStore;
