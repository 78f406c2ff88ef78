//! "Did you mean": words for people, never a match.

use super::names::Names;
use super::{services, vocabulary};

/// The one known word that differs from `word` by a slip of one or two letters; nothing where there is none or several are as near.
pub(super) fn near(word: &str, names: &Names) -> Option<String> {
    let most = if word.chars().count() > 5 { 2 } else { 1 };
    if word.chars().count() < 3 {
        return None;
    }
    let grammar = vocabulary::lists().flatten().flat_map(|phrase| phrase.split(' ')).filter(|w| w.len() > 2);
    let mut all: Vec<&str> = names.words().collect();
    grammar.chain(services::names()).for_each(|known| all.push(known));
    let mut best: Vec<&str> = Vec::new();
    let mut least = most + 1;
    for known in all.into_iter().filter(|known| known.chars().count().abs_diff(word.chars().count()) <= most) {
        let far = distance(word, known);
        if far == 0 {
            return None;
        }
        if far < least {
            least = far;
            best.clear();
        }
        if far == least && far <= most && !best.contains(&known) {
            best.push(known);
        }
    }
    match best.as_slice() {
        [one] => Some((*one).to_owned()),
        _ => None,
    }
}

/// Letters to be put in, taken out, changed or swapped with the next (Damerau, optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if swapped {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_away() {
        for (word, meant) in [
            ("blokc", Some("block")),
            ("alow", Some("allow")),
            ("zebra", None),
            ("postgers", Some("postgres")),
            ("ab", None),
        ] {
            assert_eq!(near(word, &Names::default()).as_deref(), meant, "{word}");
        }
        assert_eq!((distance("ab", "ba"), distance("abc", "abc"), distance("", "ab")), (1, 0, 2));
    }
}
