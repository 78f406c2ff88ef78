//! Sources and destinations: addresses, networks, ranges, zones, hosts, interfaces, this host, anywhere.

use super::super::lexer::Kind;
use super::super::names::Named;
use super::super::refusal::Code;
use super::super::statement::{End, Ends};
use super::super::vocabulary;
use super::{Found, Parser};
use crate::packet::{AddressSpec, InterfacePattern};

/// Words that an unknown name may have.
const MOST_UNKNOWN: usize = 3;

impl Parser<'_> {
    /// A list of places with what is excepted from them.
    pub(super) fn ends(&self, at: usize) -> Found<Ends> {
        let mut out = Vec::new();
        for (of, next) in self.end_list(at) {
            out.push((Ends { of: of.clone(), but: Vec::new() }, next));
            for except in self.each(self.past_comma(next), vocabulary::EXCEPT) {
                for (but, after) in self.end_list(except) {
                    let narrows = but.iter().all(|end| *end != End::Anywhere);
                    if narrows {
                        out.push((Ends { of: of.clone(), but }, after));
                    }
                }
            }
        }
        out
    }

    /// Places joined by commas and "and".
    pub(super) fn end_list(&self, at: usize) -> Found<Vec<End>> {
        let mut out: Found<Vec<End>> = Vec::new();
        let mut open = self.end(at).into_iter().map(|(end, next)| (vec![end], next)).collect::<Vec<_>>();
        while let Some((list, next)) = open.pop() {
            if !self.step() {
                return out;
            }
            out.push((list.clone(), next));
            for joined in self.joined(next) {
                for (end, after) in self.end(joined) {
                    let mut longer = list.clone();
                    longer.push(end);
                    open.push((longer, after));
                }
            }
        }
        out
    }

    /// The places after a joint of a list: `,`, `and`, `, and`.
    pub(super) fn joined(&self, at: usize) -> Vec<usize> {
        let comma = self.past_comma(at);
        let mut out = self.each(comma, vocabulary::AND);
        if comma > at {
            out.push(comma);
        }
        out
    }

    /// One place.
    fn end(&self, at: usize) -> Found<End> {
        let mut out = Vec::new();
        for next in self.each(at, vocabulary::ANYWHERE) {
            if !self.text(next).starts_with("port") {
                out.push((End::Anywhere, next));
            }
        }
        out.extend(self.any(at, vocabulary::HERE).map(|next| (End::Here, next)));
        let member = self.past(self.past(at, vocabulary::ALL), vocabulary::ARTICLES);
        let starts = [at, member].into_iter().chain(self.any(member, vocabulary::MEMBERS));
        let mut starts: Vec<usize> =
            starts.map(|start| self.past(self.past(start, vocabulary::ALL), vocabulary::ARTICLES)).collect();
        starts.push(at);
        starts.sort_unstable();
        starts.dedup();
        for start in starts {
            out.extend(self.bare_end(start));
        }
        out.dedup();
        out
    }

    /// A place without article.
    fn bare_end(&self, at: usize) -> Found<End> {
        let mut out = self.address_end(at);
        for noun in self.each(at, vocabulary::ADDRESS_NOUNS) {
            out.extend(self.address_end(noun));
        }
        out.extend(self.named_end(at));
        out.extend(self.well_known(at));
        if self.guess && out.is_empty() {
            out.extend(self.unknown_end(at));
        }
        out
    }

    /// An address, a network, or `first to last` where the words before said that it is a range.
    fn address_end(&self, at: usize) -> Found<End> {
        let mut out = Vec::new();
        match self.token(at).map(|t| &t.kind) {
            Some(Kind::Address(spec)) => match self.address_range(at, *spec) {
                Some(range) => out.push(range),
                None => out.push((End::Address(*spec), self.reached(at + 1))),
            },
            Some(Kind::Mac(mac)) => out.push((End::Mac(*mac), self.reached(at + 1))),
            Some(Kind::Word) if self.text(at) == "mac" => {
                let next = self.past(at + 1, &["address"]);
                if let Some(Kind::Mac(mac)) = self.token(next).map(|t| &t.kind) {
                    out.push((End::Mac(*mac), self.reached(next + 1)));
                }
            }
            _ => {}
        }
        out
    }

    /// `10.0.0.1 - 10.0.0.9`, `10.0.0.1 through 10.0.0.9`; with "to" only after a word such as "range" or "addresses".
    fn address_range(&self, at: usize, first: AddressSpec) -> Option<(End, usize)> {
        let said = at > 0 && ["range", "ranges", "addresses", "ips"].contains(&self.text(at - 1));
        let next = self.any(at + 1, if said { vocabulary::RANGE } else { &["-", "through", "thru"] })?;
        let Some(Kind::Address(last)) = self.token(next).map(|t| &t.kind) else { return None };
        let (first, last) = (first.as_single()?, last.as_single()?);
        match AddressSpec::range(first, last) {
            Ok(range) => Some((End::Address(range), self.reached(next + 1))),
            Err(error) => {
                self.bad(next, Code::BadValue, error.to_string());
                None
            }
        }
    }

    /// A name of the context.
    fn named_end(&self, at: usize) -> Found<End> {
        let texts: Vec<&str> =
            self.tokens[at.min(self.tokens.len())..].iter().take(6).map(|t| t.text.as_str()).collect();
        let named = self.names.at(&texts);
        let mut out: Found<End> = Vec::new();
        for (named, count) in named {
            if let Named::End(end) = named {
                out.push((end, self.reached(at + count)));
            }
        }
        if out.is_empty() && !self.names.knows_interfaces() {
            out.extend(self.unchecked_interface(at));
        }
        out
    }

    /// An interface's name on a host whose interfaces are not known.
    fn unchecked_interface(&self, at: usize) -> Option<(End, usize)> {
        let (pattern, name) = self.interface_name(at)?;
        Some((End::Zone(name, vec![pattern]), self.reached(at + 1)))
    }

    /// A word that has the form of an interface's name: letters, then digits, or a pattern.
    fn interface_name(&self, at: usize) -> Option<(InterfacePattern, String)> {
        let text = self.text(at);
        let stem = text.trim_end_matches('*');
        let formed = stem.starts_with(|c: char| c.is_ascii_lowercase())
            && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        let counted = text.ends_with('*') || stem.ends_with(|c: char| c.is_ascii_digit()) || stem == "lo";
        let known = super::super::services::service(text).is_some();
        (formed && counted && !known).then(|| Some((text.parse().ok()?, text.to_owned())))?
    }

    /// The internet and the local network, where the context has zones for them.
    fn well_known(&self, at: usize) -> Found<End> {
        let mut out = Vec::new();
        for (list, zone) in [(vocabulary::INTERNET, "wan"), (vocabulary::INSIDE, "lan")] {
            let Some(next) = self.any(at, list) else { continue };
            let before = out.len();
            for (named, _) in self.names.at(&[zone]) {
                if let Named::End(end @ End::Zone(..)) = named {
                    out.push((end, next));
                }
            }
            if out.len() == before {
                self.bad(at, Code::UnknownName, format!("which interfaces are the {zone} is not known here"));
            }
        }
        out
    }

    /// A name that the context does not have, to be asked about.
    fn unknown_end(&self, at: usize) -> Found<End> {
        let mut out = Vec::new();
        for count in 1..=MOST_UNKNOWN {
            let Some(token) = self.token(at + count - 1) else { break };
            let plain = token.kind == Kind::Word
                && !vocabulary::known(&token.text)
                && !super::super::services::is_vague(&token.text);
            if !plain || super::super::services::service(&token.text).is_some() {
                break;
            }
            let span = self.tokens[at].span.start..token.span.end;
            let name: Vec<&str> = (at..at + count).map(|n| self.text(n)).collect();
            out.push((End::Unknown(name.join(" "), span), at + count));
        }
        out
    }
}
