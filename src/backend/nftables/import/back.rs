//! Packets that leave a chain before its end: back behind the jump that led there, or by way of another chain.

use super::act::Act;
use super::cell::{NONE_COMES, without};
use super::saying::Part;
use super::{DECIDED, Stand, Walk};
use crate::packet::Cell;
use crate::rule::Action;
use crate::rule::ruleset::{At, Line, Outcome, Verdict};

/// Whether a line that is met on the way through another chain has nothing to decide there: nothing is lost with it.
pub(super) fn is_idle(why: &str) -> bool {
    [NONE_COMES, DECIDED].contains(&why)
}

impl<'a> Walk<'a> {
    /// What stays in the chain behind a line that takes `cells` out of it. In a base chain its policy decides about them; behind the jump
    /// to another one the next line there, which has them as they are.
    ///
    /// # Errors
    /// When what stays or what becomes of them cannot be said.
    pub(super) fn back(
        &mut self,
        at: At,
        line: &Line,
        (entering, cells): (&[Cell], Vec<Cell>),
        stand: Stand<'a>,
        depth: usize,
    ) -> Result<Vec<Cell>, String> {
        let many = || "what it leaves in its chain comes to too many pieces".to_owned();
        let rest = without(entering.to_vec(), &cells).ok_or_else(many)?;
        if let Outcome::Verdict(Verdict::Goto(to)) = &line.outcome {
            self.follow(at.table, (to.clone(), cells.clone()), stand, depth)?;
        }
        let decided = || without(cells.clone(), &self.here.certain).is_some_and(|left| left.is_empty());
        if depth == 0 && !decided() {
            let action = if stand.base.drops { Action::Drop } else { Action::Accept };
            let parts = cells.into_iter().map(|cell| Part::of(cell, action)).collect();
            self.say(parts, line, &Act::default(), stand)?;
        }
        Ok(rest)
    }
}
