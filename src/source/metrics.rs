//! What answers PromQL: a Prometheus, or pages of metrics with the engine inside. Whoever asks need not know which.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Failure;
use super::pages::{Pages, Recorded, Scrape};
use super::prometheus::{Answer, Endpoint, Prometheus, When};
use crate::sys::World;
use crate::template::{Scope, Template};

/// A source that answers PromQL, as declared.
#[derive(Clone, Copy, Debug)]
pub enum Metrics<'a> {
    /// A Prometheus.
    Prometheus(&'a Prometheus),
    /// Pages that are scraped during the run.
    Scrape(&'a Scrape),
    /// Pages that were recorded.
    Recorded(&'a Recorded),
}

/// A source that answers PromQL, ready to be asked.
pub enum Asked<'a> {
    /// A Prometheus.
    Server(Box<Endpoint<'a>>),
    /// Samples in memory.
    Pages(Pages<'a>),
}

impl<'s> Metrics<'s> {
    /// Returns the name under which it is declared.
    pub fn name(self) -> &'s str {
        match self {
            Self::Prometheus(source) => source.name(),
            Self::Scrape(source) => source.name(),
            Self::Recorded(source) => source.name(),
        }
    }

    /// Returns the URL that every question goes to; nothing when none goes over the network.
    pub fn url(self) -> Option<&'s Template> {
        match self {
            Self::Prometheus(source) => Some(source.url()),
            Self::Scrape(_) | Self::Recorded(_) => None,
        }
    }

    /// Returns how long samples are kept, when that is the checklist's to say.
    pub fn keeps(self) -> Option<Duration> {
        match self {
            Self::Scrape(source) => Some(source.keep()),
            Self::Prometheus(_) | Self::Recorded(_) => None,
        }
    }

    /// Tells whether a look may wait, by the clock, until there are samples enough.
    pub fn waits(self) -> bool {
        matches!(self, Self::Scrape(_))
    }

    /// Makes it ready to be asked, for questions that take `timeout` at most, all of them together.
    ///
    /// # Errors
    /// Says which template cannot be filled, or what of a record cannot be read.
    pub async fn open<'a>(self, world: &'a World, scope: &Scope, timeout: Duration) -> Result<Asked<'a>, Failure> {
        Ok(match self {
            Self::Prometheus(source) => Asked::Server(Box::new(source.endpoint(world, scope, timeout)?)),
            Self::Scrape(source) => Asked::Pages(source.open(world, scope, timeout)?),
            Self::Recorded(source) => Asked::Pages(source.open(world, scope, timeout).await?),
        })
    }
}

impl Asked<'_> {
    /// Tells the moment that is now.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::Server(endpoint) => endpoint.now(),
            Self::Pages(pages) => pages.now(),
        }
    }

    /// Waits, as far as the time of the look allows, until the samples are there that a query about now, and about
    /// `back` before it, looks at. A Prometheus has what it has.
    pub async fn wait(&self, query: &str, back: Duration) {
        match self {
            Self::Server(_) => {}
            Self::Pages(pages) => pages.wait(query, back).await,
        }
    }

    /// Asks a query about what is there, whether or not that is all that the query looks at.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn glimpse(&self, query: &str, when: When) -> Result<Answer, Failure> {
        match self {
            Self::Server(endpoint) => endpoint.query(query, when).await,
            Self::Pages(pages) => pages.glimpse(query, when).await,
        }
    }

    /// Asks a query.
    ///
    /// # Errors
    /// Says why there is no answer; also when samples are missing that the query looks at.
    pub async fn query(&self, query: &str, when: When) -> Result<Answer, Failure> {
        match self {
            Self::Server(endpoint) => endpoint.query(query, when).await,
            Self::Pages(pages) => pages.query(query, when).await,
        }
    }

    /// Lists the names that metrics ever had here, of those that a selector finds.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn names_of(&self, selector: &str) -> Result<Vec<String>, Failure> {
        match self {
            Self::Server(endpoint) => endpoint.names_of(selector).await,
            Self::Pages(pages) => Ok(pages.names_of(selector)),
        }
    }

    /// Tells how far back to look for what is gone, and in which steps.
    pub fn history(&self) -> (Duration, Duration) {
        match self {
            Self::Server(_) => (Duration::from_secs(86_400), Duration::from_secs(60)),
            Self::Pages(pages) => pages.history(),
        }
    }

    /// Says through what is looked, with what is known already.
    pub fn shown(&self) -> String {
        match self {
            Self::Server(endpoint) => endpoint.shown(),
            Self::Pages(pages) => pages.shown(),
        }
    }

    /// Says through what is looked, in full.
    pub async fn through(&self) -> String {
        match self {
            Self::Server(endpoint) => endpoint.through().await,
            Self::Pages(pages) => pages.shown(),
        }
    }

    /// Says what a reader should know of the samples.
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::Server(_) => Vec::new(),
            Self::Pages(pages) => pages.notes(),
        }
    }

    /// Says why nothing can be told of the service, when not one target of it can be scraped.
    pub fn darkness(&self) -> Option<String> {
        match self {
            Self::Pages(pages) if pages.is_dark() => pages.trouble(),
            Self::Server(_) | Self::Pages(_) => None,
        }
    }

    /// Says why there may be no data, when the source itself is the reason.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Server(_) => None,
            Self::Pages(pages) => pages.trouble(),
        }
    }
}
