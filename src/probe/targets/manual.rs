//! The manual page of `targets`.

pub(super) const PAGE: &str = r#"
Asks a Prometheus what it scrapes: which targets it has, whether the last scrape of each went well, when it was and how
long it took. The short form is the name of a job:

```yaml
sources:
  prometheus: { url: "http://localhost:9090" }
sections:
  - name: Targets
    steps:
      - name: The exporter is scraped
        targets: health_service_exporter
        expect: { up: all, count: ">= 1", last_scrape_age: "< 2m", scrape_duration: "< 5s" }
      - name: There are still four jobs, and all that is scraped is up
        targets: {}
        expect: { up: all, jobs: { length: 4 } }
      - name: The API answers in both zones
        targets: { job: api, labels: { zone: { one_of: [a, b] }, canary: { not: "true" } } }
        expect: { up: ">= 90%", count: 2, last_error: empty }
```

**Which targets.** Those of the jobs in `job` whose labels are as `labels` says; all of them when neither is given. Labels
are those after relabelling. Under a label stands its value, or `matches` (a regular expression), `not`, `one_of`. A label
that is not there has the empty value.

**No target is never a pass.** When there is no target of the job, `up`, the ages, durations and errors are *missing*: the
step fails, and it is said which jobs there are. Of several jobs, one without a target counts as a member of `up` that is
not up. `count` alone may be expected to be 0.

**Before the first scrape** the health of a target is unknown: it is not up, and its age and duration cannot be told.
Wait for it with `eventually`.

**Dropped targets**, which relabelling took out, are counted in `dropped` and told as a remark. Since Prometheus 2.48 the
count is exact even where the server keeps no list; it goes by scrape pool, and so is that of whole jobs, whatever
`labels` says.

**Failure or error.** That a target is down is a *failure*. A Prometheus that does not answer, denies access or answers
what cannot be understood is an *error*: nothing is known of the targets. `last_scrape_age` is held against the clock of
the machine that looks.

API: <https://prometheus.io/docs/prometheus/latest/querying/api/#targets>.
"#;
