#![allow(unused)]

use chancery_contract::{AccountId, ContractId, Env, contract, contract_interface};

pub struct Plain;

#[contract_interface]
pub trait Registry {
    fn unmarked(env: &Env) -> u64;

    #[init]
    fn init(env: &mut Env);

    #[view]
    fn has_a_body(env: &Env) -> u64 {
        1
    }

    #[view]
    fn of_a_client(&self, plot: u64) -> u64;

    #[call]
    fn without_env(plot: u64);

    #[call]
    fn only_reads(env: &Env);

    #[view]
    fn writes(env: &mut Env);

    #[view]
    fn is_generic<T>(env: &Env, plot: T) -> T;

    #[view]
    fn borrows(env: &Env, text: &str) -> &str;

    #[view]
    async fn waits(env: &Env);

    #[call]
    #[view]
    fn both(env: &mut Env);

    const PLOTS: u64;

    type Plot;
}

#[contract_interface]
pub trait Generic<T>: Clone {
    #[view]
    fn count(env: &Env) -> u64;
}

#[contract_interface]
pub unsafe trait Empty {}

#[contract_interface]
pub struct Struct;

#[contract_interface(name = "Other")]
pub trait Arguments {
    #[view]
    fn count(env: &Env) -> u64;
}

fn main() {}
