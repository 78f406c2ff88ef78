//! Lines that let go as many packets as a rate allows, where all others are dropped behind them: one rule of AFO with a rate.

use super::act::{Act, End, act};
use super::cell::{narrowed, widest, without};
use super::saying::Part;
use super::{Stand, Walk};
use crate::packet::Cell;
use crate::rule::Action;
use crate::rule::ruleset::{At, Line, Outcome, Verdict};

/// What stays in a chain behind a line; nothing where that is all.
type Staying = Option<Vec<Cell>>;

impl<'a> Walk<'a> {
    /// Takes over a line that accepts, or lets out of its chain, what is within a rate, where the rest is dropped behind it without a word.
    /// Nothing where it is no such line.
    ///
    /// # Errors
    /// When no rule is it.
    pub(super) fn within(
        &mut self,
        line: &Line,
        (entering, cells): (&[Cell], &[Cell]),
        act: &Act,
        stand: Stand<'a>,
        depth: usize,
    ) -> Result<Option<Staying>, String> {
        let parts = |action| cells.iter().map(|cell| Part::of(cell.clone(), action)).collect();
        match &line.outcome {
            Outcome::Verdict(Verdict::Accept) if act.lets_within() => {
                let Some(end) = self.end(cells, Some(stand)) else { return Ok(None) };
                self.say(parts(Action::Accept), line, &act.ending(end), stand).map(|()| Some(None))
            }
            Outcome::Verdict(Verdict::Return) if act.lets_within() && depth > 0 => {
                let Some(end) = self.end(cells, None) else { return Ok(None) };
                let action = if end == End::Drop { Action::Drop } else { Action::Reject };
                self.say(parts(action), line, &act.turned(end), stand)?;
                let many = || "what it leaves in its chain comes to too many pieces".to_owned();
                without(entering.to_vec(), cells).ok_or_else(many).map(|rest| Some(Some(rest)))
            }
            _ => Ok(None),
        }
    }

    /// What becomes of packets that go on behind the line in hand, where all are dropped or all get the same answer before anything else
    /// happens to them: in its chain, or on the whole way through the base chain.
    fn end(&self, cells: &[Cell], whole: Option<Stand<'a>>) -> Option<End> {
        let (mut left, mut end) = (cells.to_vec(), None);
        for (up, at) in self.stack.iter().rev().enumerate() {
            match &self.ruleset.line(*at)?.outcome {
                Outcome::Verdict(Verdict::Goto(_)) if up > 0 => continue,
                Outcome::Verdict(_) => {}
                _ => return None,
            }
            for (n, line) in self.chain(at.table, at.chain).lines.iter().enumerate().skip(at.line + 1) {
                let (rest, own) = self.past(At { line: n, ..*at }, line, left)?;
                left = rest;
                if own.is_some() && end.is_some() && own != end {
                    return None;
                }
                end = end.or(own);
                if left.is_empty() {
                    return end;
                }
            }
            whole?;
        }
        whole.filter(|stand| stand.base.drops && end.is_none_or(|end| end == End::Drop)).map(|_| End::Drop)
    }

    /// What a line leaves of packets, and how it ends those that it takes; nothing where it may do something else to some.
    fn past(&self, at: At, line: &Line, left: Vec<Cell>) -> Option<(Vec<Cell>, Option<End>)> {
        if widest(&left, &line.conditions).is_empty() {
            return Some((left, None));
        }
        let act = act(self.statements(at).ok()?).ok()?;
        let end = match &line.outcome {
            Outcome::Next if act.is_plain() && line.alters.is_empty() => return Some((left, None)),
            Outcome::Verdict(Verdict::Drop) if act.is_plain() => End::Drop,
            Outcome::Verdict(Verdict::Reject) => End::Reject(act.answer()?),
            _ => return None,
        };
        let taken = narrowed(&left, &line.conditions, 0).ok()?;
        without(left, &taken).map(|rest| (rest, Some(end)))
    }
}
