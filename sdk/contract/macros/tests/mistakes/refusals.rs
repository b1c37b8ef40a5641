#![allow(unused)]

use chancery_contract::{contract, contract_error};

mod foreign {
    pub struct Env;
}

#[contract_error]
pub enum Error {
    No = 1,
}

#[contract_error]
pub enum Other {
    Never = 1,
}

type Answer = Result<u64, Error>;

pub struct Texts;

#[contract]
impl Texts {
    #[call]
    fn texts(env: &mut chancery_contract::Env) -> Result<(), String> {
        Ok(())
    }
}

pub struct Two;

#[contract]
impl Two {
    #[call]
    fn one(env: &mut chancery_contract::Env) -> Result<(), Error> {
        Ok(())
    }

    #[call]
    fn other(env: &mut chancery_contract::Env) -> Result<u64, Other> {
        Ok(1)
    }
}

pub struct Alias;

#[contract]
impl Alias {
    #[call]
    fn answers(env: &mut chancery_contract::Env) -> Answer {
        Ok(1)
    }
}

pub struct Foreign;

#[contract]
impl Foreign {
    #[call]
    fn foreign(env: &mut foreign::Env) {}
}

fn main() {}
