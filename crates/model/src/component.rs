//! What a part of a configuration is: a struct whose keys stand in one flat table beside those of the other parts.
//!
//! Hugging Face's `config.json` is flat, and so is `[model]`; the code is not. Each part of a model has its struct beside
//! it, made by `component!`: one line a key, with its default. The table routes a key to the part that has it, so a new
//! part or key is named nowhere else.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer, Serializer,
    de::{Error, MapAccess, Visitor},
    ser::SerializeStruct,
};

use crate::error::ModelError;

/// The largest size or id: ids are 32-bit numbers on every device.
const LARGEST: usize = i32::MAX as usize;

/// A part of a configuration. `component!` writes this from the struct's keys.
pub trait Component: Default {
    /// Its keys and those of its own parts.
    fn keys() -> &'static [&'static str];

    /// Takes the value of `key` if that is a key of its own; says whether it is.
    ///
    /// # Errors
    /// If the value is of another type.
    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, values: &mut A)
    -> Result<bool, A::Error>;

    /// Adds its keys and values to a table.
    ///
    /// # Errors
    /// If the table cannot hold a value.
    fn write<S: SerializeStruct>(&self, table: &mut S) -> Result<(), S::Error>;

    /// Adds what is wrong with its values.
    fn find_problems(&self, problems: &mut Problems);
}

/// Writes a struct of keys: the struct with documentation, its defaults, how it is read and written.
///
/// After the keys, `with { … }` names parts that are components themselves. `as "key"` gives a key another name than its
/// field's. The author adds a method `check(&self, &mut Problems)`.
macro_rules! component {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$key_meta:meta])* $key:ident $(as $key_name:literal)?: $type:ty = $default:expr,)*
        } $(with {
            $($(#[$part_meta:meta])* $part:ident: $part_type:ty,)*
        })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$key_meta])* pub $key: $type,)*
            $($($(#[$part_meta])* pub $part: $part_type,)*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($key: $default,)*
                    $($($part: Default::default(),)*)?
                }
            }
        }

        impl $crate::component::Component for $name {
            fn keys() -> &'static [&'static str] {
                static KEYS: std::sync::LazyLock<Vec<&'static str>> = std::sync::LazyLock::new(|| {
                    let own: &[&'static str] =
                        &[$($crate::component::name_of_key!($key $($key_name)?)),*];
                    [own $($(, <$part_type as $crate::component::Component>::keys())*)?].concat()
                });
                &KEYS
            }

            #[allow(unused_variables, reason = "a part may have no keys")]
            fn read<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                key: &str,
                values: &mut A,
            ) -> Result<bool, A::Error> {
                $(if key == $crate::component::name_of_key!($key $($key_name)?) {
                    self.$key = values.next_value()?;
                    return Ok(true);
                })*
                Ok(false $($(
                    || $crate::component::Component::read(&mut self.$part, key, values)?
                )*)?)
            }

            #[allow(unused_variables, reason = "a part may have no keys")]
            fn write<S: serde::ser::SerializeStruct>(&self, table: &mut S) -> Result<(), S::Error> {
                $(table.serialize_field(
                    $crate::component::name_of_key!($key $($key_name)?),
                    &self.$key,
                )?;)*
                $($($crate::component::Component::write(&self.$part, table)?;)*)?
                Ok(())
            }

            fn find_problems(&self, problems: &mut $crate::component::Problems) {
                self.check(problems);
                $($($crate::component::Component::find_problems(&self.$part, problems);)*)?
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::component::write_table(stringify!($name), self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::component::read_table(stringify!($name), deserializer)
            }
        }
    };
}

/// The name of a key: its field's, or the one that is given.
macro_rules! name_of_key {
    ($key:ident) => {
        stringify!($key)
    };
    ($key:ident $name:literal) => {
        $name
    };
}

pub(crate) use {component, name_of_key};

/// Writes a component as a table of its own.
pub(crate) fn write_table<C: Component, S: Serializer>(
    name: &'static str,
    component: &C,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut table = serializer.serialize_struct(name, C::keys().len())?;
    component.write(&mut table)?;
    table.end()
}

/// Reads a component from a table of its own: absent keys have their defaults, unknown keys are refused.
pub(crate) fn read_table<'de, C: Component, D: Deserializer<'de>>(
    name: &'static str,
    deserializer: D,
) -> Result<C, D::Error> {
    deserializer.deserialize_struct(name, C::keys(), Table { name, component: PhantomData })
}

struct Table<C> {
    name: &'static str,
    component: PhantomData<C>,
}

impl<'de, C: Component> Visitor<'de> for Table<C> {
    type Value = C;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "struct {}", self.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<C, A::Error> {
        let mut component = C::default();
        while let Some(key) = values.next_key::<String>()? {
            if !component.read(&key, &mut values)? {
                return Err(A::Error::unknown_field(&key, C::keys()));
            }
        }
        Ok(component)
    }
}

/// What is wrong with a configuration: key, value, and what would be right.
#[derive(Debug, Default)]
pub struct Problems(Vec<ModelError>);

impl Problems {
    /// Everything that is wrong with `component` itself.
    pub fn of(component: &impl Component) -> Self {
        let mut problems = Self::default();
        component.find_problems(&mut problems);
        problems
    }

    /// All of them, as [`ModelError::Config`].
    pub fn into_errors(self) -> Vec<ModelError> {
        self.0
    }

    /// Notes that `key` must not have `value`, unless something `holds`.
    pub fn check(
        &mut self,
        holds: bool,
        key: &'static str,
        value: &dyn ToString,
        reason: impl Into<String>,
    ) {
        if !holds {
            let (value, reason) = (value.to_string(), reason.into());
            self.0.push(ModelError::Config { key, value, reason });
        }
    }

    /// A size or an id: at least `least`, and not beyond 32 bits.
    pub fn check_size(&mut self, key: &'static str, value: usize, least: usize) {
        self.check(value >= least, key, &value, format!("must be at least {least}"));
        self.check(value <= LARGEST, key, &value, format!("must be at most {LARGEST}"));
    }

    /// The probability of a dropout.
    pub fn check_dropout(&mut self, key: &'static str, value: f64) {
        let in_range = (0.0..1.0).contains(&value);
        self.check(in_range, key, &value, "must be at least 0 and below 1");
    }

    /// A scale.
    pub fn check_positive(&mut self, key: &'static str, value: f64) {
        self.check(value.is_finite() && value > 0.0, key, &value, "must be a positive number");
    }
}

/// Whether `part` divides `size`. A part of 0 is told elsewhere: what would have to fit it is not another mistake.
pub(crate) fn divides(part: usize, size: usize) -> bool {
    part == 0 || size.is_multiple_of(part)
}
