//! The manual page of `rules`.

pub(super) const PAGE: &str = r#"
Asks a Prometheus for the rules that it has loaded: whether they are there, in which state, whether they can be evaluated,
and whether they are what a rule file says. The short form is the name of a rule, or a list of names:

```yaml
sources:
  prometheus: { url: "http://localhost:9090" }
sections:
  - name: Rules
    steps:
      - name: The three alerts are loaded, inactive and healthy
        rules: [HealthServiceExporterDown, HealthServiceExporterErrors, HealthServiceDown]
        expect: { defined: all, state: inactive, health: ok }
      - name: What is loaded is what the repository says
        rules: { file: prometheus/alert.rules.yml }
        expect: { same: all, extra: empty }
      - name: The pager rings for it after five minutes at most
        rules: HealthServiceExporterDown
        expect: { for: "<= 5m", labels: { severity: critical }, annotations: { summary: { contains: DOWN } } }
      - name: Every alert of the group has a runbook
        rules: { group: api, type: alerting }
        expect: { annotations: { runbook_url: exists }, health: ok }
```

**Which rules.** Those in `names`, or those of a rule `file`, or those of a `group`; all of them when none is given; only
alerts or only recording rules with `type`. When a name is not loaded, `defined` says how many are; `state`, `health`,
`expr`, `for`, `labels` and `annotations` are then *missing*, so that nothing passes for a rule that is not there, and the
nearest name is said. Where there is no rule at all, all of them are missing.

**Several rules.** `state` and `health` are sets: `inactive` holds when every rule is inactive, `{ not: { contains:
firing } }` when none fires. Recording rules have no state, and a rule that cannot be evaluated has none that says anything. Of `for`, every rule must hold. `expr`, and `labels` and
`annotations` by their name, are the text when all rules have the same, and a list of texts otherwise; one that no rule
has is missing, and one that only some have is no data. `expr` is as the server writes it, which is not always as it was written: to compare expressions, use a
file.

**A rule file** is in the format of Prometheus; a `PrometheusRule` of Kubernetes is read too. Each of its rules must be
loaded with an equal `expr`, `for`, `keep_firing_for`, equal labels (those of its group among them) and annotations.
Expressions are compared once parsed, so that spaces, line breaks and ways to write a number do not count. `same` says how
many of them are; `differences` says what differs, and the whole of it is kept as evidence. Rules are found by their name,
in a group of the same name first; where a name comes several times, each is compared with one that is equal, if there is
any. `extra` are the rules that groups of these names have and the file has not.

**Failure or error.** A rule that is missing, differs or cannot be evaluated is a *failure*. A Prometheus that does not
answer, denies access or answers what cannot be understood is an *error*, and so is a rule file that is not there, is no
rule file, or holds no rule.

API: <https://prometheus.io/docs/prometheus/latest/querying/api/#rules>; files:
<https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/>.
"#;
