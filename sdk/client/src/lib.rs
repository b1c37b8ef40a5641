//! Talks to a Chancery node: keeps named keys, builds, signs and follows transactions, and reads.
//!
//! [`KeyStore`] holds keys, [`Client`] speaks the HTTP API of one or more nodes and fails over
//! between them, [`TransactionBuilder`] makes what [`Client::submit_and_wait`] follows to finality,
//! [`Client::events`] and [`Client::follow_events`] find events and wait for them, and [`api`] has every JSON shape of the API, for clients and nodes alike.

#![forbid(unsafe_code)]

pub mod api;
mod asked;
mod client;
mod error;
mod feed;
mod keystore;
mod liveness;
mod pages;
mod sse;
mod submit;
mod transaction;

pub use client::Client;
pub use error::{ClientError, NodeFailure, NotFinal};
pub use feed::EventFeed;
pub use keystore::{KeyEntry, KeyStore, KeyStoreError};
pub use liveness::{Liveness, NodeReport};
pub use submit::UNDER_WAY_MAX;
pub use transaction::{TransactionBuilder, clock, usual_fuel};
