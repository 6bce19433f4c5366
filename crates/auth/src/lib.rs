//! Who is asking: passwords, access tokens, and the use cases of logging in and being recognised.
//!
//! Belongs here: how a credential is proved, issued and checked, and the port to the accounts.
//! Does not belong here: what a recognised caller may do (`mass_domain::access`), HTTP headers, SQL.

mod store;

pub use store::{Account, CreateAccountError, PasswordHash, UserStore};
