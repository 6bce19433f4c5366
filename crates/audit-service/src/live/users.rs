//! The columns of accounts that the events imply.

use std::collections::{BTreeSet, HashMap};

use mass_domain::access::Actor;
use mass_domain::audit::{Action, CREDENTIALS, Event, NewEvent, Object, Outcome};
use mass_domain::ids::UserId;
use mass_domain::time::Timestamp;
use serde_json::Value;

use super::{LiveFinding, UserRecord, UserRecords};

/// The accounts of a tenant as implied by its log. The memory grows with the number of accounts, not of events.
#[derive(Debug, Default)]
pub(super) struct ImpliedUsers {
    users: HashMap<UserId, ImpliedUser>,
    /// True if the log has the tenant's creation, and therefore all of its accounts.
    from_the_start: bool,
}

/// An account as implied by the log; `None` for values that the log does not have.
#[derive(Debug, Default)]
struct ImpliedUser {
    created_at: Option<Timestamp>,
    roles: Option<BTreeSet<String>>,
    disabled: Option<bool>,
    /// The digest of the password hash.
    credentials: Option<String>,
}

impl ImpliedUsers {
    /// Applies an event, in the order of the log.
    pub(super) fn take(&mut self, Event { sequence, event, .. }: &Event) {
        if event.outcome != Outcome::Success {
            return;
        }
        match (event.action, &event.object) {
            (Action::TenantCreated, _) if *sequence == 1 => self.from_the_start = true,
            (Action::UserCreated, Object::User(id)) => {
                let created = ImpliedUser {
                    created_at: Some(event.at),
                    roles: roles(event.detail.get("roles")),
                    disabled: Some(false),
                    credentials: credentials(event),
                };
                self.users.insert(*id, created);
            }
            (action @ (Action::UserChanged | Action::UserDeleted), Object::User(id)) => {
                let after = event.detail.get("after");
                let user = self.users.entry(*id).or_default();
                user.roles = roles(after.and_then(|after| after.get("roles")));
                user.disabled = after.and_then(|after| after.get("disabled")).and_then(Value::as_bool);
                if action == Action::UserDeleted {
                    user.credentials = credentials(event);
                }
            }
            (Action::PasswordChanged | Action::PasswordReset, Object::User(id)) => {
                self.users.entry(*id).or_default().credentials = credentials(event);
            }
            (Action::LoggedIn, _) => {
                // A log-in rehashes the password if the pepper or cost has changed.
                if let (Actor::User(id), Some(digest)) = (event.actor, credentials(event)) {
                    self.users.entry(id).or_default().credentials = Some(digest);
                }
            }
            _ => {}
        }
    }

    /// Compares the accounts with the log and its newer events. Returns the number of accounts, and of those that the
    /// log describes only in part.
    pub(super) fn compare(mut self, UserRecords { users, events }: &UserRecords) -> Result<(u64, u64), LiveFinding> {
        for (sequence, text) in events {
            self.take(&Event::read(text).map_err(|_| LiveFinding::Unreadable { event: *sequence })?);
        }
        let mut untold = 0;
        for record in users {
            let user = record.id;
            match self.users.remove(&user) {
                None if self.from_the_start => return Err(LiveFinding::UserWithoutEvent { user }),
                None => untold += 1,
                Some(implied) => untold += u64::from(!implied.compare(record, self.from_the_start)?),
            }
        }
        match self.users.into_keys().min() {
            Some(user) => Err(LiveFinding::UserMissing { user }),
            None => Ok((users.len() as u64, untold)),
        }
    }
}

impl ImpliedUser {
    /// Compares an account. Returns true if the log has all compared values.
    fn compare(&self, record: &UserRecord, from_the_start: bool) -> Result<bool, LiveFinding> {
        let user = record.id;
        if self.created_at.is_none() && from_the_start {
            return Err(LiveFinding::UserWithoutEvent { user });
        }
        let columns = [
            ("created_at", record.created_at.clone(), self.created_at.map(|at| at.to_string())),
            ("roles", words(&record.roles), self.roles.as_ref().map(words)),
            ("disabled", record.disabled.to_string(), self.disabled.map(|disabled| disabled.to_string())),
            ("password_hash", record.credentials.to_string(), self.credentials.clone()),
        ];
        let is_whole = columns.iter().all(|(_, _, told)| told.is_some());
        for (column, stated, told) in columns {
            if let Some(told) = told.filter(|told| *told != stated) {
                return Err(LiveFinding::UserColumn { user, column, stated, told });
            }
        }
        Ok(is_whole)
    }
}

fn credentials(event: &NewEvent) -> Option<String> {
    event.detail.get(CREDENTIALS).and_then(Value::as_str).map(str::to_owned)
}

fn roles(value: Option<&Value>) -> Option<BTreeSet<String>> {
    value?.as_array()?.iter().map(|role| role.as_str().map(str::to_owned)).collect()
}

fn words(roles: &BTreeSet<String>) -> String {
    roles.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}
