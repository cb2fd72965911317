//! The detectors: one table of what a scan finds. The manual page lists it, and every detector is tested by its own
//! example.
//!
//! The forms of tokens are facts that their issuers publish. A detector that finds a form alone is for forms that
//! nothing else has; every other one has a check as well. What stands further up wins where two find the same text,
//! so the special ones come before the general ones.

use super::{numbers, words};

/// What kind of thing a detector finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// What opens a door.
    Secrets,
    /// What belongs to a person.
    Personal,
}

/// What decides whether a text of the right form is a finding.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// The form is enough.
    Form,
    /// The text passes this.
    Passes(fn(&str) -> bool),
    /// The text begins with the finding, which is so many bytes long.
    Begins(fn(&str) -> Option<usize>),
    /// The text is random beyond the threshold of the scan.
    Random,
}

/// A detector.
#[derive(Debug)]
pub struct Detector {
    /// Its name: the key of `found`.
    pub name: &'static str,
    /// What kind of thing it finds.
    pub of: Of,
    /// What it finds, for the manual page.
    pub finds: &'static str,
    /// The form of a finding, for the manual page; no example that works.
    pub form: &'static str,
    /// The form as a regular expression over bytes: its first group is the finding.
    pub pattern: &'static str,
    /// What else must hold.
    pub check: Check,
    /// Whether it looks without being named.
    pub usual: bool,
}

const fn secret(
    name: &'static str,
    finds: &'static str,
    form: &'static str,
    check: Check,
    pattern: &'static str,
) -> Detector {
    Detector { name, of: Of::Secrets, finds, form, pattern, check, usual: true }
}

const fn personal(
    name: &'static str,
    finds: &'static str,
    form: &'static str,
    check: Check,
    pattern: &'static str,
) -> Detector {
    Detector { name, of: Of::Personal, finds, form, pattern, check, usual: true }
}

const fn on_request(detector: Detector) -> Detector {
    Detector { usual: false, ..detector }
}

const TOKEN: Check = Check::Passes(words::is_token);

/// Looks a detector up.
pub fn find(name: &str) -> Option<&'static Detector> {
    DETECTORS.iter().find(|detector| detector.name == name)
}

/// All detectors.
pub const DETECTORS: &[Detector] = &[
    secret(
        "private-key",
        "a private key in PEM, OpenSSH or PGP armour, with its body",
        "-----BEGIN … PRIVATE KEY-----",
        Check::Form,
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\r|\\n|[A-Za-z-]{2,20}: [^\r\n]{0,80}[\r\n]+)*([A-Za-z0-9+/=]{16,})",
    ),
    secret("age-secret-key", "a secret key of age", "AGE-SECRET-KEY-1…", TOKEN, r"\b(AGE-SECRET-KEY-1[0-9A-Z]{58})\b"),
    secret(
        "aws-access-key",
        "the id of an access key of Amazon Web Services",
        "AKIA or ASIA and 16 capitals or digits",
        TOKEN,
        r"\b((?:AKIA|ASIA)[A-Z2-7]{16})\b",
    ),
    secret(
        "aws-secret-key",
        "a secret access key of Amazon Web Services, by its name",
        "aws_secret_access_key = 40 signs of base64",
        Check::Passes(words::is_key),
        r#"(?i)\baws[a-z0-9_.-]{0,20}secret[a-z0-9_.-]{0,20}["']?\s{0,4}(?:=>|[=:])\s{0,4}["']?([A-Za-z0-9+/]{40})(?:[^A-Za-z0-9+/=]|\z)"#,
    ),
    secret(
        "google-api-key",
        "an API key of Google",
        "AIza and 35 signs",
        TOKEN,
        r"\b(AIza[A-Za-z0-9_-]{35})(?:[^A-Za-z0-9_-]|\z)",
    ),
    secret(
        "google-client-secret",
        "the secret of an OAuth client of Google",
        "GOCSPX- and 28 signs",
        TOKEN,
        r"\b(GOCSPX-[A-Za-z0-9_-]{28})(?:[^A-Za-z0-9_-]|\z)",
    ),
    secret(
        "azure-storage-key",
        "the key of a storage account of Azure",
        "AccountKey=86 signs of base64 and ==",
        TOKEN,
        r"(?i)\bAccountKey=([A-Za-z0-9+/]{86}==)",
    ),
    secret(
        "azure-client-secret",
        "the secret of an application of Microsoft Entra",
        "three signs, a digit, Q~ and 31 to 34 signs",
        TOKEN,
        r"(?:^|[^A-Za-z0-9_~.-])([A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})(?:[^A-Za-z0-9_~.-]|\z)",
    ),
    secret(
        "digitalocean-token",
        "a token of DigitalOcean",
        "dop_v1_ and 64 hexadecimal digits",
        TOKEN,
        r"\b(do[oprt]_v1_[a-f0-9]{64})\b",
    ),
    secret(
        "github-token",
        "a token of GitHub: personal, OAuth, application, refresh",
        "ghp_, gho_, ghu_, ghs_ or ghr_ and 36 signs; github_pat_…",
        TOKEN,
        r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
    ),
    secret(
        "gitlab-token",
        "a token of GitLab: personal, deploy, runner, trigger and others",
        "glpat- and 20 signs or more",
        TOKEN,
        r"\b(gl(?:pat|dt|rt|rtr|ptt|cbt|ft|imt|agent|soat|oas|ffct)-[A-Za-z0-9_.-]{20,})",
    ),
    secret(
        "bitbucket-token",
        "an app password of Bitbucket or an API token of Atlassian",
        "ATBB and 32 signs; ATATT3…",
        TOKEN,
        r"\b(ATBB[A-Za-z0-9]{32}|ATATT3[A-Za-z0-9_=-]{60,})",
    ),
    secret(
        "slack-token",
        "a token of Slack: bot, user, application, configuration",
        "xoxb-, xoxp-, xoxa-, xoxe-, xoxr-, xoxs- or xapp- and numbers",
        TOKEN,
        r"\b(xox[abeoprs](?:\.xox[bp])?-[0-9]{1,13}-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Z0-9]+-[0-9]+-[a-z0-9]{20,})",
    ),
    secret(
        "slack-webhook",
        "an incoming webhook of Slack",
        "https://hooks.slack.com/services/T…/B…/…",
        TOKEN,
        r"https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/([A-Za-z0-9]{8,15}/[A-Za-z0-9]{8,20}/[A-Za-z0-9]{18,60})",
    ),
    secret(
        "discord-webhook",
        "a webhook of Discord",
        "https://discord.com/api/webhooks/…/…",
        TOKEN,
        r"https://(?:ptb\.|canary\.)?discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]{17,20}/([A-Za-z0-9_-]{60,80})",
    ),
    secret(
        "discord-token",
        "the token of a bot of Discord; its first part is a number in base64",
        "three parts with dots between, of 24 to 28, 6 and 27 to 38 signs",
        Check::Passes(words::names_an_account),
        r"\b([MNO][A-Za-z0-9]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38})(?:[^A-Za-z0-9_-]|\z)",
    ),
    secret(
        "teams-webhook",
        "an incoming webhook of Microsoft Teams",
        "https://….webhook.office.com/webhookb2/…/IncomingWebhook/…",
        TOKEN,
        r"https://[a-z0-9-]+\.webhook\.office\.com/webhookb2/[0-9a-f@-]+/IncomingWebhook/([0-9a-f]{32}/[0-9a-f-]{36})",
    ),
    secret(
        "telegram-token",
        "the token of a bot of Telegram",
        "8 to 10 digits, a colon, AA and 33 signs",
        TOKEN,
        r"\b([0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?:[^A-Za-z0-9_-]|\z)",
    ),
    secret(
        "stripe-key",
        "a secret or restricted key, or the secret of a webhook, of Stripe",
        "sk_live_, rk_live_, sk_test_ or whsec_ and 24 signs or more",
        TOKEN,
        r"\b([sr]k_(?:live|test)_[A-Za-z0-9]{24,}|whsec_[A-Za-z0-9+/]{32,}={0,2})",
    ),
    secret(
        "sendgrid-key",
        "an API key of SendGrid",
        "SG., 22 signs, a dot, 43 signs",
        TOKEN,
        r"\b(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})(?:[^A-Za-z0-9_-]|\z)",
    ),
    secret(
        "openai-key",
        "an API key of OpenAI or Anthropic",
        "sk-…T3BlbkFJ…; sk-ant-…",
        TOKEN,
        r"\b(sk-(?:[a-z]+-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}|sk-ant-[a-z0-9]+-[A-Za-z0-9_-]{80,})",
    ),
    secret("huggingface-token", "a token of Hugging Face", "hf_ and 34 letters", TOKEN, r"\b(hf_[A-Za-z]{34})\b"),
    secret("npm-token", "a token of npm", "npm_ and 36 signs", TOKEN, r"\b(npm_[A-Za-z0-9]{36})\b"),
    secret("pypi-token", "a token of PyPI", "pypi-AgE…", TOKEN, r"\b(pypi-AgE[A-Za-z0-9_-]{50,})"),
    secret(
        "package-token",
        "a token of RubyGems, Docker Hub or Cargo",
        "rubygems_…, dckr_pat_…, cio…",
        TOKEN,
        r"\b(rubygems_[a-f0-9]{48}|dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,40}|cio[A-Za-z0-9]{32})\b",
    ),
    secret(
        "hashicorp-token",
        "a token of Vault or of HCP Terraform",
        "hvs. and 24 signs or more; ….atlasv1.…",
        TOKEN,
        r"\b(hv[sbr]\.[A-Za-z0-9_-]{24,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70})",
    ),
    secret(
        "grafana-token",
        "a token of a service account of Grafana or of Grafana Cloud",
        "glsa_, 32 signs, _, 8 hexadecimal digits; glc_eyJ…",
        TOKEN,
        r"\b(glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_eyJ[A-Za-z0-9+/]{40,}={0,2})",
    ),
    secret(
        "monitoring-token",
        "a token of New Relic or Sentry",
        "NRAK- and 27 signs; sntrys_eyJ…; sntryu_ and 64 hexadecimal digits",
        TOKEN,
        r"\b(NRAK-[A-Z0-9]{27}|sntrys_eyJ[A-Za-z0-9+/=_-]{60,}|sntryu_[a-f0-9]{64})\b",
    ),
    secret(
        "service-token",
        "a token of Databricks, Shopify, Linear, Postman or Cloudflare's origin authority",
        "dapi…, shpat_…, lin_api_…, PMAK-…, v1.0-…",
        TOKEN,
        r"\b(dapi[a-f0-9]{32}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|lin_api_[A-Za-z0-9]{40}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}|v1\.0-[a-f0-9]{24}-[a-f0-9]{146})\b",
    ),
    secret(
        "jwt",
        "a JSON Web Token that is signed; its header is read",
        "eyJ….eyJ….…",
        Check::Passes(words::is_jwt),
        r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,})",
    ),
    secret(
        "url-password",
        "a password in a URL",
        "scheme://name:password@host",
        Check::Passes(|text| !words::is_blank(text)),
        r#"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@"'<>`\\]{0,64}:([^\s/@"'<>`\\]{2,128})@[a-z0-9_.\[-]"#,
    ),
    secret(
        "authorization",
        "credentials in a header `Authorization`",
        "Authorization: Bearer …",
        Check::Passes(words::is_key),
        r#"(?i)\bauthorization["']?\s{0,4}[:=]\s{0,4}["']?(?:bearer|basic|token)\s+([A-Za-z0-9+/=_.~-]{16,})"#,
    ),
    secret(
        "password",
        "a password assigned in code or settings; notorious ones too, placeholders not",
        "password = \"…\"",
        Check::Passes(words::is_password),
        r#"(?i)(?:passw(?:or)?d|passphrase|pwd)(?:[0-9]{1,2}|_(?:prod(?:uction)?|live|staging|dev|test|default))?["'\]]{0,2}\s{0,4}(?::=|=>|={1,3}|:)\s{0,4}["'`]([^"'`\s\\]{4,128})["'`]"#,
    ),
    secret(
        "bare-password",
        "a password in settings without quotes: notorious, or with a digit or an odd sign",
        "DB_PASSWORD=…",
        Check::Passes(words::is_bare_password),
        r#"(?im)^[ \t]*(?:export[ \t]+|set[ \t]+|-[ \t]+|ENV[ \t]+|ARG[ \t]+)?[a-z0-9_.-]{0,60}(?:passw(?:or)?d|passphrase|pwd)(?:[0-9]{1,2}|_(?:prod(?:uction)?|live|staging|dev|test|default))?[ \t]*[=:][ \t]*([^\s"'`#,;(){}\[\]<>$&|*]{4,128})[ \t]*(?:#[^\n]*)?\r?$"#,
    ),
    secret(
        "assigned-key",
        "a value assigned to a name that ends in secret, token, api_key, access_key and such",
        "api_key: \"…\"",
        Check::Passes(words::is_key),
        r#"(?i)(?:api|access|auth|private|signing|encryption|master|shared|account|client|secret)[_.-]?(?:key|token|secret)["'\]]{0,2}\s{0,4}(?::=|=>|={1,3}|:)\s{0,4}["'`]([A-Za-z0-9+/=_.~!@%^-]{8,})["'`]|(?i)\b(?:[a-z0-9]+[_.-])?(?:secret|token)["'\]]{0,2}\s{0,4}(?::=|=>|={1,3}|:)\s{0,4}["'`]([A-Za-z0-9+/=_.~!@%^-]{12,})["'`]"#,
    ),
    secret(
        "bare-key",
        "the same in settings without quotes, of 16 signs or more",
        "API_KEY=…",
        Check::Passes(words::is_key),
        r"(?im)^[ \t]*(?:export[ \t]+|set[ \t]+|-[ \t]+|ENV[ \t]+|ARG[ \t]+)?[a-z0-9_.-]{0,60}(?:(?:api|access|auth|private|signing|encryption|master|shared|account|client|secret)[_.-]?(?:key|token|secret)|secret|token)[ \t]*[=:][ \t]*([A-Za-z0-9+/=_~-]{16,})[ \t]*(?:#[^\n]*)?\r?$",
    ),
    secret(
        "high-entropy",
        "a random text of 32 to 128 signs of base64 in quotes or assigned: over `entropy` bits a sign, with capitals, small letters and digits; hexadecimal texts, integrities and public keys are none",
        "\"32 to 128 signs of base64\"",
        Check::Random,
        r#"(?:["'`]|[A-Za-z0-9_"'\])][ \t]{0,4}(?:=|:[ \t])[ \t]{0,4})([A-Za-z0-9+/_-]{32,128}={0,2})(?:["'`\s,;]|\z)"#,
    ),
    personal(
        "email",
        "the e-mail address of somebody; none of a domain for examples, none of a machine",
        "name@firm.tld",
        Check::Passes(words::is_address),
        r"(?:^|[^A-Za-z0-9._%+/@-])([A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+)",
    ),
    personal(
        "phone",
        "a telephone number in the international form (E.164) with a country code that is assigned",
        "+49 30 …",
        Check::Passes(numbers::is_phone),
        r"(?:^|[^A-Za-z0-9_+./=-])(\+[1-9](?:[ .-]?\(?[0-9]{1,5}\)?){2,9})(?:[^A-Za-z0-9_/=+-]|\z)",
    ),
    personal(
        "iban",
        "a bank account (IBAN) of the length of its country, by its check digits modulo 97",
        "DE and 20 digits, in groups or not",
        Check::Begins(numbers::iban),
        r"\b([A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30})",
    ),
    personal(
        "payment-card",
        "a payment card in the range of an issuer, by the Luhn check",
        "16 digits, in groups or not (14, 15, 19 for some issuers)",
        Check::Passes(numbers::is_card),
        r"(?:^|[^A-Za-z0-9_.+/=-])([0-9]{14,19}|[0-9]{4}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{1,3})?|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})(?:\.?(?:[^A-Za-z0-9_./+=-]|\z))",
    ),
    personal(
        "br-cpf",
        "a Brazilian CPF in its written form, by its check digits",
        "000.000.000-00",
        Check::Passes(numbers::is_cpf),
        r"(?:^|[^0-9.])([0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2})(?:[^0-9-]|\z)",
    ),
    personal(
        "es-dni",
        "a Spanish DNI or NIE, by its letter",
        "8 digits and a letter",
        Check::Passes(numbers::is_dni),
        r"(?:^|[^A-Za-z0-9_./+=-])([XYZ]?[0-9]{7,8}-?[A-HJ-NP-TV-Z])(?:[^A-Za-z0-9_/+=-]|\z)",
    ),
    personal(
        "it-codice-fiscale",
        "an Italian codice fiscale, by its check letter",
        "6 letters, 2 digits, a letter, 2 digits, a letter, 3 digits, a letter",
        Check::Passes(numbers::is_codice_fiscale),
        r"\b([A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z])\b",
    ),
    personal(
        "fi-hetu",
        "a Finnish henkilötunnus, by its date and its check sign",
        "ddmmyy-000A",
        Check::Passes(numbers::is_hetu),
        r"(?:^|[^A-Za-z0-9_./+=-])([0-9]{6}[-+A][0-9]{3}[0-9A-Y])(?:[^A-Za-z0-9_/+=-]|\z)",
    ),
    personal(
        "fr-nir",
        "a French social security number (NIR), by its key",
        "1 or 2, and 14 digits, in groups or not",
        Check::Passes(numbers::is_nir),
        r"(?:^|[^A-Za-z0-9_./+=-])([12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2})(?:[^A-Za-z0-9_/+=-]|\z)",
    ),
    personal(
        "be-rrn",
        "a Belgian national number in its written form, by its date and its check digits",
        "yy.mm.dd-000.00",
        Check::Passes(numbers::is_rrn),
        r"(?:^|[^0-9.])([0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2})(?:[^0-9.-]|\z)",
    ),
    personal(
        "cn-resident-id",
        "the number of a Chinese resident, by its date and its check sign",
        "17 digits and a digit or X",
        Check::Passes(numbers::is_resident_id),
        r"(?:^|[^A-Za-z0-9_./+=-])([1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9X])(?:[^A-Za-z0-9_/+=-]|\z)",
    ),
    on_request(personal(
        "ip-address",
        "an address of the public internet; only when it is named, as version numbers look like it",
        "four numbers from 0 to 255 with dots between, or IPv6",
        Check::Passes(numbers::is_public_address),
        r"(?:^|[^A-Za-z0-9_.:-])((?:[0-9]{1,3}\.){3}[0-9]{1,3}|(?:[0-9a-fA-F]{1,4}:{1,2}){2,7}[0-9a-fA-F]{1,4})(?:[^A-Za-z0-9_:-]|\z)",
    )),
];
