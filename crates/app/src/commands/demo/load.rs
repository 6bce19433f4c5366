//! Plays a simulated pilot through the use cases, day by day and under a clock of its own, so that everything in it has the
//! time at which it would have happened: the schedule is drawn before its first day, and each day confirmed in the evening.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use anyhow::{Context, bail};
use mass_admin_service::{NewUser, RegistrationPolicy};
use mass_auth::NewPassword;
use mass_demo::{Document, PAIRS, REFUSED, SITE, SITE_ZONE, SITE_ZONE_SECONDS, Simulation, Timeline, WEATHER_DEVICE};
use mass_domain::access::{Principal, Role};
use mass_domain::audit::Refusals;
use mass_domain::delivery::WorkerName;
use mass_domain::ids::SavingsProjectId;
use mass_domain::json;
use mass_domain::quarantine::{Received, RecordForm};
use mass_domain::savings::{Boundary, Day, Design, Period, PlanFollowed, Price, Rate, Schedule, Terms};
use mass_domain::tenancy::AutoSend;
use mass_domain::time::{Clock, Timestamp};
use mass_domain::users::Email;
use mass_savings_service::{NewConfirmation, SavingsService, Worked};
use mass_service::{
    AcceptError, Deliverer, DocumentError, MassService, OnConflict, Options, Record, Rejected, SentKey,
};
use serde_json::Value;
use tokio::sync::watch;

use super::folder::Marker;
use crate::commands::serve::start_reference_engine;
use crate::config::{Secrets, Settings};
use crate::http::context::local_origin;
use crate::startup::{self, Installation, checkpoint_signer, worker_name};

/// The users besides the administrator, whom the settings name.
const USERS: [(&str, Role); 3] = [
    ("viewer@mass.local", Role::Viewer),
    ("operator@mass.local", Role::Operator),
    ("auditor@mass.local", Role::Auditor),
];

/// The days between the agreement on the terms and the first day of the crossover.
const AGREED_DAYS_BEFORE: i64 = 7;

/// The number of deliveries that are made at once.
const DELIVERIES: u16 = 8;

/// The person who confirms the days of the crossover.
const AUTHOR: &str = "Lucía Prieto";

/// Returns the users with their roles.
pub(super) fn users(settings: &Settings) -> Vec<(String, &'static str)> {
    let admin = (settings.local.admin_email.as_str().to_owned(), Role::Admin.as_str());
    let others = USERS.iter().map(|(email, role)| ((*email).to_owned(), role.as_str()));
    std::iter::once(admin).chain(others).collect()
}

/// A clock that is set by hand.
struct SetClock(AtomicI64);

impl SetClock {
    /// Sets the clock to the begin of an hour.
    fn set(&self, hour: i64) {
        self.0.store(hour.saturating_mul(3_600_000_000), Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::Relaxed))
    }
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).unwrap_or_else(|| startup::SystemClock.now())
}

/// Loads the pilot that a marker describes into an empty database.
///
/// # Errors
/// If a step of it is refused or fails.
pub(super) async fn load(settings: &Settings, secrets: &Secrets, marker: &Marker) -> anyhow::Result<()> {
    let timeline = Timeline::ending(marker.last_hour());
    let clock = Arc::new(SetClock(AtomicI64::new(0)));
    clock.set(timeline.begin);
    let mut settings = settings.clone();
    let engine = start_reference_engine(&mut settings.engine)?;
    let loaded = Loader::open(&settings, secrets, marker, timeline, clock).await?.run(&settings, secrets).await;
    engine.stop(false).await;
    loaded
}

/// Sends what the sites have measured since, up to an hour, as gateways do that were offline: all of it now. The engine is
/// asked about the latest report alone.
///
/// # Errors
/// If a step of it is refused or fails.
pub(super) async fn go_on(settings: &Settings, marker: &Marker, now: Timestamp, last: i64) -> anyhow::Result<()> {
    let timeline = Timeline::ending(marker.last_hour());
    let clock = Arc::new(SetClock(AtomicI64::new(now.unix_micros())));
    let mut settings = settings.clone();
    let engine = start_reference_engine(&mut settings.engine)?;
    let loader = Loader::open(&settings, &Secrets::default(), marker, timeline, clock).await?;
    let sent = loader.send_since(marker.reached_hour() + 1, last).await;
    engine.stop(false).await;
    sent
}

/// The use cases that a pilot needs.
struct Loader {
    installation: Installation,
    principal: Principal,
    mass: MassService,
    deliverer: Deliverer,
    savings: SavingsService,
    worker: WorkerName,
    clock: Arc<SetClock>,
    timeline: Timeline,
    simulation: Simulation,
}

impl Loader {
    async fn open(
        settings: &Settings,
        secrets: &Secrets,
        marker: &Marker,
        timeline: Timeline,
        clock: Arc<SetClock>,
    ) -> anyhow::Result<Self> {
        let installation = Installation::open_at(&settings.local, secrets, Arc::<SetClock>::clone(&clock)).await?;
        let engine = startup::engine(settings, secrets)?;
        let deliverer =
            startup::deliverer(&settings.worker, &installation.database, &engine, Arc::<SetClock>::clone(&clock));
        let savings = SavingsService::new(
            Arc::clone(&installation.database.stores().savings),
            Arc::new(installation.analytics()),
            Arc::<SetClock>::clone(&clock),
            seeded(marker.seed),
        );
        let tenant = settings.local.default_tenant.clone();
        Ok(Self {
            mass: installation.mass(),
            deliverer: deliverer.context("the engine")?,
            savings,
            worker: worker_name().context("the worker")?,
            simulation: Simulation::new(marker.seed, tenant.as_str(), timeline),
            principal: Principal::system(tenant),
            installation,
            clock,
            timeline,
        })
    }

    async fn run(&self, settings: &Settings, secrets: &Secrets) -> anyhow::Result<()> {
        self.create_users(secrets).await?;
        let mut crossover = None;
        let mut others = None;
        for day in self.timeline.begin_day()..=self.timeline.last_day() {
            self.clock.set(self.timeline.hours(day).last().unwrap_or(self.timeline.end));
            if day == self.timeline.first_day - AGREED_DAYS_BEFORE {
                crossover = Some(self.agree_on_crossover().await?);
                others = Some(self.agree_on_before_and_after().await?);
            }
            let schedule = crossover.as_ref().map(|(_, schedule)| schedule);
            let is_on = day >= self.timeline.after || schedule.is_some_and(|schedule| is_on(schedule, day));
            self.send_day(day, is_on).await?;
            if let Some((id, schedule)) = &crossover {
                self.confirm(*id, schedule, day).await?;
            }
        }
        self.keep_refused(settings).await?;
        for project in crossover.map(|(id, _)| id).into_iter().chain(others) {
            self.savings.request_report(&self.principal, project, &local_origin()).await?;
        }
        self.compute_reports(settings, secrets).await
    }

    async fn create_users(&self, secrets: &Secrets) -> anyhow::Result<()> {
        let password = secrets.admin_password.as_ref().context("the password")?;
        let admin = self.installation.admin(RegistrationPolicy::Closed, AutoSend::default());
        for (email, role) in USERS {
            let email = Email::parse(email)?;
            let password = Some(NewPassword::parse(password, &email)?);
            let new = NewUser { email, roles: BTreeSet::from([role]), password };
            admin.create_user(&self.principal, new, &local_origin()).await?;
        }
        Ok(())
    }

    /// Sends the documents of a day, and has the engine answer those that ask it.
    async fn send_day(&self, day: i64, is_on: bool) -> anyhow::Result<()> {
        let mut others = Vec::new();
        for hour in self.timeline.hours(day) {
            self.clock.set(hour);
            let documents = self.simulation.documents(hour, is_on).into_iter();
            let (questions, rest): (Vec<Document>, Vec<Document>) =
                documents.partition(|document| document.asks_engine);
            others.extend(rest);
            self.ask(&questions).await?;
        }
        self.send(&others, AutoSend::Off).await
    }

    /// Sends the documents of some hours, a day at a time.
    async fn send_since(&self, first: i64, last: i64) -> anyhow::Result<()> {
        let mut question = None;
        for begin in (first..=last).step_by(24) {
            let hours = begin..=last.min(begin + 23);
            let mut documents: Vec<Document> = hours.flat_map(|hour| self.simulation.documents(hour, true)).collect();
            if let Some(latest) = documents.iter().rposition(|document| document.asks_engine) {
                let latest = documents.remove(latest);
                documents.extend(question.replace(latest));
            }
            self.send(&documents, AutoSend::Off).await?;
        }
        self.ask(question.as_slice()).await
    }

    /// Sends documents and has the engine answer them.
    async fn ask(&self, questions: &[Document]) -> anyhow::Result<()> {
        if questions.is_empty() {
            return Ok(());
        }
        self.send(questions, AutoSend::On).await?;
        for delivered in self.deliverer.deliver_next(&self.worker, DELIVERIES).await? {
            delivered?;
        }
        Ok(())
    }

    async fn send(&self, documents: &[Document], auto_send: AutoSend) -> anyhow::Result<()> {
        let records = documents.iter().map(|document| record(&document.json)).collect::<Result<Vec<_>, _>>()?;
        let options = Options::for_one(OnConflict::Refuse, auto_send, local_origin());
        let mut refusals = Refusals::default();
        for result in self.mass.store_records(&self.principal, records, &options, &mut refusals).await? {
            result?;
        }
        Ok(())
    }

    /// Keeps the records that break rules in the quarantine.
    async fn keep_refused(&self, settings: &Settings) -> anyhow::Result<()> {
        let documents: Vec<Value> = REFUSED.iter().zip(1..).map(|(of, ago)| of(self.timeline.end - ago)).collect();
        let records = documents.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        let origin = local_origin();
        let options = Options::for_one(OnConflict::Refuse, AutoSend::Off, origin.clone());
        let mut refusals = Refusals::default();
        let results = self.mass.store_records(&self.principal, records, &options, &mut refusals).await?;
        let mut rejected = Vec::new();
        for (document, result) in documents.iter().zip(results) {
            let Err(AcceptError::Document(DocumentError::Invalid(invalid))) = result else {
                bail!("expected a refusal of {document}");
            };
            let received = Received {
                bytes: document.to_string().into_bytes(),
                form: RecordForm::Json,
                contract: invalid.contract,
                idempotency_key: None,
                mapping: None,
            };
            rejected.push(Rejected { received: Ok(received), violations: invalid.violations });
        }
        self.mass.record_refusals(&self.principal, &origin, refusals).await?;
        let quarantine = self.installation.quarantine(settings.quarantine.limits());
        quarantine.keep(&self.principal, &origin, rejected).await?;
        Ok(())
    }

    async fn agree_on_crossover(&self) -> anyhow::Result<(SavingsProjectId, Schedule)> {
        let first_day = Day::from_number(self.timeline.first_day).context("the first day")?;
        let design = Design::Crossover { first_day, pairs: PAIRS, washout: false };
        let id = self.create("Ventiladores: crossover", design).await?;
        let drawn = self.savings.draw_schedule(&self.principal, id, None, &local_origin()).await?;
        Ok((id, drawn.project.schedule.context("the schedule")?))
    }

    async fn agree_on_before_and_after(&self) -> anyhow::Result<SavingsProjectId> {
        let begin = |day: i64| Day::from_number(day).and_then(|day| day.begin(SITE_ZONE_SECONDS)).context("a day");
        let (first_day, after) = (begin(self.timeline.first_day)?, begin(self.timeline.after)?);
        let baseline = Period { from: begin(self.timeline.begin_day())?, until: first_day };
        let reporting = Period { from: after, until: begin(self.timeline.last_day())? };
        self.create("Ventiladores: antes y después", Design::PrePost { baseline, reporting }).await
    }

    async fn create(&self, name: &str, design: Design) -> anyhow::Result<SavingsProjectId> {
        let terms = Terms {
            name: name.to_owned(),
            site_id: SITE.to_owned(),
            weather_device: WEATHER_DEVICE.to_owned(),
            boundary: Boundary::Hvac,
            design,
            zone: SITE_ZONE.to_owned(),
            price: Some(Price { rate: Rate::Fixed(0.17), currency: "EUR".to_owned() }),
            co2e_kg_per_kwh: Some(0.12),
            assumptions: vec!["La carga de TI se mide en los PDU.".to_owned()],
            modes: Vec::new(),
        };
        Ok(self.savings.create(&self.principal, terms, &local_origin()).await?.project.id)
    }

    /// Confirms a day of the crossover, if it is one and over.
    async fn confirm(&self, id: SavingsProjectId, schedule: &Schedule, day: i64) -> anyhow::Result<()> {
        let Some(scheduled) = schedule.days.iter().find(|scheduled| scheduled.day.number() == day) else {
            return Ok(());
        };
        let new = NewConfirmation { followed: PlanFollowed::Applied, reason: None, author: AUTHOR.to_owned() };
        self.savings.confirm(&self.principal, id, scheduled.day, new, None, &local_origin()).await?;
        Ok(())
    }

    /// Brings the figures up to date, and computes the reports that wait.
    async fn compute_reports(&self, settings: &Settings, secrets: &Secrets) -> anyhow::Result<()> {
        let progress = self.installation.projector().catch_up(self.principal.tenant()).await?;
        if let Some(stop) = progress.stopped {
            bail!("the projection cannot go past event {}: {}", stop.sequence, stop.reason);
        }
        let local = &settings.local;
        let signer = checkpoint_signer(&local.stage, &local.database.folder, &settings.audit, secrets)?;
        let audit = Arc::new(self.installation.audit(signer));
        let reporting = self.installation.reporting(&Arc::new(self.installation.analytics()), &audit);
        let reporter = reporting.reporter(self.worker.clone());
        let (_running, mut stopped) = watch::channel(false);
        loop {
            match reporter.step(&mut stopped).await? {
                Worked::Done => {}
                Worked::Nothing => break,
                Worked::Failed | Worked::Postponed | Worked::Lost => bail!("a report of the demo was not computed"),
            }
        }
        Ok(audit.sign_all().await?)
    }
}

fn is_on(schedule: &Schedule, day: i64) -> bool {
    schedule.days.iter().any(|scheduled| scheduled.day.number() == day && scheduled.on)
}

fn record(document: &Value) -> anyhow::Result<Record> {
    let text = document.to_string();
    Ok(Record::new(json::parse(text.as_bytes())?, text.len(), SentKey::None))
}

/// Returns a source of numbers that a seed determines, for the seeds of projects and schedules.
fn seeded(seed: u64) -> mass_savings_service::RandomNumber {
    let state = AtomicU64::new(seed);
    Arc::new(move || {
        let state = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}
