//! Whether an accept of AFO's is the last word. A look at every rule, not a search: where it says no, each accept is judged by itself.

use super::placing::{BLOCKS, POLICY};
use super::view::OWN;
use crate::rule::ruleset::{Chain, Line, Outcome, Ruleset, Table, TableFamily, Verdict};

/// Whether nothing beside AFO's own table may deny a packet, translate it or change what rules ask of it, and nothing in it changes or
/// translates one: what a rule of AFO's accepts then goes through.
pub fn accepts_are_final(ruleset: &Ruleset) -> bool {
    ruleset.unread.is_empty()
        && ruleset.tables.iter().all(|table| table.chains.iter().all(|chain| spares(table, chain)))
}

fn spares(table: &Table, chain: &Chain) -> bool {
    let own = table.family == TableFamily::Inet && table.name == OWN;
    // Somebody else's base chain in AFO's table may stand behind AFO's.
    let placed = !own || POLICY.iter().chain(&BLOCKS).any(|name| chain.name == *name);
    let passes = chain.base.as_ref().is_none_or(|base| !base.drops && placed);
    passes && chain.lines.iter().all(|line| line.alters.is_empty() && leads(line, own))
}

/// Whether all that a line does is to lead packets on; in AFO's own table, `own`, it may deny them too.
fn leads(line: &Line, own: bool) -> bool {
    let fine = |verdict: &Verdict| match verdict {
        Verdict::Accept | Verdict::Return | Verdict::Continue | Verdict::Jump(_) | Verdict::Goto(_) => true,
        Verdict::Drop | Verdict::Reject => own,
        _ => false,
    };
    match &line.outcome {
        Outcome::Next => true,
        Outcome::Verdict(verdict) => fine(verdict),
        Outcome::ByKey(keys) => keys.iter().all(|(_, verdict)| fine(verdict)),
        Outcome::Unread(_) => false,
    }
}
