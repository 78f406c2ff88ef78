//! Which backend AFO writes for where nobody names one.

use crate::record;

/// The place of the chosen one among the packet filters that were found on a host, and why it is chosen.
pub fn chosen(found: &[record::Backend]) -> Option<(usize, String)> {
    let place = |name: &str| found.iter().position(|filter| filter.name == name);
    let foreign = |filter: &&record::Backend| filter.active && filter.name != "nftables";
    if let Some(at) = place("nftables") {
        let mut why = "its sets take a million blocks, and the kernel's own timer closes its windows".to_owned();
        let others: Vec<&str> = found.iter().filter(foreign).map(|filter| filter.name.as_str()).collect();
        if !others.is_empty() {
            // Only a drop is final across base chains (nft(8), VERDICT STATEMENTS).
            let others = others.join(", ");
            why.push_str(&format!(
                "; rules of {others} stand beside: what AFO denies is denied, what they drop stays dropped"
            ));
        }
        return Some((at, why));
    }
    let at = place("iptables").or_else(|| place("ip6tables"))?;
    let kind = found[at].capabilities.iter().find(|word| ["nf_tables", "legacy"].contains(&word.as_str()));
    let kind = kind.map(|word| format!(" (the kind {word})")).unwrap_or_default();
    Some((at, format!("nft is not installed and {}{kind} is", found[at].name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(name: &str, active: bool, capabilities: &[&str]) -> record::Backend {
        let capabilities = capabilities.iter().map(|word| (*word).to_owned()).collect();
        record::Backend { name: name.to_owned(), version: None, active, capabilities, program: None, chosen: None }
    }

    #[test]
    fn nftables_comes_first_and_says_what_stands_beside() {
        let (nft, iptables) = (filter("nftables", true, &[]), filter("iptables", false, &["legacy"]));
        let why = "its sets take a million blocks, and the kernel's own timer closes its windows".to_owned();
        assert_eq!(chosen(&[iptables.clone(), nft.clone()]), Some((1, why)));
        let live = record::Backend { active: true, ..iptables.clone() };
        let (_, why) = chosen(&[nft, live]).expect("one");
        assert!(
            why.ends_with("; rules of iptables stand beside: what AFO denies is denied, what they drop stays dropped"),
            "{why}"
        );
        let words = "nft is not installed and iptables (the kind legacy) is".to_owned();
        assert_eq!(chosen(&[filter("ufw", true, &[]), iptables]), Some((1, words)));
        assert_eq!(chosen(&[filter("ufw", true, &[])]), None);
    }
}
