//! The configuration: one TOML file whose every key has a default, so that none is needed to start.
//!
//! The types here are the source of truth: `schemas/config.schema.json`, `contrib/afo.toml` and afo.toml.5 are held against
//! them by tests. Nothing here looks at the environment: which files are read is an argument ([`Places`]).

mod edit;
mod heartbeat;
mod read;
mod values;

pub use edit::{Edited, edit, replace};
pub use heartbeat::{Check, Heartbeat};
pub use read::{ConfigError, Loaded, Places, parse};
pub use values::{
    Autonomy, BackendName, Endpoint, Level, LogFormat, Name, Placement, Preset, ServicePort, SourceSpec, StartAt,
};

use crate::packet::{AddressSpec, InterfacePattern};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use values::{days, events, growth, hours, minutes_cap, network_v4, network_v6, patience, ports, share, window};

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub names: Names,
    pub watch: Watch,
    pub assess: Assess,
    pub respond: Respond,
    pub deploy: Deploy,
    pub opnsense: Opnsense,
    pub management: Management,
    pub state: State,
    pub log: Log,
}

/// The names that people use in sentences.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// Interfaces by the name that people give them together: `lan = ["eth1", "eth2"]`.
    pub zones: BTreeMap<Name, Vec<InterfacePattern>>,
    /// Addresses, networks and ranges by name: `printer = ["192.168.1.40"]`.
    pub hosts: BTreeMap<Name, Vec<AddressSpec>>,
    /// Ports by name, each with its protocol: `ledger = ["tcp/5432"]`.
    pub services: BTreeMap<Name, Vec<ServicePort>>,
}

/// What afo-daemon watches.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// Sources as afo-watch takes them: `auth:/var/log/auth.log`. Empty: the daemon looks for what the host has and says so.
    pub sources: Vec<SourceSpec>,
    /// Where reading begins: where it ended last time, at the start of the file or at its end.
    pub from: StartAt,
}

/// How events become assessments.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Assess {
    /// A file of thresholds, windows and weights. Empty: the built-in ones.
    pub detections: PathBuf,
}

/// What may be done against a threat without a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Respond {
    /// Values for all of these at once, which those that are set by themselves replace.
    pub preset: Preset,
    /// `alert` only says, `propose` also queues, `auto` blocks for a time.
    pub autonomy: Autonomy,
    /// Addresses and networks that are never blocked, besides the host's own, its gateways, resolvers and management.
    pub never_block: Vec<AddressSpec>,
    /// Blocks in one minute, at most.
    #[serde(deserialize_with = "minutes_cap")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cap_per_minute: u32,
    /// Blocks in one hour, at most.
    #[serde(deserialize_with = "minutes_cap")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cap_per_hour: u32,
    /// How much of all addresses, in millionths, may be blocked without a person at the same time, of IPv4 and of IPv6 each.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cap_share_ppm: u32,
    /// For how many hours after it was first asked it only says what it would block without a person; 0 is none.
    #[serde(deserialize_with = "hours")]
    #[schemars(range(max = 8_760))]
    pub learn_hours: u32,
    /// For how many seconds nothing is blocked without a person once such a limit was reached.
    #[serde(deserialize_with = "window")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub pause_seconds: u32,
    /// The widest IPv4 network that is blocked without a person, as the length of its prefix.
    #[serde(deserialize_with = "network_v4")]
    #[schemars(range(min = 8, max = 32))]
    pub max_prefix_v4: u8,
    /// The widest IPv6 network that is blocked without a person, as the length of its prefix.
    #[serde(deserialize_with = "network_v6")]
    #[schemars(range(min = 16, max = 128))]
    pub max_prefix_v6: u8,
    /// What the time of a block is multiplied by each time that its address comes back; 1 is no growth.
    #[serde(deserialize_with = "growth")]
    #[schemars(range(min = 1, max = 100))]
    pub ttl_growth: u32,
    /// For how many seconds a proposal waits for a person.
    #[serde(deserialize_with = "window")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub queue_seconds: u32,
    /// For how many seconds an approval holds.
    #[serde(deserialize_with = "window")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub approval_seconds: u32,
    /// The longest time of a block in seconds.
    #[serde(deserialize_with = "window")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub ttl_max_seconds: u32,
}

impl Default for Respond {
    fn default() -> Self {
        Self::of(Preset::default())
    }
}

impl Respond {
    /// What a preset stands for.
    pub fn of(preset: Preset) -> Self {
        let cautious = Self {
            preset,
            autonomy: Autonomy::Propose,
            never_block: Vec::new(),
            cap_per_minute: 30,
            cap_per_hour: 300,
            cap_share_ppm: 1_000,
            learn_hours: 0,
            pause_seconds: 600,
            max_prefix_v4: 24,
            max_prefix_v6: 48,
            queue_seconds: 86_400,
            approval_seconds: 900,
            ttl_growth: 2,
            ttl_max_seconds: 604_800,
        };
        match preset {
            Preset::Monitor => Self { autonomy: Autonomy::Alert, ..cautious },
            Preset::Cautious => cautious,
            Preset::Aggressive => Self {
                autonomy: Autonomy::Auto,
                cap_per_minute: 300,
                cap_per_hour: 3_000,
                cap_share_ppm: 10_000,
                ttl_growth: 4,
                ttl_max_seconds: 2_592_000,
                ..cautious
            },
        }
    }
}

/// How a change is applied and confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deploy {
    /// The length of the window in which a change must be confirmed, in seconds.
    #[serde(deserialize_with = "window")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub confirm_seconds: u32,
    /// What must hold after a change so that it is confirmed without a person.
    pub heartbeat: Vec<Heartbeat>,
    /// The packet filter that rules are written for.
    pub backend: BackendName,
    /// In whose chains allows are made true: `own`, or `foreign` ones too (see afo-deploy --placement).
    pub placement: Placement,
    /// A file of what must hold after every change (see afo-sim invariants). Empty: none.
    pub invariants: PathBuf,
    /// The file that brings confirmed rules back at boot. Empty: /etc/afo/boot.nft, or beside a state that is not the system's.
    pub boot_file: PathBuf,
}

impl Deploy {
    /// The configured file of invariants, where one is.
    pub fn invariants(&self) -> Option<&Path> {
        Some(self.invariants.as_path()).filter(|path| !path.as_os_str().is_empty())
    }
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            confirm_seconds: 30,
            heartbeat: Vec::new(),
            backend: BackendName::Nftables,
            placement: Placement::Own,
            invariants: PathBuf::new(),
            boot_file: PathBuf::new(),
        }
    }
}

/// The OPNsense firewall whose rules are changed, where there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Opnsense {
    /// Where its API is: `https://192.0.2.1`; `http` only on loopback. Empty: there is none.
    pub url: Endpoint,
    /// A file with a line `key=` and a line `secret=`, as OPNsense hands them out, for its owner alone. Empty: the systemd credential
    /// `opnsense`.
    pub credentials: PathBuf,
    /// The certificate (PEM) that its certificate must come from, or its own. Empty: the authorities that browsers trust.
    pub ca: PathBuf,
    /// For how many seconds a connection may take.
    #[serde(deserialize_with = "patience")]
    #[schemars(range(min = 1, max = 300))]
    pub connect_seconds: u32,
    /// For how many seconds a reply may take.
    #[serde(deserialize_with = "patience")]
    #[schemars(range(min = 1, max = 300))]
    pub reply_seconds: u32,
    /// Its own addresses: what they tell apart is what is for it and what passes through.
    pub addresses: Vec<AddressSpec>,
    /// Its identifiers of interfaces by the names that rules have: `igb1 = "lan"`. An identifier needs no name.
    pub interfaces: BTreeMap<InterfacePattern, Name>,
}

impl Default for Opnsense {
    fn default() -> Self {
        Self {
            url: Endpoint::default(),
            credentials: PathBuf::new(),
            ca: PathBuf::new(),
            connect_seconds: 5,
            reply_seconds: 30,
            addresses: Vec::new(),
            interfaces: BTreeMap::new(),
        }
    }
}

/// From where the host is administered: no change may cut this off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Management {
    /// Networks that administrators come from; they are never blocked.
    pub networks: Vec<AddressSpec>,
    /// TCP ports of this host on which it is administered.
    #[serde(deserialize_with = "ports")]
    #[schemars(inner(range(min = 1)))]
    pub ports: Vec<u16>,
}

impl Default for Management {
    fn default() -> Self {
        Self { networks: Vec::new(), ports: vec![22] }
    }
}

/// Where the state is kept, and how much of what was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// The SQLite file. Empty: /var/lib/afo/state.db, or the user's state directory when not root.
    pub path: PathBuf,
    /// For how many days after it was read an event is kept.
    #[serde(deserialize_with = "days")]
    #[schemars(range(min = 1, max = 36_500))]
    pub keep_events_days: u32,
    /// How many events are kept at most; of more the oldest are forgotten. A million take about one gigabyte.
    #[serde(deserialize_with = "events")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_events: u32,
}

impl Default for State {
    fn default() -> Self {
        Self { path: PathBuf::new(), keep_events_days: 90, max_events: 1_000_000 }
    }
}

impl State {
    /// The configured file, where one is.
    pub fn path(&self) -> Option<&Path> {
        Some(self.path.as_path()).filter(|path| !path.as_os_str().is_empty())
    }
}

impl Assess {
    /// The configured file, where one is.
    pub fn detections(&self) -> Option<&Path> {
        Some(self.detections.as_path()).filter(|path| !path.as_os_str().is_empty())
    }
}

/// What the commands say on stderr.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub level: Level,
}

impl Config {
    /// The JSON Schema (draft 2020-12) of the configuration.
    pub fn schema() -> schemars::Schema {
        let mut schema =
            schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Self>();
        schema.ensure_object().insert("title".into(), "afo.toml".into());
        schema
    }

    /// The whole configuration as TOML, every key with its value.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration has string keys and values that TOML knows")
    }

    /// The value of one dotted key (`respond.autonomy`), or nothing where there is no such key.
    pub fn value(&self, key: &str) -> Option<toml::Value> {
        let whole = toml::Value::try_from(self).expect("a configuration has string keys and values that TOML knows");
        key.split('.').try_fold(whole, |value, part| match value {
            toml::Value::Table(mut table) => table.remove(part),
            _ => None,
        })
    }

    /// Every dotted key that has a value by itself, in order.
    pub fn keys() -> Vec<String> {
        let whole = toml::Table::try_from(Self::default()).expect("the default has string keys");
        let sections = whole.into_iter().filter_map(|(name, section)| match section {
            toml::Value::Table(table) => Some((name, table)),
            _ => None,
        });
        sections.flat_map(|(name, table)| table.into_iter().map(move |(key, _)| format!("{name}.{key}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let defaults = Config::default();
        assert_eq!(parse("x", &defaults.to_toml()).expect("defaults"), defaults);
        assert_eq!(parse("x", "").expect("nothing"), defaults);
    }

    #[test]
    fn values_by_their_key() {
        let config = Config::default();
        assert_eq!(config.value("respond.autonomy"), Some("propose".into()));
        assert_eq!(config.value("respond.autonomy.x"), None);
        assert_eq!(config.value("deploy.confirm_seconds"), Some(30.into()));
        assert!(Config::keys().contains(&"names.zones".to_owned()) && Config::keys().len() == 40);
        assert!(Config::keys().iter().all(|key| config.value(key).is_some()));
    }

    #[test]
    fn a_preset_sets_what_is_not_set_by_itself() {
        let respond = |text: &str| parse("x", text).expect(text).respond;
        assert_eq!(respond("[respond]\npreset = \"cautious\""), Respond::default());
        assert_eq!(respond("[respond]\npreset = \"monitor\"").autonomy, Autonomy::Alert);
        let mixed = respond("[respond]\nautonomy = \"propose\"\npreset = \"aggressive\"\ncap_per_minute = 1000");
        let expected = Respond { autonomy: Autonomy::Propose, cap_per_minute: 1000, ..Respond::of(Preset::Aggressive) };
        assert_eq!(mixed, expected);
        assert!(parse("x", "[respond]\npreset = \"monitor\"\ncap_per_minute = 1000").is_err(), "more than in an hour");
        let shown = Config { respond: expected.clone(), ..Config::default() }.to_toml();
        assert_eq!(respond(&shown), expected, "what is shown is what is in force");
    }

    #[test]
    fn an_empty_path_is_no_path() {
        let config = parse("x", "[state]\npath = \"/srv/afo.db\"").expect("path");
        assert_eq!(config.state.path(), Some(Path::new("/srv/afo.db")));
        assert_eq!(Config::default().state.path(), None);
        assert_eq!(Config::default().assess.detections(), None);
    }
}
