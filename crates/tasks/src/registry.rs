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

/// A task as it is registered.
struct Entry {
    /// The task's own keys, with their defaults; `None` where there is none.
    defaults: BTreeMap<String, Option<Value>>,
    read: Box<ReadKeys>,
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
    /// With the task `T` more, by this name; it takes the place of one that had the name.
    #[must_use]
    pub fn with<T>(self, name: &'static str) -> Self
    where
        T: Task + Clone + Default + Serialize + DeserializeOwned + 'static,
    {
        self.with_keys(name, T::clone)
    }

    /// The same for a task that is made from its keys. `K` holds the task's own keys of `[task]`, with their defaults, and
    /// refuses others (`#[serde(default, deny_unknown_fields)]`).
    ///
    /// # Panics
    ///
    /// If the default keys are no table: a struct with named fields is one.
    #[must_use]
    pub fn with_keys<K, T>(
        mut self,
        name: &'static str,
        task: impl Fn(&K) -> T + Send + Sync + 'static,
    ) -> Self
    where
        K: Default + Serialize + DeserializeOwned,
        T: Task + 'static,
    {
        // TOML has no word for nothing, so a key without a default is in JSON alone.
        let keys = serde_json::to_value(K::default()).expect("keys are plain values");
        let table = Table::try_from(K::default()).expect("keys are plain values");
        let keys = keys.as_object().expect("keys are a table");
        let defaults = keys.keys().map(|key| (key.clone(), table.get(key).cloned())).collect();
        let read = move |keys: Table| {
            let keys: K = Section::read(keys)?;
            let table = Table::try_from(&keys).map_err(Error::custom)?;
            Ok((Arc::new(task(&keys)) as Arc<dyn Task>, table))
        };
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
