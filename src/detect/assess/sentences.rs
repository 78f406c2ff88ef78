//! The sentences of an assessment. They hold addresses and figures and nothing that somebody else wrote.

use super::score::Score;
use crate::record::Timestamp;

/// `1 login name`, `3 login names`.
pub fn number(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}{}", if one.ends_with('s') { "es" } else { "s" }),
    }
}

/// `90 seconds`, `10 minutes`, `24 hours`: the largest unit that has no remainder, days left out.
pub fn span(seconds: u64) -> String {
    match seconds {
        s if s > 0 && s % 3600 == 0 => number(s / 3600, "hour"),
        s if s > 0 && s % 60 == 0 => number(s / 60, "minute"),
        s => number(s, "second"),
    }
}

/// `within 98 seconds`, or `at once`.
pub fn within(from: Timestamp, to: Timestamp) -> String {
    match u64::try_from(from.duration_until(to).as_secs()).unwrap_or(0) {
        0 => "within one second".into(),
        seconds => format!("within {}", span(seconds)),
    }
}

/// What guessing passwords amounts to, in sentences.
pub fn guessing(subject: &str, score: &Score, from: Timestamp, to: Timestamp) -> Vec<String> {
    let connections = number(score.connections, "connection");
    let mut sentences = vec![match score.attempts {
        0 => format!("{connections} from {subject} {} without a login", within(from, to)),
        n => format!("{} from {subject} {}, over {connections}", number(n, "failed login"), within(from, to)),
    }];
    if score.users > 0 {
        let unknown = match score.invalid_users {
            0 => String::new(),
            n => format!(", {n} of which do not exist"),
        };
        sentences.push(format!("{} tried{unknown}", number(score.users.max(score.invalid_users), "login name")));
    }
    if score.disconnects > 0 {
        sentences.push(format!("{} given up before authentication", number(score.disconnects, "connection")));
    }
    if score.protocol_errors > 0 {
        sentences.push(format!("{} that spoke no SSH", number(score.protocol_errors, "connection")));
    }
    sentences.push(match score.successes {
        0 => "no successful login from there is known".into(),
        n => format!("{} from there lower the confidence", number(n, "successful login")),
    });
    sentences
}
