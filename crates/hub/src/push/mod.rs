//! From a folder to a commit.
//!
//! The Hub says of each file how it wants it: inside the commit, or before it by Git LFS, in one piece or in parts.

mod commit;
mod folder;
mod lfs;

pub use folder::{Folder, LocalFile};

use serde_json::{Value, json};

use crate::{
    Hub, Progress,
    client::{Call, quoted, read_json},
    error::{HubError, Result},
    name::{MAIN, ModelName, is_commit},
};

/// How a folder is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOptions {
    /// Whether a repository that is made for it is private. Default: no.
    pub private: bool,
    /// The first line of the commit's message.
    pub message: String,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self { private: false, message: "Upload a Nyströmformer".to_owned() }
    }
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Address of the commit, or of the model where the Hub names none.
    pub url: String,
    /// The commit.
    pub commit: String,
    /// Files of the commit.
    pub files: usize,
    /// Bytes that were sent before it, by Git LFS.
    pub large_bytes: u64,
}

impl Hub {
    /// Commits the files of a folder to the branch that is the revision of `model`. Repository and branch are made if they are
    /// not there. What is there already stays, unless a file of the folder has its name.
    ///
    /// `progress` is told of the bytes of large files.
    ///
    /// # Errors
    /// [`HubError::Usage`] without an access token, offline, or to a commit; [`HubError::Refused`] if it does not allow a push;
    /// [`HubError::Damaged`] if the Hub answers with something else; [`HubError::Unreachable`] and [`HubError::Disk`].
    pub fn push(
        &self,
        folder: &Folder,
        model: &ModelName,
        options: &PushOptions,
        progress: Progress<'_>,
    ) -> Result<Pushed> {
        if self.offline {
            let problem = "`HF_HUB_OFFLINE` is set: a push needs the Hub";
            return Err(HubError::Usage(problem.to_owned()));
        }
        if self.client.token().is_none() {
            return Err(HubError::Usage(format!(
                "a push needs an access token with the right to write: make one at {}/settings/tokens and set `HF_TOKEN`, or \
                 log in with `hf auth login`",
                self.client.endpoint()
            )));
        }
        if is_commit(model.revision()) {
            let problem = format!("`{}` is a commit: push to a branch", model.revision());
            return Err(HubError::Usage(problem));
        }
        self.make_repository(model, options.private)?;
        if model.revision() != MAIN && !model.revision().starts_with("refs/") {
            self.make_branch(model)?;
        }
        let (small, large) = self.wanted_forms(folder, model)?;
        let large_bytes = self.upload(&large, model, progress)?;
        self.commit(&small, &large, model, &options.message, large_bytes)
    }

    /// Makes the repository if there is none.
    fn make_repository(&self, model: &ModelName, private: bool) -> Result<()> {
        let (endpoint, id) = (self.client.endpoint(), model.id());
        let found = self.client.send(&Call::get(format!("{endpoint}/api/models/{id}")))?;
        if found.status().is_success() {
            let info: Value = read_json(found)?;
            if private && info["private"] == false {
                tracing::warn!("`{id}` is there already, and public: `--private` changes nothing");
            }
            return Ok(());
        }
        if found.status().as_u16() != 404 {
            return Err(self.client.refusal(&found, model));
        }
        let (owner, name) = id
            .split_once('/')
            .ok_or_else(|| HubError::Usage(format!("`{id}` has no owner: write `owner/{id}`")))?;
        let wanted = json!({
            "type": "model", "name": name, "organization": owner, "private": private,
        });
        let wanted = wanted.to_string();
        let url = format!("{endpoint}/api/repos/create");
        let made = self.client.send(&Call::post(url, wanted.as_bytes()).json().once())?;
        // Another process has made it meanwhile.
        if made.status().as_u16() == 409 {
            return Ok(());
        }
        self.client.accept(made, model)?;
        let kind = if private { "private" } else { "public" };
        tracing::info!("made the {kind} repository {endpoint}/{id}");
        Ok(())
    }

    /// Makes the branch if there is none.
    fn make_branch(&self, model: &ModelName) -> Result<()> {
        let (endpoint, branch) = (self.client.endpoint(), quoted(model.revision()));
        let url = format!("{endpoint}/api/models/{}/branch/{branch}", model.id());
        let made = self.client.send(&Call::post(url, b"{}").json().once())?;
        if made.status().as_u16() == 409 {
            return Ok(());
        }
        self.client.accept(made, model).map(drop)
    }
}
