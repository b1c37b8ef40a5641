//! `evidence`: the proofs that validators contradicted themselves, as the nodes keep them.

use std::collections::BTreeMap;

use chancery_client::api::EvidenceInfo;
use serde_json::json;

use super::args::EvidenceArgs;
use super::context::{Context, block_on};
use super::output::{Table, printable};
use super::{CliError, Report, files};

pub(super) fn evidence(context: &Context, args: &EvidenceArgs) -> Result<Report, CliError> {
    let client = context.client()?;
    // By hash, with a node that keeps it: several nodes may have seen the same lie.
    let mut found: BTreeMap<String, (usize, EvidenceInfo)> = BTreeMap::new();
    let mut silent = Vec::new();
    block_on(async {
        for (index, url) in client.urls().iter().enumerate() {
            match client.evidence(index).await {
                Ok(list) => {
                    for info in list.evidence {
                        let name = info.hash.to_string();
                        found.entry(name).or_insert((index, info));
                    }
                }
                Err(reason) => silent.push(format!("{url}: {reason}")),
            }
        }
        Ok(())
    })?;
    if !silent.is_empty() && silent.len() == client.urls().len() {
        return Err(CliError::failed("no_node", silent.join("; ")));
    }
    let mut saved = Vec::new();
    if let Some(directory) = &args.out {
        std::fs::create_dir_all(directory).map_err(|error| {
            CliError::failed("file", format!("{}: {error}", directory.display()))
        })?;
        for (name, (index, info)) in &found {
            let path = directory.join(format!("{name}.json"));
            files::must_be_free(&path)?;
            let bytes = block_on(async { Ok(client.evidence_file(*index, info.hash).await) })?;
            let bytes = bytes.map_err(|reason| CliError::failed("bad_answer", reason))?;
            files::create(&path, &bytes)?;
            saved.push(path);
        }
    }
    let mut text = if found.is_empty() {
        "no validator is known to have contradicted itself\n".to_owned()
    } else {
        let mut table = Table::new(&["VALIDATOR", "WHAT IT DID"]);
        for (_, info) in found.values() {
            table.add(vec![printable(&info.validator), printable(&info.words)]);
        }
        table.to_text()
    };
    for path in &saved {
        text.push_str(&format!("saved {}\n", path.display()));
    }
    for reason in &silent {
        text.push_str(&format!("not asked: {}\n", printable(reason)));
    }
    let infos: Vec<&EvidenceInfo> = found.values().map(|(_, info)| info).collect();
    Ok(Report::new(
        text,
        json!({"evidence": infos, "saved": saved, "silent": silent}),
    ))
}
