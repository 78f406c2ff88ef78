//! The rules of a ruleset as AFO's own, and what is told of those that are none: which are missing, and which nobody will miss.
//!
//! Nothing is put out here but words; every rule that is not taken over is named.

use crate::backend::Document;
use crate::backend::document::statements;
use crate::backend::iptables as dumps;
use crate::backend::nftables::{Imported, NotSaid, import, import_ruleset};
use crate::backend::opnsense::{self, Listing};
use crate::cli::Shell;
use crate::record::LiveRuleset;
use std::collections::BTreeMap;

/// More reasons than this are not counted one by one.
const REASONS: usize = 8;

/// The rules that AFO can say, or why none is looked for.
pub(super) fn imported(ruleset: &LiveRuleset) -> Result<Imported, String> {
    match ruleset.backend.as_str() {
        "nftables" => import(&ruleset.native).map_err(|e| e.to_string()),
        "iptables" => {
            let read = dumps::read(ruleset.native.as_str().unwrap_or_default()).map_err(|e| format!("line {e}"))?;
            let read = dumps::without_own(read);
            Ok(import_ruleset(&read, &dumps::statements(&read)))
        }
        "opnsense" => {
            let listing = Listing::read(&ruleset.native.to_string(), None).map_err(|e| e.to_string())?;
            let read = opnsense::read(&listing.without_own());
            Ok(import_ruleset(&read, &statements(&read)))
        }
        other => {
            let document =
                Document::named(other).ok_or_else(|| format!("rules of {other} are not read as AFO's rules"))?;
            let read = document.read_value(&ruleset.native).map_err(|e| e.to_string())?;
            Ok(import_ruleset(&read, &statements(&read)))
        }
    }
}

/// How many rules are not said, of how many.
pub(super) fn uncounted(imported: &Imported) -> String {
    format!("{} of {} rules cannot be said as AFO's rules", imported.not_said.len(), imported.of)
}

/// Says what is not taken over, what decides nothing, and how much of each there is.
pub(super) fn tell(shell: &Shell, imported: &Imported, source: &str) {
    for rule in &imported.not_said {
        shell.complain(&format!("{}: `{}`: {}", rule.place, rule.text, rule.why), None);
    }
    for words in gathered(&imported.idle) {
        shell.note(&words);
    }
    let (missing, idle) = (imported.not_said.len(), imported.idle.len());
    let taken = imported.of.saturating_sub(missing + idle);
    if imported.not_said.is_empty() {
        return shell.note(&format!("{source}: {} rules: {taken} taken over, {idle} decide nothing", imported.of));
    }
    for words in reasons(&imported.not_said) {
        shell.note(&words);
    }
    let hint = "what is in the proposal decides as before; the rest stays to be written by hand";
    shell.complain(&format!("{}; {taken} taken over, {idle} decide nothing", uncounted(imported)), Some(hint));
}

/// The rules that decide nothing, those of a chain that do so for the same reason in one line.
fn gathered(idle: &[NotSaid]) -> Vec<String> {
    let mut groups: Vec<((&str, &str), Vec<usize>)> = Vec::new();
    let mut alone = Vec::new();
    for rule in idle {
        let numbered = rule.place.rsplit_once(", rule ").and_then(|(at, number)| Some((at, number.parse().ok()?)));
        let Some((chain, number)) = numbered else {
            alone.push(format!("{}: `{}` decides nothing: {}", rule.place, rule.text, rule.why));
            continue;
        };
        match groups.iter_mut().find(|(group, _)| *group == (chain, rule.why.as_str())) {
            Some((_, numbers)) => numbers.push(number),
            None => groups.push(((chain, &rule.why), vec![number])),
        }
    }
    let words = |((chain, why), numbers): ((&str, &str), Vec<usize>)| match numbers.as_slice() {
        [one] => format!("{chain}, rule {one} decides nothing: {why}"),
        many => format!("{chain}, rules {} decide nothing: {why}", spans(many)),
    };
    groups.into_iter().map(words).chain(alone).collect()
}

/// `1-3, 7` of rising numbers.
fn spans(numbers: &[usize]) -> String {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match spans.last_mut().filter(|(_, last)| last + 1 == *number) {
            Some((_, last)) => *last = *number,
            None => spans.push((*number, *number)),
        }
    }
    let words =
        spans.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    words.collect::<Vec<_>>().join(", ")
}

/// Why rules are not said, the most frequent reason first; nothing where the rules themselves say it as shortly.
fn reasons(not_said: &[NotSaid]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    not_said.iter().for_each(|rule| *counts.entry(&rule.why).or_default() += 1);
    if not_said.len() < 4 || counts.len() == not_said.len() {
        return Vec::new();
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rest: usize = counts.iter().skip(REASONS).map(|(_, count)| count).sum();
    let more = (rest > 0).then(|| format!("not said, {rest}: for other reasons, named above"));
    let most = counts.into_iter().take(REASONS);
    most.map(|(why, count)| format!("not said, {count}: {why}")).chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(place: &str, why: &str) -> NotSaid {
        NotSaid { place: place.to_owned(), text: "-j X".to_owned(), why: why.to_owned() }
    }

    #[test]
    fn rules_that_decide_nothing_stand_together() {
        let idle: Vec<_> =
            [1, 2, 3, 7].iter().map(|n| rule(&format!("ip filter a, rule {n}"), "it only counts")).collect();
        assert_eq!(gathered(&idle), ["ip filter a, rules 1-3, 7 decide nothing: it only counts"]);
        let mixed = [rule("ip filter a, rule 4", "x"), rule("ip filter a", "y")];
        assert_eq!(
            gathered(&mixed),
            ["ip filter a, rule 4 decides nothing: x", "ip filter a: `-j X` decides nothing: y"]
        );
    }

    #[test]
    fn reasons_are_counted_where_there_are_many() {
        let few = [rule("a", "x"), rule("b", "y")];
        assert_eq!(reasons(&few), Vec::<String>::new());
        let many: Vec<_> =
            (0..12).map(|n| rule("a", if n < 3 { "x".to_owned() } else { format!("y{n}") }.as_str())).collect();
        let told = reasons(&many);
        assert_eq!((told.len(), told[0].as_str()), (9, "not said, 3: x"));
        assert_eq!(told[8], "not said, 2: for other reasons, named above");
    }
}
