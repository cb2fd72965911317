//! The command line: one file a command. It alone joins the parts.

mod archive;
mod args;
mod attest;
mod backtest;
mod carry;
mod check;
mod conduct;
mod deliver;
mod demo;
mod describe;
mod explain;
mod init;
mod known;
mod load;
mod moments;
mod notify;
mod past;
mod people;
mod policed;
mod prove;
mod release;
mod reports;
mod resume;
mod run;
mod sign;
mod signals;
mod signatures;
mod signers;
mod statements;
mod stdio;
mod tell;
mod tick;
mod timetable;
mod verify;
mod waivers;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// The exit status for wrong usage and invalid checklists.
const USAGE: u8 = 2;

/// What a command could not do, for people: said on stderr, exit status 2.
type Result<T> = anyhow::Result<T>;

/// Runs the program: arguments in, exit status out.
pub fn main() -> ExitCode {
    // What a panic says may hold a secret: its place is enough to report it.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let what = if cfg!(debug_assertions) {
            format!("{}: ", panic.payload_as_str().unwrap_or_default())
        } else {
            String::new()
        };
        stdio::say(&format!("error: {what}holdpoint broke down at {place}; please report it"));
    }));
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match dispatch(args) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            stdio::say(&format!("error: {error:#}"));
            ExitCode::from(USAGE)
        }
    }
}

fn dispatch(args: Args) -> Result<u8> {
    match args.command {
        Command::Run(args) => run::main(&args),
        Command::Resume(args) => resume::main(&args),
        Command::Tick(args) => tick::main(&args),
        Command::Backtest(args) => backtest::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Plan(args) => describe::main(&args),
        Command::Attest(args) => attest::main(&args),
        Command::Sign(args) => sign::main(&args),
        Command::Release(args) => release::main(&args),
        Command::Report(args) => past::report(&args),
        Command::Notify(args) => notify::main(&args),
        Command::Prove(args) => prove::main(&args),
        Command::Verify(args) => verify::main(&args),
        Command::Import(args) => past::import(&args),
        Command::Runs(args) => past::runs(&args),
        Command::Show(args) => past::show(&args),
        Command::Export(args) => past::export(&args),
        Command::Explain(args) => explain::main(&args),
        Command::Schema { of } => explain::schema(of),
        Command::Init(args) => init::main(&args),
        Command::Completions { shell } => init::completions(shell),
        Command::Demo(args) => demo::main(&args),
    }
}
