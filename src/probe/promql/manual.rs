//! The manual page of `promql`.

pub(super) const PAGE: &str = r#"
Asks a Prometheus, or whatever speaks its HTTP API, or pages of metrics without any server. The query is parsed before
anything runs.

```yaml
sources:
  prometheus: { url: "http://localhost:9090" }
sections:
  - name: Errors
    steps:
      - name: Errors stay under 1 %
        promql: |
          sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))
        expect: "< 1%"
      - name: The last backup is young
        promql: time() - backup_last_success_seconds < 86400
      - name: No memory is lost over the day
        promql: { query: process_resident_memory_bytes, range: { last: 24h, step: 5m } }
        expect: { max: "< 2GiB", slope: "< 1MiB/h", gaps: 0 }
```

**Several series.** Every series must hold. With `series_policy: any` one is enough; over a range,
one sample.

**Comparisons are taken apart.** When the top of a query compares with a number, as in `time() - x < 120`, the left
side is measured and the right side is what must hold of it: of *every* series, not only of those that Prometheus
would have kept. So *false* and *no data* are told apart and the report shows the number. `120 > x` is the same turned
round. What `expect` says holds besides. A comparison with `bool`, one below `and`, `or`, `unless`, and one of two
vectors stay whole; for the last, the value is that of the left side wherever it is true, and there is no data where
it is not: write the difference and compare with 0 to have it taken apart.

**A range** is asked with `range: { last: 24h, step: 5m }`; it ends now, or at `at`. `value` is then every sample: each
different value of each series, and when a series has more than 50 of them, its least and its greatest (so that `!=`
and `not` on `value` are exact for up to 50 different values). Samples that are NaN count as gaps and are left out of
the other measures; a series that began late or ended early has gaps too. `value` keeps one of them, so that it cannot pass. `slope` is per second, by least squares;
`delta` is last less first.

**At another time.** `at` takes an RFC 3339 time, or seconds since 1970.

**Nothing found.** When a query finds no series, or only NaN, `value` has no data, and a few more questions are asked to
say why: the metric never existed here, it stopped at 14:02, a label has no such value, both sides of a division are
zero. `on_no_data` of the step says what follows. `series` is 0 then, so `expect: { series: 0 }` states that there
must be none.

**Without a server.** A source of kind `scrape` scrapes the service's own page of metrics while the run goes on, one of
kind `recorded` reads samples from files; holdpoint then evaluates the query itself, as Prometheus 3 would (native
histograms apart). Such a query waits until the samples that it looks at are there, as long as `timeout` allows. When they
are not, the step is inconclusive, whatever `on_no_data` says:

```yaml
sources:
  orders: { kind: scrape, url: "http://localhost:8080/metrics", every: 5s }
sections:
  - name: Errors
    steps:
      - name: Errors stay under 1 %
        promql: sum(rate(http_requests_total{status=~"5.."}[30s])) / sum(rate(http_requests_total[30s]))
        expect: "< 1%"
        timeout: 1m
```

**Not a failure of the service.** A Prometheus that does not answer, refuses the query, answers with something else or
with more than `max_series` series (1000 unless said otherwise) is an error: nothing is known of the service. So is an
answer with a warning of the server, such as a partial one: neither its numbers nor their absence can be relied on.
"#;
