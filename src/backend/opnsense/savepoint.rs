//! The savepoints of OPNsense before 26.7 (FilterBaseController.php): a second guard beside AFO's own.
//!
//! `apply/REVISION` starts a timer of 60 seconds on the firewall, after which its rules are those of the savepoint unless `cancelRollback`
//! was heard (rollback_timer.php). A savepoint alone starts nothing and changes no rule.

use super::step::{APPLY, Step};
use serde_json::Value;

/// A window may be so many seconds long: then the firewall's own end comes after it.
pub const LONGEST: u64 = 50;

/// Where the requests are.
const CONTROLLERS: [&str; 2] = ["filter", "filter_base"];

/// What stands for a revision that is not known yet.
pub(super) const UNKNOWN: &str = "?";

/// A savepoint that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Savepoint {
    controller: &'static str,
    pub revision: String,
}

/// Each controller, and the path of the request that makes one.
pub fn savepoints() -> [(&'static str, String); 2] {
    CONTROLLERS.map(|controller| (controller, format!("firewall/{controller}/savepoint")))
}

/// The paths of the request that ends the timer of a revision.
pub fn cancels(revision: &str) -> [String; 2] {
    CONTROLLERS.map(|controller| format!("firewall/{controller}/cancelRollback/{revision}"))
}

/// Whether a text is a revision: the time of a configuration in seconds.
pub(super) fn is_revision(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

impl Savepoint {
    /// The savepoint that a controller's reply tells of.
    ///
    /// # Errors
    /// The words for a reply that tells of none.
    pub fn read(controller: &'static str, reply: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(reply).map_err(|e| format!("the reply is not JSON: {e}"))?;
        let revision = value["revision"].as_str().filter(|_| value["status"] == "ok");
        let revision = revision.filter(|text| is_revision(text)).ok_or("the reply names no revision")?;
        Ok(Self { controller, revision: revision.to_owned() })
    }
}

/// A step as it is sent: with the revision of a savepoint where there is one.
pub fn filled(step: &Step, savepoint: Option<&Savepoint>) -> Step {
    let Step::Post { path, body } = step else { return step.clone() };
    let path = match savepoint {
        Some(own) if path == APPLY => format!("firewall/{}/apply/{}", own.controller, own.revision),
        _ => path.clone(),
    };
    let mut body = body.clone();
    if let Some(Value::String(words)) = body.pointer_mut("/rule/description") {
        let told = savepoint.map(|own| format!(" savepoint={}", own.revision)).unwrap_or_default();
        *words = words.replace(&format!(" savepoint={UNKNOWN}"), &told);
    }
    Step::Post { path, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_reply_is_a_savepoint_or_none() {
        let good = Savepoint::read("filter", r#"{"status":"ok","retention":"60","revision":"1700000000.123"}"#);
        let good = good.expect("one");
        assert_eq!(good.revision, "1700000000.123");
        for odd in [
            r#"{"status":"error"}"#,
            r#"{"status":"ok","revision":""}"#,
            r#"{"status":"ok","revision":"../../x"}"#,
            r#"{"status":"ok","revision":17}"#,
            "{\"status\":\"ok\",\"rev",
        ] {
            assert!(Savepoint::read("filter", odd).is_err(), "{odd}");
        }
        let mark = Step::post("a/b", json!({"rule": {"description": "afo state window=2:x until=9 savepoint=?"}}));
        let words = |step: Step| match step {
            Step::Post { path, body } => (path, body["rule"]["description"].as_str().unwrap_or_default().to_owned()),
            other => panic!("{other:?}"),
        };
        assert_eq!(words(filled(&mark, None)).1, "afo state window=2:x until=9");
        assert_eq!(words(filled(&mark, Some(&good))).1, "afo state window=2:x until=9 savepoint=1700000000.123");
        assert_eq!(words(filled(&Step::plain(APPLY), Some(&good))).0, "firewall/filter/apply/1700000000.123");
        assert_eq!(filled(&Step::plain(APPLY), None), Step::plain(APPLY));
    }

    proptest! {
        #[test]
        fn no_reply_makes_it_panic(text in "\\{?\"?(status|revision)?\\PC{0,30}") {
            if let Ok(savepoint) = Savepoint::read("filter", &text) {
                prop_assert!(is_revision(&savepoint.revision));
            }
        }
    }
}
