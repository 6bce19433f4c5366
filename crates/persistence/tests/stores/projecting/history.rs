//! Histories at random: however a log is projected, its figures are those of a rebuild.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mass_analytics_service::{
    ApplyError, LogBatch, ProjectError, ProjectionStore, Projector, Update, Window, WindowState,
};
use mass_domain::analytics::Micros;
use mass_domain::contracts::Index;
use mass_domain::ids::MassRequestId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_service::{Found, Submission};

use super::{document, dump, measured, projector};
use crate::databases::TestDatabase;
use crate::fixtures::{Vary, at, deletion, simple, tenant};

on_both!(figures_are_those_of_a_rebuild_whatever_happens);

/// Numbers at random, the same in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end).unwrap()).unwrap()
    }

    /// Returns a distance within the length of a stretch.
    pub(crate) fn within(&mut self, stretch: &Range<Micros>) -> Micros {
        i64::try_from(self.roll() % (stretch.end - stretch.start).unsigned_abs()).unwrap()
    }
}

/// A window of a site, in hours from the test's day.
fn of_site(site: &str, hour: i64, hours: i64, kilowatts: usize) -> Submission {
    let time = |hour: i64| at(hour * 3_600_000_000);
    let canonical = format!(
        r#"{{"request":{{"assets":{{"site_id":"{site}"}},"signals":{{"energy":{{"facility_power_kw":{},"it_load_kw":{kilowatts}}},"thermal":{{"pue_current":1.5}}}},"time_window":{{"end_utc":"{}","start_utc":"{}"}}}}}}"#,
        kilowatts + 10,
        time(hour + hours),
        time(hour)
    );
    document("enterprise/1.1", canonical, Index { natural_key: Some(format!("{site} {hour}")), ..Index::default() })
}

/// A document at random: of few sources and times, so that many correct each other.
fn any_document(dice: &mut Dice) -> Submission {
    let device = ["dev-1", "dev-2"][dice.below(2)];
    let site = [None, Some("site-1")][dice.below(2)];
    let minutes = [dice.below(90), 60 * dice.below(72), 7 * dice.below(600)][dice.below(3)];
    let seconds = i64::try_from(minutes * 60).unwrap();
    let value = dice.below(40);
    let submission = match dice.below(12) {
        0 => simple(i64::try_from(dice.below(1 << 20)).unwrap()),
        1 | 2 => of_site("site-1", i64::try_from(dice.below(60)).unwrap(), [1, 2, 24][dice.below(3)], value),
        3 => measured(site, device, seconds, ""),
        4 | 5 => measured(site, device, seconds, &format!(r#""energy_kwh":{},"power_kw":-{value}"#, minutes + value)),
        _ => measured(site, device, seconds, &format!(r#""power_kw":{value}.25,"temperature_celsius":{value}"#)),
    };
    submission.correcting().sent(at(i64::try_from(dice.below(4)).unwrap() * 43_200_000_000))
}

/// A store that reads less at once than it is asked for, and whose updates get lost: before they are applied, or the news of it.
struct Unreliable {
    store: Arc<dyn ProjectionStore>,
    dice: Mutex<Dice>,
}

impl Unreliable {
    fn below(&self, end: usize) -> usize {
        self.dice.lock().unwrap().below(end)
    }
}

#[async_trait]
impl ProjectionStore for Unreliable {
    async fn tenants(&self) -> Result<Vec<TenantId>, PortError> {
        self.store.tenants().await
    }

    async fn next(&self, tenant: &TenantId, after: Option<i64>, limit: u32, bytes: u64) -> Result<LogBatch, PortError> {
        let limit = limit.min(1 + u32::try_from(self.below(40)).unwrap());
        self.store.next(tenant, after, limit, bytes.min(self.below(4000) as u64)).await
    }

    async fn windows(&self, tenant: &TenantId, windows: Vec<Window>) -> Result<Vec<WindowState>, PortError> {
        self.store.windows(tenant, windows).await
    }

    async fn apply(&self, tenant: &TenantId, update: Update) -> Result<(), ApplyError> {
        let lost = self.below(5);
        if lost > 0 {
            self.store.apply(tenant, update).await?;
        }
        if lost > 1 {
            Ok(())
        } else {
            Err(ApplyError::Store(PortError::Unavailable(std::io::Error::other("lost").into())))
        }
    }

    async fn clear(&self, tenant: &TenantId) -> Result<(), PortError> {
        self.store.clear(tenant).await
    }
}

/// Takes a step, which may get lost.
async fn step(projector: &Projector) {
    match projector.step(&tenant()).await {
        Ok(progress) => assert_eq!(progress.stopped, None),
        Err(ProjectError::Store(PortError::Unavailable(_))) => {}
        Err(error) => panic!("{error}"),
    }
}

async fn figures_are_those_of_a_rebuild_whatever_happens(db: TestDatabase) {
    let (mut dice, mut ids) = (Dice(42), Vec::<MassRequestId>::new());
    // Two servers, which do not know of each other.
    let projectors = [1, 2].map(|server| {
        let store = Arc::clone(&db.database.stores().projection);
        Projector::new(Arc::new(Unreliable { store, dice: Mutex::new(Dice(server)) }))
    });
    let mut archived = 0;
    for turn in 0..240 {
        match dice.below(10) {
            0..=3 => {
                let sent: Vec<_> = (0..=dice.below(12)).map(|_| any_document(&mut dice)).collect();
                ids.extend(sent.iter().map(|submission| submission.id));
                db.mass().accept(&tenant(), sent, Vec::new(), None).await.unwrap().unwrap();
            }
            4 | 5 if !ids.is_empty() => {
                for _ in 0..=dice.below(6) {
                    let id = ids[dice.below(ids.len())];
                    if matches!(db.mass().find(&tenant(), id).await.unwrap(), Found::Present(_)) {
                        db.mass().delete(&tenant(), id, deletion()).await.unwrap();
                    }
                }
            }
            6 if turn % 3 == 0 => {
                let size = i64::try_from(db.database.stores().audit.head(&tenant()).await.unwrap().size()).unwrap();
                let upto = archived + i64::try_from(dice.below(20)).unwrap();
                if upto > archived && upto < size {
                    let event = crate::fixtures::event(&tenant(), at(9));
                    let events = archived + 1..=upto;
                    assert!(db.database.stores().audit.archive(&tenant(), events, event).await.unwrap());
                    archived = upto;
                }
            }
            _ => drop(tokio::join!(step(&projectors[0]), step(&projectors[1]), step(&projectors[0]))),
        }
        if turn % 40 == 39 {
            let reliable = projector(&db);
            let progress = reliable.catch_up(&tenant()).await.unwrap();
            assert!(progress.position == progress.head && progress.stopped.is_none(), "{progress:?}");
            let incremental = dump(&db.place);
            reliable.rebuild(&tenant()).await.unwrap();
            let rebuilt = dump(&db.place);
            let differs = incremental.iter().zip(&rebuilt).find(|(one, other)| one != other);
            assert!(incremental == rebuilt, "turn {turn}: {differs:#?}");
            assert!(rebuilt.len() > 50, "{}", rebuilt.len());
        }
    }
}
