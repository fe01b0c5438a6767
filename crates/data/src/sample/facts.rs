//! Small tables of everyday facts, so that countries are not all the sample corpus knows.

/// An animal: name, class, number of legs, what it eats, the sound it makes, its young, its home.
pub(super) struct Animal {
    pub name: &'static str,
    pub class: &'static str,
    pub legs: &'static str,
    pub food: &'static str,
    pub sound: Option<&'static str>,
    pub young: Option<&'static str>,
    pub home: Option<&'static str>,
}

/// The animals of [`ANIMALS`].
pub(super) fn animals() -> impl Iterator<Item = Animal> {
    ANIMALS.lines().map(|line| {
        let mut columns = line.split('|').map(str::trim);
        let mut next = || columns.next().expect("every animal has seven columns");
        let (name, class, legs, food) = (next(), next(), next(), next());
        let optional = |text: &'static str| (text != "-").then_some(text);
        let (sound, young, home) = (optional(next()), optional(next()), optional(next()));
        Animal { name, class, legs, food, sound, young, home }
    })
}

const ANIMALS: &str = "cow | mammal | four | grass | moo | calf | barn
dog | mammal | four | meat | bark | puppy | kennel
cat | mammal | four | fish | meow | kitten | -
horse | mammal | four | grass | neigh | foal | stable
sheep | mammal | four | grass | bleat | lamb | fold
pig | mammal | four | roots | oink | piglet | sty
goat | mammal | four | leaves | bleat | kid | -
lion | mammal | four | meat | roar | cub | -
tiger | mammal | four | meat | roar | cub | jungle
bear | mammal | four | honey | growl | cub | den
wolf | mammal | four | meat | howl | pup | den
fox | mammal | four | mice | bark | kit | den
rabbit | mammal | four | grass | - | kit | burrow
mouse | mammal | four | seeds | squeak | pup | hole
elephant | mammal | four | leaves | trumpet | calf | -
giraffe | mammal | four | leaves | - | calf | -
zebra | mammal | four | grass | - | foal | -
camel | mammal | four | plants | - | calf | desert
deer | mammal | four | leaves | - | fawn | forest
squirrel | mammal | four | nuts | - | kit | tree
hedgehog | mammal | four | insects | - | hoglet | -
bat | mammal | two | insects | - | pup | cave
whale | mammal | no | krill | song | calf | sea
dolphin | mammal | no | fish | click | calf | sea
seal | mammal | no | fish | bark | pup | sea
hen | bird | two | seeds | cluck | chick | coop
duck | bird | two | plants | quack | duckling | pond
goose | bird | two | grass | honk | gosling | -
swan | bird | two | plants | - | cygnet | lake
owl | bird | two | mice | hoot | owlet | tree
eagle | bird | two | meat | - | eaglet | -
crow | bird | two | seeds | caw | - | nest
sparrow | bird | two | seeds | chirp | - | nest
parrot | bird | two | fruit | squawk | - | -
penguin | bird | two | fish | - | chick | -
ostrich | bird | two | plants | - | chick | -
frog | amphibian | four | insects | croak | tadpole | pond
toad | amphibian | four | insects | croak | tadpole | -
newt | amphibian | four | insects | - | - | pond
snake | reptile | no | mice | hiss | - | -
lizard | reptile | four | insects | - | - | -
crocodile | reptile | four | meat | - | hatchling | river
turtle | reptile | four | plants | - | hatchling | -
bee | insect | six | nectar | buzz | larva | hive
ant | insect | six | seeds | - | larva | nest
butterfly | insect | six | nectar | - | caterpillar | -
beetle | insect | six | leaves | - | larva | -
fly | insect | six | sugar | buzz | maggot | -
spider | arachnid | eight | insects | - | - | web
scorpion | arachnid | eight | insects | - | - | desert
shark | fish | no | fish | - | pup | sea
salmon | fish | no | insects | - | - | river
trout | fish | no | insects | - | - | river
tuna | fish | no | fish | - | - | sea";

/// A thing and its usual colour.
pub(super) const COLOURS: [(&str, &str); 24] = [
    ("blood", "red"),
    ("a ripe tomato", "red"),
    ("a ruby", "red"),
    ("a strawberry", "red"),
    ("grass", "green"),
    ("a leaf", "green"),
    ("an emerald", "green"),
    ("spinach", "green"),
    ("the clear sky", "blue"),
    ("a sapphire", "blue"),
    ("the deep sea", "blue"),
    ("snow", "white"),
    ("milk", "white"),
    ("salt", "white"),
    ("a pearl", "white"),
    ("coal", "black"),
    ("a raven", "black"),
    ("ink", "black"),
    ("a ripe lemon", "yellow"),
    ("butter", "yellow"),
    ("a canary", "yellow"),
    ("a carrot", "orange"),
    ("chocolate", "brown"),
    ("ash", "grey"),
];

/// Pairs of opposites.
pub(super) const OPPOSITES: [(&str, &str); 48] = [
    ("hot", "cold"),
    ("big", "small"),
    ("tall", "short"),
    ("fast", "slow"),
    ("old", "young"),
    ("new", "ancient"),
    ("rich", "poor"),
    ("light", "dark"),
    ("heavy", "weightless"),
    ("wet", "dry"),
    ("full", "empty"),
    ("hard", "soft"),
    ("high", "low"),
    ("loud", "quiet"),
    ("happy", "sad"),
    ("clean", "dirty"),
    ("strong", "weak"),
    ("thick", "thin"),
    ("wide", "narrow"),
    ("deep", "shallow"),
    ("early", "late"),
    ("near", "far"),
    ("open", "closed"),
    ("safe", "dangerous"),
    ("sharp", "blunt"),
    ("smooth", "rough"),
    ("sweet", "bitter"),
    ("true", "false"),
    ("right", "wrong"),
    ("up", "down"),
    ("in", "out"),
    ("day", "night"),
    ("summer", "winter"),
    ("war", "peace"),
    ("love", "hate"),
    ("life", "death"),
    ("friend", "enemy"),
    ("question", "answer"),
    ("start", "end"),
    ("top", "bottom"),
    ("north", "south"),
    ("east", "west"),
    ("brave", "afraid"),
    ("easy", "difficult"),
    ("cheap", "expensive"),
    ("awake", "asleep"),
    ("alive", "dead"),
    ("always", "never"),
];

/// Number words from zero to twenty.
pub(super) const NUMBERS: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// The days of the week.
pub(super) const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The months of the year.
pub(super) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Things from the smallest to the largest.
pub(super) const BY_SIZE: [&str; 18] = [
    "a grain of sand",
    "an ant",
    "a bee",
    "a mouse",
    "a squirrel",
    "a rabbit",
    "a fox",
    "a wolf",
    "a lion",
    "a cow",
    "an elephant",
    "a whale",
    "a castle",
    "a hill",
    "a mountain",
    "the moon",
    "the earth",
    "the sun",
];

/// Relative, and what the word means.
pub(super) const FAMILY: [(&str, &str); 13] = [
    ("grandmother", "the mother of your mother"),
    ("grandfather", "the father of your father"),
    ("aunt", "the sister of your mother"),
    ("uncle", "the brother of your father"),
    ("cousin", "the child of your aunt"),
    ("niece", "the daughter of your brother"),
    ("nephew", "the son of your sister"),
    ("sister", "the daughter of your parents"),
    ("brother", "the son of your parents"),
    ("grandson", "the son of your daughter"),
    ("granddaughter", "the daughter of your son"),
    ("wife", "the woman a man is married to"),
    ("husband", "the man a woman is married to"),
];

/// A trade, its work and the place of it.
pub(super) const JOBS: [(&str, &str, &str); 20] = [
    ("baker", "bakes bread", "bakery"),
    ("farmer", "grows wheat", "farm"),
    ("teacher", "teaches children", "school"),
    ("doctor", "heals the sick", "hospital"),
    ("nurse", "cares for patients", "hospital"),
    ("cook", "prepares meals", "kitchen"),
    ("sailor", "sails the sea", "ship"),
    ("pilot", "flies planes", "cockpit"),
    ("smith", "shapes iron", "forge"),
    ("potter", "makes pots", "workshop"),
    ("judge", "decides cases", "court"),
    ("actor", "plays roles", "theatre"),
    ("librarian", "lends books", "library"),
    ("miner", "digs for coal", "mine"),
    ("monk", "prays", "monastery"),
    ("soldier", "guards the border", "camp"),
    ("gardener", "plants flowers", "garden"),
    ("chemist", "studies substances", "laboratory"),
    ("weaver", "makes cloth", "mill"),
    ("brewer", "makes beer", "brewery"),
];

/// What a part of the body is for.
pub(super) const BODY: [(&str, &str); 10] = [
    ("eyes", "see"),
    ("ears", "hear"),
    ("nose", "smell"),
    ("tongue", "taste"),
    ("hands", "hold things"),
    ("feet", "walk"),
    ("teeth", "chew"),
    ("brain", "think"),
    ("lungs", "breathe"),
    ("lips", "kiss"),
];

/// Shapes and how many sides they have.
pub(super) const SHAPES: [(&str, &str); 8] = [
    ("triangle", "three"),
    ("square", "four"),
    ("rectangle", "four"),
    ("pentagon", "five"),
    ("hexagon", "six"),
    ("heptagon", "seven"),
    ("octagon", "eight"),
    ("decagon", "ten"),
];

/// The planets, from the sun outwards.
pub(super) const PLANETS: [&str; 8] =
    ["mercury", "venus", "earth", "mars", "jupiter", "saturn", "uranus", "neptune"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_animal_has_seven_columns() {
        assert!(ANIMALS.lines().all(|line| line.split('|').count() == 7));
        assert_eq!(animals().count(), ANIMALS.lines().count());
    }
}
