//! [`TaskRegistry`]: which tasks there are, by name, and what each reads of `[task]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use toml::de::Error;
use toml::{Table, Value};

use crate::options::TaskOptions;
use crate::task::Task;

/// The tasks that a program knows. Each program fills its own: this crate has [`tasks`](crate::tasks), and another crate adds
/// to them.
#[derive(Clone, Default)]
pub struct TaskRegistry {
    entries: BTreeMap<&'static str, Arc<Entry>>,
}

/// Keys with their defaults; `None` where there is none.
type Defaults = BTreeMap<String, Option<Value>>;

/// A task as it is registered.
struct Entry {
    /// The keys that not every task reads.
    defaults: Defaults,
    read: Box<ReadKeys>,
}

/// Keys of `[task]` that several tasks read: a struct of them beside a task's own, in the same table.
pub trait SharedKeys {
    /// Its keys, with their defaults.
    fn default_keys(&self) -> BTreeMap<String, Option<Value>>;

    /// Takes values from a table that has no others; all of them, with defaults filled in.
    ///
    /// # Errors
    ///
    /// For a value of another type, with the key as `task.key`.
    fn read_keys(&mut self, keys: Table) -> Result<Table, Error>;
}

/// Any struct of keys with defaults.
impl<K: Default + Serialize + DeserializeOwned> SharedKeys for K {
    fn default_keys(&self) -> BTreeMap<String, Option<Value>> {
        defaults_of(self)
    }

    fn read_keys(&mut self, keys: Table) -> Result<Table, Error> {
        *self = Section::read(keys)?;
        Table::try_from(&*self).map_err(Error::custom)
    }
}

fn defaults_of(keys: &impl Serialize) -> Defaults {
    // TOML has no word for nothing, so a key without a default is in JSON alone.
    let names = serde_json::to_value(keys).expect("keys are plain values");
    let table = Table::try_from(keys).expect("keys are plain values");
    let names = names.as_object().expect("keys are a table");
    names.keys().map(|key| (key.clone(), table.get(key).cloned())).collect()
}

/// Moves some keys into a table of their own.
fn take(keys: &mut Table, names: &[String]) -> Table {
    names.iter().filter_map(|name| Some((name.clone(), keys.remove(name)?))).collect()
}

/// From a task's own keys to the task, and all of its keys.
type ReadKeys = dyn Fn(Table) -> Result<(Arc<dyn Task>, Table), Error> + Send + Sync;

/// What a key of `[task]` is to the task that is named there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUse {
    /// The task reads it.
    Read,
    /// Only these tasks read it.
    OfOthers(Vec<&'static str>),
    /// No task reads it.
    Unknown,
}

/// A table within `[task]`, so that errors name keys as `task.key`.
#[derive(Deserialize)]
struct Section<T> {
    task: T,
}

impl<T: DeserializeOwned> Section<T> {
    fn read(keys: Table) -> Result<T, Error> {
        let section = Table::from_iter([("task".to_owned(), Value::Table(keys))]);
        Ok(Self::deserialize(section)?.task)
    }
}

impl TaskRegistry {
    /// With the task `T` more, by this name; it takes the place of one that had the name. Its keys are those of the struct, and
    /// those that it [shares](Task::shared_keys).
    ///
    /// # Panics
    ///
    /// As [`Self::with_keys`].
    #[must_use]
    pub fn with<T>(self, name: &'static str) -> Self
    where
        T: Task + Default + Serialize + DeserializeOwned + 'static,
    {
        let mut default = T::default();
        let mut defaults = defaults_of(&default);
        let names_of_shared: Vec<Vec<String>> = default
            .shared_keys()
            .into_iter()
            .map(|keys| {
                let of_keys = keys.default_keys();
                let names = of_keys.keys().cloned().collect();
                defaults.extend(of_keys);
                names
            })
            .collect();
        self.insert(name, defaults, move |mut keys| {
            let shared: Vec<Table> =
                names_of_shared.iter().map(|names| take(&mut keys, names)).collect();
            let mut task: T = Section::read(keys)?;
            let mut all = Table::try_from(&task).map_err(Error::custom)?;
            for (shared, keys) in task.shared_keys().into_iter().zip(shared) {
                all.extend(shared.read_keys(keys)?);
            }
            Ok((Arc::new(task) as Arc<dyn Task>, all))
        })
    }

    /// The same for a task that is made from its keys. `K` holds the task's own keys of `[task]`, with their defaults, and
    /// refuses others (`#[serde(default, deny_unknown_fields)]`).
    ///
    /// # Panics
    ///
    /// If the default keys are no table: a struct with named fields is one.
    #[must_use]
    pub fn with_keys<K, T>(
        self,
        name: &'static str,
        task: impl Fn(&K) -> T + Send + Sync + 'static,
    ) -> Self
    where
        K: Default + Serialize + DeserializeOwned,
        T: Task + 'static,
    {
        self.insert(name, defaults_of(&K::default()), move |keys| {
            let keys: K = Section::read(keys)?;
            let table = Table::try_from(&keys).map_err(Error::custom)?;
            Ok((Arc::new(task(&keys)) as Arc<dyn Task>, table))
        })
    }

    fn insert(
        mut self,
        name: &'static str,
        defaults: Defaults,
        read: impl Fn(Table) -> Result<(Arc<dyn Task>, Table), Error> + Send + Sync + 'static,
    ) -> Self {
        self.entries.insert(name, Arc::new(Entry { defaults, read: Box::new(read) }));
        self
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.keys().copied()
    }

    /// Whether there is a task of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Every key of `[task]` that the task of this name reads; those that all tasks read if there is none.
    pub fn keys(&self, name: &str) -> BTreeSet<String> {
        let own = self.entries.get(name).into_iter().flat_map(|entry| entry.defaults.keys());
        own.cloned().chain(keys_of_all()).collect()
    }

    /// Every key of `[task]` that some task reads.
    pub fn all_keys(&self) -> BTreeSet<String> {
        let own = self.entries.values().flat_map(|entry| entry.defaults.keys());
        own.cloned().chain(keys_of_all()).collect()
    }

    /// What a key is to the task of this name.
    pub fn key_use(&self, name: &str, key: &str) -> KeyUse {
        if self.keys(name).contains(key) {
            return KeyUse::Read;
        }
        let others: Vec<&str> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.defaults.contains_key(key))
            .map(|(name, _)| *name)
            .collect();
        if others.is_empty() { KeyUse::Unknown } else { KeyUse::OfOthers(others) }
    }

    /// Whether `value` is what some task takes for `key` where nothing is said.
    pub fn is_default(&self, key: &str, value: &Value) -> bool {
        let defaults = self.entries.values().filter_map(|entry| entry.defaults.get(key)?.as_ref());
        defaults.into_iter().any(|default| default == value)
    }

    /// What a `[task]` table says: the keys of all tasks, those of the task that it names, and that task.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub(crate) fn parts(
        &self,
        table: &Table,
    ) -> Result<(TaskOptions, Table, Arc<dyn Task>), Error> {
        let of_all: BTreeSet<String> = keys_of_all().collect();
        let (shared, own): (Vec<_>, Vec<_>) = table
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .partition(|(key, _)| of_all.contains(key));
        let options: TaskOptions = Section::read(shared.into_iter().collect())?;
        let Some(entry) = self.entries.get(options.name.as_str()) else {
            let known: Vec<&str> = self.names().collect();
            return Err(Error::custom(format!(
                "unknown task `{}`, expected one of: {}",
                options.name,
                known.join(", ")
            )));
        };
        let (task, keys) = (entry.read)(own.into_iter().collect())?;
        Ok((options, keys, task))
    }
}

/// The keys that every task reads.
fn keys_of_all() -> impl Iterator<Item = String> {
    let options = serde_json::to_value(TaskOptions::default()).expect("options are plain values");
    let keys: Vec<String> =
        options.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
    keys.into_iter()
}

impl fmt::Debug for TaskRegistry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_tasks_share_are_keys_of_each() {
        let tasks = crate::tasks();
        for name in ["ner", "qa", "choice"] {
            assert!(tasks.keys(name).contains("validation_file"), "{name}");
        }
        let readers = ["bags", "choice", "labelled", "ner", "qa"];
        let of_bert = tasks.key_use("imdb", "separator");
        assert_eq!(of_bert, KeyUse::OfOthers(readers.to_vec()));
        assert!(tasks.is_default("header", &Value::Boolean(true)));

        let read = |keys: &str| tasks.read(&keys.parse().unwrap());
        let config = read("name = \"choice\"\nseparator = \";\"\ntrain_file = \"a.csv\"").unwrap();
        let written: Table = toml::to_string(&config).unwrap().parse().unwrap();
        let shown = |key| written.get(key).and_then(Value::as_str);
        assert_eq!((shown("separator"), shown("train_file")), (Some(";"), Some("a.csv")));
        // As a shell gives it, and as TOML does.
        for typed in ["'\\t'", "\"\\t\""] {
            let tabs = read(&format!("name = \"choice\"\nseparator = {typed}\n")).unwrap();
            let written: Table = toml::to_string(&tabs).unwrap().parse().unwrap();
            assert_eq!(written.get("separator").and_then(Value::as_str), Some("\t"));
        }
        assert_eq!(written.get("header"), Some(&Value::Boolean(true)));
        assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
        assert_ne!(read("name = \"choice\"").unwrap(), config);
        for (keys, parts) in [
            ("separator = \"ab\"", ["expected a character", "in `task.separator`"]),
            ("train_file = 3", ["expected a file name, or a list of them", "in `task.train_file`"]),
            ("files = 3", ["unknown field `files`", "in `task`"]),
            ("trainfile = \"a\"", ["unknown field `trainfile`", "in `task`"]),
        ] {
            let message = read(&format!("name = \"choice\"\n{keys}")).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
