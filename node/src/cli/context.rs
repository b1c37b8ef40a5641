//! What every command works with: which network, whose keys, how long to wait, how to speak.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_client::{Client, KeyStore};

use super::args::Global;
use super::named_args::BehindMethod;
use super::render::Names;
use super::{CliError, Output};
use crate::devnet::Description;

/// The frame of one command.
#[derive(Debug)]
pub(super) struct Context {
    api: Vec<String>,
    devnet: Option<PathBuf>,
    devnet_for_keys: Option<PathBuf>,
    timeout: Duration,
    output: Output,
    behind_method: Vec<BehindMethod>,
}

impl Context {
    /// Options come before the environment, `--api` before `--devnet`; keys are the devnet's where
    /// one is named at all.
    pub(super) fn new(global: Global, output: Output, behind_method: Vec<BehindMethod>) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let typed = !global.api.is_empty() || global.devnet.is_some();
        let mut api = global.api;
        let mut devnet = global.devnet.clone();
        if !typed {
            if let Some(urls) = variable("CHANCERY_API").and_then(|urls| urls.into_string().ok()) {
                api = urls.split(',').map(str::to_owned).collect();
            }
            devnet = variable("CHANCERY_DEVNET").map(PathBuf::from);
        }
        let devnet_for_keys = global
            .devnet
            .or_else(|| variable("CHANCERY_DEVNET").map(PathBuf::from));
        Self {
            api,
            devnet,
            devnet_for_keys,
            timeout: global.timeout,
            output,
            behind_method,
        }
    }

    pub(super) fn output(&self) -> Output {
        self.output
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The options that were typed behind the method.
    pub(super) fn behind_method(&self) -> &[BehindMethod] {
        &self.behind_method
    }

    /// The directory of the devnet that was named.
    pub(super) fn devnet(&self) -> Option<&Path> {
        self.devnet.as_deref()
    }

    /// The nodes that were named by their addresses, which come before a devnet.
    pub(super) fn api(&self) -> &[String] {
        &self.api
    }

    /// A client of the network that was named.
    pub(super) fn client(&self) -> Result<Arc<Client>, CliError> {
        let urls = if !self.api.is_empty() {
            self.api.clone()
        } else if let Some(directory) = &self.devnet {
            Description::read(directory)?.apis()
        } else {
            return Err(CliError::usage("which network? none was named")
                .code("no_network")
                .hint("give --devnet DIR or --api http://HOST:PORT, or set CHANCERY_DEVNET or CHANCERY_API"));
        };
        Ok(Arc::new(Client::new(urls)?))
    }

    /// The keys in use: the devnet's, or those of `$CHANCERY_HOME` (`~/.chancery`).
    pub(super) fn keys(&self) -> Result<KeyStore, CliError> {
        if let Some(directory) = &self.devnet_for_keys {
            return Ok(KeyStore::new(directory.join("keys")));
        }
        let home = std::env::var_os("CHANCERY_HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from)
            .or_else(|| Some(std::env::home_dir()?.join(".chancery")))
            .ok_or_else(|| {
                CliError::usage("where are the keys? neither CHANCERY_HOME nor HOME is set")
            })?;
        Ok(KeyStore::new(home.join("keys")))
    }

    /// What accounts are called here; nothing, where it is not known where the keys are.
    pub(super) fn names(&self) -> Names {
        let keys = self.keys().ok();
        keys.map(|keys| Names::of(&keys)).unwrap_or_default()
    }
}

/// Runs the network part of a command to its end.
pub(crate) fn block_on<T>(
    future: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("io", format!("no runtime: {error}")))?
        .block_on(future)
}
