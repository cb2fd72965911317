//! What kind of address it is, however it is spelled: link-local, a cloud's metadata service, this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address range: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    base: IpAddr,
    prefix: u8,
}

/// An address that is reached only when it is asked for by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarded {
    /// Where machines of one wire, and clouds their machines, talk: RFC 3927, RFC 4291 section 2.5.6.
    LinkLocal,
    /// The metadata service of a cloud, outside of the link-local ranges.
    Metadata,
    /// This machine itself: RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3. The address of nothing (`0.0.0.0`, `::`)
    /// leads there too.
    Loopback,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Net {
    Net { base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

const fn v6(segments: [u16; 8], prefix: u8) -> Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Net { base: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix }
}

/// The ranges that are guarded. The metadata services are those of Amazon (IPv6), Google (IPv6), Alibaba and Oracle;
/// all others that are known answer at 169.254.169.254.
const RANGES: &[(Guarded, Net)] = &[
    (Guarded::LinkLocal, v4(169, 254, 0, 0, 16)),
    (Guarded::LinkLocal, v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10)),
    (Guarded::Metadata, v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254], 128)),
    (Guarded::Metadata, v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254], 128)),
    (Guarded::Metadata, v4(100, 100, 100, 200, 32)),
    (Guarded::Metadata, v4(192, 0, 0, 192, 32)),
    (Guarded::Loopback, v4(127, 0, 0, 0, 8)),
    (Guarded::Loopback, v4(0, 0, 0, 0, 8)),
    (Guarded::Loopback, v6([0, 0, 0, 0, 0, 0, 0, 1], 128)),
    (Guarded::Loopback, v6([0, 0, 0, 0, 0, 0, 0, 0], 128)),
];

impl Guarded {
    /// Says what it is, for messages.
    pub fn words(self) -> &'static str {
        match self {
            Guarded::LinkLocal => "a link-local address, where clouds hand out credentials",
            Guarded::Metadata => "the metadata service of a cloud, which hands out credentials",
            Guarded::Loopback => "this machine itself",
        }
    }
}

impl Net {
    /// Reads `10.0.0.0/8`, `10.0.0.1`, `fd00::/8`; nothing when it is none. Bits behind the prefix do not count.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr = base.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(text) => text.parse().ok().filter(|prefix| *prefix <= most)?,
        };
        // An IPv4 range that is written as IPv6 is the IPv4 range.
        match (base, base.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(plain)) if prefix >= 96 => {
                Some(Self { base: IpAddr::V4(plain), prefix: prefix - 96 })
            }
            _ => Some(Self { base, prefix }),
        }
    }

    /// Tells whether an address is in it. Of an IPv4 range, an IPv6 address never is.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.base, ip) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => same(base.to_bits().into(), ip.to_bits().into(), 32, self.prefix),
            (IpAddr::V6(base), IpAddr::V6(ip)) => same(base.to_bits(), ip.to_bits(), 128, self.prefix),
            _ => false,
        }
    }

    /// Tells whether all of it lies in another range.
    fn is_within(&self, other: &Net) -> bool {
        self.prefix >= other.prefix && other.contains(self.base)
    }

    /// Tells whether it lies in a guarded range of this kind: then whoever wrote it means just that.
    pub fn means(&self, guarded: Guarded) -> bool {
        RANGES.iter().any(|(kind, range)| *kind == guarded && self.is_within(range))
    }
}

fn same(a: u128, b: u128, bits: u32, prefix: u8) -> bool {
    let rest = bits - u32::from(prefix).min(bits);
    // A shift by all bits has no meaning.
    rest == 128 || (a ^ b) >> rest == 0
}

/// Tells whether an address is guarded.
pub fn guarded(ip: IpAddr) -> Option<Guarded> {
    RANGES.iter().find(|(_, range)| range.contains(ip)).map(|(kind, _)| *kind)
}

/// Lists every address that a packet to this one may end at: itself in its plain form, and the IPv4 address that stands
/// inside it. IPv4-mapped and -compatible (RFC 4291 section 2.5.5), NAT64 (RFC 6052), 6to4 (RFC 3056).
pub fn forms(ip: IpAddr) -> Vec<IpAddr> {
    let plain = ip.to_canonical();
    let IpAddr::V6(six) = plain else { return vec![plain] };
    let segments = six.segments();
    let [.., g, h] = segments;
    let join = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    let inside = match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(join(g, h)),
        [0x2002, b, c, ..] => Some(join(b, c)),
        _ => None,
    };
    std::iter::once(plain).chain(inside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Option<Guarded>> {
        forms(text.parse().expect("an address")).into_iter().map(guarded).collect()
    }

    #[test]
    fn guarded_addresses_are_known_in_every_spelling() {
        for link in ["169.254.169.254", "169.254.0.1", "fe80::1", "febf::1", "::ffff:169.254.169.254"] {
            assert_eq!(kinds(link), [Some(Guarded::LinkLocal)], "{link}");
        }
        for hidden in ["::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"] {
            assert!(kinds(hidden).contains(&Some(Guarded::LinkLocal)), "{hidden}");
        }
        for here in ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"] {
            assert_eq!(kinds(here), [Some(Guarded::Loopback)], "{here}");
        }
        assert_eq!(kinds("fd00:ec2::254"), [Some(Guarded::Metadata)]);
        for free in ["10.0.0.1", "8.8.8.8", "169.253.255.255", "fec0::1", "fd00:ec2::253", "2001:db8::1"] {
            assert_eq!(kinds(free), [None], "{free}");
        }
    }

    #[test]
    fn ranges_contain_what_they_say() {
        let net = |text: &str| Net::parse(text).unwrap_or_else(|| panic!("{text}"));
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(net("10.0.0.0/8").contains(ip("10.255.1.1")) && !net("10.0.0.0/8").contains(ip("11.0.0.0")));
        assert!(net("0.0.0.0/0").contains(ip("8.8.8.8")) && !net("0.0.0.0/0").contains(ip("::1")));
        assert!(net("::/0").contains(ip("2001:db8::1")) && net("fd00::/8").contains(ip("fdff::1")));
        assert!(net("10.1.2.3").contains(ip("10.1.2.3")) && !net("10.1.2.3").contains(ip("10.1.2.4")));
        assert_eq!(net("::ffff:10.0.0.0/104"), net("10.0.0.0/8"));
        for bad in ["10.0.0.0/33", "10.0.0/8", "::/129", "host", "10.0.0.1/", "1.2.3.4/-1"] {
            assert_eq!(Net::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_a_range_within_means_a_guarded_address() {
        let means = |text: &str, kind| Net::parse(text).expect("a range").means(kind);
        assert!(means("169.254.169.254", Guarded::LinkLocal) && means("169.254.0.0/16", Guarded::LinkLocal));
        assert!(!means("0.0.0.0/0", Guarded::LinkLocal) && !means("169.0.0.0/8", Guarded::LinkLocal));
        assert!(means("127.0.0.0/8", Guarded::Loopback) && means("::1", Guarded::Loopback));
    }
}
