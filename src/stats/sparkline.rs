//! A row of numbers as one line of text: `▁▂▅█ ▃`.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws numbers in at most `width` characters, the least as the lowest bar and the greatest as the highest.
///
/// More numbers than that are joined, each character the mean of its share of them. NaN is a gap, drawn as a space.
/// Numbers that are all equal are bars of half the height: they have no ups and downs, and 0 is nothing special.
pub fn sparkline(numbers: &[f64], width: usize) -> String {
    let joined = joined(numbers, width);
    let finite = || joined.iter().copied().filter(|n| n.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    joined.into_iter().map(|number| bar(number, low, high)).collect()
}

fn bar(number: f64, low: f64, high: f64) -> char {
    if number.is_nan() {
        return ' ';
    }
    // Halved before they are taken from each other, so that the distance of two huge numbers is still a number.
    let span = high / 2.0 - low / 2.0;
    let height = match number.is_finite() {
        true if span > 0.0 => ((number / 2.0 - low / 2.0) / span * 8.0).floor(),
        true => 3.0,
        false if number > 0.0 => 7.0,
        false => 0.0,
    };
    BARS[(height.max(0.0) as usize).min(7)]
}

fn joined(numbers: &[f64], width: usize) -> Vec<f64> {
    if numbers.len() <= width || width == 0 {
        return numbers.iter().copied().take(width).collect();
    }
    let edge = |n: usize| n * numbers.len() / width;
    let part = |n: usize| &numbers[edge(n)..edge(n + 1)];
    (0..width).map(|n| super::mean(part(n).iter().copied().filter(|v| !v.is_nan())).unwrap_or(f64::NAN)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_line_follows_the_numbers() {
        let table: &[(&[f64], usize, &str)] = &[
            (&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 20, "▁▂▃▄▅▆▇█"),
            (&[1.0, f64::NAN, 9.0], 20, "▁ █"),
            (&[5.0, 5.0], 20, "▄▄"),
            (&[f64::NEG_INFINITY, 0.0, 4.0, f64::INFINITY], 20, "▁▁██"),
            (&[-f64::MAX, f64::MAX], 20, "▁█"),
            (&[f64::NAN], 20, " "),
            (&[0.0, 0.0, 9.0, 9.0], 2, "▁█"),
            (&[0.0, f64::NAN, f64::NAN, f64::NAN, 9.0, 9.0], 3, "▁ █"),
            (&[], 20, ""),
            (&[1.0], 0, ""),
        ];
        for (numbers, width, expected) in table {
            assert_eq!(sparkline(numbers, *width), *expected, "{numbers:?}");
        }
    }

    proptest! {
        #[test]
        fn any_numbers_fit_the_width(numbers in prop::collection::vec(any::<f64>(), 0..300), width in 0_usize..80) {
            prop_assert_eq!(sparkline(&numbers, width).chars().count(), numbers.len().min(width));
        }
    }
}
