//! The table of countries behind the sample corpus.
//!
//! Left out on purpose: countries whose capital is disputed, shared between cities or has the
//! country's own name, for nothing can be learnt from those about what a capital is.

/// One country and the facts the grammar speaks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country {
    /// Name in lower case, with its article where English wants one (`the netherlands`).
    pub name: &'static str,
    /// The capital.
    pub capital: &'static str,
    /// Whether the executive sits in the capital; it does not in the Netherlands or Malaysia.
    pub government_in_capital: bool,
    /// Continent.
    pub continent: &'static str,
    /// An official or the most spoken language.
    pub language: &'static str,
    /// Whether [`language`](Self::language) is *the* language rather than one among several.
    pub sole_language: bool,
    /// Adjective of the country (`french`), where there is a plain one.
    pub adjective: Option<&'static str>,
    /// Everyday name of the currency.
    pub currency: Option<&'static str>,
    /// A city that is not the capital.
    pub other_city: Option<&'static str>,
    /// Whether [`other_city`](Self::other_city) is far larger than the capital.
    pub other_city_is_metropolis: bool,
}

/// All countries, continent by continent.
pub fn countries() -> impl Iterator<Item = Country> {
    CONTINENTS.iter().flat_map(|(continent, table)| {
        table
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| parse(continent, line))
    })
}

/// Reads `name | capital | language | adjective | currency | other city`; `-` stands for nothing.
///
/// Marks: `capital ~` has the government elsewhere, `language !` is the country's one language,
/// `* city` is larger than the capital.
fn parse(continent: &'static str, line: &'static str) -> Country {
    let mut columns = line.split('|').map(str::trim);
    let mut next = || columns.next().expect("every line of the table has six columns");
    let (name, capital, language) = (next(), next(), next());
    let optional = |text: &'static str| (text != "-").then_some(text);
    let (adjective, currency, other_city) = (optional(next()), optional(next()), optional(next()));
    Country {
        name,
        capital: capital.trim_end_matches(" ~"),
        government_in_capital: !capital.ends_with('~'),
        continent,
        language: language.trim_end_matches(" !"),
        sole_language: language.ends_with('!'),
        adjective,
        currency,
        other_city: other_city.map(|city| city.trim_start_matches("* ")),
        other_city_is_metropolis: other_city.is_some_and(|city| city.starts_with('*')),
    }
}

const CONTINENTS: [(&str, &str); 6] = [
    (
        "europe",
        "france | paris | french ! | french | euro | lyon
         germany | berlin | german ! | german | euro | munich
         italy | rome | italian ! | italian | euro | milan
         spain | madrid | spanish ! | spanish | euro | barcelona
         portugal | lisbon | portuguese ! | portuguese | euro | porto
         the united kingdom | london | english ! | british | pound | manchester
         ireland | dublin | english | irish | euro | cork
         the netherlands | amsterdam ~ | dutch ! | dutch | euro | rotterdam
         belgium | brussels | dutch | belgian | euro | antwerp
         switzerland | bern | german | swiss | franc | * zurich
         austria | vienna | german ! | austrian | euro | salzburg
         poland | warsaw | polish ! | polish | zloty | krakow
         the czech republic | prague | czech ! | czech | koruna | brno
         slovakia | bratislava | slovak ! | slovak | euro | kosice
         hungary | budapest | hungarian ! | hungarian | forint | debrecen
         romania | bucharest | romanian ! | romanian | leu | cluj
         bulgaria | sofia | bulgarian ! | bulgarian | euro | plovdiv
         greece | athens | greek ! | greek | euro | thessaloniki
         albania | tirana | albanian ! | albanian | lek | durres
         serbia | belgrade | serbian ! | serbian | dinar | nis
         croatia | zagreb | croatian ! | croatian | euro | rijeka
         slovenia | ljubljana | slovene ! | slovene | euro | maribor
         bosnia | sarajevo | bosnian | bosnian | mark | mostar
         montenegro | podgorica | montenegrin | montenegrin | euro | niksic
         north macedonia | skopje | macedonian | macedonian | denar | bitola
         moldova | chisinau | romanian ! | moldovan | leu | balti
         ukraine | kyiv | ukrainian ! | ukrainian | hryvnia | lviv
         belarus | minsk | belarusian | belarusian | ruble | gomel
         russia | moscow | russian ! | russian | ruble | kazan
         estonia | tallinn | estonian ! | estonian | euro | tartu
         latvia | riga | latvian ! | latvian | euro | daugavpils
         lithuania | vilnius | lithuanian ! | lithuanian | euro | kaunas
         finland | helsinki | finnish | finnish | euro | tampere
         sweden | stockholm | swedish ! | swedish | krona | gothenburg
         norway | oslo | norwegian ! | norwegian | krone | bergen
         denmark | copenhagen | danish ! | danish | krone | aarhus
         iceland | reykjavik | icelandic ! | icelandic | krona | akureyri
         malta | valletta | maltese | maltese | euro | sliema",
    ),
    (
        "asia",
        "turkey | ankara | turkish ! | turkish | lira | * istanbul
         georgia | tbilisi | georgian ! | georgian | lari | batumi
         armenia | yerevan | armenian ! | armenian | dram | gyumri
         azerbaijan | baku | azerbaijani ! | azerbaijani | manat | ganja
         iran | tehran | persian ! | iranian | rial | mashhad
         iraq | baghdad | arabic | iraqi | dinar | basra
         syria | damascus | arabic ! | syrian | pound | aleppo
         lebanon | beirut | arabic ! | lebanese | pound | sidon
         jordan | amman | arabic ! | jordanian | dinar | zarqa
         saudi arabia | riyadh | arabic ! | saudi | riyal | jeddah
         yemen | sanaa ~ | arabic ! | yemeni | rial | aden
         oman | muscat | arabic ! | omani | rial | salalah
         qatar | doha | arabic ! | qatari | riyal | -
         kuwait | kuwait city | arabic ! | kuwaiti | dinar | -
         bahrain | manama | arabic ! | bahraini | dinar | riffa
         the united arab emirates | abu dhabi | arabic ! | emirati | dirham | * dubai
         afghanistan | kabul | pashto | afghan | afghani | kandahar
         pakistan | islamabad | urdu | pakistani | rupee | * karachi
         india | new delhi | hindi | indian | rupee | mumbai
         nepal | kathmandu | nepali ! | nepalese | rupee | pokhara
         bhutan | thimphu | dzongkha ! | bhutanese | ngultrum | paro
         bangladesh | dhaka | bengali ! | bangladeshi | taka | chittagong
         myanmar | naypyidaw | burmese ! | burmese | kyat | * yangon
         thailand | bangkok | thai ! | thai | baht | phuket
         laos | vientiane | lao ! | lao | kip | pakse
         cambodia | phnom penh | khmer ! | cambodian | riel | battambang
         vietnam | hanoi | vietnamese ! | vietnamese | dong | hue
         malaysia | kuala lumpur ~ | malay ! | malaysian | ringgit | ipoh
         indonesia | jakarta | indonesian ! | indonesian | rupiah | surabaya
         the philippines | manila | filipino | filipino | peso | davao
         brunei | bandar seri begawan | malay ! | bruneian | dollar | -
         east timor | dili | portuguese | timorese | dollar | baucau
         china | beijing | chinese ! | chinese | yuan | * shanghai
         mongolia | ulaanbaatar | mongolian ! | mongolian | tugrik | erdenet
         japan | tokyo | japanese ! | japanese | yen | osaka
         south korea | seoul | korean ! | korean | won | busan
         north korea | pyongyang | korean ! | - | won | hamhung
         kazakhstan | astana | kazakh | kazakh | tenge | * almaty
         uzbekistan | tashkent | uzbek ! | uzbek | som | samarkand
         turkmenistan | ashgabat | turkmen ! | turkmen | manat | -
         kyrgyzstan | bishkek | kyrgyz | kyrgyz | som | osh
         tajikistan | dushanbe | tajik ! | tajik | somoni | khujand",
    ),
    (
        "africa",
        "egypt | cairo | arabic ! | egyptian | pound | alexandria
         libya | tripoli | arabic ! | libyan | dinar | benghazi
         tunisia | tunis | arabic ! | tunisian | dinar | sfax
         algeria | algiers | arabic | algerian | dinar | oran
         morocco | rabat | arabic | moroccan | dirham | * casablanca
         mauritania | nouakchott | arabic ! | mauritanian | ouguiya | nouadhibou
         mali | bamako | bambara | malian | franc | sikasso
         niger | niamey | hausa | nigerien | franc | zinder
         chad | ndjamena | arabic | chadian | franc | moundou
         sudan | khartoum ~ | arabic | sudanese | pound | omdurman
         south sudan | juba | english | - | pound | malakal
         ethiopia | addis ababa | amharic | ethiopian | birr | gondar
         eritrea | asmara | tigrinya | eritrean | nakfa | keren
         somalia | mogadishu | somali | somali | shilling | kismayo
         kenya | nairobi | swahili | kenyan | shilling | mombasa
         uganda | kampala | english | ugandan | shilling | gulu
         tanzania | dodoma | swahili | tanzanian | shilling | * dar es salaam
         rwanda | kigali | kinyarwanda | rwandan | franc | -
         gabon | libreville | french ! | gabonese | franc | -
         cameroon | yaounde | french | cameroonian | franc | douala
         the central african republic | bangui | sango | - | franc | -
         nigeria | abuja | english ! | nigerian | naira | * lagos
         benin | porto novo ~ | french ! | beninese | franc | * cotonou
         togo | lome | french ! | togolese | franc | sokode
         ghana | accra | english ! | ghanaian | cedi | kumasi
         ivory coast | yamoussoukro ~ | french ! | ivorian | franc | * abidjan
         burkina faso | ouagadougou | mossi | burkinabe | franc | -
         guinea | conakry | french ! | guinean | franc | kankan
         sierra leone | freetown | english ! | - | leone | kenema
         liberia | monrovia | english ! | liberian | dollar | gbarnga
         senegal | dakar | french ! | senegalese | franc | touba
         the gambia | banjul | english ! | gambian | dalasi | * serekunda
         cape verde | praia | portuguese ! | - | escudo | mindelo
         angola | luanda | portuguese ! | angolan | kwanza | huambo
         zambia | lusaka | english ! | zambian | kwacha | ndola
         zimbabwe | harare | shona | zimbabwean | - | bulawayo
         malawi | lilongwe | chichewa | malawian | kwacha | blantyre
         mozambique | maputo | portuguese ! | mozambican | metical | beira
         namibia | windhoek | english ! | namibian | dollar | swakopmund
         botswana | gaborone | tswana | - | pula | francistown
         lesotho | maseru | sotho | - | loti | -
         madagascar | antananarivo | malagasy | malagasy | ariary | toamasina
         mauritius | port louis | english | mauritian | rupee | curepipe
         the seychelles | victoria | french | - | rupee | -
         the comoros | moroni | comorian | comorian | franc | -",
    ),
    (
        "north america",
        "the united states | washington | english ! | american | dollar | * new york
         canada | ottawa | english | canadian | dollar | * toronto
         mexico | mexico city | spanish ! | mexican | peso | guadalajara
         guatemala | guatemala city | spanish ! | guatemalan | quetzal | -
         belize | belmopan | english ! | belizean | dollar | * belize city
         honduras | tegucigalpa | spanish ! | honduran | lempira | -
         el salvador | san salvador | spanish ! | salvadoran | dollar | santa ana
         nicaragua | managua | spanish ! | nicaraguan | cordoba | granada
         costa rica | san jose | spanish ! | - | colon | alajuela
         panama | panama city | spanish ! | panamanian | balboa | -
         cuba | havana | spanish ! | cuban | peso | camaguey
         jamaica | kingston | english ! | jamaican | dollar | montego bay
         haiti | port au prince ~ | creole | haitian | gourde | gonaives
         the dominican republic | santo domingo | spanish ! | dominican | peso | la romana
         the bahamas | nassau | english ! | bahamian | dollar | freeport
         barbados | bridgetown | english ! | barbadian | dollar | -
         trinidad and tobago | port of spain | english ! | - | dollar | san fernando
         saint lucia | castries | english ! | - | dollar | -
         dominica | roseau | english ! | - | dollar | -",
    ),
    (
        "south america",
        "brazil | brasilia | portuguese ! | brazilian | real | * sao paulo
         argentina | buenos aires | spanish ! | argentine | peso | rosario
         chile | santiago | spanish ! | chilean | peso | valparaiso
         uruguay | montevideo | spanish ! | uruguayan | peso | salto
         paraguay | asuncion | spanish | paraguayan | guarani | encarnacion
         peru | lima | spanish | peruvian | sol | arequipa
         ecuador | quito | spanish ! | ecuadorian | dollar | guayaquil
         colombia | bogota | spanish ! | colombian | peso | medellin
         venezuela | caracas | spanish ! | venezuelan | bolivar | maracaibo
         guyana | georgetown | english ! | guyanese | dollar | linden
         suriname | paramaribo | dutch ! | surinamese | dollar | -",
    ),
    (
        "oceania",
        "australia | canberra | english ! | australian | dollar | * sydney
         new zealand | wellington | english | - | dollar | * auckland
         fiji | suva | fijian | fijian | dollar | nadi
         papua new guinea | port moresby | english | - | kina | lae
         samoa | apia | samoan | samoan | tala | -
         tonga | nukualofa | tongan | tongan | paanga | -
         vanuatu | port vila | bislama | - | vatu | luganville
         the solomon islands | honiara | english ! | - | dollar | -
         tuvalu | funafuti | tuvaluan | tuvaluan | dollar | -
         palau | ngerulmud | palauan | palauan | dollar | koror
         micronesia | palikir | english ! | micronesian | dollar | -
         the marshall islands | majuro | marshallese | marshallese | dollar | -",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_line_has_six_columns_in_lower_case() {
        for (_, table) in CONTINENTS {
            for line in table.lines() {
                assert_eq!(line.split('|').count(), 6, "{line}");
                assert_eq!(line, line.to_lowercase());
                assert!(line.is_ascii(), "{line}");
            }
        }
    }

    #[test]
    fn names_and_cities_are_unique() {
        let all: Vec<Country> = countries().collect();
        assert!(all.len() > 160, "{}", all.len());
        let names: HashSet<&str> = all.iter().map(|country| country.name).collect();
        assert_eq!(names.len(), all.len());
        let cities: Vec<&str> = all
            .iter()
            .flat_map(|country| [Some(country.capital), country.other_city])
            .flatten()
            .collect();
        assert_eq!(cities.iter().collect::<HashSet<_>>().len(), cities.len());
    }

    #[test]
    fn marks_are_read_and_removed() {
        let find = |name| countries().find(|country| country.name == name).expect("in the table");
        let nigeria = find("nigeria");
        assert_eq!(nigeria.other_city, Some("lagos"));
        assert!(nigeria.other_city_is_metropolis && nigeria.sole_language);
        let netherlands = find("the netherlands");
        assert_eq!(netherlands.capital, "amsterdam");
        assert!(!netherlands.government_in_capital);
        assert_eq!(find("zimbabwe").currency, None);
    }
}
