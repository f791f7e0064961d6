//! Where webhooks may connect to: an address of the public internet, or one that the operator allows.
//!
//! Whoever may name a URL must not reach what only this machine can: its own ports, the network beside it, a cloud's
//! metadata. So addresses are judged, never names, and one that carries an IPv4 address within is judged by that. What is
//! no global unicast address by the registries of IANA (RFC 6890 and those after it) is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cidr {
    network: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Parses `ADDRESS/BITS`, or an address alone.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().ok()?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { network, bits })
    }

    /// Whether it contains the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// What may be connected to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Egress {
    allowed: Vec<Cidr>,
}

/// What an address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// One of the public internet.
    Public,
    /// One that the operator allows, also without TLS.
    Allowed,
    /// One that is not connected to.
    Forbidden,
}

impl Egress {
    /// Public addresses and these.
    pub const fn allowing(allowed: Vec<Cidr>) -> Self {
        Self { allowed }
    }

    /// Parses networks divided by commas; the one that is none in the error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| Cidr::parse(part).ok_or_else(|| part.to_owned())).collect::<Result<_, _>>().map(Self::allowing)
    }

    /// What `address` is.
    pub fn reach(&self, address: IpAddr) -> Reach {
        let meant = embedded(address);
        if self.allowed.iter().any(|cidr| cidr.contains(address) || cidr.contains(meant)) {
            Reach::Allowed
        } else if is_public(meant) {
            Reach::Public
        } else {
            Reach::Forbidden
        }
    }
}

/// The IPv4 address that an IPv6 address leads to, or the address itself: mapped (RFC 4291, section 2.5.5.2), compatible
/// (2.5.5.1), NAT64 (RFC 6052, section 2.1), 6to4 (RFC 3056, section 2).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let segments = v6.segments();
    let of = |high: u16, low: u16| IpAddr::from(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    let last = of(segments[6], segments[7]);
    match segments[..6] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => last,
        [0, 0, 0, 0, 0, 0] if v6 != Ipv6Addr::LOCALHOST && v6 != Ipv6Addr::UNSPECIFIED => last,
        [0x2002, high, low, ..] => of(high, low),
        _ => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|(network, bits)| {
            Cidr { network: IpAddr::V4(Ipv4Addr::from_octets(*network)), bits: *bits }.contains(address.into())
        }),
        // Global unicast is 2000::/3; within it, what is for protocols (2001::/23: Teredo, ORCHID, benchmarks) and for
        // documents (2001:db8::/32, 3fff::/20) leads nowhere, or somewhere else.
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            a & 0xe000 == 0x2000
                && !(a == 0x2001 && (b & 0xfe00 == 0 || b == 0x0db8))
                && !(a == 0x3fff && b & 0xf000 == 0)
        }
    }
}

/// The registry of special IPv4 addresses, multicast and what is reserved.
const SPECIAL_V4: [([u8; 4], u8); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reach(egress: &Egress, address: &str) -> Reach {
        egress.reach(address.parse().expect("an address"))
    }

    #[test]
    fn what_only_this_machine_can_reach_is_refused_in_every_dress() {
        let none = Egress::default();
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "3fff::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "100::1",
        ] {
            assert_eq!(reach(&none, address), Reach::Forbidden, "{address}");
        }
        for address in
            ["1.1.1.1", "172.32.0.1", "223.255.255.255", "2606:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::1"]
        {
            assert_eq!(reach(&none, address), Reach::Public, "{address}");
        }
    }

    #[test]
    fn the_operator_may_allow_networks() {
        let egress = Egress::parse("127.0.0.0/8, ::1,10.0.0.7/32").expect("networks");
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.7"] {
            assert_eq!(reach(&egress, address), Reach::Allowed, "{address}");
        }
        assert_eq!(reach(&egress, "10.0.0.8"), Reach::Forbidden);
        assert_eq!(Egress::parse("").expect("none"), Egress::default());
        for bad in ["127.0.0.0/33", "::/129", "localhost", "10.0.0.0/8/8", "10.0.0/8"] {
            assert_eq!(Egress::parse(bad), Err(bad.to_owned()));
        }
        let all = Egress::parse("0.0.0.0/0,::/0").expect("networks");
        assert_eq!((reach(&all, "10.1.1.1"), reach(&all, "fe80::1")), (Reach::Allowed, Reach::Allowed));
    }

    proptest! {
        #[test]
        fn an_address_within_another_is_judged_as_itself(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let expected = Egress::default().reach(v4.into());
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            for v6 in [v4.to_ipv6_mapped(), Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                       Ipv6Addr::new(0x2002, high, low, 1, 2, 3, 4, 5)] {
                prop_assert_eq!(Egress::default().reach(v6.into()), expected, "{}", v6);
            }
        }
    }
}
