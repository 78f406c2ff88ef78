//! afo-log: who did what, when and why.

mod text;

use super::{StatePlace, config, state_place};
use crate::cli::{Command, Common, Exit, Failure, Out, Shell};
use crate::packet::Malformed;
use crate::record::{Answer, Id, Timestamp, enrich, to_line};
use crate::state::{Access, AuditEntry, Block, DeploymentRow, Head, Span, State, StateError, StoredProposal};
use crate::sys::clock;
use jiff::{SignedDuration, civil, tz::TimeZone};
use serde_json::{Value, json};
use std::str::FromStr;

/// Show who did what to this firewall, when and why
///
/// Reads the state while others write it. `deployments` shows each change with the request or the evidence that it answers, what it
/// blocks and for how long still; `audit` shows the trail of every step, one line each: time, actor, action, object, reason; `events`
/// shows what the watch stored; `verify` checks that the trail is whole. Into a pipe it is records.
///
/// The trail is a chain of hashes: an entry that was edited, taken out, moved or cut off is found. Whoever may write the
/// file can make the whole chain anew, so keep what `verify` prints elsewhere and hold the trail against it with --head.
///
/// Examples:
///   $ afo-log                        what was done and why
///   $ afo-log audit --since 2h
///   $ afo-log deployments --run 0193a1c2-7b3a-7000-8000-000000000001
///   $ afo-log verify && echo whole
///
/// Exit status:
///   0  shown; the trail is whole
///   1  the trail is broken: the first broken entry is named
///   2  usage, or the output could not be written
///   3  the state cannot be read: not there, no permission, damaged
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "afo-log", version, verbatim_doc_comment)]
pub struct Args {
    #[command(subcommand)]
    pub what: Option<What>,
    /// Only what is not older: 90s, 30m, 2h, 7d, a date or a time such as 2026-01-02T03:04:05Z
    #[arg(long, value_name = "WHEN", global = true)]
    pub since: Option<Since>,
    /// Only what belongs to one request or one attack
    #[arg(long, value_name = "ID", global = true)]
    pub run: Option<Id>,
    #[command(flatten)]
    pub common: Common,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum What {
    /// Show the stored events
    Events,
    /// Show the changes, why they were made and what became of them (the default)
    Deployments,
    /// Show the trail of every step
    Audit,
    /// Check that the trail is whole
    Verify {
        /// Also that it still goes through this head, printed by an earlier verify: COUNT:HASH
        #[arg(long, value_name = "HEAD")]
        head: Option<Head>,
    },
}

/// A time, or how long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    At(Timestamp),
    /// Seconds.
    Ago(u32),
}

impl Since {
    fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(ts) => ts,
            Self::Ago(seconds) => now.checked_sub(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Since {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong =
            || Malformed::new(format!("`{}` is neither like 30m, 2h, 7d nor a date nor a time", text.escape_debug()));
        if let Ok(ts) = text.parse() {
            return Ok(Self::At(ts));
        }
        if let Ok(date) = text.parse::<civil::Date>() {
            let midnight = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
            return Ok(Self::At(midnight.timestamp()));
        }
        let seconds = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            _ => return Err(wrong()),
        };
        let number = &text[..text.len() - 1];
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let number: u32 = number.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        number.checked_mul(seconds).map(Self::Ago).ok_or_else(wrong)
    }
}

impl Command for Args {
    const NAME: &'static str = "afo-log";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let state = open(shell)?;
        let now = clock::now();
        let span = Span { since: self.since.map(|since| since.before(now)), run: self.run };
        let mut out = shell.out();
        match self.what.unwrap_or(What::Deployments) {
            What::Events => events(&state, &span, &mut out)?,
            What::Deployments => deployments(&state, &span, now, &mut out)?,
            What::Audit => audit(&state, &span, &mut out)?,
            What::Verify { head } => verify(&state, head.as_ref(), &mut out)?,
        }
        shell.close(&mut out)
    }
}

fn open(shell: &Shell) -> Result<State, Failure> {
    match state_place(shell, &config(shell)?) {
        StatePlace::File(path) => State::open(&path, Access::Read).map_err(failure),
        StatePlace::None | StatePlace::Memory => {
            let words = "there is no state to read: `none` and `:memory:` hold nothing";
            Err(Failure::undecided(words).hint("afo-log --state FILE audit"))
        }
    }
}

fn failure(error: StateError) -> Failure {
    let failure = Failure::refused(error.to_string());
    error.hint().into_iter().fold(failure, Failure::hint)
}

fn events(state: &State, span: &Span, out: &mut Out) -> Result<(), Failure> {
    let mut last = None;
    loop {
        let page = state.event_page(span, last.as_ref()).map_err(failure)?;
        page.iter().for_each(|event| out.line(&event.line));
        match page.into_iter().last() {
            Some(event) if out.trouble().is_none() => last = Some(event),
            _ => return Ok(()),
        }
    }
}

fn audit(state: &State, span: &Span, out: &mut Out) -> Result<(), Failure> {
    let mut last = 0;
    loop {
        let page = state.audit_page(span, last).map_err(failure)?;
        page.iter().for_each(|entry| show_entry(entry, out));
        match page.last() {
            Some(entry) if out.trouble().is_none() => last = entry.seq,
            _ => return Ok(()),
        }
    }
}

fn show_entry(entry: &AuditEntry, out: &mut Out) {
    if out.is_text() {
        let line = text::entry(entry, out.style());
        return out.text(&line);
    }
    let body = serde_json::to_string(entry).expect("an entry has string keys and no non-finite number");
    out.line(&format!(r#"{{"kind":"audit","v":1,{}"#, &body[1..]));
}

/// A change with everything that explains it.
#[derive(Debug, Clone, PartialEq)]
struct Change {
    row: DeploymentRow,
    proposals: Vec<StoredProposal>,
    blocks: Vec<Block>,
}

impl Change {
    fn of(state: &State, row: DeploymentRow) -> Result<Self, StateError> {
        let proposals = row.proposals.iter().map(|id| state.stored_proposal(id));
        let proposals = proposals.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        let blocks = state.blocks_of(&row.id)?;
        Ok(Self { row, proposals, blocks })
    }
}

fn deployments(state: &State, span: &Span, now: Timestamp, out: &mut Out) -> Result<(), Failure> {
    for row in state.deployments(span).map_err(failure)? {
        let change = Change::of(state, row).map_err(failure)?;
        match out.is_text() {
            true => out.text(&text::change(&change, now, out.style())),
            false => out.line(&line(&change, now)),
        }
        if out.trouble().is_some() {
            break;
        }
    }
    Ok(())
}

/// The `deployment` record with who, why and what is blocked added.
fn line(change: &Change, now: Timestamp) -> String {
    let why = |stored: &StoredProposal| {
        let origin = &stored.proposal.origin;
        json!({
            "proposal": stored.id, "request": origin.request, "assessment": origin.assessment,
            "explanation": stored.proposal.explanation,
        })
    };
    let why: Vec<Value> = change.proposals.iter().map(why).collect();
    let blocked = |block: &Block| {
        json!({
            "address": block.address, "since": block.since, "until": block.until, "offence": block.offence, "reason": block.reason,
            "remaining_seconds": block.ended.is_none().then(|| block.remaining(now)).flatten(),
            "ended": block.ended.map(|(ts, end)| json!({ "at": ts, "how": end.as_str() })),
        })
    };
    let blocked: Vec<Value> = change.blocks.iter().map(blocked).collect();
    let fields = [("actor", json!(change.row.actor)), ("why", json!(why)), ("blocked", json!(blocked))];
    enrich(&to_line(&change.row.record()), &fields).expect("a record is a JSON object")
}

fn verify(state: &State, head: Option<&Head>, out: &mut Out) -> Result<(), Failure> {
    let (text, evidence) = match state.verify(head).map_err(failure)? {
        Ok(head) => (format!("the audit trail is whole: {} entries", head.count), vec![format!("head {head}")]),
        Err(broken) => {
            out.ends(Exit::No);
            (format!("the audit trail is broken at {broken}"), vec![])
        }
    };
    out.record(&Answer { text, evidence, ..Answer::default() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_a_date_or_how_long_ago() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().expect("time");
        for (text, from) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02", "2026-01-02T00:00:00Z"),
            ("90s", "2026-01-09T23:58:30Z"),
            ("2h", "2026-01-09T22:00:00Z"),
            ("7d", "2026-01-03T00:00:00Z"),
        ] {
            assert_eq!(text.parse::<Since>().expect(text).before(now).to_string(), from);
        }
        for text in ["", "h", "2", "2y", "-2h", "2.5h", "99999999999h", "4000000000d", "é", "yesterday"] {
            let words = text.parse::<Since>().expect_err(text).to_string();
            assert_eq!(words, format!("`{text}` is neither like 30m, 2h, 7d nor a date nor a time"));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,30}") {
            let _ = text.parse::<Since>();
        }
    }
}
