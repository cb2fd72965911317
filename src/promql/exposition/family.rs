//! Metric families: samples with what is said about them.

use std::borrow::Cow;
use std::collections::HashMap;

use super::format::Format;
use super::line::{Kind, Sample};
use super::reader::{Entry, Malformed, Reader};

/// A metric family.
#[derive(Clone, Debug)]
pub struct Family<'a> {
    /// Its name; samples may have a suffix behind it.
    pub name: Cow<'a, str>,
    /// Its type.
    pub kind: Kind,
    /// What it means.
    pub help: Option<Cow<'a, str>>,
    /// Its unit.
    pub unit: Option<&'a str>,
    /// Its samples, in the order of the page.
    pub samples: Vec<Sample<'a>>,
}

/// Reads a page into its families, in the order of the page, and lists what is malformed: lines, types that come twice
/// or too late, labels and series that come twice. What is malformed is in no family.
pub fn families(page: &[u8], format: Format) -> (Vec<Family<'_>>, Vec<Malformed>) {
    let mut grouping = Grouping::default();
    for entry in Reader::new(page, format) {
        let taken = match entry {
            Err(malformed) => Err(malformed),
            Ok(Entry::Sample(sample)) => grouping.sample(sample),
            Ok(Entry::Help { line, name, text }) => {
                let family = grouping.family(name);
                once(&mut family.help, text, line, "HELP")
            }
            Ok(Entry::Unit { line, name, unit }) => {
                let family = grouping.family(name);
                once(&mut family.unit, unit, line, "UNIT")
            }
            Ok(Entry::Type { line, name, kind }) => grouping.kind(line, name, kind),
        };
        grouping.malformed.extend(taken.err());
    }
    (grouping.families, grouping.malformed)
}

#[derive(Default)]
struct Grouping<'a> {
    families: Vec<Family<'a>>,
    places: HashMap<Cow<'a, str>, usize>,
    /// The families whose type was said.
    typed: HashMap<usize, ()>,
    /// The line of every series.
    series: HashMap<Series<'a>, usize>,
    malformed: Vec<Malformed>,
}

/// A series as what it is, not as it is written.
type Series<'a> = (Cow<'a, str>, Vec<(Cow<'a, str>, Cow<'a, str>)>, Option<i64>);

impl<'a> Grouping<'a> {
    fn family(&mut self, name: Cow<'a, str>) -> &mut Family<'a> {
        let place = *self.places.entry(name.clone()).or_insert_with(|| {
            self.families.push(Family { name, kind: Kind::Unknown, help: None, unit: None, samples: Vec::new() });
            self.families.len() - 1
        });
        &mut self.families[place]
    }

    fn kind(&mut self, line: usize, name: Cow<'a, str>, kind: Kind) -> Result<(), Malformed> {
        let family = self.family(name.clone());
        if !family.samples.is_empty() {
            return Err(Malformed::new(line, format!("the TYPE of {name} comes after samples of it")));
        }
        family.kind = kind;
        let place = self.places.get(&name).copied().unwrap_or_default();
        match self.typed.insert(place, ()) {
            None => Ok(()),
            Some(()) => Err(Malformed::new(line, format!("the TYPE of {name} comes a second time"))),
        }
    }

    fn sample(&mut self, sample: Sample<'a>) -> Result<(), Malformed> {
        let name = sample.name();
        let mut labels: Vec<_> = sample.labels().collect();
        labels.sort();
        if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Malformed::new(sample.line, format!("the label {} comes twice", twice[0].0)));
        }
        if let Some(before) = self.series.insert((name.clone(), labels, sample.timestamp), sample.line) {
            return Err(Malformed::new(sample.line, format!("{} stands in line {before} already", sample.series)));
        }
        let home = self.home(&name);
        self.family(home).samples.push(sample);
        Ok(())
    }

    /// Finds the family to which a sample belongs: by its name, or by its name without a suffix of that type.
    fn home(&self, name: &Cow<'a, str>) -> Cow<'a, str> {
        const SUFFIXES: &[(&str, &[Kind])] = &[
            ("_bucket", &[Kind::Histogram, Kind::GaugeHistogram]),
            ("_sum", &[Kind::Histogram, Kind::Summary]),
            ("_count", &[Kind::Histogram, Kind::Summary]),
            ("_gsum", &[Kind::GaugeHistogram]),
            ("_gcount", &[Kind::GaugeHistogram]),
            ("_total", &[Kind::Counter]),
            ("_created", &[Kind::Counter, Kind::Histogram, Kind::Summary]),
            ("_info", &[Kind::Info]),
        ];
        if self.places.contains_key(name) {
            return name.clone();
        }
        for (suffix, kinds) in SUFFIXES {
            let Some(stem) = name.strip_suffix(suffix) else { continue };
            let family = self.places.get(stem).and_then(|place| self.families.get(*place));
            if let Some(family) = family.filter(|family| kinds.contains(&family.kind)) {
                return family.name.clone();
            }
        }
        name.clone()
    }
}

fn once<T>(slot: &mut Option<T>, value: T, line: usize, what: &str) -> Result<(), Malformed> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::new(line, format!("the {what} of this metric comes a second time"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_belong_to_the_family_of_their_type() {
        let page = b"# HELP d How long.\n# TYPE d histogram\nd_bucket{le=\"1\"} 1\nd_bucket{le=\"+Inf\"} 2\nd_sum 1\nd_count 2\n\
                     lone_total 3\n# TYPE c gauge\nc 1\nc_total 2\n";
        let (families, malformed) = families(page, Format::Text);
        assert_eq!(malformed, []);
        let shape: Vec<_> = families.iter().map(|f| (f.name.as_ref(), f.kind, f.samples.len())).collect();
        let (histogram, gauge, unknown) = (Kind::Histogram, Kind::Gauge, Kind::Unknown);
        assert_eq!(shape, [("d", histogram, 4), ("lone_total", unknown, 1), ("c", gauge, 1), ("c_total", unknown, 1)]);
        assert_eq!(families[0].help.as_deref(), Some("How long."));
    }

    #[test]
    fn openmetrics_counters_have_a_suffix() {
        let page = b"# TYPE c counter\n# UNIT c seconds\nc_total 1\nc_created 2\n# EOF\n";
        let (families, malformed) = families(page, Format::OpenMetrics);
        assert_eq!((malformed.len(), families.len(), families[0].samples.len()), (0, 1, 2));
        assert_eq!(families[0].unit, Some("seconds"));
    }

    #[test]
    fn what_comes_twice_is_named_with_both_lines() {
        let page =
            b"a{x=\"1\",y=\"2\"} 1\na{y=\"2\", x=\"1\"} 2\na{x=\"1\",x=\"2\"} 3\n# TYPE a gauge\n# TYPE b gauge\n\
                     # TYPE b counter\n# HELP b x\n# HELP b y\n";
        let said: Vec<_> = families(page, Format::Text).1.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "line 2: a{y=\"2\", x=\"1\"} stands in line 1 already",
                "line 3: the label x comes twice",
                "line 4: the TYPE of a comes after samples of it",
                "line 6: the TYPE of b comes a second time",
                "line 8: the HELP of this metric comes a second time",
            ]
        );
    }
}
