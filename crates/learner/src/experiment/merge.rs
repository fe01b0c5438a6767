//! Layers of configuration: a parent file, a file that extends it, and overrides from the command
//! line.
//!
//! Tables are merged key by key, so a child states only what differs. Beside the merged values goes
//! the origin of each: an error about a value can then name the file and line (or the `--set`) that
//! it came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nystromformer_files::{FileError, read_text};
use serde::Serialize;
use toml::{Table, Value};

use super::sweep::nest_parameters;
use super::toml_file::parse;
use crate::error::{LearnerError, Result};

/// How many files may extend one another: a run's file, its parent, and the parent's parent.
const MAX_DEPTH: usize = 2;

/// Bytes of the largest file.
const MAX_BYTES: usize = 16 << 20;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    File { path: PathBuf, line: usize },
    Override,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Override => formatter.write_str(COMMAND_LINE),
        }
    }
}

/// What the name of the command line's layer is.
const COMMAND_LINE: &str = "--set";

/// What a file of a configuration states itself, or the command line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigLayer {
    /// The path of the file as it was named, `--set`, or the trial of a sweep.
    pub source: String,
    /// What it states.
    pub values: Table,
}

/// Merged values with their origins, by dotted key.
#[derive(Debug, Default, Clone)]
pub(crate) struct Layers {
    pub(crate) table: Table,
    /// What they were merged from, the lowest first.
    pub(crate) stated: Vec<ConfigLayer>,
    pub(crate) origins: BTreeMap<String, Origin>,
}

impl Layers {
    /// Reads `path` and, below it, what it extends.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::read_chain(path, &mut Vec::new())
    }

    fn read_chain(path: &Path, chain: &mut Vec<PathBuf>) -> Result<Self> {
        let text = read_text(path, MAX_BYTES).map_err(|error| {
            let reason = match error {
                FileError::Io { source, .. } => source.to_string(),
                error => error.to_string(),
            };
            LearnerError::Config(match chain.last() {
                Some(child) => format!(
                    "`{}` extends `{}`, which cannot be read: {reason}",
                    child.display(),
                    path.display()
                ),
                None => format!("cannot read the configuration `{}`: {reason}", path.display()),
            })
        })?;
        let identity = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if chain.contains(&identity) {
            return Err(LearnerError::Config(format!(
                "`{}` extends itself; remove one `extends` of the circle",
                path.display()
            )));
        }
        chain.push(identity);
        if chain.len() > MAX_DEPTH + 1 {
            return Err(LearnerError::Config(format!(
                "`{}` is extended over more than `{MAX_DEPTH}` levels; merge it into its child",
                path.display()
            )));
        }

        let (mut table, lines) = parse(path, &text)?;
        nest_parameters(&mut table)
            .map_err(|problem| LearnerError::Config(format!("{}: {problem}", path.display())))?;
        let mut layers = match table.remove("extends") {
            None => Self::default(),
            Some(Value::String(parent)) => {
                let directory = path.parent().unwrap_or(Path::new("."));
                Self::read_chain(&directory.join(parent), chain)?
            }
            Some(other) => {
                return Err(LearnerError::Config(format!(
                    "{}: `extends` is `{other}`, but it takes the path of one file, as in \
                     `extends = \"base/nystromformer.toml\"`",
                    path.display()
                )));
            }
        };
        layers
            .stated
            .push(ConfigLayer { source: path.display().to_string(), values: table.clone() });
        layers.merge(table, &|key| Origin::File {
            path: path.to_path_buf(),
            line: lines.get(key).copied().unwrap_or(1),
        });
        Ok(layers)
    }

    /// Applies one `--set`, as in `trainer.max_steps=10`.
    ///
    /// The value is read as TOML where it is TOML (`10`, `1e-4`, `true`, `["a"]`) and is a string
    /// otherwise.
    pub(crate) fn set(&mut self, assignment: &str) -> Result<()> {
        let malformed = || {
            LearnerError::Config(format!(
                "`--set {assignment}` is not of the form `section.key=value`, as in \
                 `--set trainer.max_steps=10`"
            ))
        };
        let (key, text) = assignment.split_once('=').ok_or_else(malformed)?;
        let names: Vec<&str> = key.split('.').map(str::trim).collect();
        if names.iter().any(|name| name.is_empty()) {
            return Err(malformed());
        }
        let value = toml::from_str::<Table>(&format!("value = {text}"))
            .ok()
            .filter(|table| table.len() == 1)
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| Value::String(text.trim().to_owned()));
        let assigned = names.iter().rev().fold(value, |inner, name| {
            Value::Table(Table::from_iter([((*name).to_owned(), inner)]))
        });
        let Value::Table(table) = assigned else { return Err(malformed()) };
        if self.stated.last().is_none_or(|last| last.source != COMMAND_LINE) {
            self.stated.push(ConfigLayer { source: COMMAND_LINE.to_owned(), values: Table::new() });
        }
        if let Some(last) = self.stated.last_mut() {
            merge_tables(&mut last.values, table.clone(), "", &mut BTreeMap::new(), &|_| {
                Origin::Override
            });
        }
        self.merge(table, &|_| Origin::Override);
        Ok(())
    }

    /// What the command line states, alone.
    pub(crate) fn of_command_line(&self) -> Self {
        let is_of_it = |layer: &&ConfigLayer| layer.source == COMMAND_LINE;
        let stated: Vec<ConfigLayer> = self.stated.iter().filter(is_of_it).cloned().collect();
        let mut own = Self { stated: stated.clone(), ..Self::default() };
        for layer in stated {
            own.merge(layer.values, &|_| Origin::Override);
        }
        own
    }

    fn merge(&mut self, table: Table, origin: &dyn Fn(&str) -> Origin) {
        merge_tables(&mut self.table, table, "", &mut self.origins, origin);
    }

    /// The origin of a key, or of the nearest key above it.
    pub(crate) fn origin(&self, key: &str) -> Option<&Origin> {
        let mut key = key;
        loop {
            if let Some(origin) = self.origins.get(key) {
                return Some(origin);
            }
            key = key.rsplit_once('.')?.0;
        }
    }

    /// The value at a dotted key.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        let mut names = key.split('.');
        let first = self.table.get(names.next()?)?;
        names.try_fold(first, |value, name| value.as_table()?.get(name))
    }

    /// Puts a value at `section.name`.
    pub(crate) fn insert(&mut self, key: &str, value: Value, origin: &Origin) {
        let nested = key
            .rsplit('.')
            .fold(value, |inner, name| Value::Table(Table::from_iter([(name.to_owned(), inner)])));
        if let Value::Table(table) = nested {
            self.merge(table, &|_| origin.clone());
        }
    }

    /// Removes the value at a dotted key; says whether there was one.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Value> {
        match key.rsplit_once('.') {
            None => self.table.remove(key),
            Some((section, name)) => {
                let mut table = &mut self.table;
                for part in section.split('.') {
                    table = table.get_mut(part)?.as_table_mut()?;
                }
                table.remove(name)
            }
        }
    }
}

fn merge_tables(
    base: &mut Table,
    child: Table,
    prefix: &str,
    origins: &mut BTreeMap<String, Origin>,
    origin: &dyn Fn(&str) -> Origin,
) {
    for (name, value) in child {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        origins.insert(key.clone(), origin(&key));
        match (base.get_mut(&name), value) {
            (Some(Value::Table(under)), Value::Table(over))
                if !changes_schedule(&key, under, &over) =>
            {
                merge_tables(under, over, &key, origins, origin);
            }
            (_, Value::Table(over)) => {
                // A new table, or another schedule: the old one's keys mean nothing to it.
                let below = format!("{key}.");
                origins.retain(|known, _| !known.starts_with(&below));
                let mut fresh = Table::new();
                merge_tables(&mut fresh, over, &key, origins, origin);
                base.insert(name, Value::Table(fresh));
            }
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

/// Whether a layer puts another kind of schedule in the place of the one below.
fn changes_schedule(key: &str, under: &Table, over: &Table) -> bool {
    key == "schedule"
        && over.get("kind").is_some_and(|kind| under.get("kind").is_some_and(|old| old != kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_child_states_only_what_differs_and_origins_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let base = write(directory.path(), "base/b.toml", "seed = 1\n[model]\na = 1\nb = 2\n");
        let child =
            write(directory.path(), "c.toml", "extends = \"base/b.toml\"\n\n[model]\nb = 3\n");
        let layers = Layers::read(&child).unwrap();
        assert_eq!(
            layers.table,
            toml::from_str::<Table>("seed = 1\n[model]\na = 1\nb = 3").unwrap()
        );
        let origin = |key: &str| layers.origin(key).unwrap().to_string();
        assert_eq!(origin("model.b"), format!("{}:4", child.display()));
        assert_eq!(
            origin("model.a"),
            format!("{}:3", directory.path().join("base/b.toml").display())
        );
        assert!(base.exists());
        let stated: Vec<(String, usize)> =
            layers.stated.iter().map(|layer| (layer.source.clone(), layer.values.len())).collect();
        let parent = directory.path().join("base/b.toml").display().to_string();
        assert_eq!(stated, [(parent, 2), (child.display().to_string(), 1)]);
    }

    #[test]
    fn another_schedule_replaces_the_one_below_and_another_tokenizer_keeps_its_keys() {
        let mut layers = Layers::default();
        for assignment in [
            "schedule.kind=one_cycle",
            "schedule.pct_start=0.1",
            "schedule.kind=cosine",
            "schedule.warmup_steps=4",
            "tokenizer.kind=bpe",
            "tokenizer.vocab_size=500",
            "tokenizer.kind=unigram",
        ] {
            layers.set(assignment).unwrap();
        }
        let expected = "[schedule]\nkind = \"cosine\"\nwarmup_steps = 4\n\
                        [tokenizer]\nkind = \"unigram\"\nvocab_size = 500";
        assert_eq!(layers.table, toml::from_str::<Table>(expected).unwrap());
        assert!(!layers.origins.contains_key("schedule.pct_start"));
        // The command line is one layer.
        let [stated] = layers.stated.as_slice() else { panic!("{:?}", layers.stated) };
        assert_eq!((stated.source.as_str(), &stated.values), ("--set", &layers.table));
    }

    #[test]
    fn overrides_are_toml_where_they_can_be_and_text_otherwise() {
        let mut layers = Layers::default();
        for assignment in ["a.b=1e-4", "name=my run", "flag = true", "path=data/x=y", "list=[1, 2]"]
        {
            layers.set(assignment).unwrap();
        }
        let expected =
            "name = \"my run\"\nflag = true\npath = \"data/x=y\"\nlist = [1, 2]\n[a]\nb = 1e-4";
        assert_eq!(layers.table, toml::from_str::<Table>(expected).unwrap());
        for malformed in ["a", "=1", "a..b=1", ".a=1"] {
            let error = layers.set(malformed).unwrap_err().to_string();
            assert!(error.contains(&format!("`--set {malformed}`")), "{error}");
        }
    }

    #[test]
    fn circles_and_long_chains_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let a = write(directory.path(), "a.toml", "extends = \"b.toml\"");
        write(directory.path(), "b.toml", "extends = \"a.toml\"");
        let error = Layers::read(&a).unwrap_err().to_string();
        assert!(error.contains("extends itself"), "{error}");
        for (name, parent) in [("1", "2"), ("2", "3"), ("3", "4")] {
            write(
                directory.path(),
                &format!("{name}.toml"),
                &format!("extends = \"{parent}.toml\""),
            );
        }
        write(directory.path(), "4.toml", "seed = 1");
        let error = Layers::read(&directory.path().join("1.toml")).unwrap_err().to_string();
        assert!(error.contains("more than `2` levels"), "{error}");
        assert!(Layers::read(&directory.path().join("2.toml")).is_ok());
    }

    #[test]
    fn a_missing_parent_and_broken_toml_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let orphan = write(directory.path(), "o.toml", "extends = \"gone.toml\"");
        let error = Layers::read(&orphan).unwrap_err().to_string();
        assert!(error.contains("gone.toml") && error.contains("o.toml"), "{error}");
        let broken = write(directory.path(), "x.toml", "seed = 1\nname = = 2\n");
        let error = Layers::read(&broken).unwrap_err().to_string();
        assert!(error.contains("x.toml:2: not valid TOML"), "{error}");
        for number in ["9223372036854775808", "-9223372036854775809", &"9".repeat(60)] {
            let long =
                write(directory.path(), "l.toml", &format!("[trainer]\nmax_steps = {number}\n"));
            let error = Layers::read(&long).unwrap_err().to_string();
            assert!(
                error.contains("out of range") && error.contains("9223372036854775807"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_text_and_another_encoding_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "\u{feff}seed = 1\r\n").unwrap();
        assert_eq!(Layers::read(&path).unwrap().table["seed"], Value::Integer(1));
        for (bytes, part) in [
            (b"\xff\xfes\0e\0".as_slice(), "UTF-16"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"seed = 1\n# caf\xe9\n", "a.toml:2: byte `0xe9`"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = Layers::read(&path).err().unwrap();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
