//! Ranges of addresses. Pure arithmetic.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address with the length of its prefix, such as `10.90.0.0/22`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    base: IpAddr,
    length: u8,
}

/// Why a text is no subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubnetError {
    /// It is not of the form.
    #[error("{0:?} is no subnet; it is written like 10.1.0.0/24 or fd00:1::/64")]
    Form(String),
    /// It is an address in a subnet.
    #[error("{text} is an address in the subnet {subnet}; write that")]
    HostBits {
        /// As it was typed.
        text: String,
        /// What may have been meant.
        subnet: Subnet,
    },
}

impl Subnet {
    /// The subnet that an address is in.
    #[must_use]
    pub fn around(address: IpAddr, length: u8) -> Self {
        let bits = width(address);
        let length = length.min(bits);
        let host = host_mask(bits - length);
        Self { base: address_of(number(address) & !host, bits), length }
    }

    /// Its first address, which is its name.
    #[must_use]
    pub fn base(&self) -> IpAddr {
        self.base
    }

    /// The length of the prefix.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether it is of IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.base.is_ipv4()
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.is_ipv4() == address.is_ipv4() && Self::around(address, self.length) == *self
    }

    /// Whether it has an address in common with another one.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }

    /// Its last address: of IPv4 the one for broadcasts.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        let bits = width(self.base);
        address_of(number(self.base) | host_mask(bits - self.length), bits)
    }

    /// The address after the base, by custom the gateway's; `None` in a subnet without room for hosts.
    #[must_use]
    pub fn first_host(&self) -> Option<IpAddr> {
        let first = after(self.base)?;
        self.is_for_hosts(first).then_some(first)
    }

    /// Whether a host can have this address of it: the base and an IPv4 broadcast are not for hosts.
    #[must_use]
    pub fn is_for_hosts(&self, address: IpAddr) -> bool {
        let is_broadcast = self.is_ipv4() && address == self.last();
        self.contains(address) && address != self.base && !is_broadcast
    }
}

/// The next address.
#[must_use]
pub fn after(address: IpAddr) -> Option<IpAddr> {
    let next = number(address).checked_add(1)?;
    (next <= host_mask(width(address))).then(|| address_of(next, width(address)))
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// As many ones at the end.
fn host_mask(bits: u8) -> u128 {
    if bits == 0 { 0 } else { u128::MAX >> (128 - u32::from(bits)) }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn address_of(number: u128, bits: u8) -> IpAddr {
    if bits == 32 {
        let [.., a, b, c, d] = number.to_be_bytes();
        Ipv4Addr::new(a, b, c, d).into()
    } else {
        Ipv6Addr::from(number).into()
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let form = || SubnetError::Form(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(form)?;
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let length: u8 = length.parse().map_err(|_| form())?;
        if length > width(address) {
            return Err(form());
        }
        let subnet = Self::around(address, length);
        if subnet.base != address {
            return Err(SubnetError::HostBits { text: text.to_owned(), subnet });
        }
        Ok(subnet)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = SubnetError;

    fn try_from(text: String) -> Result<Self, SubnetError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect(text)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn a_subnet_is_written_with_its_base() {
        assert_eq!(subnet("10.1.2.0/24").to_string(), "10.1.2.0/24");
        assert_eq!(subnet("fd00:1::/64").last(), address("fd00:1::ffff:ffff:ffff:ffff"));
        let error = "10.1.2.3/24".parse::<Subnet>().expect_err("a host").to_string();
        assert!(error.contains("10.1.2.0/24"), "{error}");
        for text in ["", "10.1.2.0", "10.1.2.0/33", "10.1.2/24", "a/b", "::/129", "10.0.0.0/-1"] {
            assert!(matches!(text.parse::<Subnet>(), Err(SubnetError::Form(_))), "{text}");
        }
    }

    #[test]
    fn addresses_are_in_one_subnet_and_not_in_another() {
        let net = subnet("10.1.2.0/23");
        assert!(net.contains(address("10.1.3.255")) && !net.contains(address("10.1.4.0")));
        assert!(!net.contains(address("::10.1.2.1")));
        assert!(net.overlaps(&subnet("10.0.0.0/8")) && subnet("10.1.3.0/24").overlaps(&net));
        assert!(!net.overlaps(&subnet("10.1.4.0/24")) && !net.overlaps(&subnet("fd00::/8")));
        assert!(subnet("0.0.0.0/0").contains(address("255.255.255.255")));
        assert!(subnet("::/0").contains(address("ff::1")));
    }

    #[test]
    fn base_and_broadcast_are_no_hosts() {
        let net = subnet("10.1.2.0/30");
        assert_eq!(net.first_host(), Some(address("10.1.2.1")));
        let hosts: Vec<bool> = (0..4).map(|n| net.is_for_hosts(address(&format!("10.1.2.{n}")))).collect();
        assert_eq!(hosts, [false, true, true, false]);
        assert_eq!(subnet("10.1.2.0/32").first_host(), None);
        assert_eq!(subnet("10.1.2.0/31").first_host(), None);
        assert!(subnet("fd00::/126").is_for_hosts(address("fd00::3")));
        assert_eq!(after(address("255.255.255.255")), None);
        assert_eq!(after(address("10.0.0.255")), Some(address("10.0.1.0")));
    }
}
