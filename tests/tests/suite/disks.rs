//! Disks that lie, fill up or fail: noticed, said, and never answered from.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chancery_tests::cluster::Cluster;
use chancery_tests::command::eventually;
use chancery_tests::intact::{History, assert_ledger_intact};
use chancery_tests::load::Load;
use chancery_tests::process::{Launch, copy_home};
use serde_json::Value;

/// The validator whose disk it is.
const VICTIM: usize = 3;
/// How a process ends that its disk failed (`EX_IOERR` of sysexits).
const STORAGE_FAILED: i32 = 74;
/// How a node ends that will not start.
const REFUSED: i32 = 1;

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// One bit, at so many thousandths of the file.
    Flip(u64),
    /// 4,096 bytes, at so many thousandths of the file, become zero.
    ZeroPage(u64),
    /// So many bytes at the end are gone.
    Cut(u64),
    /// The file is empty.
    Emptied,
}

impl Damage {
    fn apply(self, path: &Path) {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.expect("a file");
        let len = file.metadata().expect("a length").len();
        match self {
            Self::Flip(at) => {
                let mut byte = [0];
                let at = len * at / 1_000;
                file.read_exact_at(&mut byte, at).expect("a byte");
                byte[0] ^= 0x10;
                file.write_all_at(&byte, at).expect("a byte");
            }
            Self::ZeroPage(at) => {
                let at = len * at / 1_000 / 4_096 * 4_096;
                let read = file.read_at(&mut [0; 4_096], at).expect("a page");
                file.write_all_at(&[0; 4_096][..read], at).expect("a page");
            }
            Self::Cut(bytes) => file.set_len(len.saturating_sub(bytes)).expect("shorter"),
            Self::Emptied => file.set_len(0).expect("shorter"),
        }
    }
}

/// Every damage that is tried on each file.
fn damages() -> Vec<Damage> {
    let mut damages = vec![
        Damage::Emptied,
        Damage::Cut(1),
        Damage::Cut(4_096),
        Damage::Cut(100_000),
        Damage::Cut(1 << 20),
    ];
    damages.extend([0, 1, 90, 333, 480, 700, 950].map(Damage::Flip));
    damages.extend([0, 5, 250, 600, 900].map(Damage::ZeroPage));
    damages
}

/// A validator on a copy of a home, with nobody else there.
struct Alone<'a> {
    cluster: &'a Cluster,
    original: &'a Path,
    /// The blocks that the ledger has, by height.
    blocks: &'a [Value],
}

impl Alone<'_> {
    /// Starts on a copy with one damage: true if it refused.
    fn refuses(&self, name: &str, damage: Damage) -> bool {
        let home = self.cluster.path().join("damaged");
        let _ = fs::remove_dir_all(&home);
        copy_home(self.original, &home);
        damage.apply(&home.join(name));
        let mut process = Launch::plain().spawn(&home);
        let deadline = Instant::now() + Duration::from_secs(20);
        let last = self.blocks.len() - 1;
        let ended = loop {
            if let Some(status) = process.ended() {
                break Some(status);
            }
            if self.cluster.height(VICTIM) > 0 {
                break None;
            }
            assert!(
                Instant::now() < deadline,
                "{name}, {damage:?}: it says nothing"
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        let Some(status) = ended else {
            // What it did not notice it does not need: everything it has is right.
            let height = self.cluster.height(VICTIM);
            assert!(height <= last as u64, "{name}, {damage:?}: height {height}");
            for (at, block) in self.blocks.iter().enumerate() {
                if at as u64 > height {
                    break;
                }
                let served = self.cluster.get(VICTIM, &format!("/v1/blocks/{at}"));
                assert_eq!(served["hash"], block["hash"], "{name}, {damage:?}, {at}");
                assert_eq!(served["transactions"], block["transactions"]);
            }
            process.kill();
            return false;
        };
        let log = fs::read_to_string(home.join("node.log")).unwrap_or_default();
        assert_eq!(status.code(), Some(REFUSED), "{name}, {damage:?}:\n{log}");
        let said = log.lines().last().unwrap_or_default();
        let names_it = ["ledger", "vote log", "votes."]
            .iter()
            .any(|word| said.contains(word));
        assert!(
            names_it,
            "{name}, {damage:?}: it says what is wrong: {said}"
        );
        true
    }
}

#[test]
fn damaged_files_are_refused_or_harmless_and_never_answered_from() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 100);
    eventually("grants are final", 20, || load.acknowledged() >= 200);
    history.note(&load.finish());
    let height = assert_ledger_intact(&cluster, &cluster.all(), &mut history);
    for index in cluster.all() {
        cluster.kill(index);
    }
    // What the killed one has can be a little more than what was looked at.
    let home = cluster.home(VICTIM);
    let mut process = Launch::plain().spawn(&home);
    eventually("it answers", 20, || cluster.height(VICTIM) >= height.0);
    let blocks: Vec<Value> = (0..=cluster.height(VICTIM))
        .map(|at| cluster.get(VICTIM, &format!("/v1/blocks/{at}")))
        .collect();
    process.kill();

    let alone = Alone {
        cluster: &cluster,
        original: &home,
        blocks: &blocks,
    };
    for name in ["ledger.redb", "votes.a", "votes.b"] {
        let len = fs::metadata(home.join(name)).expect("a file").len();
        if len == 0 {
            // The half of the vote log that waits for its turn has nothing to lose.
            continue;
        }
        let damages = damages();
        let refused: Vec<Damage> = damages
            .iter()
            .copied()
            .filter(|damage| alone.refuses(name, *damage))
            .collect();
        println!(
            "{name}: {} of {} refused: {refused:?}",
            refused.len(),
            damages.len()
        );
    }
    // Whole pages at the end may be free; these are damages wherever anything is kept.
    for damage in [Damage::Emptied, Damage::Cut(1), Damage::Flip(0)] {
        assert!(
            alone.refuses("ledger.redb", damage),
            "{damage:?} is noticed"
        );
    }

    // The home itself was not touched.
    cluster.up(4);
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

/// One validator's disk fails with clients at work: it ends and says so, the others go on, and it
/// comes back when `repaired` has given it a good disk.
fn disk_fails_under_load(
    cluster: &Cluster,
    contract: &str,
    how: &Launch,
    repaired: impl FnOnce(&Path),
) {
    let mut history = History::default();
    let load = Load::start(cluster, contract, "hospital", 40);
    cluster.launch(VICTIM, how);
    let code = cluster.ends(VICTIM, 60);
    let log = cluster.log(VICTIM);
    assert_eq!(code, Some(STORAGE_FAILED), "{log}");
    assert!(log.contains("the storage failed"), "{log}");
    load.expect_more("the others go on", 20, 50);
    repaired(&cluster.home(VICTIM));
    cluster.restart(VICTIM);
    cluster.ready(&[VICTIM]);
    history.note(&load.finish());
    assert_ledger_intact(cluster, &cluster.all(), &mut history);
}

#[test]
fn a_failed_sync_ends_the_process_and_is_not_tried_again() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let trace = cluster.path().join("trace");
    cluster.kill(VICTIM);
    // The first syncs, of the start, succeed; one in the middle of its work does not.
    let inject = [
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:error=EIO:when=60",
    ];
    let how = Launch::traced(&inject, &trace);
    disk_fails_under_load(&cluster, &contract, &how, |_| {});
    let trace = fs::read_to_string(&trace).expect("a trace");
    assert_eq!(trace.matches("(INJECTED)").count(), 1, "one sync failed");
}

#[test]
fn a_validator_whose_files_may_not_grow_ends_and_comes_back() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    cluster.kill(VICTIM);
    let ledger = cluster.home(VICTIM).join("ledger.redb");
    let len = File::open(&ledger).and_then(|file| file.metadata());
    let kib = len.expect("a ledger").len() / 1_024 + 256;
    let how = Launch::with_files_at_most(kib);
    disk_fails_under_load(&cluster, &contract, &how, |_| {});
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    cluster.kill(VICTIM);
    cluster.launch(VICTIM, &Launch::without_log());
    cluster.ready(&[VICTIM]);
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 40);
    load.expect_more("grants are final", 20, 50);
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where mounting is not permitted, which is printed.
    fn mount(at: &Path, kib: u64) -> Option<Self> {
        let size = format!("size={kib}k,mode=700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                println!("skipped: a full disk needs a mount, which is not permitted: {why}");
                None
            }
            Err(error) => {
                println!("skipped: a full disk needs mount(8): {error}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_the_process_and_room_brings_it_back() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    cluster.kill(VICTIM);
    let home = cluster.home(VICTIM);
    let large = home.with_extension("large");
    fs::rename(&home, &large).expect("the home is moved");
    fs::create_dir(&home).expect("a directory");
    let used: u64 = ["ledger.redb", "votes.a", "votes.b"]
        .iter()
        .map(|name| fs::metadata(large.join(name)).map_or(0, |file| file.len()))
        .sum();
    let Some(disk) = SmallDisk::mount(&home, used / 1_024 + 600) else {
        return;
    };
    copy_home(&large, &home);
    // Where the disk is full the last words are lost with everything else.
    let log = cluster.path().join("elsewhere.log");
    symlink(log, home.join("node.log")).expect("a link");
    disk_fails_under_load(&cluster, &contract, &Launch::plain(), move |home| {
        // Its operator moves the files to a larger disk.
        fs::remove_dir_all(&large).expect("the old home is removed");
        copy_home(home, &large);
        drop(disk);
        fs::remove_dir(home).expect("the place of the mount is empty");
        fs::rename(&large, home).expect("the home is moved");
    });
}
