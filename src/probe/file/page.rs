//! The manual page of `file`. The list of detectors in it is made of the table of detectors, so that it cannot say
//! anything else.

use super::scan::detectors::{DETECTORS, Detector, Of};

/// The page.
pub(super) const MANUAL: &str = match std::str::from_utf8(&PAGE) {
    Ok(text) => text,
    Err(_) => panic!("the page is put together of whole texts"),
};

const FILES: &str = "\
Looks at a file. `json` reads YAML, JSON, TOML, `.env` and INI files, requirements files of Python and Dockerfiles, and \
takes values out of them by JSONPath.

A file that is not there is measured: `exists` is false, and everything else is missing, which fails unless `absent` \
is expected. A file that may not be read, or a folder on the way that may not be entered, is an *error*: nothing is \
known. Content that cannot be parsed, or is larger than 1 MiB, gives no data, and so does `json` of a file that is not \
there: no field is absent from what was not read. Of a glob, `exists` and `count` are measured; the other measures \
need it to match exactly one file and are *no data* otherwise. A folder counts as being there and has no content.

```yaml
- name: The runbook is there
  file: docs/runbook.md
  expect: exists

- name: The image is pinned
  file: deploy/values.yaml
  expect: { json: { $.image.tag: { matches: '^\\d+\\.\\d+\\.\\d+$' } } }

- name: The last backup is fresh
  file: { path: '/backup/{{ inputs.service }}-latest.tar.gz' }
  expect: { age: '< 24h', size: '> 1MiB' }
```

## Requirements, environments, Dockerfiles

By its name or by `parse`, a file is read as one of these, and has measures of its own. They are *no data* for a file of \
another kind, for one that cannot be read as it claims to be, and for one that lists nothing.

- `requirements` (`requirements*.txt`): pip's requirements files and PEP 508. `-r` and `-c` are followed, joined lines, \
hashes, extras, markers and URLs are read. Pinned is `==` or `===` without `*`, a hash, a URL with a digest or a commit, \
a path of the tree, and what a constraint pins. `$.requirements[*]` has `name`, `specifier`, `extras`, `marker`, `url`, \
`hashes`, `editable`, `pinned`, `file`, `line`.
- `env` (`.env`, `.env.*`, `*.env`): `export`, quotes, comments and values over several lines, as Compose reads them. \
`keys`, `duplicates` and `unset` are its names.
- `dockerfile` (`Dockerfile`, `Dockerfile.*`, `*.Dockerfile`, `Containerfile`): `$.stages[*]` has `name`, `from`, \
`image`, `tag`, `digest`, `stage`, `platform`; `$.final` has what the last stage does: `user`, `workdir`, `ports`, \
`healthcheck`, `entrypoint`, `cmd`, `env`, `labels`. What a file does not say is not there.

```yaml
- name: Requirements are pinned
  file: requirements.txt
  expect: { unpinned: none }

- name: Every requirement has a hash
  file: { path: deploy/python.txt, parse: requirements }
  expect: { json: { '$.requirements[?@.hashes == 0]': absent } }

- name: Settings have defaults
  file: .env.example
  expect: { keys: { contains: [DATABASE_URL, METRICS_PORT] }, unset: none, duplicates: none }

- name: The image is built on known ground and does not run as root
  file: Dockerfile
  expect:
    unpinned: none
    json: { $.final.user: { not: { one_of: [root, '0'] } }, $.final.healthcheck: exists }
```

## Scans

With `secrets` or `pii`, every text of a file, a folder or a glob is searched for what should not be in it. \
`.gitignore` is respected (within a repository up to its root; `gitignore: false` turns it off), `.git` is left alone, \
symbolic links are not followed. Binary files and files over `max_size` are not read: they are said, and listed in \
`skipped`. Files come in the order of their paths, and each is read once.

A finding is never in the record: its first signs and its length stand for it. What is known to be none is let pass by \
`allow` (a pattern of the finding's text), by the step's `ignore` (a pattern of its line), by `exclude` (files), or by \
the comment `holdpoint:allow` on its line or alone on the line above, with the names of detectors behind it for these \
alone. What was let pass is counted in `allowed` and said.

Where no file was scanned, because none is there, all are ignored, binary or too large, every measure but `exists` and \
`count` is *no data*: nothing found in nothing is no pass. A file that may not be read is an *error*.

```yaml
- name: No hardcoded secrets
  file: { path: ., secrets: true }
  expect: { findings: none }

- name: Neither secrets nor personal data in the fixtures
  file:
    path: 'tests/fixtures/**'
    secrets: { without: [high-entropy] }
    pii: { with: [ip-address] }
    allow: '@firm\\.example$'
    exclude: ['*.snap']
  expect: { findings_count: 0, count: '>= 1', skipped: none }

- name: No private key is in the sources
  file: { path: src, secrets: { only: [private-key, password] } }
  expect: { found: { private-key: 0, password: '<= 1' } }
```

Checks and forms: Luhn of ISO/IEC 7812-1, MOD 97-10 of ISO 7064 and the lengths of the ISO 13616 registry, E.164, RFC 7519, \
Shannon's entropy, and the forms of tokens that their issuers publish.
";

const SECRETS: &str = "\n### Detectors of `secrets`\n\n";
const PERSONAL: &str = "\n### Detectors of `pii`\n\n";

const PAGE: [u8; LENGTH] = written();
const LENGTH: usize =
    FILES.len() + SECRETS.len() + list_length(Of::Secrets) + PERSONAL.len() + list_length(Of::Personal);

/// The parts of the line of a detector.
const fn line(detector: &Detector) -> [&str; 7] {
    ["- `", detector.name, "`: ", detector.finds, ". `", detector.form, "`\n"]
}

const fn is(of: Of, detector: &Detector) -> bool {
    of as u8 == detector.of as u8
}

const fn list_length(of: Of) -> usize {
    let (mut n, mut length) = (0, 0);
    while n < DETECTORS.len() {
        let mut part = 0;
        while is(of, &DETECTORS[n]) && part < 7 {
            length += line(&DETECTORS[n])[part].len();
            part += 1;
        }
        n += 1;
    }
    length
}

const fn written() -> [u8; LENGTH] {
    let mut page = [0; LENGTH];
    let at = put(&mut page, 0, FILES);
    let at = put(&mut page, at, SECRETS);
    let at = put_list(&mut page, at, Of::Secrets);
    let at = put(&mut page, at, PERSONAL);
    put_list(&mut page, at, Of::Personal);
    page
}

const fn put_list(page: &mut [u8; LENGTH], mut at: usize, of: Of) -> usize {
    let mut n = 0;
    while n < DETECTORS.len() {
        let mut part = 0;
        while is(of, &DETECTORS[n]) && part < 7 {
            at = put(page, at, line(&DETECTORS[n])[part]);
            part += 1;
        }
        n += 1;
    }
    at
}

const fn put(page: &mut [u8; LENGTH], at: usize, text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut n = 0;
    while n < bytes.len() {
        page[at + n] = bytes[n];
        n += 1;
    }
    at + bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_every_detector() {
        for detector in DETECTORS {
            let line = format!("- `{}`: {}. `{}`\n", detector.name, detector.finds, detector.form);
            assert_eq!(MANUAL.matches(&line).count(), 1, "{line}");
        }
        assert!(MANUAL.ends_with("`\n"));
    }
}
