//! The manual page of `grafana`.

pub(super) const PAGE: &str = r#"
Looks at a dashboard: what is on it, and what its panels show. The queries of the panels are run through Grafana, as a
browser does, with the dashboard's variables and its time.

```yaml
inputs:
  grafana_token: { secret: true, env: GRAFANA_TOKEN }
sources:
  grafana: { url: "http://localhost:3000", bearer: "{{ inputs.grafana_token }}" }
sections:
  - name: Dashboard
    steps:
      - name: Row "Health Service Monitoring" is visible
        grafana: app-health
        expect: { rows: { contains: Health Service Monitoring } }
      - name: Panel "Exporter Status" shows UP or DOWN, green or red
        grafana: app-health
        expect:
          panels:
            Exporter Status:
              row: Health Service Monitoring
              place: 1
              type: stat
              queries: { contains: 'up{job="exporter"}' }
              mappings: { contains: [0=Down (red), 1=Up (green)] }
              shows: { one_of: [Up, Down] }
      - name: Panel "Active Incidents" displays a number (0 or more)
        grafana: app-health
        expect: { panels: { Active Incidents: { value: ">= 0" } } }
      - name: No panels show "no data"
        grafana: app-health
        expect: { without_data: none }
      - name: No panels show "error loading data"
        grafana: app-health
        expect: { errors: none }
      - name: All panels have queries
        grafana: app-health
        expect: { without_query: none }
      - name: There are 10 panels
        grafana: app-health
        expect: { total: 10 }
      - name: Two panels show the data of the last hour of one region
        grafana: { dashboard: app-health, panels: [Requests, Errors], vars: { region: eu, pod: All }, last: 1h }
        expect: { without_data: none, errors: none }
      - name: The deployment is marked
        grafana: { dashboard: app-health, tags: [deployment, api], last: 1h }
        expect: { annotations: { contains: Deployments }, markers: ">= 1" }
```

**Panels.** A panel is found by its title, as it is stored or as it is shown with variables filled in, in whatever row.
`exists` and `absent` behind a title ask only whether it is there. When a title occurs twice, the measures of it have no
data; name one of them by its id, as `'#7'`. The sets name such panels with their ids. Panels in collapsed rows count as any
other. A panel that is repeated for the values of a variable, by itself or with its row, is one panel; its queries are run
once for each value, at most 50 times, and it has data when each repetition has. Panels of the types text, news, dashlist,
alertlist, alertGroups, annolist, welcome, gettingstarted, pluginlist and live need no query: they are in `total`, and in
no other set. Library panels are looked up. A panel whose library panel is gone ends with an error.

**In expressions** a measure of panels is a map by title: `panels_value["Requests"] > panels_value["Errors"]`. `panels["Requests"]`
holds all measures of the panel, and asks for those of every panel, so it has no data when one of them has none.

**Queries.** A query that was added and never written is none; nor is one that is hidden, though it is run where an
expression computes with it. A panel that shows what another one asked (`-- Dashboard --`) has the queries of that
one. Queries go to the data source that they name by uid, by name or by a variable, else to that of the panel, else to the
default one.

**Data.** A panel has data when a query gives at least one value that is neither empty nor NaN. One that has no query, or
whose queries all end with errors, has none: it is in `without_data`. `errors` are the panels of which any query ends with
an error, so that both together tell *no data* from *error*; the evidence of the look says it query by query. When it is
not known what a query would ask, nothing is known of its panel, and the sets have no data: they are never judged of a
part. Of no panels at all, or none that needs a query, nothing can be said either.

**What it shows.** `value` is the number that the panel shows of each series: by the calculation of stat, gauge, bargauge,
piechart and singlestat (last, first, min, max, mean, sum, count, range, diff), for other panels the last one that is not
empty; of a table every row. Every series must hold. `shows` is the same as the value mappings word it. Units are left out.
What transformations make of the data happens in the browser: of such a panel, `value`, `shows` and `series` have no data.
They have none either when one of its queries ends with an error.

**Mappings and thresholds** are written as `0=Down (red)`, `0..5=Low`, `/^4/=Client (orange)`, `null=N/A`, and
`base=green`, `80=red`, `90%=red`, with the colours as they are stored. Those of single fields are among them.

**Variables** have the value that is stored as chosen, unless `vars` says another, one or a list. `$x`, `${x}`, `[[x]]`,
`${x:regex}` and the formats csv, doublequote, glob, json, lucene, percentencode, pipe, raw, singlequote, sqlstring and
text are known; without a format values are escaped as the data source's own editor does: Prometheus, Loki and SQL each in
their way. `All` stands for the text that the variable has for it, else for all its values: those stored, or, of a
Prometheus, those that `label_values` gives. When they cannot be found out, say them in `vars`. Ad hoc filters are not
applied, which is remarked on.

**Time.** `last` is what is looked at, up to now; without it, the dashboard's own time, rounded by UTC where it is rounded
(`now/d`). A panel's own time outweighs both. `$__interval` is that time by the most points of the panel (1000 unless it
says), rounded as Grafana rounds, and not less than the least step of the query or the panel, or how often the data source
scrapes (15s unless it says); `$__rate_interval` is the greater of four times how often it scrapes and that much more than
`$__interval`. `vars: { __rate_interval: 5m }` sets either by hand.

**Annotations.** `annotations` are the names of the annotation queries that are switched on, the built-in one
(`Annotations & Alerts`) among them. `markers` counts annotations within the time: those of this dashboard, or with
`tags` those of any dashboard, and of none, that have all of these tags.

**Failure, error, inconclusive.** A dashboard or a panel that is not there has *failed*, as has a panel with an error. A
Grafana that does not answer in time, denies access or answers with something else is an *error*: nothing is known of the
dashboard. The token needs to read the dashboard and query its data sources: the role Viewer does.

Both forms of dashboards are read, the classic one with `panels` and the second one with `elements` and a `layout`
(`dashboard.grafana.app/v2…`); of the second, tabs count as rows, and elements that stand in no layout are not shown and not
counted. Sources: the dashboard, data source, library element and annotation HTTP APIs,
<https://grafana.com/docs/grafana/latest/developers/http_api/>.
"#;
