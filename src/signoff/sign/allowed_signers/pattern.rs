//! Lists of patterns, as OpenSSH has them (ssh_config(5), PATTERNS): `*`, `?`, `!`, separated by commas.

/// The longest pattern that OpenSSH takes, in bytes; a list with a longer one allows nothing.
const LONGEST: usize = 1023;

/// Tells whether a text is in a list: it fits one pattern, and none with `!`.
pub(super) fn in_list(text: &str, list: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        if pattern.len() >= LONGEST {
            return false;
        }
        if fits(text.as_bytes(), pattern.as_bytes()) {
            if negated {
                return false;
            }
            found = true;
        }
    }
    found
}

/// Tells whether a text fits one pattern, in time that grows with the product of their lengths at most.
fn fits(text: &[u8], pattern: &[u8]) -> bool {
    let (mut t, mut p) = (0, 0);
    // Where the last star stands, and how much of the text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                t += 1;
                p += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    t = taken + 1;
                    p = at + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_matched_as_openssh_does() {
        for (text, list, expected) in [
            ("carol@example.com", "carol@example.com", true),
            ("carol@example.com", "bob@example.com,carol@example.com", true),
            ("carol@example.com", "*@example.com", true),
            ("carol@example.com", "*@example.com,!carol@*", false),
            ("carol@example.com", "!carol@*,*@example.com", false),
            ("carol@example.com", "!bob@*", false),
            ("carol", "?arol", true),
            ("carol", "?carol", false),
            ("Carol", "carol", false),
            ("carol", " carol", false),
            ("carol", "", false),
            ("", "", true),
            ("", "*", true),
            ("abcabd", "*ab?", true),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "*a*a*a*a*a*a*a*a*c", false),
        ] {
            assert_eq!(in_list(text, list), expected, "{text:?} in {list:?}");
        }
        assert!(!in_list("a", &format!("a,{}", "b".repeat(1023))));
    }
}
