//! Every event as one line of JSON, for programs that follow a run.

use std::io::Write;

use crate::event::{Event, Sink, SinkError};
use crate::report::json::Escaped;

/// Writes each event as one line of JSON, as soon as it is recorded.
pub struct JsonLines {
    out: Box<dyn Write + Send>,
}

impl JsonLines {
    /// Writes to `out`.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out }
    }
}

impl Sink for JsonLines {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        let mut text = Vec::new();
        for event in events {
            serde_json::to_writer(Escaped::new(&mut text), event).map_err(|e| SinkError(e.to_string()))?;
            text.push(b'\n');
        }
        self.out.write_all(&text).and_then(|()| self.out.flush()).map_err(|e| SinkError(e.to_string()))
    }
}
