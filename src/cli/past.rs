//! `runs`, `show`, `report`, `export`: what was, from the store or from an exported record.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;
use std::sync::Arc;

use chrono::Utc;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use crate::record::{self, RunRecord, RunStore, RunSummary, format, store};
use crate::report::{Options, RunView, find, terminal};
use crate::signoff;

use super::args::{ExportArgs, ExportKind, ImportArgs, ReportArgs, RunsArgs, Show, ShowArgs};
use super::reports::Wanted;
use super::{Result, USAGE, carry, stdio};

/// Where a record came from.
pub(super) enum Origin {
    Store(Box<dyn RunStore>),
    File,
}

pub(super) fn runs(args: &RunsArgs) -> Result<u8> {
    let runs = open_existing(&args.store.store)?.runs()?;
    let latest: Vec<&RunSummary> = runs.iter().rev().take(args.last).collect();
    if args.format == Show::Json {
        let list: Vec<_> = latest.iter().map(|run| summary_json(run)).collect();
        stdio::print(&format!("{}\n", serde_json::to_string_pretty(&list)?));
        return Ok(0);
    }
    if latest.is_empty() {
        stdio::say("no runs yet");
        return Ok(0);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["run", "decision", "began", "checklist"]);
    for run in latest {
        let decision = run.decision.map_or("(unfinished)", crate::model::Decision::word);
        let began = run.started.map(|at| at.format("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default();
        let name = crate::report::plain::line(&run.name).into_owned();
        table.add_row([run.run.as_str(), decision, &began, &name]);
    }
    stdio::print(&format!("{table}\n"));
    Ok(0)
}

fn summary_json(run: &RunSummary) -> serde_json::Value {
    json!({
        "run": run.run,
        "checklist": run.name,
        "path": run.path,
        "stage": run.stage,
        "started": run.started,
        "finished": run.finished,
        "decision": run.decision,
        "events": run.head.seq,
        "digest": run.head.digest,
    })
}

pub(super) fn show(args: &ShowArgs) -> Result<u8> {
    let (record, _) = find_record(&args.run, &args.store.store)?;
    let view = view(record);
    match (args.format, find("json")) {
        (Show::Json, Some(json)) => {
            let mut out = Vec::new();
            (json.render)(&view, &Options::default(), &mut out)?;
            stdio::print(&String::from_utf8_lossy(&out));
        }
        _ => {
            let width = u16::try_from(stdio::width()).unwrap_or(100);
            stdio::print(&terminal::render(&view, width, stdio::colour_of_stdout()));
        }
    }
    Ok(0)
}

pub(super) fn report(args: &ReportArgs) -> Result<u8> {
    let wanted = Wanted::new(&args.reports, args.template.as_deref())?;
    if wanted.is_empty() {
        anyhow::bail!("which report? for example --report markdown=signoff.md, or --report markdown=- for stdout");
    }
    let (record, origin) = find_record(&args.run, &args.store.store)?;
    let run = record.run.clone();
    let export = |out: &mut dyn Write| {
        match &origin {
            Origin::Store(store) => format::export(&**store, &run, out).map(|_| ())?,
            Origin::File => {
                std::io::copy(&mut File::open(&args.run)?, out)?;
            }
        }
        Ok(())
    };
    let good = wanted.write(&view(record), &export);
    Ok(if good { 0 } else { USAGE })
}

pub(super) fn import(args: &ImportArgs) -> Result<u8> {
    let file = File::open(&args.file).map_err(|e| anyhow::anyhow!("{}: {e}", args.file.display()))?;
    let mut store = store::open(&args.store.store)?;
    let imported = format::import(&mut BufReader::new(file), &mut *store);
    let (run, head) = imported.map_err(|e| anyhow::anyhow!("{}: {e}", args.file.display()))?;
    stdio::say(&format!("run {run} is in the store, {} events", head.seq));
    Ok(0)
}

pub(super) fn export(args: &ExportArgs) -> Result<u8> {
    if args.kind != ExportKind::Record {
        return super::statements::main(args);
    }
    if args.sign.is_some() || args.url.is_some() || !args.subjects.is_empty() {
        anyhow::bail!(
            "--sign, --subject and --url are for --as in-toto and --as summary; a record is signed with `sign`"
        );
    }
    let store = open_existing(&args.store.store)?;
    let run = store.resolve(&args.run)?;
    // The run is verified before it leaves the house.
    let record = record::load(&*store, &run)?;
    if let Some(folder) = &args.signatures {
        return super::signatures::write(&record, folder);
    }
    match &args.output {
        None => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            format::export(&*store, &run, &mut out)?;
            out.flush()?;
        }
        Some(path) => {
            carry::write_whole(path, &|out| Ok(format::export(&*store, &run, out).map(|_| ())?))?;
            stdio::say(&format!("wrote {}", path.display()));
        }
    }
    Ok(0)
}

/// Rules on a record and looks at it.
fn view(record: RunRecord) -> RunView {
    let signers = super::signers::at_hand(&record);
    let ruling = signoff::decide_against(&record, &[], signers.as_ref(), Utc::now());
    RunView::new(Arc::new(record), &ruling)
}

/// Finds a run: an exported file where there is one of that name, else in the store.
pub(super) fn find_record(name: &str, url: &str) -> Result<(RunRecord, Origin)> {
    if Path::new(name).is_file() {
        let record = format::read_record(&mut BufReader::new(File::open(name)?));
        return Ok((record.map_err(|e| anyhow::anyhow!("{name}: {e}"))?, Origin::File));
    }
    let store = open_existing(url)?;
    let run = store.resolve(name)?;
    Ok((record::load(&*store, &run)?, Origin::Store(store)))
}

/// Opens a store that must be there: asking for the past makes none.
pub(super) fn open_existing(url: &str) -> Result<Box<dyn RunStore>> {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    if url != "memory:" && !Path::new(path).exists() {
        anyhow::bail!("there is no store at {path}; it is made by the first `holdpoint run`, --store names another");
    }
    Ok(store::open(url)?)
}
