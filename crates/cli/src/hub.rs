//! The Hugging Face Hub, where this program is built with the feature `hub`: names of models in the place of folders.

/// Lets every command read `hub:owner/name` where it reads a model's folder. Without the feature such a name is refused.
#[cfg(not(feature = "hub"))]
pub(crate) fn connect() {}

#[cfg(feature = "hub")]
pub(crate) use with_feature::{connect, downloaded, failed, open, shown};

#[cfg(feature = "hub")]
mod with_feature {
    use std::path::PathBuf;

    use nystromformer_data::{ProgressListener, ProgressReport, Stage};
    use nystromformer_hub::{Hub, HubError, ModelName, Settings, Snapshot, Wanted};
    use nystromformer_interop::{HubFailure, HubFiles, InteropError, use_hub};
    use nystromformer_learner::progress::{WorkDisplay, stage};

    /// Lets every command read `hub:owner/name` where it reads a model's folder.
    pub(crate) fn connect() {
        use_hub(folder);
    }

    /// The Hub as the environment says.
    pub(crate) fn open() -> Result<Hub, HubError> {
        Hub::new(Settings::from_environment()?)
    }

    /// A model with its files in the cache.
    pub(crate) fn downloaded(name: &ModelName, files: HubFiles) -> Result<Snapshot, HubError> {
        let wanted = Wanted { files: &files.names(), weights: files.weights() };
        let work = WorkDisplay::stderr();
        open()?.download(name, wanted, &shown(&work, stage::DOWNLOAD))
    }

    /// Shows how many bytes are through.
    pub(crate) fn shown(work: &WorkDisplay, stage: Stage) -> impl Fn(u64, u64) {
        move |done, total| work.report(ProgressReport { stage, done, total })
    }

    /// The error of a command, with its exit code, from one about this name.
    pub(crate) fn failed(name: &str, error: &HubError) -> InteropError {
        let name = name.strip_prefix("hub:").unwrap_or(name).to_owned();
        InteropError::Hub { name, failure: failure(error) }
    }

    fn folder(name: &str, files: HubFiles) -> Result<PathBuf, HubFailure> {
        let model = ModelName::parse(name).and_then(|name| downloaded(&name, files));
        model.map(|model| model.folder).map_err(|error| failure(&error))
    }

    fn failure(error: &HubError) -> HubFailure {
        let told = error.to_string();
        match error {
            HubError::Usage(_) => HubFailure::Usage(told),
            HubError::Unreachable(_) | HubError::Disk { .. } => HubFailure::Io(told),
            _ => HubFailure::Model(told),
        }
    }
}
