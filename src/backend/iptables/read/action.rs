//! What a rule does, from its text: its matches, limits and target in their order.

use super::parse::{Extension, rule};
use super::words::split;

/// One thing that a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Action {
    /// Asks something of the packet.
    Match,
    Limit {
        rate: String,
        burst: Option<String>,
    },
    Log {
        prefix: Option<String>,
        level: Option<String>,
    },
    Reject(Option<String>),
    Jump(String),
    /// Anything else, by the name of the extension.
    Other(String),
}

/// What the rule of a text does.
///
/// # Errors
/// When the text is none of a rule.
pub(in super::super) fn actions(text: &str) -> Result<Vec<Action>, String> {
    let words = split(text)?;
    let rule = rule(&words)?;
    let mut all: Vec<_> = rule.own.iter().map(|_| Action::Match).collect();
    all.extend(rule.matches.iter().filter(|m| m.name != "comment").map(of_match));
    if let Some(target) = &rule.target {
        all.push(if target.goto { Action::Other("goto".to_owned()) } else { of_target(&target.to) });
    }
    Ok(all)
}

fn value(extension: &Extension, name: &str) -> Option<String> {
    extension.option(name).map(|option| option.value().to_owned())
}

fn of_match(extension: &Extension) -> Action {
    match &*extension.name {
        "limit" => Action::Limit {
            rate: value(extension, "limit").unwrap_or_default(),
            burst: value(extension, "limit-burst"),
        },
        // They write down what they saw.
        "recent" | "hashlimit" | "connlimit" | "quota" | "quota2" | "nfacct" | "statistic" => {
            Action::Other(extension.name.to_string())
        }
        _ => Action::Match,
    }
}

fn of_target(to: &Extension) -> Action {
    let only = |known: &[&str]| to.options.iter().all(|option| known.contains(&&*option.name));
    match &*to.name {
        "LOG" if only(&["log-prefix", "log-level"]) => {
            Action::Log { prefix: value(to, "log-prefix"), level: value(to, "log-level") }
        }
        "REJECT" if only(&["reject-with"]) => Action::Reject(value(to, "reject-with")),
        name if to.options.is_empty() && !super::grammar::is_known(super::grammar::Kind::Target, name) => {
            Action::Jump(name.to_owned())
        }
        name => Action::Other(name.to_owned()),
    }
}
