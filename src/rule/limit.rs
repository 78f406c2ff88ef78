use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;

/// How often a rule may match: `count` per `per`, with `burst` allowed at once before the rate counts.
///
/// On an accepting rule what is within the rate is accepted and what is over it gets [`over`](Self::over); on a dropping or
/// rejecting rule only what is over the rate is dropped or rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateLimit {
    pub count: NonZeroU32,
    pub per: Per,
    /// Packets; the backend's own default where it is not given (nftables: 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    #[serde(default)]
    pub scope: Scope,
    #[serde(default)]
    pub over: Over,
}

/// The time over which a rate is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    Second,
    Minute,
    Hour,
    Day,
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        })
    }
}

/// What is counted together: everything that matches, or each source address (each /64 of IPv6) for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    #[default]
    Total,
    Source,
}

/// What becomes of packets over the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    #[default]
    Drop,
    Reject,
}
