//! The values of one key of a sweep.

use toml::{Table, Value};

/// What a trial's value is one of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// These.
    List(Vec<Value>),
    /// Whole numbers from `min` to `max`, both included; by their logarithm if `log`.
    Integers { min: i64, max: i64, log: bool },
    /// Numbers from `min` to `max`; by their logarithm if `log`.
    Reals { min: f64, max: f64, log: bool },
}

/// The dotted keys of a sweep's parameters with what stands there: tables that are no ranges lead to keys of theirs.
pub(super) fn leaves(parameters: &Table) -> Vec<(String, &Value)> {
    fn collect<'a>(table: &'a Table, prefix: &str, found: &mut Vec<(String, &'a Value)>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(inner) if !inner.is_empty() && !is_range(inner) => {
                    collect(inner, &key, found);
                }
                _ => found.push((key, value)),
            }
        }
    }
    let mut found = Vec::new();
    collect(parameters, "", &mut found);
    found
}

fn is_range(table: &Table) -> bool {
    table.contains_key("min") || table.contains_key("max")
}

impl Values {
    /// Reads what stands at a key.
    ///
    /// # Errors
    /// The sentence about what is wrong with it.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(list) => read_list(list),
            Value::Table(range) => read_range(range),
            other => Err(format!(
                "`{other}` is neither a list of values, as in `[{other}]`, nor a range, as in `{{ min = 1e-5, max = 1e-3, log = \
                 true }}`"
            )),
        }
    }

    /// How many values there are; `None` of a range.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Self::List(list) => Some(list.len()),
            Self::Integers { .. } | Self::Reals { .. } => None,
        }
    }

    /// The value at `place` in `[0, 1)` of them all.
    pub(super) fn at(&self, place: f64) -> Value {
        match *self {
            Self::List(ref list) => {
                let index = (place * list.len() as f64) as usize;
                list[index.min(list.len() - 1)].clone()
            }
            Self::Integers { min, max, log } => {
                // Each number has the room up to the next one.
                let value = between(min as f64, max as f64 + 1.0, log, place).floor();
                Value::Integer((value as i64).clamp(min, max))
            }
            Self::Reals { min, max, log } => {
                let value = between(min, max, log, place);
                // Six digits: short to read, and the same where a logarithm differs in its last bit.
                let rounded = format!("{value:.5e}").parse().unwrap_or(value);
                Value::Float(rounded.clamp(min, max))
            }
        }
    }
}

fn between(min: f64, max: f64, log: bool, place: f64) -> f64 {
    if log { (min.ln() + place * (max.ln() - min.ln())).exp() } else { min + place * (max - min) }
}

fn read_list(list: &[Value]) -> Result<Values, String> {
    if list.is_empty() {
        return Err("the list is empty; give it values, or leave the key out".to_owned());
    }
    let twice = list.iter().enumerate().find(|(index, value)| list[..*index].contains(value));
    if let Some((_, value)) = twice {
        return Err(format!("the list has `{value}` twice"));
    }
    Ok(Values::List(list.to_vec()))
}

fn read_range(range: &Table) -> Result<Values, String> {
    if let Some(other) = range.keys().find(|key| !["min", "max", "log"].contains(&key.as_str())) {
        return Err(format!("a range has `min`, `max` and `log`, and no `{other}`"));
    }
    let log = match range.get("log") {
        None => false,
        Some(Value::Boolean(log)) => *log,
        Some(other) => return Err(format!("`log` is `{other}`: expected `true` or `false`")),
    };
    let bound = |name: &str| match range.get(name) {
        Some(Value::Integer(number)) => Ok(*number as f64),
        Some(Value::Float(number)) if number.is_finite() => Ok(*number),
        Some(other) => Err(format!("`{name}` is `{other}`: expected a number")),
        None => Err(format!("a range has `min` and `max`; `{name}` is missing")),
    };
    let (min, max) = (bound("min")?, bound("max")?);
    if min >= max {
        return Err(format!("`min` = `{min}` is not below `max` = `{max}`"));
    }
    if log && min <= 0.0 {
        return Err(format!("`min` = `{min}` has no logarithm; with `log` it is above 0"));
    }
    Ok(match (&range["min"], &range["max"]) {
        (Value::Integer(min), Value::Integer(max)) => {
            Values::Integers { min: *min, max: *max, log }
        }
        _ => Values::Reals { min, max, log },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Values, String> {
        let table: Table = format!("value = {text}").parse().unwrap();
        Values::read(&table["value"])
    }

    #[test]
    fn values_are_drawn_from_all_of_their_room() {
        let at = |text: &str, place: f64| read(text).unwrap().at(place);
        for (text, values) in [
            ("[\"a\", \"b\"]", [Value::from("a"), Value::from("b"), Value::from("b")]),
            ("{ min = 1, max = 3 }", [1, 2, 3].map(Value::Integer)),
            ("{ min = 1.0, max = 3 }", [1.0, 2.0, 2.99998].map(Value::Float)),
            ("{ min = 1e-4, max = 1e-2, log = true }", [1e-4, 1e-3, 9.99954e-3].map(Value::Float)),
        ] {
            assert_eq!([0.0, 0.5, 0.99999].map(|place| at(text, place)), values, "{text}");
        }
        // By logarithm 1 has as much room as 2 and 3 together.
        let eighths = (0..8).map(|eighth| (f64::from(eighth) + 0.5) / 8.0);
        let numbers = eighths.map(|place| at("{ min = 1, max = 3, log = true }", place));
        let numbers: Vec<i64> = numbers.filter_map(|value| value.as_integer()).collect();
        assert_eq!(numbers, [1, 1, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn what_is_no_list_and_no_range_is_told() {
        for (text, part) in [
            ("[]", "the list is empty"),
            ("[1, 2, 1]", "`1` twice"),
            ("3", "as in `[3]`"),
            ("{ min = 1 }", "`max` is missing"),
            ("{ min = 2, max = 2 }", "`min` = `2` is not below"),
            ("{ min = 0.0, max = 1, log = true }", "no logarithm"),
            ("{ min = 1, max = 2, step = 1 }", "no `step`"),
            ("{ min = \"a\", max = 2 }", "`min` is `\"a\"`: expected a number"),
            ("{ min = nan, max = 2 }", "expected a number"),
            ("{ min = 1, max = 2, log = 1 }", "`log` is `1`"),
            ("{}", "is missing"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }

    #[test]
    fn tables_lead_to_the_keys_in_them() {
        let text = "[optimizer]\nlearning_rate = [1]\nepsilon = { min = 1, max = 2 }\n[empty]\n";
        let table: Table = text.parse().unwrap();
        let keys: Vec<String> = leaves(&table).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["empty", "optimizer.epsilon", "optimizer.learning_rate"]);
    }
}
