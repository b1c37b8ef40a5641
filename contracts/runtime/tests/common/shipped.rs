//! A shipped contract, compiled to Wasm, in the real executor, called with what a person types.
//! `scripts/build-contracts` makes the modules; `CHANCERY_CONTRACTS` names their folder if it is not
//! target/contracts.

use std::path::PathBuf;

use chancery_ledger::{
    AccountId, Call, ChainLimits, ContractEvent, ContractId, Fuel, Receipt, Role, Status,
};
use chancery_runtime::Runtime;
use chancery_schema::{ArgText, Method, Plain, Schema, encode_args};
use serde_json::Value;

use super::{FUEL, IMPORTS, Ledger, ROOT, account, value_of};

/// A compiled contract and what it says of itself.
pub struct Module {
    pub wasm: Vec<u8>,
    pub schema: Schema,
}

impl Module {
    /// The module with that name, such as `data_access`.
    pub fn load(name: &str) -> Self {
        let folder = std::env::var_os("CHANCERY_CONTRACTS").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/contracts"),
            PathBuf::from,
        );
        let path = folder.join(format!("{name}.wasm"));
        let wasm = std::fs::read(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; run scripts/build-contracts", path.display())
        });
        let report = Runtime::check_module(&ChainLimits::default(), &wasm);
        let schema = report.expect("it is accepted").schema;
        Self {
            wasm,
            schema: schema.expect("it has a schema"),
        }
    }

    pub fn method(&self, name: &str) -> &Method {
        let init = self.schema.init().filter(|_| name == "init");
        let method = init.or_else(|| self.schema.callable(name));
        method.unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The arguments of a method, by position.
    pub fn args(&self, name: &str, texts: &[&str]) -> Vec<u8> {
        let texts: Vec<ArgText> = texts
            .iter()
            .map(|text| ArgText {
                name: None,
                text: (*text).to_owned(),
            })
            .collect();
        encode_args(&self.method(name).args, &texts, &Plain)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// A contract that [`ROOT`] deployed.
pub struct Story {
    pub ledger: Ledger,
    pub contract: ContractId,
    pub module: Module,
}

impl Story {
    /// Deploys the module with that name, and `init` with these arguments.
    pub fn begin(name: &str, init: &[&str]) -> Self {
        Self::on(Ledger::new(), name, init)
    }

    pub fn on(mut ledger: Ledger, name: &str, init: &[&str]) -> Self {
        let module = Module::load(name);
        let receipt = ledger.deploy_with(&module.wasm, module.args("init", init));
        assert!(value_of(&receipt).is_empty());
        let contract = receipt.contract.expect("deployed");
        Self {
            ledger,
            contract,
            module,
        }
    }

    /// The same for an `init` without arguments, on a ledger that has admitted these accounts.
    pub fn among(accounts: &[u8], name: &str, ledger: Ledger) -> Self {
        let mut story = Self::on(ledger, name, &[]);
        for seed in accounts {
            story.admit(*seed);
        }
        story
    }

    /// Admits the account of a seed, without roles.
    pub fn admit(&mut self, seed: u8) {
        let (account, roles) = (account(seed), Vec::<Role>::new());
        let receipt = self.ledger.one(ROOT, FUEL, Call::Admit { account, roles });
        value_of(&receipt);
    }

    pub fn call(&mut self, seed: u8, name: &str, texts: &[&str]) -> Receipt {
        let args = self.module.args(name, texts);
        self.ledger.invoke_as(seed, self.contract, name, args)
    }

    /// A call that is applied: what it returns.
    pub fn applied(&mut self, seed: u8, name: &str, texts: &[&str]) -> Value {
        let receipt = self.call(seed, name, texts);
        self.result(name, &value_of(&receipt))
    }

    /// A call that the contract refuses: its error's name. It changes and announces nothing, and
    /// costs less than it may.
    pub fn refusal(&mut self, seed: u8, name: &str, texts: &[&str]) -> String {
        let before = self.ledger.state.entries.clone();
        let receipt = self.call(seed, name, texts);
        let Status::Reverted { code, data } = &receipt.status else {
            panic!("{name}: {:?}", receipt.status)
        };
        assert!(data.is_empty() && receipt.events.is_empty());
        assert!(receipt.fuel_used < Fuel(FUEL));
        assert_eq!(self.ledger.state.entries, before);
        let error = self.module.schema.error(*code).expect("declared");
        error.name.clone()
    }

    /// The same, where that error is expected.
    pub fn refused(&mut self, seed: u8, name: &str, texts: &[&str], expected: &str) {
        assert_eq!(self.refusal(seed, name, texts), expected, "{name}");
    }

    pub fn query(&self, name: &str, texts: &[&str]) -> Value {
        let args = self.module.args(name, texts);
        let outcome = self.ledger.query(self.contract, name, &args);
        match outcome.status {
            Status::Applied { value } => self.result(name, &value),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// The same where the account calls another contract, and that one calls this.
    pub fn refused_to_a_contract(&mut self, seed: u8, name: &str, texts: &[&str], expected: &str) {
        let hex =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("\\{byte:02x}")).collect() };
        let args = self.module.args(name, texts);
        let between = self.ledger.deploy(&format!(
            r#"(module {IMPORTS}
            (memory (export "memory") 1)
            (data (i32.const 0) "{address}") (data (i32.const 32) "{name}")
            (data (i32.const 128) "{args}")
            (func (export "call.run")
                (drop (call $call (i32.const 0) (i32.const 32) (i32.const {name_len})
                    (i32.const 128) (i32.const {args_len})))
                (call $return_value (i32.const 1024)
                    (call $call_output (i32.const 1024) (i32.const 100)))))"#,
            address = hex(&self.contract.0),
            name_len = name.len(),
            args_len = args.len(),
            args = hex(&args),
        ));
        let before = self.ledger.state.entries.clone();
        let receipt = self.ledger.invoke_as(seed, between, "run", Vec::new());
        let output = value_of(&receipt);
        let code = output.first_chunk().expect("it refused, with a code");
        let error = self.module.schema.error(u32::from_le_bytes(*code));
        assert_eq!(error.expect("declared").name, expected, "{name}");
        assert_eq!(self.ledger.state.entries, before);
    }

    /// The events of a receipt: topics and fields.
    pub fn events(&self, receipt: &Receipt) -> Vec<(String, Value)> {
        let of = |event: &ContractEvent| {
            assert_eq!(event.contract, self.contract);
            let declared = self.module.schema.event(&event.topic).expect("declared");
            let fields = declared.decode(&event.data).expect("its fields");
            (event.topic.clone(), fields)
        };
        receipt.events.iter().map(of).collect()
    }

    /// The only event of a receipt.
    pub fn event(&self, receipt: &Receipt) -> (String, Value) {
        let [event] = self.events(receipt).try_into().expect("one event");
        event
    }

    /// How many of the ledger's entries are the contract's own.
    pub fn entries(&self) -> usize {
        let own = |key: &&Vec<u8>| key.starts_with(&[&[4], &self.contract.0[..]].concat());
        self.ledger.state.entries.keys().filter(own).count()
    }

    fn result(&self, name: &str, value: &[u8]) -> Value {
        let method = self.module.method(name);
        method.decode_result(value).expect("its type")
    }
}

pub fn did(seed: u8) -> String {
    let account: AccountId = account(seed);
    account.to_string()
}
