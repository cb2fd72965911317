//! The `wait` probe: settling time.

use std::time::Duration;

use async_trait::async_trait;

use super::{Compiling, Look, Probe, ProbeKind, measure};
use crate::model::quantity::seconds;
use crate::model::{Found, Kind, Measures, Observation, Value};
use crate::shape::Shape;
use crate::yaml::Node;

/// The kind.
pub const KIND: ProbeKind = ProbeKind {
    name: "wait",
    summary: "settling time",
    manual: MANUAL,
    shape: Shape::Duration,
    measures: &[measure("elapsed", Kind::Duration, "How long was waited, in seconds.")],
    speaks_for_itself: true,
    compile,
};

const MANUAL: &str = "\
Waits so long and passes. In a section with `sequential: true`, or named in `needs`, it gives a change time to settle; \
the steps of any other section run beside it. The step's `timeout` does not cut it short.

Often `eventually` on the step that follows is better: it goes on as soon as things are as they should be, and says \
when they never are.

```yaml
- name: Caches are warm
  wait: 30s
```
";

struct Wait(Duration);

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    Some(Box::new(Wait(compiling.reading.duration(node)?)))
}

#[async_trait]
impl Probe for Wait {
    fn describe(&self) -> String {
        format!("waits {}", seconds(self.0.as_secs_f64()))
    }

    fn needs(&self) -> Option<Duration> {
        Some(self.0)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let begun = look.world.clock.elapsed();
        look.world.clock.sleep(self.0).await;
        let waited = look.world.clock.elapsed().saturating_sub(begun);
        let mut measures = Measures::new();
        measures.plain("elapsed", Value::Number(waited.as_secs_f64()));
        Observation::new(self.describe(), Found::Measures(measures))
    }
}
