//! The arguments, as clap reads them.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};

/// Makes deployment checklists executable: probes, judgement, evidence and sign-off.
///
/// Exit status: 0 go, 1 no-go, 2 wrong usage or invalid checklist, 3 undecided, 4 held.
#[derive(Debug, Parser)]
#[command(name = "holdpoint", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run checklists; the exit status is the decision
    Run(RunArgs),
    /// Say every mistake of a checklist at once
    Check(CheckArgs),
    /// Show what would run, in which order, against what
    Plan(PlanArgs),
    /// Go on with a run that was left or cut short
    Resume(ResumeArgs),
    /// Do what is due of runs that are spread over hours, and leave: for cron and CI
    Tick(TickArgs),
    /// Judge a checklist as of many past times
    Backtest(BacktestArgs),
    /// Answer the manual steps of a run
    Attest(AttestArgs),
    /// Sign a run, or a hold point of it, with your SSH key
    Sign(SignArgs),
    /// Release a hold point that asks for no signature
    Release(ReleaseArgs),
    /// Write reports of a run, also from an exported record
    Report(ReportArgs),
    /// Print or send the messages of a checklist, or once more those of a run
    Notify(NotifyArgs),
    /// Show that the gate can go red: judge a run again on measures changed for the worse
    Prove(ProveArgs),
    /// Verify a record or a sign-off document: the chain, the files, the signatures, and every verdict judged again
    Verify(VerifyArgs),
    /// Put an exported record into the store
    Import(ImportArgs),
    /// List the runs of the store
    Runs(RunsArgs),
    /// Show a run
    Show(ShowArgs),
    /// Write a run as one portable file, or as a statement for machines elsewhere
    Export(ExportArgs),
    /// Explain a diagnostic code or a probe
    Explain(ExplainArgs),
    /// Print the JSON Schema of the checklist language, or of policy files
    Schema {
        /// What the schema is of
        #[arg(value_enum, default_value_t = SchemaOf::Checklist)]
        of: SchemaOf,
    },
    /// Write a small checklist to begin with
    Init(InitArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Run a realistic checklist against a sample service inside this process
    Demo(DemoArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Checklists
    Checklist,
    /// Policy files
    Policy,
}

/// Where runs are kept.
#[derive(Clone, Debug, Group)]
pub(crate) struct StoreArg {
    /// The store: a path of a SQLite file, or memory:
    #[arg(long, env = "HOLDPOINT_STORE", default_value = ".holdpoint/holdpoint.db", value_name = "URL")]
    pub store: String,
}

/// Values for the checklist's inputs.
#[derive(Clone, Debug, Default, Group)]
pub(crate) struct InputArgs {
    /// Give an input a value
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Read inputs from a YAML or JSON file; later files are stronger
    #[arg(id = "input_files", long = "inputs", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Which steps to run.
#[derive(Clone, Debug, Default, Group)]
pub(crate) struct SelectArgs {
    /// Run only what matches: a glob over ids and names of steps and sections, or tag:WORD
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<String>,
    /// Leave out what matches
    #[arg(long, value_name = "PATTERN")]
    pub skip: Vec<String>,
}

/// What checklists may touch.
#[derive(Clone, Debug, Default, Group)]
pub(crate) struct PolicyArg {
    /// A policy file: which probes, commands, hosts and files a checklist may touch (`holdpoint explain policy`)
    #[arg(long, env = "HOLDPOINT_POLICY", value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// How a run is carried out.
#[derive(Clone, Debug, Group)]
pub(crate) struct HowArgs {
    /// How many steps run side by side
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
    pub jobs: u16,
    /// How many steps ask the same host side by side
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
    pub per_host: u16,
    /// Make a warning a no-go
    #[arg(long)]
    pub strict: bool,
    /// Refuse commands and everything that changes the world
    #[arg(long, conflicts_with = "allow_changes")]
    pub read_only: bool,
    /// Consent to steps that change the world
    #[arg(long)]
    pub allow_changes: bool,
    /// A file of waivers: failures that are known and do not block for a while
    #[arg(long, value_name = "FILE")]
    pub waivers: Option<PathBuf>,
    #[command(flatten)]
    pub policy: PolicyArg,
    /// Write a report: markdown, junit, json, tap or record, and where to (- for stdout)
    #[arg(long = "report", value_name = "FORMAT=PATH")]
    pub reports: Vec<String>,
    /// A minijinja template for the markdown report
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// What is shown while it runs: text for people, json for programs (one event a line on stdout)
    #[arg(long, value_enum, default_value_t = Show::Text)]
    pub format: Show,
    /// Whether the messages of the checklist are sent, or printed on stderr
    #[arg(long, value_enum, default_value_t = NotifyArg::Send, value_name = "HOW")]
    pub notify: NotifyArg,
    /// Tell nobody
    #[arg(long, conflicts_with = "notify")]
    pub no_notify: bool,
}

/// What becomes of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NotifyArg {
    /// They are sent
    Send,
    /// They are printed, and nothing is sent
    DryRun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Show {
    /// For people
    Text,
    /// One event a line
    Json,
}

#[derive(Debug, Group)]
pub(crate) struct RunArgs {
    /// The checklists
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Ask as of a past time, as if the run had begun then: 2026-11-20T14:00:00Z, or 7d ago as 7d; what cannot be asked
    /// about the past is skipped
    #[arg(long, value_name = "TIME", conflicts_with_all = ["tick", "wait", "allow_changes"])]
    pub at: Option<String>,
    /// Stay at a hold point until it is released, also without a terminal
    #[arg(long)]
    pub wait: bool,
    /// Do what is due and leave; go on with `holdpoint tick`
    #[arg(long, conflicts_with = "wait")]
    pub tick: bool,
    #[command(flatten)]
    pub how: HowArgs,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct ResumeArgs {
    /// The run: its id, a unique prefix of it, or last
    #[arg(default_value = "last")]
    pub run: String,
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Go on although the checklist's text is another; its steps must be the same
    #[arg(long)]
    pub accept_changed: bool,
    /// Stay at a hold point until it is released, also without a terminal
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub how: HowArgs,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct TickArgs {
    /// The runs: ids, unique prefixes, or last; without one, every soak of the store that is not over
    #[arg(value_name = "RUN")]
    pub runs: Vec<String>,
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Go on although the checklist's text is another; its steps must be the same
    #[arg(long)]
    pub accept_changed: bool,
    #[command(flatten)]
    pub how: HowArgs,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct BacktestArgs {
    /// The checklist
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A past time: 2026-11-20T14:00:00Z, or 7d ago as 7d
    #[arg(long, value_name = "TIME")]
    pub at: Vec<String>,
    /// How far apart the times are that --last asks for
    #[arg(long, value_name = "TIME", requires = "last")]
    pub every: Option<String>,
    /// How far back to begin
    #[arg(long, value_name = "TIME", requires = "every")]
    pub last: Option<String>,
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub policy: PolicyArg,
    /// How many times are judged side by side
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64), value_name = "N")]
    pub jobs: u16,
    /// Make a warning a no-go
    #[arg(long)]
    pub strict: bool,
    /// text for people, json for programs
    #[arg(long, value_enum, default_value_t = Show::Text)]
    pub format: Show,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiagnosticFormat {
    /// For people
    Text,
    /// For editors
    Json,
    /// Workflow commands of GitHub Actions
    Github,
}

#[derive(Debug, Group)]
pub(crate) struct CheckArgs {
    /// The checklists
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A file of waivers to check beside them
    #[arg(long, value_name = "FILE")]
    pub waivers: Option<PathBuf>,
    #[command(flatten)]
    pub policy: PolicyArg,
    #[command(flatten)]
    pub inputs: InputArgs,
    /// How mistakes are shown
    #[arg(long, value_enum, default_value_t = DiagnosticFormat::Text)]
    pub format: DiagnosticFormat,
}

#[derive(Debug, Group)]
pub(crate) struct PlanArgs {
    /// The checklist
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub policy: PolicyArg,
}

#[derive(Debug, Group)]
#[command(group = clap::ArgGroup::new("answer").requires("step"))]
pub(crate) struct AttestArgs {
    /// The run: its id, a unique prefix of it, or last
    #[arg(default_value = "last")]
    pub run: String,
    /// The step's id; without one all that are open are gone through
    pub step: Option<String>,
    /// It is as it should be
    #[arg(long, group = "answer")]
    pub pass: bool,
    /// It is not
    #[arg(long, group = "answer")]
    pub fail: bool,
    /// It does not apply; say why with --note
    #[arg(long, group = "answer")]
    pub na: bool,
    /// What was seen, or why it does not apply
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub note: String,
    /// A file that shows it; kept in the store by its digest
    #[arg(long, value_name = "FILE")]
    pub evidence: Vec<PathBuf>,
    /// Who answers; the user when not given
    #[arg(long = "as", value_name = "NAME")]
    pub named: Option<String>,
    /// In which role, for a step that asks for one
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    #[command(flatten)]
    pub store: StoreArg,
}

/// What a signer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SaysArg {
    /// Yes
    Approve,
    /// Yes, under --conditions
    Conditional,
    /// No; say why with --note
    Reject,
}

#[derive(Debug, Group)]
pub(crate) struct SignArgs {
    /// The run: its id, a unique prefix of it, or last
    pub run: String,
    /// In which role
    #[arg(long, value_name = "ROLE")]
    pub role: String,
    /// What you say
    #[arg(long, value_enum)]
    pub decision: SaysArg,
    /// A condition under which the yes holds; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub conditions: Vec<String>,
    /// With which words; a rejection needs them
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub note: String,
    /// The hold point that is signed; the end of the run when not given
    #[arg(long, value_name = "SECTION")]
    pub hold: Option<String>,
    /// The key: a file, or the fingerprint or comment of one in your ssh-agent; the agent's only key when not given
    #[arg(long, env = "HOLDPOINT_KEY", value_name = "FILE")]
    pub key: Option<String>,
    /// Who signs, when the key speaks for several
    #[arg(long = "as", value_name = "NAME")]
    pub named: Option<String>,
    /// Whose key is whose, in OpenSSH's format; the checklist's own file when not given
    #[arg(long, env = "HOLDPOINT_ALLOWED_SIGNERS", value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
    /// Sign without asking at the terminal
    #[arg(long, short)]
    pub yes: bool,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct ReleaseArgs {
    /// The run: its id, a unique prefix of it, or last
    #[arg(default_value = "last")]
    pub run: String,
    /// The section whose hold point is released; the only one that waits when not given
    pub section: Option<String>,
    /// Decline instead; say why with --note
    #[arg(long)]
    pub decline: bool,
    /// With which words
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub note: String,
    /// Whose key is whose, in OpenSSH's format; the checklist's own file when not given
    #[arg(long, env = "HOLDPOINT_ALLOWED_SIGNERS", value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct ReportArgs {
    /// The run (an id, a unique prefix of one, or last), or the file of an exported record
    pub run: String,
    /// The report: markdown, junit, json, tap or record, and where to (- for stdout)
    #[arg(long = "report", value_name = "FORMAT=PATH")]
    pub reports: Vec<String>,
    /// A minijinja template for the markdown report
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct NotifyArgs {
    /// A checklist, whose messages are those of a made-up run, or a run: its id, a unique prefix of it, or last
    #[arg(default_value = "last", value_name = "FILE|RUN")]
    pub what: String,
    /// What is told: start, held, checkpoint, failure, no-go, go, undecided or end; no-go of a checklist when not given,
    /// and of a run what became of it
    #[arg(long, value_name = "EVENT")]
    pub event: Option<String>,
    /// Only this channel, by its name
    #[arg(long, value_name = "NAME")]
    pub channel: Vec<String>,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct ProveArgs {
    /// The run (an id, a unique prefix of one, or last), or the file of an exported record
    #[arg(default_value = "last")]
    pub run: String,
    /// The checklist as it is now: its steps are proved on the measures of the run
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub inputs: InputArgs,
    /// text for people, json for programs
    #[arg(long, value_enum, default_value_t = Show::Text)]
    pub format: Show,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct VerifyArgs {
    /// The file of an exported record, a sign-off document in Markdown, or a run (an id, a unique prefix of one, or last)
    #[arg(default_value = "last", value_name = "RECORD")]
    pub what: String,
    /// Whose key is whose, in OpenSSH's form
    #[arg(long, env = "HOLDPOINT_ALLOWED_SIGNERS", value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
    /// text for people, json for programs
    #[arg(long, value_enum, default_value_t = Show::Text)]
    pub format: Show,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct ImportArgs {
    /// The file that `holdpoint export` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct RunsArgs {
    /// How many, the latest first
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub last: usize,
    /// text for people, json for programs
    #[arg(long, value_enum, default_value_t = Show::Text)]
    pub format: Show,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct ShowArgs {
    /// The run (an id, a unique prefix of one, or last), or the file of an exported record
    #[arg(default_value = "last")]
    pub run: String,
    /// text for people, json for programs
    #[arg(long, value_enum, default_value_t = Show::Text)]
    pub format: Show,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportKind {
    /// The portable record
    Record,
    /// An in-toto Statement with the predicate of test results; in a DSSE envelope when it is signed
    InToto,
    /// A short document for a release page; its signature stands in FILE.sig
    Summary,
}

#[derive(Debug, Group)]
pub(crate) struct ExportArgs {
    /// The run: its id, a unique prefix of it, or last; for statements also the file of an exported record
    #[arg(default_value = "last")]
    pub run: String,
    /// What to write: the record itself, an in-toto statement of test results, or a summary
    #[arg(long = "as", value_enum, default_value_t = ExportKind::Record, value_name = "WHAT")]
    pub kind: ExportKind,
    /// Sign the statement or the summary: a key file of OpenSSH, or a key of the agent by its comment or fingerprint
    #[arg(long, value_name = "KEY")]
    pub sign: Option<String>,
    /// Write the public half of the key as PEM, for verifiers that do not read keys of OpenSSH
    #[arg(long, value_name = "FILE", requires = "sign")]
    pub public_key: Option<PathBuf>,
    /// What was checked, by its digest: NAME=sha256:DIGEST
    #[arg(long = "subject", value_name = "NAME=DIGEST")]
    pub subjects: Vec<String>,
    /// Where more can be read of the run
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The file to write; stdout when not given
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Write the signatures instead, each with the text it covers, and print how ssh-keygen verifies them
    #[arg(long, value_name = "FOLDER", conflicts_with = "output")]
    pub signatures: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Group)]
pub(crate) struct ExplainArgs {
    /// A probe, a channel, a template, `notify`, `policy` or a diagnostic code; without one all are listed
    pub name: Option<String>,
}

#[derive(Debug, Group)]
pub(crate) struct InitArgs {
    /// The file to write
    #[arg(default_value = "checklist.yaml")]
    pub file: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct DemoArgs {
    /// Run against the service with its fault removed
    #[arg(long)]
    pub fix: bool,
    /// The folder for the reports
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    pub output: PathBuf,
    #[command(flatten)]
    pub store: StoreArg,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_fit_together() {
        super::Args::command().debug_assert();
    }
}
