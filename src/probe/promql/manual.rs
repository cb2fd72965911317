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
        expect: { max: "< 2GiB", slope: "< 1MiB/h" }
      - name: Up all day, with no missing samples
        promql: { query: "up{job='api'}", range: { last: 24h, scrape: 30s } }
        expect: { min: 1, gaps: 0 }
      - name: Updated at least 2880 times
        promql: { query: api_requests_total, range: { last: 24h, scrape: 30s } }
        expect: { samples: ">= 2880" }
      - name: The canary is not slower than production
        promql:
          query: histogram_quantile(0.95, sum by (le) (rate(latency_bucket{variant="canary"}[5m])))
          compare:
            to: histogram_quantile(0.95, sum by (le) (rate(latency_bucket{variant="production"}[5m])))
            over: 30m
            worse: higher
            effect: 10%
```

**Several series.** Every series must hold. With `series_policy: any` one is enough; over a range,
one sample.

**Comparisons are taken apart.** When the top of a query compares with a number, as in `time() - x < 120`, the left
side is measured and the right side is what must hold of it: of *every* series, not only of those that Prometheus
would have kept. So *false* and *no data* are told apart and the report shows the number. `120 > x` is the same turned
round. What `expect` says holds besides. A comparison with `bool`, one below `and`, `or`, `unless`, and one of two
vectors stay whole; for the last, the value is that of the left side wherever it is true, and there is no data where
it is not: write the difference and compare with 0 to have it taken apart.

**A range** is asked with `range: { last: 24h, step: 5m }`; it ends now, or at `at`. `last: soak` reaches to the start of
the soak. `value` is then every sample: each different value of each series, and when a series has more than 50 of them,
its least and its greatest (so that `!=` and `not` on `value` are exact for up to 50 different values). Samples that are
NaN count as gaps and are left out of the other measures; a series that began late or ended early has gaps too. `value`
keeps one of them, so that it cannot pass.

**Samples and gaps.** With `step`, the query is evaluated at each step, and Prometheus repeats a sample for up to five
minutes: `gaps` counts the steps without a value, and shorter outages are not seen. With `scrape: 30s` the samples of a
plain selector are taken as they were scraped, one of which is expected every 30 seconds: `samples` is how many there
are. Two neighbours that are `d` apart miss `round(d / 30s) - 1` between them, so a scrape that comes a little late is no
gap; before the first and behind the last sample every whole step counts. `longest_gap` is the longest time without one.
A whole range of 24 hours holds 2880 or 2881 samples of 30 seconds, by where it begins and by the version of the server.

**Trends.** `slope` is growth by the estimate of Theil and Sen: the median of the slopes of all pairs of points (of more
than 1000 points, or of many series, of an evenly scattered choice of pairs, always the same). Up to 29 % of the points
may be outliers without tilting it. Write its limit as a rate, `"< 1MiB/h"`; a number without a unit is per hour. In
expressions it is per second, like every rate. `slope_low` and `slope_high` are the ends of its 95 % confidence interval
after Sen (1968): `slope_low: "<= 0"` fails only when growth is certain, `slope_high: "< 1MiB/h"` passes only when the
absence of more is certain. With fewer than about five points there is no interval, and nothing can be said. Neighbouring
samples are alike, so the true uncertainty is larger than the interval.

**Counters.** `delta` is last less first. `increase` evens resets out: where the counter fell it began anew at 0. Nothing
is extrapolated, so of whole numbers it is a whole number. `resets` counts the falls. Of a series whose name ends in
`_total` they are also remarked on.

**Compared with another query**, as a canary is with production. Both queries are evaluated every `step` (15s) over
the last `over`. It fails when the difference is both certain and large: when by the rank-sum test of Mann and Whitney
(normal approximation, corrected for ties and continuity) the likelihood `p` of such ranks by chance is under 0.01, in
the direction that is `worse` (`higher`, `lower`, or `either`, two-sided), *and* when the means differ by `effect` or more,
as a share of the mean of the other: `(mean - mean of to) / |mean of to|`. This is the rule of automated canary analysis
as Kayenta made it known, with the ratio of means as effect size. Against a mean of 0 every difference is large enough.
On either side there must be at least 10 numbers, and numbers at half of the points (NaN is none), else it is
inconclusive. Two constants that are equal pass. One series is compared with one, whatever their labels; several are
compared by equal labels, or all with the only one there is; one without a partner is inconclusive. Samples that follow
each other closely are alike, which makes `p` too small: with a window such as `[5m]`, a `step` of a minute or more is
more honest than 15s. All samples are kept in the record, and it is judged from them.

**A baseline** can be the same query earlier, `baseline: { offset: 1d }`, or another query, `baseline: { promql: … }`;
it is asked in the same look, over the same range, and its value and time are kept.

**At another time.** `at` takes an RFC 3339 time, or seconds since 1970. A Prometheus can be asked about the past, so that
a step without `at` can be looked at as of any time that it still remembers.

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
