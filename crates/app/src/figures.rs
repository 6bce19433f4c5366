//! Figures as they are written: JSON piece by piece, and rows of CSV or Parquet.

use anyhow::{Context, bail};
use mass_analytics_service::{Kpi, SeriesFinding, SeriesHead, SeriesPage, SiteKpis};
use mass_domain::contracts::CellType;
use serde::Serialize;

use crate::exported::{ParquetTable, csv};
use crate::http::analytics::shapes::{
    AnalyticsBucket, AnalyticsFinding, AnalyticsKpiQuery, AnalyticsPeriod, AnalyticsSeriesName, AnalyticsSeriesQuery,
    AnalyticsSiteKpis,
};

/// Writes an answer page by page.
pub trait Write<P> {
    /// Returns what comes before the first page.
    ///
    /// # Errors
    /// None in practice: it is written to memory.
    fn begin(&mut self) -> anyhow::Result<Vec<u8>>;

    /// Returns a page as it is sent, and the number of its rows.
    ///
    /// # Errors
    /// When the page does not fit the head: a fault of the program.
    fn page(&mut self, page: P) -> anyhow::Result<(Vec<u8>, usize)>;

    /// Returns what comes after the last page.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    fn end(&mut self) -> anyhow::Result<Vec<u8>>;
}

/// The form of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON document.
    Json,
    /// Rows of CSV.
    Csv,
    /// Rows of Parquet.
    Parquet,
}

/// Appends the JSON of an object without its last brace, so that another member can follow.
fn open_object(text: &mut Vec<u8>, object: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *text, object)?;
    match text.pop() {
        Some(b'}') => Ok(()),
        _ => bail!("expected an object"),
    }
}

/// Appends an element of a list that may have others before it.
fn push_element(text: &mut Vec<u8>, is_first: &mut bool, element: &impl Serialize) -> anyhow::Result<()> {
    if !std::mem::take(is_first) {
        text.push(b',');
    }
    Ok(serde_json::to_writer(text, element)?)
}

/// Writes series as one JSON document.
pub struct JsonSeries {
    query: AnalyticsSeriesQuery,
    heads: Vec<SeriesHead>,
    /// The number of series that have begun.
    begun: usize,
    /// True while the last one that has begun is not ended.
    is_open: bool,
    is_first: bool,
}

impl JsonSeries {
    /// Builds a writer of these series.
    #[must_use]
    pub const fn new(query: AnalyticsSeriesQuery, heads: Vec<SeriesHead>) -> Self {
        Self { query, heads, begun: 0, is_open: false, is_first: true }
    }

    /// Begins the series with this index, and those before it that have no pages.
    fn reach(&mut self, text: &mut Vec<u8>, index: usize) -> anyhow::Result<()> {
        while self.begun <= index {
            self.close(text, 0.0)?;
            let head = self.heads.get(self.begun).context("a page of no series")?;
            if self.begun > 0 {
                text.push(b',');
            }
            open_object(text, &AnalyticsSeriesName::from(head))?;
            text.extend_from_slice(b",\"buckets\":[");
            (self.begun, self.is_open, self.is_first) = (self.begun + 1, true, true);
        }
        Ok(())
    }

    fn close(&mut self, text: &mut Vec<u8>, coverage: f64) -> anyhow::Result<()> {
        if std::mem::take(&mut self.is_open) {
            text.extend_from_slice(b"],\"coverage\":");
            serde_json::to_writer(&mut *text, &coverage)?;
            text.push(b'}');
        }
        Ok(())
    }
}

impl Write<SeriesPage> for JsonSeries {
    fn begin(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut text = Vec::new();
        open_object(&mut text, &self.query)?;
        text.extend_from_slice(b",\"series\":[");
        Ok(text)
    }

    fn page(&mut self, page: SeriesPage) -> anyhow::Result<(Vec<u8>, usize)> {
        let SeriesPage { series, buckets, coverage } = page;
        let (mut text, rows) = (Vec::new(), buckets.len());
        self.reach(&mut text, series)?;
        for bucket in buckets {
            push_element(&mut text, &mut self.is_first, &AnalyticsBucket::from(bucket))?;
        }
        if let Some(coverage) = coverage {
            self.close(&mut text, coverage)?;
        }
        Ok((text, rows))
    }

    fn end(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut text = Vec::new();
        if let Some(last) = self.heads.len().checked_sub(1) {
            self.reach(&mut text, last)?;
        }
        self.close(&mut text, 0.0)?;
        text.extend_from_slice(b"]}");
        Ok(text)
    }
}

/// The columns of series as rows.
const COLUMNS: [(&str, CellType); 9] = [
    ("site_id", CellType::Text),
    ("device_id", CellType::Text),
    ("metric", CellType::Text),
    ("unit", CellType::Text),
    ("begin", CellType::Time),
    ("end", CellType::Time),
    ("value", CellType::Number),
    ("count", CellType::Number),
    ("coverage", CellType::Number),
];

/// Returns the cells of a page, row by row. Numbers are spelled as in JSON; an absent value is an empty cell.
fn cells(heads: &[SeriesHead], page: SeriesPage) -> anyhow::Result<Vec<[String; 9]>> {
    let SeriesPage { series, buckets, .. } = page;
    let AnalyticsSeriesName { site_id, device_id, metric, unit, .. } =
        heads.get(series).context("a page of no series")?.into();
    let (site_id, device_id) = (site_id.unwrap_or_default(), device_id.unwrap_or_default());
    let unit = unit.unwrap_or_default();
    let row = |bucket| {
        let AnalyticsBucket { begin, end, value, count, coverage } = AnalyticsBucket::from(bucket);
        let value = value.map(|value| number(&value)).transpose()?.unwrap_or_default();
        let (count, coverage) = (count.to_string(), number(&coverage)?);
        let (site_id, device_id, metric) = (site_id.clone(), device_id.clone(), metric.clone());
        Ok([site_id, device_id, metric, unit.to_owned(), begin, end, value, count, coverage])
    };
    buckets.into_iter().map(row).collect()
}

fn number(value: &f64) -> anyhow::Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// Writes series as rows of CSV.
pub struct CsvSeries(pub Vec<SeriesHead>);

impl Write<SeriesPage> for CsvSeries {
    fn begin(&mut self) -> anyhow::Result<Vec<u8>> {
        csv([COLUMNS.map(|(name, _)| name)])
    }

    fn page(&mut self, page: SeriesPage) -> anyhow::Result<(Vec<u8>, usize)> {
        let rows = cells(&self.0, page)?;
        let count = rows.len();
        Ok((csv(rows)?, count))
    }

    fn end(&mut self) -> anyhow::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// Writes series as rows of Parquet.
pub struct ParquetSeries {
    heads: Vec<SeriesHead>,
    table: ParquetTable,
}

impl ParquetSeries {
    /// Builds a writer of these series.
    ///
    /// # Errors
    /// When this build does not write Parquet.
    pub fn new(heads: Vec<SeriesHead>) -> anyhow::Result<Self> {
        let columns = COLUMNS.map(|(name, of)| (name.to_owned(), of));
        Ok(Self { heads, table: ParquetTable::new(&columns)? })
    }
}

impl Write<SeriesPage> for ParquetSeries {
    fn begin(&mut self) -> anyhow::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn page(&mut self, page: SeriesPage) -> anyhow::Result<(Vec<u8>, usize)> {
        let rows = cells(&self.heads, page)?;
        for row in &rows {
            self.table.push(row.iter().map(String::as_str))?;
        }
        Ok((self.table.written()?, rows.len()))
    }

    fn end(&mut self) -> anyhow::Result<Vec<u8>> {
        self.table.finish()
    }
}

/// Builds the writer of a form.
///
/// # Errors
/// When this build does not write the form.
pub fn series(
    form: Form,
    query: AnalyticsSeriesQuery,
    heads: Vec<SeriesHead>,
) -> anyhow::Result<Box<dyn Write<SeriesPage>>> {
    Ok(match form {
        Form::Json => Box::new(JsonSeries::new(query, heads)),
        Form::Csv => Box::new(CsvSeries(heads)),
        Form::Parquet => Box::new(ParquetSeries::new(heads)?),
    })
}

/// Writes a list of items as one JSON document.
struct JsonItems {
    is_first: bool,
}

impl JsonItems {
    const fn new() -> Self {
        Self { is_first: true }
    }

    fn begin(head: &impl Serialize) -> anyhow::Result<Vec<u8>> {
        let mut text = Vec::new();
        open_object(&mut text, head)?;
        text.extend_from_slice(b",\"items\":[");
        Ok(text)
    }

    fn page<T: Serialize>(&mut self, items: impl IntoIterator<Item = T>) -> anyhow::Result<(Vec<u8>, usize)> {
        let (mut text, mut rows) = (Vec::new(), 0);
        for item in items {
            push_element(&mut text, &mut self.is_first, &item)?;
            rows += 1;
        }
        Ok((text, rows))
    }

    fn end() -> Vec<u8> {
        b"]}".to_vec()
    }
}

/// Writes indicators as one JSON document.
pub struct JsonKpis {
    query: AnalyticsKpiQuery,
    items: JsonItems,
}

impl JsonKpis {
    /// Builds a writer.
    #[must_use]
    pub const fn new(query: AnalyticsKpiQuery) -> Self {
        Self { query, items: JsonItems::new() }
    }
}

impl Write<Vec<SiteKpis>> for JsonKpis {
    fn begin(&mut self) -> anyhow::Result<Vec<u8>> {
        JsonItems::begin(&self.query)
    }

    fn page(&mut self, page: Vec<SiteKpis>) -> anyhow::Result<(Vec<u8>, usize)> {
        self.items.page(page.into_iter().map(AnalyticsSiteKpis::from))
    }

    fn end(&mut self) -> anyhow::Result<Vec<u8>> {
        Ok(JsonItems::end())
    }
}

/// Writes indicators as rows of CSV, a row an indicator.
pub struct CsvKpis;

impl Write<Vec<SiteKpis>> for CsvKpis {
    fn begin(&mut self) -> anyhow::Result<Vec<u8>> {
        csv([["site_id", "from", "to", "indicator", "value", "unit", "coverage", "reason"]])
    }

    fn page(&mut self, page: Vec<SiteKpis>) -> anyhow::Result<(Vec<u8>, usize)> {
        let (mut rows, stretches) = (Vec::new(), page.len());
        for SiteKpis { site_id, from, to, kpis, .. } in page {
            for Kpi { indicator, value, unit, coverage, absence } in kpis {
                let value = value.map(|value| number(&value)).transpose()?.unwrap_or_default();
                let (from, to, indicator) = (from.to_string(), to.to_string(), indicator.to_string());
                let (unit, coverage) = (unit.to_owned(), number(&coverage)?);
                let reason = absence.map(|absence| absence.reason).unwrap_or_default();
                rows.push([site_id.clone(), from, to, indicator, value, unit, coverage, reason]);
            }
        }
        Ok((csv(rows)?, stretches))
    }

    fn end(&mut self) -> anyhow::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// Writes findings as one JSON document.
pub struct JsonFindings {
    period: AnalyticsPeriod,
    heads: Vec<SeriesHead>,
    items: JsonItems,
}

impl JsonFindings {
    /// Builds a writer of findings about these series.
    #[must_use]
    pub const fn new(period: AnalyticsPeriod, heads: Vec<SeriesHead>) -> Self {
        Self { period, heads, items: JsonItems::new() }
    }
}

impl Write<Vec<SeriesFinding>> for JsonFindings {
    fn begin(&mut self) -> anyhow::Result<Vec<u8>> {
        JsonItems::begin(&self.period)
    }

    fn page(&mut self, page: Vec<SeriesFinding>) -> anyhow::Result<(Vec<u8>, usize)> {
        let Self { heads, items, .. } = self;
        items.page(page.into_iter().filter_map(|finding| AnalyticsFinding::new(heads, finding)))
    }

    fn end(&mut self) -> anyhow::Result<Vec<u8>> {
        Ok(JsonItems::end())
    }
}

#[cfg(test)]
mod tests {
    use mass_analytics_service::{Bucket, Position, SeriesQuery};
    use mass_domain::analytics::{Aggregate, Resolution, SeriesKey, Source};
    use mass_domain::audit::tree::TreeHash;
    use mass_domain::metrics::MetricKind;
    use mass_domain::time::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000).unwrap()
    }

    fn query() -> AnalyticsSeriesQuery {
        let query = SeriesQuery {
            metrics: Vec::new(),
            sites: Vec::new(),
            devices: Vec::new(),
            from: at(0),
            to: at(7200),
            step: Resolution::Hour,
            zone: None,
            aggregate: None,
        };
        let as_of = Position { sequence: 3, root: TreeHash::of_nothing(), head: 5, stopped: None };
        AnalyticsSeriesQuery::new(as_of, &query)
    }

    fn head(metric: &str) -> SeriesHead {
        let source = Source { site_id: Some("a,b".to_owned()), device_id: None };
        let key = SeriesKey { source, metric: metric.to_owned() };
        SeriesHead { key, kind: MetricKind::Power, aggregate: Aggregate::Mean, unit: Some("kW") }
    }

    fn bucket(hour: i64, value: f64) -> Bucket {
        Bucket { begin: at(hour * 3600), end: at(hour * 3600 + 3600), value: Some(value), count: 2, coverage: 0.5 }
    }

    fn pages() -> Vec<SeriesPage> {
        vec![
            SeriesPage { series: 1, buckets: vec![bucket(0, 1.0)], coverage: None },
            SeriesPage { series: 1, buckets: vec![bucket(1, 1e-7)], coverage: Some(0.25) },
        ]
    }

    fn text(mut writer: impl Write<SeriesPage>) -> String {
        let mut text = writer.begin().unwrap();
        for page in pages() {
            text.extend(writer.page(page).unwrap().0);
        }
        text.extend(writer.end().unwrap());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn series_without_pages_are_written_as_empty() {
        let heads = ["one", "two", "three"].map(head).to_vec();
        let written: Value = serde_json::from_str(&text(JsonSeries::new(query(), heads))).unwrap();
        let series = |index: usize, member: &str| written["series"][index][member].clone();
        assert_eq!(written["as_of"]["behind"], 2);
        assert_eq!((series(0, "buckets"), series(0, "coverage")), (json!([]), json!(0.0)));
        assert_eq!((series(1, "buckets").as_array().unwrap().len(), series(1, "coverage")), (2, json!(0.25)));
        assert_eq!((series(2, "metric"), series(2, "buckets")), (json!("three"), json!([])));
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn rows_of_parquet_have_types() {
        use std::io::{Seek, Write as _};

        use parquet::file::reader::{FileReader, SerializedFileReader};
        use parquet::record::RowAccessor;

        let mut writer = ParquetSeries::new(["one", "two"].map(head).to_vec()).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        for page in pages() {
            file.write_all(&writer.page(page).unwrap().0).unwrap();
        }
        file.write_all(&writer.end().unwrap()).unwrap();
        file.rewind().unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!((rows.len(), rows[1].get_string(2).unwrap().as_str()), (2, "two"));
        assert_eq!((rows[1].get_timestamp_micros(4).unwrap(), rows[1].get_double(6).unwrap()), (3_600_000_000, 1e-7));
        assert!(rows[1].get_string(1).is_err(), "a site's own series has no device");
    }

    #[test]
    fn rows_spell_numbers_as_json_does() {
        let rows = text(CsvSeries(["one", "two"].map(head).to_vec()));
        let first = "\"a,b\",,two,kW,1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,1.0,2,0.5";
        let second = "\"a,b\",,two,kW,1970-01-01T01:00:00Z,1970-01-01T02:00:00Z,1e-7,2,0.5";
        assert_eq!(rows, format!("site_id,device_id,metric,unit,begin,end,value,count,coverage\n{first}\n{second}\n"));
    }
}
