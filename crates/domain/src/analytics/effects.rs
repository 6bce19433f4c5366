//! The events that figures depend on.

use crate::audit::Action;

/// The effect of an action on the request that its event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is current from now on.
    Adds,
    /// It is current again.
    Reinstates,
    /// It is no longer current.
    Removes,
}

/// Returns the effect of an action; `None` if no figure depends on it.
#[must_use]
pub const fn effect(action: Action) -> Option<Effect> {
    match action {
        Action::Accepted => Some(Effect::Adds),
        Action::Reinstated => Some(Effect::Reinstates),
        Action::Corrected | Action::Deleted => Some(Effect::Removes),
        Action::PayloadRefused
        | Action::StatusChanged
        | Action::Sent
        | Action::Delivered
        | Action::DeliveryFailed
        | Action::DeliveryReplayed
        | Action::DeliveryCancelled
        | Action::LoggedIn
        | Action::LoggedOut
        | Action::SessionRevoked
        | Action::CredentialsRefused
        | Action::AccessRefused
        | Action::Throttled
        | Action::PasswordChanged
        | Action::PasswordReset
        | Action::SecondFactorEnrolled
        | Action::SecondFactorProved
        | Action::SecondFactorRemoved
        | Action::RecoveryCodesReplaced
        | Action::TenantCreated
        | Action::TenantSuspended
        | Action::TenantResumed
        | Action::TenantDeletionRequested
        | Action::TenantDeletionCancelled
        | Action::TenantErased
        | Action::UserCreated
        | Action::UserChanged
        | Action::UserDeleted
        | Action::ApiKeyCreated
        | Action::ApiKeyRevoked
        | Action::QuotasSet
        | Action::SettingsSet
        | Action::MappingSet
        | Action::AlertRuleSet
        | Action::AlertRuleDeleted
        | Action::AlertAcknowledged
        | Action::WebhookSet
        | Action::WebhookDeleted
        | Action::WebhookRotated
        | Action::WebhookTested
        | Action::NotificationReplayed
        | Action::SavingsAdjusted
        | Action::SavingsChanged
        | Action::SavingsCreated
        | Action::SavingsDayConfirmed
        | Action::SavingsDeleted
        | Action::SavingsReportDeleted
        | Action::SavingsReportFailed
        | Action::SavingsReportRequested
        | Action::SavingsReported
        | Action::SavingsScheduled
        | Action::MappingDeleted
        | Action::RetentionSet
        | Action::LegalHoldSet
        | Action::LegalHoldReleased
        | Action::AuditExported
        | Action::AuditArchived
        | Action::BackedUp
        | Action::Restored
        | Action::Started
        | Action::Stopped => None,
    }
}
