//! The functions of PromQL by name. Those that look at one number or one range of samples are plain functions in the
//! files below; the others are variants that the evaluator knows.

pub(super) mod maths;
pub(super) mod over_time;
pub(super) mod rate;

use super::dates::Date;
use over_time::Over;

/// A function of PromQL.
#[derive(Clone, Copy, Debug)]
pub(super) enum Function {
    /// Changes every number.
    Map(maths::Map),
    /// Reads a part of a date.
    Date(fn(&Date) -> i64),
    /// Looks at the samples of a range.
    Over(Over),
    AbsentOverTime,
    Absent,
    Clamp,
    ClampMin,
    ClampMax,
    Round,
    MinOf,
    MaxOf,
    Pi,
    Time,
    Timestamp,
    Vector,
    Scalar,
    Start,
    End,
    Step,
    Range,
    Sort {
        down: bool,
    },
    SortByLabel {
        down: bool,
    },
    LabelReplace,
    LabelJoin,
    Info,
    HistogramQuantile,
    HistogramQuantiles,
    HistogramFraction,
    /// Looks only at native histograms, so that nothing is left of floats.
    NativeOnly,
}

impl Function {
    /// Tells whether it gives one number.
    pub(super) fn gives_scalar(self) -> bool {
        matches!(
            self,
            Self::MinOf
                | Self::MaxOf
                | Self::Pi
                | Self::Time
                | Self::Scalar
                | Self::Start
                | Self::End
                | Self::Step
                | Self::Range
        )
    }

    /// Tells whether its value may change from step to step although its arguments do not.
    pub(super) fn looks_at_the_step(self, args: usize) -> bool {
        match self {
            Self::Time | Self::Timestamp => true,
            Self::Date(_) => args == 0,
            Self::Over(over) => over.looks_at_the_step,
            _ => false,
        }
    }
}

/// Finds a function.
pub(super) fn find(name: &str) -> Option<Function> {
    if let Some((_, over)) = over_time::FUNCTIONS.iter().find(|(n, _)| *n == name) {
        return Some(Function::Over(*over));
    }
    if let Some((_, map)) = maths::FUNCTIONS.iter().find(|(n, _)| *n == name) {
        return Some(Function::Map(*map));
    }
    OTHERS.iter().find(|(n, _)| *n == name).map(|(_, function)| *function)
}

const OTHERS: &[(&str, Function)] = &[
    ("absent", Function::Absent),
    ("absent_over_time", Function::AbsentOverTime),
    ("clamp", Function::Clamp),
    ("clamp_max", Function::ClampMax),
    ("clamp_min", Function::ClampMin),
    ("day_of_month", Function::Date(|d| d.day)),
    ("day_of_week", Function::Date(|d| d.day_of_week)),
    ("day_of_year", Function::Date(|d| d.day_of_year)),
    ("days_in_month", Function::Date(Date::days_in_month)),
    ("end", Function::End),
    ("histogram_avg", Function::NativeOnly),
    ("histogram_count", Function::NativeOnly),
    ("histogram_fraction", Function::HistogramFraction),
    ("histogram_quantile", Function::HistogramQuantile),
    ("histogram_quantiles", Function::HistogramQuantiles),
    ("histogram_stddev", Function::NativeOnly),
    ("histogram_stdvar", Function::NativeOnly),
    ("histogram_sum", Function::NativeOnly),
    ("hour", Function::Date(|d| d.hour)),
    ("info", Function::Info),
    ("label_join", Function::LabelJoin),
    ("label_replace", Function::LabelReplace),
    ("max_of", Function::MaxOf),
    ("min_of", Function::MinOf),
    ("minute", Function::Date(|d| d.minute)),
    ("month", Function::Date(|d| d.month)),
    ("pi", Function::Pi),
    ("range", Function::Range),
    ("round", Function::Round),
    ("scalar", Function::Scalar),
    ("sort", Function::Sort { down: false }),
    ("sort_by_label", Function::SortByLabel { down: false }),
    ("sort_by_label_desc", Function::SortByLabel { down: true }),
    ("sort_desc", Function::Sort { down: true }),
    ("start", Function::Start),
    ("step", Function::Step),
    ("time", Function::Time),
    ("timestamp", Function::Timestamp),
    ("vector", Function::Vector),
    ("year", Function::Date(|d| d.year)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once() {
        let names = OTHERS.iter().map(|(n, _)| *n).chain(maths::FUNCTIONS.iter().map(|(n, _)| *n));
        let mut names: Vec<_> = names.chain(over_time::FUNCTIONS.iter().map(|(n, _)| *n)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(names.iter().all(|name| find(name).is_some()) && find("nope").is_none());
    }
}
