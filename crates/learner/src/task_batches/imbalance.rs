//! Classes of which some are rare: what they count in the loss, and how often they are visited.

use std::collections::BTreeMap;
use std::sync::Arc;

use nystromformer_data::ExampleOrder;
use nystromformer_data::random::{below, shuffle, stream};
use nystromformer_tasks::{Label, LabelCounts, Sampling, Targets, TaskConfig, say_once};

use super::splits::Splits;
use crate::error::{LearnerError, Result};

/// The weights that `task.class_weights` gives, if any.
///
/// # Errors
/// [`LearnerError::Config`] if the task has no classes, or others than the weights.
pub(super) fn class_weights(
    task: &TaskConfig,
    targets: &Targets,
    splits: &Splits,
) -> Result<Option<Arc<[f32]>>> {
    let asked = &task.options.class_weights;
    if asked.is_none() {
        return Ok(None);
    }
    let places = splits.training_places.iter();
    let counts: LabelCounts = places.map(|place| splits.train.labels()[*place].as_ref()).collect();
    let names = targets.names();
    let weights = match targets {
        Targets::Classes(_) | Targets::Tags(_) => asked.of_classes(&counts.classes, &names)?,
        Targets::Labels(_) => {
            asked.of_labels(&counts.classes, counts.examples - counts.unlabelled, &names)?
        }
        _ => {
            return Err(LearnerError::Config(format!(
                "`task.class_weights` = `{asked}`, and the task `{}` has no classes to weigh; leave it out",
                task.name()
            )));
        }
    };
    if task.options.sampling == Sampling::Balanced {
        say_once(format!(
            "`task.class_weights` = `{asked}` and `task.sampling` = `balanced` both make rare classes count more, and together \
             they do so twice; leave one of them out"
        ));
    }
    if let Some(weights) = &weights {
        let named: Vec<String> =
            names.iter().zip(weights).map(|(name, weight)| format!("{name} {weight:.4}")).collect();
        tracing::info!("`task.class_weights` = `{asked}`: {}", named.join(", "));
    }
    Ok(weights.map(Into::into))
}

/// An order in which every class comes equally often.
///
/// Visits come in rounds, of each class one, in random order; the examples of a class come in turn, each once before any
/// comes again. A visit is a function of its number and the seed.
#[derive(Debug)]
pub(super) struct BalancedOrder {
    classes: Vec<ClassOrder>,
    seed: u64,
    shuffle: bool,
}

/// The examples of a class, by their numbers, and their order.
#[derive(Debug)]
struct ClassOrder {
    examples: Vec<usize>,
    order: ExampleOrder,
}

impl BalancedOrder {
    /// Of examples with these classes; those without one are not visited.
    pub(super) fn new(
        classes: impl IntoIterator<Item = Option<u16>>,
        seed: u64,
        shuffle: bool,
    ) -> Self {
        let mut examples: Vec<Vec<usize>> = Vec::new();
        for (example, class) in classes.into_iter().enumerate() {
            let Some(class) = class.map(usize::from) else { continue };
            examples.resize(examples.len().max(class + 1), Vec::new());
            examples[class].push(example);
        }
        let occurring =
            examples.into_iter().enumerate().filter(|(_, examples)| !examples.is_empty());
        let classes = occurring
            .map(|(class, examples)| {
                let mut random = stream(seed, "order of a class", class as u64);
                let [high, low] = [0; 2].map(|_: u64| u64::from(below(&mut random, u32::MAX)));
                let order = ExampleOrder::new(examples.len(), high << 32 | low, shuffle);
                ClassOrder { examples, order }
            })
            .collect();
        Self { classes, seed, shuffle }
    }

    /// The examples of the step after `completed_steps`.
    pub(super) fn batch(&self, completed_steps: usize, batch_size: usize) -> Vec<usize> {
        let first = completed_steps * batch_size;
        let classes = self.classes.len();
        let mut round_of_classes: Option<(usize, Vec<usize>)> = None;
        (first..first + batch_size)
            .map(|visit| {
                let (round, place) = (visit / classes, visit % classes);
                let (_, order) = round_of_classes
                    .take_if(|(known, _)| *known == round)
                    .unwrap_or_else(|| (round, self.round(round)));
                let ClassOrder { examples, order: of_class } = &self.classes[order[place]];
                round_of_classes = Some((round, order));
                examples[of_class.batch(round as u64, 1)[0].index]
            })
            .collect()
    }

    /// The classes of a round, in its order.
    fn round(&self, round: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        if self.shuffle {
            shuffle(&mut order, &mut stream(self.seed, "rounds of classes", round as u64));
        }
        order
    }
}

/// The class of each unit that trains, for [`BalancedOrder`].
///
/// # Errors
/// [`LearnerError::Config`] if the task has not one class an example.
pub(super) fn classes_of_units(
    task: &TaskConfig,
    targets: &Targets,
    splits: &Splits,
) -> Result<Vec<Option<u16>>> {
    let Targets::Classes(_) = targets else {
        return Err(LearnerError::Config(format!(
            "`task.sampling` = `balanced`, and the task `{}` has not one class an example, by which examples could be drawn; \
             leave it out",
            task.name()
        )));
    };
    let train = &splits.train;
    let class =
        |unit: &usize| train.labels()[train.example_of(*unit)].as_ref().and_then(Label::stratum);
    let classes: Vec<Option<u16>> = splits.training_units.iter().map(class).collect();
    tell_how_often(&classes, &targets.names());
    Ok(classes)
}

/// Says how often an example of the rarest class is visited in an epoch, and one of the most frequent class.
fn tell_how_often(classes: &[Option<u16>], names: &[String]) {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for class in classes.iter().flatten() {
        *counts.entry(*class).or_default() += 1;
    }
    let visits = classes.len() as f64 / counts.len() as f64;
    let rarest = counts.iter().min_by_key(|(_, count)| **count);
    let most = counts.iter().max_by_key(|(_, count)| **count);
    let told = |(class, count): (&u16, &usize)| {
        let name = names.get(usize::from(*class)).map_or("?", String::as_str);
        format!("`{name}` (`{count}` examples) {:.2} times", visits / *count as f64)
    };
    if let (Some(rarest), Some(most)) = (rarest, most) {
        tracing::info!(
            "`task.sampling` = `balanced`: in an epoch of `{}` visits an example of {} and one of {}",
            classes.len(),
            told(rarest),
            told(most)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 90 examples of class 0, 9 of class 2, and one of class 5.
    fn classes() -> Vec<Option<u16>> {
        let class = |example: usize| match example {
            0..90 => 0,
            90..99 => 2,
            _ => 5,
        };
        (0..100).map(|example| Some(class(example))).collect()
    }

    #[test]
    fn every_class_comes_equally_often_and_its_examples_in_turn() {
        let order = BalancedOrder::new(classes(), 7, true);
        let mut visits = [0_usize; 100];
        let mut batches = Vec::new();
        for step in 0..45 {
            let batch = order.batch(step, 6);
            let of_class = |range: std::ops::Range<usize>| {
                batch.iter().filter(|example| range.contains(*example)).count()
            };
            assert_eq!([of_class(0..90), of_class(90..99), of_class(99..100)], [2; 3]);
            for example in &batch {
                visits[*example] += 1;
            }
            batches.push(batch);
        }
        // 270 visits, 90 of each class.
        assert!(visits[..90].iter().all(|count| *count == 1));
        assert!(visits[90..99].iter().all(|count| *count == 10));
        assert_eq!(visits[99], 90);
        // In random order, and not in the same one in each round.
        batches.dedup();
        assert_eq!(batches.len(), 45);
        let places: Vec<usize> = (0..90)
            .map(|round| order.batch(round, 3).iter().position(|example| *example == 99).unwrap())
            .collect();
        assert!((0..3).all(|place| places.contains(&place)));
    }

    #[test]
    fn a_visit_is_a_function_of_its_number_and_the_seed() {
        let order = BalancedOrder::new(classes(), 7, true);
        let whole: Vec<usize> = (0..20).flat_map(|step| order.batch(step, 6)).collect();
        let fresh = BalancedOrder::new(classes(), 7, true);
        for step in [11, 2, 19] {
            assert_eq!(fresh.batch(step, 6), whole[step * 6..(step + 1) * 6]);
        }
        // Steps of other sizes see the same visits.
        let others: Vec<usize> = (0..30).flat_map(|step| fresh.batch(step, 4)).collect();
        assert_eq!(others, whole);
        assert_ne!(BalancedOrder::new(classes(), 8, true).batch(0, 60), whole[..60]);
        let still = BalancedOrder::new(classes(), 7, false);
        assert_eq!(still.batch(0, 7), [0, 90, 99, 1, 91, 99, 2]);
    }

    #[test]
    fn examples_without_a_class_are_not_visited() {
        let order = BalancedOrder::new([Some(1), None, Some(0), None], 3, true);
        let visits: Vec<usize> = (0..10).flat_map(|step| order.batch(step, 2)).collect();
        assert!(visits.iter().all(|example| [0, 2].contains(example)));
    }
}
