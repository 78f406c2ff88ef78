//! What gets through: the packets of a question that a ruleset accepts, as classes; and zones against services.

use super::Budget;
use super::certain::known_into;
use super::classes::{Pieces, hull, more_words};
use super::passing::wide;
use super::program::Unlaid;
use super::query::Query;
use super::sent::{Lands, Leads, lands};
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
        let mut asking = Asking { ruleset, direction, cells, budget, meter: &mut meter, terms: &mut terms };
        let (told, arriving) = asking.told(&mut pieces);
        bases.push((direction, hull(&arriving).and_then(|more| hull(&[base.clone(), more])).unwrap_or(base)));
        open.extend(told);
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

/// A question about one direction.
struct Asking<'a> {
    ruleset: &'a Ruleset,
    direction: Direction,
    cells: Vec<Cell>,
    budget: Budget,
    meter: &'a mut Meter,
    terms: &'a mut Terms,
}

impl Asking<'_> {
    /// Adds what gets through; what was not found out, and the packets that were sent elsewhere and looked at too.
    fn told(&mut self, pieces: &mut Pieces) -> (Vec<String>, Vec<Cell>) {
        let direction = self.direction;
        self.parts(pieces).unwrap_or_else(|why| (vec![format!("{direction} packets: not judged: {why}")], Vec::new()))
    }

    fn parts(&mut self, pieces: &mut Pieces) -> Result<(Vec<String>, Vec<Cell>), Unlaid> {
        let leads = Leads::of(self.ruleset, self.direction)?;
        let arriving = leads.arriving(&self.cells);
        let (mut own, rest) = leads.apart(&self.cells);
        let left = match rest.is_empty() {
            true => None,
            false => wide(self.ruleset, self.direction, &rest, self.budget, pieces)?,
        };
        if left.is_none() {
            own.clone_from(&self.cells);
        }
        let mut open = left.unwrap_or_default();
        if !own.is_empty() || !arriving.is_empty() {
            let laid = Laid::new(self.ruleset, self.direction, self.terms)?;
            let mut done = through(&laid, &own, None, self.meter, pieces);
            if done.is_ok() {
                done = through(&laid, &arriving, Some(&self.cells), self.meter, pieces);
            }
            if done.is_err() {
                open.push(format!("{} packets: {}", self.direction, self.budget.undecided("what else gets through")));
            }
        }
        Ok((open, arriving))
    }
}

/// Adds what of some packets gets through; where they were sent elsewhere, what of them is led to where others are asked for.
fn through(
    laid: &Laid,
    cells: &[Cell],
    asked: Option<&[Cell]>,
    meter: &mut Meter,
    pieces: &mut Pieces,
) -> Result<(), Exhausted> {
    let mut parts = Vec::new();
    let whole = known_into(laid, cells, meter, &mut parts);
    for part in parts {
        let by = laid.by(part.by);
        let lands = asked.map_or(Lands::Surely, |asked| lands(laid, &part.cell, &part.turned, asked));
        let led = part.turned.iter().find_map(|step| laid.translation(*step)).map(|to| to.text.clone());
        match part.sure() {
            _ if lands == Lands::Never => {}
            Some(Fate::Accepted) if lands == Lands::Surely => {
                pieces.add_led("accept", laid.direction, part.cell, by, led);
            }
            Some(fate) if !fate.passes() => {}
            _ if part.fates.contains(&Fate::Accepted) => {
                pieces.add_open(laid.direction, part.cell, by, part.terms.into_iter().collect(), led);
            }
            // Dropped or rejected: neither gets through.
            _ => {}
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::query::Names;
    use crate::analyze::tests::{packets, ruleset, turning};
    use crate::analyze::trace::tests::{closed, line};
    use crate::packet::{Bits, Narrow, Ranges, Wide};
    use crate::rule::evaluate::evaluate;
    use crate::rule::ruleset::{Condition, Verdict};
    use crate::rule::{ConnectionState, Packet};
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
            through(&laid, &cells, None, &mut Meter::new(100_000), &mut pieces).expect("small");
            // Loopback is asked for by its name alone.
            let asked = |packet: &&Packet| cells.iter().any(|cell| packet.is_in(cell));
            for packet in packets().iter().filter(asked).step_by(5) {
                let fate = evaluate(&ruleset, packet, &mut |_, _| false).expect("no circles").fate;
                let expected = if fate.passes() { vec!["accept"] } else { vec![] };
                prop_assert_eq!(pieces.of(packet), expected, "{}", packet);
            }
        }

        /// A question about a destination is about what was sent there and about what is led there.
        #[test]
        fn what_is_led_on_is_told_as_it_was_sent(ruleset in turning(), to in prop_oneof![Just("0.0.0.1,::1"), Just("any"), Just("::2")], port in proptest::option::of(0u16..4)) {
            let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
            let query = query(&format!("input to {to}{port} proto tcp,udp state any flags any"));
            let (mut meter, mut terms, mut pieces) = (Meter::new(200_000), Terms::default(), Pieces::default());
            let cells = asked(&query, Direction::Input, &ruleset);
            let mut asking = Asking {
                ruleset: &ruleset, direction: Direction::Input, cells: cells.clone(), budget: Budget::default(), meter: &mut meter, terms: &mut terms,
            };
            prop_assert_eq!(asking.told(&mut pieces).0, Vec::<String>::new());
            let is_asked = |packet: &Packet| cells.iter().any(|cell| packet.is_in(cell));
            for packet in packets().iter().step_by(3).filter(|packet| packet.state != ConnectionState::Established) {
                let mut sure = true;
                let trace = evaluate(&ruleset, packet, &mut |_, _| std::mem::replace(&mut sure, false)).expect("no circles");
                let there = trace.turned.packet(packet).expect("one place");
                let wanted = trace.fate.passes() && (is_asked(packet) || is_asked(&Packet { status: packet.status, ..there }));
                if sure {
                    prop_assert_eq!(pieces.of(packet), if wanted { vec!["accept"] } else { vec![] }, "{}", packet);
                }
            }
        }
    }
}
