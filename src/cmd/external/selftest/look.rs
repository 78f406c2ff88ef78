//! The lines of the contract that change nothing: what is asked wrongly, rules written and checked.

use super::sample::{base, of, pair};
use super::{Held, Trial, listed, same, session};
use crate::backend::Capability;
use crate::cmd::external::{External, Listed, Session};
use crate::record::{BackendRequest, Verb};
use crate::rule::Rule;
use std::time::Duration;

/// A text that no backend takes.
pub(super) const GARBAGE: &str = "\u{1}this is no rule in any language {{{\n";

/// What is listed, the same by two processes.
pub(super) fn listed_twice(external: &External) -> Result<Listed, String> {
    let (first, second) = (listed(external)?, listed(external)?);
    same(&first, &second, "a second time")?;
    match first.revision == second.revision {
        true => Ok(first),
        false => Err("a second time `list` tells another revision, and nothing was changed".to_owned()),
    }
}

/// Holds them against a backend where `before` is listed.
pub(super) fn tried(trial: &mut Trial, external: &External, before: &Listed) {
    let line = "what it does not know, and a later version, it answers with `ok` false and an error, and goes on";
    trial.note("unknown-request", line, unknown(external));
    trial.note("render", "it writes rules for all that it can, the same bytes each time", renders(external));
    if external.told().capabilities.contains(&Capability::Order) {
        trial.note("render-order", "the order of rules shows in the text", order(external));
    }
    let line = "what needs a capability that it has not, it refuses with the rule, the field and the cause";
    trial.note("render-refuses", line, refuses(external));
    trial.note(
        "check",
        "it finds its own text valid, and a text that is none of its own not, with the reason",
        checks(external),
    );
    let held = listed(external).and_then(|after| same(before, &after, "after render and check"));
    trial.note("looks-only", "render, check and list change nothing", held);
    trial.note("end", "it ends with status 0 when its standard input does, and has said nothing more", ends(external));
}

fn message(failure: crate::cli::Failure) -> String {
    failure.message
}

/// The text of rules.
pub(super) fn written(session: &mut Session, rules: Vec<Rule>) -> Result<String, String> {
    let ids: Vec<String> = rules.iter().map(|rule| rule.id.to_string()).collect();
    match session.render(rules).map_err(message)? {
        Ok(native) => Ok(native),
        Err(refused) => Err(format!("it refuses {}: {}", ids.join(", "), refused[0])),
    }
}

fn unknown(external: &External) -> Held {
    let mut session = session(external)?;
    for (odd, what) in [
        (r#""v":1,"id":ID,"request":"dance""#, "an unknown request"),
        (r#""v":2,"id":ID,"request":"list""#, "a request of version 2"),
    ] {
        // The number is counted as for any other request.
        let line = session.line(BackendRequest::of(Verb::Apply));
        let id = line.split("\"id\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default().to_owned();
        let line = format!("{{\"kind\":\"backend_request\",{}}}", odd.replace("ID", &id));
        let told = session.ask_line(&line, Verb::Apply).map_err(message)?;
        if told.ok {
            return Err(format!("it says that it did {what}"));
        }
    }
    session.list().map(drop).map_err(message)
}

fn renders(external: &External) -> Held {
    let capabilities = &external.told().capabilities;
    let base = base(capabilities, "base");
    let mut session = session(external)?;
    // Rules of both verdicts stand together only where their order decides.
    let ordered = capabilities.contains(&Capability::Order);
    let fits = |rule: &Rule| ordered || rule.action == base.action;
    let samples = capabilities.iter().filter_map(|capability| of(*capability, &base)).filter(fits);
    let rules: Vec<Rule> = std::iter::once(base.clone()).chain(samples).collect();
    let first = written(&mut session, rules.clone())?;
    match () {
        () if first.is_empty() => return Err("it writes nothing for rules".to_owned()),
        () if written(&mut session, rules)? != first => return Err("it writes the same rules in two ways".to_owned()),
        () => {}
    }
    written(&mut session, Vec::new()).map(drop)
}

fn order(external: &External) -> Held {
    let [one, two] = pair(&base(&external.told().capabilities, "base"));
    let mut session = session(external)?;
    let forth = written(&mut session, vec![one.clone(), two.clone()])?;
    let back = written(&mut session, vec![two, one])?;
    if forth == back { Err("two orders of rules have the same text".to_owned()) } else { Ok(()) }
}

fn refuses(external: &External) -> Held {
    let capabilities = &external.told().capabilities;
    let base = base(capabilities, "base");
    let lacking = Capability::ALL.iter().filter(|own| !capabilities.contains(own));
    let rules: Vec<Rule> = lacking.filter_map(|capability| of(*capability, &base)).collect();
    if rules.is_empty() {
        return Ok(());
    }
    let refused = session(external)?.render(rules.clone()).map_err(message)?.err().unwrap_or_default();
    if let Some(rule) = rules.iter().find(|rule| !refused.iter().any(|why| why.rule == rule.id)) {
        return Err(format!("it has not the capability {0} and does not refuse rule {0}", rule.id));
    }
    match refused.iter().find(|why| why.cause.trim().is_empty() || rules.iter().all(|rule| rule.id != why.rule)) {
        Some(why) => Err(format!("its refusal of rule {} is of no rule that it was given, or has no cause", why.rule)),
        None => Ok(()),
    }
}

fn checks(external: &External) -> Held {
    let mut session = session(external)?;
    let native = written(&mut session, vec![base(&external.told().capabilities, "base")])?;
    if let Some(errors) = session.check(&native).map_err(message)? {
        return Err(format!("it finds its own text not valid: {}", errors.first().map_or("", |error| &error.message)));
    }
    match session.check(GARBAGE).map_err(message)? {
        Some(_) => Ok(()),
        None => Err("it finds a text valid that is none of its own".to_owned()),
    }
}

fn ends(external: &External) -> Held {
    let mut session = session(external)?;
    session.list().map_err(message)?;
    let limit = Duration::from_secs(external.told().seconds.into());
    let status = session.into_talk().end(limit).map_err(|e| e.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) }
}
