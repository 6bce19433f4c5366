//! Results that wait until the client reads them: some in memory, the rest in temporary files.
//!
//! A client may send everything before it reads anything. Results that it does not fetch must not keep the server from
//! reading on, or both would wait for each other for ever; nor may they fill the memory or the disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web::{Bytes, block};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::sync::Notify;

/// The bytes that wait in memory before they go to a file.
const IN_MEMORY: usize = 1 << 20;

/// The bytes that are read from a file at once.
const PIECE: usize = 64 * 1024;

/// The size of a file before the next one begins: a file is removed once it has been read, so that a client which reads
/// steadily, and slower than the server writes, keeps the disk from filling.
const FILE_BYTES: u64 = 8 << 20;

/// The folder of temporary files.
#[derive(Debug, Clone)]
pub struct TemporaryFolder(pub PathBuf);

/// Why a piece cannot be put into an outbox.
#[derive(Debug, thiserror::Error)]
pub(super) enum PutError {
    /// The client reads no more.
    #[error("nobody reads the answer any more")]
    Abandoned,
    /// The temporary file takes no more. This piece waits in memory; there should follow no more but the end.
    #[error("the results cannot be kept")]
    Full(#[source] io::Error),
    /// More waits than may wait. This piece does, too; there should follow no more but the end.
    #[error("the client does not read the results")]
    Unread,
}

/// The end that is written to. Unless it is [finished](Self::finish), the answer ends with an error, so that nobody takes
/// its beginning for the whole.
pub(super) struct Writer {
    shared: Arc<Shared>,
    folder: TemporaryFolder,
    /// The bytes that may wait.
    most: u64,
}

struct Reader(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
}

/// The waiting pieces, in their order.
#[derive(Default)]
struct Queue {
    memory: VecDeque<Bytes>,
    bytes: usize,
    files: VecDeque<Spilt>,
    /// The pieces that had no room in the files.
    last: VecDeque<Bytes>,
    end: Option<End>,
    abandoned: bool,
}

/// Pieces that wait in an anonymous file, which the system removes once it is closed.
struct Spilt {
    file: Arc<File>,
    read: u64,
    written: u64,
    /// True while a piece is being written behind the counted bytes.
    growing: bool,
}

#[derive(Clone, Copy)]
enum End {
    Complete,
    Broken,
}

/// The result of a read.
enum Found {
    Piece(Bytes),
    InFile(Arc<File>, u64, usize),
    Nothing,
    End(End),
}

/// An outbox in which at most so many bytes wait: the end to write to, and the stream to answer with.
pub(super) fn outbox(folder: TemporaryFolder, most: u64) -> (Writer, impl Stream<Item = io::Result<Bytes>> + 'static) {
    let shared = Arc::new(Shared::default());
    let reader = Reader(Arc::clone(&shared));
    let pieces = try_unfold(reader, |reader| async move { Ok(reader.next().await?.map(|piece| (piece, reader))) });
    (Writer { shared, folder, most }, pieces)
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Puts a piece behind all that waits.
    pub(super) async fn put(&mut self, piece: Vec<u8>) -> Result<(), PutError> {
        let place = {
            let mut guard = self.shared.queue();
            let queue = &mut *guard;
            let waiting = queue.waiting();
            match queue.files.back_mut() {
                _ if queue.abandoned => return Err(PutError::Abandoned),
                _ if waiting > self.most && queue.last.is_empty() => {
                    queue.last.push_back(piece.into());
                    return Err(PutError::Unread);
                }
                Some(spilt) if queue.last.is_empty() && spilt.written < FILE_BYTES => {
                    spilt.growing = true;
                    Some((Arc::clone(&spilt.file), spilt.written))
                }
                Some(_) if queue.last.is_empty() => None,
                None if queue.bytes >= IN_MEMORY && queue.last.is_empty() => None,
                Some(_) | None => {
                    queue.keep(piece.into());
                    self.shared.changed.notify_one();
                    return Ok(());
                }
            }
        };
        self.spill(piece, place).await
    }

    /// Writes a piece to a file: a new one if it has no place yet.
    async fn spill(&mut self, piece: Vec<u8>, place: Option<(Arc<File>, u64)>) -> Result<(), PutError> {
        let (folder, piece) = (self.folder.clone(), Bytes::from(piece));
        let to_write = piece.clone();
        let is_new = place.is_none();
        let writing = block(move || {
            let (file, at) = match place {
                Some(place) => place,
                None => (Arc::new(tempfile::tempfile_in(folder.0)?), 0),
            };
            file.write_all_at(&to_write, at)?;
            Ok((file, at + to_write.len() as u64))
        });
        let written = writing.await.unwrap_or_else(|_| Err(io::Error::other("nobody is left to write the file")));
        let mut queue = self.shared.queue();
        self.shared.changed.notify_one();
        let Queue { files, last, .. } = &mut *queue;
        let last_file = files.back_mut().filter(|_| !is_new);
        match (written, last_file) {
            (Ok((_, written)), Some(spilt)) => (spilt.written, spilt.growing) = (written, false),
            (Ok((file, written)), None) => files.push_back(Spilt { file, read: 0, written, growing: false }),
            (Err(error), spilt) => {
                spilt.into_iter().for_each(|spilt| spilt.growing = false);
                last.push_back(piece);
                return Err(PutError::Full(error));
            }
        }
        Ok(())
    }

    /// Ends the answer.
    pub(super) fn finish(self) {
        self.shared.queue().end = Some(End::Complete);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue().end.get_or_insert(End::Broken);
        self.shared.changed.notify_one();
    }
}

impl Queue {
    fn keep(&mut self, piece: Bytes) {
        if self.last.is_empty() {
            self.bytes += piece.len();
            self.memory.push_back(piece);
        } else {
            self.last.push_back(piece);
        }
    }

    /// Returns the number of bytes that wait.
    fn waiting(&self) -> u64 {
        self.bytes as u64 + self.files.iter().map(|spilt| spilt.written - spilt.read).sum::<u64>()
    }

    fn next(&mut self) -> Found {
        if let Some(piece) = self.memory.pop_front() {
            self.bytes -= piece.len();
            return Found::Piece(piece);
        }
        while let Some(spilt) = self.files.front() {
            if spilt.read < spilt.written {
                let length = usize::try_from(spilt.written - spilt.read).unwrap_or(PIECE).min(PIECE);
                return Found::InFile(Arc::clone(&spilt.file), spilt.read, length);
            }
            if spilt.growing {
                return Found::Nothing;
            }
            // All of it is read: what follows is in the next one or waits in memory again.
            self.files.pop_front();
        }
        match (self.last.pop_front(), self.end) {
            (Some(piece), _) => Found::Piece(piece),
            (None, Some(end)) => Found::End(end),
            (None, None) => Found::Nothing,
        }
    }
}

impl Reader {
    /// The next piece; `None` at the end.
    async fn next(&self) -> io::Result<Option<Bytes>> {
        loop {
            let found = self.0.queue().next();
            match found {
                Found::Piece(piece) => return Ok(Some(piece)),
                Found::InFile(file, at, length) => return self.read(file, at, length).await.map(Some),
                Found::Nothing => self.0.changed.notified().await,
                Found::End(End::Complete) => return Ok(None),
                Found::End(End::Broken) => return Err(io::Error::other("the answer broke off")),
            }
        }
    }

    async fn read(&self, file: Arc<File>, at: u64, length: usize) -> io::Result<Bytes> {
        let reading = block(move || {
            let mut piece = vec![0; length];
            file.read_exact_at(&mut piece, at)?;
            Ok(Bytes::from(piece))
        });
        let piece = reading.await.unwrap_or_else(|_| Err(io::Error::other("nobody is left to read the file")))?;
        if let Some(spilt) = self.0.queue().files.front_mut() {
            spilt.read = at + length as u64;
        }
        Ok(piece)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.queue().abandoned = true;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures_util::TryStreamExt;

    use super::*;

    /// The bytes that may wait in these tests.
    const MOST: u64 = 20 << 20;

    fn lines(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|number| format!("{number:0>50000}\n").into_bytes()).collect()
    }

    fn in_folder(folder: &Path) -> (Writer, impl Stream<Item = io::Result<Bytes>> + 'static) {
        outbox(TemporaryFolder(folder.to_owned()), MOST)
    }

    async fn collect(pieces: impl Stream<Item = io::Result<Bytes>>) -> io::Result<Vec<u8>> {
        let pieces: Vec<Bytes> = pieces.try_collect().await?;
        Ok(pieces.concat())
    }

    #[actix_web::test]
    async fn what_nobody_reads_waits_in_a_file_and_comes_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, pieces) = in_folder(folder.path());
        for line in lines(100) {
            writer.put(line).await.unwrap();
        }
        let bytes = writer.shared.queue().bytes;
        assert!((IN_MEMORY..IN_MEMORY + 60_000).contains(&bytes), "{bytes}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        writer.finish();
        assert!(collect(pieces).await.unwrap() == lines(100).concat());
    }

    #[actix_web::test]
    async fn reading_and_writing_go_on_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, pieces) = in_folder(folder.path());
        let writing = async {
            for line in lines(200) {
                writer.put(line).await.unwrap();
                tokio::task::yield_now().await;
            }
            writer.finish();
        };
        let ((), read) = futures_util::join!(writing, collect(pieces));
        assert!(read.unwrap() == lines(200).concat());
    }

    #[actix_web::test]
    async fn an_answer_that_is_not_finished_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, pieces) = in_folder(folder.path());
        writer.put(b"1".to_vec()).await.unwrap();
        drop(writer);
        assert!(collect(pieces).await.is_err());
    }

    #[actix_web::test]
    async fn what_finds_no_room_on_the_disk_is_told_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, pieces) = in_folder(&folder.path().join("missing"));
        let mut put = 0;
        for line in lines(100) {
            put += 1;
            if writer.put(line).await.is_err() {
                break;
            }
        }
        assert!((20..30).contains(&put), "{put}");
        writer.put(b"totals".to_vec()).await.unwrap();
        writer.finish();
        let expected = [lines(put).concat(), b"totals".to_vec()].concat();
        assert!(collect(pieces).await.unwrap() == expected);
    }

    #[actix_web::test]
    async fn what_waits_is_bounded_and_what_is_read_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, pieces) = in_folder(folder.path());
        let mut pieces = Box::pin(pieces);
        let (mut put, mut read, mut files) = (0_u64, 0_u64, 0);
        for line in lines(1000) {
            put += line.len() as u64;
            writer.put(line).await.unwrap();
            while put - read > MOST - (1 << 20) {
                read += pieces.try_next().await.unwrap().unwrap().len() as u64;
            }
            files = files.max(writer.shared.queue().files.len());
        }
        assert!((2..5).contains(&files), "{files} files for {put} bytes, of which {read} were read");
        let mut refused = 0;
        for line in lines(100) {
            refused += 1;
            put += line.len() as u64;
            if let Err(error) = writer.put(line).await {
                assert!(matches!(error, PutError::Unread), "{error:?}");
                break;
            }
        }
        assert!((20..30).contains(&refused), "{refused}");
        writer.put(b"totals".to_vec()).await.unwrap();
        writer.finish();
        let rest = collect(pieces).await.unwrap();
        assert_eq!(read + rest.len() as u64, put + 6);
        assert!(rest.ends_with(b"totals"));
    }

    #[actix_web::test]
    async fn a_writer_learns_that_nobody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, pieces) = in_folder(folder.path());
        drop(pieces);
        assert!(matches!(writer.put(b"1".to_vec()).await, Err(PutError::Abandoned)));
    }
}
