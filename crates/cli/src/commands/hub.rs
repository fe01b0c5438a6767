//! Models to and from the Hugging Face Hub; see `nystromformer hub --help`.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

/// Push a model to the Hugging Face Hub, or download one (needs the cargo feature `hub`).
///
/// `HF_TOKEN` is the access token, or the file that `hf auth login` writes. Downloads lie in the cache of Hugging Face's own tools
/// (`HF_HUB_CACHE`, `HF_HOME`). `HF_ENDPOINT` names another Hub, `HF_HUB_OFFLINE=1` uses the cache alone.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Commit the files of a folder; prints the commit as one line of JSON.
    ///
    /// The repository is made if there is none. Files that are there already stay, unless the folder has one of that name.
    Push(PushArgs),
    /// Download the files of a model that this program reads; prints their folder as one line of JSON.
    Download(DownloadArgs),
}

#[derive(clap::Args)]
struct PushArgs {
    /// A folder with a model, as `export` writes it.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The model on the Hub: `owner/name`.
    #[arg(value_name = "OWNER/NAME")]
    name: String,
    /// If the repository is made, make it private.
    #[arg(long)]
    private: bool,
    /// The first line of the commit's message.
    #[arg(long, value_name = "TEXT", default_value = "Upload a Nyströmformer")]
    message: String,
    /// The branch, which is made if it is not there. Default: `main`.
    #[arg(long, value_name = "BRANCH")]
    revision: Option<String>,
    /// List the files and their sizes, a line of JSON each, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(clap::Args)]
struct DownloadArgs {
    /// The model on the Hub: `owner/name`, or `owner/name@REVISION`.
    #[arg(value_name = "OWNER/NAME")]
    name: String,
    /// Also copy the files into this folder; must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
#[cfg(feature = "hub")]
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Push(args) => with_feature::push(&args)?,
        Command::Download(args) => with_feature::download(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses the command.
///
/// # Errors
/// Always.
#[cfg(not(feature = "hub"))]
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (Command::Push(PushArgs { name, .. }) | Command::Download(DownloadArgs { name, .. })) =
        args.command;
    anyhow::bail!(
        "`{name}`: this program was built without the feature `hub`, and makes no connection: build it with `--features hub`"
    )
}

#[cfg(feature = "hub")]
mod with_feature {
    use std::{fs, path::Path};

    use anyhow::bail;
    use nystromformer_hub::{Folder, HubError, ModelName, PushOptions, Pushed, Snapshot};
    use nystromformer_interop::HubFiles;
    use nystromformer_learner::{
        checkpoint::manifest::MANIFEST,
        progress::{WorkDisplay, stage},
        run_dir::RunDir,
    };
    use serde_json::json;

    use super::{DownloadArgs, PushArgs};
    use crate::{hub, output};

    pub(super) fn push(args: &PushArgs) -> anyhow::Result<()> {
        let path = &args.folder;
        if RunDir::holds_run(path) || path.join(MANIFEST).is_file() {
            bail!(
                "`{}` is of a training, with what only that needs: export the model first (`export --model {} --output DIR`) \
                 and push DIR",
                path.display(),
                path.display()
            );
        }
        let failed = |error| hub::failed(&args.name, &error);
        let name = named(args).map_err(failed)?;
        let folder = Folder::read(path).map_err(failed)?;
        if folder.hidden() > 0 {
            output::note(&format!(
                "note: {} hidden files or folders are left out",
                folder.hidden()
            ));
        }
        if args.dry_run {
            for file in folder.files() {
                output::json_line(&json!({ "path": file.name, "size": file.size }))?;
            }
            return Ok(());
        }
        let options = PushOptions { private: args.private, message: args.message.clone() };
        let work = WorkDisplay::stderr();
        let progress = hub::shown(&work, stage::UPLOAD);
        let pushed = hub::open()
            .and_then(|hub| hub.push(&folder, &name, &options, &progress))
            .map_err(failed)?;
        work.finish();
        let Pushed { url, commit, files, large_bytes } = pushed;
        output::json_line(&json!({
            "url": url, "commit": commit, "files": files, "large_bytes": large_bytes,
        }))
    }

    /// The model, at the branch that is named.
    fn named(args: &PushArgs) -> Result<ModelName, HubError> {
        let name = ModelName::parse(&args.name)?;
        args.revision.as_ref().map_or(Ok(name.clone()), |revision| name.at(revision))
    }

    pub(super) fn download(args: &DownloadArgs) -> anyhow::Result<()> {
        let failed = |error| hub::failed(&args.name, &error);
        if let Some(output) = &args.output
            && fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some())
        {
            bail!("`--output {}` is not empty; name another folder", output.display());
        }
        let name = ModelName::parse(&args.name).map_err(failed)?;
        // Before hours of a download.
        args.output.as_deref().map(make_folder).transpose().map_err(failed)?;
        let Snapshot { folder, commit, downloaded } =
            hub::downloaded(&name, HubFiles::Model).map_err(failed)?;
        if let Some(output) = &args.output {
            copy(&folder, output).map_err(failed)?;
        }
        output::json_line(&json!({
            "folder": args.output.as_ref().unwrap_or(&folder),
            "commit": commit,
            "downloaded_bytes": downloaded,
        }))
    }

    fn disk_failed(path: &Path) -> impl FnOnce(std::io::Error) -> HubError {
        let path = path.to_owned();
        move |source| HubError::Disk { action: "write", path, source }
    }

    fn make_folder(path: &Path) -> Result<(), HubError> {
        fs::create_dir_all(path).map_err(disk_failed(path))
    }

    /// Copies the files of a folder into one that is there.
    fn copy(from: &Path, to: &Path) -> Result<(), HubError> {
        let failed = disk_failed;
        for entry in fs::read_dir(from).map_err(failed(from))? {
            let name = entry.map_err(failed(from))?.file_name();
            // Other tools may have brought folders, of which nothing is read here.
            if from.join(&name).is_dir() {
                continue;
            }
            let copied = to.join(&name);
            fs::copy(from.join(&name), &copied).map_err(failed(&copied))?;
        }
        Ok(())
    }
}
