use std::process::Command;
use std::time::{Duration, Instant};

use chancery_ledger::SecretKey;
use chancery_simulation::disk::{SimulatedDisk, SimulatedFile, TearSectors};
use proptest::prelude::*;

use super::*;
use crate::store::tests::chances;

fn owner() -> PublicKey {
    SecretKey::from_seed(&[1; 32]).public()
}

fn boxed(files: &[SimulatedFile; 2]) -> [Box<dyn StorageBackend>; 2] {
    let [a, b] = files.clone();
    [Box::new(a), Box::new(b)]
}

fn new_files(disk: &SimulatedDisk) -> [SimulatedFile; 2] {
    [SimulatedFile::new(disk), SimulatedFile::new(disk)]
}

fn create(files: &[SimulatedFile; 2]) -> VoteLog {
    VoteLog::create_on(boxed(files), owner()).expect("the disks are empty")
}

fn open(files: &[SimulatedFile; 2]) -> Result<(VoteLog, Vec<Vec<u8>>), VoteLogError> {
    VoteLog::open_on(boxed(files), owner())
}

fn of_bytes(bytes: [Vec<u8>; 2]) -> [SimulatedFile; 2] {
    bytes.map(|bytes| SimulatedFile::of(bytes, &SimulatedDisk::default()))
}

fn slices(records: &[Vec<u8>]) -> Vec<&[u8]> {
    records.iter().map(Vec::as_slice).collect()
}

/// Something to do to a log.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Vec<u8>>),
    /// Keeps the newest so many records.
    Compact(usize),
}

impl Step {
    fn apply_to_model(&self, model: &mut Vec<Vec<u8>>) {
        match self {
            Self::Append(records) => model.extend(records.iter().cloned()),
            Self::Compact(keep) => *model = model.split_off(model.len().saturating_sub(*keep)),
        }
    }

    /// `after` is what the log holds when it is done.
    fn apply(&self, log: &mut VoteLog, after: &[Vec<u8>]) -> Result<(), VoteLogError> {
        match self {
            Self::Append(records) => log.append_all(&slices(records)),
            Self::Compact(_) => log.compact(&slices(after)),
        }
    }
}

fn record(tag: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| tag.wrapping_add(u8::try_from(i % 251).expect("below 251")))
        .collect()
}

fn steps() -> Vec<Step> {
    vec![
        Step::Append(vec![record(1, 200)]),
        Step::Append(vec![record(2, 10), record(3, 1500), Vec::new()]),
        Step::Append(vec![record(4, 468)]),
        Step::Compact(2),
        Step::Append(vec![record(5, 469), record(6, 5000)]),
        Step::Compact(0),
        Step::Append(vec![vec![0; 4000]]),
        Step::Compact(1),
        Step::Append(vec![record(7, 1_100_000)]),
        Step::Append(vec![record(8, 1)]),
    ]
}

/// Runs the steps until one fails; returns what the log held durably, and what it may hold if the
/// failed step was done.
fn run(
    log: &mut VoteLog,
    model: Vec<Vec<u8>>,
    steps: &[Step],
) -> (Vec<Vec<u8>>, Option<Vec<Vec<u8>>>) {
    let mut durable = model;
    for step in steps {
        let mut after = durable.clone();
        step.apply_to_model(&mut after);
        if step.apply(log, &after).is_err() {
            return (durable, Some(after));
        }
        durable = after;
    }
    (durable, None)
}

#[test]
fn power_lost_at_any_operation_loses_nothing_that_was_promised() {
    let disk = SimulatedDisk::default();
    let files = new_files(&disk);
    run(&mut create(&files), Vec::new(), &steps());
    let operations = disk.used();
    for cut in 0..operations {
        for seed in 0..3 {
            let mut chance = chances(cut * 1000 + seed);
            let tear = if seed < 3 {
                TearSectors::No
            } else {
                TearSectors::Yes
            };
            check_crash(cut, &mut chance, tear);
        }
    }
}

fn check_crash(cut: u64, chance: &mut dyn FnMut(u64) -> u64, tear: TearSectors) {
    let disk = SimulatedDisk::default();
    let files = new_files(&disk);
    disk.cut_after(cut);
    let Ok(mut log) = VoteLog::create_on(boxed(&files), owner()) else {
        return check_half_created(&files, chance, tear);
    };
    let (durable, perhaps) = run(&mut log, Vec::new(), &steps());
    let at = format!("power cut after {cut} operations");
    if perhaps.is_some() {
        let again = log.append_all(&[b"x"]);
        assert!(
            matches!(again, Err(VoteLogError::FailedBefore)),
            "{at}: failing is final"
        );
    }
    // Power goes once more while the log is opened, and once more, and so on.
    let mut bytes = files.map(|file| file.after_power_loss(chance, tear));
    for cut in 0.. {
        let disk = SimulatedDisk::default();
        let files = bytes.map(|bytes| SimulatedFile::of(bytes, &disk));
        disk.cut_after(cut);
        let Ok((mut log, records)) = open(&files) else {
            bytes = files.map(|file| file.after_power_loss(chance, tear));
            assert!(cut < 100, "{at}: opening needs an end");
            continue;
        };
        assert!(
            records == durable || Some(&records) == perhaps.as_ref(),
            "{at}: {} records, durable were {}",
            records.len(),
            durable.len()
        );
        assert!(
            is_zero_behind_the_end(&log, &files),
            "{at}: something is left"
        );
        disk.cut_after(1000);
        let (more, _) = run(&mut log, records, &steps());
        assert!(
            is_zero_behind_the_end(&log, &files),
            "{at}: something is left"
        );
        assert_eq!(more.len(), 3, "{at}: the log goes on");
        return;
    }
}

#[test]
fn what_opening_returned_after_a_kill_or_a_failed_sync_is_durable() {
    let disk = SimulatedDisk::default();
    run(&mut create(&new_files(&disk)), Vec::new(), &steps());
    for (cut, sync_failed) in (0..disk.used()).flat_map(|cut| [(cut, false), (cut, true)]) {
        let disk = SimulatedDisk::default();
        let files = new_files(&disk);
        disk.cut_after(cut);
        if let Ok(mut log) = VoteLog::create_on(boxed(&files), owner()) {
            run(&mut log, Vec::new(), &steps());
        }
        if sync_failed {
            files.iter().for_each(SimulatedFile::believe_written);
        }
        // The process is gone, the machine goes on.
        disk.cut_after(1000);
        let Ok((_, records)) = open(&files) else {
            continue;
        };
        let files = files.map(|file| file.after_power_loss(&mut |_| 0, TearSectors::No));
        let (_, after) = open(&of_bytes(files)).expect("was opened before");
        assert!(
            records == after,
            "cut after {cut}, sync failed: {sync_failed}"
        );
    }
}

fn check_half_created(
    files: &[SimulatedFile; 2],
    chance: &mut dyn FnMut(u64) -> u64,
    tear: TearSectors,
) {
    let bytes = files
        .each_ref()
        .map(|file| file.after_power_loss(chance, tear));
    match open(&of_bytes(bytes)) {
        Err(VoteLogError::NoHeader | VoteLogError::Damaged { .. }) => {}
        Ok((_, records)) => assert!(records.is_empty()),
        Err(error) => panic!("unexpected: {error}"),
    }
}

fn is_zero_behind_the_end(log: &VoteLog, files: &[SimulatedFile; 2]) -> bool {
    let end = usize::try_from(log.len_bytes()).expect("small");
    files[log.live].bytes()[end..].iter().all(|byte| *byte == 0)
}

/// A log of generation 2 with three groups, the first of them made by compaction.
fn three_groups() -> ([Vec<u8>; 2], Vec<Vec<u8>>, [usize; 3]) {
    let files = new_files(&SimulatedDisk::default());
    let mut log = create(&files);
    let (old, records) = (
        [record(9, 700)],
        [record(1, 600), record(2, 30), record(3, 1000)],
    );
    log.append_all(&slices(&old)).expect("no fault");
    log.compact(&[&records[0]]).expect("no fault");
    let mut ends = vec![log.len_bytes()];
    for record in &records[1..] {
        log.append_all(&[record]).expect("no fault");
        ends.push(log.len_bytes());
    }
    let ends: Vec<usize> = ends
        .into_iter()
        .map(|end| usize::try_from(end).expect("small"))
        .collect();
    (
        files.map(|file| file.bytes()),
        records.to_vec(),
        ends.try_into().expect("three"),
    )
}

#[test]
fn a_flipped_bit_never_changes_a_record_and_shows_unless_it_is_in_the_last_group() {
    let ([a, b], records, [_, before_last, end]) = three_groups();
    for at in (0..600).chain((600..end + 2000).step_by(3)) {
        let mut damaged = b.clone();
        damaged[at] ^= 1 << (at % 8);
        match open(&of_bytes([a.clone(), damaged])) {
            Ok((_, found)) if at >= before_last => {
                assert!(records.starts_with(&found) && found.len() >= 2, "byte {at}");
            }
            // Zeroes between the end of a group and the next sector mean nothing.
            Ok((_, found)) => assert_eq!(found, records, "byte {at}"),
            Err(VoteLogError::NoHeader) => assert!(at < FILE_HEADER_BYTES),
            Err(VoteLogError::Damaged { file, offset, .. }) => {
                assert_eq!(file, "votes.b");
                let start = usize::try_from(offset).expect("small");
                assert!(
                    start <= at && at < before_last,
                    "byte {at} reported at {start}"
                );
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn every_group_but_the_last_is_missed_when_it_is_zeroed() {
    let ([a, b], _, [first, second, _]) = three_groups();
    let start = usize::try_from(DATA_START).expect("small");
    for (from, to) in [(start, first), (first, second), (start, second)] {
        let mut damaged = b.clone();
        damaged[from..to].fill(0);
        let error = open(&of_bytes([a.clone(), damaged])).expect_err("a group is gone");
        let at = from as u64;
        assert!(
            matches!(error, VoteLogError::Damaged { offset, .. } if offset == at),
            "{error}"
        );
    }
}

#[test]
fn damage_to_what_compaction_wrote_is_never_a_torn_tail() {
    let files = new_files(&SimulatedDisk::default());
    create(&files).compact(&[b"kept"]).expect("no fault");
    let mut bytes = files.map(|file| file.bytes());
    bytes[1][usize::try_from(DATA_START).expect("small") + 50] ^= 1;
    let error = open(&of_bytes(bytes)).expect_err("the last group is damaged");
    assert!(
        matches!(
            error,
            VoteLogError::Damaged {
                offset: DATA_START,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_log_that_compaction_retired_never_comes_back() {
    let files = new_files(&SimulatedDisk::default());
    let mut log = create(&files);
    log.append_all(&[b"old"]).expect("no fault");
    log.compact(&[b"new"]).expect("no fault");
    let [a, mut b] = files.map(|file| file.after_power_loss(&mut |_| 0, TearSectors::No));
    b[0] ^= 1;
    let error = open(&of_bytes([a, b])).expect_err("the newer header is damaged");
    assert!(matches!(error, VoteLogError::NoHeader), "{error}");
}

#[test]
fn a_file_cut_short_is_refused() {
    let ([a, b], _, [first, ..]) = three_groups();
    for length in [
        FILE_HEADER_BYTES,
        512,
        4096,
        first,
        first + 512,
        b.len() - 1,
    ] {
        let error = open(&of_bytes([a.clone(), b[..length].to_vec()])).expect_err("cut");
        assert!(
            matches!(error, VoteLogError::Damaged { .. }),
            "{length}: {error}"
        );
    }
    for length in [0, 1, FILE_HEADER_BYTES - 1] {
        let error = open(&of_bytes([a.clone(), b[..length].to_vec()])).expect_err("cut");
        assert!(matches!(error, VoteLogError::NoHeader), "{length}: {error}");
    }
}

#[test]
fn bytes_that_look_like_a_group_do_not_pass_for_one() {
    let files = new_files(&SimulatedDisk::default());
    let mut log = create(&files);
    log.append_all(&[b"first"]).expect("no fault");
    let start = usize::try_from(DATA_START).expect("small");
    let group = files[0].bytes()[start..start + 512].to_vec();
    // A record that carries a real group to the start of a sector, behind a torn one.
    let end = log.len_bytes();
    let mut record = vec![1; 512 - GROUP_HEADER_BYTES - 4];
    record.extend(&group);
    log.append_all(&[&record]).expect("no fault");
    let mut bytes = files.map(|file| file.bytes());
    let torn = usize::try_from(end).expect("small");
    assert_eq!(bytes[0][torn + 512..torn + 1024], group);
    bytes[0][torn..torn + 512].fill(0);
    let (log, records) = open(&of_bytes(bytes)).expect("a torn tail");
    assert_eq!(records, [b"first"]);
    assert_eq!(log.len_bytes(), end);
}

#[test]
fn a_group_of_another_log_does_not_pass_for_one() {
    let [mut one, other] = [b"one", b"two"].map(|record| {
        let files = new_files(&SimulatedDisk::default());
        create(&files).append_all(&[record]).expect("no fault");
        files.map(|file| file.bytes())
    });
    let start = usize::try_from(DATA_START).expect("small");
    one[0][start..].copy_from_slice(&other[0][start..]);
    let (_, records) = open(&of_bytes(one)).expect("a torn tail");
    assert!(
        records.is_empty(),
        "logs of one owner must not be exchanged"
    );
}

#[test]
fn an_append_longer_than_a_group_is_split() {
    let files = new_files(&SimulatedDisk::default());
    let mut log = create(&files);
    let records = [record(1, 20_000_000), record(2, 20_000_000), record(3, 1)];
    log.append_all(&slices(&records)).expect("no fault");
    log.append_all(&[]).expect("nothing to do");
    assert_eq!(log.sequence, 2);
    let (_, found) = open(&files).expect("whole");
    assert!(found == records);
    let error = log
        .append_all(&[&vec![0; RECORD_BYTES_MAX + 1]])
        .expect_err("too long");
    assert!(matches!(error, VoteLogError::RecordTooLong { .. }));
    log.append_all(&[b"and on"])
        .expect("a refused record is no failure of the log");
}

#[test]
fn the_log_of_another_is_refused() {
    let files = new_files(&SimulatedDisk::default());
    drop(create(&files));
    let key = SecretKey::from_seed(&[2; 32]).public();
    let error = VoteLog::open_on(boxed(&files), key).expect_err("another key");
    assert!(matches!(error, VoteLogError::OtherOwner { .. }));
    let error = VoteLog::create_on(boxed(&files), owner()).expect_err("there is one");
    assert!(matches!(error, VoteLogError::AlreadyExists { .. }));
}

#[test]
fn a_later_format_is_named() {
    let files = new_files(&SimulatedDisk::default());
    let mut header = create(&files).header;
    header.version = 2;
    let mut bytes = files.map(|file| file.bytes());
    bytes[0][..FILE_HEADER_BYTES].copy_from_slice(&header.to_bytes());
    let error = open(&of_bytes(bytes)).expect_err("a later format");
    assert!(matches!(
        error,
        VoteLogError::Version {
            found: 2,
            supported: 1
        }
    ));
}

#[test]
fn one_file_copied_over_the_other_is_damage() {
    let ([_, b], ..) = three_groups();
    let error = open(&of_bytes([b.clone(), b])).expect_err("two of one generation");
    assert!(
        matches!(error, VoteLogError::Damaged { offset: 0, .. }),
        "{error}"
    );
}

#[test]
fn files_are_made_once_and_never_by_opening() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    let error = VoteLog::open(path, owner()).expect_err("nothing there");
    assert!(matches!(error, VoteLogError::Missing { .. }), "{error}");
    assert_eq!(std::fs::read_dir(path).expect("a directory").count(), 0);

    std::fs::write(path.join("votes.a.new"), b"left by a crash").expect("writable");
    VoteLog::create(path, owner()).expect("no log yet");
    assert_eq!(std::fs::read_dir(path).expect("a directory").count(), 2);
    let error = VoteLog::create(path, owner()).expect_err("there is one");
    assert!(
        matches!(error, VoteLogError::AlreadyExists { .. }),
        "{error}"
    );

    let (mut log, records) = VoteLog::open(path, owner()).expect("just made");
    assert!(records.is_empty());
    log.append_all(&[b"a", b"b"]).expect("a disk");
    log.compact(&[b"b"]).expect("a disk");
    log.append_all(&[b"c"]).expect("a disk");
    drop(log);
    let (_, records) = VoteLog::open(path, owner()).expect("closed");
    assert_eq!(records, [b"b", b"c"]);

    std::fs::remove_file(path.join("votes.a")).expect("is there");
    let error = VoteLog::open(path, owner()).expect_err("half of it is gone");
    assert!(matches!(error, VoteLogError::Missing { .. }), "{error}");
    let error = VoteLog::replace_lost(path, owner(), &[b"lost"]).expect_err("half of it is there");
    assert!(
        matches!(error, VoteLogError::AlreadyExists { .. }),
        "{error}"
    );
}

#[test]
fn a_log_in_the_place_of_a_lost_one_says_so_from_its_first_moment_on() {
    for left_over in [None, Some("votes.a"), Some("votes.b")] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        if let Some(name) = left_over {
            std::fs::write(path.join(name), b"").expect("writable");
        }
        VoteLog::replace_lost(path, owner(), &[b"lost"]).expect("nothing there");
        let (log, records) = VoteLog::open(path, owner()).expect("just made");
        assert_eq!(records, [b"lost"]);
        drop(log);
        let again = VoteLog::replace_lost(path, owner(), &[b"lost"]);
        assert!(matches!(again, Err(VoteLogError::AlreadyExists { .. })));
    }
}

const CHILD_DIRECTORY: &str = "CHANCERY_TEST_VOTE_LOG_OF_PARENT";

/// Does something only as the child of the test below.
#[test]
fn child_opens_the_vote_log_of_its_parent() {
    if let Some(directory) = std::env::var_os(CHILD_DIRECTORY) {
        let outcome = VoteLog::open(Path::new(&directory), owner());
        let words = outcome.map_or_else(|error| error.to_string(), |_| "opened".to_owned());
        println!("outcome: {words}");
    }
}

#[test]
fn two_processes_cannot_open_one_log() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    VoteLog::create(directory.path(), owner()).expect("no log yet");
    let child = || {
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["child_opens_the_vote_log_of_its_parent", "--nocapture"])
            .env(CHILD_DIRECTORY, directory.path())
            .output()
            .expect("this program runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let log = VoteLog::open(directory.path(), owner()).expect("closed");
    assert!(child().contains("votes.a is in use by another process"));
    drop(log);
    assert!(child().contains("outcome: opened"));
}

fn any_step() -> impl Strategy<Value = Step> {
    let record = proptest::collection::vec(any::<u8>(), 0..1500);
    prop_oneof![
        4 => proptest::collection::vec(record, 0..5).prop_map(Step::Append),
        1 => (0..6usize).prop_map(Step::Compact),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read(
        rounds in proptest::collection::vec(proptest::collection::vec(any_step(), 0..8), 1..5)
    ) {
        let files = new_files(&SimulatedDisk::default());
        drop(create(&files));
        let mut model = Vec::new();
        for steps in rounds {
            let (mut log, found) = open(&files).expect("whole");
            prop_assert_eq!(&found, &model);
            (model, _) = run(&mut log, model, &steps);
        }
        prop_assert_eq!(open(&files).expect("whole").1, model);
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(
        start in proptest::collection::vec(any::<u8>(), 0..6000),
        flips in proptest::collection::vec((0..6000usize, any::<u8>()), 1..4),
    ) {
        let _ = open(&of_bytes([start, Vec::new()]));
        let ([a, mut b], records, _) = three_groups();
        for (at, byte) in flips {
            b[at] = byte;
        }
        if let Ok((_, found)) = open(&of_bytes([a, b])) {
            prop_assert!(records.starts_with(&found));
        }
    }
}

/// Measures durable appends of 300 bytes, in turn: this log, a file that grows with each, and redb
/// with one phase and with two.
#[test]
#[ignore = "a measurement; run with --ignored --nocapture on a quiet machine"]
fn measure_appends() {
    const APPENDS: u64 = 2000;
    const TABLE: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("votes");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let record = record(1, 300);

    VoteLog::create(directory.path(), owner()).expect("no log yet");
    let (mut log, _) = VoteLog::open(directory.path(), owner()).expect("just made");
    let plain = LockedFile::create(&directory.path().join("plain")).expect("a disk");
    let redb = |name: &str, two_phase: bool| {
        let database = redb::Database::create(directory.path().join(name)).expect("a disk");
        let record = record.clone();
        move |i: u64| {
            let mut write = database.begin_write().expect("a disk");
            write.set_two_phase_commit(two_phase);
            let mut table = write.open_table(TABLE).expect("a disk");
            table.insert(i, record.as_slice()).expect("a disk");
            drop(table);
            write.commit().expect("a disk");
        }
    };
    let (mut one_phase, mut two_phases) = (redb("one", false), redb("two", true));
    type Append<'a> = &'a mut dyn FnMut(u64);
    let mut ways: [(&str, Vec<Duration>, Append<'_>); 4] = [
        ("vote log", Vec::new(), &mut |_| {
            log.append_all(&[&record]).expect("a disk")
        }),
        ("file that grows with each append", Vec::new(), &mut |i| {
            plain.write(i * 512, &record).expect("a disk");
            plain.sync_data().expect("a disk");
        }),
        ("redb, one phase", Vec::new(), &mut one_phase),
        ("redb, two phases", Vec::new(), &mut two_phases),
    ];
    for i in 0..APPENDS {
        for (_, times, append) in &mut ways {
            let start = Instant::now();
            append(i);
            times.push(start.elapsed());
        }
    }
    for (name, mut times, _) in ways {
        times.sort();
        let [median, p99] = [times.len() / 2, times.len() * 99 / 100].map(|i| times[i].as_micros());
        println!("{name}: median {median}, p99 {p99} microseconds");
    }
}
