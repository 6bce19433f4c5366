//! Acts that have no other unit of work: refused access, refused credentials, start and stop.
