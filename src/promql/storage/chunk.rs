//! Samples of one series, packed as in "Gorilla: A Fast, Scalable, In-Memory Time Series Database" (VLDB 2015):
//! timestamps as differences of differences, values as the bits in which they differ from the one before.

use super::bits::{BitReader, Bits};
use crate::promql::engine::Sample;

/// The most samples of a chunk: at one every five seconds five minutes, so that a retention cuts finely enough.
pub(super) const FULL: u16 = 60;

/// The classes of timestamps: how many bits say the class, which bits, and how many bits follow.
const CLASSES: [(u8, u64, u8); 3] = [(2, 0b10, 7), (3, 0b110, 14), (4, 0b1110, 20)];

/// A chunk that grows.
#[derive(Clone, Debug)]
pub(super) struct Open {
    bits: Bits,
    first: i64,
    last: Sample,
    delta: i64,
    /// The window in which values differed last: leading and trailing zeroes.
    window: (u8, u8),
    count: u16,
}

/// A chunk that is complete.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    bytes: Box<[u8]>,
    first: i64,
    last: i64,
    count: u16,
}

/// No value differed yet.
const NO_WINDOW: (u8, u8) = (u8::MAX, 0);

impl Open {
    /// Begins with a sample.
    pub(super) fn new(sample: Sample) -> Self {
        let mut bits = Bits::default();
        bits.push(sample.v.to_bits(), 64);
        Self { bits, first: sample.t, last: sample, delta: 0, window: NO_WINDOW, count: 1 }
    }

    /// Returns the newest sample.
    pub(super) fn last(&self) -> Sample {
        self.last
    }

    pub(super) fn first_time(&self) -> i64 {
        self.first
    }

    pub(super) fn count(&self) -> usize {
        self.count.into()
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= FULL
    }

    /// Adds a sample that is later than the last one.
    pub(super) fn push(&mut self, sample: Sample) {
        let delta = sample.t.wrapping_sub(self.last.t);
        self.push_time(delta.wrapping_sub(self.delta));
        self.push_value(sample.v.to_bits() ^ self.last.v.to_bits());
        self.delta = delta;
        self.last = sample;
        self.count += 1;
    }

    fn push_time(&mut self, change: i64) {
        if change == 0 {
            self.bits.push(0, 1);
            return;
        }
        for (width, mark, bits) in CLASSES {
            let half = 1_i64 << (bits - 1);
            if (-half..half).contains(&change) {
                self.bits.push(mark, width);
                self.bits.push(change as u64, bits);
                return;
            }
        }
        self.bits.push(0b1111, 4);
        self.bits.push(change as u64, 64);
    }

    fn push_value(&mut self, differing: u64) {
        if differing == 0 {
            self.bits.push(0, 1);
            return;
        }
        // Five bits tell the leading zeroes, so that 31 is the most.
        let leading = differing.leading_zeros().min(31) as u8;
        let trailing = differing.trailing_zeros() as u8;
        let (before, behind) = self.window;
        if before <= leading && behind <= trailing {
            self.bits.push(0b10, 2);
            self.bits.push(differing >> behind, 64 - before - behind);
            return;
        }
        let width = 64 - leading - trailing;
        self.bits.push(0b11, 2);
        self.bits.push(u64::from(leading), 5);
        // 64 does not fit six bits and stands as 0, which no width is.
        self.bits.push(u64::from(width) & 63, 6);
        self.bits.push(differing >> trailing, width);
        self.window = (leading, trailing);
    }

    /// Ends the chunk.
    pub(super) fn seal(self) -> Sealed {
        Sealed { first: self.first, last: self.last.t, count: self.count, bytes: self.bits.into_boxed() }
    }

    /// Returns the samples, oldest first.
    pub(super) fn samples(&self) -> Samples<'_> {
        Samples::new(self.bits.bytes(), self.first, self.count)
    }
}

impl Sealed {
    pub(super) fn count(&self) -> usize {
        self.count.into()
    }

    pub(super) fn first_time(&self) -> i64 {
        self.first
    }

    pub(super) fn last_time(&self) -> i64 {
        self.last
    }

    /// Returns the samples, oldest first.
    pub(super) fn samples(&self) -> Samples<'_> {
        Samples::new(&self.bytes, self.first, self.count)
    }
}

/// The samples of a chunk.
#[derive(Clone, Debug)]
pub(super) struct Samples<'a> {
    bits: BitReader<'a>,
    left: u16,
    begun: bool,
    time: i64,
    delta: i64,
    value: u64,
    window: (u8, u8),
}

impl<'a> Samples<'a> {
    fn new(bytes: &'a [u8], first: i64, count: u16) -> Self {
        let bits = BitReader::new(bytes);
        Self { bits, left: count, begun: false, time: first, delta: 0, value: 0, window: NO_WINDOW }
    }

    fn time_change(&mut self) -> i64 {
        if !self.bits.bit() {
            return 0;
        }
        for (_, _, bits) in CLASSES {
            if !self.bits.bit() {
                // The upper bits repeat the sign.
                let unused = 64 - bits;
                return ((self.bits.take(bits) << unused) as i64) >> unused;
            }
        }
        self.bits.take(64) as i64
    }

    fn value_change(&mut self) -> u64 {
        if !self.bits.bit() {
            return 0;
        }
        if self.bits.bit() {
            let leading = self.bits.take(5) as u8;
            let width = match self.bits.take(6) as u8 {
                0 => 64,
                width => width,
            };
            self.window = (leading, 64_u8.saturating_sub(leading + width));
        }
        let (leading, trailing) = self.window;
        self.bits.take(64_u8.saturating_sub(leading.saturating_add(trailing))) << trailing
    }
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        self.left = self.left.checked_sub(1)?;
        if self.begun {
            self.delta = self.delta.wrapping_add(self.time_change());
            self.time = self.time.wrapping_add(self.delta);
            self.value ^= self.value_change();
        } else {
            self.begun = true;
            self.value = self.bits.take(64);
        }
        Some(Sample { t: self.time, v: f64::from_bits(self.value) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::engine::STALE;

    fn round(samples: &[(i64, f64)]) -> usize {
        let of = |&(t, v): &(i64, f64)| Sample { t, v };
        let mut open = Open::new(of(&samples[0]));
        samples[1..].iter().for_each(|s| open.push(of(s)));
        let bits = |s: Sample| (s.t, s.v.to_bits());
        let expected: Vec<_> = samples.iter().map(|s| bits(of(s))).collect();
        assert_eq!(open.samples().map(bits).collect::<Vec<_>>(), expected);
        assert_eq!(bits(open.last()), *expected.last().expect("one"));
        let sealed = open.seal();
        assert_eq!(sealed.samples().map(bits).collect::<Vec<_>>(), expected);
        assert_eq!((sealed.first_time(), sealed.last_time()), (samples[0].0, samples[samples.len() - 1].0));
        sealed.bytes.len()
    }

    proptest::proptest! {
        #[test]
        fn any_samples_come_out_as_they_went_in(
            start in -1_000_000_i64..1_000_000,
            steps in proptest::collection::vec((1_i64..100_000_000_000, proptest::num::u64::ANY), 1..60),
        ) {
            let mut time = start;
            let samples: Vec<_> = steps.into_iter().map(|(step, bits)| { time += step; (time, f64::from_bits(bits)) }).collect();
            round(&samples);
        }

        #[test]
        fn whole_numbers_come_out_as_they_went_in(steps in proptest::collection::vec((4990_i64..5010, 0_u32..50), 2..60)) {
            let (mut time, mut value) = (1_700_000_000_000, 0.0);
            let samples: Vec<_> = steps
                .into_iter()
                .map(|(step, more)| { time += step; value += f64::from(more); (time, value) })
                .collect();
            round(&samples);
        }
    }

    #[test]
    fn extremes_come_out_as_they_went_in() {
        let values = [0.0, -0.0, f64::NAN, STALE, f64::INFINITY, f64::MIN, f64::MAX, f64::MIN_POSITIVE, 1e-310, STALE];
        let times = [i64::MIN, -1, 0, 1, 2, 64, 129, 1 << 20, 1 << 40, i64::MAX];
        round(&times.into_iter().zip(values).collect::<Vec<_>>());
    }

    #[test]
    fn what_hardly_changes_takes_hardly_any_room() {
        let steady: Vec<_> = (0..60).map(|n| (n * 5000, 42.0)).collect();
        assert!(round(&steady) < 30);
        let counter: Vec<_> = (0..60).map(|n| (n * 5000 + n % 3, (n * 17) as f64)).collect();
        assert!(round(&counter) < 60 * 5);
    }
}
