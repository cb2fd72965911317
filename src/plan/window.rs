//! When a step looks: once, until it holds, or for as long as it must hold.

use std::time::Duration;

use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::quantity;
use crate::yaml::Node;

/// When a step looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Once.
    Once,
    /// Until it holds.
    Eventually {
        /// How long to wait for it.
        within: Duration,
        /// How often to look.
        every: Duration,
        /// How long it must then hold in a row.
        hold: Duration,
    },
    /// For as long as it must hold.
    Consistently {
        /// How long.
        span: Duration,
        /// How often to look.
        every: Duration,
        /// The longest breach in a row that is forgiven.
        tolerate: Option<Duration>,
        /// How many looks may fail.
        failures: Option<u32>,
        /// How many looks must have seen something.
        min_samples: Option<u32>,
    },
    /// Beside everything else, for as long as the run goes on.
    Guard {
        /// How often to look.
        every: Duration,
        /// The longest breach in a row that is forgiven.
        tolerate: Option<Duration>,
        /// How many looks may fail.
        failures: Option<u32>,
    },
}

fn forgiven(tolerate: Option<Duration>, failures: Option<u32>) -> String {
    let mut words = String::new();
    if let Some(tolerate) = tolerate {
        words.push_str(&format!(", a breach of {} forgiven", quantity::seconds(tolerate.as_secs_f64())));
    }
    if let Some(failures) = failures {
        words.push_str(&format!(", {failures} failures forgiven"));
    }
    words
}

impl Window {
    /// Says in words when the step looks; nothing for once.
    pub fn words(&self) -> String {
        let time = |d: &Duration| quantity::seconds(d.as_secs_f64());
        match self {
            Window::Once => String::new(),
            Window::Eventually { within, every, hold } => {
                let held = if hold.is_zero() { String::new() } else { format!(", held for {}", time(hold)) };
                format!("within {}, every {}{held}", time(within), time(every))
            }
            Window::Consistently { span, every, tolerate, failures, min_samples } => {
                let least = min_samples.map(|least| format!(", at least {least} samples")).unwrap_or_default();
                format!("for {}, every {}{}{least}", time(span), time(every), forgiven(*tolerate, *failures))
            }
            Window::Guard { every, tolerate, failures } => {
                format!("throughout, every {}{}", time(every), forgiven(*tolerate, *failures))
            }
        }
    }

    /// Returns how long the whole may take by design, one look not counted.
    pub fn length(&self) -> Duration {
        match self {
            Window::Once | Window::Guard { .. } => Duration::ZERO,
            Window::Eventually { within, .. } => *within,
            Window::Consistently { span, .. } => *span,
        }
    }
}

/// Reads `eventually` and `consistently` of a step. Nothing when a mistake was said, or when an input that is used has
/// no value yet.
pub(crate) fn read(step: &Node, default_every: Option<Duration>, reading: &mut Reading<'_>) -> Option<Window> {
    let eventually = step.entry("eventually");
    let consistently = step.entry("consistently");
    if let (Some((first, _)), Some((second, _))) = (eventually, consistently) {
        reading.say(
            Diagnostic::error("bad-window", second.span, "a step has either `eventually` or `consistently`")
                .also(first.span, "the other one")
                .help("use `eventually: { within, hold }` for something that comes true and then must hold"),
        );
    }
    let window = match (eventually, consistently) {
        (Some((_, node)), _) => read_eventually(node, default_every, reading),
        (None, Some((_, node))) => read_consistently(node, default_every, reading),
        (None, None) => return Some(Window::Once),
    };
    let written = eventually.or(consistently).map_or(step, |(_, value)| value);
    if let Some((key, problem)) = window.as_ref().and_then(misfit) {
        let place = written.get(key).unwrap_or(written).span;
        reading.say(Diagnostic::error("bad-window", place, problem));
    }
    window
}

fn read_eventually(node: &Node, default_every: Option<Duration>, reading: &mut Reading<'_>) -> Option<Window> {
    let (within, every, hold) = match node.map() {
        Some(_) => {
            (reading.duration_at(node, "within"), optional(node, "every", reading), optional(node, "hold", reading))
        }
        None => (reading.duration(node), Some(None), Some(None)),
    };
    let (within, every, hold) = (within?, every?, hold?);
    let every = every
        .or(default_every)
        .unwrap_or_else(|| (within / 60).clamp(Duration::from_millis(200), Duration::from_secs(5)));
    Some(Window::Eventually { within, every, hold: hold.unwrap_or_default() })
}

/// Reads `consistently` of a guard, which is watched to the end. Nothing when a mistake was said, or when an input that
/// is used has no value yet.
pub(crate) fn read_guard(step: &Node, default_every: Option<Duration>, reading: &mut Reading<'_>) -> Option<Window> {
    let (_, node) = step.entry("consistently")?;
    for (key, why) in
        [("for", "it is watched for the whole run"), ("min_samples", "how long the run goes is not known")]
    {
        if let Some((place, _)) = node.entry(key) {
            let message = format!("{key:?} has no meaning for a guard: {why}");
            reading.say(Diagnostic::error("bad-guard", place.span, message).help("leave it out"));
        }
    }
    if node.map().is_none() {
        let message = "a single duration has no meaning for a guard: it is watched for the whole run";
        let help = "say how often to look: `consistently: { every: 15s, tolerate: 1m }`";
        reading.say(Diagnostic::error("bad-guard", node.span, message).help(help));
        return None;
    }
    let every = optional(node, "every", reading);
    let tolerate = optional(node, "tolerate", reading);
    let every = every?.or(default_every).unwrap_or(Duration::from_secs(15));
    let failures = node.get("failures").and_then(Node::number).map(|n| n as u32);
    let window = Window::Guard { every, tolerate: tolerate?, failures };
    if let Some((key, problem)) = misfit(&window) {
        reading.say(Diagnostic::error("bad-window", node.get(key).unwrap_or(node).span, problem));
    }
    Some(window)
}

fn read_consistently(node: &Node, default_every: Option<Duration>, reading: &mut Reading<'_>) -> Option<Window> {
    if node.map().is_some() && node.get("for").is_none() {
        let message = "consistently needs \"for\": how long it must hold";
        reading.say(Diagnostic::error("missing-key", node.span, message));
    }
    let count = |key: &str| node.get(key).and_then(Node::number).map(|n| n as u32);
    let every = optional(node, "every", reading);
    let tolerate = optional(node, "tolerate", reading);
    let span = if node.map().is_some() { reading.duration_at(node, "for") } else { reading.duration(node) };
    let (every, tolerate, span) = (every?, tolerate?, span?);
    let every = every
        .or(default_every)
        .unwrap_or_else(|| (span / 60).clamp(Duration::from_millis(200), Duration::from_secs(60)));
    Some(Window::Consistently { span, every, tolerate, failures: count("failures"), min_samples: count("min_samples") })
}

/// Reads a time that may be left out. Nothing at all when it is there and not known: it is never as if left out.
fn optional(node: &Node, key: &str, reading: &mut Reading<'_>) -> Option<Option<Duration>> {
    node.get(key).map_or(Some(None), |node| reading.duration(node).map(Some))
}

/// Finds what does not fit, with the key that it stands under.
fn misfit(window: &Window) -> Option<(&'static str, String)> {
    let time = |d: Duration| quantity::seconds(d.as_secs_f64());
    let longer = |key, length: Duration, than: &str, limit: Duration| {
        Some((key, format!("`{key}` ({}) is longer than `{than}` ({})", time(length), time(limit))))
    };
    match *window {
        Window::Once => None,
        Window::Eventually { within, .. } if within.is_zero() => {
            Some(("within", "`within` must be longer than nothing".into()))
        }
        Window::Eventually { every, .. } | Window::Consistently { every, .. } | Window::Guard { every, .. }
            if every.is_zero() =>
        {
            Some(("every", "`every` must be longer than nothing".into()))
        }
        Window::Eventually { within, every, .. } if every > within => longer("every", every, "within", within),
        Window::Eventually { within, hold, .. } if hold > within => longer("hold", hold, "within", within),
        Window::Consistently { span, .. } if span.is_zero() => {
            Some(("for", "`for` must be longer than nothing".into()))
        }
        Window::Consistently { span, every, .. } if every > span => longer("every", every, "for", span),
        Window::Consistently { span, tolerate: Some(tolerate), .. } if tolerate >= span => {
            let (tolerate, span) = (time(tolerate), time(span));
            Some(("tolerate", format!("`tolerate` ({tolerate}) is as long as `for` ({span}), so nothing could fail")))
        }
        Window::Consistently { every, tolerate: Some(tolerate), .. }
        | Window::Guard { every, tolerate: Some(tolerate), .. }
            if tolerate < every && !tolerate.is_zero() =>
        {
            let (tolerate, every) = (time(tolerate), time(every));
            let problem = format!(
                "`tolerate` ({tolerate}) is shorter than `every` ({every}): a breach that one look sees has no length, \
                 so every other look could fail; use `failures`, or look more often"
            );
            Some(("tolerate", problem))
        }
        Window::Consistently { span, every, failures, min_samples, .. } => {
            let looks = (span.as_secs_f64() / every.as_secs_f64()).floor() + 1.0;
            let gives = format!("but looking every {} for {} gives {looks}", time(every), time(span));
            let allowed = failures.filter(|allowed| f64::from(*allowed) >= looks);
            let needed = min_samples.filter(|least| f64::from(*least) > looks);
            match (allowed, needed) {
                (Some(allowed), _) => {
                    Some(("failures", format!("`failures` is {allowed}, {gives}, so nothing could fail")))
                }
                (None, Some(least)) => Some(("min_samples", format!("`min_samples` is {least}, {gives}"))),
                (None, None) => None,
            }
        }
        Window::Eventually { .. } | Window::Guard { .. } => None,
    }
}
