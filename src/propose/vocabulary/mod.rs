//! The words of the grammar by what they mean. One word stands in as many lists as it has meanings; the grammar tries each.

mod amounts;
mod orders;
mod traffic;

pub(super) use self::amounts::*;
pub(super) use self::orders::*;
pub(super) use self::traffic::*;

/// Phrases of one meaning.
pub(super) type Phrases = &'static [&'static str];

/// Whether the grammar knows the word at all.
pub(super) fn known(word: &str) -> bool {
    lists().any(|list| list.iter().any(|phrase| phrase.split(' ').any(|w| w == word)))
        || NUMBERS.iter().any(|(w, _)| *w == word)
        || super::lexer::seconds_of(word).is_some()
}

/// The lists without tags.
const LISTS: &[Phrases] = &[
    REMOVE, IS_ONLY, OPENERS, FILLERS, DO_NOT, NEGATABLE, MAY, MAY_NOT, REACH, USE, IS, IS_NOT, REACHABLE, FROM, TO,
    FOR, ON, ENTERING, LEAVING, WITH, BETWEEN, TRAFFIC_NOUNS, SERVICE_NOUNS, COUNTED, PACKETS, EVERYTHING, ALL,
    ARTICLES, ANYWHERE, HERE, INTERNET, INSIDE, ADDRESS_NOUNS, MEMBERS, EXCEPT, EXCEPT_FROM, EXCEPT_TO, ONLY,
    NOBODY, AND, THEN, RANGE, AT_MOST, PER, EACH_SOURCE, SOURCES_OBJECT, IN_ALL, BURST, DURATION, TEMPORARILY,
    FOREVER, LOG_TOO, V4, V6,
];

/// Every list of words.
pub(super) fn lists() -> impl Iterator<Item = Phrases> {
    let tagged = VERBS.iter().chain(DONE).map(|(_, list)| *list);
    let ways = WAYS.iter().map(|(_, list)| *list).chain(STATES.iter().map(|(_, list)| *list));
    LISTS.iter().copied().chain(tagged).chain(ways).chain(ICMP_KINDS.iter().map(|(list, _, _)| *list))
}
