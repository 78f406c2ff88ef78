//! What is to be done to a firewall, as text: a line each, JSON, in order. It is what is shown, journalled and sent.

use serde_json::{Map, Value, json};

/// Loads what was changed into pf, as a whole.
pub const APPLY: &str = "firewall/filter/apply";

/// One request, or one thing that must hold before the next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A request with this body to this path below `/api/`.
    Post { path: String, body: Value },
    /// A request that may fail: what it does is told, and nothing hangs on it.
    Try { path: String, body: Value },
    /// The firewall is asked for a savepoint, which may fail.
    Savepoint,
    /// The rules and aliases of others have this hash; otherwise nothing more is done.
    Others(String),
}

impl Step {
    /// A request.
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self::Post { path: path.into(), body }
    }

    /// A request without a body.
    pub fn plain(path: impl Into<String>) -> Self {
        Self::post(path, Value::Object(Map::new()))
    }

    fn line(&self) -> Value {
        match self {
            Self::Savepoint => json!({ "savepoint": true }),
            Self::Others(hash) => json!({ "others": hash }),
            Self::Post { path, body } => json!({ "post": path, "body": body }),
            Self::Try { path, body } => json!({ "try": path, "body": body }),
        }
    }

    fn read(value: &Value) -> Option<Self> {
        if let Some(hash) = value.get("others").and_then(Value::as_str) {
            return Some(Self::Others(hash.to_owned()));
        }
        if value.get("savepoint").is_some_and(|asked| *asked == true) {
            return Some(Self::Savepoint);
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_-.".contains(&b);
        let path = |name: &str| value.get(name)?.as_str().filter(|path| !path.is_empty() && path.bytes().all(plain));
        let body = value["body"].clone();
        match (path("post"), path("try")) {
            (Some(path), None) => Some(Self::post(path, body)),
            (None, Some(path)) => Some(Self::Try { path: path.to_owned(), body }),
            _ => None,
        }
    }
}

/// Steps as text.
pub fn text(steps: &[Step]) -> String {
    steps.iter().map(|step| step.line().to_string() + "\n").collect()
}

/// The steps of a text; empty lines and lines that begin with `#` are none.
///
/// # Errors
/// The number of the first line that is no step, from 1.
pub fn steps(text: &str) -> Result<Vec<Step>, usize> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let read = |line: &str| Step::read(&serde_json::from_str(line).ok()?);
    lines.map(|(n, line)| read(line).ok_or(n + 1)).collect()
}

/// The requests that tell what is there, each a path below `/api/` with the beginning of its query.
pub fn reads() -> [&'static str; 2] {
    ["firewall/filter/search_rule?show_all=1", "firewall/alias/search_item?"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_come_back() {
        let attempt = Step::Try { path: "a/b".to_owned(), body: json!({}) };
        let all = [
            Step::Others("ab".to_owned()),
            Step::Savepoint,
            attempt,
            Step::plain(APPLY),
            Step::post("x/y", json!({"a": "b\nc"})),
        ];
        assert_eq!(steps(&format!("# words\n\n{}", text(&all))), Ok(all.to_vec()));
        assert_eq!(steps("# a\n{\"post\":\"../x?y\"}\n"), Err(2));
        assert_eq!(steps("hello"), Err(1));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\{\"(post|others|body)\":\\PC{0,20}\\}?\n?){0,4}") {
            if let Ok(read) = steps(&text) {
                prop_assert_eq!(steps(&super::text(&read)), Ok(read));
            }
        }
    }
}
