//! The types of the cells of a table, for formats whose columns have types.

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellType {
    /// Text, or JSON where the contract takes an array or an object as a whole.
    Text,
    /// A number.
    Number,
    /// A time.
    Time,
}
