//! Counters: numbers that only grow, until the process that counts begins anew.

/// Counts how often the numbers fell: for a counter, how often it began anew.
pub fn resets(numbers: impl IntoIterator<Item = f64>) -> usize {
    steps(numbers).filter(|(before, after)| after < before).count()
}

/// Returns by how much a counter grew, resets evened out; nothing of fewer than two numbers.
///
/// Where a number is less than the one before it, the counter began anew at 0, so that the whole of the number is
/// growth. What was counted between the last sample before a reset and the reset is lost, as in every tool. Unlike
/// `increase()` of Prometheus, nothing is extrapolated to the ends of the range: of whole numbers it is a whole number.
pub fn increase(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    steps(numbers)
        .map(|(before, after)| if after < before { after } else { after - before })
        .reduce(|grown, more| grown + more)
}

/// Walks over each number and the one after it.
fn steps(numbers: impl IntoIterator<Item = f64>) -> impl Iterator<Item = (f64, f64)> {
    let mut numbers = numbers.into_iter();
    let mut before = numbers.next();
    numbers.filter_map(move |after| Some((before.replace(after)?, after)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reset_begins_at_zero() {
        let counter = [5.0, 8.0, 8.0, 2.0, 3.0, 0.0, 4.0];
        assert_eq!(resets(counter), 2);
        assert_eq!(increase(counter), Some(3.0 + 2.0 + 1.0 + 0.0 + 4.0));
        assert_eq!((resets([7.0]), increase([7.0]), increase([])), (0, None, None));
    }

    proptest! {
        #[test]
        fn the_increase_of_what_only_grows_is_last_less_first(growth in prop::collection::vec(0_u32..1000, 1..50)) {
            let mut so_far = 0.0;
            let mut counter = vec![0.0];
            counter.extend(growth.iter().map(|g| { so_far += f64::from(*g); so_far }));
            prop_assert_eq!(increase(counter.iter().copied()), Some(so_far));
            prop_assert_eq!(resets(counter.iter().copied()), 0);
        }

        #[test]
        fn a_counter_that_begins_anew_has_counted_the_same(
            growth in prop::collection::vec(1_u32..1000, 2..50),
            at in 1_usize..50,
        ) {
            // The same increments, counted from 0 again behind one of them.
            let mut counter = vec![0.0];
            for (n, more) in growth.iter().enumerate() {
                let before = if n == at % growth.len() { 0.0 } else { *counter.last().expect("begun") };
                counter.push(before + f64::from(*more));
            }
            let whole: f64 = growth.iter().map(|g| f64::from(*g)).sum();
            let got = increase(counter.iter().copied()).expect("two samples");
            // A counter that has overtaken its old number by the next sample hides its reset.
            prop_assert!(got <= whole);
            prop_assert!(resets(counter.iter().copied()) == 1 || got < whole || at % growth.len() == 0, "{:?}", counter);
        }
    }
}
