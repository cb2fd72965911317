//! The manual page of `metrics`.

pub(super) const PAGE: &str = r#"
Looks at one page of metrics as its service shows it, without a server in between: in the text format of Prometheus or in
OpenMetrics. The short form is the URL:

```yaml
sections:
  - name: Metrics
    steps:
      - name: The page is well-formed and has what it should have
        metrics: http://localhost:8002/metrics
        expect:
          families: ">= 19"
          type: { gatewayz_health_service_up: gauge }
          help: { gatewayz_health_service_up: exists }
      - name: The service says that it is up
        metrics: { url: "http://localhost:8002/metrics", select: gatewayz_health_service_up }
        expect: 1
      - name: At least 15 metrics of the health service, whatever their labels
        metrics: { url: "http://localhost:8002/metrics", select: '{__name__=~"gatewayz_health.*"}' }
        expect: { names: ">= 15", series: ">= 15" }
      - name: Requests are counted
        metrics:
          url: "http://localhost:8080/metrics"
          select: 'http_requests_total{code="200"}'
          over: 10s
        expect: { increase: "> 0" }
```

**A malformed page fails the step**, whatever it expects, because no Prometheus would take it: that there are no
`mistakes` is asserted by itself, unless the step says something of `mistakes` or `valid`. Each is said with its line, and
all of them are kept as evidence. Of a malformed page nothing else is known: the other measures have no data. A page that is cut off,
one with a series or a label that comes twice, and one whose content type is no page of metrics are malformed too.

**Names and series are counted apart.** `names` are the different names of samples, as `count(count by (__name__) (…))`
would count them: a histogram has three, `_bucket`, `_sum` and `_count`. `families` are what stands under one `# TYPE`: a
histogram is one. `series` are the lines with a value. With `select`, only what it finds is counted; a family without
samples is not counted.

**`select`** is a PromQL selector, without a range. `value` are the series that it finds, every one of which must hold.
When it finds none there is *no data*, and it is said why: the metric is not on the page (and which one is nearly called
so), or a label has other values.

**`over`** takes the page twice, so long apart; everything else is measured of the second. `increase` is by how much each
series grew between the two. Where a series fell, its counter began anew at 0, and the whole of the second value is
growth; that is remarked on. A series that is there only the second time began at 0; one that vanished has no number.

**Failure or error.** A service that refuses the connection, does not answer within `timeout`, breaks off or answers
anything but 200 has *failed*. Access that is denied (401, 403), a page larger than `max_body` (10MiB), and more than 1000
series whose values are to be judged are *errors*: nothing is known of the metrics.

Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/>,
<https://prometheus.io/docs/specs/om/open_metrics_spec/>.
"#;
