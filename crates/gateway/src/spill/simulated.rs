//! A disk in memory that fails as told: full, a write cut short, a failed sync, a flipped byte, a folder that is gone, and a crash
//! that loses what was not synced. The same seed gives the same failures.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::disk::Disk;
use super::journal::Journal;
use super::{CHECK_INTERVAL, Keeper, Spill, SpillOpenError};

/// The disk; a clone is the same disk.
#[derive(Clone)]
pub(crate) struct Simulated(Rc<RefCell<World>>);

/// Numbers that only look random (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

struct World {
    random: Random,
    files: BTreeMap<u64, Contents>,
    names: BTreeMap<String, u64>,
    /// As after the last sync of the folder, and what happened to names since.
    synced_names: BTreeMap<String, u64>,
    changes: Vec<(String, Option<u64>)>,
    locked: BTreeSet<u64>,
    is_there: bool,
    next: u64,
    /// Bytes of all files.
    capacity: u64,
    failing_syncs: u64,
    failing_folder_syncs: u64,
    failing_cuts: u64,
    is_read_only: bool,
    /// Places that cannot be read, in any file.
    unreadable: Option<Range<u64>>,
    /// How long it takes for its work, and until when it does nothing at all.
    latency: Duration,
    hangs_until: Option<Instant>,
    /// Whether the folder vanishes during the next sync of a file.
    vanishes_soon: bool,
    /// Whether it is moved away during the next write.
    is_moved_soon: bool,
    /// Its names while it is elsewhere, and `has_vanished` before that.
    elsewhere: Option<(BTreeMap<String, u64>, bool)>,
    /// Whether it has vanished since somebody asked.
    has_vanished: bool,
    /// What was acknowledged before this moment may have been taken along, unless the folder was made good.
    taken_before: Option<Instant>,
}

#[derive(Default)]
struct Contents {
    now: Vec<u8>,
    synced: Vec<u8>,
    handles: u64,
}

/// An open file.
pub(crate) struct Handle {
    disk: Simulated,
    file: u64,
    is_locked: Cell<bool>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut world = self.disk.0.borrow_mut();
        if self.is_locked.get() {
            world.locked.remove(&self.file);
        }
        if let Some(contents) = world.files.get_mut(&self.file) {
            contents.handles -= 1;
        }
        world.forget_unused();
    }
}

impl Simulated {
    pub(crate) fn new(seed: u64) -> Simulated {
        Simulated(Rc::new(RefCell::new(World {
            random: Random(seed),
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            changes: Vec::new(),
            locked: BTreeSet::new(),
            is_there: false,
            next: 1,
            capacity: u64::MAX,
            failing_syncs: 0,
            failing_folder_syncs: 0,
            failing_cuts: 0,
            is_read_only: false,
            unreadable: None,
            latency: Duration::ZERO,
            hangs_until: None,
            vanishes_soon: false,
            is_moved_soon: false,
            elsewhere: None,
            has_vanished: false,
            taken_before: None,
        })))
    }

    /// From now on there is room for so many more bytes.
    pub(crate) fn leave_room(&self, bytes: u64) {
        let mut world = self.0.borrow_mut();
        world.capacity = world.used().saturating_add(bytes);
    }

    /// The next syncs of files fail, each after an unknown part has become durable.
    pub(crate) fn fail_syncs(&self, count: u64) {
        self.0.borrow_mut().failing_syncs = count;
    }

    /// The next syncs of the folder fail.
    pub(crate) fn fail_folder_syncs(&self, count: u64) {
        self.0.borrow_mut().failing_folder_syncs = count;
    }

    /// The next cuts fail.
    pub(super) fn fail_cuts(&self, count: u64) {
        self.0.borrow_mut().failing_cuts = count;
    }

    /// Whether names can neither be made nor taken away.
    pub(crate) fn set_read_only(&self, is_read_only: bool) {
        self.0.borrow_mut().is_read_only = is_read_only;
    }

    /// Reading these places of any file fails.
    pub(crate) fn make_unreadable(&self, places: Option<Range<u64>>) {
        self.0.borrow_mut().unreadable = places;
    }

    /// How long a [`Spill::simulated`] waits for it each time.
    pub(crate) fn set_latency(&self, latency: Duration) {
        self.0.borrow_mut().latency = latency;
    }

    /// It does nothing until then.
    pub(crate) fn hang(&self, until: Instant) {
        self.0.borrow_mut().hangs_until = Some(until);
    }

    async fn wait(&self) {
        loop {
            let (latency, hangs_until) = {
                let world = self.0.borrow();
                (world.latency, world.hangs_until.filter(|until| *until > Instant::now()))
            };
            match hangs_until {
                // By steps, as it may be healed before.
                Some(until) => {
                    tokio::time::sleep_until(until.min(Instant::now() + Duration::from_millis(200))).await;
                }
                None if latency.is_zero() => return,
                None => return tokio::time::sleep(latency).await,
            }
        }
    }

    /// All of it works again.
    pub(crate) fn heal(&self) {
        self.leave_room(u64::MAX / 2);
        self.fail_syncs(0);
        self.fail_folder_syncs(0);
        self.fail_cuts(0);
        let mut world = self.0.borrow_mut();
        (world.vanishes_soon, world.is_moved_soon, world.is_read_only) = (false, false, false);
        (world.latency, world.hangs_until) = (Duration::ZERO, None);
    }

    /// Somebody removes the folder with all that is in it.
    pub(crate) fn vanish(&self) {
        let mut world = self.0.borrow_mut();
        world.vanish();
        // Others may have been acknowledged at this very moment, before.
        world.taken_before = Some(Instant::now() + Duration::from_millis(1));
    }

    /// Somebody gives the folder another name during the next write.
    pub(super) fn move_away_soon(&self) {
        self.0.borrow_mut().is_moved_soon = true;
    }

    /// They give it its name again, if no other folder has that by now.
    pub(super) fn come_back(&self) {
        let mut world = self.0.borrow_mut();
        if let Some((names, had_vanished)) = world.elsewhere.take().filter(|_| !world.is_there) {
            world.is_there = true;
            world.synced_names.clone_from(&names);
            world.names = names;
            world.has_vanished = had_vanished;
        }
        world.forget_unused();
    }

    /// They do so while a file is synced next.
    pub(crate) fn vanish_soon(&self) {
        self.0.borrow_mut().vanishes_soon = true;
    }

    /// Whether that has happened since this was last asked.
    pub(crate) fn has_vanished(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().has_vanished)
    }

    /// What was acknowledged before this moment was on a folder that has vanished since this was last asked.
    pub(crate) fn taken_before(&self) -> Option<Instant> {
        self.0.borrow_mut().taken_before.take()
    }

    /// Power is lost: what was synced is there, and any part of what was not. Nothing may be open.
    pub(crate) fn crash(&self) {
        let mut world = self.0.borrow_mut();
        assert!(world.locked.is_empty() && world.files.values().all(|contents| contents.handles == 0));
        // For the next process a folder that comes back is another one.
        world.elsewhere = None;
        let World { random, files, names, synced_names, changes, .. } = &mut *world;
        let survive = random.below(changes.len() as u64 + 1) as usize;
        for (name, file) in changes.drain(..survive) {
            match file {
                Some(file) => synced_names.insert(name, file),
                None => synced_names.remove(&name),
            };
        }
        changes.clear();
        names.clone_from(synced_names);
        for contents in files.values_mut() {
            contents.lose_unsynced(random);
        }
        world.forget_unused();
    }

    /// Changes one byte of one file, and says which.
    pub(crate) fn damage(&self) -> Option<String> {
        let mut world = self.0.borrow_mut();
        let World { random, files, names, .. } = &mut *world;
        let (name, file) = names.iter().nth(random.below(names.len().max(1) as u64) as usize)?;
        let contents = files.get_mut(file).expect("a name has a file");
        let length = contents.now.len().min(contents.synced.len());
        let at = random.below(length.max(1) as u64) as usize;
        let change = 1 + random.below(255) as u8;
        *contents.now.get_mut(at)? ^= change;
        *contents.synced.get_mut(at)? = contents.now[at];
        Some(name.clone())
    }

    /// All names, with what the files hold.
    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let world = self.0.borrow();
        world.names.iter().map(|(name, file)| (name.clone(), world.files[file].now.clone())).collect()
    }

    /// A disk with these files.
    pub(crate) fn with(contents: &BTreeMap<String, Vec<u8>>) -> Simulated {
        let disk = Simulated::new(0);
        let mut world = disk.0.borrow_mut();
        world.is_there = true;
        for (name, bytes) in contents {
            let file = world.next;
            world.next += 1;
            world.files.insert(file, Contents { now: bytes.clone(), synced: bytes.clone(), handles: 0 });
            world.names.insert(name.clone(), file);
            world.synced_names.insert(name.clone(), file);
        }
        drop(world);
        disk
    }

    fn handle(&self, file: u64) -> Handle {
        self.0.borrow_mut().files.get_mut(&file).expect("it is there").handles += 1;
        Handle { disk: self.clone(), file, is_locked: Cell::new(false) }
    }
}

impl Spill {
    /// As [`Spill::open`], but on a simulated disk, and kept by the task that is returned.
    pub(crate) fn simulated(
        disk: &Simulated,
        max_bytes: u64,
        segment_bytes: u64,
    ) -> Result<(Spill, impl Future<Output = ()> + use<>), SpillOpenError> {
        let journal = Journal::open_with(disk.clone(), max_bytes, segment_bytes)?;
        let (spill, keeper) = Spill::new(journal);
        Ok((spill, keeper.keep_by_turns(disk.clone())))
    }
}

impl Keeper<Simulated> {
    /// What the thread does, as a task.
    async fn keep_by_turns(mut self, disk: Simulated) {
        loop {
            if self.shared.mail().is_empty() {
                let _ = timeout_at(self.checked + CHECK_INTERVAL, self.shared.rung.notified()).await;
            }
            let Some((appends, chore)) = self.shared.mail().next() else { return };
            *self.shared.working_since() = Some(Instant::now());
            disk.wait().await;
            self.turn(appends, chore);
            *self.shared.working_since() = None;
        }
    }
}

impl World {
    fn vanish(&mut self) {
        self.leave(None);
    }

    fn leave(&mut self, elsewhere: Option<(BTreeMap<String, u64>, bool)>) {
        self.has_vanished = true;
        // What is under way at this moment is not acknowledged yet.
        self.taken_before = Some(Instant::now());
        self.is_there = false;
        self.elsewhere = elsewhere;
        self.names.clear();
        self.synced_names.clear();
        self.changes.clear();
        self.forget_unused();
    }

    fn move_away(&mut self) {
        if self.is_there {
            self.leave(Some((self.names.clone(), self.has_vanished)));
        }
    }

    fn used(&self) -> u64 {
        self.files.values().map(|contents| contents.now.len() as u64).sum()
    }

    /// Files with neither a name nor a handle take no room. Those whose names may come back after a crash are kept.
    fn forget_unused(&mut self) {
        let names = self.names.values().chain(self.synced_names.values());
        let mut named: BTreeSet<u64> = names.copied().collect();
        named.extend(self.changes.iter().filter_map(|(_, file)| *file));
        named.extend(self.elsewhere.iter().flat_map(|(names, _)| names.values()));
        self.files.retain(|file, contents| contents.handles > 0 || named.contains(file));
    }

    fn set_name(&mut self, name: &str, file: Option<u64>) {
        match file {
            Some(file) => self.names.insert(name.to_owned(), file),
            None => self.names.remove(name),
        };
        self.changes.push((name.to_owned(), file));
    }

    fn writable(&self) -> io::Result<()> {
        match (self.is_there, self.is_read_only) {
            (false, _) => Err(ErrorKind::NotFound.into()),
            (_, true) => Err(ErrorKind::ReadOnlyFilesystem.into()),
            _ => Ok(()),
        }
    }
}

/// Whether one of so many failures is due.
fn fails(left: &mut u64) -> bool {
    let fails = *left > 0;
    *left = left.saturating_sub(1);
    fails
}

impl Contents {
    fn lose_unsynced(&mut self, random: &mut Random) {
        if self.now.starts_with(&self.synced) {
            let kept =
                self.synced.len() + random.below((self.now.len() - self.synced.len()) as u64 + 1) as usize;
            self.now.truncate(kept);
            if random.one_in(4) {
                // The length was written before the bytes were.
                let from = self.synced.len() + random.below((kept - self.synced.len()) as u64 + 1) as usize;
                self.now[from..].fill(0);
            }
        } else if random.one_in(2) {
            self.now.clone_from(&self.synced);
        }
        self.synced.clone_from(&self.now);
    }
}

impl Disk for Simulated {
    type File = Handle;

    fn make(&self) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        if !world.is_there && world.is_read_only {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        world.is_there = true;
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let world = self.0.borrow();
        if world.is_there {
            Ok(world.names.keys().cloned().collect())
        } else {
            Err(ErrorKind::NotFound.into())
        }
    }

    fn create(&self, name: &str) -> io::Result<Handle> {
        let mut world = self.0.borrow_mut();
        if world.names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        world.writable()?;
        let file = world.next;
        world.next += 1;
        world.files.insert(file, Contents::default());
        world.set_name(name, Some(file));
        drop(world);
        Ok(self.handle(file))
    }

    fn open(&self, name: &str) -> io::Result<Handle> {
        let file = self.0.borrow().names.get(name).copied().ok_or(ErrorKind::NotFound)?;
        Ok(self.handle(file))
    }

    fn length(&self, file: &Handle) -> io::Result<u64> {
        Ok(self.0.borrow().files[&file.file].now.len() as u64)
    }

    fn read(&self, file: &Handle, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let world = self.0.borrow();
        let hits = |bad: &Range<u64>| at < bad.end && bad.start < at + into.len() as u64;
        if world.unreadable.as_ref().is_some_and(hits) {
            return Err(io::Error::other("simulated: the block cannot be read"));
        }
        let bytes = world.files[&file.file].now.get(at as usize..).unwrap_or_default();
        let length = bytes.len().min(into.len());
        into[..length].copy_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn append(&self, file: &Handle, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        if std::mem::take(&mut world.is_moved_soon) {
            world.move_away();
        }
        let room = usize::try_from(world.capacity.saturating_sub(world.used())).unwrap_or(usize::MAX);
        let written = &bytes[..bytes.len().min(room)];
        world.files.get_mut(&file.file).expect("it is open").now.extend_from_slice(written);
        if written.len() < bytes.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn cut(&self, file: &Handle, length: u64) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        if fails(&mut world.failing_cuts) {
            return Err(io::Error::other("simulated: the cut failed"));
        }
        world.files.get_mut(&file.file).expect("it is open").now.truncate(length as usize);
        Ok(())
    }

    fn sync(&self, file: &Handle) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        let fails = fails(&mut world.failing_syncs);
        if std::mem::take(&mut world.vanishes_soon) {
            world.vanish();
        }
        let World { random, files, .. } = &mut *world;
        let contents = files.get_mut(&file.file).expect("it is open");
        if !fails {
            contents.synced.clone_from(&contents.now);
            return Ok(());
        }
        if contents.now.starts_with(&contents.synced) {
            let more = random.below((contents.now.len() - contents.synced.len()) as u64 + 1) as usize;
            let durable = contents.synced.len() + more;
            contents.synced = contents.now[..durable].to_vec();
        }
        Err(io::Error::other("simulated: the sync failed"))
    }

    fn is_named(&self, file: &Handle, name: &str) -> bool {
        self.0.borrow().names.get(name) == Some(&file.file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        world.writable()?;
        let file = world.names.get(from).copied().ok_or(ErrorKind::NotFound)?;
        // Both names change in one step.
        world.names.remove(from);
        world.set_name(to, Some(file));
        world.changes.push((from.to_owned(), None));
        world.forget_unused();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        world.writable()?;
        if !world.names.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        world.set_name(name, None);
        world.forget_unused();
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        if !world.is_there {
            return Err(ErrorKind::NotFound.into());
        }
        if fails(&mut world.failing_folder_syncs) {
            return Err(io::Error::other("simulated: the sync of the folder failed"));
        }
        world.synced_names = world.names.clone();
        world.changes.clear();
        world.forget_unused();
        Ok(())
    }

    fn try_lock(&self, file: &Handle) -> io::Result<bool> {
        let is_free = self.0.borrow_mut().locked.insert(file.file);
        file.is_locked.set(is_free);
        Ok(is_free)
    }
}
