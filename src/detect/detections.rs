//! The thresholds, windows, weights and times of assessment: data, shipped in `detections.toml`, each overridable by name.
//!
//! A file that says something that is not understood is refused with line, key and what is allowed; nothing is guessed.

use toml::de::{DeTable, DeValue};

/// The shipped file.
pub const SHIPPED: &str = include_str!("detections.toml");

/// Why a file is no set of detections: its line, from 1, and the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {cause}")]
pub struct Mistake {
    pub line: usize,
    pub cause: String,
}

/// A kind of value: what it is in Rust, and how it is read.
trait Value: Sized {
    fn of(value: &DeValue<'_>) -> Option<Self>;
    fn within(self, low: f64, high: f64) -> bool;
    const WHAT: &'static str;
}

impl Value for u64 {
    const WHAT: &'static str = "a whole number";

    fn of(value: &DeValue<'_>) -> Option<Self> {
        value.as_integer().and_then(|n| Self::from_str_radix(n.as_str(), n.radix()).ok())
    }

    fn within(self, low: f64, high: f64) -> bool {
        (low..=high).contains(&(self as f64))
    }
}

impl Value for f64 {
    const WHAT: &'static str = "a number";

    fn of(value: &DeValue<'_>) -> Option<Self> {
        let float = value.as_float().and_then(|n| n.as_str().parse::<f64>().ok());
        float.or_else(|| value.as_integer().and_then(|n| n.as_str().parse().ok())).filter(|n| n.is_finite())
    }

    fn within(self, low: f64, high: f64) -> bool {
        (low..=high).contains(&self)
    }
}

impl Value for bool {
    const WHAT: &'static str = "true or false";

    fn of(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }

    fn within(self, _: f64, _: f64) -> bool {
        true
    }
}

fn put<V: Value + Copy>(place: &mut V, value: &DeValue<'_>, low: f64, high: f64) -> Result<(), String> {
    match V::of(value).filter(|v| v.within(low, high)) {
        Some(read) => {
            *place = read;
            Ok(())
        }
        None if V::WHAT == bool::WHAT => Err(format!("{} is allowed", V::WHAT)),
        None => Err(format!("{} from {low} to {high} is allowed", V::WHAT)),
    }
}

/// Names every key once: types, reading and the list of what is allowed follow from it.
macro_rules! detections {
    ($($(#[$doc:meta])* $section:ident: $type:ident { $($key:ident: $value:ty = $low:literal ..= $high:literal),+ $(,)? })+) => {
        /// What is looked for, and how.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct Detections { $($(#[$doc])* pub $section: $type,)+ }

        $($(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        #[allow(missing_docs)] // detections.toml says what each key is
        pub struct $type { $(pub $key: $value,)+ }

        impl $type {
            fn set(&mut self, key: &str, value: &DeValue<'_>) -> Result<(), String> {
                match key {
                    $(stringify!($key) => put(&mut self.$key, value, f64::from($low), f64::from($high)),)+
                    _ => Err(format!("there is no such key; allowed here: {}", [$(stringify!($key)),+].join(", "))),
                }
            }
        })+

        impl Detections {
            fn set(&mut self, section: &str, key: &str, value: &DeValue<'_>) -> Result<(), String> {
                match section {
                    $(stringify!($section) => self.$section.set(key, value),)+
                    _ => Err(String::new()),
                }
            }

            const SECTIONS: &[&str] = &[$(stringify!($section)),+];
        }
    };
}

detections! {
    /// How the stream of events is kept.
    stream: Stream { lateness_seconds: u64 = 0..=3600, duplicate_memory: u64 = 0..=10_000_000, max_subjects: u64 = 100..=10_000_000, max_events_per_subject: u64 = 16..=4096 }
    /// How evidence becomes confidence.
    confidence: Confidence { scale: f64 = 0.1..=1000, auto: f64 = 0.1..=1, high: f64 = 0.1..=1, forgeable_factor: f64 = 0..=1 }
    /// Somebody guesses passwords.
    brute_force: BruteForce {
        window_seconds: u64 = 1..=2_592_000, threshold: f64 = 0.1..=100_000, ttl_seconds: u64 = 1..=31_536_000,
        points_failure: f64 = 0..=1000, points_invalid_user: f64 = 0..=1000, points_another_user: f64 = 0..=1000, points_disconnect: f64 = 0..=1000,
        points_protocol_error: f64 = 0..=1000, points_key: f64 = 0..=1000, points_success: f64 = -1000..=0,
        success_window_seconds: u64 = 1..=2_592_000, most_success: u64 = 0..=1000,
    }
    /// Many login names that do not exist.
    invalid_user_sweep: InvalidUserSweep { threshold: u64 = 1..=4096 }
    /// Many addresses of one IPv6 /64.
    ipv6_network: Ipv6Network { threshold: u64 = 2..=4096 }
    /// Somebody was let in after a guessing run.
    success_after_failures: SuccessAfterFailures { threshold: f64 = 0.1..=100_000 }
    /// Many ports or hosts were tried.
    port_scan: PortScan { window_seconds: u64 = 1..=2_592_000, threshold_ports: u64 = 2..=4096, threshold_hosts: u64 = 2..=4096, scale: f64 = 0.1..=100_000, ttl_seconds: u64 = 1..=31_536_000, auto: bool = 0..=1 }
    /// Many packets came at once.
    flood: Flood { window_seconds: u64 = 1..=3600, threshold: u64 = 2..=1_000_000_000, ttl_seconds: u64 = 1..=31_536_000, auto: bool = 0..=1 }
    /// A list names the address.
    known_bad: KnownBad { confidence: f64 = 0..=1, points_contact: f64 = 0..=1000, ttl_seconds: u64 = 1..=31_536_000, auto: bool = 0..=1, max_listed: u64 = 0..=100_000_000 }
}

impl Detections {
    /// What is shipped.
    pub fn shipped() -> Self {
        let mut detections = Self::default();
        detections.read(SHIPPED).expect("a test reads the shipped file");
        detections
    }

    /// What is shipped, changed by a file.
    ///
    /// # Errors
    /// When the text is no TOML, a section or key does not exist, or a value is not allowed; the first one is told.
    pub fn changed_by(text: &str) -> Result<Self, Mistake> {
        let mut detections = Self::shipped();
        detections.read(text)?;
        Ok(detections)
    }

    fn read(&mut self, text: &str) -> Result<(), Mistake> {
        let line = |at: usize| 1 + text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count();
        let table = DeTable::parse(text).map_err(|e| Mistake {
            line: line(e.span().map_or(0, |span| span.start)),
            cause: e.message().lines().next().unwrap_or_default().to_owned(),
        })?;
        for (section, values) in table.get_ref() {
            let (at, name) = (line(section.span().start), section.get_ref());
            let known = Self::SECTIONS.contains(&&**name);
            let keys = values.get_ref().as_table().filter(|_| known).ok_or_else(|| Mistake {
                line: at,
                cause: format!("{}: there is no such section; allowed are {}", shown(name), Self::SECTIONS.join(", ")),
            })?;
            for (key, value) in keys {
                let refused = |cause| Mistake {
                    line: line(key.span().start),
                    cause: format!("{name}.{}: {cause}", shown(key.get_ref())),
                };
                self.set(name, key.get_ref(), value.get_ref()).map_err(refused)?;
            }
        }
        Ok(())
    }
}

/// A name from outside in an error's words.
fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shipped_file_sets_every_key() {
        let shipped = Detections::shipped();
        let names = |text: &str| text.lines().filter(|l| l.contains(" = ") && !l.starts_with('#')).count();
        let debug = format!("{shipped:?}");
        // every field is a `name: value`; every section one more
        assert_eq!(debug.matches(": ").count(), names(SHIPPED) + Detections::SECTIONS.len());
        assert_eq!((shipped.brute_force.threshold, shipped.port_scan.auto), (5.0, false));
    }

    #[test]
    fn one_key_is_changed() {
        let changed = Detections::changed_by("[brute_force]\nthreshold = 9\n").expect("changed");
        assert_eq!((changed.brute_force.threshold, changed.brute_force.window_seconds), (9.0, 600));
        assert_eq!(Detections::changed_by(""), Ok(Detections::shipped()));
    }

    #[test]
    fn a_mistake_has_its_line_and_what_is_allowed() {
        let said = |text: &str| Detections::changed_by(text).expect_err(text).to_string();
        assert_eq!(
            said("\n[flood]\nthreshold = 1\n"),
            "3: flood.threshold: a whole number from 2 to 1000000000 is allowed"
        );
        assert_eq!(said("[flood]\nauto = 1"), "2: flood.auto: true or false is allowed");
        assert_eq!(
            said("[brute_force]\nthreshold = \"x\""),
            "2: brute_force.threshold: a number from 0.1 to 100000 is allowed"
        );
        assert_eq!(
            said("[ipv6_network]\nthresold = 4"),
            "2: ipv6_network.thresold: there is no such key; allowed here: threshold"
        );
        assert!(
            said("[flod]\n")
                .starts_with("1: flod: there is no such section; allowed are stream, confidence, brute_force, ")
        );
        assert!(said("[flood\n").starts_with("1: "), "{}", said("[flood\n"));
        assert!(said("flood = 3").starts_with("1: flood: there is no such section"));
    }

    proptest! {
        #[test]
        fn text_never_panics(text in "\\PC{0,80}", shaped in "(\\[flood\\]|\n|threshold|auto| = |-?[0-9.e_x]{1,9}|\"|nan|inf){0,12}") {
            let _ = Detections::changed_by(&text);
            let _ = Detections::changed_by(&shaped);
        }
    }
}
