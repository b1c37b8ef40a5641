#![allow(unused)]

use chancery_contract::{Env, contract};

pub struct Wrong;

#[contract]
impl Wrong {
    #[init]
    fn new(env: &mut Env) {}

    #[init]
    fn init(env: &mut Env) {}

    #[call]
    #[view]
    fn both(env: &mut Env) {}

    #[call(payable)]
    fn paid(env: &mut Env) {}

    #[view = "name"]
    fn named(env: &Env) {}

    #[migrate]
    fn renewed(env: &mut Env) {}

    #[migrate]
    fn migrate(env: &mut Env) {}

    #[call]
    #[cfg(test)]
    fn sometimes(env: &mut Env) {}

    #[call]
    fn größer(env: &mut Env) {}
}

pub struct Unmarked;

#[contract]
impl Unmarked {
    fn init(env: &mut Env) {}

    fn migrate(env: &mut Env) {}

    fn helper() {}
}

pub struct Called;

#[contract]
impl Called {
    #[call]
    fn init(env: &mut Env) {}

    #[view]
    fn migrate(env: &Env) {}
}

fn main() {}
