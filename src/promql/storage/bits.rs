//! A stream of bits.

/// Bits that grow at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// How many bits of the last byte are free.
    free: u8,
}

impl Bits {
    /// Returns the bytes, zeroes in what is free at the end.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn into_boxed(self) -> Box<[u8]> {
        self.bytes.into_boxed_slice()
    }

    /// Adds the lowest `count` bits of a number, the highest of them first. At most 64.
    pub(super) fn push(&mut self, number: u64, count: u8) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let part = (number >> (left - taken)) & ((1 << taken) - 1);
            if let Some(last) = self.bytes.last_mut() {
                // At most eight bits, moved to where the free ones begin.
                *last |= (part << (self.free - taken)) as u8;
            }
            self.free -= taken;
            left -= taken;
        }
    }
}

/// Reads bits from the beginning. Behind the end there are zeroes.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits that were fetched, at the upper end.
    held: u64,
    count: u8,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, held: 0, count: 0 }
    }

    /// Takes a bit.
    pub(super) fn bit(&mut self) -> bool {
        self.take(1) == 1
    }

    /// Takes `count` bits, at most 64.
    pub(super) fn take(&mut self, count: u8) -> u64 {
        if count == 0 {
            return 0;
        }
        if count > 56 {
            let upper = self.take(count - 32);
            return (upper << 32) | self.take(32);
        }
        self.fetch();
        let number = self.held >> (64 - count);
        self.held <<= count;
        self.count = self.count.saturating_sub(count);
        number
    }

    /// Fills up to more than 56 bits, as long as there are any.
    fn fetch(&mut self) {
        while self.count <= 56 {
            let Some((first, rest)) = self.bytes.split_first() else { return };
            self.held |= u64::from(*first) << (56 - self.count);
            self.count += 8;
            self.bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_goes_in_comes_out(parts in proptest::collection::vec((proptest::num::u64::ANY, 1_u8..=64), 0..100)) {
            let mut bits = Bits::default();
            for (number, count) in &parts {
                bits.push(*number, *count);
            }
            let mut reader = BitReader::new(bits.bytes());
            for (number, count) in parts {
                let mask = if count == 64 { u64::MAX } else { (1 << count) - 1 };
                proptest::prop_assert_eq!(reader.take(count), number & mask);
            }
        }
    }

    #[test]
    fn behind_the_end_there_are_zeroes() {
        let mut reader = BitReader::new(&[0xff]);
        assert_eq!((reader.take(4), reader.take(64), reader.take(3)), (0xf, 0xf << 60, 0));
    }
}
