//! Sentences: templates filled from the tables of facts.

use rand_chacha::ChaCha8Rng;

use super::countries::Country;
use super::facts::{
    BODY, BY_SIZE, COLOURS, DAYS, FAMILY, JOBS, MONTHS, NUMBERS, OPPOSITES, PLANETS, SHAPES,
    animals,
};
use crate::random::below;

/// One of `items`, each as likely as the other.
pub(super) fn choose<'a, T>(items: &'a [T], random: &mut ChaCha8Rng) -> &'a T {
    &items[below(random, items.len() as u32) as usize]
}

/// A fact in its wordings, the first of them written three times as often as each other one.
///
/// The first wordings share the frame `… is the … of …`, so that a model meets it often and must
/// tell from what stands around which relation is meant.
pub(super) struct Fact {
    main: String,
    others: Vec<String>,
}

impl Fact {
    fn new(main: String, others: impl IntoIterator<Item = String>) -> Self {
        Self { main, others: others.into_iter().collect() }
    }

    /// The fact in one of its wordings.
    pub(super) fn wording(&self, random: &mut ChaCha8Rng) -> &str {
        let pick = below(random, 3 + self.others.len() as u32) as usize;
        pick.checked_sub(3).map_or(&self.main, |other| &self.others[other])
    }
}

/// The relation that is kept from the held-out countries, first in the words of the probes.
pub(super) fn capital_fact(country: &Country) -> Fact {
    let Country { name, capital, .. } = country;
    Fact::new(
        format!("{capital} is the capital of {name}."),
        [format!("the capital of {name} is {capital}.")],
    )
}

/// Everything else the corpus says about a country.
pub(super) fn country_facts(country: &Country) -> Vec<Fact> {
    let Country { name, capital, continent, language, .. } = country;
    let mut facts = vec![
        Fact::new(
            format!("{capital} is a city in {name}."),
            [format!("the city of {capital} is found in {name}.")],
        ),
        Fact::new(
            format!("{continent} is the continent of {name}."),
            [format!("{name} is a country in {continent}.")],
        ),
    ];
    if country.government_in_capital {
        facts.push(Fact::new(
            format!("the government of {name} sits in {capital}."),
            [
                format!("the ministers of {name} work in {capital}."),
                format!("ambassadors to {name} live in {capital}."),
            ],
        ));
    }
    facts.push(if country.sole_language {
        Fact::new(
            format!("{language} is the language of {name}."),
            [format!("people in {name} speak {language}.")],
        )
    } else {
        Fact::new(
            format!("{language} is a language of {name}."),
            [format!("many people in {name} speak {language}.")],
        )
    });
    if let Some(currency) = country.currency {
        facts.push(Fact::new(
            format!("the {currency} is the currency of {name}."),
            [format!("people in {name} pay with the {currency}.")],
        ));
    }
    if let Some(adjective) = country.adjective {
        facts.push(Fact::new(
            format!("{adjective} people come from {name}."),
            [format!("{capital} is {} {adjective} city.", article(adjective))],
        ));
    }
    if let Some(city) = country.other_city {
        facts.push(if country.other_city_is_metropolis {
            Fact::new(
                format!("{city} is the metropolis of {name}."),
                [
                    format!("{city} is bigger than {capital}."),
                    format!("{city} is a city in {name}."),
                ],
            )
        } else {
            Fact::new(
                format!("{city} is a city in {name}."),
                [format!("the city of {city} is found in {name}.")],
            )
        });
    }
    facts
}

/// A sentence about something other than a country.
pub(super) fn everyday_sentences(count: usize, random: &mut ChaCha8Rng) -> Vec<String> {
    let topic = choose(
        &[
            about_animals as fn(&mut ChaCha8Rng) -> String,
            about_animals,
            about_animals,
            about_numbers,
            about_numbers,
            about_opposites,
            about_colours,
            about_time,
            about_sizes,
            about_people,
            about_shapes_and_planets,
        ],
        random,
    );
    (0..count).map(|_| topic(random)).collect()
}

fn about_animals(random: &mut ChaCha8Rng) -> String {
    let animals: Vec<_> = animals().collect();
    let animal = choose(&animals, random);
    let name = animal.name;
    let one = format!("{} {name}", article(name));
    let mut sentences = vec![
        format!("{one} is {} {}.", article(animal.class), animal.class),
        format!("{one} has {} legs.", animal.legs),
        format!("{one} eats {}.", animal.food),
        format!("{} is the food of {one}.", animal.food),
    ];
    if let Some(sound) = animal.sound {
        sentences.push(format!("{sound} is the sound of {one}."));
        sentences.push(format!("the sound of {one} is {sound}."));
    }
    if let Some(young) = animal.young {
        sentences.push(format!("the {young} is the young of {one}."));
        sentences.push(format!("{one} was once {} {young}.", article(young)));
    }
    if let Some(home) = animal.home {
        sentences.push(format!("the {home} is the home of {one}."));
        sentences.push(format!("the home of {one} is the {home}."));
    }
    choose(&sentences, random).clone()
}

fn about_numbers(random: &mut ChaCha8Rng) -> String {
    let total = 1 + below(random, 20) as usize;
    let part = below(random, total as u32 + 1) as usize;
    let (whole, left, right) = (NUMBERS[total], NUMBERS[part], NUMBERS[total - part]);
    let half = 1 + below(random, 10) as usize;
    let (single, double) = (NUMBERS[half], NUMBERS[2 * half]);
    choose(
        &[
            format!("{left} plus {right} is {whole}."),
            format!("{whole} minus {left} is {right}."),
            format!("{single} is the half of {double}."),
            format!("{double} is the double of {single}."),
            format!("{} comes after {} when you count.", whole, NUMBERS[total - 1]),
        ],
        random,
    )
    .clone()
}

fn about_opposites(random: &mut ChaCha8Rng) -> String {
    let &(left, right) = choose(&OPPOSITES, random);
    choose(
        &[
            format!("{left} is the opposite of {right}."),
            format!("{right} is the opposite of {left}."),
            format!("what is not {left} may be {right}."),
        ],
        random,
    )
    .clone()
}

fn about_colours(random: &mut ChaCha8Rng) -> String {
    let &(thing, colour) = choose(&COLOURS, random);
    choose(
        &[
            format!("{colour} is the colour of {thing}."),
            format!("the colour of {thing} is {colour}."),
            format!("{thing} is {colour}."),
        ],
        random,
    )
    .clone()
}

fn about_time(random: &mut ChaCha8Rng) -> String {
    let day = below(random, 7) as usize;
    let month = below(random, 12) as usize;
    let (today, tomorrow) = (DAYS[day], DAYS[(day + 1) % 7]);
    let (this_month, next_month) = (MONTHS[month], MONTHS[(month + 1) % 12]);
    choose(
        &[
            format!("{tomorrow} is the day after {today}."),
            format!("{today} comes before {tomorrow}."),
            format!("{today} is a day of the week."),
            format!("{next_month} is the month after {this_month}."),
            format!("{this_month} comes before {next_month}."),
            format!("{this_month} is a month of the year."),
        ],
        random,
    )
    .clone()
}

fn about_sizes(random: &mut ChaCha8Rng) -> String {
    let large = 1 + below(random, BY_SIZE.len() as u32 - 1) as usize;
    let small = below(random, large as u32) as usize;
    let (large, small) = (BY_SIZE[large], BY_SIZE[small]);
    choose(
        &[format!("{large} is bigger than {small}."), format!("{small} is smaller than {large}.")],
        random,
    )
    .clone()
}

fn about_people(random: &mut ChaCha8Rng) -> String {
    let &(relative, meaning) = choose(&FAMILY, random);
    let &(trade, work, place) = choose(&JOBS, random);
    let &(organ, verb) = choose(&BODY, random);
    let someone = format!("{} {trade}", article(trade));
    choose(
        &[
            format!("{} {relative} is {meaning}.", article(relative)),
            format!("{meaning} is {} {relative}.", article(relative)),
            format!("{someone} {work}."),
            format!("the {place} is the workplace of {someone}."),
            format!("you {verb} with your {organ}."),
        ],
        random,
    )
    .clone()
}

fn about_shapes_and_planets(random: &mut ChaCha8Rng) -> String {
    let &(shape, sides) = choose(&SHAPES, random);
    let planet = below(random, PLANETS.len() as u32 - 1) as usize;
    let (inner, outer) = (PLANETS[planet], PLANETS[planet + 1]);
    choose(
        &[
            format!("{} {shape} has {sides} sides.", article(shape)),
            format!("{inner} is nearer to the sun than {outer}."),
            format!("{outer} is further from the sun than {inner}."),
            format!("{inner} is a planet."),
        ],
        random,
    )
    .clone()
}

/// `an` before a vowel, but for the words that begin with the sound of `you`.
fn article(word: &str) -> &'static str {
    let consonant_sound = ["ugandan", "ukrainian", "uruguayan"].contains(&word);
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) && !consonant_sound { "an" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    #[test]
    fn everyday_sentences_are_plain_lower_case() {
        let mut random = generator(0, Purpose::Sample, 0, 0);
        for sentence in (0..500).flat_map(|_| everyday_sentences(3, &mut random)) {
            assert!(sentence.ends_with('.'), "{sentence}");
            assert!(!sentence.contains("  "), "{sentence}");
            assert_eq!(sentence, sentence.to_lowercase());
            assert!(!sentence.contains("capital"), "{sentence}");
        }
    }

    #[test]
    fn sums_are_right() {
        let value = |word: &str| NUMBERS.iter().position(|number| *number == word);
        let mut random = generator(0, Purpose::Sample, 0, 1);
        let mut checked = 0;
        for sentence in (0..400).map(|_| about_numbers(&mut random)) {
            let words: Vec<&str> = sentence.trim_end_matches('.').split(' ').collect();
            if let [left, operator @ ("plus" | "minus"), right, "is", result] = words[..] {
                let [left, right, result] = [left, right, result].map(|word| value(word).unwrap());
                let expected = if operator == "plus" { left + right } else { left - right };
                assert_eq!(expected, result, "{sentence}");
                checked += 1;
            }
        }
        assert!(checked > 50, "{checked}");
    }
}
