#![allow(unused)]

use chancery_contract::{AccountId, ContractId, Env, contract, contract_interface};

pub struct Plain;

#[contract_interface]
pub trait Registry {
    #[view]
    fn owner_of(env: &Env, plot: u64) -> Option<AccountId>;

    #[call]
    fn transfer(env: &mut Env, plot: u64);

    #[view]
    fn takes(env: &Env, number: f32, plain: Plain);

    #[view]
    fn returns(env: &Env) -> Plain;

    #[view]
    fn refuses(env: &Env) -> Result<u64, String>;
}

pub struct Asks;

#[contract]
impl Asks {
    #[view]
    fn writes(env: &Env, registry: ContractId) -> bool {
        Registry(registry).transfer(env, 1).is_ok()
    }
}

fn main() {}
