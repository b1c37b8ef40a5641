//! `contract upgrade` and `contract approve-upgrade`: new code for a contract, agreed to by those who
//! were chosen at its deployment.

use std::path::Path;

use chancery_client::api::{ContractInfo, UpgradersInfo, VersionInfo, VersionsPage};
use chancery_client::{Client, KeyStore};
use chancery_ledger::upgrade::FIRST_VERSION;
use chancery_ledger::{
    AccountId, Call, ChainLimits, CodeHash, ContractId, UpgradeApproval, Upgraders,
};
use chancery_schema::{Method, MethodKind, Schema};
use serde_json::json;

use super::args::{ApproveUpgradeArgs, UpgradeArgs, UpgraderArgs};
use super::calls::{Seen, contract_id, transaction_report};
use super::checks::{MODULE_BYTES_MAX, report_of};
use super::context::{Context, block_on};
use super::output::printable;
use super::render::{NO_CONTRACT, NO_SCHEMA, Names};
use super::schemas::{Schemas, schema_of};
use super::submit::Session;
use super::values::{self, Values, encode_arguments};
use super::{CliError, Report, files};

/// Who may upgrade what is deployed: nobody, where nothing was typed.
pub(super) fn upgraders(
    keys: &KeyStore,
    typed: &UpgraderArgs,
    limits: &ChainLimits,
) -> Result<Upgraders, CliError> {
    let fail = |message: String| CliError::usage(message).code("wrong_upgraders");
    let accounts: Result<Vec<AccountId>, CliError> = typed
        .accounts
        .iter()
        .map(|text| values::account(keys, text))
        .collect();
    let (accounts, count) = (accounts?, typed.accounts.len());
    let quorum = match (typed.quorum, count) {
        (Some(quorum), 0) => {
            return Err(fail(format!(
                "--upgrade-quorum {quorum} of nobody: --upgrade-by ACCOUNT says who may upgrade"
            )));
        }
        (Some(quorum), _) => quorum,
        (None, 0) => 0,
        (None, 1) => 1,
        (None, _) => {
            return Err(fail(format!(
                "--upgrade-by names {count} accounts: --upgrade-quorum K says how many of them it takes"
            )));
        }
    };
    let upgraders = Upgraders::of(quorum, accounts);
    if upgraders.accounts.len() < count {
        return Err(fail("--upgrade-by names an account twice".to_owned()));
    }
    upgraders
        .check(limits)
        .map_err(|error| fail(error.to_string()))?;
    Ok(upgraders)
}

/// `1 of 2: did:key:… (hospital), did:key:… (clinic)`.
pub(super) fn upgraders_text(upgraders: &UpgradersInfo, names: &Names) -> String {
    let accounts = &upgraders.accounts;
    if accounts.is_empty() {
        return "nobody may".to_owned();
    }
    let shown: Vec<String> = accounts.iter().map(|did| names.show(did)).collect();
    let quorum = upgraders.quorum;
    format!("{quorum} of {}: {}", accounts.len(), shown.join(", "))
}

/// So many pages of versions are asked for: nodes give some hundred at a time, unless they are told to
/// give fewer.
const PAGES_MAX: usize = 256;

/// The versions of a contract up to its newest one, which the caller knows. Each was paid for, so they
/// are not very many.
pub(super) async fn versions(
    client: &Client,
    contract: ContractId,
    newest: u32,
) -> Result<Vec<VersionInfo>, CliError> {
    let (mut versions, mut from) = (Vec::new(), FIRST_VERSION);
    for _ in 0..PAGES_MAX {
        let page = client.contract_versions(contract, from, None).await?;
        match take(&mut versions, page, newest) {
            Some(next) => from = next,
            None => return Ok(versions),
        }
    }
    let message =
        format!("versions up to {newest} of the contract are on more than {PAGES_MAX} pages");
    Err(CliError::failed("bad_answer", message))
}

/// Takes what is asked for from a page, and says where to go on, if anything is missing. The contract
/// may have been upgraded in between.
fn take(versions: &mut Vec<VersionInfo>, page: VersionsPage, newest: u32) -> Option<u32> {
    let wanted = |info: &VersionInfo| info.version <= newest;
    versions.extend(page.versions.into_iter().filter(wanted));
    page.next.filter(|next| *next <= newest)
}

/// New code for a contract as it is now.
struct Proposal {
    info: ContractInfo,
    wasm: Vec<u8>,
    schema: Option<Schema>,
    /// SCALE of what `migrate` gets.
    args: Vec<u8>,
}

/// What was typed of it.
struct Typed<'a> {
    contract: &'a str,
    file: &'a Path,
    args: &'a [String],
    unchecked: bool,
}

impl Proposal {
    async fn of(
        context: &Context,
        session: &Session,
        keys: &KeyStore,
        typed: Typed<'_>,
    ) -> Result<Self, CliError> {
        let info = session
            .client
            .contract(contract_id(typed.contract)?)
            .await?;
        let wasm = files::read(typed.file, MODULE_BYTES_MAX)?;
        let report = report_of(&session.chain.limits, &wasm, typed.unchecked)?;
        let schema = report.and_then(|report| report.schema);
        let none = Method {
            name: "migrate".to_owned(),
            kind: MethodKind::Migrate,
            docs: String::new(),
            args: Vec::new(),
            returns: None,
        };
        let migrate = schema.as_ref().and_then(Schema::migrate).unwrap_or(&none);
        let now = session.now;
        let args = encode_arguments(
            migrate,
            typed.args,
            context.behind_method(),
            &Values { keys, now },
        )?;
        Ok(Self {
            info,
            wasm,
            schema,
            args,
        })
    }

    fn approval(&self) -> UpgradeApproval {
        UpgradeApproval::of(self.info.version, &self.wasm, &self.args)
    }

    /// Refuses what the ledger would do without a word, and hardly anybody wants.
    fn check_code(&self) -> Result<(), CliError> {
        let contract = self.info.contract;
        let before = schema_of(&self.info).ok();
        let names = before.as_ref().zip(self.schema.as_ref());
        let error = if CodeHash::of(&self.wasm) == self.info.code {
            let message = format!("contract {contract} runs this code already");
            CliError::usage(message).code("same_code")
        } else if let Some((before, after)) = names.filter(|(one, two)| one.name != two.name) {
            let message = format!(
                "contract {contract} is of {}, the module of {}: it might not understand what is stored",
                printable(&before.name),
                printable(&after.name)
            );
            CliError::usage(message).code("other_contract")
        } else {
            return Ok(());
        };
        Err(error.hint("--force hands it in all the same"))
    }

    /// Says what the ledger would refuse without a word.
    fn check_consent(&self, sender: &AccountId, names: &Names) -> Result<(), CliError> {
        check_upgrader(&self.info, sender, names)?;
        let wanted = self.approval();
        let agrees = |did: &&String| {
            let approvals = &mut self.info.approvals.iter();
            **did == sender.to_string()
                || approvals.any(|given| {
                    given.account.to_string() == **did
                        && (given.code, given.args) == (wanted.code, wanted.args)
                })
        };
        let upgraders = &self.info.upgraders;
        let (agreeing, missing): (Vec<_>, Vec<_>) = upgraders.accounts.iter().partition(agrees);
        let quorum = usize::try_from(upgraders.quorum).unwrap_or(usize::MAX);
        if agreeing.len() >= quorum {
            return Ok(());
        }
        let missing: Vec<String> = missing.iter().map(|did| names.show(did)).collect();
        let message = format!(
            "{} of the {quorum} who must agree to this upgrade of version {} do; not yet: {}",
            agreeing.len(),
            self.info.version,
            missing.join(", ")
        );
        let contract = self.info.contract;
        Err(CliError::usage(message)
            .code("not_approved")
            .hint(format!("`chancery contract approve-upgrade {contract} FILE --from NAME` with the same module and arguments")))
    }
}

fn check_upgrader(info: &ContractInfo, sender: &AccountId, names: &Names) -> Result<(), CliError> {
    let did = sender.to_string();
    if info.upgraders.accounts.contains(&did) {
        return Ok(());
    }
    let message = format!(
        "{} may not upgrade contract {}; who may was chosen at its deployment: {}",
        names.show(&did),
        info.contract,
        upgraders_text(&info.upgraders, names)
    );
    Err(CliError::usage(message).code("may_not_upgrade"))
}

/// `chancery contract upgrade`.
pub(super) fn upgrade(context: &Context, args: &UpgradeArgs) -> Result<Report, CliError> {
    let keys = context.keys()?;
    let key = keys.load(&args.from)?;
    let names = Names::of(&keys);
    block_on(async {
        let session = Session::open(context).await?;
        let typed = Typed {
            contract: &args.contract,
            file: &args.file,
            args: &args.args,
            unchecked: args.unchecked,
        };
        let proposal = Proposal::of(context, &session, &keys, typed).await?;
        if !args.unchecked {
            proposal.check_consent(&key.account(), &names)?;
        }
        if !args.force {
            proposal.check_code()?;
        }
        let Proposal {
            info,
            wasm,
            schema,
            args: encoded,
        } = proposal;
        let code = CodeHash::of(&wasm);
        let call = Call::Upgrade {
            contract: info.contract,
            version: info.version,
            code: wasm,
            args: encoded,
        };
        let done = session.transact(context, &key, call, args.fuel).await?;
        let seen = Seen {
            schema: schema.as_ref().ok_or_else(|| NO_SCHEMA.to_owned()),
            method: schema.as_ref().and_then(Schema::migrate),
            what: match &schema {
                Some(schema) => format!("upgrade {}", printable(&schema.name)),
                None => "upgrade".to_owned(),
            },
        };
        let mut schemas = Schemas::new(&session.client);
        if let Some(receipt) = &done.receipt {
            schemas.learn_events(receipt).await;
        }
        let mut report = transaction_report(&done, &seen, &schemas, &names)?;
        if let Some(object) = report.json.as_object_mut() {
            object.insert("code_hash".to_owned(), json!(code));
            object.insert("replaced_version".to_owned(), json!(info.version));
        }
        Ok(report)
    })
}

/// `chancery contract approve-upgrade`.
pub(super) fn approve(context: &Context, args: &ApproveUpgradeArgs) -> Result<Report, CliError> {
    let keys = context.keys()?;
    let key = keys.load(&args.from)?;
    let names = Names::of(&keys);
    block_on(async {
        let session = Session::open(context).await?;
        let (info, approval) = match &args.file {
            Some(file) => {
                let typed = Typed {
                    contract: &args.contract,
                    file,
                    args: &args.args,
                    unchecked: false,
                };
                let proposal = Proposal::of(context, &session, &keys, typed).await?;
                let approval = proposal.approval();
                (proposal.info, Some(approval))
            }
            // --withdraw
            None => {
                let contract = contract_id(&args.contract)?;
                (session.client.contract(contract).await?, None)
            }
        };
        check_upgrader(&info, &key.account(), &names)?;
        let call = Call::ApproveUpgrade {
            contract: info.contract,
            approval,
        };
        let done = session.transact(context, &key, call, None).await?;
        let seen = Seen {
            schema: Err(NO_CONTRACT.to_owned()),
            method: None,
            what: match approval {
                Some(_) => format!("approve upgrading version {}", info.version),
                None => "withdraw".to_owned(),
            },
        };
        let schemas = Schemas::new(&session.client);
        let mut report = transaction_report(&done, &seen, &schemas, &names)?;
        if let Some(object) = report.json.as_object_mut() {
            object.insert("approval".to_owned(), json!(approval));
        }
        Ok(report)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_ledger::{Height, TransactionPlace};

    #[test]
    fn versions_end_with_the_newest_one() {
        let page = |versions: &[u32], next: Option<u32>| VersionsPage {
            versions: versions
                .iter()
                .map(|version| VersionInfo {
                    version: *version,
                    code: CodeHash([1; 32]),
                    since: TransactionPlace {
                        height: Height(u64::from(*version)),
                        index: 0,
                    },
                })
                .collect(),
            next,
        };
        let mut versions = Vec::new();
        assert_eq!(take(&mut versions, page(&[1, 2], Some(3)), 3), Some(3));
        assert_eq!(take(&mut versions, page(&[3, 4], Some(5)), 3), None);
        let taken: Vec<u32> = versions.iter().map(|info| info.version).collect();
        assert_eq!(taken, [1, 2, 3]);
        assert_eq!(take(&mut versions, page(&[], None), 9), None);
    }
}
