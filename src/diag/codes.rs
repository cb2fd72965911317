//! Every code that a message may carry, with the page that `explain CODE` prints.

/// A code and its page.
#[derive(Debug)]
pub struct Code {
    /// The code: kebab-case, stable for ever.
    pub code: &'static str,
    /// What it means, in one line.
    pub title: &'static str,
    /// How it comes about and what to do, in Markdown.
    pub page: &'static str,
}

/// Looks a code up.
pub fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|c| c.code == code)
}

const fn code(code: &'static str, title: &'static str, page: &'static str) -> Code {
    Code { code, title, page }
}

/// All codes, sorted by name within each group: reading the file, the checklist's form, expectations, templates and
/// inputs, order, probes.
pub const CODES: &[Code] = &[
    code(
        "file-unreadable",
        "the file cannot be read",
        "The checklist is not there, is a folder, is not UTF-8, or may not be read. Check the path and its permissions.",
    ),
    code(
        "file-too-large",
        "the file is larger than a checklist may be",
        "A checklist may have up to 4 MiB. What is larger is data, not a checklist: keep data in a file of its own and read it with the `file` probe.",
    ),
    code(
        "too-many-mistakes",
        "there are more mistakes than are shown",
        "The first 500 mistakes are shown; the message says how many more there are. Most of them follow from a few: mend those and check again.",
    ),
    code(
        "yaml-syntax",
        "the file is not valid YAML",
        "The YAML parser stopped at this place; the cause is here or shortly before it. Frequent causes: a tab as indentation, a missing space after a colon, a value that begins with one of `> | ! % * & @ { [` and is not quoted.",
    ),
    code(
        "yaml-alias-bomb",
        "the file holds more values than a checklist may",
        "Aliases (`*name`) are copied where they stand. Nested ones can grow without bound, so the expanded file is limited to 400,000 values, of which a long text counts for several.",
    ),
    code(
        "yaml-depth",
        "values are nested too deeply",
        "A checklist may be nested 64 levels deep. Nothing in the language needs more than about twelve.",
    ),
    code(
        "yaml-documents",
        "the file holds more than one YAML document",
        "One file is one checklist. Remove the `---` or split the file.",
    ),
    code(
        "duplicate-key",
        "a key stands twice in the same map",
        "YAML keeps one of the two and says nothing, so a check could vanish unseen. Remove one, or make a list of the values.",
    ),
    code(
        "unknown-key",
        "this key is not known here",
        "Every key is checked, so that a misspelt one cannot switch a check off. `holdpoint explain PROBE` lists the keys of a probe, `holdpoint schema` all of them.",
    ),
    code("missing-key", "a required key is missing", "The message names the key and what it means."),
    code(
        "wrong-type",
        "the value has the wrong type",
        "The message says which type is wanted. Numbers, `true`, `false` and `null` are text only when quoted.",
    ),
    code("bad-value", "the value is not one of those allowed", "The message lists what is allowed here."),
    code(
        "unquoted-comparator",
        "a comparator must be quoted",
        "YAML gives `>`, `!`, `%`, `*`, `&` and `|` at the start of a plain value meanings of its own: `> 5` begins a folded text and `*x` an alias. Write the comparator in quotes: `\"> 5\"`.",
    ),
    code(
        "language-version",
        "the language version is missing or not known",
        "The first key of a checklist is `holdpoint: 1`. A newer number needs a newer holdpoint.",
    ),
    code(
        "not-yet",
        "this part of the language is not available in this version",
        "The key belongs to the checklist language, but this version of holdpoint does not act on it. It is refused rather than ignored, because an ignored check is a false green.",
    ),
    code(
        "empty-section",
        "the section has no steps",
        "A section without steps would pass without having looked at anything. Add a step or remove the section.",
    ),
    code(
        "bad-soak",
        "the timetable of the soak does not fit",
        "`soak: { for: 24h, every: 4h }` looks at the sections `at: start` when the run begins, at those `at: checkpoint` after 4 h, 8 h … 24 h, and at those `at: end` when the time is over. They are written in that order. `every` needs a section that is looked at then, and is not longer than `for`; `grace` is shorter than `every`; a step of a checkpoint is done before the next one is due.",
    ),
    code(
        "bad-matrix",
        "the cells of the matrix cannot be made",
        "A matrix has axes, each a name with a list of values (`matrix: { region: [us-east, eu-west] }`), or `rows`, each a map with the same keys. Each cell is named after its first values, as many as it takes to tell the cells apart, so no two may read the same in letters and digits. There may be 1,000 cells and 100,000 steps.",
    ),
    code(
        "unused-axis",
        "the matrix gives a value that nothing uses",
        "A value that differs from cell to cell and is used nowhere makes every cell look at the same thing, and be green as often. Use it as `{{ matrix.NAME }}`, or remove it.",
    ),
    code(
        "bad-guard",
        "this cannot be a guard",
        "A guard is watched beside everything else, from the start of the run to its end: it has a probe, `expect`, and `consistently: { every: 15s, tolerate: 1m }` without `for`. It changes nothing, waits for nothing and is not optional: when it trips, the run stops and is a no-go.",
    ),
    code(
        "bad-hold",
        "this cannot be a hold point",
        "`hold: true` waits for a yes, `hold: { sign: [sre] }` for the signatures of the roles. Only sections that are looked at once can be held: not those of a checkpoint, which comes when it is due.",
    ),
    code(
        "unknown-role",
        "this role is not declared",
        "Who fills a role is said under `signoff`: `signoff: { roles: [{ role: sre, members: [carol@example.com] }] }`. A hold point that asks for a role nobody declared could never be released, and a manual step by such a role never be answered.",
    ),
    code(
        "not-an-action",
        "this belongs to actions alone",
        "`then` and `fallback` stand in steps under `on_go`, `on_no_go` and `always`: `then` verifies what the action did, `fallback` runs when it did not come out well. Steps of sections are ordered with `needs`.",
    ),
    code(
        "bad-baseline",
        "the baseline cannot be had",
        "A baseline comes from exactly one place: `step` (measured earlier in this run), `run` (`last-go`, or the name of a run: the same step there), `offset` (the same query that much earlier), `promql` (another query) or `value`. The step that it names measures the same thing, earlier.",
    ),
    code(
        "no-sections",
        "the checklist has no sections",
        "A checklist without sections would pass without having looked at anything.",
    ),
    code(
        "no-probe",
        "the step has no probe",
        "Each step has exactly one probe, the thing that looks: `http`, `promql`, `log`, `exec`, `file`, `tcp`, `manual`, `wait`.",
    ),
    code(
        "unknown-channel",
        "there is no such channel",
        "Each item under `notify` names one channel, with where it is, and may have the keys of that channel: `{ slack: \"{{ inputs.slack_webhook }}\", on: [no-go, go] }`. `holdpoint explain notify` lists the channels.",
    ),
    code(
        "odd-secret",
        "what should be a secret can be read",
        "The URL of a webhook, a key or a token stands in the checklist itself, or comes from an input that is not declared as a secret. Whoever can read the checklist, the report or the record can then send in your name. Declare an input with `secret: true` and `env: NAME`, and write `{{ inputs.NAME }}`.",
    ),
    code(
        "two-probes",
        "the step has two probes",
        "Each step has exactly one probe. Make two steps of it; steps of one section run side by side.",
    ),
    code(
        "unknown-probe",
        "there is no such probe or key",
        "A step holds one probe and the keys of a step. `holdpoint explain` lists the probes.",
    ),
    code(
        "asserts-nothing",
        "the step asserts nothing",
        "A step without `expect` or `warn` would pass whatever it finds. Say what must hold; `expect: { value: exists }` is enough when being there is the point.",
    ),
    code(
        "duplicate-id",
        "two things have the same id",
        "An id is derived from the name unless `id` is given, and names a step or section in `needs`, in reports and in the record. Give one of the two another name or an `id`.",
    ),
    code(
        "bad-id",
        "this is not an id",
        "An id is kebab-case: lower-case letters, digits and hyphens, beginning with a letter or digit.",
    ),
    code(
        "expect-unknown-measure",
        "the probe has no such measure",
        "Every probe has a fixed list of measures; `holdpoint explain PROBE` prints it.",
    ),
    code(
        "expect-kind",
        "the comparator does not fit the measure",
        "A measure has a kind (number, duration, size, ratio, text, JSON, set, true or false), and a comparator must be of the same: a latency is compared with `500ms`, not with `100MB`.",
    ),
    code(
        "expect-syntax",
        "this is not a comparator",
        "Comparators: `< x`, `<= x`, `> x`, `>= x`, `== x`, `!= x`, `between x and y`, `within 10% of x`, `x ± y`, `exists`, `absent`, `empty`, `all`, `none`, `any`, or a map of `contains`, `starts_with`, `ends_with`, `matches`, `equals`, `one_of`, `not`, `length`, `semver`.",
    ),
    code(
        "expect-needs-key",
        "this measure has keys",
        "A keyed measure holds one value a key: `json` by JSONPath, `headers` by name, `matches` by regular expression. Write a map: `json: { $.status: ok }`.",
    ),
    code(
        "expect-no-key",
        "this measure has no keys",
        "Only `json`, `headers`, `matches`, `lines`, `captures` and `labels` hold one value a key.",
    ),
    code(
        "expect-relative",
        "a relative limit is not written so",
        "A limit stands to `baseline`, `previous` or `start` as a multiple or a share: `\"<= 1.5x baseline\"`, `\"<= 150% of baseline\"`, `\"> previous\"`, `\"between 0.9x and 1.1x baseline\"`, `\"within 10% of start\"`. There are no sums: `that` and `capture` compute.",
    ),
    code(
        "nothing-to-compare",
        "there is nothing that the limit is relative to",
        "`baseline` needs a `baseline` of the step or of the whole checklist. `previous` and `start` are the step's own value at the look before and at the first look, so the step looks more than once: with `eventually` or `consistently`, as a guard, or at every checkpoint of a soak.",
    ),
    code(
        "bad-regex",
        "the regular expression is not valid",
        "The syntax is that of the Rust `regex` crate: no look-around and no back-references, so that scanning takes linear time. In YAML, put patterns in single quotes, where a backslash is a backslash.",
    ),
    code(
        "bad-jsonpath",
        "the JSONPath is not valid",
        "Paths are those of RFC 9535 and begin with `$`: `$.items[0].name`, `$..id`, `$.items[?@.ok == true]`.",
    ),
    code(
        "bad-semver",
        "the version requirement is not valid",
        "Requirements are those of Cargo: `^1.2`, `>=1.2, <2`, `=1.4.0`.",
    ),
    code("bad-duration", "this is not a duration", "A duration has a unit: `500ms`, `30s`, `5m`, `1h30m`, `4h`, `1d`."),
    code(
        "bad-quantity",
        "this is not a quantity",
        "A quantity is a number with an optional unit: `5`, `1e6`, `5%`, `500ms`, `64KiB`, `100MB`, `5/s`.",
    ),
    code(
        "bad-url",
        "this is not a URL that can be asked",
        "A URL begins with `http://` or `https://`. A method may stand before it: `GET http://localhost:8080/health`.",
    ),
    code("bad-address", "this is not host:port", "Write the host and the port: `localhost:5432`, `[::1]:8080`."),
    code(
        "bad-glob",
        "the pattern for files is not valid",
        "`*` stands for any part of a name, `**` for any folders, `?` for one character, `{a,b}` for either.",
    ),
    code(
        "bad-template",
        "the template is not valid",
        "Templates are those of minijinja: `{{ inputs.name }}`, filters as `{{ inputs.name | upper }}`. Write `{{ '{{' }}` for two braces.",
    ),
    code(
        "bad-expression",
        "the expression is not valid",
        "`when`, `that` and `capture` hold one minijinja expression, without braces: `status == 200 and json.items|length > 3`.",
    ),
    code(
        "undefined-variable",
        "this variable is not defined",
        "Templates and expressions may use `inputs.NAME` for a declared input and `captured.NAME` for a value that a step captures.",
    ),
    code(
        "unused-key",
        "the key has no effect here",
        "Some keys of a step are read by some probes alone: `ignore` by `exec`, `log` and the scans of `file`, `source` by `promql`. On any other step they would look as if they did something.",
    ),
    code(
        "unused-input",
        "the input is declared and never used",
        "An input that nothing uses is often a misspelt one: what was meant to depend on it does not.",
    ),
    code(
        "missing-input",
        "an input has no value",
        "Give it with `--set NAME=VALUE`, in a file with `--inputs FILE`, in its environment variable, or as `default`.",
    ),
    code(
        "bad-input",
        "an input has a value of the wrong type",
        "The declaration says which type, pattern or words are allowed.",
    ),
    code(
        "unknown-input",
        "there is no such input",
        "A value was given for an input that the checklist does not declare.",
    ),
    code(
        "unknown-id",
        "there is no step or section with this id",
        "`needs` names steps and sections by id. An id is derived from the name unless `id` is given; `holdpoint plan` lists them.",
    ),
    code(
        "cyclic-needs",
        "steps wait for each other",
        "Following `needs` and captured values leads back to where it began, so none of these steps could ever run.",
    ),
    code(
        "duplicate-capture",
        "two steps capture under the same name",
        "A captured value has one origin. Rename one of the two.",
    ),
    code(
        "bad-window",
        "the times of the window do not fit together",
        "`every` must not be longer than `within` or `for`; `hold` and `tolerate` must not be longer than the window.",
    ),
    code(
        "bad-promql",
        "the PromQL query is not valid",
        "The query is parsed before anything runs, so that a typing error is not discovered at night. The place points into the query.",
    ),
    code(
        "beyond-keep",
        "the query looks back further than samples are kept",
        "A `scrape` source keeps samples for so long as its `keep` says, 15 minutes unless said otherwise. A query with a longer range, offset or subquery would never have all that it looks at. Raise `keep`, or shorten the range.",
    ),
    code(
        "odd-promql",
        "the PromQL query is valid, but cannot mean what it says",
        "The message says what Prometheus will do with the query and what was probably meant: a pattern compared with `=`, a histogram_quantile without `le`.",
    ),
    code(
        "unknown-template",
        "there is no such step template",
        "`uses` names a template of the checklist, declared under `templates` or in a file named there, or one of the built-in library such as `github/workflow-run`. `holdpoint explain` lists the library.",
    ),
    code(
        "unknown-parameter",
        "a step template has no such parameter",
        "`with` passes values to the parameters that the template declares, and the template uses those that it declares: `params: { limit: { type: number } }`, used as `{{ params.limit }}`. `holdpoint explain NAME` shows those of a template of the library.",
    ),
    code(
        "missing-parameter",
        "a step template needs a parameter that is not given",
        "Give it with `with`. A parameter with a `default` or with `optional: true` need not be given.",
    ),
    code(
        "bad-parameter",
        "a value does not fit the parameter of a step template",
        "The value is not of the parameter's type, does not match its `pattern` or is not one of `one_of`. A value that depends on inputs is checked as soon as these are known. A captured value is known only during the run, so it cannot be given to a parameter that takes only some values.",
    ),
    code(
        "unused-parameter",
        "a parameter of a step template is declared and never used",
        "Whoever gives it believes that it matters. Use it as `{{ params.NAME }}`, or remove it.",
    ),
    code(
        "unused-template",
        "a step template is declared and never used",
        "A check that nothing uses looks as if it were made. Use it in a step (`uses: NAME`), or remove it. Of a file of templates at least one must be used.",
    ),
    code(
        "template-file",
        "a file of step templates cannot be used",
        "A file under `templates` is YAML, lies in the folder of the checklist or below it, and is named by a path relative to the file that names it, without `..`. Files may name further files, 16 deep and 64 in all, never in a circle. The file is a map with `holdpoint: 1` and `templates`.",
    ),
    code(
        "template-bounds",
        "step templates use each other in a circle, or make too much",
        "A template may use templates, 16 deep, never itself. Templates may be used 2,000 times in a checklist, and what comes of them may not be larger than a checklist may be.",
    ),
    code("unknown-source", "there is no such source", "`source` names an entry of `sources`."),
    code(
        "wrong-source",
        "the source is of a kind that cannot tell this",
        "Each probe asks sources of certain kinds: `targets` and `rules` a `prometheus`, `alerts` a `prometheus` or an `alertmanager`. Pages that holdpoint reads itself (`scrape`, `recorded`) have neither targets nor rules; ask them with `promql`, or look at one page with `metrics`. Name another entry of `sources` with `source`.",
    ),
    code(
        "no-source",
        "the probe needs a source",
        "A `promql` step asks a Prometheus: declare `sources: { prometheus: { url: … } }`.",
    ),
    code(
        "waiver-unknown-step",
        "a waiver names a step that the checklist does not have",
        "A waiver that waives nothing hides that the failure it was meant for is not waived. `holdpoint plan` lists the ids of the steps.",
    ),
    code(
        "waiver-date",
        "a time of a waiver is ambiguous, or it ends before it begins",
        "A time is a day, `2026-12-01`, which means its first second in UTC, or a time with its zone, `2026-12-01T12:00:00Z`. `until` itself is not included any more.",
    ),
    code(
        "waiver-too-long",
        "a waiver lives for more than 90 days",
        "A waiver is an exception for a while. What fails for longer is mended, or the checklist is changed, or the waiver is approved anew.",
    ),
    code(
        "waiver-duplicate",
        "two waivers of one step act at the same time",
        "One of the two would act unseen. Keep one, or let the second begin when the first ends.",
    ),
    code(
        "waiver-expired",
        "a waiver has ended",
        "It acts no more: its step blocks again when it fails. Remove it, or have it approved anew with a new `from` and `until`.",
    ),
    code(
        "waiver-ends-soon",
        "a waiver ends within a week",
        "From then on its step blocks again when it fails. Mend what fails, or have the waiver approved anew in time.",
    ),
    code(
        "policy-refused",
        "the policy refuses this",
        "The policy file does not let a checklist do this; the message names the rule with its file and line. A run under the policy ends this step as an error. Change the step, or have the policy changed; `holdpoint explain policy` tells what its rules mean.",
    ),
    code(
        "policy-empty",
        "a policy rules nothing here",
        "A policy, and each part of it, has something under it: `allow`, `deny` or both. To allow nothing write an empty list: `commands: { allow: [] }`.",
    ),
    code(
        "policy-host",
        "this is not a host, an address or a range",
        "Hosts are written `db.internal`, `*.internal:443`, `10.0.0.0/8`, `10.0.0.1:8000-8100`, `[fd00::/8]:443` or `*`. A URL is not a host, and a range of addresses has no `*`.",
    ),
    code(
        "policy-command",
        "this is not the beginning of a command",
        "A command is written as the words that it begins with, as one text (`kubectl get`) or as a list (`[sh, -c, ./check.sh]`); `*` within a word stands for any signs.",
    ),
    code(
        "policy-path",
        "this is not a file or a folder that can be ruled",
        "Files are ruled by folders, with all that is in them, and by single files; there are no globs here. Links are followed when the policy is read, so that a path must lead somewhere that can be told.",
    ),
    code(
        "policy-hole",
        "one part of the policy is undone by another",
        "A command reaches hosts and reads files that the policy does not see. Where hosts or files are ruled, commands are to be ruled too, or the probes that run commands denied.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_documented() {
        for (i, code) in CODES.iter().enumerate() {
            assert!(!code.title.is_empty() && code.page.len() > 30, "{}", code.code);
            assert!(CODES[..i].iter().all(|c| c.code != code.code), "{} stands twice", code.code);
        }
    }
}
