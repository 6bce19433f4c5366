//! Content codings: bodies that arrive compressed, decoded piece by piece, whatever they grow to.

use std::io::{Error, ErrorKind, Result, Write};

use actix_web::web::{Buf, Bytes};
use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{DParameter, Operation};
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, OutBuffer};

/// About how many bytes one step yields at most.
const STEP: usize = 16 * 1024;

/// The base-2 logarithm of the farthest that a zstd frame may refer back, which is what decoding it takes in memory:
/// 2 MiB, which the default level of zstd needs for a body of unknown length.
const ZSTD_WINDOW_LOG: u32 = 21;

/// The content coding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// The coding of this name (RFC 9110, section 8.4.1).
    #[must_use]
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// About how many bytes it takes to decode it: of zstd the window, two blocks and what the decoder is itself.
    pub(super) const fn memory(self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Gzip => 128 << 10,
            Self::Zstd => (1 << ZSTD_WINDOW_LOG) + (448 << 10),
        }
    }
}

/// Decodes a body in steps that each yield a bounded piece.
pub(super) enum Decoder {
    Identity,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<Zstd>),
}

/// A stream of zstd frames.
pub(super) struct Zstd {
    decoder: ZstdDecoder<'static>,
    /// Returns true if every frame that has begun has ended.
    complete: bool,
    /// True if the last step filled its output, so that more may follow without more input.
    more: bool,
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> Result<Self> {
        Ok(match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
                Self::Zstd(Box::new(Zstd { decoder, complete: false, more: false }))
            }
        })
    }

    /// Decodes the next piece into `output`; `false` when the input is used up.
    pub(super) fn step(&mut self, input: &mut Bytes, output: &mut Vec<u8>) -> Result<bool> {
        match self {
            _ if input.is_empty() && !self.has_more() => return Ok(false),
            Self::Identity => output.extend_from_slice(&input.split_to(STEP.min(input.len()))),
            Self::Gzip(decoder) => {
                match decoder.write(input.get(..STEP.min(input.len())).unwrap_or_default())? {
                    0 => return Err(Error::new(ErrorKind::InvalidData, "the stream does not go on")),
                    read => input.advance(read),
                }
                if input.is_empty() {
                    decoder.flush()?;
                }
                output.append(decoder.get_mut());
            }
            Self::Zstd(frames) => frames.step(input, output)?,
        }
        Ok(true)
    }

    /// Decodes what the end of the body completes.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Identity => Ok(()),
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                output.append(decoder.get_mut());
                Ok(())
            }
            Self::Zstd(frames) if frames.complete => Ok(()),
            Self::Zstd(_) => Err(Error::new(ErrorKind::UnexpectedEof, "the last frame is not complete")),
        }
    }

    fn has_more(&self) -> bool {
        matches!(self, Self::Zstd(frames) if frames.more)
    }
}

impl Zstd {
    fn step(&mut self, input: &mut Bytes, output: &mut Vec<u8>) -> Result<()> {
        if self.complete {
            self.decoder.reinit()?;
        }
        let mut piece = [0; STEP];
        let (read, written, remaining) = {
            let (mut source, mut target) = (InBuffer::around(input.as_ref()), OutBuffer::around(&mut piece[..]));
            let remaining = self.decoder.run(&mut source, &mut target).map_err(told)?;
            (source.pos(), target.pos(), remaining)
        };
        input.advance(read);
        output.extend_from_slice(piece.get(..written).unwrap_or_default());
        self.complete = remaining == 0;
        self.more = written == STEP && !self.complete;
        Ok(())
    }
}

/// Names the limit to a client whose frames need more memory than they may.
fn told(error: Error) -> Error {
    if error.to_string().contains("too much memory") {
        let mebibytes = (1_u32 << ZSTD_WINDOW_LOG) >> 20;
        let detail = format!(
            "its zstd window is larger than {mebibytes} MiB, the limit; compress with a window of at most \
             2^{ZSTD_WINDOW_LOG} bytes, as zstd -3 or zstd --long={ZSTD_WINDOW_LOG} does"
        );
        return Error::new(ErrorKind::InvalidData, detail);
    }
    error
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 3).unwrap()
    }

    /// Decodes a body that comes in pieces of this size, and tells the longest piece that came of a step.
    fn decode(coding: Coding, coded: &[u8], size: usize) -> Result<(Vec<u8>, usize)> {
        let mut decoder = Decoder::new(coding)?;
        let (mut decoded, mut longest) = (Vec::new(), 0);
        for piece in coded.chunks(size) {
            let mut input = Bytes::copy_from_slice(piece);
            let mut output = Vec::new();
            while decoder.step(&mut input, &mut output)? {
                longest = longest.max(output.len());
                decoded.append(&mut output);
            }
        }
        decoder.finish(&mut decoded)?;
        Ok((decoded, longest))
    }

    #[test]
    fn every_coding_is_decoded_however_it_is_cut() {
        let text: Vec<u8> = (0..40_000_u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        let two_members = [gzip(&text[..1000]), gzip(&text[1000..])].concat();
        let two_frames = [zstd(&text[..1000]), zstd(&text[1000..])].concat();
        let cases = [
            (Coding::Identity, text.clone()),
            (Coding::Gzip, gzip(&text)),
            (Coding::Gzip, two_members),
            (Coding::Zstd, zstd(&text)),
            (Coding::Zstd, two_frames),
        ];
        for (coding, coded) in cases {
            for size in [1, 7, 1000, 1 << 20] {
                assert!(decode(coding, &coded, size).unwrap().0 == text, "{coding:?} in {size}s");
            }
        }
    }

    #[test]
    fn what_grows_a_thousandfold_comes_in_small_pieces() {
        let nothing = vec![0; 50 << 20];
        for (coding, coded) in [(Coding::Gzip, gzip(&nothing)), (Coding::Zstd, zstd(&nothing))] {
            assert!(coded.len() < 100_000);
            let (decoded, longest) = decode(coding, &coded, 1 << 20).unwrap();
            assert_eq!(decoded.len(), nothing.len(), "{coding:?}");
            assert!(longest <= 128 * 1024, "{coding:?}: {longest}");
        }
    }

    #[test]
    fn the_default_level_is_decoded_when_it_does_not_know_the_length() {
        let text: Vec<u8> = (0..600_000_u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.write_all(&text).unwrap();
        let coded = encoder.finish().unwrap();
        assert!(decode(Coding::Zstd, &coded, 10_000).unwrap().0 == text);
        let window = 10 + (coded[5] >> 3);
        assert_eq!(u32::from(window), ZSTD_WINDOW_LOG, "no smaller limit would do");
    }

    #[test]
    fn a_window_over_the_limit_is_refused_by_a_message_that_names_it() {
        let coded = |window: u32| {
            let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
            encoder.window_log(window).unwrap();
            encoder.write_all(&[b'x'; 100_000]).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(decode(Coding::Zstd, &coded(ZSTD_WINDOW_LOG), 1000).unwrap().0.len(), 100_000);
        for window in [ZSTD_WINDOW_LOG + 1, 23, 27] {
            let error = decode(Coding::Zstd, &coded(window), 1000).unwrap_err().to_string();
            assert!(error.contains("larger than 2 MiB, the limit"), "{window}: {error}");
        }
    }

    #[test]
    fn what_is_cut_or_damaged_is_an_error() {
        let text = b"a body that is long enough to be damaged in its middle".repeat(20);
        for (coding, coded) in [(Coding::Gzip, gzip(&text)), (Coding::Zstd, zstd(&text))] {
            assert!(decode(coding, &coded[..coded.len() - 1], 10).is_err(), "{coding:?} cut");
            assert!(decode(coding, b"", 10).is_err(), "{coding:?} empty");
            assert!(decode(coding, &text, 10).is_err(), "{coding:?} not coded");
        }
        let mut damaged = gzip(&text);
        let last = damaged.len() - 5;
        damaged[last] ^= 1;
        assert!(decode(Coding::Gzip, &damaged, 10).is_err());
    }
}
