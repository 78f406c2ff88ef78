//! A rule whose packets meet so many others that what becomes of each part is not told one by one: whether anything changes, one packet
//! for each thing that is said, and the rules that decide about it.

use super::judge::{Judge, closed_words, gravest, ineffective, item, maybe_dropped};
use super::post::{NAMED, Post, TRIED};
use crate::analyze::cells::Doubt;
use crate::analyze::placing::Stood;
use crate::analyze::sift::{Move, Route};
use crate::analyze::travel::{Leg, Point, Sought, Trust};
use crate::analyze::view::Side;
use crate::analyze::words::example;
use crate::packet::{Bits, Cell, Narrow};
use crate::record::{Conflict, ConflictType};
use crate::rule::evaluate::By;
use crate::rule::{Action, Direction, Rule};

/// What becomes of packets that a rule accepts, as far as it was looked at.
#[derive(Default)]
struct Outcomes {
    /// What surely drops some, and one of them each.
    stopped: Vec<(By, Direction, Point)>,
    /// What may drop some, depending on what is not understood.
    maybe: Option<(By, Direction, Point)>,
    through: bool,
}

impl Judge<'_> {
    /// Judges a rule where it stands, on routes.
    pub(super) fn wide(&mut self, rule: &Rule, routes: &[Route], places: &[Stood]) {
        self.accepts = rule.action == Action::Accept;
        self.not_understood(rule);
        let Some(mut posts) = self.posts(routes, places) else { return self.undecided(rule) };
        if posts.is_empty() {
            let words = "no packet can match this rule".to_owned();
            self.found.items.push(Conflict { dead: true, ..item(rule, ConflictType::Unmatchable, words) });
            return;
        }
        if posts.iter().all(|post| post.cover.is_some()) {
            self.never_reached(rule, &posts);
            return self.advise_place(rule, &mut posts);
        }
        posts.retain(|post| post.cover.is_none());
        let named = match rule.action {
            Action::Accept => self.wide_accept(rule, &mut posts),
            Action::Drop | Action::Reject => self.wide_deny(rule, &mut posts),
            Action::Log | Action::Dnat | Action::Snat | Action::Masquerade | Action::Redirect => None,
        };
        let kept = named.or_else(|| self.earlier_on(rule, &posts));
        self.found.items.extend(kept);
    }

    fn posts<'r, 'v>(&mut self, routes: &'r [Route<'v>], places: &[Stood]) -> Option<Vec<Post<'r, 'v>>> {
        let mut posts = Vec::new();
        for route in routes {
            for hop in places.iter().flat_map(|stood| route.of(stood.at)) {
                let mut post = Post::new(route, hop, self.budget);
                let coming = post.coming();
                post.cover = match post.travel.search(&post.cells, &[coming], Trust::All) {
                    Sought::Found(_) => None,
                    Sought::Nothing(cover) => Some(cover),
                    Sought::Spent => return None,
                };
                posts.push(post);
            }
        }
        posts.retain(|post| !post.cells.is_empty());
        Some(posts)
    }

    fn never_reached(&mut self, rule: &Rule, posts: &[Post]) {
        let opposite = |post: &Post, hop: usize| is_opposite(rule.action, post.travel.route.hops[hop].act);
        let against = posts.iter().any(|post| post.covered().any(|hop| opposite(post, hop)));
        let mut same = true;
        for post in posts {
            let all = post.covered().filter(|hop| opposite(post, *hop) && post.takes_all(*hop)).take(TRIED);
            let all: Vec<_> = all.collect();
            same &= all.into_iter().any(|hop| self.packets_of(post, hop).is_some_and(|cells| cells == post.cells));
        }
        let (kind, words) = closed_words(against, same);
        let mut found = item(rule, kind, words.to_owned());
        for post in posts {
            found.with.extend(self.named_by(post.covered().map(|hop| post.by(hop))));
        }
        found.with.dedup();
        let first = |post: &Post| {
            let cells = post.cells.iter().flat_map(Cell::by_family);
            cells.into_iter().find_map(|cell| example(post.direction(), &cell))
        };
        found.example = posts.first().and_then(first);
        found.dead = true;
        self.found.items.push(found);
    }

    /// The packets that the rule of a hop asks for.
    fn packets_of(&mut self, post: &Post, hop: usize) -> Option<Vec<Cell>> {
        let (By::Line(at), (base, _)) = (post.by(hop), post.travel.route.base(hop)?) else { return None };
        let view = if self.before.line(at).is_some() { self.before } else { self.after };
        self.packets(view, &Stood { at, base: base.chain }).ok()
    }

    fn wide_accept(&mut self, rule: &Rule, posts: &mut [Post]) -> Option<Conflict> {
        let mut found = Outcomes::default();
        // What the rule is for: packets that begin connections, where any of those come to it.
        let states = if posts.iter_mut().any(is_begun) { Bits::single(0) } else { Narrow::State.all() };
        for post in posts.iter_mut() {
            let Some(end) = post.end() else { continue };
            let meant = self.after.unmarked(&keep_states(&post.cells, states));
            if outcomes(post, (end, &meant), &mut found).is_none() {
                self.undecided(rule);
                return None;
            }
            self.newly_accepted(post, end);
        }
        let shown = |(by, _, point): &(By, Direction, Point), judge: &Self| {
            (judge.after.decider(*by), point.packet.to_string())
        };
        if let Some((by, packet)) = found.maybe.as_ref().map(|one| shown(one, self)) {
            self.found.items.push(maybe_dropped(rule, by, Some(packet)));
        }
        if !found.stopped.is_empty() {
            self.advise_other_chains(rule, posts);
            let mut with: Vec<String> = Vec::new();
            for (by, _) in found.stopped.iter().map(|one| shown(one, self)) {
                if !with.contains(&by) {
                    with.push(by);
                }
            }
            let familiar = found.stopped.iter().find(|(_, _, point)| point.packet.source.is_ipv4());
            let example = familiar.or(found.stopped.first()).map(|(_, _, point)| point.packet.to_string());
            return Some(ineffective(rule, with, example, !found.through && found.maybe.is_none()));
        }
        let own = self.after.lets_through(rule.id.as_str());
        let same = found.through && !own && posts.iter_mut().all(passes_anyhow);
        let words = "nothing drops these packets: they are accepted without this rule too".to_owned();
        same.then(|| item(rule, ConflictType::Redundant, words))
    }

    fn wide_deny(&mut self, rule: &Rule, posts: &mut [Post]) -> Option<Conflict> {
        let (mut same, mut instead) = (true, Vec::new());
        for post in posts {
            let without = self.newly_denied(post);
            match if post.is_alone() { without } else { denied_anyhow(post) } {
                Some(by) => instead.extend(by),
                None => same = false,
            }
        }
        let words = "these packets are dropped without this rule too".to_owned();
        let with = self.named_by(instead);
        same.then(|| Conflict {
            with: with.into_iter().take(NAMED).collect(),
            ..item(rule, ConflictType::Redundant, words)
        })
    }

    /// Earlier rules inside or across the packets of a rule that is otherwise fine.
    fn earlier_on(&mut self, rule: &Rule, posts: &[Post]) -> Option<Conflict> {
        let (mut inside, mut across, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        for (n, post) in posts.iter().enumerate() {
            for hop in 0..post.hop {
                let own = &post.travel.route.hops[hop];
                let frame = match own.by {
                    By::Line(at) => self.after.is_frame(at),
                    _ => own.act != Move::Deny,
                };
                let past = matches!(own.act, Move::Accept(end) | Move::Leave(end) if end <= post.hop);
                let acts = !matches!(own.act, Move::Enter(_) | Move::Stay) && own.side.is_on(Side::After);
                if frame || !acts || !post.meets(hop, inside.len() + across.len() + taken.len() < 4 * TRIED) {
                    continue;
                }
                match is_opposite(rule.action, own.act) && !past {
                    // Which kind it is matters for those that are named.
                    true if inside.len() + across.len() < TRIED && self.is_exception(post, hop) => {
                        inside.push((n, hop))
                    }
                    true => across.push((n, hop)),
                    false if !past && own.luck.is_none() => taken.push((n, hop)),
                    false => {}
                }
            }
        }
        let (kind, found, words) = gravest(inside, across, taken)?;
        let (n, first) = *found.first()?;
        let post = &posts[n];
        let with = self.named_by(found.iter().filter(|(own, _)| *own == n).map(|(_, hop)| post.by(*hop)));
        let both = post.cells.iter().find_map(|cell| post.travel.within(first, cell, None, Trust::All));
        let example = both.and_then(|cell| example(post.direction(), &cell));
        Some(Conflict { with, example, ..item(rule, kind, words.to_owned()) })
    }

    fn is_exception(&mut self, post: &Post, hop: usize) -> bool {
        let packets = self.packets_of(post, hop);
        packets.is_some_and(|cells| cells.iter().all(|cell| post.cells.iter().any(|own| cell.is_subset(own))))
    }
}

/// Notes what becomes of packets that a rule accepts, and whether some that it is meant for go through; nothing where that was too much work.
fn outcomes(post: &mut Post, (end, wanted): (usize, &[Cell]), found: &mut Outcomes) -> Option<()> {
    let all = post.cells.clone();
    let (coming, direction) = (post.coming(), post.direction());
    let (meant, doubtful) = (meant(post), post.travel.route.is_doubtful());
    let first = found.stopped.len();
    for (tried, hop) in post.deniers(Side::After, end, usize::MAX).into_iter().enumerate() {
        let some = found.stopped.len() > first;
        if found.stopped.len() >= NAMED || tried >= TRIED && some {
            break;
        }
        // A limit of the host's drops what is over it, with the rule or without.
        let own = post.travel.route.hops[hop].luck.map(|(_, doubt)| doubt);
        if own == Some(Doubt::Chance) {
            continue;
        }
        let cells = post.travel.all_within(hop, &meant);
        let legs = [coming, Leg { side: Side::After, from: end, to: hop }];
        let sure = own.is_none() && !post.depends(hop, &all);
        match if sure { post.travel.search(&cells, &legs, Trust::Nothing) } else { Sought::Nothing(Default::default()) }
        {
            Sought::Found(point) => {
                post.denies.insert(hop, true);
                found.stopped.push((post.by(hop), direction, *point));
            }
            Sought::Spent if !some => return None,
            Sought::Spent => break,
            Sought::Nothing(_) if sure && !doubtful => {
                post.denies.insert(hop, false);
            }
            Sought::Nothing(_) if found.maybe.is_some() => {}
            Sought::Nothing(_) => {
                if let Sought::Found(point) = post.travel.search(&cells, &legs, Trust::All) {
                    let unread = post.meets_unread(&point, end);
                    found.maybe = unread.then(|| (post.by(hop), direction, *point));
                }
            }
        }
    }
    let legs = [coming, post.leg(Side::After, end)];
    match post.travel.search(wanted, &legs, Trust::Understood) {
        Sought::Found(_) => found.through = true,
        Sought::Nothing(_) => {}
        Sought::Spent => return None,
    }
    Some(())
}

/// Whether packets that begin connections come to a rule.
fn is_begun(post: &mut Post) -> bool {
    let opening = keep_states(&post.cells, Bits::single(0));
    post.is_reached_by(&opening)
}

/// Whether what a rule accepts passes for sure without it.
fn passes_anyhow(post: &mut Post) -> bool {
    let (cells, coming) = (meant(post), post.coming());
    let after = post.hop + 1;
    post.deniers(Side::After, after, usize::MAX).into_iter().all(|hop| {
        let own = post.travel.all_within(hop, &cells);
        let legs = [coming, Leg { side: Side::After, from: after, to: hop }];
        matches!(post.travel.search(&own, &legs, Trust::All), Sought::Nothing(_))
    })
}

/// What denies all packets of a rule without it, beside others that are new.
fn denied_anyhow(post: &mut Post) -> Option<Vec<By>> {
    let (cells, coming) = (post.cells.clone(), post.coming());
    match post.travel.search(&cells, &[coming, post.leg(Side::After, post.hop + 1)], Trust::All) {
        Sought::Nothing(used) => Some(post.denying(used)),
        _ => None,
    }
}

/// Nobody means packets that belong to no connection when accepting some.
pub(super) fn meant(post: &mut Post) -> Vec<Cell> {
    let valid = keep_states(&post.cells, Narrow::State.all().minus(Bits::single(3)));
    if post.is_reached_by(&valid) { valid } else { post.cells.clone() }
}

/// The packets of some states.
pub(super) fn keep_states(cells: &[Cell], states: Bits) -> Vec<Cell> {
    let kept = cells.iter().map(|cell| {
        let mut own = cell.clone();
        own.keep_narrow(Narrow::State, states);
        own
    });
    kept.filter(|cell| !cell.is_empty()).collect()
}

/// Whether an earlier hop does the opposite of an action.
fn is_opposite(action: Action, act: Move) -> bool {
    match act {
        Move::Deny => !action.denies(),
        Move::Accept(_) | Move::Leave(_) => action.denies(),
        Move::Stay | Move::Enter(_) => false,
    }
}
