//! Zones against services: whether a service of each is open to each, in one look.

use super::Budget;
use super::certain::{Known, known};
use super::classes::decider;
use super::passing::outcome;
use super::query::Query;
use super::reach::asked;
use super::sent::{Lands, Leads, lands};
use super::ways::{Laid, Meter, Terms};
use crate::packet::Cell;
use crate::record::FateClass;
use crate::rule::evaluate::Fate;
use crate::rule::ruleset::Ruleset;
use crate::rule::{Direction, Packet};

/// The answer to each question in one word: `accept` where all its packets get through, `drop` where none does, `part` where some do,
/// `unknown` where that is not sure. The example is a packet that gets through, if there is one; `text` is the question.
pub fn passages(ruleset: &Ruleset, questions: &[Query], budget: Budget) -> Vec<FateClass> {
    let mut terms = Terms::default();
    let ways: Vec<_> = Direction::ALL.iter().map(|d| (*d, Laid::new(ruleset, *d, &mut terms).ok())).collect();
    questions.iter().map(|question| passage(ruleset, &ways, question, budget)).collect()
}

fn passage(ruleset: &Ruleset, ways: &[(Direction, Option<Laid>)], question: &Query, budget: Budget) -> FateClass {
    let mut meter = Meter::new(budget.steps);
    let (mut open, mut through, mut stopped, mut example) = (!ruleset.unread.is_empty(), false, false, None);
    for (direction, laid) in ways {
        let cells = asked(question, *direction, ruleset);
        if cells.is_empty() {
            continue;
        }
        let Ok(leads) = Leads::of(ruleset, *direction) else {
            open = true;
            continue;
        };
        let (arriving, (led, _)) = (leads.arriving(&cells), leads.apart(&cells));
        let stays = arriving.is_empty() && led.is_empty();
        match if stays { outcome(ruleset, *direction, &cells, budget) } else { Ok(None) } {
            Ok(Some(found)) => {
                open |= found.open;
                through |= found.through.is_some();
                stopped |= found.stopped;
                let shown = |(packet, by)| {
                    let place = decider(ruleset, by, Some(&packet));
                    (packet, place)
                };
                example = example.or_else(|| found.through.map(shown));
                continue;
            }
            Ok(None) => {}
            Err(_) => {
                open = true;
                continue;
            }
        }
        let parts = laid.as_ref().and_then(|laid| {
            Some((laid, known(laid, &cells, &mut meter).ok()?, known(laid, &arriving, &mut meter).ok()?))
        });
        let Some((laid, mut parts, led)) = parts else {
            open = true;
            continue;
        };
        open |= add_landing(laid, &mut parts, led, &cells);
        for part in &parts {
            let passes = part.fates.contains(&Fate::Accepted);
            open |= passes && part.sure().is_none();
            through |= passes;
            stopped |= !passes || part.sure().is_none();
            example = example.or_else(|| passes.then(|| shown(ruleset, laid, part)).flatten());
        }
    }
    let verdict = match (open, through, stopped) {
        (true, _, _) => "unknown",
        (false, true, false) => "accept",
        (false, true, true) => "part",
        (false, false, _) => "drop",
    };
    let (packet, by) = example.map_or((None, None), |(packet, by)| (Some(packet), by));
    let text = question.text.clone();
    FateClass { text, verdict: verdict.to_owned(), example: packet.map(|p| p.to_string()), by, before: None }
}

/// Adds the packets that are led to where a question asks; whether more of them may be.
fn add_landing(laid: &Laid, parts: &mut Vec<Known>, led: Vec<Known>, cells: &[Cell]) -> bool {
    let mut perhaps = false;
    parts.extend(led.into_iter().filter(|part| {
        let lands = lands(laid, &part.cell, &part.turned, cells);
        perhaps |= lands == Lands::Perhaps && part.fates.contains(&Fate::Accepted);
        lands == Lands::Surely
    }));
    perhaps
}

fn shown(ruleset: &Ruleset, laid: &Laid, part: &Known) -> Option<(Packet, Option<crate::record::Place>)> {
    let packet = part.cell.by_family().iter().find_map(|cell| Packet::from_cell(laid.direction, cell))?;
    let by = decider(ruleset, laid.by(part.by), Some(&packet));
    Some((packet, by))
}
