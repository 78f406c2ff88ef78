//! Names for groups of interfaces: what the configuration says, and what follows from the interfaces themselves.

use super::Known;
use super::links::Link;
use crate::packet::InterfacePattern;
use crate::record::{Interface, Route};
use std::collections::{BTreeMap, BTreeSet};

/// The zones: configured ones first; `wan`, and a VLAN by its number, its own name and its alias, where nothing else has that name.
pub(super) fn zones(
    known: &Known,
    links: &[Link],
    interfaces: &[Interface],
    routes: &[Route],
) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (link, face) in links.iter().zip(interfaces) {
        for name in names_of(link, face) {
            found.entry(name).or_default().insert(face.name.clone());
        }
    }
    let ways = routes.iter().filter(|route| route.destination == "default");
    for way in ways.filter_map(|route| route.interface.clone()) {
        found.entry("wan".to_owned()).or_default().insert(way);
    }
    let derived = found.into_iter().map(|(name, faces)| (name, faces.into_iter().collect()));
    let mut zones: BTreeMap<_, _> = derived.collect();
    zones.extend(known.zones.iter().map(|(name, faces)| (name.clone(), expanded(faces, interfaces))));
    zones
}

/// What a VLAN is called besides its interface's plain name.
fn names_of(link: &Link, face: &Interface) -> Vec<String> {
    let Some(number) = face.vlan_id else { return Vec::new() };
    let numbered = face.name.ends_with(&format!(".{number}"));
    let own = (!numbered).then(|| face.name.clone());
    let alias = link.alias.clone().filter(|alias| is_word(alias));
    [Some(format!("vlan{number}")), own, alias].into_iter().flatten().collect()
}

/// Whether a text that anybody may have typed is fit to be a name in a sentence.
fn is_word(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_. ".contains(&b);
    (1..=64).contains(&text.len()) && text.trim() == text && text.bytes().all(plain)
}

/// The interfaces of a zone: a pattern stands for those that it matches now, and for itself where it matches none.
fn expanded(patterns: &[InterfacePattern], interfaces: &[Interface]) -> Vec<String> {
    let one = |pattern: &InterfacePattern| -> Vec<String> {
        let matching = || interfaces.iter().map(|face| &face.name).filter(|name| pattern.matches(name)).cloned();
        match pattern.is_pattern() && matching().next().is_some() {
            true => matching().collect(),
            false => vec![pattern.to_string()],
        }
    };
    let names: BTreeSet<String> = patterns.iter().flat_map(one).collect();
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(name: &str, vlan_id: Option<u16>) -> Interface {
        Interface { name: name.to_owned(), vlan_id, ..Interface::default() }
    }

    fn link(face: &Interface, alias: Option<&str>) -> Link {
        Link { face: face.clone(), alias: alias.map(str::to_owned), ..Link::default() }
    }

    fn default_by(name: &str) -> Route {
        Route { destination: "default".to_owned(), gateway: None, interface: Some(name.to_owned()) }
    }

    #[test]
    fn zones_follow_from_routes_and_vlans() {
        let faces = [face("eth0", None), face("eth1.20", Some(20)), face("guest", Some(30)), face("wwan0", None)];
        let links: Vec<_> =
            faces.iter().zip([None, Some("printers"), Some("x;y"), None]).map(|(f, a)| link(f, a)).collect();
        let routes = [default_by("wwan0"), default_by("eth0"), default_by("eth0")];
        let found = zones(&Known::default(), &links, &faces, &routes);
        let names: Vec<_> = found.iter().map(|(name, faces)| format!("{name}={}", faces.join("+"))).collect();
        assert_eq!(names, ["guest=guest", "printers=eth1.20", "vlan20=eth1.20", "vlan30=guest", "wan=eth0+wwan0"]);
        assert_eq!(zones(&Known::default(), &[], &[], &[]), BTreeMap::new());
    }

    #[test]
    fn what_is_configured_comes_before_what_is_derived() {
        let faces = [face("eth0", None), face("eth1", None), face("eth2", None)];
        let links: Vec<_> = faces.iter().map(|f| link(f, None)).collect();
        let patterns = |texts: &[&str]| texts.iter().map(|t| t.parse().expect("pattern")).collect();
        let configured = [("wan", patterns(&["eth2"])), ("lan", patterns(&["eth*", "wg*"]))];
        let known = Known { zones: configured.map(|(n, p)| (n.to_owned(), p)).into(), ..Known::default() };
        let found = zones(&known, &links, &faces, &[default_by("eth0")]);
        assert_eq!(found["wan"], ["eth2"]);
        assert_eq!(found["lan"], ["eth0", "eth1", "eth2", "wg*"]);
    }
}
