//! One stream that is being collected: its state between two looks at it.

use super::format::Style;
use super::route::{Overflow, Route, StreamKey};
use super::slot::Record;
use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the last output of an app that is gone waits for a file that can't be written, on a full disk for one.
const TROUBLED: Duration = Duration::from_secs(600);
/// A stamped line that goes on is written out after its stream was quiet for this long: a prompt should be seen.
const QUIET: Duration = Duration::from_millis(100);
/// A JSON line waits longer, because only whole lines make whole records.
const QUIET_JSON: Duration = Duration::from_secs(5);
/// Except when so much of it has come that the FIFO might be full of it.
const LONG_TAIL: usize = 4096;
/// First and longest pause between two attempts to write to a file in trouble.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// First pause when a reader has taken a part.
const RETRY_SLOW: Duration = Duration::from_millis(2);
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// How long after a look at an unfinished line the next one comes, at first and at most. See [`Left`] for why an event is
/// not enough. A writer that fills the FIFO up behind an unfinished line loses about the first pause each time.
const PEEK_FIRST: Duration = Duration::from_micros(50);
const PEEK_LONGEST: Duration = Duration::from_millis(250);

/// What a FIFO holds unless told otherwise.
pub(super) const USUAL: usize = 64 * 1024;
/// What a FIFO is made to hold once it was found half full, in two steps: fewer and larger rounds cost writer and reader
/// less, and the writer gets on while the thread has no processor. Best effort: a user has a limited amount of pipe
/// memory, so quiet streams keep the usual size and only so many get the largest, see [`LARGEST_MAX`].
const LARGE: usize = 256 * 1024;
const LARGEST: usize = 1024 * 1024;
/// How many FIFOs may be of the largest size: an ordinary user has 64 MiB for all pipes, beyond which new ones shrink.
pub(super) const LARGEST_MAX: usize = 16;
/// So many looks in a row that moved bytes make a stream a busy one, whose events are not asked for.
const BUSY: u8 = 8;

/// How a stream's bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Spliced into the file.
    Raw,
    /// In batches through the private pipe.
    Batch,
}

/// What was found after moving bytes.
///
/// An event is sure to come only for a write to an empty FIFO: a writer that fills up one which still holds bytes falls
/// asleep without saying so. Hence a look that has moved bytes is always followed by another, until one finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The FIFO is empty: the next bytes come with an event.
    Nothing,
    /// Little was found: look again after a rest.
    Soon,
    /// Perhaps more: look again at once.
    More,
    /// An unfinished line of this many bytes.
    Tail(usize),
    /// Nothing, and nobody has the FIFO open for writing.
    Closed,
}

/// A file that could not be opened or written.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) path: PathBuf,
    pub(super) error: std::io::Error,
}

/// The stream's state.
#[derive(Debug)]
pub(super) struct Pump {
    pub(super) key: StreamKey,
    pub(super) reader: OwnedFd,
    /// How many bytes the FIFO holds.
    capacity: usize,
    /// What to make it hold when it is found half full, if anything.
    larger: Option<usize>,
    /// How many looks in a row have moved bytes, up to [`BUSY`].
    moving: u8,
    /// Whether the thread waits for its events. A busy stream is looked at anyway, and each event costs its writer.
    pub(super) watched: bool,
    /// None, one or two different files.
    pub(super) targets: Vec<PathBuf>,
    pub(super) style: Style,
    pub(super) way: Way,
    /// Bytes may be there.
    pub(super) ready: bool,
    /// So many that no rest should come first.
    pub(super) urgent: bool,
    /// The unfinished line in the FIFO, and since when it has not grown.
    tail: Option<(usize, Instant)>,
    /// When to look whether it has, and the pause after that.
    peek: Option<(Instant, Duration)>,
    /// In trouble: when to try again, and the pause after that.
    pub(super) retry: Option<(Instant, Duration)>,
    /// The process is gone: take what is left, until then.
    pub(super) drain: Option<Instant>,
    /// At the deadline: how much may still be taken of a FIFO that somebody goes on writing to.
    allowance: Option<u64>,
    /// Rendered bytes after which one of its files is to be rotated.
    pub(super) room: u64,
    /// What happens while a file can't be written.
    pub(super) overflow: Overflow,
    /// A batch that has to be repeated exactly.
    pub(super) redo: Option<Redo>,
}

/// A batch that was begun and not completed.
#[derive(Debug)]
pub(super) struct Redo {
    pub(super) record: Record,
    /// How much a file without offsets (a FIFO, a device) has taken of it.
    pub(super) sent: [usize; 2],
}

impl Pump {
    pub(super) fn new(key: StreamKey, reader: OwnedFd, route: Route) -> Pump {
        let mut targets: Vec<PathBuf> = route.file.into_iter().collect();
        targets.extend(
            route.combined.into_iter().filter(|combined| targets.first() != Some(combined)).collect::<Vec<_>>(),
        );
        let style = Style::new(&route.format, key.channel);
        let raw = matches!(style, Style::Plain) && targets.len() < 2 && !route.format.copy;
        let way = if raw { Way::Raw } else { Way::Batch };
        let capacity = fcntl_getpipe_size(&reader).unwrap_or(USUAL);
        Pump {
            key,
            reader,
            capacity,
            larger: [LARGE, LARGEST].into_iter().find(|size| *size > capacity),
            moving: 0,
            watched: true,
            targets,
            style,
            way,
            ready: true,
            urgent: false,
            tail: None,
            peek: None,
            retry: None,
            drain: None,
            allowance: None,
            room: u64::MAX,
            overflow: route.overflow,
            redo: None,
        }
    }

    /// From this many bytes on a look is worth another one before a rest.
    pub(super) fn much(&self) -> usize {
        self.capacity / 4 * 3
    }

    /// How full the FIFO was for a look that has moved so many bytes, in bytes of one of the usual size.
    pub(super) fn fullness(&self, moved: usize) -> usize {
        moved.saturating_mul(USUAL) / self.capacity.max(1)
    }

    /// Makes the FIFO larger when it was half full; to the largest size only if `room` says that one more may be, and not
    /// for batches, which are no larger than the batch pipe.
    pub(super) fn grow(&mut self, moved: usize, room: impl FnOnce() -> bool) {
        let Some(size) = self.larger.filter(|_| moved >= self.capacity / 2) else { return };
        if size == LARGEST && (self.way == Way::Batch || !room()) {
            return;
        }
        self.larger = None;
        if let Ok(capacity) = fcntl_setpipe_size(&self.reader, size) {
            self.capacity = capacity;
            self.larger = (size < LARGEST).then_some(LARGEST);
        }
    }

    /// A reader has taken a part and will soon take more.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.retry = Some((now + RETRY_SLOW, RETRY_SLOW));
    }

    /// How much of a batch that is to be repeated readers have taken already.
    pub(super) fn sent(&self) -> usize {
        self.redo.as_ref().map_or(0, |redo| redo.sent.iter().sum())
    }

    /// Whether the FIFO is of the largest size.
    pub(super) fn is_largest(&self) -> bool {
        self.capacity >= LARGEST
    }

    /// Whether bytes come faster than events are worth.
    pub(super) fn is_busy(&self) -> bool {
        self.moving >= BUSY
    }

    pub(super) fn writes_to(&self, path: &Path) -> bool {
        self.targets.iter().any(|target| target == path)
    }

    /// When the unfinished line is to be written out.
    fn tail_due(&self) -> Option<Instant> {
        let (length, since) = self.tail?;
        let patience = match self.style {
            Style::Json { .. } if length < LONG_TAIL => QUIET_JSON,
            _ => QUIET,
        };
        Some(since + patience)
    }

    /// Whether the unfinished line has waited long enough.
    pub(super) fn tail_is_due(&self, now: Instant) -> bool {
        self.tail_due().is_some_and(|due| due <= now)
    }

    /// Whether there is something to do at `now`.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        if self.retry.is_some() {
            return self.may_try(now) || (self.ready && self.overflow == Overflow::Drop);
        }
        let peek = self.peek.is_some_and(|(at, _)| at <= now);
        self.ready || peek || self.tail_is_due(now) || self.drain_is_over(now)
    }

    /// Whether the files may be tried: they are in no trouble, or have been for long enough since the last attempt.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.retry.is_none_or(|(at, _)| at <= now) || self.is_given_up(now)
    }

    /// From this many bytes on the FIFO may be full: each two of its pages hold more than one page's worth.
    pub(super) fn crowded(&self) -> usize {
        self.capacity / 8 * 3
    }

    /// The next time at which there is something to do without any event.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.retry {
            Some((at, _)) => self.drain.map(|drain| drain + TROUBLED).into_iter().chain([at]).min(),
            None => self.tail_due().into_iter().chain(self.peek.map(|(at, _)| at)).chain(self.drain).min(),
        }
    }

    /// Whether a stream whose file can't be written has waited long enough: its app is gone, and descriptors are not
    /// without end.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        self.drain.is_some_and(|drain| drain + TROUBLED <= now)
    }

    pub(super) fn drain_is_over(&self, now: Instant) -> bool {
        self.drain.is_some_and(|deadline| deadline <= now)
    }

    /// Whether nothing of the stream remains to be waited for, after a look that gave `moved` bytes.
    pub(super) fn is_drained(&mut self, moved: usize, left: Left, now: Instant) -> bool {
        if self.drain.is_none() || left == Left::Closed {
            return self.drain.is_some();
        }
        if !self.drain_is_over(now) {
            return false;
        }
        // What was there at the deadline is still the app's; what comes later is somebody else's.
        let allowance = self.allowance.unwrap_or_else(|| rustix::io::ioctl_fionread(&self.reader).unwrap_or(0));
        self.allowance = Some(allowance.saturating_sub(moved as u64));
        moved == 0 || allowance == 0
    }

    /// Takes note of a look that has moved `moved` bytes.
    pub(super) fn settle(&mut self, moved: usize, left: Left, now: Instant) {
        self.retry = None;
        self.moving = if moved > 0 && left != Left::Closed { (self.moving + 1).min(BUSY) } else { 0 };
        self.urgent = left == Left::More;
        self.ready = matches!(left, Left::More | Left::Soon) || moved > 0;
        let Left::Tail(length) = left else {
            (self.tail, self.peek) = (None, None);
            return;
        };
        let unchanged = self.tail.is_some_and(|(known, _)| known == length) && moved == 0;
        if !unchanged {
            self.tail = Some((length, now));
        }
        let pause = match self.peek {
            Some((_, pause)) if unchanged => (pause * 2).min(PEEK_LONGEST),
            _ => PEEK_FIRST,
        };
        self.peek = Some((now + pause, pause));
    }

    /// Takes note of a failure: the next attempt is made later and later.
    pub(super) fn pause(&mut self, now: Instant) {
        // A writer that fills up a FIFO with bytes in it causes no event, and shall not wait where bytes are dropped.
        let holds = || rustix::io::ioctl_fionread(&self.reader).is_ok_and(|bytes| bytes > 0);
        let longest = if self.overflow == Overflow::Drop && holds() { RETRY_FIRST } else { RETRY_LONGEST };
        let pause = self.retry.map_or(RETRY_FIRST, |(_, pause)| (pause * 2).min(longest));
        self.retry = Some((now + pause, pause));
        self.moving = 0;
    }
}
