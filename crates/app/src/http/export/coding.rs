//! The content codings of answers: streams that are compressed while they are sent.

use std::io::{self, Write};

use actix_web::http::header::{Encoding, HeaderMap};
use flate2::Compression;
use flate2::write::GzEncoder;
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::http::accept;

/// The level of zstd: its window is half a mebibyte, and it compresses about as well as gzip in a fraction of the time.
const ZSTD_LEVEL: i32 = 1;

/// A content coding (RFC 9110, section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    /// Returns the coding that the client wants most; of two that it wants as much, the better one.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let supported = [Encoding::zstd(), Encoding::gzip(), Encoding::identity()];
        match accept::coding(headers, &supported) {
            coding if coding == Encoding::zstd() => Self::Zstd,
            coding if coding == Encoding::gzip() => Self::Gzip,
            _ => Self::Identity,
        }
    }

    /// Returns the name, unless nothing is coded.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// Returns about how many bytes of memory it takes.
    pub(super) const fn memory(self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Gzip => 512 << 10,
            Self::Zstd => 2 << 20,
        }
    }
}

/// Compresses a stream piece by piece.
pub(super) enum Encoder {
    Identity,
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl Encoder {
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::fast()))),
            Coding::Zstd => Self::Zstd(ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?),
        })
    }

    /// Takes a piece, and returns what can be sent by now.
    pub(super) fn push(&mut self, piece: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(piece),
            Self::Gzip(encoder) => {
                encoder.write_all(&piece)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(&piece)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// Takes the last piece, and returns the end of the stream.
    pub(super) fn finish(mut self, piece: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut end = self.push(piece)?;
        match self {
            Self::Identity => {}
            Self::Gzip(encoder) => end.append(&mut encoder.finish()?),
            Self::Zstd(encoder) => end.append(&mut encoder.finish()?),
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use actix_web::http::header::{ACCEPT_ENCODING, HeaderValue};
    use flate2::read::GzDecoder;

    use super::*;

    fn wanted(value: &str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
        Coding::wanted(&headers)
    }

    #[test]
    fn the_best_coding_that_the_client_names_is_taken() {
        assert_eq!(Coding::wanted(&HeaderMap::new()), Coding::Identity);
        assert_eq!(wanted("gzip, deflate, br"), Coding::Gzip);
        assert_eq!(wanted("gzip, zstd"), Coding::Zstd);
        assert_eq!(wanted("gzip, zstd;q=0.5"), Coding::Gzip);
        assert_eq!(wanted("gzip;q=0, br, *"), Coding::Identity);
        assert_eq!(wanted("gzip;q=0.2, identity"), Coding::Identity);
    }

    #[test]
    fn pieces_are_decoded_as_one_stream() {
        let pieces: Vec<Vec<u8>> =
            (0..50).map(|number| format!("piece {number}\n").repeat(1000).into_bytes()).collect();
        for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
            let mut encoder = Encoder::new(coding).unwrap();
            let mut coded = Vec::new();
            for piece in &pieces {
                coded.append(&mut encoder.push(piece.clone()).unwrap());
            }
            coded.append(&mut encoder.finish(b"end".to_vec()).unwrap());
            let mut decoded = Vec::new();
            match coding {
                Coding::Identity => decoded = coded,
                Coding::Gzip => drop(GzDecoder::new(&coded[..]).read_to_end(&mut decoded).unwrap()),
                Coding::Zstd => decoded = zstd::decode_all(&coded[..]).unwrap(),
            }
            assert!(decoded == [pieces.concat(), b"end".to_vec()].concat(), "{coding:?}");
        }
    }
}
