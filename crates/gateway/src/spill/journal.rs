//! A first-in, first-out list of records on a disk that crashes, fills up, fails and decays.
//!
//! ```text
//! 00000007.journal     a segment: records one after the other (`record`)
//! 00000008.journal     the last one is appended to
//! 00000005.damaged     a segment in which something was damaged: kept for people when its intact records have been taken
//! position             "7 1234 <checksum>": the first record not taken yet begins there
//! lock                 locked by the one process that uses the folder; its number is in it
//! ```
//!
//! Five rules:
//!
//! - A record is durable when [`Journal::append`] returns: written and synced in a file that has its name after that.
//! - After a write that failed, what was written is cut off again, and nothing is appended behind it if that is uncertain.
//! - After a crash a record may come back twice, but is never lost and never out of order.
//! - Damage costs the records that are damaged and no other. Their bytes are kept.
//! - Segments stay open, so that a folder that vanishes takes nothing along: it is made anew with all that was in it. There are
//!   few: after a restart the last one is appended to again, and beyond a number of them nothing is.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::ops::Range;

use super::disk::Disk;
use super::record::{HEAD, Reader, encode};

/// The journal of one folder.
pub(super) struct Journal<D: Disk> {
    disk: D,
    lock: D::File,
    max_bytes: u64,
    /// From this size on, a segment is not appended to.
    segment_bytes: u64,
    /// Whether what the disk cannot read is damage.
    skips_unreadable: bool,
    /// The oldest first. Only the last one may have no records.
    segments: VecDeque<Segment<D::File>>,
    /// Where the first record not taken yet begins, in the first segment.
    position: u64,
    /// Whether the last segment may be appended to.
    is_open: bool,
    /// `false` after a name was restored and before the folder was synced.
    are_names_durable: bool,
    /// The number of the next segment. Numbers are never used twice.
    next_number: u64,
    /// Segments that are done and could not be put away yet: number, and whether to keep them.
    done: Vec<(u64, bool)>,
    /// When the first record not taken yet was appended, milliseconds since 1970.
    oldest_ms: Option<u64>,
    damage: Damage,
}

struct Segment<F> {
    number: u64,
    /// Kept open, so that its records outlive its name.
    file: F,
    /// Where its records end.
    end: u64,
    /// Bytes behind them, of a write that was cut short or failed and could not be taken back.
    rest: u64,
    /// Whether nothing may be appended any more.
    is_sealed: bool,
    /// Records not taken yet.
    records: u64,
    /// Places that are damaged.
    damaged: Vec<Range<u64>>,
    /// Whether it is kept when it is done.
    is_kept: bool,
}

/// What was found damaged since the journal was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Places that are damaged.
    pub(super) places: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Files that are kept because of it, those of earlier runs included.
    pub(super) files: u64,
}

/// A record, and what [`Journal::take`] needs to take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// What was appended.
    pub(super) payload: String,
    /// When, milliseconds since 1970.
    pub(super) time_ms: u64,
    end: u64,
}

/// Why a journal could not be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// Another process uses the folder; its number, if that can be read.
    InUse(Option<u32>),
    /// The disk failed.
    Io(io::Error),
}

/// Why a record could not be appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// There is no room for it.
    Full,
    /// The disk failed, and nothing of the record is left on it.
    Failed(io::Error),
    /// The disk failed, and the record may come back after a crash.
    Unknown(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

impl<D: Disk> Journal<D> {
    /// Opens the journal of a folder, which is made if it is not there.
    pub(super) fn open(disk: D, max_bytes: u64) -> Result<Journal<D>, OpenError> {
        Journal::open_with(disk, max_bytes, LEAST_SEGMENT.max(max_bytes / MOST_SEGMENTS))
    }

    /// As [`Self::open`], without a bound, for people: what the disk cannot read is damage. A gateway does not decide that by
    /// itself, since a disk that is away for a while can read nothing.
    pub(super) fn open_for_people(disk: D) -> Result<Journal<D>, OpenError> {
        let mut journal = Journal::open_as(disk, u64::MAX, LEAST_SEGMENT, true)?;
        journal.segment_bytes = LEAST_SEGMENT.max(journal.bytes() / MOST_SEGMENTS);
        Ok(journal)
    }

    /// As [`Self::open`], with segments of so many bytes.
    pub(super) fn open_with(disk: D, max_bytes: u64, segment_bytes: u64) -> Result<Journal<D>, OpenError> {
        Journal::open_as(disk, max_bytes, segment_bytes, false)
    }

    fn open_as(
        disk: D,
        max_bytes: u64,
        segment_bytes: u64,
        skips_unreadable: bool,
    ) -> Result<Journal<D>, OpenError> {
        disk.make()?;
        let lock = acquire(&disk)?;
        let names = disk.names()?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name, SEGMENT)).collect();
        numbers.sort_unstable();
        let kept = names.iter().filter_map(|name| number_of(name, KEPT));
        let damage = Damage { files: kept.clone().count() as u64, ..Damage::default() };
        let (first, position) = read_position(&disk, &names).unwrap_or((0, 0));
        let last = numbers.iter().copied().chain(kept).chain([first]).max().unwrap_or(0);
        let mut journal = Journal {
            disk,
            lock,
            max_bytes,
            segment_bytes,
            skips_unreadable,
            segments: VecDeque::new(),
            position: 0,
            is_open: false,
            // A crash may have come before that.
            are_names_durable: false,
            next_number: last + 1,
            done: Vec::new(),
            oldest_ms: None,
            damage,
        };
        for name in names.iter().filter(|name| name.ends_with(HALF_MADE)) {
            journal.disk.remove(name)?;
        }
        for number in numbers {
            if number < first {
                // Taken whole; the crash came before it was put away.
                journal.done.push((number, false));
                continue;
            }
            let from = if number == first { position } else { 0 };
            let segment = journal.scan(number, from)?;
            if journal.segments.is_empty() {
                journal.position = from;
            }
            journal.segments.push_back(segment);
        }
        journal.advance();
        Ok(journal)
    }

    /// Records not taken yet.
    pub(super) fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    /// Bytes on disk, without those that are kept because of damage.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end + segment.rest).sum()
    }

    /// When the first record not taken yet was appended, milliseconds since 1970.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.oldest_ms
    }

    /// What was found damaged.
    pub(super) fn damage(&self) -> Damage {
        self.damage
    }

    /// Appends all records or none, and syncs.
    pub(super) fn append(&mut self, payloads: &[&str], now_ms: u64) -> Result<(), AppendError> {
        let needed: u64 = payloads.iter().map(|payload| (HEAD + payload.len()) as u64).sum();
        if self.bytes() + needed > self.max_bytes {
            return Err(AppendError::Full);
        }
        if !self.is_open && !self.reopen_last() && self.segments.len() >= MOST_OPEN {
            return Err(AppendError::Failed(io::Error::other("too many files that cannot be appended to")));
        }
        self.append_beyond(payloads.iter().map(|payload| (now_ms, *payload)))
    }

    /// As [`Self::append`], whatever the bound; each record with its own time.
    fn append_beyond<'a>(
        &mut self,
        records: impl Iterator<Item = (u64, &'a str)>,
    ) -> Result<(), AppendError> {
        self.keep_names().map_err(AppendError::Failed)?;
        if !self.is_open {
            self.begin_segment().map_err(AppendError::Failed)?;
        }
        let last = self.segments.back().expect("one is open");
        let (before, mut block) = (last.end, Block::new(last.number, last.end));
        let mut is_synced = true;
        let mut done = block.write(&self.disk, &last.file, records);
        if done.is_ok() {
            done = self.disk.sync(&last.file);
            is_synced = done.is_ok();
        }
        // Somebody may have taken the folder away meanwhile.
        if done.is_ok() && !self.is_in_place(last) {
            done = Err(ErrorKind::NotFound.into());
        }
        if let Err(error) = done {
            return Err(self.undo(before, block.end, is_synced, error));
        }
        let last = self.segments.back_mut().expect("one is open");
        last.end = block.end;
        last.records += block.records;
        self.is_open = last.end < self.segment_bytes;
        self.oldest_ms = self.oldest_ms.or(block.oldest_ms);
        Ok(())
    }

    /// The first records not taken yet, all of one segment: at most so many, and no more bytes than that unless one alone has more.
    pub(super) fn peek(&mut self, most: usize, most_bytes: usize) -> io::Result<Vec<Found>> {
        while !self.segments.is_empty() {
            let found = self.read(0, self.position, most, most_bytes)?;
            if !found.is_empty() {
                return Ok(found);
            }
            self.finish_first();
            self.advance();
        }
        Ok(Vec::new())
    }

    /// Records of one segment from a place on, bounded as those of [`Self::peek`].
    fn read(&mut self, index: usize, from: u64, most: usize, most_bytes: usize) -> io::Result<Vec<Found>> {
        let segment = &mut self.segments[index];
        let mut reader = Reader::new(&self.disk, &segment.file, segment.number, segment.end)
            .skipping_unreadable(self.skips_unreadable);
        let (mut found, mut damaged, mut place, mut bytes) = (Vec::new(), Vec::new(), from, 0);
        while found.len() < most && (bytes < most_bytes || found.is_empty()) && place < segment.end {
            let next = match reader.next(place) {
                Err(error) if found.is_empty() => return Err(error),
                Err(_) => break,
                Ok(next) => next,
            };
            let begin = next.map_or(segment.end, |record| record.place);
            if begin > place {
                damaged.push(place..begin);
            }
            let Some(record) = next else { break };
            let payload = reader.payload(&record)?;
            bytes += payload.len();
            found.push(Found { payload, time_ms: record.time_ms, end: record.end });
            place = record.end;
        }
        for place in damaged {
            self.damage.note(segment, place);
        }
        Ok(found)
    }

    /// Takes the first `count` of the records that were peeked at. They are taken whether or not the disk can be told so: if it
    /// cannot, they come back after a crash.
    pub(super) fn take(&mut self, peeked: &[Found], count: usize) -> io::Result<()> {
        let Some(last) = count.checked_sub(1).and_then(|index| peeked.get(index)) else { return Ok(()) };
        let first = self.segments.front_mut().expect("what was peeked at is there");
        first.records = first.records.saturating_sub(count as u64);
        self.position = last.end;
        let number = first.number;
        self.advance();
        let is_done = self.segments.front().is_none_or(|first| first.number != number);
        if is_done { Ok(()) } else { self.write_position() }
    }

    /// Keeps the first segment when it is done: something in it is of no use to this version.
    pub(super) fn keep_first(&mut self) {
        if let Some(first) = self.segments.front_mut() {
            first.is_kept = true;
        }
    }

    /// Makes good what can be: the folder, the lock, names, and what could not be put away. To be called now and then.
    pub(super) fn check(&mut self) -> io::Result<()> {
        self.put_away();
        self.keep_names()?;
        let names = self.disk.names()?;
        for name in names.iter().filter(|name| name.ends_with(HALF_MADE)) {
            self.disk.remove(name)?;
        }
        // People remove them when they have seen them.
        self.damage.files = names.iter().filter(|name| name.ends_with(KEPT)).count() as u64;
        Ok(())
    }

    /// Whether the disk takes a write. To be called after one has failed.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        self.check()?;
        let name = format!("probe{HALF_MADE}");
        let _ = self.disk.remove(&name);
        let file = self.disk.create(&name)?;
        let written = self.disk.append(&file, &[0; PROBE]).and_then(|()| self.disk.sync(&file));
        self.disk.remove(&name)?;
        written
    }

    /// Writes all records anew, without anything damaged between them. What was damaged is kept.
    pub(super) fn rewrite(&mut self) -> io::Result<()> {
        self.is_open = false;
        let old = self.segments.len();
        self.segments.iter_mut().for_each(|segment| segment.is_sealed = true);
        let written = (0..old).try_for_each(|index| {
            self.for_each_part(index, |journal, records| {
                let records = records.iter().map(|record| (record.time_ms, record.payload.as_str()));
                journal.append_beyond(records).map_err(|error| match error {
                    AppendError::Failed(error) | AppendError::Unknown(error) => error,
                    AppendError::Full => ErrorKind::StorageFull.into(),
                })
            })
        });
        if written.is_err() {
            self.done.extend(self.segments.drain(old..).map(|copy| (copy.number, false)));
            self.is_open = false;
            self.put_away();
            return written;
        }
        for _ in 0..old {
            self.finish_first();
        }
        self.advance();
        if self.done.is_empty() { Ok(()) } else { Err(io::Error::other(NOT_PUT_AWAY)) }
    }

    /// Goes through all records not taken yet.
    pub(super) fn for_each(&mut self, mut told: impl FnMut(&Found) -> io::Result<()>) -> io::Result<()> {
        for index in 0..self.segments.len() {
            self.for_each_part(index, |_, records| records.iter().try_for_each(&mut told))?;
        }
        Ok(())
    }

    fn for_each_part(
        &mut self,
        index: usize,
        mut told: impl FnMut(&mut Self, &[Found]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut from = if index == 0 { self.position } else { 0 };
        loop {
            let found = self.read(index, from, usize::MAX, COPY)?;
            let Some(last) = found.last() else { return Ok(()) };
            from = last.end;
            told(self, &found)?;
        }
    }

    /// The damaged places of each segment: its name, and where they are.
    pub(super) fn damaged(&self) -> impl Iterator<Item = (String, &[Range<u64>])> {
        self.segments.iter().map(|segment| (segment_name(segment.number), segment.damaged.as_slice()))
    }

    /// Files that are kept because of damage, and their bytes.
    pub(super) fn kept(&self) -> io::Result<Vec<(String, u64)>> {
        let mut names = self.disk.names()?;
        names.retain(|name| name.ends_with(KEPT));
        names.sort_unstable();
        names
            .into_iter()
            .map(|name| {
                let length = self.disk.length(&self.disk.open(&name)?)?;
                Ok((name, length))
            })
            .collect()
    }

    /// Opens a segment, and counts its records from `from` on.
    fn scan(&mut self, number: u64, from: u64) -> io::Result<Segment<D::File>> {
        let file = self.disk.open(&segment_name(number))?;
        let length = self.disk.length(&file)?;
        let (mut end, mut records, mut damaged, mut place) = (length, 0, Vec::new(), 0);
        let mut reader =
            Reader::new(&self.disk, &file, number, length).skipping_unreadable(self.skips_unreadable);
        while place < length {
            let next = reader.next(place)?;
            if next.is_none() && reader.is_unfinished(place)? {
                tracing::warn!(
                    segment = segment_name(number),
                    from = place,
                    to = length,
                    "a crash has cut the last write short"
                );
                end = place;
                break;
            }
            let begin = next.map_or(length, |record| record.place);
            if begin > place {
                damaged.push(place..begin);
            }
            let Some(record) = next else { break };
            records += u64::from(record.place >= from);
            place = record.end;
        }
        let mut segment = Segment { end, rest: length - end, records, ..Segment::new(number, file) };
        for place in damaged {
            // What was taken before is no loss, but people may want to see it.
            segment.is_kept = true;
            if place.end > from {
                self.damage.note(&mut segment, place);
            }
        }
        Ok(segment)
    }

    /// Appends go to the last segment again, if it is small and intact, and what lies behind its records can be cut off.
    fn reopen_last(&mut self) -> bool {
        let Some(last) = self.segments.back_mut() else { return false };
        let is_good =
            !last.is_sealed && !last.is_kept && last.damaged.is_empty() && last.end < self.segment_bytes;
        // Synced in any case: what the last run wrote and did not sync would be lost in front of what is synced now.
        if !is_good || self.disk.cut(&last.file, last.end).and_then(|()| self.disk.sync(&last.file)).is_err()
        {
            return false;
        }
        last.rest = 0;
        self.is_open = true;
        true
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        self.put_away();
        if !self.done.is_empty() {
            // Or files would pile up where names can be made and not removed.
            return Err(io::Error::other(NOT_PUT_AWAY));
        }
        let number = self.next_number;
        let name = segment_name(number);
        let file = self.disk.create(&name)?;
        self.next_number += 1;
        if let Err(error) = self.disk.sync_folder() {
            self.done.push((number, false));
            return Err(error);
        }
        self.segments.push_back(Segment::new(number, file));
        self.is_open = true;
        Ok(())
    }

    /// Takes a write back that failed: what is known of it then.
    fn undo(&mut self, before: u64, after: u64, is_synced: bool, error: io::Error) -> AppendError {
        let last = self.segments.back_mut().expect("it was written to");
        let is_cut = self.disk.cut(&last.file, before);
        let cut = is_cut.and_then(|()| self.disk.sync(&last.file).inspect_err(|_| last.is_sealed = true));
        // Also if its name is gone now: a name may come back.
        let is_gone = cut.is_ok();
        tracing::debug!(%error, segment = last.number, is_gone, "a write to the spill failed");
        // After a sync that failed nobody knows what is on the disk.
        last.is_sealed |= !is_synced;
        if !is_gone {
            last.rest = after - before;
        }
        self.is_open = is_gone && !last.is_sealed;
        if last.records == 0 {
            let number = last.number;
            self.segments.pop_back();
            self.is_open = false;
            self.done.push((number, false));
            self.put_away();
        }
        if is_gone { AppendError::Failed(error) } else { AppendError::Unknown(error) }
    }

    /// The folder, the lock and all segments have their names when this returns.
    fn keep_names(&mut self) -> io::Result<()> {
        if !self.owns_folder() {
            self.own_again()?;
            tracing::warn!("the folder of the spill or its lock was gone; it has been made anew");
        }
        for index in 0..self.segments.len() {
            if !self.is_in_place(&self.segments[index]) {
                self.are_names_durable = false;
                self.restore(index)?;
            }
        }
        if !self.are_names_durable {
            self.disk.sync_folder()?;
            self.are_names_durable = true;
            if let Err(error) = self.write_position() {
                tracing::warn!(%error, "the position in the spill cannot be written");
            }
        }
        Ok(())
    }

    /// Locks a folder that has taken the place of the one that is gone.
    fn own_again(&mut self) -> io::Result<()> {
        self.disk.make()?;
        let lock = acquire(&self.disk).map_err(|error| match error {
            OpenError::Io(error) => error,
            OpenError::InUse(_) => io::Error::other("another process uses the folder now"),
        })?;
        let own = |name: &str| {
            self.segments
                .iter()
                .any(|segment| segment_name(segment.number) == name && self.is_in_place(segment))
        };
        let names = self.disk.names()?;
        if let Some(other) = names.iter().find(|name| number_of(name, SEGMENT).is_some() && !own(name)) {
            return Err(io::Error::other(format!(
                "the folder has a journal of another process now: {other}"
            )));
        }
        self.lock = lock;
        Ok(())
    }

    /// Gives a segment a name again: its file is open, and is copied.
    fn restore(&mut self, index: usize) -> io::Result<()> {
        let segment = &self.segments[index];
        let name = segment_name(segment.number);
        if self.disk.open(&name).is_ok() {
            return Err(io::Error::other(format!("{name} is of somebody else")));
        }
        let copy = self.replace(&name, |copy| {
            let mut part = vec![0; COPY];
            let mut place = 0;
            while place < segment.end {
                let most = part.len().min(usize::try_from(segment.end - place).unwrap_or(part.len()));
                let read = self.disk.read(&segment.file, place, &mut part[..most])?;
                if read == 0 {
                    break;
                }
                self.disk.append(copy, &part[..read])?;
                place += read as u64;
            }
            Ok(())
        })?;
        tracing::warn!(
            segment = name,
            records = segment.records,
            "a segment of the spill has its name again"
        );
        self.segments[index].file = copy;
        self.segments[index].rest = 0;
        Ok(())
    }

    /// Whether its lock is that of the folder.
    pub(super) fn owns_folder(&self) -> bool {
        self.disk.is_named(&self.lock, LOCK)
    }

    fn is_in_place(&self, segment: &Segment<D::File>) -> bool {
        self.disk.is_named(&segment.file, &segment_name(segment.number))
    }

    /// The first segment is done.
    fn finish_first(&mut self) {
        let first = self.segments.pop_front().expect("there is one");
        self.position = 0;
        if self.segments.is_empty() {
            self.is_open = false;
        }
        self.done.push((first.number, first.is_kept || !first.damaged.is_empty()));
    }

    /// Leaves segments in which nothing is left behind, and looks at the first record after them.
    fn advance(&mut self) {
        while self.segments.front().is_some_and(|first| first.records == 0)
            && self.read(0, self.position, 1, 0).is_ok_and(|found| found.is_empty())
        {
            self.finish_first();
        }
        self.put_away();
        self.look_at_first();
    }

    /// Removes the segments that are done, or keeps them under another name. What cannot be done now is done later.
    fn put_away(&mut self) {
        if self.done.is_empty() || !self.owns_folder() {
            return;
        }
        let (disk, damage) = (&self.disk, &mut self.damage);
        self.done.retain(|(number, is_kept)| {
            let name = segment_name(*number);
            let put_away =
                if *is_kept { disk.rename(&name, &kept_name(*number)) } else { disk.remove(&name) };
            if put_away.is_ok() && *is_kept {
                damage.files += 1;
            }
            put_away.is_err_and(|error| error.kind() != ErrorKind::NotFound)
        });
        // Not needed for safety: a segment that comes back is taken a second time.
        let _ = disk.sync_folder();
    }

    /// Reads the time of the first record not taken yet.
    fn look_at_first(&mut self) {
        let first = self.segments.front().filter(|first| first.records > 0);
        self.oldest_ms = first.and_then(|first| {
            let mut reader = Reader::new(&self.disk, &first.file, first.number, first.end)
                .skipping_unreadable(self.skips_unreadable);
            Some(reader.next(self.position).ok()??.time_ms)
        });
    }

    fn write_position(&self) -> io::Result<()> {
        let Some(first) = self.segments.front() else { return Ok(()) };
        if !self.owns_folder() {
            return Err(ErrorKind::NotFound.into());
        }
        let numbers = format!("{} {}", first.number, self.position);
        let text = format!("{numbers} {}\n", checksum_of(&numbers));
        self.replace(POSITION, |file| self.disk.append(file, text.as_bytes()))?;
        self.disk.sync_folder()
    }

    /// Puts a file into the place of another one, whole or not at all. Its name is not durable yet.
    fn replace(&self, name: &str, fill: impl FnOnce(&D::File) -> io::Result<()>) -> io::Result<D::File> {
        let half_made = format!("{name}{HALF_MADE}");
        let _ = self.disk.remove(&half_made);
        let file = self.disk.create(&half_made)?;
        let filled = fill(&file).and_then(|()| self.disk.sync(&file));
        filled.and_then(|()| self.disk.rename(&half_made, name)).inspect_err(|_| {
            let _ = self.disk.remove(&half_made);
        })?;
        Ok(file)
    }
}

impl<F> Segment<F> {
    fn new(number: u64, file: F) -> Segment<F> {
        Segment {
            number,
            file,
            end: 0,
            rest: 0,
            is_sealed: false,
            records: 0,
            damaged: Vec::new(),
            is_kept: false,
        }
    }
}

impl Damage {
    /// Counts a damaged place, once.
    fn note<F>(&mut self, segment: &mut Segment<F>, place: Range<u64>) {
        let index = segment.damaged.partition_point(|known| known.end <= place.start);
        let known = segment.damaged.get(index);
        if known.is_some_and(|known| known.start <= place.start && place.end <= known.end) {
            return;
        }
        tracing::error!(
            segment = segment_name(segment.number),
            from = place.start,
            to = place.end,
            "a part of the spill is damaged; all around it is intact"
        );
        self.places += 1;
        self.bytes += place.end - place.start;
        segment.damaged.insert(index, place);
    }
}

/// Records on their way to the end of a segment.
struct Block {
    number: u64,
    end: u64,
    records: u64,
    oldest_ms: Option<u64>,
}

impl Block {
    fn new(number: u64, end: u64) -> Block {
        Block { number, end, records: 0, oldest_ms: None }
    }

    fn write<'a, D: Disk>(
        &mut self,
        disk: &D,
        file: &D::File,
        records: impl Iterator<Item = (u64, &'a str)>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (time_ms, payload) in records {
            let record = encode(self.number, self.end, time_ms, payload);
            self.end += record.len() as u64;
            self.records += 1;
            self.oldest_ms = self.oldest_ms.or(Some(time_ms));
            bytes.extend_from_slice(&record);
            if bytes.len() >= COPY {
                disk.append(file, &bytes)?;
                bytes.clear();
            }
        }
        disk.append(file, &bytes)
    }
}

/// Locks the folder. The lock counts only while the file that is locked has its name: somebody may have removed it meanwhile.
fn acquire<D: Disk>(disk: &D) -> Result<D::File, OpenError> {
    loop {
        let file = match disk.create(LOCK) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match disk.open(LOCK) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                file => file?,
            },
            file => file?,
        };
        if !disk.try_lock(&file)? {
            let mut number = [0; 10];
            let length = disk.read(&file, 0, &mut number).unwrap_or(0);
            let text = String::from_utf8_lossy(&number[..length]);
            return Err(OpenError::InUse(text.trim().parse().ok()));
        }
        if disk.is_named(&file, LOCK) {
            // For people; a full disk is no reason not to start.
            let number = format!("{}\n", std::process::id());
            let _ = disk.cut(&file, 0).and_then(|()| disk.append(&file, number.as_bytes()));
            return Ok(file);
        }
    }
}

/// Where the first record not taken yet begins: a segment's number and a place in it. Without it, all that is there comes again.
fn read_position<D: Disk>(disk: &D, names: &[String]) -> Option<(u64, u64)> {
    if !names.iter().any(|name| name == POSITION) {
        return None;
    }
    let mut bytes = [0; 64];
    let length = disk.open(POSITION).and_then(|file| disk.read(&file, 0, &mut bytes));
    let position = length.ok().and_then(|length| parse_position(std::str::from_utf8(&bytes[..length]).ok()?));
    if position.is_none() {
        tracing::error!("the position in the spill cannot be read: what was replayed last is replayed again");
    }
    position
}

fn parse_position(text: &str) -> Option<(u64, u64)> {
    let (numbers, checksum) = text.strip_suffix('\n')?.rsplit_once(' ')?;
    let (number, place) = numbers.split_once(' ')?;
    let is_intact = checksum == checksum_of(numbers);
    if is_intact { Some((number.parse().ok()?, place.parse().ok()?)) } else { None }
}

fn checksum_of(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

fn segment_name(number: u64) -> String {
    format!("{number:08}{SEGMENT}")
}

fn kept_name(number: u64) -> String {
    format!("{number:08}{KEPT}")
}

fn number_of(name: &str, suffix: &str) -> Option<u64> {
    name.strip_suffix(suffix)?.parse().ok()
}

const SEGMENT: &str = ".journal";
const KEPT: &str = ".damaged";
const HALF_MADE: &str = ".new";
const POSITION: &str = "position";
const LOCK: &str = "lock";
const NOT_PUT_AWAY: &str = "an old segment cannot be removed";
/// Small enough to be removed soon, large enough that there are few: each is open.
const LEAST_SEGMENT: u64 = 8 << 20;
const MOST_SEGMENTS: u64 = 32;
/// With so many, a further one is begun for no write: those that are full, and as many that cannot be appended to.
pub(crate) const MOST_OPEN: usize = 2 * MOST_SEGMENTS as usize;
/// Bytes that are written or copied at once.
const COPY: usize = 1 << 20;
/// Bytes of a write that only tries whether there is room.
const PROBE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::disk::Folder;
    use crate::spill::simulated::Simulated;

    fn payloads(found: &[Found]) -> Vec<&str> {
        found.iter().map(|record| record.payload.as_str()).collect()
    }

    fn take_all<D: Disk>(journal: &mut Journal<D>) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let found = journal.peek(3, 1 << 20).unwrap();
            if found.is_empty() {
                return all;
            }
            journal.take(&found, found.len()).unwrap();
            all.extend(found.into_iter().map(|record| record.payload));
        }
    }

    #[test]
    fn records_come_back_in_order_after_a_restart_on_a_real_disk() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Journal::open(Folder::new(&dir.path().join("a/b")), 1 << 20).unwrap();
        let mut journal = open();
        journal.append(&["a", "b"], 5).unwrap();
        journal.append(&["c"], 7).unwrap();
        let found = journal.peek(1, 9).unwrap();
        assert_eq!(payloads(&found), ["a"]);
        journal.take(&found, 1).unwrap();
        drop(journal);
        let mut journal = open();
        assert_eq!((journal.records(), journal.oldest_ms()), (2, Some(5)));
        assert_eq!(take_all(&mut journal), ["b", "c"]);
        journal.append(&["d"], 9).unwrap();
        drop(journal);
        let mut journal = open();
        assert_eq!(take_all(&mut journal), ["d"]);
        assert_eq!((journal.bytes(), journal.damage()), (0, Damage::default()));
    }

    #[test]
    fn it_takes_no_more_than_its_bound_and_again_when_there_is_room() {
        let mut journal = Journal::open(Simulated::new(1), 100).unwrap();
        let text = "x".repeat(60);
        journal.append(&[&text], 1).unwrap();
        assert!(matches!(journal.append(&[&text], 1), Err(AppendError::Full)));
        assert_eq!(take_all(&mut journal), std::slice::from_ref(&text));
        journal.append(&[&text], 1).unwrap();
        assert_eq!(take_all(&mut journal), [text]);
    }

    #[test]
    fn large_journals_are_several_segments_that_go_one_by_one() {
        let disk = Simulated::new(1);
        let mut journal = Journal::open_with(disk.clone(), 1 << 30, 50).unwrap();
        let records: Vec<String> = (0..10).map(|number| format!("{number:030}")).collect();
        for record in &records {
            journal.append(&[record], 1).unwrap();
        }
        assert_eq!(journal.segments.len(), 10);
        drop(journal);
        let mut journal = Journal::open_with(disk.clone(), 1 << 30, 50).unwrap();
        for record in &records {
            let found = journal.peek(1, 9).unwrap();
            assert_eq!(payloads(&found), [record]);
            journal.take(&found, 1).unwrap();
            assert_eq!(disk.contents().len(), 1 + journal.segments.len(), "the lock, and what is left");
        }
    }

    /// The finding that made this journal: a full disk, and then room again.
    #[test]
    fn a_disk_that_was_full_drains_all_and_no_file_is_left() {
        let disk = Simulated::new(1);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        journal.append(&["first"], 1).unwrap();
        disk.leave_room(40);
        for _ in 0..3000 {
            assert!(matches!(
                journal.append(&["does not fit in forty bytes"], 1),
                Err(AppendError::Failed(_))
            ));
        }
        assert_eq!(disk.contents().len(), 2, "{:?}", disk.contents().keys());
        disk.heal();
        journal.append(&["second"], 1).unwrap();
        drop(journal);
        let mut journal = Journal::open(disk, 1 << 20).unwrap();
        assert_eq!(take_all(&mut journal), ["first", "second"]);
    }

    #[test]
    fn nothing_is_appended_behind_a_failed_sync_and_no_file_is_left() {
        let disk = Simulated::new(1);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        journal.append(&["first"], 1).unwrap();
        for _ in 0..50 {
            disk.fail_syncs(1);
            assert!(matches!(journal.append(&["lost"], 1), Err(AppendError::Failed(_))));
            assert!(!journal.is_open);
        }
        for _ in 0..50 {
            disk.fail_folder_syncs(2);
            assert!(matches!(journal.append(&["lost"], 1), Err(AppendError::Failed(_))));
        }
        disk.heal();
        journal.append(&["second"], 1).unwrap();
        assert_eq!(disk.contents().len(), 3, "{:?}", disk.contents().keys());
        assert_eq!(take_all(&mut journal), ["first", "second"]);
    }

    /// The write fails, it cannot be cut off, and the folder is elsewhere for that moment.
    #[test]
    fn nothing_is_appended_behind_a_write_that_could_not_be_taken_back() {
        let disk = Simulated::new(1);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        journal.append(&["first"], 1).unwrap();
        for times in 1..=3 {
            disk.leave_room(40);
            disk.fail_cuts(times);
            disk.move_away_soon();
            let told = journal.append(&["does not fit in forty bytes"], 1);
            assert!(matches!(told, Err(AppendError::Unknown(_))), "{told:?}");
            disk.come_back();
            disk.leave_room(1 << 20);
            journal.append(&["second"], 1).unwrap();
            disk.heal();
        }
        drop(journal);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        assert_eq!(journal.damage(), Damage::default());
        assert_eq!(take_all(&mut journal), ["first", "second", "second", "second"]);
    }

    #[test]
    fn restarts_and_writes_that_fail_leave_few_files_open() {
        let disk = Simulated::new(1);
        let all: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        for text in &all {
            let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
            journal.append(&[text], 1).unwrap();
            assert_eq!(journal.segments.len(), 1);
        }
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        let mut unknown = 0;
        for _ in 0..200 {
            // Nobody knows what is on the disk, so none of them is appended to again.
            disk.fail_syncs(2);
            unknown += usize::from(matches!(journal.append(&["x"], 1), Err(AppendError::Unknown(_))));
            let _ = journal.append(&["taken"], 1);
            assert!(journal.segments.len() <= MOST_OPEN);
        }
        disk.heal();
        assert!(unknown > 0);
        let back = take_all(&mut journal);
        assert_eq!(back[..200], all);
        journal.append(&["after"], 1).unwrap();
        assert_eq!(take_all(&mut journal), ["after"]);
    }

    #[test]
    fn a_folder_has_one_owner_and_is_free_when_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Journal::open(Folder::new(dir.path()), 1 << 20);
        let journal = open().unwrap();
        let own = std::process::id();
        assert!(matches!(open(), Err(OpenError::InUse(Some(process))) if process == own));
        drop(journal);
        open().unwrap();
    }

    #[test]
    fn a_folder_that_vanishes_is_made_anew_with_all_that_was_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spill");
        let mut journal = Journal::open(Folder::new(&path), 1 << 20).unwrap();
        journal.append(&["a", "b"], 1).unwrap();
        let found = journal.peek(1, 9).unwrap();
        journal.take(&found, 1).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        journal.append(&["c"], 1).unwrap();
        drop(journal);
        let mut journal = Journal::open(Folder::new(&path), 1 << 20).unwrap();
        assert_eq!(take_all(&mut journal), ["b", "c"]);
    }

    #[test]
    fn a_folder_that_somebody_else_has_taken_is_left_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spill");
        let mut journal = Journal::open(Folder::new(&path), 1 << 20).unwrap();
        journal.append(&["a"], 1).unwrap();
        std::fs::rename(&path, dir.path().join("away")).unwrap();
        let mut other = Journal::open(Folder::new(&path), 1 << 20).unwrap();
        other.append(&["theirs"], 1).unwrap();
        assert!(matches!(journal.append(&["b"], 1), Err(AppendError::Failed(_))));
        assert_eq!(take_all(&mut journal), ["a"], "what is open can still be read");
        assert_eq!(take_all(&mut other), ["theirs"]);
    }

    /// Every byte of every file of a small journal is changed in several ways: only the record that it is in is lost.
    #[test]
    fn a_damaged_byte_costs_the_record_that_it_is_in() {
        let disk = Simulated::new(1);
        let mut journal = Journal::open_with(disk.clone(), 1 << 20, 150).unwrap();
        let taken = "taken".to_owned();
        journal.append(&[&taken], 1).unwrap();
        // Records that have the bytes of others in them, as far as a text can.
        let copy = String::from_utf8_lossy(&encode(1, 29, 1, "inner")).into_owned();
        let texts =
            ["", "plain", "\u{1F525} \n\0", &copy, &format!("J1{copy}{copy}"), "last of its segment", "x"];
        let mut places = Vec::new();
        for text in texts {
            journal.append(&[text], 1).unwrap();
            let last = journal.segments.back().unwrap();
            places.push((segment_name(last.number), last.end - (HEAD + text.len()) as u64..last.end));
        }
        assert!(journal.segments.len() > 1);
        let found = journal.peek(1, 9).unwrap();
        journal.take(&found, 1).unwrap();
        drop(journal);
        let intact = disk.contents();
        for (name, bytes) in &intact {
            for (at, byte) in bytes.iter().enumerate() {
                for change in [1, 0x80, 0xff, byte ^ 0xff, byte ^ b'\n', *byte] {
                    if change == 0 {
                        continue;
                    }
                    let mut contents = intact.clone();
                    contents.get_mut(name).unwrap()[at] ^= change;
                    let disk = Simulated::with(&contents);
                    let mut journal = Journal::open_with(disk.clone(), 1 << 20, 150).unwrap();
                    let is_hit =
                        |(file, place): &(String, Range<u64>)| file == name && place.contains(&(at as u64));
                    let hit = places.iter().position(is_hit);
                    let expected = texts.iter().enumerate().filter(|(index, _)| Some(*index) != hit);
                    // Without the position, what was taken comes again.
                    let again = (name == POSITION).then_some(taken.as_str());
                    let expected: Vec<&str> =
                        again.into_iter().chain(expected.map(|(_, text)| *text)).collect();
                    let is_segment = name.ends_with(SEGMENT);
                    // What was taken before is no loss.
                    let is_loss = is_segment && !(name == &segment_name(1) && at < HEAD + taken.len());
                    assert_eq!(journal.damage().places, u64::from(is_loss), "{name} at {at} by {change:02x}");
                    assert_eq!(take_all(&mut journal), expected, "{name} at {at} by {change:02x}");
                    let kept = disk.contents().into_iter().filter(|(name, _)| name.ends_with(KEPT));
                    let damaged = is_segment.then(|| (name.replace(SEGMENT, KEPT), contents[name].clone()));
                    assert_eq!(kept.collect::<Vec<_>>(), damaged.into_iter().collect::<Vec<_>>());
                    assert_eq!((journal.bytes(), journal.damage().files), (0, u64::from(is_segment)));
                }
            }
        }
    }

    /// As a file system does that loses track of its blocks.
    #[test]
    fn a_record_in_the_place_of_another_is_damage() {
        let disk = Simulated::new(1);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        journal.append(&["a", "b", "c"], 1).unwrap();
        drop(journal);
        let mut contents = disk.contents();
        contents.get_mut(&segment_name(1)).unwrap().copy_within(..HEAD + 1, HEAD + 1);
        let mut journal = Journal::open(Simulated::with(&contents), 1 << 20).unwrap();
        assert_eq!(take_all(&mut journal), ["a", "c"]);
    }

    #[test]
    fn what_the_disk_cannot_read_is_an_error_and_damage_only_for_people() {
        let disk = Simulated::new(1);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        let texts: Vec<String> = (0..9).map(|number| format!("{number}").repeat(3000)).collect();
        for text in &texts {
            journal.append(&[text], 1).unwrap();
        }
        // A block that begins in the third record and ends in the fourth.
        disk.make_unreadable(Some(8192..12288));
        let found = journal.peek(9, 1 << 20).unwrap();
        assert_eq!(payloads(&found), texts[..2], "what lies before it");
        journal.take(&found, 2).unwrap();
        assert!(journal.peek(9, 1 << 20).is_err());
        drop(journal);
        assert!(matches!(Journal::open(disk.clone(), 1 << 20), Err(OpenError::Io(_))));
        let mut journal = Journal::open_for_people(disk.clone()).unwrap();
        assert_eq!((journal.records(), journal.damage().places), (4, 1));
        journal.rewrite().unwrap();
        drop(journal);
        disk.make_unreadable(None);
        let mut journal = Journal::open(disk, 1 << 20).unwrap();
        assert_eq!(take_all(&mut journal), texts[5..]);
    }

    #[test]
    fn damage_while_it_runs_costs_one_record_too() {
        let disk = Simulated::new(1);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        journal.append(&["a", "b", "c"], 1).unwrap();
        while disk.damage().is_none_or(|name| !name.ends_with(SEGMENT)) {}
        assert_eq!(take_all(&mut journal).len(), 2);
        assert_eq!((journal.records(), journal.damage().places), (0, 1));
    }

    #[test]
    fn a_write_cut_short_is_no_damage() {
        let disk = Simulated::new(1);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        journal.append(&["whole", "cut short"], 1).unwrap();
        drop(journal);
        let whole = disk.contents();
        let name = segment_name(1);
        for cut in 1..=HEAD + "cut short".len() {
            let mut contents = whole.clone();
            let length = contents[&name].len() - cut;
            contents.get_mut(&name).unwrap().truncate(length);
            for zeros in [0, 30] {
                contents.get_mut(&name).unwrap().resize(length + if cut > HEAD + 8 { zeros } else { 0 }, 0);
                let mut journal = Journal::open(Simulated::with(&contents), 1 << 20).unwrap();
                assert_eq!(journal.damage(), Damage::default(), "{cut} {zeros}");
                assert_eq!(take_all(&mut journal), ["whole"]);
            }
        }
    }

    #[test]
    fn rewritten_it_has_the_same_records_and_no_damage() {
        let disk = Simulated::new(1);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        journal.append(&["a", "b", "c", "d"], 4).unwrap();
        let found = journal.peek(1, 9).unwrap();
        journal.take(&found, 1).unwrap();
        drop(journal);
        let mut contents = disk.contents();
        contents.get_mut(&segment_name(1)).unwrap()[2 * (HEAD + 1) + HEAD] ^= 1;
        let disk = Simulated::with(&contents);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        assert_eq!(journal.damaged().map(|(_, places)| places.len()).sum::<usize>(), 1);
        journal.rewrite().unwrap();
        assert_eq!((journal.records(), journal.oldest_ms()), (2, Some(4)));
        drop(journal);
        let mut journal = Journal::open(disk.clone(), 1 << 20).unwrap();
        assert_eq!(journal.damage(), Damage { files: 1, ..Damage::default() });
        assert_eq!(take_all(&mut journal), ["b", "d"]);
        assert_eq!(disk.contents()[&kept_name(1)], contents[&segment_name(1)]);
    }
}
