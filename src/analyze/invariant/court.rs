//! Whether invariants hold of a ruleset: a packet that breaks one, a doubt, or nothing.

use super::{Demand, Invariant, Subject};
use crate::analyze::Budget;
use crate::analyze::audit::finding;
use crate::analyze::certain::{Known, known};
use crate::analyze::classes::decider;
use crate::analyze::program::End;
use crate::analyze::query::Query;
use crate::analyze::reach::asked;
use crate::analyze::sent::{Lands, Leads, lands};
use crate::analyze::trace::{Detail, trace};
use crate::analyze::ways::{Exhausted, Laid, Meter, Terms};
use crate::packet::{Cell, Narrow};
use crate::record::{Finding, FindingType, Place, Severity, Witness};
use crate::rule::evaluate::Fate;
use crate::rule::ruleset::Ruleset;
use crate::rule::{Direction, Packet};
use std::ops::ControlFlow;

/// What does not hold, or nobody knows whether it does, in the order of the file. `file` is named in the words.
pub fn violations(ruleset: &Ruleset, invariants: &[Invariant], file: &str, budget: Budget) -> Vec<Finding> {
    let mut terms = Terms::default();
    let ways = Direction::ALL.iter().map(|direction| {
        let laid = Laid::new(ruleset, *direction, &mut terms);
        (*direction, laid.map_err(|why| format!("the way of {direction} packets was not judged: {why}")))
    });
    let ways: Vec<_> = ways.collect();
    let court = Court { ruleset, ways: &ways, terms: &terms, budget, file };
    invariants.iter().filter_map(|one| court.judge(one)).collect()
}

struct Court<'a> {
    ruleset: &'a Ruleset,
    ways: &'a [(Direction, Result<Laid, String>)],
    terms: &'a Terms,
    budget: Budget,
    file: &'a str,
}

/// A packet for which an invariant does not hold, or may not.
struct Counter {
    packet: Option<Packet>,
    verdict: String,
    by: Option<Place>,
}

/// What is to be said of an invariant.
enum Judged {
    Holds,
    Broken(Counter),
    /// Nobody knows, and why.
    Open(Option<Counter>, String),
}

/// A demand of the packets of one direction; of those that were sent elsewhere as far as they are led to where it asks for.
struct OnWay<'a> {
    demand: Demand,
    laid: &'a Laid,
    asked: Option<&'a [Cell]>,
}

impl OnWay<'_> {
    fn lands(&self, cell: &Cell, turned: &[Option<usize>]) -> Lands {
        self.asked.map_or(Lands::Surely, |asked| lands(self.laid, cell, turned, asked))
    }
}

impl Demand {
    fn is_broken_by(self, fate: Fate) -> bool {
        fate.passes() != (self == Self::Allow)
    }
}

impl Court<'_> {
    fn judge(&self, one: &Invariant) -> Option<Finding> {
        let judged = match &one.subject {
            Subject::One(packet) => self.packet(one.demand, packet),
            Subject::All(query) => self.query(one.demand, query),
        };
        let open = |why: &str| format!("whether it holds is not known: {why}");
        match judged {
            Judged::Broken(counter) => {
                let packet = counter.packet.as_ref().map(|packet| format!(": {packet}")).unwrap_or_default();
                let words = format!("does not hold: the verdict is {}{packet}", counter.verdict);
                Some(self.finding(one, Some(counter), FindingType::Invariant, &words))
            }
            Judged::Open(counter, why) => Some(self.finding(one, counter, FindingType::Unknown, &open(&why))),
            Judged::Holds => {
                let text = self.ruleset.unread.first()?;
                let why = format!("this object was not understood and may decide: {text}");
                Some(self.finding(one, None, FindingType::Unknown, &open(&why)))
            }
        }
    }

    fn finding(&self, one: &Invariant, counter: Option<Counter>, kind: FindingType, words: &str) -> Finding {
        let expected = Some(if one.demand == Demand::Allow { "accept" } else { "drop" }.to_owned());
        let (rule, witness) = match counter {
            Some(Counter { packet, verdict, by }) => {
                (by, packet.map(|packet| Witness { packet: packet.to_string(), verdict, expected }))
            }
            None => (None, None),
        };
        let explanation = format!("{}:{}: `{}`: {words}", self.file, one.line, one.text);
        Finding { rule, witness, ..finding(kind, Severity::High, explanation) }
    }

    fn packet(&self, demand: Demand, packet: &Packet) -> Judged {
        let told = match trace(self.ruleset, packet, Detail::Short, self.budget) {
            Ok(told) => told,
            Err(lost) => return Judged::Open(None, lost.to_string()),
        };
        let verdict = told.verdict.unwrap_or_default();
        let counter = Counter { packet: Some(packet.clone()), verdict: verdict.clone(), by: told.by };
        match verdict.as_str() {
            "unknown" => Judged::Open(Some(counter), told.text),
            verdict if (verdict == "accept") == (demand == Demand::Allow) => Judged::Holds,
            _ => Judged::Broken(counter),
        }
    }

    fn query(&self, demand: Demand, query: &Query) -> Judged {
        let mut meter = Meter::new(self.budget.steps);
        let mut open = Judged::Holds;
        for (direction, laid) in self.ways {
            let mut cells = asked(query, *direction, self.ruleset);
            if cells.is_empty() {
                continue;
            }
            // What is searched last is told first: people know IPv4 packets better.
            cells.sort_by_key(|cell| std::cmp::Reverse(cell.narrow(Narrow::Family)));
            let laid = match laid {
                Ok(laid) => laid,
                Err(why) => return Judged::Open(None, why.clone()),
            };
            let arriving = match Leads::of(self.ruleset, *direction) {
                Ok(leads) => leads.arriving(&cells),
                Err(why) => return Judged::Open(None, why.to_string()),
            };
            for (cells, asked) in [(&cells, None), (&arriving, Some(cells.as_slice()))] {
                let way = OnWay { demand, laid, asked };
                match self.way(&way, cells, &mut meter) {
                    Ok(broken @ Judged::Broken(_)) => return broken,
                    Ok(unsure @ Judged::Open(..)) if matches!(open, Judged::Holds) => open = unsure,
                    Ok(_) => {}
                    Err(Exhausted) => return Judged::Open(None, self.budget.undecided("")),
                }
            }
        }
        open
    }

    /// A packet that surely breaks the demand; else one that may, and on what it depends.
    fn way(&self, way: &OnWay, cells: &[Cell], meter: &mut Meter) -> Result<Judged, Exhausted> {
        let (mut sure, mut doubtful) = (None, Vec::new());
        way.laid.follow(cells, meter, &mut |part, _| {
            let lands = way.lands(&part.cell, &[part.turned[End::Destination as usize]]);
            match way.demand.is_broken_by(part.fate) && lands != Lands::Never {
                true if part.cell.atoms().is_empty() && lands == Lands::Surely => sure = Some(part),
                true => doubtful.push(part.cell),
                false => {}
            }
            Ok(if sure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if let Some(part) = sure {
            return Ok(Judged::Broken(self.counter(way.laid, &part.cell, part.fate.as_str(), part.by)));
        }
        let mut open = Judged::Holds;
        for mut cell in doubtful {
            cell.drop_atoms();
            for part in known(way.laid, std::slice::from_ref(&cell), meter)? {
                match self.part(way, &part) {
                    broken @ Judged::Broken(_) => return Ok(broken),
                    unsure @ Judged::Open(..) if matches!(open, Judged::Holds) => open = unsure,
                    _ => {}
                }
            }
        }
        Ok(open)
    }

    fn part(&self, way: &OnWay, part: &Known) -> Judged {
        let broken = part.fates.iter().filter(|fate| way.demand.is_broken_by(**fate)).count();
        let turned: Vec<_> = part.turned.iter().copied().collect();
        let lands = way.lands(&part.cell, &turned);
        match broken {
            0 => Judged::Holds,
            _ if lands == Lands::Never => Judged::Holds,
            all if all == part.fates.len() && lands == Lands::Surely => {
                let verdict = part.sure().unwrap_or(Fate::Dropped).as_str();
                Judged::Broken(self.counter(way.laid, &part.cell, verdict, part.by))
            }
            _ => {
                let mut texts: Vec<_> = part.terms.iter().map(|t| format!("`{}`", self.terms.words(*t))).collect();
                if lands == Lands::Perhaps {
                    let to = turned.iter().filter_map(|step| way.laid.translation(*step));
                    texts.extend(to.map(|to| format!("where `{}` leads", to.text)));
                }
                let why = format!("it depends on {}", texts.join(", "));
                Judged::Open(Some(self.counter(way.laid, &part.cell, "unknown", part.by)), why)
            }
        }
    }

    fn counter(&self, laid: &Laid, cell: &Cell, verdict: &str, by: Option<usize>) -> Counter {
        let packet = cell.by_family().iter().find_map(|cell| Packet::from_cell(laid.direction, cell));
        let by = decider(self.ruleset, laid.by(by), packet.as_ref());
        Counter { packet, verdict: verdict.to_owned(), by }
    }
}
