//! Which format a page is in, by its content type.

/// The format of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Prometheus text format, version 0.0.4 (or 1.0.0, which adds quoted names).
    Text,
    /// OpenMetrics, version 1.0.
    OpenMetrics,
}

/// A content type that is no page of metrics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content type is {0:?}; a page of metrics is text/plain or application/openmetrics-text")]
pub struct Unreadable(String);

impl Format {
    /// What to ask a server for, as the value of `Accept`.
    pub const ACCEPT: &str =
        "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    /// Tells the format by a content type. A page without one is in the text format, as ever.
    ///
    /// # Errors
    /// Names the content type when it is neither.
    pub fn of_content_type(header: Option<&str>) -> Result<Self, Unreadable> {
        let header = header.unwrap_or_default();
        let kind = header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "" | "text/plain" => Ok(Self::Text),
            "application/openmetrics-text" => Ok(Self::OpenMetrics),
            _ => Err(Unreadable(header.chars().take(100).collect())),
        }
    }

    /// Tells the format by how a page looks: OpenMetrics ends with `# EOF`, the text format does not.
    pub fn of_page(page: &[u8]) -> Self {
        match page.trim_ascii_end().ends_with(b"# EOF") {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_tell_the_format() {
        let format = |header| Format::of_content_type(Some(header));
        assert_eq!(format("text/plain; version=0.0.4; charset=utf-8"), Ok(Format::Text));
        assert_eq!(format("Application/OpenMetrics-Text; version=1.0.0"), Ok(Format::OpenMetrics));
        assert_eq!(Format::of_content_type(None), Ok(Format::Text));
        let html = format("text/html").expect_err("no metrics").to_string();
        assert!(html.contains("text/html") && html.contains("openmetrics"), "{html}");
        assert!(format("application/json").is_err() && format("application/vnd.google.protobuf").is_err());
    }

    #[test]
    fn the_end_of_a_page_tells_the_format() {
        assert_eq!(Format::of_page(b"a 1\n# EOF\n"), Format::OpenMetrics);
        assert_eq!(Format::of_page(b"a 1\n"), Format::Text);
    }
}
