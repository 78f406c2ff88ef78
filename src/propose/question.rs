//! What has no default: names that are not known, management from anywhere, a destination without a source.

use super::compile::{administers, from_unsaid, place};
use super::side::Place;
use super::statement::{Act, End, Ends, Statement, Way};
use super::world::World;
use std::ops::Range;

/// A question with its options, each the statement that it would make.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ask {
    pub text: String,
    /// Bytes of the sentence that it is about; empty for the whole.
    pub span: Range<usize>,
    pub options: Vec<(String, Statement)>,
}

/// The first thing that must be asked of a statement whose names are all known.
pub(super) fn ask(s: &Statement, world: &World) -> Option<Ask> {
    management(s, world)
        .or_else(|| from_where(s, world))
        .or_else(|| cut_off(s, world))
        .or_else(|| whole_network(s, world))
}

/// "allow 198.51.100.0/24": everything from a network that is not one of this host's includes what administers the host.
fn whole_network(s: &Statement, world: &World) -> Option<Ask> {
    let all = s.traffic.is_empty() && s.states.is_empty() && s.not_traffic.is_empty() && s.rate.is_none();
    let foreign = |end: &End| {
        matches!(end, End::Address(spec) if spec.as_single().is_none()) && world.knows_itself() && !world.is_inside(end)
    };
    if s.act != Act::Allow || !all || !s.to.is_open() || s.way == Some(Way::Out) || !s.from.of.iter().any(foreign) {
        return None;
    }
    let options = vec![(
        "yes, everything, what administers this host included".into(),
        Statement { states: every_state(), ..s.clone() },
    )];
    Some(Ask {
        text: "everything from a whole network outside? name a service if that is not meant".into(),
        span: 0..0,
        options,
    })
}

/// "allow ssh": who may administer this host, or one behind it, is never guessed.
fn management(s: &Statement, world: &World) -> Option<Ask> {
    let reaches = s.way != Some(Way::Out) && s.leaving.is_empty() && !s.from.of.contains(&End::Here);
    if s.act != Act::Allow || !administers(s) || !from_unsaid(s) || !reaches {
        return None;
    }
    let with = |end: End| Statement { from: Ends { of: vec![end], but: Vec::new() }, ..s.clone() };
    let mut options: Vec<(String, Statement)> =
        world.zones().iter().map(|end| (format!("from {}", told(end)), with(end.clone()))).collect();
    options.push(("from anywhere".into(), with(End::Anywhere)));
    let text = "who may reach a service that administers hosts? add `from` and a source";
    Some(Ask { text: text.into(), span: 0..0, options })
}

/// "allow https to 192.0.2.7" on a host that forwards: from this host, or from those behind it.
fn from_where(s: &Statement, world: &World) -> Option<Ask> {
    let there = place(&s.to, world) == Some(Place::There);
    let unclear = s.act == Act::Allow && from_unsaid(s) && s.way.is_none() && s.leaving.is_empty();
    if !there || !unclear || !world.forwards() || s.to.of.iter().all(|end| world.is_inside(end)) {
        return None;
    }
    let with = |end: End| Statement { from: Ends { of: vec![end], but: Vec::new() }, ..s.clone() };
    let mut options = vec![("from this host".to_owned(), with(End::Here))];
    options.extend(
        world
            .zones()
            .iter()
            .filter(|end| !s.to.of.contains(end))
            .map(|end| (format!("from {}", told(end)), with(end.clone()))),
    );
    Some(Ask {
        text: "from where? this host sends packets there, and it forwards those of others".into(),
        span: 0..0,
        options,
    })
}

/// "block everything from the internet": with or without the answers to what this host asked for.
fn cut_off(s: &Statement, world: &World) -> Option<Ask> {
    let all = s.traffic.is_empty() && s.states.is_empty() && s.not_traffic.is_empty();
    let outer = s.from.of.iter().any(|end| world.is_wan(end)) && s.from.but.is_empty();
    if !s.act.denies() || !all || !outer || !s.to.is_open() || s.rate.is_some() {
        return None;
    }
    let new = crate::rule::ConnectionState::New;
    let options = vec![
        (
            "new connections only; answers to what was asked from here still come in".into(),
            Statement { states: vec![new], ..s.clone() },
        ),
        (
            "every packet, answers included: this host is cut off from there".into(),
            Statement { states: every_state(), ..s.clone() },
        ),
    ];
    Some(Ask { text: "the answers to connections from here as well?".into(), span: 0..0, options })
}

fn every_state() -> Vec<crate::rule::ConnectionState> {
    crate::rule::ConnectionState::ALL.to_vec()
}

/// A name that the context does not have, first in the sentence.
pub(super) fn unknown(statements: &[Statement]) -> Option<(String, Range<usize>)> {
    let ends = statements.iter().flat_map(|s| [&s.from, &s.to]).flat_map(|ends| ends.of.iter().chain(&ends.but));
    ends.filter_map(|end| match end {
        End::Unknown(name, span) => Some((name.clone(), span.clone())),
        _ => None,
    })
    .min_by_key(|(_, span)| span.start)
}

/// The statements with a name that was asked about replaced by what it stands for.
pub(super) fn named(statements: &[Statement], span: &Range<usize>, end: &End) -> Vec<Statement> {
    let put = |list: &[End]| -> Vec<End> {
        list.iter()
            .map(|known| match known {
                End::Unknown(_, at) if at == span => end.clone(),
                other => other.clone(),
            })
            .collect()
    };
    let ends = |ends: &Ends| Ends { of: put(&ends.of), but: put(&ends.but) };
    statements.iter().map(|s| Statement { from: ends(&s.from), to: ends(&s.to), ..s.clone() }).collect()
}

/// A place in words.
pub(super) fn told(end: &End) -> String {
    let joined = |list: Vec<String>| list.join(" ");
    match end {
        End::Zone(name, list) => format!("{name} ({})", joined(list.iter().map(ToString::to_string).collect())),
        End::Host(name, list) => format!("{name} ({})", joined(list.iter().map(ToString::to_string).collect())),
        End::Address(spec) => spec.to_string(),
        End::Mac(mac) => mac.to_string(),
        End::Here => "this host".into(),
        End::Anywhere => "anywhere".into(),
        End::Unknown(name, _) => name.clone(),
    }
}
