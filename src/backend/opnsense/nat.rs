//! Translations of the firewall's, as far as they change what its filter rules are asked about.
//!
//! pf translates before it filters (pf.conf(5), TRANSLATION): a rule sees the new destination of what is redirected, and of what leaves the new
//! source. A packet here is as it was sent; so a rule that asks for what was translated is not known to match such a packet, nor to miss it.

use super::line::{Names, Place, line_of, reach, steady};
use super::listing::{Entry, is_on};
use crate::packet::{Cell, Wide};
use crate::rule::ruleset::{Condition, Line};

/// The requests that tell of them.
pub const READS: [&str; 3] =
    ["firewall/d_nat/search_rule?", "firewall/one_to_one/search_rule?", "firewall/source_nat/search_rule?"];

/// The translations that are on.
#[derive(Debug, Default)]
pub(super) struct Translations {
    redirects: Vec<Redirect>,
    hides: bool,
}

/// Packets that get another destination.
#[derive(Debug)]
struct Redirect {
    /// Those that may be meant, and whether all of them are.
    from: Vec<Cell>,
    exact: bool,
    /// What they may be afterwards.
    to: Vec<Cell>,
    words: String,
}

impl Translations {
    /// Those that packets meet which come in at a place, or leave there.
    pub(super) fn of(nat: &[Entry], names: &Names, place: Place) -> Self {
        let live = nat.iter().filter(|entry| is_live(entry));
        let hides = live.clone().any(|entry| !entry.fields.contains_key("local-port"));
        Self { redirects: live.filter_map(|entry| redirect(entry, names, place)).collect(), hides }
    }

    /// The lines that a rule is where packets come in: for those that are not redirected as it says; of those that are and that it may
    /// match then, it is not known.
    pub(super) fn coming(&self, entry: &Entry, line: Line) -> Vec<Line> {
        if !asks(entry, "destination") {
            return vec![line];
        }
        let own = reach(&line);
        let meets = |cells: &[Cell]| own.iter().any(|one| cells.iter().any(|cell| one.and(cell).is_some()));
        let mut rest = line.clone();
        let gone = self.redirects.iter().filter(|redirect| meets(&redirect.from)).flat_map(|redirect| &redirect.from);
        let without = |left: Vec<Cell>, hole: &Cell| left.iter().flat_map(|cell| cell.minus(hole)).collect();
        let left: Vec<Cell> = gone.fold(vec![Cell::all()], without);
        if left != [Cell::all()] {
            rest.conditions.push(Condition::AnyOf(left));
        }
        let open = |redirect: &&Redirect| !redirect.exact && meets(&redirect.from) || meets(&redirect.to);
        let perhaps = self.redirects.iter().filter(open).map(|redirect| {
            let open = steady(&redirect.words, redirect.words.clone());
            Line { conditions: vec![Condition::AnyOf(redirect.from.clone()), open], ..line.clone() }
        });
        std::iter::once(rest).chain(perhaps).collect()
    }

    /// The line that a rule is where packets leave.
    pub(super) fn leaving(&self, entry: &Entry, mut line: Line) -> Line {
        if self.hides && asks(entry, "source") {
            line.conditions.push(steady("translated source", "its source is as it is after translation".to_owned()));
        }
        line
    }
}

/// Whether it is on, and translates rather than keeps others from it.
fn is_live(entry: &Entry) -> bool {
    let on = entry.fields.get("enabled").is_none_or(|on| is_on(on)) && !entry.is_on("disabled");
    on && !["nordr", "nonat"].iter().any(|field| entry.is_on(field))
}

fn asks(entry: &Entry, end: &str) -> bool {
    let net = entry.get(&format!("{end}_net"));
    !matches!(net, "" | "any") || !matches!(entry.get(&format!("{end}_port")), "" | "any")
}

/// What a port forward or a mapping of one address to another does to what comes in; nothing of one that hides sources alone.
fn redirect(entry: &Entry, names: &Names, place: Place) -> Option<Redirect> {
    let one_to_one = entry.fields.contains_key("external");
    if !one_to_one && !entry.fields.contains_key("local-port") || entry.get("type") == "nat" {
        return None;
    }
    let single = entry.get("interface").split(',').all(is_interface);
    let field = |name: &str| match (one_to_one, name) {
        (_, "direction") => "in".to_owned(),
        (_, "interface") if !single => String::new(),
        (_, "action") => "pass".to_owned(),
        // Every packet of a connection, not its first alone.
        (_, "statetype") => "none".to_owned(),
        (true, "source_net") => entry.get("destination_net").to_owned(),
        (true, "source_not") => entry.get("destination_not").to_owned(),
        (true, "destination_net") => entry.get("external").to_owned(),
        (true, "destination_not") => String::new(),
        (_, name) => {
            entry.get(&name.replace("_net", ".network").replace("_not", ".not").replace("_port", ".port")).to_owned()
        }
    };
    let line = line_of(&field, names, place)?;
    let read = |condition: &Condition| !matches!(condition, Condition::Unread(_) | Condition::Chance(_));
    let (from, exact) = (reach(&line), single && line.conditions.iter().all(read));
    let target = entry.get(if one_to_one { "source_net" } else { "target" });
    let port = Some(entry.get("local-port")).filter(|port| !port.is_empty());
    let after = |name: &str| match name {
        "destination_net" => target.to_owned(),
        "destination_not" => String::new(),
        "destination_port" => port.map_or_else(|| field(name), str::to_owned),
        name => field(name),
    };
    // Where it goes then, no interface tells, and whose address it is neither.
    let bare = |cell: Cell| cell.with_wide(Wide::InInterface, Wide::InInterface.all());
    let to = line_of(&after, names, place).map_or_else(|| vec![Cell::all()], |line| reach(&line));
    let to = to.into_iter().map(bare).collect();
    Some(Redirect { from, exact, to, words: format!("it may be redirected to {target} before") })
}

/// Whether a name is the identifier of one interface; any other may be a group of them.
fn is_interface(name: &str) -> bool {
    let numbered =
        name.strip_prefix("opt").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    matches!(name, "wan" | "lan") || numbered
}

#[cfg(test)]
mod tests {
    use super::super::listing::Listing;
    use super::super::model::read;
    use crate::rule::Packet;
    use crate::rule::evaluate::evaluate;
    use serde_json::{Value, json};

    const FILTER: &str = r#"{"rows":[
        {"uuid":"a","enabled":"1","action":"block","quick":"1","direction":"in","ipprotocol":"inet","protocol":"TCP","source_net":"203.0.113.0/24","destination_net":"any","sequence":"1"},
        {"uuid":"b","enabled":"1","action":"block","quick":"1","direction":"in","ipprotocol":"inet","protocol":"TCP","source_net":"any","destination_net":"any","destination_port":"80","sequence":"2"},
        {"uuid":"c","enabled":"1","action":"block","quick":"1","direction":"in","ipprotocol":"inet","protocol":"TCP","source_net":"any","destination_net":"192.168.1.10","destination_port":"8080","sequence":"3"}]}"#;

    /// What becomes of a packet beside translations: with what is not known false, and true.
    fn passes(nat: &Value, packet: &str) -> (bool, bool) {
        let rows = json!({ "rows": nat }).to_string();
        let listing = Listing::read(FILTER, None).and_then(|listing| listing.with_nat(&[rows])).expect("a listing");
        let ruleset = read(&listing);
        let packet: Packet = packet.parse().expect(packet);
        let with = |luck: bool| evaluate(&ruleset, &packet, &mut |_, _| luck).expect("a way").fate.passes();
        (with(false), with(true))
    }

    fn forward(more: &Value) -> Value {
        let mut rule = json!({"uuid": "n", "disabled": "0", "nordr": "0", "interface": "wan", "ipprotocol": "inet", "protocol": "tcp",
            "source.network": "any", "destination.network": "198.51.100.1", "destination.port": "80", "target": "192.168.1.10", "local-port": "8080"});
        rule.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!([rule])
    }

    #[test]
    fn what_is_redirected_is_not_judged_by_where_it_was_sent() {
        let web = "input wan 192.0.2.9:40000 > 198.51.100.1:80 tcp syn";
        let other = "input wan 192.0.2.9:40000 > 198.51.100.2:80 tcp syn";
        assert_eq!((passes(&json!([]), web), passes(&json!([]), other)), ((false, false), (false, false)));
        // Rule b does not see port 80 any more; whether c sees its new destination is open.
        assert_eq!(passes(&forward(&json!({})), web), (true, false));
        assert_eq!(passes(&forward(&json!({})), other), (false, false));
        assert_eq!(passes(&forward(&json!({"local-port": "9"})), web), (true, true));
        assert_eq!(passes(&forward(&json!({"target": "some_alias"})), web), (true, false));
        assert_eq!(passes(&forward(&json!({"interface": "vpns", "local-port": "9"})), web), (true, false));
        for off in
            [json!({"disabled": "1"}), json!({"nordr": "1"}), json!({"interface": "lan"}), json!({"protocol": "udp"})]
        {
            assert_eq!(passes(&forward(&off), web), (false, false), "{off}");
        }
        // What asks for no destination holds for all.
        assert_eq!(
            passes(&forward(&json!({})), "input wan 203.0.113.9:40000 > 198.51.100.1:80 tcp syn"),
            (false, false)
        );
    }

    #[test]
    fn one_address_for_another_is_a_redirection_too() {
        let map = |kind: &str| json!([{"uuid": "o", "enabled": "1", "interface": "wan", "type": kind, "external": "198.51.100.1", "source_net": "192.168.1.10", "destination_net": "any"}]);
        let web = "input wan 192.0.2.9:40000 > 198.51.100.1:8080 tcp syn";
        assert_eq!(passes(&map("binat"), web), (true, false));
        assert_eq!(passes(&map("nat"), web), (true, true));
    }
}
