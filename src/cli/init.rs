//! `init` and `completions`: a beginning.

use std::io::Write;

use clap::CommandFactory;

use super::args::{Args, InitArgs};
use super::{Result, stdio};

const STARTER: &str = r#"# yaml-language-server: $schema=./holdpoint.schema.json
holdpoint: 1
name: Is {{ inputs.service }} ready?
stage: staging

inputs:
  service: { default: my-service, help: The name of the service }
  base_url: { type: url, default: "http://localhost:8080", env: BASE_URL, help: Where the service answers }

sections:
  - name: The service answers
    steps:
      - name: Health endpoint responds within half a second
        http: GET {{ inputs.base_url }}/health
        expect: { status: 200, latency: "< 500ms" }
        eventually: 30s
        why: Nothing else makes sense while this fails.

      - name: Somebody has looked at the dashboard
        manual: Open the dashboard and look at the last hour.
        required: false
"#;

pub(super) fn main(args: &InitArgs) -> Result<u8> {
    let mut file = match std::fs::File::create_new(&args.file) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            anyhow::bail!("{} exists already; name another file", args.file.display())
        }
        Err(error) => anyhow::bail!("{}: {error}", args.file.display()),
    };
    file.write_all(STARTER.as_bytes())?;
    stdio::say(&format!("wrote {0}; next: holdpoint check {0}, then holdpoint run {0}", args.file.display()));
    stdio::say("for completion and checks in an editor: holdpoint schema > holdpoint.schema.json");
    Ok(0)
}

/// Prints completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "holdpoint", &mut text);
    stdio::print(&String::from_utf8_lossy(&text));
    Ok(0)
}
