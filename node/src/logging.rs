//! Log lines on standard error: one INFO line a block, never a key or a payload. Lines that cannot
//! be written are lost and stop nothing.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Starts logging. `CHANCERY_LOG` overrides the configured filter.
pub(crate) fn start(config: &LogConfig) {
    let given = EnvFilter::try_from_env("CHANCERY_LOG").ok();
    let filter = given.unwrap_or_else(|| {
        EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"))
    });
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        // Saying that a line could not be written would panic where standard error is the full disk.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}
