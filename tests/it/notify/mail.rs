//! Mail, against a server that takes it or does not.

use super::{FAILS, checklist, last, told};
use crate::support::env::{Ran, TestEnv};
use crate::support::smtp::{Secrecy, Smtp};

fn run(env: &TestEnv, server: &Smtp, rest: &str) -> Ran {
    let notify = format!(
        "inputs: {{ password: {{ secret: true, env: PASSWORD }} }}\nnotify:\n  - email: [sre@example.com, 'Ops <ops@example.com>']\n    \
         server: '{}'\n    from: Deploys <deploys@example.com>\n    on: no-go\n    user: me\n    password: '{{{{ inputs.password }}}}'\n    \
         ca: '{}'\n    text: Für {{{{ run.service }}}}\n    retry: {{ attempts: 3, delay: 20ms }}\n{rest}",
        server.address(),
        server.ca().display()
    );
    env.write("checklist.yaml", &checklist(&notify, FAILS));
    let mut command = env.command(&["run", "checklist.yaml", "--store", "runs.db"]);
    Ran::of(command.env("PASSWORD", "s3cret-pw").output().expect("the program runs"))
}

fn assert_taken(ran: &Ran, server: &Smtp) {
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("was not told"), "{}", ran.stderr);
    let heard = server.heard();
    assert_eq!(heard.mails.len(), 1, "{heard:?}");
    let mail = &heard.mails[0];
    for part in [
        "From: Deploys <deploys@example.com>",
        "To: sre@example.com, Ops <ops@example.com>",
        "Subject: NO-GO: Promotion",
        "Für zai-proxy",
        "fail: It answers",
        "exit_code: expected 0, observed 3",
        "holdpoint show",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    let commands = heard.commands.join("\n");
    for part in ["MAIL FROM:<deploys@example.com>", "RCPT TO:<sre@example.com>", "RCPT TO:<ops@example.com>"] {
        assert!(commands.contains(part), "{commands}");
    }
}

#[test]
fn a_mail_is_taken_over_starttls_over_tls_and_in_plain() {
    for (secrecy, word) in [(Secrecy::StartTls, "starttls"), (Secrecy::Tls, "tls"), (Secrecy::None, "none")] {
        let (env, server) = (TestEnv::new(), Smtp::start(secrecy, &[]));
        let ran = run(&env, &server, &format!("    security: {word}\n"));
        assert_taken(&ran, &server);
        let auth: Vec<_> = server.heard().commands.into_iter().filter(|line| line.contains("AUTH")).collect();
        assert_eq!(auth.len(), 1, "{auth:?}");
        assert_eq!(auth[0].starts_with("TLS "), secrecy != Secrecy::None, "{auth:?}");
    }
}

#[test]
fn a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let (env, server) = (TestEnv::new(), Smtp::start(Secrecy::StartTls, &["451 4.7.1 try again later"]));
    assert_taken(&run(&env, &server, ""), &server);
    assert_eq!(told(&last(&env))[0].2, 2);
    let (env, server) =
        (TestEnv::new(), Smtp::start(Secrecy::StartTls, &["554 5.7.1 we take no such mail", "250 taken"]));
    let ran = run(&env, &server, "");
    assert_eq!(ran.status, 1);
    assert!(
        ran.stderr.contains("email was not told of no-go: permanent error (554): 5.7.1 we take no such mail"),
        "{}",
        ran.stderr
    );
}

#[test]
fn nothing_is_sent_in_plain_where_that_is_not_wished() {
    let (env, server) = (TestEnv::new(), Smtp::start(Secrecy::None, &[]));
    let ran = run(&env, &server, "");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("email was not told of no-go"), "{}", ran.stderr);
    let heard = server.heard();
    assert!(
        heard.mails.is_empty()
            && heard.commands.iter().all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")),
        "{heard:?}"
    );
    // A certificate that nobody vouches for is refused before anything is said.
    let (env, server) = (TestEnv::new(), Smtp::start(Secrecy::StartTls, &[]));
    let yaml = checklist(
        &format!(
            "notify:\n  - {{ email: a@b.example, server: '{}', from: c@d.example, on: no-go }}\n",
            server.address()
        ),
        FAILS,
    );
    env.write("checklist.yaml", &yaml);
    let ran = env.run(&["run", "checklist.yaml", "--store", "runs.db"]);
    assert!(ran.status == 1 && ran.stderr.contains("email was not told of no-go"), "{}", ran.stderr);
    assert!(server.heard().mails.is_empty());
}
