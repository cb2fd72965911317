//! The checklists that are measured, written by rule.

use std::fmt::Write as _;
use std::path::Path;

/// Writes a checklist of one section; `step` writes the body of each step.
pub(crate) fn write(path: &Path, count: usize, step: impl Fn(usize) -> String) {
    with_head(path, "", count, step);
}

/// Writes a checklist of one section with more at its head.
pub(crate) fn with_head(path: &Path, head: &str, count: usize, step: impl Fn(usize) -> String) {
    let mut text = format!("holdpoint: 1\nname: Measured\n{head}sections:\n- name: All\n  steps:\n");
    for n in 0..count {
        let _ = writeln!(text, "  - name: Step {n}");
        for line in step(n).lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    std::fs::write(path, text).expect("a checklist");
}

/// Writes a checklist of all sorts: templates, JSON paths, patterns, queries.
pub(crate) fn mixed(path: &Path, count: usize) {
    let mut text = String::from(
        "holdpoint: 1\nname: Mixed\ninputs:\n  base_url: { type: url, default: 'http://127.0.0.1:1' }\n  job: { default: app }\n\
         sources:\n  prometheus: { url: '{{ inputs.base_url }}' }\nsections:\n",
    );
    for n in 0..count {
        if n % 50 == 0 {
            let _ = writeln!(text, "  - name: Section {n}\n    steps:");
        }
        let step = match n % 5 {
            0 => format!(
                "http: GET {{{{ inputs.base_url }}}}/health/{n}\n\
                 expect: {{ status: 200, json: {{ $.status: ok, '$.items[{n}].id': '> 3' }}, latency: '< 500ms' }}"
            ),
            1 => format!(
                "promql: sum(rate(requests_total{{job=\"{{{{ inputs.job }}}}\",code=~\"5..\"}}[{}m])) / sum(rate(requests_total[5m]))\n\
                 expect: '<= {n}%'",
                n % 50 + 1
            ),
            2 => format!("log: app.log\nexpect: {{ matches: {{ '(?i)\\berror {n}\\b': 0, 'ready \\d+ms': '>= 1' }} }}"),
            3 => format!(
                "exec: [printf, '%s', '{{{{ inputs.job }}}}-{n}']\nexpect: {{ stdout: {{ matches: '^[a-z]+-{n}$' }} }}"
            ),
            _ => "file: config.json\nexpect: { that: \"size > 10 and json.version is defined\" }".to_owned(),
        };
        let _ = writeln!(text, "      - name: Step {n}");
        for line in step.lines() {
            let _ = writeln!(text, "        {line}");
        }
    }
    std::fs::write(path, text).expect("a checklist");
}
