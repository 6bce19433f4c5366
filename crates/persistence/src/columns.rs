//! Values as columns of both databases.
//!
//! | value | PostgreSQL | SQLite |
//! | --- | --- | --- |
//! | [`Id`] | `uuid` | 16 bytes; both order them bytewise, so by age |
//! | [`Instant`] | `timestamptz` | UTC text of fixed width, which orders as the instants do |
//! | [`Hash`], [`Node`] | `bytea` | 32 bytes |
//! | [`Word`], [`Json`] | `text` | text |

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::io::Write;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Binary, Text, Timestamptz};
use diesel::sqlite::{Sqlite, SqliteValue};
use mass_domain::audit::tree::TreeHash;
use mass_domain::canonical::Fingerprint;
use mass_domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// SQL types that diesel does not define for both databases.
pub(crate) mod sql {
    use diesel::query_builder::QueryId;
    use diesel::sql_types::SqlType;

    /// A UUID.
    #[derive(Debug, Clone, Copy, Default, SqlType, QueryId)]
    #[diesel(postgres_type(oid = 2950, array_oid = 2951), sqlite_type(name = "Binary"))]
    pub struct Id;

    /// An instant to the microsecond.
    #[derive(Debug, Clone, Copy, Default, SqlType, QueryId)]
    #[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Text"))]
    pub struct Instant;
}

/// An id of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql::Id)]
pub(crate) struct Id(pub(crate) Uuid);

impl ToSql<sql::Id, Pg> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<sql::Id, Pg> for Id {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.as_bytes())?))
    }
}

impl ToSql<sql::Id, Sqlite> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}

impl FromSql<sql::Id, Sqlite> for Id {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let bytes = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?;
        Ok(Self(Uuid::from_slice(&bytes)?))
    }
}

/// An instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql::Instant)]
pub(crate) struct Instant(pub(crate) Timestamp);

/// Fixed width, so that texts sort as the instants do.
const SQLITE_INSTANT: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// Writes an instant as [`SQLITE_INSTANT`] says, without reading the format for each of them.
fn sqlite_instant(instant: Timestamp) -> String {
    let instant = instant.as_datetime();
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut put = |ends: usize, digits: usize, mut number: u32| {
        for place in (ends - digits..ends).rev() {
            text[place] = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    };
    put(4, 4, instant.year().unsigned_abs());
    put(7, 2, instant.month());
    put(10, 2, instant.day());
    put(13, 2, instant.hour());
    put(16, 2, instant.minute());
    put(19, 2, instant.second());
    put(26, 6, instant.timestamp_subsec_micros());
    text.iter().copied().map(char::from).collect()
}

impl ToSql<sql::Instant, Pg> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Timestamptz, Pg>::to_sql(&self.0.as_datetime(), &mut out.reborrow())
    }
}

impl FromSql<sql::Instant, Pg> for Instant {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let instant = <DateTime<Utc> as FromSql<Timestamptz, Pg>>::from_sql(value)?;
        Ok(Self(Timestamp::from_datetime(instant)))
    }
}

impl ToSql<sql::Instant, Sqlite> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(sqlite_instant(self.0));
        Ok(IsNull::No)
    }
}

impl FromSql<sql::Instant, Sqlite> for Instant {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        let instant = NaiveDateTime::parse_from_str(&text, SQLITE_INSTANT)?.and_utc();
        Ok(Self(Timestamp::from_datetime(instant)))
    }
}

/// The text of an instant, also of an invalid one, for verification.
#[derive(Debug, Clone, PartialEq, Eq, FromSqlRow)]
#[diesel(sql_type = sql::Instant)]
pub(crate) struct ShownInstant(pub(crate) String);

impl<DB: Backend> FromSql<sql::Instant, DB> for ShownInstant
where
    Instant: FromSql<sql::Instant, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Instant::from_sql(value).map_or_else(|_| "no instant".to_owned(), |Instant(at)| at.to_string())))
    }
}

/// A document's fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Binary)]
pub(crate) struct Hash(pub(crate) Fingerprint);

impl<DB: Backend> ToSql<Binary, DB> for Hash
where
    [u8]: ToSql<Binary, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.as_bytes().as_slice().to_sql(out)
    }
}

impl<DB: Backend> FromSql<Binary, DB> for Hash
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes: [u8; 32] = Vec::from_sql(value)?.try_into().map_err(|_| "a fingerprint has 32 bytes")?;
        Ok(Self(Fingerprint::from_bytes(bytes)))
    }
}

/// The hash of a leaf or node of an audit log's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Binary)]
pub(crate) struct Node(pub(crate) TreeHash);

impl<DB: Backend> ToSql<Binary, DB> for Node
where
    [u8]: ToSql<Binary, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.as_bytes().as_slice().to_sql(out)
    }
}

impl<DB: Backend> FromSql<Binary, DB> for Node
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes: [u8; 32] = Vec::from_sql(value)?.try_into().map_err(|_| "a hash of the tree has 32 bytes")?;
        Ok(Self(TreeHash::from_bytes(bytes)))
    }
}

/// A value that is stored as its display text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub(crate) struct Word<T: Debug>(pub(crate) T);

impl<T: Debug + Display> ToSql<Text, Pg> for Word<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        write!(out, "{}", self.0)?;
        Ok(IsNull::No)
    }
}

impl<T: Debug + Display> ToSql<Text, Sqlite> for Word<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_string());
        Ok(IsNull::No)
    }
}

impl<T: Debug + FromStr, DB: Backend> FromSql<Text, DB> for Word<T>
where
    T::Err: Error + Send + Sync + 'static,
    String: FromSql<Text, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(String::from_sql(value)?.parse()?))
    }
}

/// A value that is stored as JSON text.
#[derive(Debug, Clone, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub(crate) struct Json<T: Debug>(pub(crate) T);

impl<T: Debug + Serialize> ToSql<Text, Pg> for Json<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        serde_json::to_writer(out, &self.0)?;
        Ok(IsNull::No)
    }
}

impl<T: Debug + Serialize> ToSql<Text, Sqlite> for Json<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(serde_json::to_string(&self.0)?);
        Ok(IsNull::No)
    }
}

impl<T: Debug + DeserializeOwned, DB: Backend> FromSql<Text, DB> for Json<T>
where
    String: FromSql<Text, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(serde_json::from_str(&String::from_sql(value)?)?))
    }
}

/// A set of values, stored as words with commas between: `admin,operator`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set<T>(pub(crate) BTreeSet<T>);

impl<T: Display> Display for Set<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(","))
    }
}

impl<T: FromStr + Ord> FromStr for Set<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.split(',').filter(|word| !word.is_empty()).map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_their_format_says() {
        for text in [
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59.000001Z",
            "2026-11-30T03:07:09.12Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            let instant: Timestamp = text.parse().unwrap();
            assert_eq!(sqlite_instant(instant), instant.as_datetime().format(SQLITE_INSTANT).to_string());
        }
    }
}
