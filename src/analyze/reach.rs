//! What gets through: the packets of a question that a ruleset accepts, as classes; and zones against services.

use super::Budget;
use super::certain::known_into;
use super::classes::{Pieces, hull, more_words};
use super::passing::wide;
use super::query::Query;
use super::ways::{Exhausted, Laid, Meter, Terms, coming, possible};
use crate::packet::Cell;
use crate::record::Answer;
use crate::rule::Direction;
use crate::rule::evaluate::Fate;
use crate::rule::ruleset::Ruleset;

/// Which packets of a question get through, each class with an example and the rule that decides.
///
/// `verdict` is `accept` where some surely do, `drop` where surely none does, else `unknown`.
pub fn reach(ruleset: &Ruleset, query: &Query, budget: Budget) -> Answer {
    let mut terms = Terms::default();
    let mut meter = Meter::new(budget.steps);
    let (mut pieces, mut open, mut bases) = (Pieces::default(), Vec::new(), Vec::new());
    for direction in Direction::ALL.iter().copied() {
        let cells = asked(query, direction, ruleset);
        let Some(base) = hull(&cells) else { continue };
        bases.push((direction, base));
        match wide(ruleset, direction, &cells, budget, &mut pieces) {
            Ok(Some(left)) => {
                open.extend(left);
                continue;
            }
            Ok(None) => {}
            Err(why) => {
                open.push(format!("{direction} packets: not judged: {why}"));
                continue;
            }
        }
        match Laid::new(ruleset, direction, &mut terms) {
            Ok(laid) => {
                if through(&laid, &cells, &mut meter, &mut pieces).is_err() {
                    open.push(format!("{direction} packets: {}", budget.undecided("what else gets through")));
                }
            }
            Err(why) => open.push(format!("{direction} packets: not judged: {why}")),
        }
    }
    open.extend(ruleset.unread.iter().map(|text| format!("not understood, and may decide: {text}")));
    let base = |direction| bases.iter().find(|(d, _)| *d == direction).map(|(_, cell)| cell.clone());
    let (classes, more) = pieces.classes(&terms, (None, ruleset), &base);
    let accepted = classes.iter().filter(|class| class.verdict == "accept").count();
    let (verdict, text) = match (accepted, classes.len() == accepted && open.is_empty()) {
        (0, true) => ("drop", "nothing gets through".to_owned()),
        (0, false) => ("unknown", "whether anything gets through is not known".to_owned()),
        (1, _) => ("accept", "1 class of packets gets through".to_owned()),
        (count, _) => ("accept", format!("{count} classes of packets get through")),
    };
    let evidence = query.assumed.iter().cloned().chain(more_words(more)).chain(open).collect();
    let request = Some(query.text.clone());
    Answer { text, evidence, request, verdict: Some(verdict.to_owned()), classes, ..Answer::default() }
}

/// The packets of a question in one direction that there can be.
pub(super) fn asked(query: &Query, direction: Direction, ruleset: &Ruleset) -> Vec<Cell> {
    let possible = possible(direction, &[ruleset]);
    let own = query.cells.iter().filter(|(d, _)| *d == direction).filter_map(|(_, cell)| cell.and(&possible));
    own.flat_map(|cell| coming(ruleset, direction, &cell)).collect()
}

fn through(laid: &Laid, cells: &[Cell], meter: &mut Meter, pieces: &mut Pieces) -> Result<(), Exhausted> {
    let mut parts = Vec::new();
    let whole = known_into(laid, cells, meter, &mut parts);
    for part in parts {
        let by = laid.by(part.by);
        match part.sure() {
            Some(Fate::Accepted) => pieces.add("accept", laid.direction, part.cell, None, by),
            Some(_) => {}
            None if part.fates.contains(&Fate::Accepted) => {
                pieces.add_open(laid.direction, part.cell, by, part.terms.into_iter().collect());
            }
            // Dropped or rejected: neither gets through.
            None => {}
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::query::Names;
    use crate::analyze::tests::{packets, ruleset};
    use crate::analyze::trace::tests::{closed, line};
    use crate::packet::{Bits, Narrow, Ranges, Wide};
    use crate::rule::evaluate::evaluate;
    use crate::rule::ruleset::{Condition, Verdict};
    use proptest::prelude::*;

    fn query(text: &str) -> Query {
        Query::parse(text, &Names::default()).expect(text)
    }

    #[test]
    fn few_classes_with_example_and_rule() {
        let port = |port: u16| Condition::Wide(Wide::DestinationPort, Ranges::single(port.into()));
        let limit = Condition::Chance("limit rate 5/second".to_owned());
        let ruleset = closed(vec![
            line("ssh", vec![port(22)], Verdict::Accept),
            line("limited", vec![port(80), limit], Verdict::Accept),
        ]);
        let found = reach(&ruleset, &query("input proto tcp"), Budget::default());
        let classes: Vec<_> = found.classes.iter().map(|c| (c.verdict.as_str(), c.text.as_str())).collect();
        let limited = "input: everything to port 80, depending on `limit rate 5/second`";
        assert_eq!(classes, [("accept", "input: everything to port 22"), ("unknown", limited)]);
        assert_eq!(found.classes[0].by.as_ref().map(|by| by.text.as_str()), Some("ssh"));
        assert_eq!(found.text, "1 class of packets gets through");
        let cut = reach(&ruleset, &query("input"), Budget { steps: 1 });
        let words = "input packets: undecided after 1 steps (--steps N allows more) what else gets through";
        assert!(cut.evidence.iter().any(|said| said == words), "{cut:#?}");
        let none = reach(&ruleset, &query("input port 443"), Budget::default());
        assert_eq!((none.text.as_str(), none.verdict.as_deref()), ("nothing gets through", Some("drop")));
        let source = Condition::Wide(Wide::Source, Ranges::single(0xcb00_7109));
        let one = closed(vec![line(
            "one",
            vec![Condition::Narrow(Narrow::Family, Bits::single(0)), source],
            Verdict::Accept,
        )]);
        let found = reach(&one, &query("input to 198.51.100.0/24"), Budget::default());
        assert_eq!(found.classes[0].text, "input: everything from 203.0.113.9");
        let open = reach(&ruleset, &query("input port 80"), Budget::default());
        assert_eq!(open.verdict.as_deref(), Some("unknown"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_gets_through_is_what_the_evaluator_accepts(ruleset in ruleset()) {
            let laid = Laid::new(&ruleset, Direction::Input, &mut Terms::default()).expect("no circles");
            let cells = asked(&query("input state any flags any"), Direction::Input, &ruleset);
            let mut pieces = Pieces::default();
            through(&laid, &cells, &mut Meter::new(100_000), &mut pieces).expect("small");
            for packet in packets().iter().step_by(5) {
                let fate = evaluate(&ruleset, packet, &mut |_, _| false).expect("no circles").fate;
                let expected = if fate.passes() { vec!["accept"] } else { vec![] };
                prop_assert_eq!(pieces.of(packet), expected, "{}", packet);
            }
        }
    }
}
