//! Dead letters: refused messages with the reasons, a line of JSON each.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::message::{Message, MessageId};
use crate::spool::Spool;

/// An error of the file.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The file would be larger than its limit.
    #[error("the file of dead letters {} has no room left: move it away", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("the file of dead letters {} cannot be written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The file of refused messages, with a limit on its size. It may be moved away at any time.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
    limit: u64,
    /// The ids of messages that are written, and not yet removed from the spool.
    written: HashSet<String>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    id: String,
}

impl DeadLetters {
    /// Opens the file, if there is one, and cuts off a line that was not written whole. `limit` is its size in bytes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path, limit: u64, spool: &Spool) -> Result<Self, DeadLetterError> {
        let io_error = |source| DeadLetterError::Io { path: path.to_owned(), source };
        let (own, delivered) = (MessageId::prefix(spool.id()), spool.delivered());
        let waits =
            |id: &str| id.strip_prefix(&own).and_then(|it| it.parse().ok()).is_some_and(|it: u64| it > delivered);
        let written = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => ids(&file, waits).map_err(io_error)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashSet::new(),
            Err(error) => return Err(io_error(error)),
        };
        Ok(Self { path: path.to_owned(), limit, written })
    }

    /// Returns the file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends refused messages durably, each with its reasons, unless the file has them already.
    pub(crate) fn append(&mut self, refused: &[(&Message, &[serde_json::Value])]) -> Result<(), DeadLetterError> {
        let is_new = |message: &Message| !self.written.contains(&message.id.to_string());
        let lines = refused.iter().filter(|(message, _)| is_new(message));
        let lines: Vec<String> = lines.filter_map(|(message, reasons)| message.dead_letter(reasons)).collect();
        if lines.is_empty() {
            return Ok(());
        }
        let text = lines.join("\n") + "\n";
        let io_error = |source| DeadLetterError::Io { path: self.path.clone(), source };
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path).map_err(io_error)?;
        let length = file.metadata().map_err(io_error)?.len();
        // One batch always has room in an empty file.
        if length > 0 && length + text.len() as u64 > self.limit {
            return Err(DeadLetterError::Full { path: self.path.clone() });
        }
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| sync_folder(&self.path)).map_err(io_error)?;
        self.written.extend(refused.iter().map(|(message, _)| message.id.to_string()));
        Ok(())
    }

    /// Forgets messages that the spool has not any more.
    pub(crate) fn forget(&mut self, removed: &[Message]) {
        for message in removed {
            self.written.remove(&message.id.to_string());
        }
    }
}

/// Reads the ids of waiting messages in a file, and cuts it off after its last whole line.
fn ids(file: &File, waits: impl Fn(&str) -> bool) -> io::Result<HashSet<String>> {
    let (mut ids, mut whole) = (HashSet::new(), 0);
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        whole += line.len() as u64;
        if let Ok(Line { id }) = serde_json::from_slice(&line)
            && waits(&id)
        {
            ids.insert(id);
        }
        line.clear();
    }
    let mut file = file;
    if file.seek(SeekFrom::End(0))? > whole {
        file.set_len(whole)?;
    }
    Ok(ids)
}

/// Makes the name of a file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::spool::Arrival;

    /// A spool with two waiting messages.
    fn spool(folder: &Path) -> Spool {
        let spool = Spool::open(folder, 1 << 20).unwrap();
        let arrival = Arrival {
            packet: 0,
            again: false,
            received: Duration::ZERO,
            topic: "a/b".to_owned(),
            retained: false,
            payload: b"much".to_vec(),
        };
        spool.add(&[arrival.clone(), arrival]).unwrap();
        spool
    }

    fn message(spool: &Spool, number: usize) -> Message {
        spool.oldest(2, 1 << 20).unwrap().swap_remove(number - 1)
    }

    fn append(letters: &mut DeadLetters, spool: &Spool, number: usize) -> Result<(), DeadLetterError> {
        letters.append(&[(&message(spool, number), &[json!({"code": "number"})])])
    }

    #[test]
    fn a_message_is_written_once_and_a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        let path = folder.path().join("dead.ndjson");
        let mut letters = DeadLetters::open(&path, 1 << 20, &spool).unwrap();
        append(&mut letters, &spool, 1).unwrap();
        append(&mut letters, &spool, 1).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"_id\":\"mqtt-x-2\",\"_rea")).unwrap();
        let mut letters = DeadLetters::open(&path, 1 << 20, &spool).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        append(&mut letters, &spool, 1).unwrap();
        append(&mut letters, &spool, 2).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let ids: Vec<String> = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap().id).collect();
        assert_eq!(ids, [1, 2].map(|number| message(&spool, number).id.to_string()));
    }

    #[test]
    fn a_full_file_takes_more_once_it_is_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        let path = folder.path().join("dead.ndjson");
        let mut letters = DeadLetters::open(&path, 100, &spool).unwrap();
        append(&mut letters, &spool, 1).unwrap();
        assert!(matches!(append(&mut letters, &spool, 2), Err(DeadLetterError::Full { .. })));
        fs::rename(&path, folder.path().join("old.ndjson")).unwrap();
        append(&mut letters, &spool, 2).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }
}
