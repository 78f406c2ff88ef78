//! In which order pf has AFO's documents: those for no or several interfaces before those for one, whatever their numbers.

use super::document::Document;
use super::line::{Names, Place, line_of, reach};
use crate::backend::Refused;
use crate::backend::meaning::refuse;
use crate::rule::Rule;

/// Documents in the order of their rules, as pf will have them.
///
/// # Errors
/// When a rule would come to decide before one that it is to stand behind, about a packet that both match.
pub fn grouped(laid: Vec<(&Rule, Document)>) -> Result<Vec<(&Rule, Document)>, Vec<Refused>> {
    let (single, wide): (Vec<_>, Vec<_>) =
        laid.iter().enumerate().partition(|(_, (_, document))| document.interfaces() == 1);
    let mut refused: Vec<Refused> = Vec::new();
    for (at, (first, before)) in &single {
        let overtakes = |(n, (_, document)): &&(usize, &(&Rule, Document))| {
            n > at && document.get("action") != before.get("action") && meet(before, document)
        };
        if let Some((_, (later, _))) = wide.iter().find(overtakes) {
            let why = format!(
                "OPNsense asks a rule for one interface after all that are for none or several, and rule {} would decide first; name the \
                 interface there too, or two interfaces here",
                later.id
            );
            refused.push(refuse(first, "interface_in", &first.interface_in, why));
        }
    }
    refused.dedup();
    if !refused.is_empty() {
        return Err(refused);
    }
    let (single, wide): (Vec<_>, Vec<_>) = laid.into_iter().partition(|(_, document)| document.interfaces() == 1);
    Ok(wide.into_iter().chain(single).collect())
}

/// Whether a packet may be meant by both; what cannot be told counts as such.
fn meet(one: &Document, other: &Document) -> bool {
    let names = Names::default();
    [Place::Input, Place::Through].into_iter().any(|place| {
        let cells = [one, other].map(|document| {
            let get = |field: &str| document.get(field).to_owned();
            line_of(&get, &names, place).map(|line| reach(&line))
        });
        let [Some(own), Some(others)] = cells else { return false };
        own.iter().any(|cell| others.iter().any(|other| !cell.is_disjoint(other)))
    })
}
