//! The folder of a demo, which a file marks as one.

use std::fmt::Display;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use anyhow::{Context, bail};
use mass_domain::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// The name of the file.
const MARKER: &str = "demo.json";

/// The content of the file.
#[derive(Serialize, Deserialize)]
pub(super) struct Marker {
    /// The seed of the simulation.
    pub(super) seed: u64,
    /// The end of the simulation, in microseconds since 1970-01-01T00:00:00Z.
    until: i64,
    /// The last hour of what the sites have sent since, counted from the same; absent if they have sent nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reached: Option<i64>,
    /// The password of all users. They protect simulated data alone.
    pub(super) password: String,
    /// True once all is loaded.
    is_complete: bool,
}

impl Marker {
    pub(super) fn new(seed: u64, until: Timestamp, password: &SecretString) -> Self {
        let password = password.expose_secret().to_owned();
        Self { seed, until: until.unix_micros(), reached: None, password, is_complete: false }
    }

    /// Returns the last hour of the simulation, counted from 1970-01-01T00:00:00Z.
    pub(super) const fn last_hour(&self) -> i64 {
        hour_of_micros(self.until)
    }

    /// Returns the last hour that the sites have sent anything of.
    pub(super) fn reached_hour(&self) -> i64 {
        self.reached.unwrap_or_else(|| self.last_hour())
    }
}

/// Returns the hour of an instant, counted from 1970-01-01T00:00:00Z.
pub(super) const fn hour_of(at: Timestamp) -> i64 {
    hour_of_micros(at.unix_micros())
}

const fn hour_of_micros(micros: i64) -> i64 {
    micros.div_euclid(3_600_000_000)
}

/// The folder.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Reads the demo that the folder holds; `None` if there is no folder, or it is empty.
    ///
    /// # Errors
    /// If the folder holds anything else.
    pub(super) fn read(&self) -> anyhow::Result<Option<Marker>> {
        let path = self.0.display();
        match fs::read_dir(&self.0).map(|mut entries| entries.next().is_none()) {
            Ok(true) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(false) => {}
            Err(error) => return Err(error).with_context(|| format!("the folder {path}")),
        }
        let text = match fs::read_to_string(self.0.join(MARKER)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("expected a demo in the folder {path}, found other files: choose another MASS_DATA_DIR")
            }
            text => text.with_context(|| format!("the demo in the folder {path}"))?,
        };
        let marker: Marker = serde_json::from_str(&text).with_context(|| format!("the file {MARKER} in {path}"))?;
        if !marker.is_complete {
            bail!("the demo in the folder {path} was not loaded completely: delete the folder, and start again");
        }
        Ok(Some(marker))
    }

    /// Creates the folder, for its owner alone, and marks it before anything else is in it.
    pub(super) fn create(&self, marker: &Marker) -> anyhow::Result<()> {
        let place = || format!("the folder {} in MASS_DATA_DIR", self.0.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).with_context(place)?;
        self.write(marker).with_context(place)
    }

    /// Marks the demo as complete.
    pub(super) fn finish(&self, marker: Marker) -> anyhow::Result<Marker> {
        let marker = Marker { is_complete: true, ..marker };
        self.write(&marker)?;
        Ok(marker)
    }

    /// Marks the demo as gone on up to an hour.
    pub(super) fn reach(&self, marker: Marker, hour: i64) -> anyhow::Result<Marker> {
        let marker = Marker { reached: Some(hour), ..marker };
        self.write(&marker)?;
        Ok(marker)
    }

    /// Returns the path, to be shown.
    pub(super) fn shown(&self) -> impl Display {
        self.0.display()
    }

    fn write(&self, marker: &Marker) -> anyhow::Result<()> {
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(self.0.join(MARKER))?;
        file.write_all(serde_json::to_string_pretty(marker)?.as_bytes())?;
        Ok(file.sync_all()?)
    }
}
