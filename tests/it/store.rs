//! One suite that every store passes, and a bad world around the one on disk.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use holdpoint::event::{Answer, Event, EventKind, Release, Request};
use holdpoint::model::{Decision, Outcome, RunId, SectionId, StepId};
use holdpoint::record::store::sqlite::Sqlite;
use holdpoint::record::store::{STORES, open};
use holdpoint::record::{LoadError, RunStore, StoreError, load};

use crate::record::{sample, start};

fn each_store(suite: impl Fn(Box<dyn RunStore>)) {
    for kind in STORES {
        let folder = tempfile::tempdir().unwrap();
        let address = match kind.scheme {
            "memory" => String::new(),
            _ => folder.path().join("runs.db").display().to_string(),
        };
        suite((kind.open)(&address).unwrap());
    }
}

fn filled(path: &Path, run: &RunId, steps: usize) -> Sqlite {
    let mut store = Sqlite::open(path).unwrap();
    store.begin(run).unwrap();
    store.append(run, &sample(run, steps)).unwrap();
    store
}

#[test]
fn every_store_keeps_a_run_and_its_summary() {
    each_store(|mut store| {
        let run = RunId::new("r1");
        let events = sample(&run, 7);
        store.begin(&run).unwrap();
        assert!(store.runs().unwrap().is_empty(), "a run without events is not listed");
        assert!(matches!(store.begin(&run), Err(StoreError::Exists { .. })));
        let middle = store.append(&run, &events[..6]).unwrap();
        assert_eq!((middle.seq, store.summary(&run).unwrap().decision), (6, None));
        assert_eq!(store.append(&run, &[]).unwrap(), middle);
        let head = store.append(&run, &events[6..]).unwrap();
        let listed = store.runs().unwrap();
        assert_eq!(listed, [store.summary(&run).unwrap()]);
        assert_eq!((listed[0].name.as_str(), listed[0].path.as_str()), ("Staging", "staging.yaml"));
        assert_eq!((listed[0].decision, listed[0].events()), (Some(Decision::Held), events.len() as u64));
        assert_eq!(listed[0].started, Some(events[0].at));
        assert_eq!(listed[0].finished, Some(events[events.len() - 1].at));
        assert_eq!(load(&*store, &run).unwrap().head, head);
    });
}

#[test]
fn every_store_gives_the_same_digest() {
    let run = RunId::new("r1");
    let heads = std::sync::Mutex::new(Vec::new());
    each_store(|mut store| {
        store.begin(&run).unwrap();
        heads.lock().unwrap().push(store.append(&run, &sample(&run, 4)).unwrap());
    });
    let heads = heads.into_inner().unwrap();
    assert!(heads.len() > 1 && heads.windows(2).all(|pair| pair[0] == pair[1]), "{heads:?}");
}

#[test]
fn every_store_refuses_gaps_and_repeats() {
    each_store(|mut store| {
        let run = RunId::new("r1");
        let events = sample(&run, 4);
        assert!(matches!(store.append(&run, &events), Err(StoreError::NoSuchRun { .. })));
        store.begin(&run).unwrap();
        assert_eq!(store.append(&run, &events[1..]), Err(StoreError::Gap { expected: 1, got: 2 }));
        store.append(&run, &events[..3]).unwrap();
        assert_eq!(store.append(&run, &events[..3]), Err(StoreError::Gap { expected: 4, got: 1 }));
        assert_eq!(
            store.append(&run, &[events[3].clone(), events[5].clone()]),
            Err(StoreError::Gap { expected: 5, got: 6 })
        );
        store.append(&run, &events[3..]).unwrap();
        assert_eq!(load(&*store, &run).unwrap().head.seq, events.len() as u64);
    });
}

#[test]
fn every_store_finds_a_run_by_the_beginning_of_its_name() {
    each_store(|mut store| {
        assert_eq!(store.resolve("last"), Err(StoreError::NoRuns));
        for (name, later) in [("20261120-b7", 5), ("20261120-a1", 9), ("20261119-c3", 1)] {
            let run = RunId::new(name);
            let mut events = sample(&run, 1);
            events[0].at = start() + chrono::TimeDelta::seconds(later);
            store.begin(&run).unwrap();
            store.append(&run, &events).unwrap();
        }
        assert_eq!(store.resolve("last").unwrap().as_str(), "20261120-a1", "the latest start");
        assert_eq!(store.resolve("20261119").unwrap().as_str(), "20261119-c3");
        assert_eq!(store.resolve("20261120-b7").unwrap().as_str(), "20261120-b7");
        let ambiguous = store.resolve("20261120").unwrap_err().to_string();
        assert!(ambiguous.contains("20261120-b7") && ambiguous.contains("20261120-a1"), "{ambiguous}");
        let unknown = store.resolve("x").unwrap_err().to_string();
        assert!(unknown.contains("20261120-a1"), "{unknown}");
        assert!(matches!(store.resolve(""), Err(StoreError::NoSuchRun { .. })));
    });
}

#[test]
fn an_address_names_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/runs.db");
    open(&format!("sqlite:{}", path.display())).unwrap();
    open(&path.display().to_string()).unwrap();
    assert!(open("memory:x").is_err() && open("sqlite:").is_err());
    let error = open("sqllite:runs.db").err().unwrap().to_string();
    assert!(error.contains("did you mean \"sqlite\""), "{error}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn what_was_appended_is_there_for_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let run = RunId::new("r1");
    let store = filled(&path, &run, 20);
    let other = Sqlite::open(&path).unwrap();
    assert_eq!(load(&other, &run).unwrap().head, load(&store, &run).unwrap().head);
    let log = folder.path().join("runs.db-wal");
    assert_eq!(fs::metadata(log).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn of_two_writers_of_one_run_exactly_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let run = RunId::new("r1");
    let events = sample(&run, 5);
    let mut first = Sqlite::open(&path).unwrap();
    first.begin(&run).unwrap();
    first.append(&run, &events[..2]).unwrap();
    for event in &events[2..] {
        let results: Vec<_> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| Sqlite::open(&path).unwrap().append(&run, std::slice::from_ref(event))))
                .collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert!(results.iter().all(|r| matches!(r, Ok(_) | Err(StoreError::Gap { .. }))), "{results:?}");
    }
    assert_eq!(load(&first, &run).unwrap().head.seq, events.len() as u64);
}

#[test]
fn a_full_disk_keeps_all_that_was_acknowledged() {
    let run = RunId::new("r1");
    let events = sample(&run, 60);
    let mut refused = 0;
    for pages in 4..40 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db");
        let mut store = Sqlite::open(&path).unwrap();
        store.limit_pages(pages).unwrap();
        let mut acknowledged = 0;
        let mut failure = store.begin(&run).err();
        for batch in events.chunks(7) {
            if failure.is_some() {
                break;
            }
            match store.append(&run, batch) {
                Ok(head) => acknowledged = head.seq,
                Err(error) => failure = Some(error),
            }
        }
        drop(store);
        let again = Sqlite::open(&path).unwrap();
        match failure {
            None => assert_eq!(load(&again, &run).unwrap().head.seq, events.len() as u64),
            Some(error) => {
                refused += 1;
                assert!(matches!(error, StoreError::Full { .. }), "{error}");
                if acknowledged > 0 {
                    assert_eq!(load(&again, &run).unwrap().head.seq, acknowledged, "{pages} pages");
                }
            }
        }
    }
    assert!(refused > 3 && refused < 36, "both must happen: {refused} of 36");
}

#[test]
fn a_flipped_bit_on_disk_is_never_a_silently_different_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let run = RunId::new("r1");
    let store = filled(&path, &run, 6);
    let whole = format!("{:?}", load(&store, &run).unwrap());
    drop(store);
    let bytes = fs::read(&path).unwrap();
    let mut named = 0;
    for place in (0..bytes.len()).step_by(61) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(&path, &damaged).unwrap();
        let loaded = Sqlite::open(&path).map_err(LoadError::from).and_then(|store| load(&store, &run));
        match loaded {
            Ok(record) => assert_eq!(format!("{record:?}"), whole, "byte {place}"),
            Err(error) => {
                named += 1;
                assert!(!error.to_string().contains('\n') && error.to_string().contains(';'), "{error}");
            }
        }
        // What SQLite left beside the file belongs to the damaged one.
        for beside in ["runs.db-wal", "runs.db-shm"] {
            let _ = fs::remove_file(folder.path().join(beside));
        }
    }
    assert!(named > 20, "most of the file is evidence, {named} flips were named");
}

#[test]
fn what_is_no_store_or_a_newer_one_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "not a store, just a text that is long enough to be looked at ".repeat(20)).unwrap();
    assert!(matches!(Sqlite::open(&text).err(), Some(StoreError::NotAStore { .. })));
    assert!(Sqlite::open(folder.path()).is_err(), "a folder");
    assert!(Sqlite::open(&text.join("below")).is_err(), "below a file");

    let path = folder.path().join("runs.db");
    drop(filled(&path, &RunId::new("r1"), 1));
    let mut bytes = fs::read(&path).unwrap();
    bytes[63] = 9; // the last byte of user_version in the file's header
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(Sqlite::open(&path).err(), Some(StoreError::Newer { found: 9, known: 2, .. })));
}

fn answer(note: &str) -> Request {
    Request::Answer(StepId::new("ask"), Answer { note: note.into(), ..Answer::new(Outcome::Pass, "carol") })
}

fn answered(seq: u64, note: &str) -> Event {
    let Request::Answer(step, answer) = answer(note) else { unreachable!() };
    Event { seq, at: start(), kind: EventKind::Answered { step, answer } }
}

#[test]
fn every_store_has_one_owner_of_a_run_at_a_time() {
    each_store(|mut store| {
        let (run, other) = (RunId::new("r1"), RunId::new("../r2"));
        assert!(matches!(store.own(&run), Err(StoreError::NoSuchRun { .. })));
        store.begin(&run).unwrap();
        store.begin(&other).unwrap();
        let owner = store.own(&run).unwrap();
        let refused = store.own(&run).unwrap_err();
        let process = format!("process {} on ", std::process::id());
        assert!(matches!(refused, StoreError::Owned { .. }) && refused.to_string().contains(&process), "{refused}");
        let second = store.own(&other).unwrap();
        drop(owner);
        drop(store.own(&run).unwrap());
        drop((second, store.own(&run).unwrap()));
    });
}

#[test]
fn of_a_thousand_races_each_has_one_winner_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let run = RunId::new("r1");
    drop(filled(&path, &run, 1));
    let mut stores: Vec<Sqlite> = (0..4).map(|_| Sqlite::open(&path).unwrap()).collect();
    let gate = std::sync::Barrier::new(stores.len());
    let owners = std::sync::atomic::AtomicI32::new(0);
    let wins = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for store in &mut stores {
            scope.spawn(|| {
                use std::sync::atomic::Ordering::SeqCst;
                for _ in 0..1000 {
                    gate.wait();
                    match store.own(&run) {
                        Ok(owner) => {
                            assert_eq!(owners.fetch_add(1, SeqCst), 0, "two owners");
                            wins.fetch_add(1, SeqCst);
                            std::thread::yield_now();
                            owners.fetch_sub(1, SeqCst);
                            drop(owner);
                        }
                        Err(error) => assert!(matches!(error, StoreError::Owned { .. }), "{error}"),
                    }
                }
            });
        }
    });
    assert!(wins.into_inner() >= 1000);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("owner")), "{left:?}");
}

#[test]
fn every_store_keeps_a_request_until_its_event_is_there() {
    each_store(|mut store| {
        let run = RunId::new("r1");
        assert!(matches!(store.post(&run, &answer("a")), Err(StoreError::NoSuchRun { .. })));
        store.begin(&run).unwrap();
        let head = store.append(&run, &sample(&run, 2)).unwrap();
        let first = store.post(&run, &answer("first")).unwrap();
        let owner = store.own(&run).unwrap();
        let second = store.post(&run, &answer("second")).unwrap();
        assert_eq!(store.take_requests(&run).unwrap(), [answer("first"), answer("second")]);
        assert!(store.take_requests(&run).unwrap().is_empty(), "each once");
        drop(owner);
        // The process died with both in hand: its successor gets them again.
        let owner = store.own(&run).unwrap();
        assert_eq!(store.take_requests(&run).unwrap().len(), 2);
        assert_eq!(store.append(&run, &[answered(head.seq + 1, "second")]).unwrap().seq, head.seq + 1);
        assert_eq!((store.waits(first), store.waits(second)), (Ok(true), Ok(false)));
        drop(owner);
        let owner = store.own(&run).unwrap();
        assert_eq!(store.take_requests(&run).unwrap(), [answer("first")], "never twice");
        assert_eq!((store.withdraw(first), store.withdraw(first)), (Ok(true), Ok(false)));
        let release = Release { accepted: true, by: "bob".into(), signed: false, note: String::new() };
        let other = store.post(&run, &Request::Release(SectionId::new("first"), release)).unwrap();
        let end = Event { seq: head.seq + 2, at: start(), kind: EventKind::RunFinished { took_ms: 1 } };
        store.append(&run, &[end]).unwrap();
        assert_eq!(store.waits(other), Ok(true), "nobody took it");
        drop(owner);
    });
}

#[test]
fn every_store_keeps_files_by_their_digest() {
    each_store(|mut store| {
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let digest = store.put_blob(&bytes).unwrap();
        assert_eq!(store.put_blob(&bytes).unwrap(), digest);
        assert_eq!(store.blob(&digest).unwrap(), bytes);
        assert_eq!(store.put_blob(b"").unwrap(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert!(matches!(store.blob(&digest.to_uppercase()), Err(StoreError::NoSuchBlob { .. })));
        assert!(matches!(store.blob(&"0".repeat(64)), Err(StoreError::NoSuchBlob { .. })));
        assert!(matches!(store.put_blob(&vec![0; (32 << 20) + 1]), Err(StoreError::TooLarge { .. })));
    });
}

#[test]
fn a_store_of_the_first_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/records/v1/store.db"), &path).unwrap();
    let mut store = Sqlite::open(&path).unwrap();
    let runs = store.runs().unwrap();
    assert_eq!(runs.iter().map(|run| run.decision).collect::<Vec<_>>(), [Some(Decision::Go), Some(Decision::NoGo)]);
    for run in &runs {
        assert_eq!(load(&store, &run.run).unwrap().head, run.head);
        drop(store.own(&run.run).unwrap());
        store.post(&run.run, &answer("a")).unwrap();
    }
    let digest = store.put_blob(b"seen").unwrap();
    assert_eq!(Sqlite::open(&path).unwrap().blob(&digest).unwrap(), b"seen");
}
