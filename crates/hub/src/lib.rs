//! Models on the [Hugging Face Hub](https://huggingface.co), or on a server that answers as it does.
//!
//! [`Hub::download`] brings the files of a model that the caller reads into the cache that Hugging Face's own tools use, so that
//! neither downloads what the other has. Downloads go on where they broke off, and are checked by size and checksum.
//! [`Hub::push`] commits a folder: small files inside the commit, large ones by Git LFS.
//!
//! The access token goes to the Hub's own address and nowhere else, whatever redirects say, and is part of no message.
//! Everything that an answer names (files, revisions, checksums) is checked before it becomes a path.
//!
//! | file | idea |
//! |---|---|
//! | [`name`] | `owner/name@revision` |
//! | [`settings`] | what the environment says: address, cache, token, time limits |
//! | `token` | a secret that no text shows |
//! | `client` | one request: redirects, the token, tries |
//! | `answers` | what an answer means, in words |
//! | `cache` | where files lie, and who is writing them |
//! | `wanted` | which files of a repository are downloaded |
//! | `checksum` | what the bytes of a file are to be |
//! | `download`, `fetch` | from a name to a folder; one file of it |
//! | [`push`] | from a folder to a commit |
//! | `error` | what can go wrong |
//!
//! The crate `hf-hub` 0.5 downloads and does nothing else: it checks no checksum, has no offline mode and no upload, and reads neither
//! `HF_TOKEN` nor `HF_HUB_CACHE`. So requests are made here, with `ureq`.

mod answers;
mod cache;
mod checksum;
mod client;
mod download;
mod error;
mod fetch;
pub mod name;
pub mod push;
pub mod settings;
mod token;
mod wanted;

pub use download::Snapshot;
pub use error::{HubError, Result};
pub use name::ModelName;
pub use push::{Folder, PushOptions, Pushed};
pub use settings::Settings;
pub use token::Token;
pub use wanted::Wanted;

use cache::Cache;
use client::Client;

/// Told how many bytes of how many are through.
pub type Progress<'a> = &'a dyn Fn(u64, u64);

/// The Hub, as the [`Settings`] say where it is and who asks.
///
/// ```no_run
/// use nystromformer_hub::{Hub, ModelName, Settings, Wanted};
///
/// # fn main() -> Result<(), nystromformer_hub::HubError> {
/// let hub = Hub::new(Settings::from_environment()?)?;
/// let name = ModelName::parse("uw-madison/nystromformer-512")?;
/// let wanted = Wanted { files: &["tokenizer.json", "config.json"], weights: &["model.safetensors"] };
/// let model = hub.download(&name, wanted, &|done, total| eprintln!("{done} of {total} bytes"))?;
/// println!("{}", model.folder.display());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Hub {
    client: Client,
    cache: Cache,
    offline: bool,
}

impl Hub {
    /// The Hub of these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// [`HubError::Usage`] if a setting cannot be meant: an address that is none, certificates that cannot be read.
    pub fn new(settings: Settings) -> Result<Self> {
        let cache = Cache::new(settings.cache.clone());
        let offline = settings.offline;
        Ok(Self { client: Client::new(settings)?, cache, offline })
    }
}
