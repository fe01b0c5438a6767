//! A question with some choices: a row for each, which is read as the pair that it is.

use nystromformer_data::DataError;
use nystromformer_tasks::{Label, Prediction};

use super::{Anchors, EncodedExample, EncodedUnit, Form, Target, UnitOutput, text};

/// A row for each choice, cut to the longest row: of a pair the longer text is cut until both are equally long, and then both.
/// An empty place has none.
pub(super) fn encode(
    form: &Form<'_>,
    choices: &[Option<(String, Option<String>)>],
    label: Option<&Label>,
) -> Result<EncodedExample, DataError> {
    let (mut rows, mut places, mut is_cut) = (Vec::new(), Vec::new(), false);
    for (place, choice) in (0..=u16::MAX).zip(choices) {
        let Some((first, second)) = choice else { continue };
        let (row, row_is_cut) = text::row(form, first, second.as_deref())?;
        rows.push(row);
        places.push(place);
        is_cut |= row_is_cut;
    }
    let right = match label {
        Some(Label::Class(right)) => places.iter().position(|place| place == right),
        _ => None,
    };
    let anchors = if rows.len() == choices.len() {
        Anchors::Whole
    } else {
        Anchors::Choices { count: choices.len(), places: places.into() }
    };
    let target = Target::Choice(right.unwrap_or_default() as u16);
    Ok(EncodedExample { units: vec![EncodedUnit { rows, target, anchors }], is_cut })
}

/// What the model says of a question, by the places of its choices: an empty place has no probability.
pub(super) fn decode(units: &[UnitOutput<'_>]) -> Prediction {
    let Some(UnitOutput { anchors, scores }) = units.first() else {
        return Prediction::one_class(&[]);
    };
    let of_rows = Prediction::one_class(scores);
    let (Anchors::Choices { count, places }, Prediction::Class { class, scores }) =
        (anchors, &of_rows)
    else {
        return of_rows;
    };
    let mut of_places = vec![f32::NAN; *count];
    for (place, score) in places.iter().zip(scores) {
        of_places[usize::from(*place)] = *score;
    }
    Prediction::Class { class: places[usize::from(*class)], scores: of_places }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_place_is_no_choice_and_is_counted() {
        let anchors = Anchors::Choices { count: 4, places: [0, 2, 3].into() };
        let scores = [0.0, 3f32.ln(), 0.0];
        let units = [UnitOutput { anchors: &anchors, scores: &scores }];
        let Prediction::Class { class, scores } = decode(&units) else { panic!("a class") };
        assert!(class == 2 && scores[1].is_nan(), "{class} {scores:?}");
        for (place, expected) in [(0, 0.2), (2, 0.6), (3, 0.2)] {
            assert!((scores[place] - expected).abs() < 1e-7, "{scores:?}");
        }
    }
}
