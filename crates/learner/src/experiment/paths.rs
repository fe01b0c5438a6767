//! Where the files of an experiment lie: paths that mean the same from every folder, and that may change when files move.

use std::path::{Path, PathBuf};

use nystromformer_data::SAMPLE_CORPUS;
use nystromformer_interop::{HubFiles, is_hub_name, local_folder};
use toml::{Table, Value};

use super::{Experiment, INIT_FROM};
use crate::error::Result;

/// Keys that name files, besides those of `[task]`.
const PATHS: [&str; 5] =
    [INIT_FROM, "data.corpus", "data.cache_dir", "tokenizer.path", "distill.teacher"];

/// Of these keys, those that may name a model on the Hub, with what is read of it.
const MODELS: [(&str, HubFiles); 3] = [
    (INIT_FROM, HubFiles::Model),
    ("tokenizer.path", HubFiles::Tokenizer),
    ("distill.teacher", HubFiles::Model),
];

/// The key of every task that names its files.
const TASK_PATH: &str = "task.path";

/// Of these keys, those without which a run can neither go on nor be measured.
const READ_BY_A_RUN: [&str; 4] = ["data.corpus", TASK_PATH, "tokenizer.path", "distill.teacher"];

/// Whether a key says where files lie, and nothing of what is in them.
pub(super) fn is_path(key: &str) -> bool {
    PATHS.contains(&key) || key == TASK_PATH
}

impl Experiment {
    /// The same with every path as seen from the root of the file system, so that it can be read from another folder.
    pub(crate) fn with_absolute_paths(&self) -> Self {
        self.with_paths(|_, path| absolute(path))
    }

    /// The same with folders in the place of names on the Hub, which are downloaded; where `run` has a folder that is there, with
    /// that, so that a run goes on with what it began with.
    ///
    /// # Errors
    /// [`LearnerError::Weights`](crate::LearnerError::Weights) if a name leads to no folder.
    pub(super) fn with_local_models(&self, run: Option<&Self>) -> Result<Self> {
        let of_run = run.map(Self::to_table);
        let mut failed = None;
        let local = self.with_paths(|key, path| {
            let (_, files) = MODELS.into_iter().find(|(model, _)| *model == key)?;
            if !is_hub_name(path) {
                return None;
            }
            let known = of_run.as_ref().and_then(|table| text(table, key));
            if let Some(known) = known.filter(|known| Path::new(known).exists()) {
                return Some(known.to_owned());
            }
            match local_folder(Path::new(path), files) {
                Ok(folder) => folder.into_os_string().into_string().ok(),
                Err(error) => {
                    failed.get_or_insert(error);
                    None
                }
            }
        });
        failed.map_or(Ok(local), |error| Err(error.into()))
    }

    /// Takes the places of files from an experiment that knows newer ones: where a file is not at its place any more, and
    /// `newer` names another that is there. Says what was taken, a sentence each.
    pub(crate) fn take_moved_paths(&mut self, newer: &Self) -> Vec<String> {
        self.take_paths(newer, |_| true, "is not there any more")
    }

    /// Takes the paths of `other` to what is there, for those of its own to what is not, as far as `may_change` allows it for
    /// a key. `why` says what is wrong with its own.
    pub(super) fn take_paths(
        &mut self,
        other: &Self,
        may_change: impl Fn(&str) -> bool,
        why: &str,
    ) -> Vec<String> {
        let theirs = other.to_table();
        let mut taken = Vec::new();
        *self = self.with_paths(|key, path| {
            let new = text(&theirs, key).filter(|new| *new != path)?;
            if !may_change(key) || Path::new(path).exists() || !Path::new(new).exists() {
                return None;
            }
            taken.push(format!("`{key}` = `{path}` {why}: `{new}` is taken in its place"));
            Some(new.to_owned())
        });
        taken
    }

    /// What to say if nothing is at a path that this experiment reads, which is that of the run in `run`; of the first such path.
    pub fn missing_path(&self, run: &Path) -> Option<String> {
        let table = self.to_table();
        READ_BY_A_RUN.into_iter().find_map(|key| {
            // With a task, the corpus is not read.
            if key == "data.corpus" && self.task.is_some() {
                return None;
            }
            let path =
                text(&table, key).filter(|path| *path != SAMPLE_CORPUS && !path.is_empty())?;
            (!Path::new(path).exists()).then(|| {
                format!(
                    "`{key}` of the run in `{}` is `{path}`, where nothing is any more; if it was moved, name its new \
                     place: `--set {key}=PATH`",
                    run.display()
                )
            })
        })
    }

    /// The same with every path that `change` gives in its place.
    fn with_paths(&self, mut change: impl FnMut(&str, &str) -> Option<String>) -> Self {
        let mut table = self.to_table();
        table.remove("task");
        let mut is_changed = false;
        for key in PATHS {
            let Some((section, name)) = key.rsplit_once('.') else { continue };
            let Some(Value::Table(section)) = table.get_mut(section) else { continue };
            if let Some(Value::String(path)) = section.get_mut(name)
                && !path.is_empty()
                && path != SAMPLE_CORPUS
                && let Some(new) = change(key, path)
                && new != *path
            {
                *path = new;
                is_changed = true;
            }
        }
        let mut changed = if is_changed { Self::of_table(table) } else { self.clone() };
        changed.task.clone_from(&self.task);
        if let Some(task) = &mut changed.task
            && let Some(path) = task.options.path.as_deref().and_then(Path::to_str)
            && let Some(new) = change(TASK_PATH, path).filter(|_| !path.is_empty())
        {
            task.options.path = Some(new.into());
        }
        changed
    }
}

/// A `--set` assignment whose path, if it has one, is seen from the root: it is kept with the run.
pub(crate) fn absolute_assignment(assignment: &str) -> String {
    let path_of = |(key, value): (&str, &str)| {
        let path = value.trim().trim_matches(['"', '\'']);
        let names_files = is_path(key.trim()) && !path.is_empty() && path != SAMPLE_CORPUS;
        let path = absolute(path).filter(|_| names_files)?;
        Some(format!("{}={path}", key.trim()))
    };
    assignment.split_once('=').and_then(path_of).unwrap_or_else(|| assignment.to_owned())
}

/// The path as seen from the root; `None` where that has no text form, where the system cannot say, and for a name on the Hub.
///
/// `~` is the user's own folder, as in a shell, which replaces it only where it stands at the start of a word and not in a
/// file or in `--set KEY=~/…`.
pub(super) fn absolute(path: &str) -> Option<String> {
    if is_hub_name(path) {
        return None;
    }
    let home = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let path = match (home, std::env::home_dir()) {
        (Some(rest), Some(home)) if !Path::new("~").exists() => {
            home.join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(path),
    };
    let absolute: PathBuf = std::path::absolute(path).ok()?;
    absolute.into_os_string().into_string().ok()
}

/// The same of a path, which stays as it is where there is no such form.
pub(crate) fn absolute_path(path: &Path) -> PathBuf {
    path.to_str().and_then(absolute).map_or_else(|| path.to_owned(), PathBuf::from)
}

/// The text at a dotted key.
fn text<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    let (section, name) = key.rsplit_once('.')?;
    table.get(section)?.as_table()?.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(corpus: &Path) -> Experiment {
        let mut experiment = Experiment::default();
        experiment.data.corpus = corpus.to_str().unwrap().to_owned();
        experiment
    }

    #[test]
    fn paths_are_seen_from_the_root_and_the_sample_is_none() {
        let here = std::env::current_dir().unwrap();
        let mut experiment = on(Path::new("books/part"));
        experiment.tokenizer.path = Some("tokenizer".into());
        experiment.init_from = Some("runs/a".into());
        let absolute = experiment.with_absolute_paths();
        assert_eq!(Path::new(&absolute.data.corpus), here.join("books/part"));
        assert_eq!(absolute.data.cache_dir, here.join(&Experiment::default().data.cache_dir));
        assert_eq!(absolute.tokenizer.path, Some(here.join("tokenizer")));
        assert_eq!(absolute.init_from, Some(here.join("runs/a")));
        assert_eq!(absolute.with_absolute_paths(), absolute);
        assert_eq!(Experiment::default().with_absolute_paths().data.corpus, SAMPLE_CORPUS);
    }

    #[test]
    fn assignments_of_paths_are_seen_from_the_root_and_others_stay() {
        let here = std::env::current_dir().unwrap().display().to_string();
        let home = std::env::home_dir().unwrap().display().to_string();
        for (assignment, kept) in [
            ("data.corpus = books", format!("data.corpus={here}/books")),
            ("tokenizer.path=\"a b\"", format!("tokenizer.path={here}/a b")),
            ("data.corpus=/books", "data.corpus=/books".to_owned()),
            ("data.corpus=~/books", format!("data.corpus={home}/books")),
            ("data.corpus=~user/books", format!("data.corpus={here}/~user/books")),
            ("data.corpus=sample", "data.corpus=sample".to_owned()),
            ("model.init_from=hub:a/b", "model.init_from=hub:a/b".to_owned()),
            ("data.text_field=path", "data.text_field=path".to_owned()),
            ("name", "name".to_owned()),
        ] {
            assert_eq!(absolute_assignment(assignment), kept);
        }
    }

    #[test]
    fn names_on_the_hub_become_the_folders_of_the_run_or_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let named =
            Experiment { init_from: Some("hub:owner/name".into()), ..Experiment::default() };
        assert_eq!(named.with_absolute_paths().init_from, named.init_from);
        // Nothing is downloaded in tests.
        let error = named.with_local_models(None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().starts_with("`hub:owner/name`: "), "{error}");
        let run = Experiment { init_from: Some(folder.path().into()), ..Experiment::default() };
        assert_eq!(named.with_local_models(Some(&run)).unwrap(), run);
        let moved = Experiment { init_from: Some(folder.path().join("gone")), ..run.clone() };
        assert!(named.with_local_models(Some(&moved)).is_err());
        assert_eq!(run.with_local_models(None).unwrap(), run);
    }

    #[test]
    fn only_what_is_gone_is_looked_for_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let [there, elsewhere, gone] =
            ["there", "elsewhere", "gone"].map(|name| folder.path().join(name));
        for path in [&there, &elsewhere] {
            std::fs::write(path, "text").unwrap();
        }
        let mut experiment = on(&there);
        assert_eq!(experiment.take_moved_paths(&on(&elsewhere)), Vec::<String>::new());
        assert_eq!(experiment, on(&there));
        assert_eq!(experiment.missing_path(folder.path()), None);

        let mut experiment = on(&gone);
        let told = experiment.missing_path(folder.path()).unwrap();
        for part in [gone.to_str().unwrap(), "`--set data.corpus=PATH`"] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(experiment.take_moved_paths(&on(&folder.path().join("gone as well"))).len(), 0);
        let told = experiment.take_moved_paths(&on(&elsewhere));
        assert!(told[0].starts_with("`data.corpus` = ") && told.len() == 1, "{told:?}");
        assert_eq!(experiment, on(&elsewhere));
    }
}
