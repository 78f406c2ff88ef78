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
    /// A rate by name, whose packets are those over it or within it.
    Hashlimit {
        over: bool,
        /// Options and their values.
        options: Vec<(String, String)>,
    },
    /// Hours of the week: options and their values.
    Hours(Vec<(String, String)>),
    Log {
        prefix: Option<String>,
        level: Option<String>,
    },
    Reject(Option<String>),
    /// A translation by the name of its target, with its options and their values.
    Nat(String, Vec<(String, String)>),
    Jump(String),
    Goto(String),
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
        all.push(if target.goto { Action::Goto(target.to.name.to_string()) } else { of_target(&target.to) });
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
        "hashlimit" => of_hashlimit(extension),
        "time" if !extension.options.iter().any(|option| option.inverted) => Action::Hours(options(extension)),
        // They write down what they saw.
        "recent" | "connlimit" | "quota" | "quota2" | "nfacct" | "statistic" => {
            Action::Other(extension.name.to_string())
        }
        _ => Action::Match,
    }
}

fn options(extension: &Extension) -> Vec<(String, String)> {
    extension.options.iter().map(|option| (option.name.to_string(), option.value().to_owned())).collect()
}

/// `--hashlimit` is the older name of `--hashlimit-upto`.
fn of_hashlimit(extension: &Extension) -> Action {
    let (rates, options): (Vec<_>, Vec<_>) = options(extension)
        .into_iter()
        .map(|(name, value)| (name.strip_prefix("hashlimit-").unwrap_or("upto").to_owned(), value))
        .partition(|(name, _)| name == "upto" || name == "above");
    match <[_; 1]>::try_from(rates) {
        Ok([(name, rate)]) if extension.options.iter().all(|option| !option.inverted) => Action::Hashlimit {
            over: name == "above",
            options: options.into_iter().chain([("rate".to_owned(), rate)]).collect(),
        },
        _ => Action::Other("hashlimit".to_owned()),
    }
}

fn of_target(to: &Extension) -> Action {
    let only = |known: &[&str]| to.options.iter().all(|option| known.contains(&&*option.name));
    match &*to.name {
        "LOG" if only(&["log-prefix", "log-level"]) => {
            Action::Log { prefix: value(to, "log-prefix"), level: value(to, "log-level") }
        }
        "DNAT" | "SNAT" | "MASQUERADE" | "REDIRECT" => Action::Nat(to.name.to_string(), options(to)),
        "REJECT" if only(&["reject-with"]) => Action::Reject(value(to, "reject-with")),
        name if to.options.is_empty() && !super::grammar::is_known(super::grammar::Kind::Target, name) => {
            Action::Jump(name.to_owned())
        }
        name => Action::Other(name.to_owned()),
    }
}
