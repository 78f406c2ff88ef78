//! Doors of AFO's in chains of other programs: put there, found again by their comment, taken out by their handle. Nothing else of those
//! chains is touched.

use crate::backend::nftables::native::{Command, Script};
use crate::packet::Malformed;
use crate::rule::door::DOOR;
use crate::rule::doorway::Doorway;
use crate::rule::ruleset::TableFamily;
use serde_json::{Value, json};

/// What the comment of a door begins with, before the number of a generation.
const COMMENT: &str = "afo: lets through what AFO accepts, g";

/// The comment of a door that came with a generation.
pub(in crate::backend::nftables) fn comment(generation: u64) -> String {
    format!("{COMMENT}{generation}")
}

/// A door of AFO's that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    pub way: Doorway,
    pub handle: u64,
    /// The generation of policy that it came with.
    pub generation: u64,
}

/// The doors of AFO's that a listing has (`nft -j list ruleset`, terse or not).
///
/// # Errors
/// When the text is not nft's JSON.
pub fn hung(json: &str) -> Result<Vec<Door>, Malformed> {
    let value: Value = serde_json::from_str(json).map_err(|e| Malformed(format!("nft's listing is not JSON: {e}")))?;
    let objects = value["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(objects.iter().filter_map(|object| door(object.get("rule")?)).collect())
}

fn door(rule: &Value) -> Option<Door> {
    let word = |name: &str| rule[name].as_str().map(str::to_owned);
    let generation = rule["comment"].as_str()?.strip_prefix(COMMENT)?.parse().ok()?;
    let family = TableFamily::ALL.into_iter().find(|family| rule["family"] == family.as_str())?;
    let way = Doorway { family, table: word("table")?, chain: word("chain")? };
    let [test, verdict] = rule["expr"].as_array()?.as_slice() else { return None };
    let own = verdict.get("accept").is_some() && test["match"] == own_mark();
    if !own {
        // Somebody wrote another rule under the same words.
        return None;
    }
    Some(Door { way, handle: rule["handle"].as_u64()?, generation }).filter(|door| door.way.is_plain())
}

/// What a door asks of packets, as nft lists it.
fn own_mark() -> Value {
    json!({ "op": "==", "left": { "&": [{ "meta": { "key": "mark" } }, DOOR] }, "right": DOOR })
}

/// Puts doors first into chains, for a generation.
pub fn hang(ways: &[Doorway], generation: u64) -> Script {
    let doors = ways.iter().map(|way| Command::Door { way: way.clone(), generation });
    Script { commands: doors.collect() }
}

/// Takes doors out. Fails as a whole where one of them is gone.
pub fn take_down(doors: &[Door]) -> Script {
    let commands = doors.iter().map(|door| Command::DeleteDoor { way: door.way.clone(), handle: door.handle });
    Script { commands: commands.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(comment: &str, chain: &str) -> Value {
        json!({ "rule": { "family": "inet", "table": "host", "chain": chain, "handle": 7, "comment": comment, "expr": [{ "match": own_mark() }, { "accept": null }] } })
    }

    #[test]
    fn a_door_is_found_by_its_comment_and_taken_out_by_its_handle() {
        let way = Doorway { family: TableFamily::Inet, table: "host".to_owned(), chain: "input".to_owned() };
        assert_eq!(
            hang(std::slice::from_ref(&way), 3).to_string(),
            "insert rule inet host input meta mark & 0x10000000 == 0x10000000 accept comment \"afo: lets through what AFO accepts, g3\"\n"
        );
        let listing =
            json!({ "nftables": [rule(&comment(3), "input"), rule("afo", "input"), rule(&comment(3), "a; b")] });
        let found = hung(&listing.to_string()).expect("a listing");
        assert_eq!(found, [Door { way, handle: 7, generation: 3 }]);
        assert_eq!(take_down(&found).to_string(), "delete rule inet host input handle 7\n");
        assert!(hung("{").is_err());
        let mut other = rule(&comment(3), "input");
        other["rule"]["expr"] = json!([{ "accept": null }]);
        assert_eq!(hung(&json!({ "nftables": [other] }).to_string()).expect("a listing"), []);
    }

    proptest! {
        #[test]
        fn no_listing_makes_it_panic(comment in "(afo: lets through what AFO accepts, g)?[0-9a-z]{0,4}", chain in "\\PC{0,8}", text in "\\PC{0,20}") {
            let listing = json!({ "nftables": [rule(&comment, &chain)] }).to_string();
            let found = hung(&listing).expect("a listing");
            prop_assert!(found.iter().all(|door| door.way.is_plain()));
            let _ = hung(&text);
        }
    }
}
