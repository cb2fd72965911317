//! Which commands may be run: the program, and the arguments that it begins with.

use globset::{Glob, GlobMatcher};

/// Where a program stands that is written without a folder.
const FOLDERS: &[&str] = &["/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin", "/usr/local/sbin"];

/// Variables that make a program, or what it starts, run something else. What is listed by name is not all that there
/// is: a command that takes its orders from a variable of its own must not be allowed at all.
const STEERING: &[&str] = &[
    "PATH",
    "BASH_ENV",
    "ENV",
    "IFS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYOPT",
    "RUBYLIB",
    "NODE_OPTIONS",
    "NODE_PATH",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "CLASSPATH",
    "KUBECONFIG",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "SHELL",
    "HOME",
];
const STEERING_FAMILIES: &[&str] = &["LD_", "DYLD_", "GIT_", "BASH_FUNC_", "SSH_"];

/// A command as a policy writes it: words, each with `*` for any signs; what follows them is free.
#[derive(Clone, Debug)]
pub struct CommandPattern {
    words: Vec<(String, GlobMatcher)>,
}

impl CommandPattern {
    /// Makes a pattern of its words.
    ///
    /// # Errors
    /// Says which word is no pattern.
    pub fn new(words: &[&str]) -> Result<Self, String> {
        if words.first().is_none_or(|word| word.is_empty()) {
            return Err("the program is missing".to_owned());
        }
        let word = |word: &&str| match Glob::new(word) {
            Ok(glob) => Ok(((*word).to_owned(), glob.compile_matcher())),
            Err(error) => Err(format!("{word:?} is no pattern: {}", error.kind())),
        };
        Ok(Self { words: words.iter().map(word).collect::<Result<_, _>>()? })
    }

    /// Tells whether a command is one that it allows.
    pub(super) fn allows(&self, argv: &[String]) -> bool {
        self.fits(argv, |written, glob, program| {
            glob.is_match(program) && written.contains('/') == program.contains('/')
                || program.rsplit_once('/').is_some_and(|(folder, name)| {
                    !written.contains('/') && FOLDERS.contains(&folder) && glob.is_match(name)
                })
        })
    }

    /// Tells whether a command is one that it denies: by the program's name, wherever it stands.
    pub(super) fn denies(&self, argv: &[String]) -> bool {
        self.fits(argv, |_, glob, program| {
            glob.is_match(program) || program.rsplit_once('/').is_some_and(|(_, name)| glob.is_match(name))
        })
    }

    fn fits(&self, argv: &[String], program: impl Fn(&str, &GlobMatcher, &str) -> bool) -> bool {
        let Some(((written, first), rest)) = self.words.split_first() else { return false };
        let Some((name, arguments)) = argv.split_first() else { return false };
        // A line for a shell is many commands: a pattern with a star must not let one more pass behind it.
        let line = arguments.first().is_some_and(|flag| flag == "-c").then_some(1);
        program(written, first, name)
            && rest.len() <= arguments.len()
            && rest.iter().zip(arguments).enumerate().all(|(n, ((word, glob), argument))| match Some(n) == line {
                true => word == argument || (glob.is_match(argument) && !is_composed(argument)),
                false => word == argument || glob.is_match(argument),
            })
    }
}

/// Tells whether a shell would see more in a line than one command and its words.
fn is_composed(line: &str) -> bool {
    line.trim_end().contains([';', '|', '&', '$', '`', '<', '>', '(', ')', '{', '}', '\n', '\\'])
}

/// Tells whether a variable decides what a program runs.
pub(super) fn steers(name: &str) -> bool {
    STEERING.contains(&name) || STEERING_FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn pattern(text: &str) -> CommandPattern {
        CommandPattern::new(&text.split(' ').collect::<Vec<_>>()).expect("a pattern")
    }

    #[test]
    fn the_words_of_a_pattern_are_a_beginning() {
        let get = pattern("kubectl get *");
        assert!(get.allows(&argv("kubectl get pods -o yaml")) && get.allows(&argv("/usr/bin/kubectl get pods")));
        for bad in ["kubectl", "kubectl get", "kubectl delete pods", "kubectl2 get pods", "/tmp/kubectl get pods"] {
            assert!(!get.allows(&argv(bad)), "{bad}");
        }
        assert!(pattern("/opt/bin/tool").allows(&argv("/opt/bin/tool x")));
        assert!(!pattern("/opt/bin/tool").allows(&argv("tool x")));
        assert!(pattern("rm").denies(&argv("/tmp/rm -r x")) && !pattern("rm").denies(&argv("rmdir x")));
    }

    #[test]
    fn a_line_for_a_shell_is_the_one_that_is_written() {
        let line = |text: &str| ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
        let one = CommandPattern::new(&["sh", "-c", "kubectl get *"]).expect("a pattern");
        assert!(one.allows(&line("kubectl get pods")));
        for more in ["kubectl get pods; rm -rf /", "kubectl get $(id)", "kubectl get pods\nid", "kubectl get x > /y"] {
            assert!(!one.allows(&line(more)), "{more}");
        }
        let exact = CommandPattern::new(&["sh", "-c", "a | wc -l"]).expect("a pattern");
        assert!(exact.allows(&line("a | wc -l")) && !exact.allows(&line("a | wc -c")));
        assert!(!pattern("kubectl get *").allows(&line("kubectl get pods")), "a shell must be listed as such");
        assert!(pattern("sh").allows(&line("anything; at all")));
    }

    #[test]
    fn variables_that_steer_programs_are_known() {
        for bad in ["PATH", "LD_PRELOAD", "GIT_SSH_COMMAND", "NODE_OPTIONS"] {
            assert!(steers(bad), "{bad}");
        }
        assert!(!steers("TOKEN") && !steers("LANG"));
    }
}
