//! What a packet is made of: addresses, ports, protocols, ICMP types, hardware addresses.
//!
//! Every type that records carry parses from the one spelling that they use and prints it back (`parse(print(x)) == x`); sets of
//! packets ([`Cell`], [`Bits`], [`Ranges`]) have no spelling.
//! Nothing here knows of rules, records or the machine.

mod address;
mod address_type;
mod icmp;
mod interface;
mod mac;
mod port;
mod protocol;
mod set;
mod set_bits;
mod set_possible;
mod set_range;
mod set_union;
mod widths;

pub use address::{AddressSpec, Family};
pub use address_type::{ADDRESS_TYPES, LOCAL, UNICAST, address_type, address_type_word, usual_type};
pub use icmp::IcmpType;
pub use interface::InterfacePattern;
pub use mac::MacAddress;
pub use port::PortRange;
pub use protocol::Protocol;
pub use set::{Cell, NO_MAC, NO_VLAN, Narrow, Wide, joined};
pub use set_bits::Bits;
pub use set_range::Ranges;
pub use set_union::{merged, outside};
pub use widths::Widths;

/// Why a text is no value of the type that was asked for: lower case, no period, names the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    /// An error whose words are `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A type that travels as its text: serde and JSON Schema through `FromStr` and `Display`.
macro_rules! as_text {
    ($type:ty, $description:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $description })
            }
        }
    };
}
pub(crate) use as_text;
