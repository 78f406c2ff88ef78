//! A policy as numbered documents: in AFO's order, before every rule of others that has a later number.

use super::contract::Known;
use super::document::{Document, Tag};
use super::listing::Listing;
use super::order::grouped;
use super::write::documents;
use crate::backend::Refused;
use crate::backend::meaning::{ordered, twice, why_there};
use crate::record::Placement;
use crate::rule::Rule;
use std::collections::BTreeSet;

/// The highest number that a rule can have (Filter.xml).
const LAST: u32 = 999_999;
/// The first free numbers are for the rules that look blocks up.
const LOOKUPS: usize = 2;

/// What AFO's rules come to.
#[derive(Debug, Clone)]
pub struct Policy {
    documents: Vec<Document>,
    placement: Vec<Placement>,
}

impl Policy {
    /// The documents of rules. Disabled rules stay out.
    ///
    /// # Errors
    /// Every reason why OPNsense cannot have them exactly.
    pub fn of(rules: &[Rule], known: &Known) -> Result<Self, Vec<Refused>> {
        let mut refused = twice(rules);
        let order = ordered(rules).unwrap_or_else(|why| {
            refused.push(why);
            Vec::new()
        });
        let mut laid = Vec::new();
        for rule in &order {
            match documents(rule, known) {
                Ok(documents) if rule.enabled => laid.extend(documents.into_iter().map(|document| (*rule, document))),
                Ok(_) => {}
                Err(why) => refused.extend(why),
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        let documents = grouped(laid)?.into_iter().map(|(_, document)| document).collect();
        Ok(Self { documents, placement: order.into_iter().map(placed).collect() })
    }

    /// The enabled rules in the order in which pf has them: those for one interface behind the others.
    ///
    /// # Errors
    /// When a rule stands beside one that is not there.
    pub fn order(rules: &[Rule]) -> Result<Vec<&Rule>, Refused> {
        let order = ordered(rules)?.into_iter().filter(|rule| rule.enabled);
        let (single, wide): (Vec<&Rule>, Vec<&Rule>) = order.partition(|rule| rule.interface_in.items().len() == 1);
        Ok(wide.into_iter().chain(single).collect())
    }

    /// Where each rule stands, and why there.
    pub fn placement(&self) -> &[Placement] {
        &self.placement
    }

    /// The documents with their numbers and AFO's mark, beside the rules that others have.
    pub fn numbered(&self, generation: u64, live: &Listing) -> Vec<Document> {
        let mut free = free(live).skip(LOOKUPS);
        let number = |document: &Document| {
            let tag = Tag { generation, rule: document.rule.clone() };
            let sequence = free.next().unwrap_or(LAST).to_string();
            document.clone().with("description", tag.words()).with("sequence", sequence)
        };
        self.documents.iter().map(number).collect()
    }
}

fn placed(rule: &Rule) -> Placement {
    let place = match (rule.enabled, rule.interface_in.items().len()) {
        (false, _) => "nowhere",
        (true, 1) => "rules of one interface",
        (true, _) => "floating rules",
    };
    let why = if rule.enabled { why_there(rule) } else { "it is disabled".to_owned() };
    Placement { rule: rule.id.clone(), place: place.to_owned(), why }
}

/// The numbers that no rule of others has, from the lowest: of equal numbers nobody knows which comes first.
pub(super) fn free(live: &Listing) -> impl Iterator<Item = u32> + use<> {
    let others = live.entries.iter().filter(|entry| !entry.is_own() && entry.uuid().is_some());
    let taken: BTreeSet<u32> = others.filter_map(|entry| entry.get("sequence").parse().ok()).collect();
    (1..=LAST).filter(move |number| !taken.contains(number))
}
