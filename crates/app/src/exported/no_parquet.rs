//! Rows of Parquet in a build that cannot write them.

use anyhow::bail;
use mass_domain::contracts::{CellType, ContractId};

const NOT_BUILT: &str =
    "this build of MASS does not write Parquet; the container image does, and builds with --features parquet";

/// Rows of Parquet under typed columns: none in this build.
#[derive(Debug)]
pub enum ParquetTable {}

impl ParquetTable {
    /// True if this build writes Parquet.
    pub const IS_BUILT: bool = false;

    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: &[(String, CellType)]) -> anyhow::Result<Self> {
        bail!(NOT_BUILT)
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn push<'a>(&mut self, _: impl IntoIterator<Item = &'a str>) -> anyhow::Result<()> {
        match *self {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub const fn written(&mut self) -> anyhow::Result<Vec<u8>> {
        match *self {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub const fn finish(&mut self) -> anyhow::Result<Vec<u8>> {
        match *self {}
    }
}

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
        bail!(NOT_BUILT)
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
