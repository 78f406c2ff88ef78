//! What iptables has to say of the kernel's rules beside nft's listing: the meaning of its own rules in nftables' tables, and its
//! legacy tables. What cannot be asked stays unknown.

use super::variants::own_tables;
use crate::backend::{iptables, nftables};
use crate::rule::ruleset::{Ruleset, TableFamily};
use crate::sys::iptables::{self as programs, Variant};
use crate::sys::tables;
use serde_json::Value;
use std::collections::BTreeSet;

/// Adds to the kernel's ruleset, as nft lists it, what iptables knows of it.
pub(super) fn joined(mut ruleset: Ruleset, listing: &str) -> Ruleset {
    // A listing of a million elements is not parsed again for nothing.
    if listing.contains("\"xt\"") {
        let extended =
            serde_json::from_str::<Value>(listing).map(|whole| nftables::extensions(&whole)).unwrap_or_default();
        for family in [TableFamily::Ip, TableFamily::Ip6] {
            if !extended.iter().any(|(own, _, _)| *own == family) {
                continue;
            }
            match saved(Variant::Nft, family) {
                Ok(dump) => iptables::explain(&mut ruleset, &extended, &dump),
                Err(words) => ruleset.unread.push(format!("{} rules of iptables-nft: {words}", family.as_str())),
            }
        }
    }
    for family in [TableFamily::Ip, TableFamily::Ip6] {
        legacy(&mut ruleset, family);
    }
    ruleset
}

/// The kernel's ruleset on a host without nft: what the programs of iptables list, which is all of it where nftables holds no table that is
/// not theirs.
///
/// # Errors
/// Words that say what nobody can list here.
pub(super) fn without_nft() -> Result<Ruleset, String> {
    let tables = tables::all().map_err(|e| format!("the tables of nftables cannot be asked for: {e}"))?;
    let native: BTreeSet<String> = [false, true].iter().flat_map(|v6| own_tables(&tables, *v6)).collect();
    if !native.is_empty() {
        let list: Vec<String> = native.into_iter().collect();
        return Err(format!("nftables holds rules (table {}) that only nft lists", list.join(", ")));
    }
    let mut ruleset = Ruleset::default();
    for family in [TableFamily::Ip, TableFamily::Ip6] {
        if tables.iter().any(|table| table.family == family.as_str()) {
            ruleset.tables.extend(saved(Variant::Nft, family)?.tables);
        }
        legacy(&mut ruleset, family);
    }
    Ok(ruleset)
}

fn legacy(ruleset: &mut Ruleset, family: TableFamily) {
    let names = match programs::legacy_tables(family == TableFamily::Ip6) {
        Ok(names) => names,
        Err(e) => return iptables::add_unknown(ruleset, family, "filter", &format!("its tables cannot be read: {e}")),
    };
    if names.is_empty() {
        return;
    }
    match saved(Variant::Legacy, family) {
        Ok(dump) => iptables::add_legacy(ruleset, dump),
        Err(words) => names.iter().for_each(|name| iptables::add_unknown(ruleset, family, name, &words)),
    }
}

/// The dump of one family, with the sets that its rules look into; in words why there is none.
fn saved(variant: Variant, family: TableFamily) -> Result<Ruleset, String> {
    let dump = programs::save(variant, family == TableFamily::Ip6).map_err(|e| e.to_string())?;
    // Without the sets the rules that look into them are unread, which is all that is lost.
    let sets = if dump.contains("--match-set") { programs::sets().unwrap_or_default() } else { String::new() };
    let read = iptables::read(&format!("{sets}\n{dump}")).or_else(|_| iptables::read(&dump));
    let mut ruleset = read.map_err(|e| format!("its dump, line {e}"))?;
    // What it cannot show of nftables' own tables, nft's listing shows.
    ruleset.unread.clear();
    Ok(ruleset)
}
