//! Talks to a Chancery node: keeps named keys, builds, signs and follows transactions, and reads.
//!
//! [`KeyStore`] holds keys, [`Client`] speaks the HTTP API of one or more nodes and fails over
//! between them, [`TransactionBuilder`] makes what [`Client::submit_and_wait`] follows to finality,
//! [`Client::events`] and [`Client::follow_events`] find events and wait for them, and [`api`] has
//! every JSON shape of the API, for clients and nodes alike.
//!
//! A [`Contract`] is called and asked by the names of its schema, which the node hands out, with JSON
//! for arguments and results:
//!
//! ```no_run
//! # use std::error::Error;
//! use std::time::Duration;
//!
//! use chancery_client::{Client, Contract, KeyStore, Told, TransactionBuilder};
//! use chancery_ledger::{AccountId, ContractId};
//! use serde_json::json;
//!
//! # async fn grant(contract: ContractId, recipient: AccountId) -> Result<(), Box<dyn Error>> {
//! let client = Client::new(["http://127.0.0.1:7000".to_owned()])?;
//! let chain = client.chain().await?;
//! let block_time = client.status().await?.block_time_ms;
//! let key = KeyStore::new("keys").load("hospital")?;
//!
//! let contract = Contract::open(&client, contract).await?;
//! let args = json!({"recipient": recipient.to_string(), "expires_at": block_time.0 + 3_600_000});
//! let call = contract.call("grant_access", &args)?;
//! let builder = TransactionBuilder::new(chain.chain_id, chain.limits);
//! let signed = builder.sign(&key, block_time, call)?;
//! let done = client.submit_and_wait(&signed, Duration::from_secs(20)).await?;
//! match contract.told(&done) {
//!     Some(Told::Applied { .. }) => println!("granted"),
//!     Some(Told::Reverted { error, .. }) => println!("refused: {} ({})", error.name, error.docs),
//!     other => println!("{other:?}"),
//! }
//!
//! let answer = contract.query(&client, "can_read", &json!([recipient.to_string()])).await?;
//! println!("{:?}, as of block {}", answer.told, answer.info.height);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod api;
mod asked;
mod client;
mod contract;
mod error;
mod feed;
mod keystore;
mod liveness;
mod pages;
mod sse;
mod submit;
mod transaction;

pub use client::Client;
pub use contract::{Answer, Contract, ContractError, Told, Untold};
pub use error::{ClientError, NodeFailure, NotFinal};
pub use feed::EventFeed;
pub use keystore::{KeyEntry, KeyStore, KeyStoreError};
pub use liveness::{Liveness, NodeReport};
pub use submit::UNDER_WAY_MAX;
pub use transaction::{TransactionBuilder, clock, usual_fuel};
