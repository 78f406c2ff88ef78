//! Placements that would work for a rule whose packets meet very many others: each is tried on the route before it is named.

use super::judge::Judge;
use super::post::Post;
use super::wide::meant;
use crate::analyze::cells::Doubt;
use crate::analyze::travel::{Leg, Sought, Trust};
use crate::analyze::view::Side;
use crate::rule::Rule;
use crate::rule::evaluate::By;
use crate::rule::ruleset::At;

/// Chains that a rule would have to stand in besides its own; more are not tried.
const MOST: usize = 4;

impl Judge<'_> {
    /// Where the same accept would have to stand besides, so that everything goes through.
    pub(super) fn advise_other_chains(&mut self, rule: &Rule, posts: &mut [Post]) {
        let (mut tried, id): (Vec<String>, _) = (Vec::new(), &rule.id);
        for post in posts {
            while let Some(hop) = stopper(post) {
                let words = self.after.decider(post.by(hop));
                if tried.len() >= MOST {
                    let first = tried.first().unwrap_or(&words);
                    self.found.advice.insert(format!(
                        "rule {id} opens nothing by itself: the packets must also be accepted before `{first}`, in that chain"
                    ));
                    return;
                }
                open(post, hop);
                if !tried.contains(&words) {
                    tried.push(words);
                }
            }
            post.travel.opened.clear();
        }
        let places = tried.join("` and before `");
        self.found.advice.insert(format!(
            "rule {id} opens nothing by itself; tried: with the same accept before `{places}` everything that reaches it goes through"
        ));
    }

    /// Where a rule that nothing reaches would be reached, if its own place before one of AFO's rules is enough.
    pub(super) fn advise_place(&mut self, rule: &Rule, posts: &mut [Post]) {
        let mut first: Option<(Option<usize>, usize, usize, String)> = None;
        for (n, post) in posts.iter().enumerate() {
            for hop in post.covered() {
                let (By::Line(own), By::Line(at)) = (post.by(post.hop), post.by(hop)) else { continue };
                let here = (own.table, own.chain) == (at.table, at.chain) && at.table == self.after.own_table();
                let comment = self.after.line(at).and_then(|line| line.comment.clone());
                let Some(id) = comment.filter(|id| here && id != rule.id.as_str()) else { continue };
                let found = (self.after.rank(at), n, hop, id);
                first = Some(first.map_or(found.clone(), |before| before.min(found)));
            }
        }
        let Some((_, n, hop, before)) = first else { return };
        let (post, leg) = (&mut posts[n], Leg { side: Side::After, from: 0, to: hop });
        let cells = post.cells.clone();
        if matches!(post.travel.search(&cells, &[leg], Trust::All), Sought::Found(_)) {
            self.found.advice.insert(format!(
                "rule {} is never reached where it stands; tried: with `position` before:{before} packets reach it",
                rule.id
            ));
        }
    }
}

/// The first rule that denies in a chain which surely drops some of what a rule accepts.
fn stopper(post: &mut Post) -> Option<usize> {
    let end = post.end()?;
    let meant = meant(post);
    let denying = post.deniers(Side::After, end, usize::MAX);
    let found = denying.iter().copied().find(|hop| {
        let chance = post.travel.route.hops[*hop].luck.is_some_and(|(_, doubt)| doubt == Doubt::Chance);
        if chance || is_behind(post, *hop) || post.depends(*hop, &post.cells) {
            return false;
        }
        let known = post.denies.get(hop).filter(|_| post.travel.opened.is_empty());
        if let Some(denies) = known {
            return *denies;
        }
        let legs = [post.coming(), Leg { side: Side::After, from: end, to: *hop }];
        let cells = post.travel.all_within(*hop, &meant);
        !matches!(post.travel.search(&cells, &legs, Trust::Nothing), Sought::Nothing(_))
    })?;
    let chain = |hop: usize| match post.by(hop) {
        By::Line(At { table, chain, .. }) | By::Policy(table, chain) => Some((table, chain)),
        By::Nothing => None,
    };
    denying.iter().copied().filter(|hop| chain(*hop) == chain(found) && !is_behind(post, *hop)).min()
}

/// Whether all packets that come to a hop come past one that accepts them.
fn is_behind(post: &Post, hop: usize) -> bool {
    post.travel.opened.iter().any(|(own, _)| *own == hop || post.is_behind(*own, hop))
}

/// Puts an accept before a rule, wherever packets come to it.
fn open(post: &mut Post, hop: usize) {
    let route = post.travel.route;
    let same = |n: &usize| route.hops[*n].by == route.hops[hop].by && !is_enter(post, *n);
    let all: Vec<_> = (0..route.hops.len()).filter(same).map(|n| (n, route.end(n))).collect();
    post.travel.opened.extend(all);
}

fn is_enter(post: &Post, hop: usize) -> bool {
    matches!(post.travel.route.hops[hop].act, crate::analyze::sift::Move::Enter(_))
}
