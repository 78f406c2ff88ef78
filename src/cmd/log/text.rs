//! The log as people read it. Reasons, names and requests are text from outside: all of it goes through the style, which sanitises.

use super::Change;
use crate::cli::Style;
use crate::record::{Status, Timestamp};
use crate::state::{AuditEntry, Block, Direction, StoredProposal};

/// One line: time, actor, action, object, reason.
pub(super) fn entry(entry: &AuditEntry, style: Style) -> String {
    let run = entry.run.as_ref().map(|run| style.dim(&format!(" run {run}"))).unwrap_or_default();
    format!(
        "{} {} {} {}: {}{run}",
        style.dim(&clock(entry.ts)),
        style.plain(&entry.actor.to_string()),
        style.bold(&entry.action),
        style.plain(&entry.object),
        style.plain(&entry.reason),
    )
}

/// A change in a few lines: what became of it and who made it; what was asked for and what that does; what it blocks.
pub(super) fn change(change: &Change, now: Timestamp, style: Style) -> String {
    let row = &change.row;
    let status = match row.status {
        Status::Confirmed => style.good(row.status.as_str()),
        Status::Applied | Status::Pending => style.warn(row.status.as_str()),
        Status::RolledBack | Status::Failed | Status::Refused => style.bad(row.status.as_str()),
    };
    let who = style.plain(&row.actor.to_string());
    let mut lines =
        vec![format!("{} deployment {} {status} by {who}", style.dim(&clock(row.ts)), style.bold(row.id.as_str()))];
    let mut more = |words: String| lines.push(format!("  {words}"));
    change.proposals.iter().flat_map(|proposal| why(proposal, style)).for_each(&mut more);
    if let Some(by) = &row.confirmed_by {
        more(format!("{} {}", style.dim("confirmed by:"), style.plain(by)));
    }
    if let Some(until) = row.confirm_by.filter(|_| row.status == Status::Applied) {
        more(format!("{} by {}", style.warn("to be confirmed"), clock(until)));
    }
    change.blocks.iter().for_each(|one| more(block(one, now, style)));
    if let Some(error) = &row.error {
        more(format!("{} {}", style.bad("error:"), style.plain(error)));
    }
    lines.join("\n")
}

fn why(stored: &StoredProposal, style: Style) -> Vec<String> {
    let origin = &stored.proposal.origin;
    let labelled = |label: &str, words: &str| format!("{} {}", style.dim(label), style.plain(words));
    let request = origin.request.as_deref().map(|words| labelled("request:", words));
    let assessment = origin.assessment.as_ref().map(|id| labelled("assessment:", id.as_str()));
    let does = Some(stored.proposal.explanation.as_str()).filter(|words| !words.is_empty());
    let sources = stored.proposal.generator.iter().flat_map(|generator| &generator.sources);
    let told = [request, assessment, does.map(|words| labelled("does:", words))].into_iter().flatten();
    told.chain(sources.map(|sentence| labelled("because:", sentence))).collect()
}

fn block(block: &Block, now: Timestamp, style: Style) -> String {
    let ports: Vec<String> = block.ports.iter().map(ToString::to_string).collect();
    let protocol = block.protocol.map(|p| format!(" {p}")).unwrap_or_default();
    let ports = if ports.is_empty() { String::new() } else { format!(" port {}", ports.join(",")) };
    let left = match (block.ended, block.remaining(now)) {
        (Some((at, end)), _) => format!("{} {}", end.as_str(), clock(at)),
        (None, Some(0)) => "its time is over".to_owned(),
        (None, Some(seconds)) => format!("{} left", length(seconds)),
        (None, None) => "without end".to_owned(),
    };
    let offence = if block.offence > 1 { format!(", offence {}", block.offence) } else { String::new() };
    let address = style.bold(&block.address.to_string());
    let towards = if block.direction == Direction::To { "to " } else { "" };
    format!("blocks {towards}{address}{protocol}{ports} ({left}{offence}): {}", style.plain(&block.reason))
}

/// A time to the second.
fn clock(ts: Timestamp) -> String {
    Timestamp::from_second(ts.as_second()).unwrap_or(ts).to_string()
}

/// A length of time by its two largest units: `2 d 3 h`, `9 min 12 s`.
fn length(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(units.len() - 1);
    let (size, name) = units[first];
    let rest = units.get(first + 1).map(|(next, name)| (seconds % size / next, name)).filter(|(count, _)| *count > 0);
    let rest = rest.map(|(count, name)| format!(" {count} {name}")).unwrap_or_default();
    format!("{} {name}{rest}", seconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Id;
    use crate::state::{Actor, DeploymentRow, End};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("time")
    }

    fn id(text: &str) -> Id {
        text.parse().expect("an id")
    }

    #[test]
    fn lengths() {
        let shown = [0, 59, 60, 552, 3600, 7_500, 90_000, 604_800].map(length);
        assert_eq!(shown, ["0 s", "59 s", "1 min", "9 min 12 s", "1 h", "2 h 5 min", "1 d 1 h", "7 d"]);
    }

    #[test]
    fn an_entry_is_one_harmless_line() {
        let line = entry(
            &AuditEntry {
                seq: 7,
                ts: at(0),
                actor: Actor::user("an\u{1b}[2Jna", 1000),
                action: "block".into(),
                object: "block:203.0.113.9".into(),
                run: Some(id("run-1")),
                reason: "5 failures\nfor root\u{202e}".into(),
                detail: serde_json::Map::new(),
                prev: String::new(),
                hash: String::new(),
            },
            Style::new(false),
        );
        let words =
            r"2027-01-15T08:00:00Z an\u{1b}[2Jna(1000) block block:203.0.113.9: 5 failures\nfor root\u{202e} run run-1";
        assert_eq!(line, words);
    }

    #[test]
    fn a_change_says_who_why_and_for_how_long() {
        let mut row = DeploymentRow::new(id("d1"), "nftables", at(0), &Actor::program("daemon"));
        row.status = Status::Applied;
        row.confirm_by = Some(at(30));
        row.error = Some("nft: busy".into());
        let proposal = serde_json::json!({
            "id": "p1", "ts": at(0), "ok": true, "explanation": "Drops everything from 203.0.113.9 for 10 minutes.",
            "origin": { "by": "daemon", "request": "block 203.0.113.9", "assessment": "a1" }
        });
        let proposal = serde_json::from_value(proposal).expect("a proposal");
        let stored = StoredProposal { id: id("p1"), run: None, ts: at(0), hash: String::new(), proposal };
        let one = Block {
            direction: Direction::From,
            address: "203.0.113.9".parse().expect("address"),
            protocol: Some(crate::packet::Protocol::TCP),
            ports: vec!["22".parse().expect("port")],
            since: at(0),
            until: Some(at(600)),
            reason: "12 failures".into(),
            assessment: None,
            run: None,
            deployment: None,
            offence: 2,
            ended: None,
        };
        let over =
            Block { ended: Some((at(40), End::Unblocked)), ports: vec![], protocol: None, offence: 1, ..one.clone() };
        let endless = Block { until: None, ..over.clone() };
        let endless = Block { ended: None, ..endless };
        let all = super::super::Change { row, proposals: vec![stored], blocks: vec![one, over, endless] };
        let words = [
            "2027-01-15T08:00:00Z deployment d1 applied by daemon",
            "  request: block 203.0.113.9",
            "  assessment: a1",
            "  does: Drops everything from 203.0.113.9 for 10 minutes.",
            "  to be confirmed by 2027-01-15T08:00:30Z",
            "  blocks 203.0.113.9 tcp port 22 (9 min 12 s left, offence 2): 12 failures",
            "  blocks 203.0.113.9 (unblocked 2027-01-15T08:00:40Z): 12 failures",
            "  blocks 203.0.113.9 (without end): 12 failures",
            "  error: nft: busy",
        ];
        assert_eq!(change(&all, at(48), Style::new(false)), words.join("\n"));
    }
}
