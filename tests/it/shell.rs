//! Values in shell commands, as real shells read them.

use holdpoint::template::{Place, Scope, Template};
use proptest::prelude::*;
use serde_json::{Map, json};

const VALUE: &str = "{{ inputs.value }}";

/// Lines in which `@` is a value that comes out between the two texts, ended by a character of its own.
const SURE: &[(&str, &str, &str)] = &[
    (r"printf '%s\001' @", "", ""),
    (r#"printf '%s\001' "@""#, "", ""),
    (r"printf '%s\001' 'a@b'", "a", "b"),
    (r#"printf '%s\001' a@"b""#, "a", "b"),
    (r#"printf '%s\001' "it's @ '""#, "it's ", " '"),
    (r"printf '%s\001' '\'@'\'", "\\", "\\"),
    (r#"printf '%s\001' \"@\'"#, "\"", "'"),
    (r#"n=5; printf '%s\001' "$n"@"#, "5", ""),
    (r#"n=5; printf '%s\001' $n@"#, "5", ""),
    (r#"n=5; printf '%s\001' "$n@""#, "5", ""),
    (r#"printf '%s\001' "$(echo "it's")@""#, "it's", ""),
    (r"printf '%s\001' @#b", "", "#b"),
    ("printf '%s\\001' \\\n@", "", ""),
    (r#"{ printf '%s\001' @>&1; } # it's "so""#, "", ""),
];

/// Lines without values that leave the quotes as they were.
const BETWEEN: &[&str] = &[
    "# it's a comment",
    ": # it\"s another; `",
    ": 'a # b' \"c # d\" e#'f'",
    ": $(echo ')' \"x\" # it's )\n)",
    ": \"$(echo \"'\")\" '\"'",
    ": ${HOME} \"${HOME}\" $((1 + (2 * 3)))",
    ": \\' \\\" \\\\ \\#",
    ": `echo a` \"`echo b`\"",
    ": $$ $# \"$?\" $",
    "( : ; ) ; : | : ;# it's",
];

/// Places where nothing could be quoted.
const REFUSED: &[&str] = &[
    "printf %s \"$(printf %s @)\"",
    "printf %s $(printf %s '@')",
    "printf %s `printf %s @`",
    "printf %s \"`printf %s '@'`\"",
    "printf %s $((1 + @))",
    "printf %s \"${HOME:-@}\"",
    "printf %s \\@",
    "printf %s \"\\@\"",
    "printf %s $@",
    "printf %s \"$@\"",
    "printf %s \"$\\\n@\"",
    ": # @",
    "cat <<END\n@\nEND",
    "cat <<'END'\nit's\nEND\nprintf %s @",
    "printf %s \"$(case a in a) echo b;; esac; printf %s @)\"",
    "printf %s \"$((case a in a) echo b;; esac); printf %s @)\"",
    "printf %s \"${HOME:-\"it's\"}@\"",
    "(( @ ))",
    "printf %s $'it\\'s' @",
];

fn fill(command: &str, value: &str) -> String {
    let scope = Scope::new(Map::from_iter([("inputs".to_owned(), json!({ "value": value }))]));
    let template =
        Template::parse(&command.replace('@', VALUE), Place::Shell).unwrap_or_else(|e| panic!("{command}: {e}"));
    template.render(&scope).unwrap_or_else(|e| panic!("{command}: {e}"))
}

fn run(shell: &str, command: &str) -> String {
    let output = std::process::Command::new(shell).arg("-c").arg(command).output().expect("a shell");
    assert!(output.stderr.is_empty(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_comes_out_as_it_is(
        lines in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 1..8),
        value in r#"[a-z0-9 '"\\$`(){}\[\]#;&|<>!*?~=,\n\t\rö]{0,12}"#,
    ) {
        let (mut command, mut expected) = (String::new(), String::new());
        for (sure, between, first) in lines {
            let (line, before, behind) = SURE[sure.index(SURE.len())];
            if first {
                command.push_str(BETWEEN[between.index(BETWEEN.len())]);
                command.push('\n');
            }
            command.push_str(line);
            command.push('\n');
            expected.push_str(&format!("{before}{value}{behind}\u{1}"));
        }
        let command = fill(&command, &value);
        for shell in ["/bin/sh", "/bin/bash"].into_iter().filter(|shell| std::path::Path::new(shell).exists()) {
            prop_assert_eq!(run(shell, &command), expected.clone(), "{}", command);
        }
    }
}

#[test]
fn a_value_is_refused_where_nothing_quotes() {
    for line in REFUSED {
        for between in BETWEEN {
            let command = format!("{between}\n{line}").replace('@', VALUE);
            let error = Template::parse(&command, Place::Shell).expect_err(&command);
            assert!(error.message.contains("env"), "{error}");
        }
    }
}

#[test]
fn numbers_and_words_of_the_shell_stay_text() {
    assert_eq!(run("/bin/sh", &fill("echo @>&1", "2")), "2\n");
    assert_eq!(run("/bin/sh", &fill("@ () { echo yes; }; \"@\"", "x1")), "yes\n");
    assert_eq!(fill("echo @ @", "v1.2"), "echo v1.2 v1.2");
    assert_eq!(fill("@ true", "if"), "'if' true");
}
