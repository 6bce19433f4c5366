//! The bytes of an import: a file or standard input, decompressed.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::commands::input_file::{STDIN, open_file};

/// The number of bytes that are read at a time.
pub(super) const PIECE: usize = 1 << 16;

/// The base-2 logarithm of the largest window of a Zstandard frame, in bytes: 128 MiB, the limit of the program zstd.
const ZSTD_WINDOW_LOG: u32 = 27;

/// The number of bytes by which a compressed input is recognised.
const MAGIC: usize = 4;

/// The bytes of a file or of standard input. gzip and Zstandard are recognised by their first bytes.
pub(super) struct Input {
    reader: Box<dyn Read>,
    /// The length of the file; `None` if it is not known.
    bytes: Option<u64>,
    read: Rc<Cell<u64>>,
}

impl Input {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new(STDIN) {
            return Ok(Self::new(Box::new(io::stdin()), None)?);
        }
        let file = open_file(path)?;
        let metadata = file.metadata()?;
        Ok(Self::new(Box::new(file), metadata.is_file().then_some(metadata.len()))?)
    }

    fn new(reader: Box<dyn Read>, bytes: Option<u64>) -> io::Result<Self> {
        let read = Rc::new(Cell::new(0));
        let (head, reader) = with_head(Counted { reader, count: Rc::clone(&read) }, MAGIC)?;
        let reader: Box<dyn Read> = if head.starts_with(&[0x1f, 0x8b]) {
            Box::new(MultiGzDecoder::new(reader))
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let mut decoder = ZstdDecoder::new(reader)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        } else {
            Box::new(reader)
        };
        Ok(Self { reader, bytes, read })
    }

    /// Reads at least this many bytes without consuming them; fewer only if the input is shorter.
    pub(super) fn peek(&mut self, least: usize) -> io::Result<Vec<u8>> {
        let reader = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        let (head, reader) = with_head(reader, least)?;
        self.reader = Box::new(reader);
        Ok(head)
    }

    /// Returns the length of the file in bytes, as it is stored.
    pub(super) const fn length(&self) -> Option<u64> {
        self.bytes
    }

    /// Returns the number of bytes that have been read of the file, as it is stored.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read.get()
    }
}

impl Read for Input {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.reader.read(piece)
    }
}

/// Reads the first bytes, at least this many if there are as many, and returns them with a reader of everything.
fn with_head<R: Read>(reader: R, least: usize) -> io::Result<(Vec<u8>, impl Read + use<R>)> {
    let mut reader = BufReader::with_capacity(PIECE, reader);
    let mut head = Vec::new();
    (&mut reader).take(least as u64).read_to_end(&mut head)?;
    let all = Cursor::new(head.clone()).chain(reader);
    Ok((head, all))
}

/// Counts the bytes that are read.
struct Counted<R> {
    reader: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(piece)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}
