//! The manual page of `alerts`.

pub(super) const PAGE: &str = r#"
Asks a Prometheus, or an Alertmanager, which alerts fire. The short form is the name of an alert, or a list of names:

```yaml
sources:
  prometheus: { url: "http://localhost:9090" }
  alertmanager: { url: "http://localhost:9093" }
sections:
  - name: Alerts
    steps:
      - name: No canary alert is firing
        alerts: { names: [ZaiProxyCanaryDeploymentDown, ZaiProxyCanaryHighErrorRate] }
        expect: { firing: none, defined: all }
      - name: Nothing critical began to fire since the start of the run
        alerts: { labels: { severity: critical }, new: true }
        expect: { firing: none, pending: none }
      - name: No silence is left over
        alerts: { source: alertmanager }
        expect: { silences: 0, receivers: { contains: api-oncall }, cluster: { one_of: [ready, disabled] } }
      - name: The alert that is being worked on is silenced
        alerts: { names: ApiSlow, source: alertmanager }
        expect: { silences: ">= 1", active: none }
```

**Which alerts.** Those of the `names` whose labels are as `labels` says; with `new: true` only those that began after the
run did: for a Prometheus when the expression began to hold, for an Alertmanager when the alert began to fire. A clock
that differs between the servers and the machine that runs the checklist moves that moment.

**Which server.** The one that `source` names. Without it, the Prometheus if there is one, unless the step asks for what
only an Alertmanager knows. A measure that the server cannot give is an error before anything runs: `defined` and
`pending` need a Prometheus; `active`, `silenced`, `inhibited`, `silences`, `receivers`, `notified`, `cluster`, `peers` and
`version` need an Alertmanager.

**What is counted.** With names, `firing`, `pending` and `defined` are so many of these names. Without, a Prometheus counts
its alerting rules, by name; an Alertmanager counts the alerts that it holds. `count` is how many alerts fire one by one,
with their different labels. An Alertmanager counts an alert as firing also when it is silenced or inhibited: `active` are
those that are neither. `silenced`, `inhibited` and `active` are so many of those that fire and are meant; when none fires,
none of them can be told.

**Silences.** `silences` counts the silences in force; with names, or labels with a certain value, those that keep at least
some of such alerts quiet, whether one fires or not. So `silences: 0` says that all of them would be told, and only
`silenced: all` that none of those that fire is.

**Nothing is quiet by accident.** What nobody evaluates does not fire: of a Prometheus there is no data on `firing` and
`pending` when no alerting rule is loaded, when an alert that is named has no rule, and when the rule of an alert that may
be meant cannot be evaluated. An alert that does fire is counted all the same. An Alertmanager that holds no alert at all,
of whatever name, has no data on `firing` either: it cannot be told from one to which nobody sends. Where an alert fires
always, as a dead man's switch does, that does not come about; where there is none, ask the Prometheus, or write
`on_no_data: pass`.

**Failure or error.** An alert that fires is what the step judges. A server that does not answer, denies access or answers
what cannot be understood is an *error*.

API: <https://prometheus.io/docs/prometheus/latest/querying/api/#alerts>,
<https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>.
"#;
