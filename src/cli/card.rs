//! Records as a person wants to read them: a line or a few, sanitised.

use super::Style;
use crate::record::{
    self, Alert, Answer, Assessment, Context, Deployment, ErrorRecord, Event, FateClass, Finding, Place, Proposal,
    Question, Severity, Station,
};
use std::fmt::Write;

/// More rules are not named of those that take another one's packets.
const NAMED: usize = 8;

/// The text of one record; what cannot be read is shown as it is, sanitised.
pub(super) fn card(line: &str, style: Style) -> String {
    let kind = record::peek(line).map(|head| head.kind.into_owned()).unwrap_or_default();
    let text = match kind.as_str() {
        "alert" => record::parse(line).map(|r| alert(&r, style)),
        "answer" => record::parse(line).map(|r| answer(&r, style)),
        "assessment" => record::parse(line).map(|r| assessment(&r, style)),
        "context" => record::parse(line).map(|r| context(&r, style)),
        "deployment" => record::parse(line).map(|r| deployment(&r, style)),
        "error" => record::parse(line).map(|r| error(&r, style)),
        "event" => record::parse(line).map(|r| event(&r, style)),
        "finding" => record::parse(line).map(|r| finding(&r, style)),
        "proposal" => record::parse(line).map(|r| proposal(&r, style)),
        "question" => record::parse(line).map(|r| question(&r, style)),
        _ => return style.plain(line),
    };
    text.unwrap_or_else(|_| style.plain(line))
}

fn level(severity: Severity, style: Style) -> String {
    match severity {
        Severity::Low => style.dim(severity.as_str()),
        Severity::Medium => style.warn(severity.as_str()),
        Severity::High | Severity::Critical => style.bad(severity.as_str()),
    }
}

fn alert(r: &Alert, s: Style) -> String {
    format!("{} {} {}", s.bad("alert"), level(r.level, s), s.plain(&r.message))
}

fn answer(r: &Answer, s: Style) -> String {
    let mut text = r.packet.as_ref().map(|packet| format!("{}\n", s.bold(packet))).unwrap_or_default();
    text.push_str(&match r.verdict.as_deref() {
        Some("accept" | "equal") => s.good(&r.text),
        Some("drop" | "reject" | "different") => s.bad(&r.text),
        Some(_) => s.warn(&r.text),
        None => s.plain(&r.text),
    });
    for evidence in &r.evidence {
        let _ = write!(text, "\n  {}", s.plain(evidence));
    }
    for outcome in &r.outcomes {
        let by = outcome.by.as_ref().map(|by| format!(" by {}", named(by, s))).unwrap_or_default();
        let when = outcome.when.iter().map(|when| s.plain(when)).collect::<Vec<_>>().join(" and ");
        let _ = write!(text, "\n  {} {}{by} where {when}", s.warn("possible:"), s.bold(&outcome.verdict));
    }
    r.path.iter().for_each(|one| text.push_str(&station(one, s)));
    r.classes.iter().for_each(|one| text.push_str(&fate_class(one, s)));
    text
}

/// A set of packets, one of them, and what decides.
fn fate_class(r: &FateClass, s: Style) -> String {
    let verdict = r.verdict.replace('_', " ");
    let verdict = match r.verdict.as_str() {
        "accept" | "newly_accepted" => s.good(&verdict),
        "unknown" => s.warn(&verdict),
        _ => s.bad(&verdict),
    };
    let mut text = format!("\n  {verdict} {}", s.plain(&r.text));
    if let Some(example) = &r.example {
        let _ = write!(text, "\n    {} {}", s.dim("for example"), s.plain(example));
    }
    if let Some(before) = &r.before {
        let _ = write!(text, "\n    {} {}", s.dim("before"), named(before, s));
    }
    if let Some(by) = &r.by {
        let _ = write!(text, "\n    {} {}", s.dim(if r.before.is_some() { "now" } else { "by" }), named(by, s));
    }
    text
}

/// A chain flush left, its rules under it.
fn station(r: &Station, s: Style) -> String {
    let does = r.does.as_ref().map(|does| format!(" {},", s.bold(does))).unwrap_or_default();
    let why = s.dim(&r.why);
    if r.place.text.is_empty() {
        let indent = if r.matched && r.does.is_none() { "" } else { "  " };
        return format!("\n  {indent}{}:{does} {why}", named(&r.place, s));
    }
    let sign = if r.matched { s.good("+") } else { s.dim("-") };
    let number = r.place.handle.map(|n| format!("handle {n}")).or(r.place.index.map(|n| format!("rule {}", n + 1)));
    format!("\n    {sign} {} {}:{does} {why}", number.unwrap_or_default(), s.plain(&r.place.text))
}

/// Where a rule, a policy or a chain stands.
fn named(r: &Place, s: Style) -> String {
    let chain = [r.family.as_deref(), r.table.as_deref(), r.chain.as_deref()];
    let place = chain.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let number = match (r.handle, r.index) {
        (Some(handle), _) => format!(" handle {handle}"),
        (None, Some(index)) => format!(" rule {}", index + 1),
        (None, None) => String::new(),
    };
    let text = if r.text.is_empty() { String::new() } else { format!(": {}", r.text) };
    s.plain(&format!("{place}{number}{text}"))
}

fn event(r: &Event, s: Style) -> String {
    let mut text = format!("{} {} {}", s.dim(&r.ts.to_string()), level(r.severity, s), s.bold(&r.event_type));
    let from = r.source_ip.map(|a| format!(" from {a}"));
    let user = r.user.as_ref().map(|u| format!(" user {}", s.plain(u)));
    let port = r.port.map(|p| format!(" port {p}"));
    let count = r.count.filter(|n| *n > 1).map(|n| format!(" ({n} times)"));
    [from, user, port, count].into_iter().flatten().for_each(|part| text.push_str(&part));
    text
}

fn assessment(r: &Assessment, s: Style) -> String {
    let subjects: Vec<_> = r.subjects.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "{} {} {} {} confidence {:.2}",
        s.dim(&r.ts.to_string()),
        level(r.threat_level, s),
        s.bold(&r.threat),
        subjects.join(", "),
        r.confidence
    );
    for sentence in &r.evidence {
        let _ = write!(text, "\n  {}", s.plain(sentence));
    }
    if let Some(prompt) = &r.recommended_prompt {
        let _ = write!(text, "\n  {} {}", s.dim("recommended:"), s.plain(prompt));
    }
    text
}

fn context(r: &Context, s: Style) -> String {
    let host = r.host.clone().unwrap_or_default();
    let mut text = format!("{} {}", s.bold(&host.hostname), s.dim(&host.kernel));
    for face in &r.interfaces {
        let addresses: Vec<_> = face.addresses.iter().map(ToString::to_string).collect();
        let _ = write!(text, "\n  {} {:?} {}", s.bold(&face.name), face.state, addresses.join(" "));
    }
    for (name, faces) in &r.zones {
        let _ = write!(text, "\n  zone {}: {}", s.bold(name), s.plain(&faces.join(" ")));
    }
    for route in r.routes.iter().filter(|route| route.destination == "default") {
        let gateway = route.gateway.map(|g| format!(" via {g}")).unwrap_or_default();
        let _ = write!(text, "\n  default route{gateway} {}", s.plain(route.interface.as_deref().unwrap_or("")));
    }
    for backend in &r.backends {
        let version = backend.version.as_deref().unwrap_or("");
        let state = if backend.active { "holds rules" } else { "holds no rules" };
        let _ = write!(text, "\n  {} {} {}", s.bold(&backend.name), s.plain(version), s.dim(state));
    }
    for missing in &r.missing {
        let _ = write!(text, "\n  {} {}", s.warn("missing:"), s.plain(missing));
    }
    text
}

fn deployment(r: &Deployment, s: Style) -> String {
    let status = match r.status {
        record::Status::Confirmed => s.good("confirmed"),
        record::Status::Applied | record::Status::Pending => s.warn(r.status.as_str()),
        _ => s.bad(r.status.as_str()),
    };
    let mut text = format!("deployment {} {status}", s.bold(r.id.as_str()));
    if let Some(by) = r.confirm_by.filter(|_| r.status == record::Status::Applied) {
        let _ = write!(text, ", taken back at {by} unless `afo-deploy confirm {}` comes before", r.id);
    }
    for block in &r.blocks {
        let _ = write!(text, "\n  blocked {}", s.plain(block));
    }
    if let Some(error) = &r.error {
        let _ = write!(text, "\n  {}", s.bad(error));
    }
    text
}

fn error(r: &ErrorRecord, s: Style) -> String {
    let place = r.line.map(|n| format!(" line {n}")).unwrap_or_default();
    format!("{} {}{place}: {}", s.bad("error"), s.plain(&r.stage), s.plain(&r.message))
}

fn finding(r: &Finding, s: Style) -> String {
    let kind = format!("{:?}", r.kind).to_lowercase();
    let mut text = format!("{} {}", level(r.severity, s), s.bold(&kind));
    if let Some(rule) = &r.rule {
        let _ = write!(text, " {}", named(rule, s));
    }
    let _ = write!(text, "\n  {}", s.plain(&r.explanation));
    let mut say = |word: &str, words: &str| {
        let _ = write!(text, "\n  {} {words}", s.dim(word));
    };
    r.by.iter().take(NAMED).for_each(|by| say("by", &named(by, s)));
    if r.by.len() > NAMED {
        say("by", &format!("{} more", r.by.len() - NAMED));
    }
    if let Some(witness) = &r.witness {
        let other = witness.expected.as_ref().filter(|word| !witness.verdict.starts_with(word.as_str()));
        let meant = other.map(|word| format!(", and the rule says {word}")).unwrap_or_default();
        say("for example", &s.plain(&format!("{}: {}{meant}", witness.packet, witness.verdict)));
    }
    r.left.iter().for_each(|class| say("still reached by", &s.plain(class)));
    if let Some(fix) = &r.fix {
        let more = if r.together { " (it can go together with all others that say so here)" } else { "" };
        say("fix:", &format!("{}{more}", s.plain(fix)));
    }
    text
}

fn proposal(r: &Proposal, s: Style) -> String {
    let request = r.origin.request.as_deref().unwrap_or("");
    let mut text = match &r.error {
        Some(refusal) => format!("{} {}", s.bad("refused"), multi(&refusal.message, s)),
        None => format!("{} {}", s.good("proposal"), multi(&r.explanation, s)),
    };
    if !request.is_empty() {
        let _ = write!(text, "\n  {} {}", s.dim("request:"), s.plain(request));
    }
    if let Some(hint) = r.error.as_ref().and_then(|e| e.hint.as_deref()) {
        let _ = write!(text, "\n  {} {}", s.dim("hint:"), s.plain(hint));
    }
    for a in &r.assumed {
        let _ = write!(
            text,
            "\n  {} {} is {} ({})",
            s.dim("assumed:"),
            s.plain(&a.slot),
            s.plain(&a.value),
            s.plain(&a.why)
        );
    }
    text + &findings_of(r, s)
}

/// What the later stages found out about a proposal.
fn findings_of(r: &Proposal, s: Style) -> String {
    let mut lines = Vec::new();
    lines.extend(r.rendered.iter().flat_map(|rendered| rendered.native.lines()).map(|l| format!("  {}", s.plain(l))));
    if let Some(v) = &r.validation {
        let word = if v.valid { s.good("valid") } else { s.bad("invalid") };
        lines.push(format!("{word} by {}", s.plain(&v.checked_by.join(", "))));
        lines.extend(v.errors.iter().map(|e| format!("  {}", s.bad(&e.message))));
        lines.extend(v.warnings.iter().map(|e| format!("  {}", s.warn(&e.message))));
    }
    if let Some(c) = &r.conflicts {
        lines.push(if c.items.is_empty() { s.good("no conflicts") } else { s.warn("conflicts:") });
        lines.extend(c.items.iter().map(|i| format!("  {} {}", s.warn(i.kind.as_str()), s.plain(&i.explanation))));
    }
    if let Some(effect) = &r.effect {
        let classes = |word: &str, list: &[record::PacketClass]| -> Vec<String> {
            list.iter().flat_map(|class| packets(word, class, s)).collect()
        };
        lines.extend(classes("newly dropped:", &effect.newly_dropped));
        lines.extend(classes("newly accepted:", &effect.newly_accepted));
        match &effect.ending {
            Some(ending) => lines.extend(ends(ending, s)),
            None => lines.extend(classes("open connections end:", &effect.cut)),
        }
    }
    lines.extend(r.advice.iter().map(|a| format!("{} {}", s.dim("advice:"), s.plain(a))));
    lines.into_iter().map(|line| format!("\n  {line}")).collect()
}

/// The open connections that end, each of which is named.
fn ends(ending: &record::Ending, s: Style) -> Vec<String> {
    let more = ending.count.saturating_sub(ending.examples.len() as u64);
    let head = match ending.count {
        0 => s.dim("no open connection ends"),
        1 => s.warn("an open connection ends:"),
        count => s.warn(&format!("{count} open connections end:")),
    };
    let named = ending.examples.iter().map(|one| format!("  {}", s.plain(one)));
    std::iter::once(head).chain(named).chain((more > 0).then(|| format!("  and {more} more"))).collect()
}

/// A set of packets, one of them, and the rules that decide before and after.
fn packets(word: &str, r: &record::PacketClass, s: Style) -> Vec<String> {
    let more = [("for example", &r.example), ("before", &r.before), ("now", &r.after)];
    let more = more.into_iter().filter_map(|(word, words)| Some((word, words.as_ref()?)));
    let head = format!("{} {}", s.dim(word), s.plain(&r.text));
    std::iter::once(head).chain(more.map(|(word, words)| format!("  {} {}", s.dim(word), s.plain(words)))).collect()
}

fn question(r: &Question, s: Style) -> String {
    let mut text = format!("{} {}", s.warn("question"), multi(&r.text, s));
    for option in &r.options {
        let example = option.example.as_ref().map(|e| format!(" (for example {e})")).unwrap_or_default();
        let _ = write!(text, "\n  --answer {}={}  {}{}", r.id, option.id, s.plain(&option.text), s.plain(&example));
    }
    text
}

/// Words of several lines (a sentence with a caret under it), each sanitised for itself.
fn multi(words: &str, s: Style) -> String {
    words.lines().map(|line| s.plain(line)).collect::<Vec<_>>().join("\n  ")
}
