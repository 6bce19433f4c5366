//! Rows of Parquet in a build that cannot write them.

use anyhow::bail;
use mass_domain::contracts::ContractId;

/// Rows of Parquet: none in this build.
#[derive(Debug)]
pub enum ParquetRows {}

impl ParquetRows {
    /// True if this build writes Parquet.
    pub const IS_BUILT: bool = false;

    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: ContractId) -> anyhow::Result<Self> {
        bail!("this build of MASS does not write Parquet; the container image does, and builds with --features parquet")
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub const fn add(&mut self, _: &str, _: &str, _: &str) -> anyhow::Result<Vec<u8>> {
        match *self {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub const fn finish(&mut self) -> anyhow::Result<Vec<u8>> {
        match *self {}
    }

    /// Cannot be called.
    #[must_use]
    pub const fn incomplete(&self) -> u64 {
        match *self {}
    }
}
